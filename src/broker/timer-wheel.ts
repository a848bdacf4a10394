import { parseTagExpression } from "../filter/tag-expression.ts";
import { FETCH_TARGET_BYTES, QUEUE_PAGE_ENTRIES } from "../model/limits.ts";
import { TIMER_GROUP, WHEEL_TOPIC } from "../model/system-names.ts";
import { PROPERTY } from "../model/properties.ts";
import { readStored, type RecordPlace, type StoredRecord } from "../model/record-copy.ts";
import { timerDue, withoutTimer } from "../model/timer.ts";
import type { Clock } from "../platform/clock.ts";
import { deferred } from "../platform/deferred.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import { type ConsumeQueue, ENTRY_BYTES, entrySize } from "../storage/consume-queue.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { Deletions } from "../storage/deletions.ts";
import type { Indexer } from "../storage/indexer.ts";
import type { Timer, TimerIndex } from "../storage/timer-index.ts";
import type { Diversion } from "./diversions.ts";
import type { FinishedTimers } from "./finished-timers.ts";
import type { Move, Mover } from "./mover.ts";
import type { QueueReader } from "./queue-reader.ts";
import { PERM_READ, type Topics } from "./topics.ts";

const EVERYTHING = parseTagExpression("*");
/** Timers of one transaction, and how many of them are read at the same time. */
const BATCH = 512;
const READS = 16;
/** The index is made anew when it holds more than this that is finished, and that is more than what waits. */
const MAX_STALE = 4096;

export interface WheelServices {
  settings: BrokerSettings;
  deletions: Deletions;
  topics: Topics;
  queues: ConsumeQueueStore;
  finished: FinishedTimers;
  indexer: Pick<Indexer, "timers">;
  reader: QueueReader;
  mover: Mover;
  /** The wall clock itself: what is to be delivered at a time is delivered when it says so, or later. */
  clock: Clock;
}

/** Timers whose time has come, the earliest first. */
export interface DueTimers {
  waiting: { source: StoredRecord; due: number }[];
  /** There are no others. */
  isAll: boolean;
}

/** Timers whose time has not come. */
export interface WaitingTimers {
  waiting: DueTimers["waiting"];
  /** How far it was looked; null = to the end. */
  until: Timer | null;
}

interface ReadTimer {
  timer: Timer;
  source: StoredRecord | null;
}

/**
 * Messages that are to be delivered at a time of their own. All of them wait in one queue, as they came; the index knows
 * their times from the queue's entries, so a start reads no messages. Their times are the wall clock's: when it is set
 * back they come later, never earlier.
 */
