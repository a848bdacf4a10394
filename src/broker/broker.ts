import { MQError } from "../model/errors.ts";
import { MAX_DAMAGE_REPORTS } from "../model/limits.ts";
import type { Clock } from "../platform/clock.ts";
import { deferred } from "../platform/deferred.ts";
import type { Timers } from "../platform/timers.ts";
import type { BrokerDiagnostics, BrokerSettings, DamagedRange, RecoveryReport, WitnessMark } from "../protocol/api.ts";
import { LIBRARY_VERSION } from "../protocol/api.ts";
import type { BlockStore } from "../storage/block-store.ts";
import { CHECKPOINT_KEY, Checkpoint, readCheckpoint } from "../storage/checkpoint.ts";
import { CommitLog } from "../storage/commit-log.ts";
import { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import { DurableState } from "../storage/durable-state.ts";
import { refuseEncrypted } from "../storage/key-check.ts";
import { GroupCommit } from "../storage/group-commit.ts";
import type { Indexer } from "../storage/indexer.ts";
import { scanLog } from "../storage/log-scanner.ts";
import { judgeLoss, LOSS_KEY, readLoss } from "../storage/loss.ts";
import { recover } from "../storage/recovery.ts";
import { Dispatcher } from "./dispatch.ts";
import { FetchService } from "./fetch.ts";
import { Groups } from "./groups.ts";
import { Offsets } from "./offsets.ts";
import { QueueReader } from "./queue-reader.ts";
import { SendService } from "./send.ts";
import type { Session } from "./session.ts";
import { Stats } from "./stats.ts";
import { Topics } from "./topics.ts";

/** Everything from outside that a broker needs. */
export interface BrokerEnvironment {
  store: BlockStore;
  indexer: Indexer;
  clock: Clock;
  timers: Timers;
  incarnation: string;
  settings: BrokerSettings;
  /** What tabs remember of the store. */
  witness: WitnessMark | null;
}

/**
 * One life of the broker, from recovery to its end: wires the services together and holds no logic of its own.
 * It runs wherever its environment comes from: in a SharedWorker over IndexedDB, in Node over memory.
 */
export class Broker {
  readonly settings: BrokerSettings;
  readonly incarnation: string;
  readonly epoch: number;
  readonly sessions = new Set<Session>();
  readonly topics: Topics;
  readonly send: SendService;
  readonly groups: Groups;
  readonly fetches: FetchService;
  readonly stats: Stats;
  recovery: RecoveryReport = { loss: "none", lastKnownPosition: null, replayed: 0, position: 0, damaged: [], tookMs: 0 };
  /** Messages on ports that were no legal calls. */
  violations = 0;
  readonly #environment: BrokerEnvironment;
  readonly #end = deferred<MQError>();
  readonly #damaged: DamagedRange[] = [];
  readonly #state = new DurableState();
  readonly #log: CommitLog;
  readonly #queues: ConsumeQueueStore;
  readonly #checkpoint: Checkpoint;
  readonly #commit: GroupCommit;
  readonly #offsets: Offsets;

  /** Takes the store over and recovers it. */
  static async start(environment: BrokerEnvironment): Promise<Broker> {
    const began = environment.clock.now();
    const { store, witness } = environment;
    const taken = await store.takeOver(0, refuseEncrypted);
    // A store older than what was served from it: epochs go on above those that tabs have seen.
    const isOutdated = witness !== null && taken <= witness.epoch;
    const broker = new Broker(environment, isOutdated ? await store.takeOver(witness.epoch) : taken);
    await broker.#recover(began, taken - 1);
    return broker;
  }

  private constructor(environment: BrokerEnvironment, epoch: number) {
    const { store, indexer, clock, timers, settings, incarnation } = environment;
    this.#environment = environment;
    this.settings = settings;
    this.incarnation = incarnation;
    this.epoch = epoch;
    this.#log = new CommitLog(indexer, store, (range) => this.#reportDamage(range));
    this.#queues = new ConsumeQueueStore(store, () => scanLog(this.#log.rows(0), indexer, 0));
    this.#checkpoint = new Checkpoint(this.#queues);
    this.#commit = new GroupCommit({
      store,
      log: this.#log,
      state: this.#state,
      checkpoint: this.#checkpoint,
      timers,
      epoch,
      onRoom: () => this.send.takeIn(),
      onFatal: this.#end.resolve,
    });
    const reader = new QueueReader(this.#log, indexer);
    this.topics = new Topics(this.#state, settings);
    this.#offsets = new Offsets(this.#state);
    this.groups = new Groups({ topics: this.topics, queues: this.#queues, offsets: this.#offsets, clock, timers });
    this.fetches = new FetchService({ groups: this.groups, queues: this.#queues, topics: this.topics, reader, timers });
    const dispatcher = new Dispatcher((queues) => this.fetches.published(queues));
    this.send = new SendService({
      log: this.#log, queues: this.#queues, topics: this.topics, commit: this.#commit, dispatcher, clock, settings,
    });
    this.stats = new Stats({ topics: this.topics, queues: this.#queues, offsets: this.#offsets, groups: this.groups, reader });
    this.groups.onExpired = (member) => {
      for (const session of this.sessions) if (session.members.has(member)) this.groups.remove(session, member);
    };
    store.onLost = (reason) => this.#fail(new MQError("STORAGE_UNAVAILABLE", `The store is gone: ${reason}.`, { outcome: "unknown" }));
  }

  /** Resolves when the broker cannot go on, which may be before it has begun. */
  get end(): Promise<MQError> {
    return this.#end.promise;
  }

  endSession(session: Session): void {
    session.closed = true;
    session.onEnd();
    this.sessions.delete(session);
    for (const member of session.members) this.groups.remove(session, member);
  }

  get durablePosition(): number {
    return this.#log.durablePosition;
  }

  /** What whoever outlives this broker should remember. */
  mark(): WitnessMark {
    return { epoch: this.epoch, position: this.durablePosition, groups: this.#offsets.groups() };
  }

  diagnostics(): Omit<BrokerDiagnostics, "calls"> {
    const { store, indexer } = this.#environment;
    return {
      lib: LIBRARY_VERSION,
      incarnation: this.incarnation,
      epoch: this.epoch,
      storage: store.kind,
      encrypted: store.isEncrypted ?? false,
      indexer: indexer.kind,
      sessions: this.sessions.size,
      position: this.#log.position,
      durablePosition: this.#log.durablePosition,
      commits: this.#commit.commits,
      recovery: this.recovery,
      damaged: this.#damaged,
      violations: this.violations,
    };
  }

  /** Writes what is left and ends. */
  async close(): Promise<void> {
    await this.#commit.close();
    this.#stop();
  }

  /** Ends at once, without writing. */
  abandon(error: MQError): void {
    this.#commit.stop(error);
    this.send.stop(error);
    this.#stop();
  }

  async #recover(began: number, epoch: number): Promise<void> {
    const { store, indexer, clock, witness } = this.#environment;
    const rows = new Map(await store.readState(""));
    const checkpoint = readCheckpoint(rows.get(CHECKPOINT_KEY));
    rows.delete(CHECKPOINT_KEY);
    this.#state.restore(rows);
    const { newLoss, ...report } = await recover({
      store, indexer, queues: this.#queues, checkpoint, rows: (position) => this.#log.rows(position),
      loss: readLoss(rows.get(LOSS_KEY)), judge: (position) => judgeLoss({ epoch, position }, witness),
    });
    this.#log.open(report.position);
    const isCovered = report.replayed === 0 && report.damaged.length === 0 && newLoss === null;
    this.#checkpoint.restore(isCovered ? report.position : (checkpoint?.position ?? 0));
    // Before anybody is served, because the next start may be without a witness. A full store must not keep it from starting.
    if (newLoss !== null) await this.#state.save(LOSS_KEY, newLoss).catch(() => {});
    this.#offsets.restore();
    this.topics.restore(this.#queues);
    this.topics.onChanged = (topic) => this.groups.topicChanged(topic);
    this.recovery = { loss: newLoss?.kind ?? "none", lastKnownPosition: witness?.position ?? null, ...report, tookMs: clock.now() - began };
    for (const range of report.damaged) this.#reportDamage(range);
  }

  #reportDamage(range: DamagedRange): void {
    if (this.#damaged.some((known) => known.position === range.position && known.reason === range.reason)) return;
    if (this.#damaged.length < MAX_DAMAGE_REPORTS) this.#damaged.push(range);
  }

  #fail(error: MQError): void {
    this.#commit.stop(error);
    this.#end.resolve(error);
  }

  #stop(): void {
    this.fetches.stop();
    this.groups.stop();
    for (const session of this.sessions) {
      session.closed = true;
      session.onEnd();
    }
    this.#environment.store.close();
  }
}
