import { LOG_BATCH_BYTES } from "../model/limits.ts";
import { concat } from "../platform/bytes.ts";
import type { DamagedRange, ExportReply, ExportRequest, LogExtent } from "../protocol/api.ts";
import type { LogRow } from "../storage/block-store.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { DurableState } from "../storage/durable-state.ts";
import type { Indexer } from "../storage/indexer.ts";
import { scanLog } from "../storage/log-scanner.ts";
import { LOSS_KEY, readLoss } from "../storage/loss.ts";
import type { Offsets } from "./offsets.ts";
import type { Topics } from "./topics.ts";

/**
 * Hands the log out, a bounded part at a time. Nothing is kept between two calls: a position says where to go on, so
 * the next broker can answer as well.
 */
export class LogExport {
  readonly #services: { log: CommitLog; indexer: Indexer; state: DurableState; topics: Topics; offsets: Offsets };

  constructor(services: { log: CommitLog; indexer: Indexer; state: DurableState; topics: Topics; offsets: Offsets }) {
    this.#services = services;
  }

  /** What is durable now: where it stands in the log, and what belongs to it. */
  async begin(): Promise<LogExtent> {
    const { log, topics, offsets } = this.#services;
    let first = Infinity;
    for await (const row of log.rows(0)) {
      first = row.position;
      break;
    }
    // Nothing is awaited from here on: no group has consumed what is not exported.
    const end = log.durablePosition;
    return { position: Math.min(first, end), end, topics: topics.list(), offsets: offsets.all() };
  }

  /** Whole records from `position` on, as they are stored; rows that cannot be read are named and left out. */
  async read({ position, end }: ExportRequest): Promise<ExportReply> {
    const { log, indexer } = this.#services;
    const until = Math.min(end, log.durablePosition);
    const parts: Uint8Array[] = [];
    const damaged: DamagedRange[] = [];
    const leave = (range: DamagedRange): void => {
      const from = Math.max(range.position, position);
      const rest = { ...range, position: from, bytes: range.position + range.bytes - from };
      if (rest.bytes > 0 && !this.#isGone(rest)) damaged.push(rest);
    };
    let [bytes, count, next, isTorn] = [0, 0, position, false];
    // Rows are merged in the background: what was a border at the last call may be inside a row at this one.
    for await (const scanned of scanLog(rowsBefore(log.rowsHolding(position), until), indexer, position)) {
      if (scanned.kind === "damage") {
        next = scanned.range.position + scanned.range.bytes;
        isTorn = false;
        leave(scanned.range);
      } else {
        const { table } = scanned;
        const taken = table.fault?.at ?? scanned.bytes.byteLength;
        const first = table.at.findIndex((at) => scanned.position + at >= position);
        if (first >= 0) {
          parts.push(scanned.bytes.subarray(table.at[first], taken));
          bytes += taken - table.at[first]!;
          count += table.count - first;
        }
        next = scanned.position + taken;
        // What is wrong with the rest of the row comes next.
        isTorn = table.fault !== null;
      }
      if (bytes >= LOG_BATCH_BYTES && !isTorn) return { records: concat(parts, bytes), count, nextPosition: next, damaged };
    }
    // The rows have come to an end before the log has.
    next = Math.max(next, position);
    if (next < until) leave({ position: next, bytes: until - next, reason: "MISSING" });
    return { records: concat(parts, bytes), count, nextPosition: end, damaged };
  }

  /** What a loss has left out was never written, and what retention has taken since the export began is past its time: no damage. */
  #isGone({ position, bytes, reason }: DamagedRange): boolean {
    const { log, state } = this.#services;
    return reason === "MISSING" && (position + bytes === readLoss(state.get(LOSS_KEY))?.position || position + bytes <= log.minPosition);
  }
}

async function* rowsBefore(rows: AsyncIterable<LogRow>, end: number): AsyncGenerator<LogRow> {
  for await (const row of rows) {
    if (row.position >= end) return;
    yield row;
  }
}
