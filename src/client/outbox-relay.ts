import { asMQError, type ErrorCode, MQError } from "../model/errors.ts";
import { BATCH_TARGET_BYTES, MAX_RELAYED_ROWS } from "../model/limits.ts";
import type { MessageQueue } from "../model/queue.ts";
import { recordBytes } from "../model/record-codec.ts";
import { deferred } from "../platform/deferred.ts";
import type { HeldLock } from "../platform/locks.ts";
import { FRAME_DIVERTED } from "../protocol/frame.ts";
import type { Connection } from "./connection.ts";
import type { Outbox } from "./outbox.ts";
import { draftOf, type KeyedRow, type OutboxRows } from "./outbox-rows.ts";
import { QueueChooser } from "./queue-chooser.ts";
import type { Route, Routes } from "./routes.ts";

/** What became of a row. `again`: it has to be sent once more. */
type Refusal = { status: "refused" | "again"; error: MQError };
type Outcome = { status: "stored"; queueId: number; queueOffset: number } | Refusal;

export interface RelayParts {
  connection: Connection;
  outbox: Outbox;
  routes: Routes;
  rows: OutboxRows;
  /** Held by whoever relays: one of all tabs. */
  lockName: string;
  onSent: (row: KeyedRow["row"], place: { messageQueue: MessageQueue; queueOffset: number }) => void;
  onParked: (row: KeyedRow["row"], error: MQError) => void;
  onError: (error: MQError) => void;
}

/** One batch: so long it may take, and then it is sent again. */
const SEND_TIMEOUT = 10_000;
const RETRIES = 100;
/** How soon what was not taken is sent again, ms; doubled up to the second. */
const [FIRST_DELAY, LAST_DELAY] = [50, 5000];
/** A refusal that says nothing of the message. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["STORAGE_FULL", "CLOSED", "INTERNAL_ERROR", "UPGRADE_REQUIRED", "CANNOT_DECRYPT"]);

/** Refused as a whole, for what it is. */
const ILLEGAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["MESSAGE_ILLEGAL", "PROTOCOL_VIOLATION"]);

/**
 * Moves the rows of an outbox to the broker: in the order of their keys, one frame at a time, and a row is deleted when
 * its message is stored. Nobody knows what the tab that did it before has sent: so every row goes as one that may be stored already, and the
 * broker looks. The lock goes to the next tab when this one dies, however it dies.
 */
export class OutboxRelay {
  readonly #parts: RelayParts;
  readonly #queues: QueueChooser;
  readonly #stop = new AbortController();
  readonly #unlisten: (() => void)[];
  #lock: HeldLock | null = null;
  #isHidden = false;
  #delay = FIRST_DELAY;
  /** The last frame was refused as a whole, for what one of its rows is: they are sent one by one, until it is found. */
  #isSingly = false;
  /** Something has happened: a commit, the page's return, the end. */
  #wake: () => void = () => {};
  #isAwake = false;
  #running: Promise<void>;

