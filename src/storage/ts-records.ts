/** Walking record bytes, plainly: the half of the TypeScript indexer that assembly/scan.ts is held to. */
import type { RecordFault, RecordTable } from "./indexer.ts";
import { crc32 } from "../model/crc32.ts";
import { javaHash } from "../model/hash.ts";
import { indexKeys, keyHash } from "../model/index-key.ts";
import { WHEEL_TOPIC } from "../model/system-names.ts";
import { MAX_BODY_BYTES, MAX_PROPERTIES_BYTES, MAX_RECORD_BYTES, MAX_TOPIC_LENGTH } from "../model/limits.ts";
import { RECORD, RECORD_FIXED_BYTES, RECORD_MAGIC, RECORD_MIN_BYTES, readInt64, writeInt64 } from "../model/record.ts";
import { KEY_ROW_BYTES } from "./key-segment.ts";

export const ENTRY_BYTES = 20;
const ENTRY_SIZE = 8;
export const ENTRY_TAG_CODE = 12;
const SYS_FLAG_IPV6 = 0x10 | 0x20;
/** The roll-back of a transaction: RocketMQ indexes no such record. */
const SYS_FLAG_ROLLBACK = 0x0c;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

interface RecordRow {
  topic: string;
  queueId: number;
  at: number;
  size: number;
  queueOffset: number;
  storeTimestamp: number;
  tagCode: number;
  keys: Uint8Array;
}

/** A consume-queue entry. `tagCode` is an int32 and is widened, or a time. */
export function writeEntry(view: DataView, at: number, position: number, size: number, tagCode: number): void {
  writeInt64(view, at, position);
  view.setInt32(at + ENTRY_SIZE, size);
  writeInt64(view, at + ENTRY_TAG_CODE, tagCode);
}

/** Its size and tag code; the code is null when it is no widened int32. */
export function readEntry(view: DataView, at: number): { size: number; tagCode: number | null } {
  const tagCode = view.getInt32(at + ENTRY_TAG_CODE + 4);
  const widened = view.getInt32(at + ENTRY_TAG_CODE) === (tagCode < 0 ? -1 : 0);
  return { size: view.getInt32(at + ENTRY_SIZE), tagCode: widened ? tagCode : null };
}

/** The last usable value of each property. */
function propertiesOf(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  for (const entry of text.split("\u0002")) {
    const nameEnd = entry.indexOf("\u0001");
    const value = entry.slice(nameEnd + 1);
    if (nameEnd >= 0 && value !== "") properties.set(entry.slice(0, nameEnd), value);
  }
  return properties;
}

/** When a timer is due; 0 where that is no time. */
function timeOf(text = ""): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

/** Rows for the key index (see key-segment.ts). */
function keyRows(topic: string, properties: Map<string, string>, position: number, storeTime: bigint): Uint8Array {
  const keys = indexKeys(topic, properties.get("KEYS") ?? "", properties.get("UNIQ_KEY") ?? null);
  const rows = new Uint8Array(keys.length * KEY_ROW_BYTES);
  const view = new DataView(rows.buffer);
  keys.forEach((key, index) => {
    const at = index * KEY_ROW_BYTES;
    view.setInt32(at, keyHash(key));
    view.setInt32(at + 4, keyHash(key.slice(topic.length + 1)));
    writeInt64(view, at + 8, position);
    view.setBigInt64(at + 16, storeTime);
  });
  return rows;
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}

/**
 * The record that begins at `at`, or why there is none. A stamped one has to believe that it stands at `base + at`.
 * In this order, shared with assembly/scan.ts:
 *
 *  1. fewer than RECORD_MIN_BYTES left                                       TRUNCATED
 *  2. totalSize below RECORD_MIN_BYTES or above MAX_RECORD_BYTES             BAD_LENGTH
 *  3. totalSize beyond the bytes left                                        TRUNCATED
 *  4. magic                                                                  BAD_MAGIC
 *  5. an IPv6 bit in sysFlag; a part beyond its limit; the parts' sum        BAD_LENGTH
 *  6. queueId negative; queueOffset negative or above 2^53 - 1               BAD_NUMBER
 *  7. physicalOffset                                                         BAD_POSITION
 *  8. bodyCRC is not the body's CRC-32 without its highest bit               BAD_CRC
 *  9. UTF-8 of topic and properties                                          BAD_TEXT
 */