export class TimerWheel implements Diversion {
  readonly #services: WheelServices;
  /** Timers before this offset are in the index, or finished; -1 = it holds none. */
  #loaded = -1;
  /** Taken out of the index for delivery, whose outcome is not known yet. */
  readonly #inHand = new Map<number, Timer>();
  #settled = deferred<void>();
  /** In the index, and finished. */
  #stale = 0;
  #lost = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(services: WheelServices) {
    this.#services = services;
  }

  /** When the first is due, or would be if it was not called off; Infinity = nothing waits. */
  get next(): number {
    return this.#index?.next ?? Number.POSITIVE_INFINITY;
  }

  /** How many wait. */
  get pending(): number {
    return (this.#index?.count ?? 0) - this.#stale + this.#inHand.size;
  }

  /** Memory that the index takes. */
  get indexBytes(): number {
    return this.#index?.bytes ?? 0;
  }

  /** Whose messages were gone when their time came: the log was cut, or damaged. */
  get lost(): number {
    return this.#lost;
  }

  /** A message with a time of its own waits in the wheel's queue; one whose time is not in the future does not wait. */
  divert({ topic, queueId, properties, ...rest }: RecordPlace): RecordPlace | null {
    const others = withoutTimer(properties);
    if (Object.keys(others).length === Object.keys(properties).length) return null;
    const { settings, clock } = this.#services;
    const due = timerDue(properties, clock.now(), settings.timerMaxDelay);
    if (due === null) return { ...rest, topic, queueId, properties: others };
    return this.waiting({ ...rest, topic, queueId, properties: others }, due);
  }

  /** Where it waits; the topic is made on the way. */
  waiting({ topic, queueId, properties, ...rest }: RecordPlace, due: number): RecordPlace {
    this.#services.topics.ensure({ topic: WHEEL_TOPIC, readQueueNums: 1, writeQueueNums: 1, perm: PERM_READ });
    const onTheWay = { [PROPERTY.REAL_TOPIC]: topic, [PROPERTY.REAL_QID]: `${queueId}`, [PROPERTY.TIMER_OUT_MS]: `${due}` };
    return { ...rest, topic: WHEEL_TOPIC, queueId: 0, properties: { ...properties, ...onTheWay } };
  }

  /** One after the other: what is taken is settled before anybody else takes or moves anything. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** Takes what is due. `settle` has to follow. */
  async take(): Promise<DueTimers> {
    const { finished, clock } = this.#services;
    await this.#load();
    const index = this.#index;
    if (index === null) return { waiting: [], isAll: true };
    const now = clock.now();
    const taken = index.take(now, BATCH);
    const due = taken.filter(({ offset }) => !finished.has(offset));
    this.#stale -= taken.length - due.length;
    for (const timer of due) this.#inHand.set(timer.offset, timer);
    const read = await this.#readSome(due);
    for (const { timer, source } of read) if (source === null) this.#lose(timer.offset);
    return { waiting: read.flatMap(waitingIn), isAll: read.length === due.length && index.next > now };
  }

  /** Those that wait, in their order, from `from` on and until `end`; no more than `max`. What is being delivered is left out. */
  async list(from: Timer, end: number, max: number): Promise<WaitingTimers> {
    const { finished } = this.#services;
    const { timers, isAll } = await this.exclusively(async () => {
      await this.#load();
      return this.#select((timer) => timer.due <= end && inOrder(from, timer) <= 0 && !finished.has(timer.offset), max);
    });
    const read = await this.#readSome(timers);
    const until = isAll && read.length === timers.length ? null : read.at(-1)!.timer;
    return { waiting: read.filter(({ timer }) => !finished.has(timer.offset)).flatMap(waitingIn), until };
  }

  /** The first `max` of those that are wanted. One look at each: the index is in no order but for its first. */
  #select(isWanted: (timer: Timer) => boolean, max: number): { timers: Timer[]; isAll: boolean } {
    const timers: Timer[] = [];
    let isAll = true;
    let last = Number.POSITIVE_INFINITY;
    const cut = (): void => {
      timers.sort(inOrder);
      if (timers.length <= max) return;
      [timers.length, isAll, last] = [max, false, timers[max - 1]!.due];
    };
    this.#index?.scan((due, offset) => {
      if (due <= last && isWanted({ due, offset }) && timers.push({ due, offset }) >= 2 * max) cut();
    });
    cut();
    return { timers, isAll };
  }

  /** What was taken and is not delivered waits again. */
  settle(): void {
    const { finished } = this.#services;
    for (const timer of this.#inHand.values()) if (!finished.has(timer.offset)) this.#index?.add(timer);
    this.#inHand.clear();
    this.#settled.resolve();
    this.#settled = deferred();
  }

  /** Resolves when it is certain, and durable, whether it is delivered: it is not, unless its delivery was under way. */
  async callOff(offset: number): Promise<void> {
    const { finished } = this.#services;
    while (this.#inHand.has(offset)) await this.#settled.promise;
    if (!finished.has(offset)) {
      finished.finish(offset);
      if (offset < this.#loaded) this.#stale++;
    }
    await finished.saved([offset]);
  }

  /** Timers that stand before `position` of the log, and their bytes. */
  async before(position: number): Promise<{ offsets: number[]; bytes: number }> {
    const queue = this.#queue;
    const offsets: number[] = [];
    let bytes = 0;
    if (queue === undefined) return { offsets, bytes };
    const end = await queue.offsetAt(position);
    for (let next = this.#firstOpen(queue); next < end; next = queue.behindGap(next)) {
      const entries = await queue.read(next, end - next);
      const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
      for (let at = 0; at < entries.byteLength; at += ENTRY_BYTES, next++) {
        const size = entrySize(view, at);
        if (size === 0 || this.#services.finished.has(next)) continue;
        offsets.push(next);
        bytes += size;
      }
    }
    return { offsets, bytes };
  }

  /** Moves timers to the end of the log, as RocketMQ rolls them: what is before can be removed then. Exclusively. */
  async roll(offsets: readonly number[]): Promise<void> {
    for (let at = 0; at < offsets.length; ) {
      const sources: StoredRecord[] = [];
      for (let bytes = 0; at < offsets.length && sources.length < BATCH && bytes < FETCH_TARGET_BYTES; at++) {
        const source = await this.#read(offsets[at]!);
        if (source === null) this.#lose(offsets[at]!);
        else sources.push(source);
        bytes += source?.bytes.byteLength ?? 0;
      }
      // Called off meanwhile, or deleted with its topic, a timer is not to be there once more; and until the copies are durable nobody gets to the others.
      const { finished, deletions } = this.#services;
      const moves = sources.filter((source) => !finished.has(source.queueOffset) && !deletions.voids(source)).map(rolled);
      for (const { source: { queueOffset: offset, properties } } of moves) this.#inHand.set(offset, { offset, due: Number(properties[PROPERTY.TIMER_OUT_MS]) });
      try {
        if (moves.length > 0) await this.#services.mover.moveAll(moves);
        this.#stale += moves.length;
      } finally {
        this.#inHand.clear();
        this.#settled.resolve();
        this.#settled = deferred();
      }
    }
  }

  /** Null as long as there was never a timer: then it has no memory either. */
  get #index(): TimerIndex | null {
    return this.#loaded < 0 ? null : this.#services.indexer.timers;
  }

  get #queue(): ConsumeQueue | undefined {
    return this.#services.queues.find(WHEEL_TOPIC, 0);
  }

  #firstOpen(queue: ConsumeQueue): number {
    return this.#services.finished.firstOpen(queue.minOffset);
  }

  /** Enters what has come since. */
  async #load(): Promise<void> {
    const { indexer, finished } = this.#services;
    const queue = this.#queue;
    if (queue === undefined) return;
    const index = indexer.timers;
    if (this.#loaded < 0 || this.#stale > Math.max(MAX_STALE, index.count / 2)) {
      index.clear();
      this.#stale = 0;
      this.#loaded = this.#firstOpen(queue);
    }
    for (let next = queue.behindGap(this.#loaded); next < queue.maxOffset; next = queue.behindGap(this.#loaded)) {
      // Whole bytes of bits: what was entered before is left out.
      const first = next - (next % 8);
      const entries = await queue.read(first, QUEUE_PAGE_ENTRIES);
      const count = entries.byteLength / ENTRY_BYTES;
      const leftOut = finished.bits(first, count);
      leftOut[0]! |= (1 << (next - first)) - 1;
      index.load(entries, first, leftOut);
      this.#loaded = first + count;
    }
  }

  /** Their messages, in their order, until those are many bytes; null = it is gone. */
  async #readSome(timers: readonly Timer[]): Promise<ReadTimer[]> {
    const read: ReadTimer[] = [];
    for (let bytes = 0; read.length < timers.length && bytes < FETCH_TARGET_BYTES; ) {
      const some = timers.slice(read.length, read.length + READS);
      const sources = await Promise.all(some.map(({ offset }) => this.#read(offset)));
      for (const [at, source] of sources.entries()) {
        read.push({ timer: some[at]!, source });
        bytes += source?.bytes.byteLength ?? 0;
      }
    }
    return read;
  }

  async #read(offset: number): Promise<StoredRecord | null> {
    const queue = this.#queue;
    if (queue === undefined || offset < queue.minOffset) return null;
    const { records } = await this.#services.reader.read(queue, offset, EVERYTHING, 1, 1);
    const source = records.byteLength === 0 ? null : readStored(records);
    return source?.queueOffset === offset && isAimed(source) ? source : null;
  }

  #lose(offset: number): void {
    if (this.#services.finished.has(offset)) return;
    this.#services.finished.finish(offset);
    this.#lost++;
  }
}

function waitingIn({ timer: { due }, source }: ReadTimer): DueTimers["waiting"] {
  return source === null ? [] : [{ source, due }];
}

function inOrder(a: Timer, b: Timer): number {
  return a.due - b.due || a.offset - b.offset;
}

function rolled(source: StoredRecord): Move {
  const { topic, queueId, queueOffset, reconsumeTimes, properties } = source;
  const times = Number(properties[PROPERTY.TIMER_ROLL_TIMES] ?? 0) + 1;
  return {
    finish: { group: TIMER_GROUP, topic, queueId, queueOffset },
    source,
    target: { topic, queueId, reconsumeTimes, properties: { ...properties, [PROPERTY.TIMER_ROLL_TIMES]: `${times}` } },
  };
}

/** Only an imported log can hold anything else. */
export function isAimed({ properties }: StoredRecord): boolean {
  return properties[PROPERTY.REAL_TOPIC] !== undefined && /^\d{1,3}$/.test(properties[PROPERTY.REAL_QID] ?? "");
}