  constructor(parts: RelayParts) {
    this.#parts = parts;
    const { lifecycle, environment } = parts.connection;
    this.#queues = new QueueChooser(environment.random);
    this.#unlisten = [
      // A page that is put aside must not hold a lock, and does nothing while it is.
      lifecycle.on("hide", () => {
        this.#isHidden = true;
        this.#lock?.release();
        this.#lock = null;
        this.wake();
      }),
      lifecycle.on("open", () => {
        this.#isHidden = false;
        this.wake();
      }),
    ];
    this.#running = this.#run().catch((error: unknown) => parts.onError(asMQError(error)));
  }

  /** There may be new rows. */
  wake(): void {
    this.#isAwake = true;
    this.#wake();
  }

  /** Sends no more; resolves when what is on its way is answered, or given up. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.wake();
    for (const unlisten of this.#unlisten.splice(0)) unlisten();
    await this.#running;
  }

  get #isOver(): boolean {
    return this.#stop.signal.aborted;
  }

  /** It takes turns with the other tabs: whoever has the lock relays until its end. */
  async #run(): Promise<void> {
    const { connection, lockName, onError } = this.#parts;
    while (!this.#isOver) {
      if (this.#isHidden) {
        // What has woken it is that the page goes away: nothing that it could do now.
        this.#isAwake = false;
        await this.#rest(null);
        continue;
      }
      const lock = await connection.environment.locks.acquire(lockName, { signal: this.#stop.signal });
      if (lock === null) return;
      this.#lock = lock;
      try {
        if (!this.#isHidden) await this.#relay(lock);
      } catch (error) {
        onError(asMQError(error));
        // The application has closed its database: another tab may do better.
        if ((error as Partial<Error> | null)?.name === "InvalidStateError") return;
        lock.release();
        if (!this.#isOver) await this.#rest(LAST_DELAY);
      } finally {
        lock.release();
        this.#lock = null;
      }
    }
  }

  async #relay(lock: HeldLock): Promise<void> {
    let after: unknown;
    while (!this.#isOver && this.#lock === lock) {
      this.#isAwake = false;
      const { rows, last } = await this.#parts.rows.read(after, MAX_RELAYED_ROWS);
      if (last === undefined) {
        await this.#rest(null);
        continue;
      }
      const waiting = rows.filter(({ row }) => row.parked === undefined);
      const batch = this.#isSingly ? waiting.slice(0, 1) : firstFrame(waiting);
      if (batch.length > 0 && !(await this.#move(batch))) continue;
      // Numbers only rise: what is added now comes behind.
      after = batch.length < waiting.length ? batch.at(-1)!.key : last;
    }
  }

  /** False: none of it was taken, or the rows could not be changed; after a while it is tried again. */
  async #move(batch: KeyedRow[]): Promise<boolean> {
    const { rows, connection, onSent, onParked, onError } = this.#parts;
    const outcomes = await this.#send(batch);
    const isIllegal = outcomes.every((outcome) => outcome.status !== "stored" && ILLEGAL.has(outcome.error.code));
    this.#isSingly = isIllegal && batch.length > 1;
    // Nobody says so for certain of what is sent again, but it is what it was at every try.
    if (isIllegal && batch.length === 1) outcomes[0] = { ...outcomes[0]!, status: "refused" } as Outcome;
    const now = connection.environment.clock.now();
    const gone: unknown[] = [];
    const kept: KeyedRow[] = [];
    for (const [at, { key, row }] of batch.entries()) {
      const outcome = outcomes[at]!;
      if (outcome.status === "stored") gone.push(key);
      if (outcome.status === "refused") kept.push({ key, row: { ...row, parked: { code: outcome.error.code, message: outcome.error.message, at: now } } });
    }
    let failure = outcomes.find((outcome): outcome is Refusal => outcome.status === "again");
    if (gone.length + kept.length > 0) {
      try {
        await rows.change({ gone, kept });
      } catch (error) {
        // They are sent again, and found.
        failure = { status: "again", error: asMQError(error) };
        onError(failure.error);
      }
    }
    if (failure === undefined) this.#delay = FIRST_DELAY;
    for (const [at, { row }] of batch.entries()) {
      const outcome = outcomes[at]!;
      if (failure !== undefined && gone.length + kept.length === 0) break;
      if (outcome.status === "stored") onSent(row, { messageQueue: { topic: row.topic, brokerName: connection.serving.brokerName, queueId: outcome.queueId }, queueOffset: outcome.queueOffset });
      if (outcome.status === "refused") onParked(row, outcome.error);
    }
    if (failure === undefined) return true;
    await this.#rest(this.#delay);
    // Told once: it takes longer than what passes by itself does.
    if (this.#delay < LAST_DELAY && this.#delay * 2 >= LAST_DELAY) onError(failure.error);
    this.#delay = Math.min(this.#delay * 2, LAST_DELAY);
    return false;
  }

  /** As one frame. */
  async #send(batch: KeyedRow[]): Promise<Outcome[]> {
    const { connection, outbox, routes } = this.#parts;
    const from = Math.min(...batch.map(({ row }) => row.from));
    const outcomes: (Outcome | undefined)[] = [];
    const answered = deferred<void>();
    let open = batch.length;
    const settle = (at: number, outcome: Outcome): void => {
      outcomes[at] = outcome;
      if (--open === 0) answered.resolve();
    };
    const refuse = (at: number, thrown: unknown): void => settle(at, refusalOf(asMQError(thrown)));
    const known = new Map<string, Route | MQError>();
    for (const { row: { topic } } of batch) if (!known.has(topic)) known.set(topic, await routes.of(topic).catch(asMQError));
    const blocked = [...known.values()].find((route) => route instanceof MQError && refusalOf(route).status === "again");
    // What is behind a message waits with it.
    if (blocked !== undefined) return batch.map(() => refusalOf(blocked as MQError));
    const entries = batch.flatMap(({ row }, at) => {
      try {
        const route = known.get(row.topic)!;
        if (route instanceof MQError) throw route;
        const draft = draftOf(row);
        const { queueId } = this.#queues.choose(route.config, { message: { topic: row.topic, body: row.body }, messageGroup: row.messageGroup, priority: row.priority, options: {} });
        return [{
          draft, topic: route.topicBytes, queueId, from,
          stored: (queueOffset: number, _position: number, unflushed: boolean, place: number) =>
            settle(at, unflushed ? { status: "again", error: notFlushed() } : { status: "stored", queueId: place, queueOffset }),
          refused: (error: MQError) => {
            // A topic or a queue that is gone was one of a route that was too old: a new one is asked for, and may make the topic.
            const isOutdated = error.code === "TOPIC_NOT_EXIST" || error.field === "queueId";
            if (!isOutdated) return refuse(at, error);
            routes.forget(row.topic);
            settle(at, { status: "again", error });
          },
        }];
      } catch (error) {
        refuse(at, error);
        return [];
      }
    });
    const flags = batch[0]!.row.isDiverted ? FRAME_DIVERTED : 0;
    if (entries.length > 0) {
      try {
        outbox.add(entries, { timeout: SEND_TIMEOUT, deadline: null, retries: RETRIES, waits: true, flags });
      } catch (error) {
        for (const entry of entries) entry.refused(asMQError(error));
      }
    }
    await Promise.race([answered.promise, connection.closed]);
    return batch.map((_, at) => outcomes[at] ?? { status: "again", error: new MQError("CLOSED", "The connection is closed.", { outcome: "unknown" }) });
  }

  /** Until something happens, or so many ms have passed. */
  #rest(time: number | null): Promise<void> {
    if (this.#isAwake && time === null) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = time === null ? () => {} : this.#parts.connection.environment.timers.after(time, () => done());
      const done = (): void => {
        cancel();
        this.#wake = () => {};
        resolve();
      };
      // New rows do not make a broker's answer come sooner.
      this.#wake = () => {
        if (time === null || this.#isOver || this.#isHidden) done();
      };
    });
  }
}

/** What goes into one frame: as many as fit, and all of one kind. */
function firstFrame(rows: KeyedRow[]): KeyedRow[] {
  let bytes = 0;
  const end = rows.findIndex(({ row }, at) => {
    bytes += recordBytes(draftOf(row), row.topic.length);
    return at > 0 && (bytes > BATCH_TARGET_BYTES || row.isDiverted !== rows[0]!.row.isDiverted);
  });
  return end < 0 ? rows : rows.slice(0, end);
}

function refusalOf(error: MQError): Outcome {
  return { status: error.retriable || error.outcome === "unknown" || PASSING.has(error.code) ? "again" : "refused", error };
}

function notFlushed(): MQError {
  return new MQError("STORAGE_UNAVAILABLE", "The broker has accepted the message and not committed it yet.", { outcome: "unknown" });
}
