import type { TagExpression } from "../filter/tag-expression.ts";
import { MAX_SCANNED_ENTRIES } from "../model/limits.ts";
import { concat } from "../platform/bytes.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import { ENTRY_BYTES } from "../storage/consume-queue.ts";
import type { Indexer } from "../storage/indexer.ts";

export interface QueueRead {
  /** Whole records, in the order of their offsets. */
  records: Uint8Array;
  /** Behind the last entry that was looked at: where to go on, past what the filter left out. */
  nextOffset: number;
}

/** Reads a queue through a tag filter: first the entries in the consume queue, then only the records that match. */
export class QueueReader {
  readonly #log: CommitLog;
  readonly #indexer: Indexer;

  constructor(log: CommitLog, indexer: Indexer) {
    this.#log = log;
    this.#indexer = indexer;
  }

  /** At most `max` records in about `maxBytes`; looks at a bounded number of entries, so it may find none and still get ahead. */
  async read(queue: ConsumeQueue, offset: number, filter: TagExpression, max: number, maxBytes: number): Promise<QueueRead> {
    const parts: Uint8Array[] = [];
    let next = queue.behindGap(offset);
    let count = 0;
    let bytes = 0;
    for (let looked = 0; next < queue.maxOffset && count < max && bytes < maxBytes && looked < MAX_SCANNED_ENTRIES; next = queue.behindGap(next)) {
      const entries = await queue.read(next, MAX_SCANNED_ENTRIES);
      if (entries.byteLength === 0) break;
      const { found, scanned } = this.#indexer.match(entries, filter.codes, max - count);
      const { records, taken } = await this.#log.read(queue, next, entries, found, maxBytes - bytes);
      if (records.byteLength > 0) parts.push(records);
      bytes += records.byteLength;
      count += taken;
      if (taken < found.length) {
        next += found[taken]!;
        break;
      }
      const passed = Math.min(scanned, entries.byteLength / ENTRY_BYTES);
      next += passed;
      looked += passed;
    }
    return { records: parts.length === 1 ? parts[0]! : concat(parts, bytes), nextOffset: next };
  }
}
