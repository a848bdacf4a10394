import { MQError, textOf } from "../model/errors.ts";
import { assert } from "../platform/assert.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import type { BlockStore, CommitBatch, CommitOutcome } from "./block-store.ts";
import { CHECKPOINT_KEY, type Checkpoint, type CheckpointBatch } from "./checkpoint.ts";
import type { CommitLog } from "./commit-log.ts";
import type { DurableState, Facts } from "./durable-state.ts";
import type { SealedChunk } from "./indexer.ts";
import type { LogMerger } from "./log-merger.ts";

/** Records that were appended together and share one fate. */
export interface CommitTicket {
  /** They are durable: publish and answer. Runs in the order of appending. */
  committed(): void;
  failed(error: MQError): void;
}

export interface GroupCommitOptions {
  store: BlockStore;
  log: CommitLog;
  state: DurableState;
  checkpoint: Checkpoint;
  merger: LogMerger;
  timers: Timers;
  epoch: number;
  /** Asked for each commit. */
  durability: () => "strict" | "relaxed";
  /** The open log has been emptied into a commit: what waits may be appended. */
  onRoom: () => void;
  /** What was appended was refused: the log goes on at its durable end. */
  onReopened: () => void;
  /** The broker cannot go on: it was fenced, or nobody knows what is in the store. */
  onFatal: (error: MQError) => void;
}

/** How long a change that nobody waits for (a consumer's offset) may wait for company. */
const LAZY_DELAY = 50;
/** How long the log rests before the consume queues are stored although no checkpoint is due. */
const IDLE_DELAY = 1000;
/** How long a full store is left alone, unless somebody asks for something; facts live on its reserve then, sparingly. */
const FULL_DELAY = 1000;

