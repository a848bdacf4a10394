/** Rows of the log store, plainly: the half of the TypeScript indexer that assembly/seal.ts is held to. */
import { CHUNK_ENDS, CHUNK_HEADER_BYTES, CHUNK_MAGIC, CHUNK_STARTS, CHUNK_VERSION } from "./indexer.ts";
import type { OpenedChunk, SealedChunk } from "./indexer.ts";
import { crc32 } from "../model/crc32.ts";
import { BLOCK_MAX_BYTES, CHUNK_MAX_BYTES } from "../model/limits.ts";
import { readInt64, writeInt64 } from "../model/record.ts";

const MAX_PAYLOAD = CHUNK_MAX_BYTES - CHUNK_HEADER_BYTES;
const MAX_BLOCK_PAYLOAD = BLOCK_MAX_BYTES - CHUNK_HEADER_BYTES;
const VERSION_AT = 4;
const FLAGS_AT = 6;
const EPOCH_AT = 8;
const POSITION_AT = 16;
const LENGTH_AT = 24;
const CRC_AT = 28;

/** One row of the payloads of several, which hold whole records and stand end to end. */
export function makeBlock(payloads: Uint8Array[], epoch: number, position: number): SealedChunk {
  return makeChunk(payloads, CHUNK_STARTS | CHUNK_ENDS, epoch, position);
}

function makeChunk(payload: Uint8Array[], flags: number, epoch: number, position: number): SealedChunk {
  const length = payload.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(CHUNK_HEADER_BYTES + length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, CHUNK_MAGIC);
  view.setUint16(VERSION_AT, CHUNK_VERSION);
  view.setUint16(FLAGS_AT, flags);
  writeInt64(view, EPOCH_AT, epoch);
  writeInt64(view, POSITION_AT, position);
  view.setUint32(LENGTH_AT, length);
  let at = CHUNK_HEADER_BYTES;
  for (const part of payload) {
    bytes.set(part, at);
    at += part.length;
  }
  view.setUint32(CRC_AT, chunkCrc(bytes));
  return { position, bytes };
}

function chunkCrc(row: Uint8Array): number {
  return crc32(row.subarray(CHUNK_HEADER_BYTES), crc32(row.subarray(0, CRC_AT)));
}

/** What is left of a commit goes into blocks as long as it fills them. */
function limitOf(left: number): number {
  return left >= MAX_BLOCK_PAYLOAD ? MAX_BLOCK_PAYLOAD : MAX_PAYLOAD;
}

/** Cuts whole records, the first of which stands at `position`. A record that fits no row shares none. */
export function cutChunks(records: Uint8Array[], epoch: number, position: number): SealedChunk[] {
  const chunks: SealedChunk[] = [];
  let left = records.reduce((sum, record) => sum + record.length, 0);
  const cut = (parts: Uint8Array[], bytes: number, flags: number): void => {
    chunks.push(makeChunk(parts, flags, epoch, position));
    position += bytes;
    left -= bytes;
  };

  for (let next = 0; next < records.length; ) {
    const limit = limitOf(left);
    let end = next;
    let bytes = 0;
    for (; end < records.length && bytes + records[end]!.length <= limit; end++) bytes += records[end]!.length;
    if (end > next) {
      cut(records.slice(next, end), bytes, CHUNK_STARTS | CHUNK_ENDS);
      next = end;
      continue;
    }
    const record = records[next++]!;
    for (let from = 0; from < record.length; ) {
      const piece = record.subarray(from, from + limitOf(left));
      const flags = (from === 0 ? CHUNK_STARTS : 0) | (from + piece.length === record.length ? CHUNK_ENDS : 0);
      cut([piece], piece.length, flags);
      from += piece.length;
    }
  }
  return chunks;
}

/**
 * In this order, shared with assembly/seal.ts:
 *
 *  1. shorter than a header                                          TRUNCATED
 *  2. magic                                                          BAD_MAGIC
 *  3. version                                                        BAD_VERSION
 *  4. payload empty or longer than a block may be                    BAD_LENGTH
 *  5. row shorter than header + payload                              TRUNCATED
 *  6. row longer than that                                           BAD_LENGTH
 *  7. CRC                                                            BAD_CRC
 *  8. a whole chunk, but of another position                         BAD_POSITION
 */
export function readChunk(row: Uint8Array, position: number): OpenedChunk {
  if (row.length < CHUNK_HEADER_BYTES) return { ok: false, reason: "TRUNCATED" };
  const view = new DataView(row.buffer, row.byteOffset, row.length);
  if (view.getUint32(0) !== CHUNK_MAGIC) return { ok: false, reason: "BAD_MAGIC" };
  if (view.getUint16(VERSION_AT) !== CHUNK_VERSION) return { ok: false, reason: "BAD_VERSION" };
  const length = view.getUint32(LENGTH_AT);
  if (length === 0 || length > MAX_BLOCK_PAYLOAD) return { ok: false, reason: "BAD_LENGTH" };
  if (row.length < CHUNK_HEADER_BYTES + length) return { ok: false, reason: "TRUNCATED" };
  if (row.length > CHUNK_HEADER_BYTES + length) return { ok: false, reason: "BAD_LENGTH" };
  if (view.getUint32(CRC_AT) !== chunkCrc(row)) return { ok: false, reason: "BAD_CRC" };
  if (readInt64(view, POSITION_AT) !== position) return { ok: false, reason: "BAD_POSITION" };
  const flags = view.getUint16(FLAGS_AT);
  return {
    ok: true,
    epoch: readInt64(view, EPOCH_AT),
    position,
    starts: (flags & CHUNK_STARTS) !== 0,
    ends: (flags & CHUNK_ENDS) !== 0,
    payload: row.subarray(CHUNK_HEADER_BYTES),
  };
}
