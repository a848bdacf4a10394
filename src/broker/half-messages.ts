import type { Finish } from "../model/finish.ts";
import { FETCH_TARGET_BYTES, MAX_PENDING_TRANSACTIONS } from "../model/limits.ts";
import { HALF_TOPIC, SYSTEM_GROUP_PREFIX } from "../model/system-names.ts";
import { PROPERTY } from "../model/properties.ts";
import { RECORD, readInt64 } from "../model/record.ts";
import { readAllStored, type StoredRecord } from "../model/record-copy.ts";
import { CHECK_IMMUNITY_TIME, type HalfTimes, type TransactionOutcome } from "../model/transaction.ts";
import type { SteadyClock } from "../platform/steady-clock.ts";
import { sleep, type Timers } from "../platform/timers.ts";
import { isCount } from "../protocol/validate.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { DurableState } from "../storage/durable-state.ts";
import { readImport } from "./import-row.ts";
import type { Offsets } from "./offsets.ts";
import { EVERYTHING, type QueueReader } from "./queue-reader.ts";

/** For whom a half message is finished when its transaction has ended. */
const TRANSACTION_GROUP = `${SYSTEM_GROUP_PREFIX}TRANS`;
const CHECKS_KEY = "transaction/checks";
const BATCH = 256;
/** How soon the queue is read again after that failed, ms. */
const REFUSED_DELAY = 1000;
/** How long a message is on its way between its birth and its storing, at most; what is said to be longer, the wall clock was set back by, ms. */
const LONGEST_WAY = 60_000;

/** A transaction that is open. */
export interface HalfMessage extends HalfTimes {
  readonly transactionId: string;
  readonly group: string;
  /** In the queue of half messages, and in the log. */
  readonly queueOffset: number;
  readonly position: number;
  /** The same message once more: its frame was sent again after an outcome that nobody knew. */
  readonly twins: number[];
  /** It is being decided. */
  ending: Promise<TransactionOutcome> | null;
}

export interface HalfMessageServices {
  log: CommitLog;
  queues: ConsumeQueueStore;
  offsets: Offsets;
  reader: QueueReader;
  state: DurableState;
  clock: SteadyClock;
  timers: Timers;
}

/**
 * The half messages whose transactions are open, oldest first: read from their queue when they are durable, and again
 * at each start from the first that is not finished. The body of none is kept.
 */
export class HalfMessages {
  readonly #services: HalfMessageServices;
  readonly #open = new Map<string, HalfMessage>();
  /** By the offsets of half messages: how often each was checked, and when the last time. */
  #checks = new Map<number, [times: number, at: number]>();
  /** The first offset that was not looked at. What is looked at later stands in the log behind `#seenTo`. */
  #next = 0;
  #seenTo = 0;
  #reading: Promise<void> | null = null;
  #savesChecks = false;
  /** Places that were taken in this task, by half messages whose offsets are to follow `end`. */
  #taken = { end: 0, count: 0 };
  #isStarted = false;
  #isStopped = false;
  /** There is one more. */
  onOpened: (half: HalfMessage) => void = () => {};

  constructor(services: HalfMessageServices) {
    this.#services = services;
  }