function readRecord(bytes: Uint8Array, at: number, base: number, stamped: boolean): RecordRow | RecordFault {
  const position = stamped ? base + at : null;
  const left = bytes.length - at;
  if (left < RECORD_MIN_BYTES) return "TRUNCATED";
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, left);
  const size = view.getInt32(RECORD.totalSize);
  if (size < RECORD_MIN_BYTES || size > MAX_RECORD_BYTES) return "BAD_LENGTH";
  if (size > left) return "TRUNCATED";
  if (view.getInt32(RECORD.magic) !== RECORD_MAGIC) return "BAD_MAGIC";

  if ((view.getInt32(RECORD.sysFlag) & SYS_FLAG_IPV6) !== 0) return "BAD_LENGTH";
  const bodyLength = view.getInt32(RECORD.bodyLength);
  if (bodyLength < 0 || bodyLength > MAX_BODY_BYTES || RECORD_MIN_BYTES + bodyLength > size) return "BAD_LENGTH";
  const topicAt = RECORD.body + bodyLength + 1;
  const topicLength = view.getUint8(topicAt - 1);
  if (topicLength < 1 || topicLength > MAX_TOPIC_LENGTH) return "BAD_LENGTH";
  if (RECORD_FIXED_BYTES + bodyLength + topicLength > size) return "BAD_LENGTH";
  const propertiesAt = topicAt + topicLength + 2;
  const propertiesLength = view.getUint16(propertiesAt - 2);
  if (propertiesLength > MAX_PROPERTIES_BYTES || propertiesAt + propertiesLength !== size) return "BAD_LENGTH";

  const queueId = view.getInt32(RECORD.queueId);
  const queueOffset = readInt64(view, RECORD.queueOffset);
  if (queueId < 0 || queueOffset < 0 || queueOffset > Number.MAX_SAFE_INTEGER) return "BAD_NUMBER";

  // Both halves: beyond 2^53 two different integers may read as the same number.
  if (position !== null) {
    const expected = new DataView(new ArrayBuffer(8));
    writeInt64(expected, 0, position);
    if (view.getInt32(RECORD.physicalOffset) !== expected.getInt32(0)) return "BAD_POSITION";
    if (view.getInt32(RECORD.physicalOffset + 4) !== expected.getInt32(4)) return "BAD_POSITION";
  }

  const part = (from: number, length: number) => bytes.subarray(at + from, at + from + length);
  const bodyCrc = crc32(part(RECORD.body, bodyLength)) & 0x7fffffff;
  if (view.getInt32(RECORD.bodyCrc) !== bodyCrc) return "BAD_CRC";

  const topic = textOf(part(topicAt, topicLength));
  const properties = textOf(part(propertiesAt, propertiesLength));
  if (topic === null || properties === null) return "BAD_TEXT";

  const storeTimestamp = readInt64(view, RECORD.storeTimestamp);
  const known = propertiesOf(properties);
  const isRollback = (view.getInt32(RECORD.sysFlag) & SYS_FLAG_ROLLBACK) === SYS_FLAG_ROLLBACK;
  const keys = isRollback ? new Uint8Array(0) : keyRows(topic, known, base + at, view.getBigInt64(RECORD.storeTimestamp));
  return { topic, queueId, at, size, queueOffset, storeTimestamp, tagCode: topic === WHEEL_TOPIC ? timeOf(known.get("TIMER_OUT_MS")) : javaHash(known.get("TAGS") ?? ""), keys };
}

/** `base` is the position of the first byte; `stamped` = the records must know their positions. `keysOf`: each record's rows for the key index. */
export function readTable(bytes: Uint8Array, base: number, stamped: boolean): RecordTable & { keysOf: Uint8Array[] } {
  const rows: RecordRow[] = [];
  let fault: RecordTable["fault"] = null;
  for (let at = 0; at < bytes.length; ) {
    const row = readRecord(bytes, at, base, stamped);
    if (typeof row === "string") {
      fault = { at, reason: row };
      break;
    }
    rows.push(row);
    at += row.size;
  }

  const topics = [...new Set(rows.map((row) => row.topic))];
  const indexes = new Map(topics.map((topic, index) => [topic, index]));
  const entries = new Uint8Array(rows.length * ENTRY_BYTES);
  const view = new DataView(entries.buffer);
  rows.forEach((row, index) => writeEntry(view, index * ENTRY_BYTES, base + row.at, row.size, row.tagCode));
  return {
    count: rows.length,
    topics,
    topicIndex: Int32Array.from(rows, (row) => indexes.get(row.topic)!),
    queueId: Int32Array.from(rows, (row) => row.queueId),
    at: Int32Array.from(rows, (row) => row.at),
    size: Int32Array.from(rows, (row) => row.size),
    queueOffset: Float64Array.from(rows, (row) => row.queueOffset),
    storeTimestamp: Float64Array.from(rows, (row) => row.storeTimestamp),
    entries,
    fault,
    keysOf: rows.map((row) => row.keys),
  };
}
