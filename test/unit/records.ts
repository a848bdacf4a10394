/** An encoder of commit-log records for tests, independent of the product's: what the indexers read is checked against this. */

export interface RecordParts {
  topic?: string | Uint8Array;
  queueId?: number;
  flag?: number;
  queueOffset?: bigint;
  physicalOffset?: bigint;
  sysFlag?: number;
  bornTimestamp?: bigint;
  storeTimestamp?: bigint;
  storeIp?: number;
  storePort?: number;
  body?: Uint8Array;
  properties?: string | Uint8Array;
  /** Replace what the parts would give. */
  totalSize?: number;
  magic?: number;
  bodyCrc?: number;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

export function plainCrc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const utf8 = new TextEncoder();

function toBytes(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? utf8.encode(text) : text;
}

export function encodeRecord(parts: RecordParts = {}): Uint8Array<ArrayBuffer> {
  const body = parts.body ?? new Uint8Array(0);
  const topic = toBytes(parts.topic ?? "T");
  const properties = toBytes(parts.properties ?? "");
  const size = 4 * 5 + 8 * 2 + 4 + 8 * 4 + 4 + 8 + (4 + body.length) + (1 + topic.length) + (2 + properties.length);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const int32 = (value: number) => {
    view.setInt32(at, value);
    at += 4;
  };
  const int64 = (value: bigint) => {
    view.setBigInt64(at, value);
    at += 8;
  };
  const raw = (value: Uint8Array) => {
    bytes.set(value, at);
    at += value.length;
  };
  int32(parts.totalSize ?? size);
  int32(parts.magic ?? -626843481);
  int32(parts.bodyCrc ?? plainCrc32(body) & 0x7fffffff);
  int32(parts.queueId ?? 0);
  int32(parts.flag ?? 0);
  int64(parts.queueOffset ?? 0n);
  int64(parts.physicalOffset ?? 0n);
  int32(parts.sysFlag ?? 0);
  int64(parts.bornTimestamp ?? 1_700_000_000_000n);
  int32(0x7f000001);
  int32(0);
  int64(parts.storeTimestamp ?? 0n);
  int32(parts.storeIp ?? 0);
  int32(parts.storePort ?? 0);
  int32(0);
  int64(0n);
  int32(body.length);
  raw(body);
  view.setUint8(at++, topic.length);
  raw(topic);
  view.setUint16(at, properties.length);
  at += 2;
  raw(properties);
  return bytes;
}

export function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** `length` bytes that look random and depend on `seed` alone. */
export function filler(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed | 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** A consume-queue entry. */
export function encodeEntry(position: bigint, size: number, tagCode: bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, position);
  view.setInt32(8, size);
  view.setBigInt64(12, tagCode);
  return bytes;
}

export interface Entry {
  position: bigint;
  size: number;
  tagCode: bigint;
}

export function decodeEntries(entries: Uint8Array): Entry[] {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  return Array.from({ length: entries.length / 20 }, (_, row) => ({
    position: view.getBigInt64(row * 20),
    size: view.getInt32(row * 20 + 8),
    tagCode: view.getBigInt64(row * 20 + 12),
  }));
}

export const tags = (tag: string): string => `TAGS\u0001${tag}\u0002`;
