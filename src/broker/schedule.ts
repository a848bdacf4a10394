import { parseTagExpression } from "../filter/tag-expression.ts";
import { parseDelayLevels } from "../model/delay-level.ts";
import { MQError } from "../model/errors.ts";
import { FETCH_TARGET_BYTES, MAX_DELAY_LEVELS } from "../model/limits.ts";
import { SCHEDULE_TOPIC, SYSTEM_GROUP_PREFIX, TIMER_GROUP, WHEEL_TOPIC } from "../model/system-names.ts";
import { PROPERTY } from "../model/properties.ts";
import { readAllStored, type RecordPlace, type StoredRecord } from "../model/record-copy.ts";
import { withoutTimer } from "../model/timer.ts";
import type { Clock } from "../platform/clock.ts";
import type { SteadyClock } from "../platform/steady-clock.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { Deletions } from "../storage/deletions.ts";
import type { DurableState } from "../storage/durable-state.ts";
import type { Diversion } from "./diversions.ts";
import { readImport } from "./import-row.ts";
import type { Move, Mover } from "./mover.ts";
import type { Offsets } from "./offsets.ts";
import type { QueueReader } from "./queue-reader.ts";
import { isAimed, type TimerWheel } from "./timer-wheel.ts";
import { PERM_READ, type Topics } from "./topics.ts";

/** Whose offsets in the schedule topic say what has been delivered. */
export const SCHEDULE_GROUP = `${SYSTEM_GROUP_PREFIX}SCHEDULE`;

const EVERYTHING = parseTagExpression("*");
const BATCH = 256;
/** The wall clock may jump forward while a timer stands, or while the machine sleeps: it is looked at this often, ms. */
const LONGEST_WAIT = 60_000;
/** How soon a delivery that was refused is tried again, ms. */
const REFUSED_DELAY = 1000;

export interface ScheduleServices {
  settings: BrokerSettings;
  state: DurableState;
  deletions: Deletions;
  topics: Topics;
  queues: ConsumeQueueStore;
  offsets: Offsets;
  reader: QueueReader;
  mover: Mover;
  /** Messages with a time of their own: delivered along with the levels, in one order. */
  wheel: TimerWheel;
  clock: SteadyClock;
  wall: Clock;
  timers: Timers;
}

/** A message that waits, and when its time comes. */
interface Waiting {
  source: StoredRecord;
  due: number;
}

/** How far a level has come. */
interface Progress {
  /** The first offset that was not delivered, and when its time comes, as far as that is known. */
  offset: number;
  due: number | null;
  /** How far its store times lie in the future, since the wall clock was set back between two brokers; null = they do not. */
  ahead: number | null;
}

/** What is to be delivered first of a level, or of the wheel. */
interface Head {
  waiting: Waiting[];
  /** There is nothing behind. */
  isAll: boolean;
  /** When the first of it is due; Infinity = there is none. */
  due: number;
}

/**
 * Delivers messages some time after they were stored, by RocketMQ's delay levels: each level is a queue of the schedule
 * topic, in which what came first is due first. What is delivered is moved to where it was meant to go.
 */
export class ScheduleService implements Diversion {
  readonly #services: ScheduleServices;
  /** By queue. */
  readonly #next = new Map<number, Progress>();
  /** Delays of the levels, ms. */
  readonly delayLevels: readonly number[];
  #cancel: Cancel | null = null;
  #isRunning = false;
  #isWanted = false;
  #isStopped = false;

  constructor(services: ScheduleServices) {
    this.#services = services;
    this.delayLevels = parseDelayLevels(services.settings.messageDelayLevel);
  }

  /** A message with a delay level waits in that level's queue; the topic of the levels is made on the way. */
  divert({ topic, queueId, properties, ...rest }: RecordPlace): RecordPlace | null {
    const level = levelOf(properties);
    // Above all others, as in RocketMQ: with a level, no other time counts.
    if (level <= 0) return null;
    const count = this.delayLevels.length;
    const delayLevel = Math.min(level, count);
    this.#services.topics.ensure({ topic: SCHEDULE_TOPIC, readQueueNums: count, writeQueueNums: count, perm: PERM_READ });
    return {
      ...rest,
      topic: SCHEDULE_TOPIC,
      queueId: delayLevel - 1,
      properties: { ...withoutTimer(properties), [PROPERTY.DELAY]: `${delayLevel}`, [PROPERTY.REAL_TOPIC]: topic, [PROPERTY.REAL_QID]: `${queueId}` },
    };
  }

