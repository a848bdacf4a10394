import { MAX_SCANNED_ENTRIES } from "../model/limits.ts";
import type { SearchOffsetRequest } from "../protocol/api.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import { ENTRY_BYTES, entryPosition, entrySize, type ConsumeQueue } from "../storage/consume-queue.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";

/** Entries looked at together: a hole seldom comes alone. */
const STEP = 64;

/**
 * Finds offsets by store time: a binary search over the consume queue, whose entries say where in the log a time stands.
 * A hole has no time: what counts is the next message behind it.
 */
export class TimeSearch {
  readonly #queues: ConsumeQueueStore;
  readonly #log: CommitLog;

  constructor(queues: ConsumeQueueStore, log: CommitLog) {
    this.#queues = queues;
    this.#log = log;
  }

  async search({ topic, queueId, timestamp, boundary }: SearchOffsetRequest): Promise<number> {
    const queue = this.#queues.find(topic, queueId);
    if (queue === undefined) return 0;
    const { minOffset, maxOffset } = queue;
    const isBehind = (time: number): boolean => (boundary === "LOWER" ? time >= timestamp : time > timestamp);
    let last = minOffset;
    let first = maxOffset;
    for (let low = minOffset, high = maxOffset; low < high; ) {
      const middle = Math.floor((low + high) / 2);
      const message = await this.#messageFrom(queue, middle, high);
      if (message !== null && !isBehind(message.time)) {
        last = message.offset;
        low = message.offset + 1;
      } else {
        first = message?.offset ?? first;
        high = middle;
      }
    }
    return boundary === "LOWER" ? first : last;
  }

  /** The first message at `offset` or behind it, before `end`; null when there is none. */
  async #messageFrom(queue: ConsumeQueue, offset: number, end: number): Promise<{ offset: number; time: number } | null> {
    let next = queue.behindGap(offset);
    for (let looked = 0; next < end; next = queue.behindGap(next)) {
      // Rather too early than past a message: whoever reads on from here finds it.
      if (looked >= MAX_SCANNED_ENTRIES) return { offset: next, time: Infinity };
      const entries = await queue.read(next, Math.min(STEP, end - next));
      if (entries.byteLength === 0) return null;
      const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
      for (let at = 0; at < entries.byteLength; at += ENTRY_BYTES, next++, looked++) {
        const time = entrySize(view, at) === 0 ? null : await this.#log.storeTime(entryPosition(view, at));
        if (time !== null) return { offset: next, time };
      }
    }
    return null;
  }
}