/**
 * The commit loop. Whatever has gathered while one transaction was on its way goes into the next, so the number of
 * transactions adapts to the device and not to the number of messages. One is in flight at a time: more of them
 * make each smaller and all of them slower.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #tickets: CommitTicket[] = [];
  #wanted = false;
  #running: Promise<void> | null = null;
  #stopped: MQError | null = null;
  #cancelLazy: Cancel | null = null;
  #cancelIdle: Cancel | null = null;
  #commits = 0;
  #isFull = false;
  #cancelFull: Cancel | null = null;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    options.state.onDirty = (urgent) => (urgent ? this.#request() : this.#requestLazily());
  }

  get commits(): number {
    return this.#commits;
  }

  /** The last messages, or facts, were refused for want of room; since then no message has been stored, and nothing removed. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Something was removed from the store: whether a message fits again the next one shows. */
  roomMade(): void {
    this.#isFull = false;
  }

  /** Call right after appending: the ticket covers what is in the open log now. */
  enqueue(ticket: CommitTicket): void {
    if (this.#stopped !== null) return ticket.failed(this.#stopped);
    this.#tickets.push(ticket);
    this.#request();
  }

  /** Writes what is left, checkpoint included, and stops. */
  async close(): Promise<void> {
    const { log, checkpoint } = this.#options;
    // Bounded, because a full store would refuse for ever.
    for (let round = 0; round < 3 && this.#stopped === null; round++) {
      if (round > 0 && log.openBytes === 0 && !checkpoint.isBehind(log.durablePosition)) break;
      this.#wanted = true;
      await (this.#running ?? this.#run(true));
    }
    this.stop(new MQError("CLOSED", "The broker has stopped."));
  }

  /** Nothing is written any more; whoever waits is told. */
  stop(error: MQError): void {
    this.#stopped ??= error;
    this.#cancelLazy?.();
    this.#cancelIdle?.();
    this.#options.merger.stop();
    this.#cancelFull?.();
    for (const ticket of this.#tickets.splice(0)) ticket.failed(error);
    this.#options.state.take().failed(error);
  }

  #request(): void {
    this.#wanted = true;
    if (this.#running === null && this.#stopped === null) void this.#run(false);
  }

  #requestLazily(): void {
    if (this.#running !== null) this.#wanted = true;
    else this.#cancelLazy ??= this.#options.timers.after(this.#isFull ? FULL_DELAY : LAZY_DELAY, () => this.#request());
  }

  #run(withCheckpoint: boolean): Promise<void> {
    const loop = this.#loop(withCheckpoint).catch((cause: unknown) => this.#fail(cause));
    this.#running = loop.finally(() => {
      this.#running = null;
      // Something may have been asked for after the loop's last look.
      if (this.#wanted) this.#request();
    });
    return this.#running;
  }

  /** A bug of ours in the loop: better no broker, and a new one that recovers, than half of one. */
  #fail(cause: unknown): void {
    const error = new MQError("INTERNAL_ERROR", `The broker failed: ${textOf(cause)}`, { outcome: "unknown", cause });
    this.stop(error);
    this.#options.onFatal(error);
  }

  async #loop(withCheckpoint: boolean): Promise<void> {
    // First comes everything else of this task: it may bring more to write.
    await Promise.resolve();
    while (this.#wanted && this.#stopped === null) {
      this.#wanted = false;
      this.#cancelLazy?.();
      this.#cancelLazy = null;
      await this.#commitOnce(withCheckpoint);
    }
  }

  async #commitOnce(withCheckpoint: boolean): Promise<void> {
    const { store, log, state, checkpoint, merger, epoch } = this.#options;
    const tickets = this.#tickets.splice(0);
    const chunks = log.seal(epoch);
    const facts = state.take();
    const behind = withCheckpoint ? checkpoint.isBehind(log.durablePosition) : checkpoint.isDue(log.durablePosition);
    // Everything durable is published, so the consume queues reach exactly to the durable position.
    const queues = behind ? checkpoint.take(log.durablePosition) : null;
    if (chunks.length === 0 && facts.rows.length === 0 && queues === null) {
      // Whoever only waits for what was appended before has nothing of its own to write.
      for (const ticket of tickets) ticket.committed();
      return facts.committed();
    }

    const commit = store.commit({ ...batchOf(epoch, chunks, facts.rows, queues), durability: this.#options.durability() });
    // While the device is busy, the processor prepares the next one.
    this.#options.onRoom();
    const outcome = await commit;
    if (outcome.status === "committed") {
      this.#commits++;
      if (chunks.length > 0) this.#isFull = false;
      log.committed(chunks);
      merger.committed(chunks);
      for (const ticket of tickets) ticket.committed();
      facts.committed();
      queues?.committed();
      // What a start would have to read again is too much already: the next commit does not wait for company.
      if (checkpoint.isDue(log.durablePosition)) this.#wanted = true;
      this.checkpointWhenIdle();
      return;
    }
    const error = errorOf(outcome);
    for (const ticket of tickets) ticket.failed(error);
    queues?.failed();
    if (error.code !== "STORAGE_FULL") return this.#giveUp(facts, error);
    const isAlone = chunks.length === 0 && queues === null;
    const isDue = this.#cancelFull === null || withCheckpoint || facts.isAwaited;
    this.#refuseGathered(error);
    if (isAlone || !isDue || facts.rows.length === 0) facts.failed(postponed(error));
    else await this.#commitAlone(facts);
  }

  /** There is no room for messages; facts are small, and the store has a reserve for them. */
  async #commitAlone(facts: Facts): Promise<void> {
    const { store, epoch, durability } = this.#options;
    const outcome = await store.commit({ ...batchOf(epoch, [], facts.rows, null), durability: durability() });
    if (outcome.status === "committed") {
      this.#commits++;
      return facts.committed();
    }
    const error = errorOf(outcome);
    if (error.code === "STORAGE_FULL") facts.failed(postponed(error));
    else this.#giveUp(facts, error);
  }

  #giveUp(facts: Facts, error: MQError): void {
    facts.failed(error);
    this.stop(error);
    this.#options.onFatal(error);
  }

  /**
   * The store is full and nothing of this commit was written. What has gathered meanwhile goes the same way, so that
   * the log goes on where it ends: its positions have no holes that a later start would take for lost rows.
   */
  #refuseGathered(error: MQError): void {
    const { log } = this.#options;
    for (const ticket of this.#tickets.splice(0)) ticket.failed(error);
    log.open(log.durablePosition);
    this.#options.onReopened();
    // The facts that do not fit stay dirty; trying again at once would only spin.
    this.#wanted = false;
    this.#isFull = true;
    // A timer of its own: producers that go on sending would keep the other one from ringing.
    this.#cancelFull ??= this.#options.timers.after(FULL_DELAY, () => {
      this.#cancelFull = null;
      this.#request();
    });
    this.#options.onRoom();
  }

  /**
   * Call once the log is recovered, so that what was replayed now is not replayed again at the next start.
   * One standing timer: setting it anew for every commit would cost more than it is worth.
   */
  checkpointWhenIdle(): void {
    if (this.#cancelIdle !== null) return;
    const { timers, checkpoint, log } = this.#options;
    if (!checkpoint.isBehind(log.durablePosition)) return;
    const commits = this.#commits;
    this.#cancelIdle = timers.after(IDLE_DELAY, () => {
      this.#cancelIdle = null;
      if (this.#stopped !== null) return;
      if (this.#running !== null || commits !== this.#commits) return this.checkpointWhenIdle();
      this.#wanted = true;
      void this.#run(true);
    });
  }
}

function batchOf(
  epoch: number,
  chunks: SealedChunk[],
  facts: CommitBatch["state"],
  queues: CheckpointBatch | null,
): CommitBatch {
  assert(facts.every(([key]) => key !== CHECKPOINT_KEY), "only the checkpoint writes the checkpoint");
  if (queues === null) return { epoch, log: chunks, queue: [], state: facts };
  return { epoch, log: chunks, queue: queues.pages, index: queues.index, state: [...facts, [CHECKPOINT_KEY, queues.row]] };
}

/** Facts are not taken back: they hold in memory and are written as soon as there is room. */
function postponed(full: MQError): MQError {
  return new MQError(full.code, `${full.message} It will be tried again.`, { outcome: "unknown", cause: full.cause });
}

function errorOf(outcome: Exclude<CommitOutcome, { status: "committed" }>): MQError {
  if (outcome.status === "unknown") {
    return new MQError("STORAGE_UNAVAILABLE", "The browser's storage failed; whether the messages were stored is not known.", {
      outcome: "unknown",
      cause: outcome.cause,
    });
  }
  if (outcome.reason === "FULL") {
    return new MQError("STORAGE_FULL", "The browser's storage quota for this origin is used up.", { cause: outcome.cause });
  }
  return new MQError("FENCED", "Another host has taken over this namespace; nothing was written.");
}
