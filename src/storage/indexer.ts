/**
 * The indexer: everything that walks record bytes. One seam, two implementations: AssemblyScript in WebAssembly
 * (assembly/), and a TypeScript twin that is the test oracle and the fallback where a page's CSP forbids WASM.
 *
 * It works on an *open log*: client frames are checked and appended, then sealed into chunks for the store.
 *
 *     check(frame) -> table      the records at the tail of the open log, not yet part of it
 *     append(stamps)             the kept ones get offset, position, time and host in place and become part of it
 *     seal(epoch) -> chunks      everything appended since the last seal, cut into rows for the store
 *
 * All integers in records, entries and chunks are big-endian.
 */

import type { KeySegment } from "./key-segment.ts";
import type { TimerIndex } from "./timer-index.ts";

/** Why bytes are not a record. Values, not exceptions: damaged data is expected. */
export const RECORD_FAULTS = [
  /** fewer bytes left than a record's fixed part, or than its totalSize */
  "TRUNCATED",
  "BAD_MAGIC",
  /** totalSize, bodyLength, topicLength and propertiesLength do not agree, or exceed the limits, or the topic is empty */
  "BAD_LENGTH",
  "BAD_CRC",
  /** the record's physicalOffset is not where it stands */
  "BAD_POSITION",
  /** topic or properties are not valid UTF-8 */
  "BAD_TEXT",
  /** queueId or queueOffset is negative or beyond 2^53 */
  "BAD_NUMBER",
] as const;
export type RecordFault = (typeof RECORD_FAULTS)[number];

/** The records of some bytes, one row each, up to the first fault. */
export interface RecordTable {
  count: number;
  /** Distinct topics, by first appearance; `topicIndex` points here. */
  topics: string[];
  topicIndex: Int32Array;
  queueId: Int32Array;
  /** Byte offset of each record in the scanned bytes. */
  at: Int32Array;
  size: Int32Array;
  queueOffset: Float64Array;
  storeTimestamp: Float64Array;
  /**
   * Consume-queue entries, 20 bytes each: position 8, size 4, tag code 8 (Java hash of the TAGS property, widened; 0 = no tag;
   * of a timer, a record in the topic WHEEL_TOPIC, when it is due, ms since 1970).
   * The position is base + at.
   */
  entries: Uint8Array;
  /** The first bytes that are no record, and why; null when the bytes end with a whole record. */
  fault: { at: number; reason: RecordFault } | null;
}

export interface ScannedTable extends RecordTable {
  /** The records' keys, as rows for the key index (see key-segment.ts), in the order of the records. */
  keys: Uint8Array;
}

/** What `append` writes into the records that `check` found. */
export interface AppendStamps {
  /** One byte a record: 0 leaves it out, the rest closes up. Omitted = keep all. */
  keep?: Uint8Array;
  /** Per record (left-out ones included, their values unused). */
  queueOffset: Float64Array;
  storeTimestamp: number;
  /** IPv4 address and port of the broker, written as storeHost. */
  storeIp: number;
  storePort: number;
}

/** The kept records, in order. */
export interface Appended {
  count: number;
  position: Float64Array;
  entries: Uint8Array;
  /** As of ScannedTable. They are for the key index when the records are durable. */
  keys: Uint8Array;
  bytes: number;
}

/** A row of the log store: header + payload, and the position of its first payload byte (the row's key). */
export interface SealedChunk {
  position: number;
  bytes: Uint8Array;
}

/**
 * Chunk header, 32 bytes:
 *
 * | at | bytes | field |
 * |---:|------:|-------|
 * |  0 |     4 | magic "TMQB" (0x544d5142) |
 * |  4 |     2 | format version, 1 |
 * |  6 |     2 | flags: 1 = starts a record, 2 = ends a record (a record longer than a chunk spans several) |
 * |  8 |     8 | epoch of the writer |
 * | 16 |     8 | position of the first payload byte |
 * | 24 |     4 | payload bytes |
 * | 28 |     4 | CRC-32 over bytes 0..27 and the payload |
 */
export const CHUNK_MAGIC = 0x544d5142;
export const CHUNK_VERSION = 1;
export const CHUNK_HEADER_BYTES = 32;
export const CHUNK_STARTS = 1;
export const CHUNK_ENDS = 2;

export const CHUNK_FAULTS = ["TRUNCATED", "BAD_MAGIC", "BAD_VERSION", "BAD_LENGTH", "BAD_CRC", "BAD_POSITION"] as const;
type ChunkFault = (typeof CHUNK_FAULTS)[number];

export type OpenedChunk =
  | { ok: true; epoch: number; position: number; starts: boolean; ends: boolean; payload: Uint8Array }
  | { ok: false; reason: ChunkFault };

export interface Indexer {
  readonly kind: "wasm" | "typescript";
  /** The open segment of the key index. */
  readonly segment: KeySegment;
  /** Timers by their due time. */
  readonly timers: TimerIndex;

  /** CRC-32 (IEEE 802.3, as java.util.zip.CRC32), unsigned. `seed` continues an earlier result. */
  crc32(bytes: Uint8Array, seed?: number): number;

  /** Position that the next appended record gets; `open` sets it. */
  readonly position: number;
  /** Bytes appended and not yet sealed. */
  readonly openBytes: number;

  /** Starts an empty open log at a position. */
  open(position: number): void;

  /**
   * Checks the records of a client's frame (no self-position check: they are not stamped yet) and keeps a copy for `append`.
   * A second `check` forgets the first. Positions in `entries` are those the records would get if all were kept.
   */
  check(records: Uint8Array): RecordTable;

  /** Makes the records of the last `check` (up to its fault, if any) part of the open log. Callable once a check. */
  append(stamps: AppendStamps): Appended;

  /**
   * Cuts everything appended so far into rows on record boundaries: of BLOCK_MAX_BYTES (header included) as long as there is
   * that much left, then of CHUNK_MAX_BYTES. A longer record spans several rows. The open log is empty afterwards and goes on at the same position.
   */
  seal(epoch: number): SealedChunk[];

  /** Checks a row of the log store: header, CRC, and that it stands at its own position. Shares the row's memory. */
  openChunk(row: Uint8Array, position: number): OpenedChunk;

  /** The records of stored bytes whose first byte stands at `position`; every record must know its own position. */
  scan(bytes: Uint8Array, position: number): ScannedTable;

  /**
   * Which of the 20-byte entries carry one of the tag codes; null = every entry. Entries of size 0 are holes and never match.
   * Returns the entry numbers, at most `max`, and how many entries were looked at to find them.
   */
  match(entries: Uint8Array, codes: Int32Array | null, max: number): { found: Int32Array; scanned: number };
}
