import { MAX_FILTER_TIME, MAX_FILTERED_BYTES, MAX_FILTERED_RECORDS, MAX_SCANNED_ENTRIES } from "../model/limits.ts";
import { tagHash } from "../model/hash.ts";
import { DLQ_TOPIC_PREFIX } from "../model/names.ts";
import { isCopyTopic } from "../model/system-names.ts";
import { PROPERTY } from "../model/properties.ts";
import { readInt64, RECORD } from "../model/record.ts";
import { readStored } from "../model/record-copy.ts";
import { concat } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { type CommitLog, prefixWithin } from "../storage/commit-log.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import { ENTRY_BYTES } from "../storage/consume-queue.ts";
import type { Deletions } from "../storage/deletions.ts";
import type { Indexer } from "../storage/indexer.ts";
import type { Subscription } from "./subscription.ts";

/** What is to be read of a queue. */
export type QueueFilter = Pick<Subscription, "codes" | "matches" | "isModule">;
export const EVERYTHING: QueueFilter = { codes: null };

export interface QueueRead {
  /** Whole records, in the order of their offsets. */
  records: Uint8Array;
  /** How many they are. */
  count: number;
  /** Behind the last entry that was looked at: where to go on, past what the filter left out. */
  nextOffset: number;
  /** It took as long as it may, and there was more to look at: others may want to run now. */
  isCut?: boolean;
}

/** Records that an expression sees at each read, however slow the machine is: a short queue is read at once. A module may take too long for that. */
const LEAST_RECORDS = 32;

/**
 * Reads a queue through a filter: first the entries in the consume queue, by tag code; then the records that match. A filter
 * that has to look into records sees them here, one after the other.
 */
export class QueueReader {
  readonly #log: CommitLog;
  readonly #indexer: Indexer;
  readonly #clock: Clock;
  readonly #deletions: Deletions;

  constructor({ log, indexer, clock, deletions }: { log: CommitLog; indexer: Indexer; clock: Clock; deletions: Deletions }) {
    this.#log = log;
    this.#deletions = deletions;
    this.#indexer = indexer;
    this.#clock = clock;
  }

  /** At most `max` records in about `maxBytes`; looks at a bounded number of entries, so it may find none and still get ahead. */
  async read(queue: ConsumeQueue, offset: number, asked: QueueFilter, max: number, maxBytes: number): Promise<QueueRead> {
    const filter = this.#deletions.haveTopics && holdsCopies(queue.topic) ? this.#withoutVoid(asked) : asked;
    if (filter.matches !== undefined) return this.#readThrough(queue, offset, filter.matches, filter.isModule ? 1 : LEAST_RECORDS, max, maxBytes);
    // First the entries, which say how long the records are: all of them are then copied once, into one piece.
    const parts: { first: number; entries: Uint8Array; chosen: Int32Array }[] = [];
    let next = queue.behindGap(offset);
    let count = 0;
    let bytes = 0;
    for (let looked = 0; next < queue.maxOffset && count < max && bytes < maxBytes && looked < MAX_SCANNED_ENTRIES; next = queue.behindGap(next)) {
      const entries = await queue.read(next, MAX_SCANNED_ENTRIES);
      if (entries.byteLength === 0) break;
      const { found, scanned } = this.#indexer.match(entries, filter.codes, max - count);
      const within = prefixWithin(entries, found, maxBytes - bytes);
      // One record at least is read, however long, but not one for every page.
      const taken = count > 0 && within.bytes > maxBytes - bytes ? 0 : within.taken;
      if (taken > 0) parts.push({ first: next, entries, chosen: found.subarray(0, taken) });
      bytes += taken === 0 ? 0 : within.bytes;
      count += taken;
      if (taken < found.length) {
        next += found[taken]!;
        break;
      }
      const passed = Math.min(scanned, entries.byteLength / ENTRY_BYTES);
      next += passed;
      looked += passed;
    }
    const records = new Uint8Array(bytes);
    let end = 0;
    for (const { first, entries, chosen } of parts) end = await this.#log.readInto(records, end, queue, first, entries, chosen);
    return { records: end === bytes ? records : records.slice(0, end), count, nextOffset: next };
  }

  /** Copies that wait for their time, or to be tried again, are not for anybody when what they are aimed at was deleted. */
  #withoutVoid({ codes, matches, ...rest }: QueueFilter): QueueFilter {
    return {
      ...rest,
      codes: null,
      matches: (record) => {
        const stored = readStored(record);
        if (codes !== null && !codes.includes(tagHash(stored.properties[PROPERTY.TAGS]))) return false;
        return !this.#deletions.voids(stored) && (matches === undefined || matches(record));
      },
    };
  }

  /** The same, looking at a bounded number of records, of bytes, and for a bounded time, but at `least` records. */
  async #readThrough(queue: ConsumeQueue, offset: number, matches: NonNullable<QueueFilter["matches"]>, least: number, max: number, maxBytes: number): Promise<QueueRead> {
    const until = this.#clock.monotonic() + MAX_FILTER_TIME;
    const parts: Uint8Array[] = [];
    let next = queue.behindGap(offset);
    let [count, bytes, looked, lookedBytes] = [0, 0, 0, 0];
    let isCut = false;
    let seen = 0;
    // A part is cut out of what was read: the rest of that is nobody's business.
    const reply = (nextOffset: number): QueueRead => ({ records: concat(parts, bytes), count, nextOffset, isCut });
    // Few at first: when all match, no more are read than are wanted.
    for (let step = max; next < queue.maxOffset && looked < MAX_FILTERED_RECORDS && lookedBytes < MAX_FILTERED_BYTES; step *= 4, next = queue.behindGap(next)) {
      const entries = await queue.read(next, Math.min(step, MAX_FILTERED_RECORDS));
      if (entries.byteLength === 0) break;
      const { found, scanned } = this.#indexer.match(entries, null, MAX_FILTERED_RECORDS);
      const { records, taken } = await this.#log.read(queue, next, entries, found, maxBytes);
      const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
      let end = 0;
      let stop = -1;
      for (let at = 0, size: number; at < records.byteLength && stop < 0; at += size) {
        size = view.getInt32(at + RECORD.totalSize);
        // Before it is moved to the front: a record that is longer than what was left out there ends up in its own place.
        const queueOffset = readInt64(view, at + RECORD.queueOffset);
        const isMatch = matches(records.subarray(at, at + size));
        if (isMatch === true) {
          if (end !== at) records.copyWithin(end, at, at + size);
          end += size;
          count++;
        }
        isCut = ++seen >= least && this.#clock.monotonic() >= until;
        if (isMatch === null) stop = queueOffset;
        else if (isCut || count === max || bytes + end >= maxBytes) stop = queueOffset + 1;
      }
      if (end > 0) parts.push(records.subarray(0, end));
      bytes += end;
      if (stop >= 0) return reply(stop);
      const passed = taken < found.length ? found[taken]! : Math.min(scanned, entries.byteLength / ENTRY_BYTES);
      next += passed;
      looked += passed;
      lookedBytes += records.byteLength;
    }
    isCut ||= next < queue.maxOffset;
    return reply(next);
  }
}

/** Dead letters stay: they are their group's, and wait for nothing. */
function holdsCopies(topic: string): boolean {
  return isCopyTopic(topic) && !topic.startsWith(DLQ_TOPIC_PREFIX);
}