  /** Call when the log is recovered, or another one was imported. */
  start(): void {
    this.#wake();
  }

  /** New messages are visible in these queues. */
  published(queues: Iterable<ConsumeQueue>): void {
    for (const { topic } of queues) if (topic === SCHEDULE_TOPIC || topic === WHEEL_TOPIC) return this.#wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /**
   * The log is to be cut at `position`: what waits before it goes to the end of the log, as RocketMQ rolls its timers. False
   * = it cannot now, or it is more than half of the `bytes` that the cut would free, so that making room would only go
   * round and round.
   */
  makeWay(position: number, bytes: number): Promise<boolean> {
    const { wheel, mover } = this.#services;
    return wheel.exclusively(async () => {
      const timers = await wheel.before(position);
      const levels = await this.#levelsBefore(position, bytes / 2);
      const waiting = levels.reduce((sum, { source }) => sum + source.bytes.byteLength, timers.bytes);
      if (waiting > bytes / 2) return false;
      // In the wheel, a level's message keeps its time.
      for (let at = 0; at < levels.length; at += BATCH) {
        const some = levels.slice(at, at + BATCH);
        await mover.moveAll(this.#notVoid(some).map(({ source, due }) => {
          const { finish, target } = this.#delivery(source);
          return { finish, source, target: wheel.waiting(target, due) };
        }));
        for (const { source: { queueId } } of some) this.#next.delete(queueId);
      }
      await wheel.roll(timers.offsets);
      return true;
    });
  }

  /** Of each level what stands before `position` of the log; no more than a little above `maxBytes`. */
  async #levelsBefore(position: number, maxBytes: number): Promise<Waiting[]> {
    const { reader } = this.#services;
    const found: Waiting[] = [];
    let bytes = 0;
    for (const queue of this.#open()) {
      const end = await queue.offsetAt(position);
      for (let offset = Math.max(this.#next.get(queue.queueId)!.offset, queue.minOffset); offset < end && bytes <= maxBytes; ) {
        const { records, nextOffset } = await reader.read(queue, offset, EVERYTHING, Math.min(BATCH, end - offset), FETCH_TARGET_BYTES);
        const sources = readAllStored(records).filter((source) => source.queueOffset < end && isAimed(source));
        found.push(...sources.map((source) => ({ source, due: source.storeTimestamp + this.delayOf(queue) })));
        bytes += records.byteLength;
        offset = nextOffset;
      }
    }
    return found;
  }

  /** How long what is in a level's queue waits. */
  delayOf({ queueId }: ConsumeQueue): number {
    return this.delayLevels[Math.min(queueId, this.delayLevels.length - 1)]!;
  }

  #wake(): void {
    // Of what is half imported nobody knows yet what has been delivered.
    if (readImport(this.#services.state)?.isDone === false) return;
    this.#isWanted = true;
    if (!this.#isRunning && !this.#isStopped) void this.#run();
  }

  /** Nothing waits: no timer stands. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    this.#cancel?.();
    let wait = 0;
    while ((this.#isWanted || wait <= 0) && !this.#isStopped) {
      this.#isWanted = false;
      wait = await this.#services.wheel.exclusively(() => this.#round()).catch(() => REFUSED_DELAY);
    }
    this.#isRunning = false;
    if (wait < Number.POSITIVE_INFINITY && !this.#isStopped) this.#cancel = this.#services.timers.after(Math.min(wait, LONGEST_WAIT), () => this.#wake());
  }

  /** Delivers what is due; returns how long until there is more. */
  async #round(): Promise<number> {
    try {
      return await this.#deliver();
    } finally {
      this.#services.wheel.settle();
    }
  }

  async #deliver(): Promise<number> {
    const { clock, mover } = this.#services;
    const heads = await Promise.all(this.#open().map((queue) => this.#read(queue)));
    heads.push(await this.#takeTimers());
    const now = clock.now();
    // A level of which not all was read may have more for the time of its last: what is later waits for the next round.
    const horizon = Math.min(now, ...heads.map(({ isAll, waiting }) => (isAll ? now : (waiting.at(-1)?.due ?? 0))));
    const due = heads.flatMap(({ waiting }) => waiting).filter((message) => message.due <= horizon).sort((a, b) => a.due - b.due);
    if (due.length === 0) return Math.min(...heads.map((head) => head.due)) - now;
    await mover.moveAll(this.#notVoid(due).map(({ source }) => this.#delivery(source)));
    for (const { source: { topic, queueId, queueOffset } } of due) if (topic === SCHEDULE_TOPIC) this.#next.set(queueId, { ...this.#next.get(queueId)!, offset: queueOffset + 1, due: null });
    return 0;
  }

  /** A topic may have been deleted since its messages were read: they must not make another of its name. */
  #notVoid(waiting: Waiting[]): Waiting[] {
    const { deletions } = this.#services;
    return deletions.haveTopics ? waiting.filter(({ source }) => !deletions.voids(source)) : waiting;
  }

  /** Queues with something in them, also of levels that the present table does not have any more. */
  #open(): ConsumeQueue[] {
    const { queues, offsets } = this.#services;
    const open: ConsumeQueue[] = [];
    for (let queueId = 0; queueId < MAX_DELAY_LEVELS; queueId++) {
      const queue = queues.find(SCHEDULE_TOPIC, queueId);
      if (queue === undefined) continue;
      const next = this.#next.get(queueId) ?? { offset: offsets.get(SCHEDULE_GROUP, SCHEDULE_TOPIC, queueId) ?? 0, due: null, ahead: null };
      this.#next.set(queueId, next);
      if (next.offset < queue.maxOffset) open.push(queue);
    }
    return open;
  }

  async #read(queue: ConsumeQueue): Promise<Head> {
    const { reader, clock } = this.#services;
    const next = this.#next.get(queue.queueId)!;
    const now = clock.now();
    if (next.due !== null && next.due > now) return { waiting: [], isAll: true, due: next.due };
    const { records, nextOffset } = await reader.read(queue, Math.max(next.offset, queue.minOffset), EVERYTHING, BATCH, FETCH_TARGET_BYTES);
    const delay = this.delayOf(queue);
    const waiting = readAllStored(records).filter(isAimed).map((source) => ({ source, due: storedAt(source, next, now) + delay }));
    // Only from its beginning on can a level be delivered: nothing is due before what stands before it.
    // What it was remembered for may have been deleted: then what is first now has a time of its own.
    if (waiting[0]?.source.queueOffset === next.offset && next.due !== null) waiting[0].due = next.due;
    for (let at = 1; at < waiting.length; at++) waiting[at]!.due = Math.max(waiting[at]!.due, waiting[at - 1]!.due);
    const isAll = nextOffset >= queue.maxOffset;
    const first = waiting[0];
    // What cannot be read, or was deleted, is passed.
    this.#next.set(queue.queueId, { ...next, offset: first?.source.queueOffset ?? nextOffset, due: first?.due ?? null });
    return { waiting, isAll, due: first?.due ?? (isAll ? Number.POSITIVE_INFINITY : 0) };
  }

  async #takeTimers(): Promise<Head> {
    const { wheel, clock, wall } = this.#services;
    const { waiting, isAll } = await wheel.take();
    // On the clock of the levels, which is never behind the other.
    const ahead = clock.now() - wall.now();
    for (const timer of waiting) timer.due += ahead;
    return { waiting, isAll, due: waiting[0]?.due ?? wheel.next + ahead };
  }

  #delivery(source: StoredRecord): Move {
    const { [PROPERTY.DELAY]: _level, [PROPERTY.REAL_TOPIC]: topic = "", [PROPERTY.REAL_QID]: queueId = "", ...properties } = withoutTimer(source.properties);
    const { readQueueNums } = this.#services.topics.ensure({ topic });
    return {
      finish: { group: source.topic === WHEEL_TOPIC ? TIMER_GROUP : SCHEDULE_GROUP, topic: source.topic, queueId: source.queueId, queueOffset: source.queueOffset },
      source,
      target: { topic, queueId: Number(queueId) % readQueueNums, reconsumeTimes: source.reconsumeTimes, properties },
    };
  }
}

/** A store time, on today's clock: what is said to come from the future waits from now on, and what came after it as long after it. */
function storedAt({ storeTimestamp }: StoredRecord, level: Progress, now: number): number {
  if (storeTimestamp <= now) return storeTimestamp;
  level.ahead ??= storeTimestamp - now;
  return Math.min(now, storeTimestamp - level.ahead);
}

/** 0 = none. */
function levelOf({ [PROPERTY.DELAY]: level = "0" }: Record<string, string>): number {
  if (/^-?\d{1,10}$/.test(level)) return Number(level);
  throw new MQError("MESSAGE_ILLEGAL", `The delay level "${level.slice(0, 40)}" is no number.`, { field: "message.delayTimeLevel" });
}