  /** Call when the log is recovered, or another one was imported. */
  start(): void {
    const { offsets, state, log } = this.#services;
    this.#isStarted = true;
    this.#open.clear();
    this.#next = offsets.get(TRANSACTION_GROUP, HALF_TOPIC, 0) ?? 0;
    this.#seenTo = log.minPosition;
    this.#checks = readChecks(state.get(CHECKS_KEY));
    void this.#keepReading();
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** New half messages are durable. */
  published(): void {
    void this.#keepReading();
  }

  /** Resolves when every half message that is durable now has been looked at. */
  async caughtUp(): Promise<void> {
    const end = this.#services.queues.find(HALF_TOPIC, 0)?.maxOffset ?? 0;
    while (this.#next < end && this.#isReadable) await this.#read();
  }

  get size(): number {
    return this.#open.size;
  }

  /** False = there are as many as there may be, those included that are not durable yet, and those of the same frame. */
  takePlace(): boolean {
    const { log, queues } = this.#services;
    const queue = queues.find(HALF_TOPIC, 0);
    // Where nothing is on its way, offsets behind the end are those of messages that were refused.
    const end = queue === undefined ? 0 : log.position === log.durablePosition ? queue.maxOffset : queue.nextOffset;
    // All of a frame are asked for before the first gets its offset.
    if (this.#taken.end !== end) this.#taken = { end, count: 0 };
    if (this.#open.size + Math.max(0, end - this.#next) + this.#taken.count >= MAX_PENDING_TRANSACTIONS) return false;
    if (this.#taken.count++ === 0) queueMicrotask(() => (this.#taken = { end, count: 0 }));
    return true;
  }

  all(): IterableIterator<HalfMessage> {
    return this.#open.values();
  }

  find(transactionId: string): HalfMessage | undefined {
    return this.#open.get(transactionId);
  }

  /** Where the oldest stands in the log: what is behind has to stay. Infinity = there is none. */
  get firstPosition(): number {
    const [oldest] = this.#open.values();
    const isBehind = !this.#isStarted || this.#next < (this.#services.queues.find(HALF_TOPIC, 0)?.maxOffset ?? 0);
    return oldest?.position ?? (isBehind ? this.#seenTo : Number.POSITIVE_INFINITY);
  }

  /** A member of its group has received a check. Kept in one row: few are ever checked. */
  checked(half: HalfMessage, now: number): void {
    half.checkTimes++;
    half.checkedAt = now;
    this.#checks.set(half.queueOffset, [half.checkTimes, now]);
    this.#saveChecks();
  }

  /** Its transaction has ended, and that is durable. */
  ended(half: HalfMessage): void {
    this.#open.delete(half.transactionId);
    if (this.#checks.delete(half.queueOffset)) this.#saveChecks();
    const { offsets, queues } = this.#services;
    const [oldest] = this.#open.values();
    const maxOffset = queues.open(HALF_TOPIC, 0).maxOffset;
    offsets.commit(TRANSACTION_GROUP, HALF_TOPIC, 0, Math.min(oldest?.queueOffset ?? this.#next, maxOffset), maxOffset);
  }

  /** Of what is half imported nobody knows yet what has ended. */
  get #isReadable(): boolean {
    return this.#isStarted && !this.#isStopped && readImport(this.#services.state)?.isDone !== false;
  }

  async #keepReading(): Promise<void> {
    while (this.#isReadable) {
      try {
        return await this.#read();
      } catch {
        await sleep(this.#services.timers, REFUSED_DELAY);
      }
    }
  }

  #read(): Promise<void> {
    return (this.#reading ??= this.#readAll().finally(() => (this.#reading = null)));
  }

  async #readAll(): Promise<void> {
    const { queues, reader, log } = this.#services;
    for (;;) {
      const queue = queues.find(HALF_TOPIC, 0);
      if (queue === undefined || this.#next >= queue.maxOffset) return;
      const { records, nextOffset } = await reader.read(queue, Math.max(this.#next, queue.minOffset), EVERYTHING, BATCH, FETCH_TARGET_BYTES);
      for (const source of readAllStored(records)) this.#take(source);
      // What cannot be read is passed.
      this.#next = Math.max(this.#next + 1, nextOffset);
      if (this.#next >= queue.maxOffset) this.#seenTo = log.durablePosition;
    }
  }

  #take(source: StoredRecord): void {
    const { properties, queueOffset } = source;
    const { [PROPERTY.UNIQ_KEY]: transactionId = "", [PROPERTY.PGROUP]: group = "" } = properties;
    // Only an imported log can hold one without.
    if (transactionId === "" || group === "" || this.#services.offsets.isDone(finishOfHalf(queueOffset))) return;
    const known = this.#open.get(transactionId);
    if (known !== undefined) return void known.twins.push(queueOffset);
    const view = new DataView(source.bytes.buffer, source.bytes.byteOffset);
    const now = this.#services.clock.now();
    const [checkTimes, checkedAt] = this.#checks.get(queueOffset) ?? [0, 0];
    // What comes from the future comes from before the clock was set back: it waits from now on.
    const stored = Math.min(source.storeTimestamp, now);
    const half: HalfMessage = {
      transactionId, group, queueOffset, checkTimes, stored, twins: [], ending: null,
      checkedAt: Math.min(checkedAt, now),
      position: readInt64(view, RECORD.physicalOffset),
      // By its tab's clock, which may have been set back while the broker's went on.
      born: Math.min(stored, Math.max(readInt64(view, RECORD.bornTimestamp), stored - LONGEST_WAY)),
      immunity: properties[CHECK_IMMUNITY_TIME],
    };
    this.#open.set(transactionId, half);
    this.onOpened(half);
  }

  /** Once a task, however many there are. */
  #saveChecks(): void {
    if (this.#savesChecks) return;
    this.#savesChecks = true;
    void Promise.resolve().then(() => {
      this.#savesChecks = false;
      this.#services.state.set(CHECKS_KEY, [...this.#checks].map(([queueOffset, [times, at]]) => [queueOffset, times, at]));
    });
  }
}

export function finishOfHalf(queueOffset: number): Finish {
  return { group: TRANSACTION_GROUP, topic: HALF_TOPIC, queueId: 0, queueOffset };
}

/** What is no such row is left out: then they are checked as often again. */
function readChecks(row: unknown): Map<number, [number, number]> {
  if (!Array.isArray(row)) return new Map();
  const known = row.filter((entry): entry is [number, number, number] => Array.isArray(entry) && entry.length === 3 && entry.every(isCount));
  return new Map(known.map(([queueOffset, times, at]) => [queueOffset, [times, at]]));
}
