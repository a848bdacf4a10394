import { FETCH_TARGET_BYTES, MAX_DELAY_LEVELS } from "../model/limits.ts";
import { SCHEDULE_TOPIC } from "../model/system-names.ts";
import { readAllStored, type StoredRecord } from "../model/record-copy.ts";
import type { PendingTimersReply, PendingTimersRequest, TimerPlace } from "../protocol/api.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { Offsets } from "./offsets.ts";
import { EVERYTHING, type QueueReader } from "./queue-reader.ts";
import { SCHEDULE_GROUP, type ScheduleService } from "./schedule.ts";
import type { TimeSearch } from "./time-search.ts";
import { isAimed, type TimerWheel } from "./timer-wheel.ts";
import { waitingMessage } from "./waiting-message.ts";

/** What one call looks at, of each level and of the wheel. */
const BATCH = 256;
/** Messages with a time of their own stand before those of the levels. */
const WHEEL = 0;

interface Waiting {
  source: StoredRecord;
  place: TimerPlace;
}

/** Those of a level, or of the wheel, that come first. */
interface Head {
  waiting: Waiting[];
  /** How far it was looked; null = to the end. */
  until: TimerPlace | null;
}

export interface PendingTimersServices {
  queues: ConsumeQueueStore;
  offsets: Offsets;
  reader: QueueReader;
  times: TimeSearch;
  wheel: TimerWheel;
  schedule: ScheduleService;
}

/** Shows an operator what waits for its time, by times of its own, by delay levels or to be tried again, as one list. */
export class PendingTimers {
  readonly #services: PendingTimersServices;

  constructor(services: PendingTimersServices) {
    this.#services = services;
  }

  /** In the order of their times. One call is bounded; `next` says where to go on. */
  async list({ topic, begin, end, after, max }: PendingTimersRequest): Promise<PendingTimersReply> {
    const from = after ?? { due: begin, level: -1, offset: -1 };
    const count = topic === null ? Math.min(max, BATCH) : BATCH;
    const heads = await Promise.all([this.#wheel(from, end, count), ...this.#levels().map((queue) => this.#level(queue, from, count))]);
    const [horizon] = heads.flatMap(({ until }) => until ?? []).sort(inOrder);
    const waiting = heads.flatMap((head) => head.waiting).filter(({ place }) => place.due <= end && (horizon === undefined || inOrder(place, horizon) <= 0));
    const wanted = waiting.sort((a, b) => inOrder(a.place, b.place)).map(({ source, place }) => ({ place, timer: timerOf(source, place) })).filter(({ timer }) => topic === null || timer.topic === topic);
    const shown = wanted.slice(0, max);
    const next = shown.length < wanted.length ? shown.at(-1)!.place : horizon;
    return { timers: shown.map(({ timer }) => timer), next: next === undefined || next.due > end ? null : next };
  }

  async #wheel({ due, level, offset }: TimerPlace, end: number, max: number): Promise<Head> {
    const begin = level < WHEEL ? 0 : level === WHEEL ? offset + 1 : Number.POSITIVE_INFINITY;
    const { waiting, until } = await this.#services.wheel.list({ due, offset: begin }, end, max);
    return { waiting: waiting.map((timer) => ({ source: timer.source, place: placeOf(timer.source, timer.due, WHEEL) })), until: until && { ...until, level: WHEEL } };
  }

  #levels(): ConsumeQueue[] {
    return Array.from({ length: MAX_DELAY_LEVELS }, (_, queueId) => this.#services.queues.find(SCHEDULE_TOPIC, queueId) ?? []).flat();
  }

  async #level(queue: ConsumeQueue, from: TimerPlace, max: number): Promise<Head> {
    const { offsets, reader, schedule } = this.#services;
    const level = queue.queueId + 1;
    const delay = schedule.delayOf(queue);
    const open = offsets.get(SCHEDULE_GROUP, SCHEDULE_TOPIC, queue.queueId) ?? 0;
    let offset = Math.max(open, queue.minOffset, level === from.level ? from.offset + 1 : await this.#storedFrom(queue, from.due - delay + (level < from.level ? 1 : 0)));
    let due = 0;
    const waiting: Waiting[] = [];
    while (waiting.length === 0 && offset < queue.maxOffset) {
      const { records, nextOffset } = await reader.read(queue, offset, EVERYTHING, max, FETCH_TARGET_BYTES);
      offset = nextOffset;
      for (const source of readAllStored(records).filter(isAimed)) {
        // In a level, nothing is due before what stands before it.
        due = Math.max(due, source.storeTimestamp + delay);
        waiting.push({ source, place: placeOf(source, due, level) });
      }
    }
    return { waiting, until: offset < queue.maxOffset ? { due, level, offset: offset - 1 } : null };
  }

  /** The first offset that was stored at a time or later. */
  #storedFrom({ topic, queueId }: ConsumeQueue, timestamp: number): Promise<number> | number {
    return timestamp <= 0 ? 0 : this.#services.times.search({ topic, queueId, timestamp, boundary: "LOWER" });
  }
}

function placeOf({ queueOffset }: StoredRecord, due: number, level: number): TimerPlace {
  return { due, level, offset: queueOffset };
}

function timerOf(source: StoredRecord, { due, level }: TimerPlace): PendingTimersReply["timers"][number] {
  return { ...waitingMessage(source), deliverTimestamp: due, ...(level > WHEEL && { delayTimeLevel: level }) };
}

function inOrder(a: TimerPlace, b: TimerPlace): number {
  return a.due - b.due || a.level - b.level || a.offset - b.offset;
}
