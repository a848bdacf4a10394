import { INDEX_PAGE_ENTRIES } from "../model/limits.ts";
import { readInt64, writeInt64 } from "../model/record.ts";
import type { IndexRange, IndexRow } from "./block-store.ts";
import { INDEX_ENTRY_BYTES } from "./key-segment.ts";

/**
 * How the key index lies in the store. Two kinds of rows, 40 bytes of header and then entries (see key-segment.ts):
 *
 *   "open", page                          the open segment's entries in the order of their arrival, 1024 a page
 *   "segment/BEGIN", 64 * range + part    a sealed segment's entries of one range of slots; BEGIN is where its part of the
 *                                         log begins. A range has about 1024; more only where one key has many.
 *
 * | at | bytes | field |
 * |---:|------:|-------|
 * |  0 |     4 | magic "TMQI" (0x544d5149) |
 * |  4 |     2 | format version, 1 |
 * |  6 |     2 | 0 = of the open segment, 1 = of a sealed one |
 * |  8 |     8 | position in the log where the segment begins |
 * | 16 |     8 | store time of the segment's first entry |
 * | 24 |     2 | page, or range |
 * | 26 |     2 | ranges of the segment; 0 = open |
 * | 28 |     2 | part |
 * | 30 |     2 | parts of the range; 0 = open |
 * | 32 |     4 | entries |
 * | 36 |     4 | CRC-32 over bytes 0..35 and the entries |
 *
 * A page says what it is, because a page of another segment is no less damage than a flipped bit.
 */
const MAGIC = 0x544d5149;
const VERSION = 1;
const HEADER_BYTES = 40;
const CRC_AT = 36;
/** Entries of one part: a row stays under Chromium's 64 KiB cliff. */
const PART_ENTRIES = 2 * INDEX_PAGE_ENTRIES;
const MAX_PARTS = 64;

const OPEN_NAME = "open";

/** The indexer's, because a start checks a megabyte of pages before any code is warm. */
export type Crc32 = (bytes: Uint8Array, seed?: number) => number;

/** What a page has to agree with. */
export interface SegmentId {
  /** Position in the log. */
  begin: number;
  beginTime: number;
  count: number;
}

function segmentName(begin: number): string {
  return `segment/${begin}`;
}

export function rangesOf(count: number): number {
  return Math.max(1, Math.ceil(count / INDEX_PAGE_ENTRIES));
}

/** All rows of a sealed segment. */
export function segmentRange(begin: number): IndexRange {
  return { name: segmentName(begin), from: 0, to: Number.MAX_SAFE_INTEGER };
}

/** The rows of one range of a sealed segment. */
export function rowsOfRange(begin: number, range: number): IndexRange {
  return { name: segmentName(begin), from: range * MAX_PARTS, to: range * MAX_PARTS + MAX_PARTS - 1 };
}

/** The rows that hold this many entries of the open segment. */
export function rowsOfOpen(count: number): IndexRange {
  return { name: OPEN_NAME, from: 0, to: Math.ceil(count / INDEX_PAGE_ENTRIES) - 1 };
}

export function encodeOpenPage(crc32: Crc32, segment: SegmentId, page: number, entries: Uint8Array): IndexRow {
  return { key: [OPEN_NAME, page], bytes: encode(crc32, segment, { kind: 0, page, ranges: 0, part: 0, parts: 0 }, entries) };
}

/** `groups`: the entries by range. */
export function encodeSegment(crc32: Crc32, segment: SegmentId, groups: Uint8Array[]): IndexRow[] {
  return groups.flatMap((entries, range) => {
    const parts = Math.max(1, Math.ceil(entries.byteLength / (PART_ENTRIES * INDEX_ENTRY_BYTES)));
    return Array.from({ length: parts }, (_, part) => {
      const from = part * PART_ENTRIES * INDEX_ENTRY_BYTES;
      const bytes = encode(crc32, segment, { kind: 1, page: range, ranges: groups.length, part, parts }, entries.subarray(from, from + PART_ENTRIES * INDEX_ENTRY_BYTES));
      return { key: [segmentName(segment.begin), range * MAX_PARTS + part], bytes };
    });
  });
}

/** All entries of the open segment; null when they are not whole. */
export function decodeOpen(crc32: Crc32, segment: SegmentId, rows: Uint8Array[]): Uint8Array | null {
  const pages = rows.map((row, page) => decode(crc32, segment, { kind: 0, page, ranges: 0, part: 0, parts: 0 }, row));
  const entries = join(pages);
  return entries?.byteLength === segment.count * INDEX_ENTRY_BYTES ? entries : null;
}

/** The entries of one range of a sealed segment; null when they are not whole. */
export function decodeRange(crc32: Crc32, segment: SegmentId, range: number, rows: Uint8Array[]): Uint8Array | null {
  const ranges = rangesOf(segment.count);
  const parts = rows.map((row, part) => decode(crc32, segment, { kind: 1, page: range, ranges, part, parts: rows.length }, row));
  return parts.length === 0 ? null : join(parts);
}

interface Place {
  kind: number;
  page: number;
  ranges: number;
  part: number;
  parts: number;
}

function encode(crc32: Crc32, { begin, beginTime }: SegmentId, place: Place, entries: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + entries.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint16(4, VERSION);
  view.setUint16(6, place.kind);
  writeInt64(view, 8, begin);
  writeInt64(view, 16, beginTime);
  view.setUint16(24, place.page);
  view.setUint16(26, place.ranges);
  view.setUint16(28, place.part);
  view.setUint16(30, place.parts);
  view.setUint32(32, entries.byteLength / INDEX_ENTRY_BYTES);
  bytes.set(entries, HEADER_BYTES);
  view.setUint32(CRC_AT, crcOf(crc32, bytes));
  return bytes;
}

function decode(crc32: Crc32, { begin, beginTime }: SegmentId, place: Place, bytes: Uint8Array): Uint8Array | null {
  if (bytes.byteLength < HEADER_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isThis =
    view.getUint32(0) === MAGIC && view.getUint16(4) === VERSION && view.getUint16(6) === place.kind &&
    readInt64(view, 8) === begin && readInt64(view, 16) === beginTime &&
    view.getUint16(24) === place.page && view.getUint16(26) === place.ranges && view.getUint16(28) === place.part &&
    view.getUint16(30) === place.parts && view.getUint32(32) * INDEX_ENTRY_BYTES === bytes.byteLength - HEADER_BYTES;
  return isThis && view.getUint32(CRC_AT) === crcOf(crc32, bytes) ? bytes.subarray(HEADER_BYTES) : null;
}

function crcOf(crc32: Crc32, bytes: Uint8Array): number {
  return crc32(bytes.subarray(HEADER_BYTES), crc32(bytes.subarray(0, CRC_AT)));
}

function join(parts: (Uint8Array | null)[]): Uint8Array | null {
  const whole = parts.filter((part) => part !== null);
  if (whole.length !== parts.length) return null;
  if (whole.length === 1) return whole[0]!;
  const bytes = new Uint8Array(whole.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of whole) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}
