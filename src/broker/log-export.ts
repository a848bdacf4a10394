import { LOG_BATCH_BYTES } from "../model/limits.ts";
import { readStored } from "../model/record-copy.ts";
import { concat } from "../platform/bytes.ts";
import type { DamagedRange, ExportReply, ExportRequest, LogExtent } from "../protocol/api.ts";
import type { LogRow } from "../storage/block-store.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { Deletions } from "../storage/deletions.ts";
import type { DurableState } from "../storage/durable-state.ts";
import type { Indexer } from "../storage/indexer.ts";
import { type Scanned, scanLog } from "../storage/log-scanner.ts";
import { gapEnds, LOSS_KEY, readLoss } from "../storage/loss.ts";
import type { Offsets } from "./offsets.ts";
import type { Topics } from "./topics.ts";

/**
 * Hands the log out, a bounded part at a time. Nothing is kept between two calls: a position says where to go on, so
 * the next broker can answer as well.
 */
export class LogExport {
  readonly #services: { log: CommitLog; indexer: Indexer; state: DurableState; topics: Topics; offsets: Offsets; deletions: Deletions };

  constructor(services: { log: CommitLog; indexer: Indexer; state: DurableState; topics: Topics; offsets: Offsets; deletions: Deletions }) {
    this.#services = services;
  }

  /** What is durable now: where it stands in the log, and what belongs to it. */
  async begin(): Promise<LogExtent> {
    const { log, topics, offsets } = this.#services;
    let first = Infinity;
    // Rows before may have been left behind by whoever does not know that they were removed.
    for await (const row of log.rows(log.minPosition)) {
      first = row.position;
      break;
    }
    // Nothing is awaited from here on: no group has consumed what is not exported.
    const end = log.durablePosition;
    return { position: Math.min(first, end), end, topics: topics.list(), offsets: offsets.all() };
  }

  /** Whole records from `position` on, as they are stored; rows that cannot be read are named and left out. */
  async read({ position, end }: ExportRequest): Promise<ExportReply> {
    const { log, indexer, deletions } = this.#services;
    const until = Math.min(end, log.durablePosition);
    const parts: Uint8Array[] = [];
    const damaged: DamagedRange[] = [];
    let [bytes, count, next, isTorn] = [0, 0, position, false];
    for await (const scanned of scanLog(rowsBefore(log.rowsAt(Math.max(position, log.minPosition)), until), indexer, position)) {
      if (scanned.kind === "damage") {
        const behind = scanned.range.position + scanned.range.bytes;
        if (behind <= position) continue;
        next = behind;
        isTorn = false;
        if (!this.#isLoss(scanned.range)) damaged.push(scanned.range);
      } else {
        const { table } = scanned;
        const taken = table.fault?.at ?? scanned.bytes.byteLength;
        // Rows may have been merged since the last call: this one may begin with records that were given then.
        const from = Math.max(0, position - scanned.position);
        if (from >= taken) continue;
        const shown = this.#shown(scanned, from);
        parts.push(...shown);
        bytes += shown.reduce((sum, part) => sum + part.byteLength, 0);
        count += deletions.isEmpty ? table.at.reduce((sum, at) => sum + Number(at >= from), 0) : shown.length;
        next = scanned.position + taken;
        // What is wrong with the rest of the row comes next.
        isTorn = table.fault !== null;
      }
      if (bytes >= LOG_BATCH_BYTES && !isTorn) return { records: concat(parts, bytes), count, nextPosition: next, damaged };
    }
    // The rows have come to an end before the log has.
    const rest = { position: next, bytes: until - next, reason: "MISSING" };
    if (rest.bytes > 0 && !this.#isLoss(rest)) damaged.push(rest);
    return { records: concat(parts, bytes), count, nextPosition: end, damaged };
  }

  /** The records from byte `from` on, in one piece where nothing was ever deleted. What was, and what waits to be delivered there, stays behind. */
  #shown({ bytes, table }: Extract<Scanned, { kind: "records" }>, from: number): Uint8Array[] {
    const { deletions } = this.#services;
    if (deletions.isEmpty) return [bytes.subarray(from, table.fault?.at ?? bytes.byteLength)];
    return Array.from(table.at, (at, index) => ({ at, index })).flatMap(({ at, index }) => {
      if (at < from || deletions.hides(table.topics[table.topicIndex[index]!]!, table.queueId[index]!, table.queueOffset[index]!)) return [];
      const record = bytes.subarray(at, at + table.size[index]!);
      return deletions.haveTopics && deletions.voids(readStored(record)) ? [] : [record];
    });
  }

  /** What a loss has left out was never written, and what is too old was deleted: recovery does not call it damage either. */
  #isLoss({ position, bytes, reason }: DamagedRange): boolean {
    if (position + bytes <= this.#services.log.minPosition) return true;
    return reason === "MISSING" && gapEnds(readLoss(this.#services.state.get(LOSS_KEY))).includes(position + bytes);
  }
}

async function* rowsBefore(rows: AsyncIterable<LogRow>, end: number): AsyncGenerator<LogRow> {
  for await (const row of rows) {
    if (row.position >= end) return;
    yield row;
  }
}
