import { concat } from "../platform/bytes.ts";
import type { DamagedRange } from "../protocol/api.ts";
import type { LogRow } from "./block-store.ts";
import type { Indexer, ScannedTable } from "./indexer.ts";
import { CHUNK_HEADER_BYTES } from "./indexer.ts";

export type Scanned =
  | { kind: "records"; position: number; bytes: Uint8Array; table: ScannedTable }
  /** Bytes that are not what was written: missing, torn or changed. */
  | { kind: "damage"; range: DamagedRange };

/** A record that began in an earlier row and goes on in the next. */
interface Span {
  position: number;
  end: number;
  parts: Uint8Array[];
}

/**
 * Walks log rows in order and tells what they hold. Damage is a value: the walk goes on behind it, because a
 * row in the middle that cannot be read says nothing against the rows after it.
 * `position` is where the first row should begin.
 */
export async function* scanLog(rows: AsyncIterable<LogRow>, indexer: Indexer, position: number): AsyncGenerator<Scanned> {
  let expected = position;
  /** Where a row ends of which it is certain. */
  let covered = 0;
  let span: Span | null = null;

  for await (const row of rows) {
    const end = row.position + Math.max(0, row.bytes.byteLength - CHUNK_HEADER_BYTES);
    if (row.position < covered) {
      // It has become part of the one before, and should have gone: what it holds was told already.
      yield damage(row.position, Math.min(end, covered), "OVERLAP");
      continue;
    }
    if (row.position > expected) yield damage(expected, row.position, "MISSING");
    expected = end;
    const chunk = indexer.openChunk(row.bytes, row.position);
    if (chunk.ok) covered = end;
    if (!chunk.ok) {
      if (span !== null) yield torn(span);
      span = null;
      yield damage(row.position, end, chunk.reason);
      continue;
    }
    if (chunk.starts) {
      if (span !== null) yield torn(span);
      span = { position: row.position, end, parts: [chunk.payload] };
    } else if (span !== null && span.end === row.position) {
      span.parts.push(chunk.payload);
      span.end = end;
    } else {
      // The rest of a record whose beginning was reported already.
      yield damage(row.position, end, "TORN_RECORD");
      continue;
    }
    if (chunk.ends) {
      yield* scanSpan(span, indexer);
      span = null;
    }
  }
  if (span !== null) yield torn(span);
}

function* scanSpan({ position, end, parts }: Span, indexer: Indexer): Generator<Scanned> {
  const bytes = parts.length === 1 ? parts[0]! : concat(parts, end - position);
  const table = indexer.scan(bytes, position);
  if (table.count > 0) yield { kind: "records", position, bytes, table };
  if (table.fault !== null) yield damage(position + table.fault.at, end, table.fault.reason);
}

function torn(span: Span): Scanned {
  return damage(span.position, span.end, "TORN_RECORD");
}

function damage(position: number, end: number, reason: string): Scanned {
  return { kind: "damage", range: { position, bytes: end - position, reason } };
}
