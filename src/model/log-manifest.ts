import { crc32 } from "./crc32.ts";
import { encodeProperties, PROPERTY } from "./properties.ts";
import { RECORD, RECORD_FIXED_BYTES, RECORD_MAGIC, RECORD_MIN_BYTES, writeInt64 } from "./record.ts";
import { BROKER_ADDRESS, encodeTopic, recordBytes, writeRecord } from "./record-codec.ts";
import { utf8Length } from "./text.ts";

/**
 * An exported log is commit-log records and nothing else, back to back, so that whatever reads RocketMQ's records reads
 * it to its last byte. What such a record cannot say stands in records of a topic of its own, JSON in their bodies:
 *
 *     begin                  which format, from where to where the log was copied, how many `state` records follow
 *     state ...              topics, and how far each group has come
 *     the log's own records, as they are stored, in the order of their positions
 *     end                    how many they are; its last property is the CRC-32 of every byte before the property's value
 *
 * A manifest record's position is where the copied part of the log begins (`begin`, `state`) or ends (`end`).
 */
export const MANIFEST_TOPIC = "rmq_sys_TABMQ_LOG";
export const LOG_FORMAT = "tabmq-log";
export const LOG_FORMAT_VERSION = 1;
const CRC_PROPERTY = "__TABMQ_FILE_CRC";
/** Eight hexadecimal digits and the property's end: the last bytes of an export. */
export const CRC_TEXT_BYTES = 9;

export interface ManifestRecord {
  /** Number among the manifest records. */
  index: number;
  position: number;
  /** ms */
  time: number;
  body: { part: "begin" | "state" | "end" };
  /** Of the `end`: CRC of everything before this record. */
  crc?: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const topicBytes = encodeTopic(MANIFEST_TOPIC);

export function writeManifest({ index, position, time, body, crc }: ManifestRecord): Uint8Array {
  const properties: [string, string][] = [[PROPERTY.TAGS, body.part], [PROPERTY.BODY_KIND, "json"]];
  if (crc !== undefined) properties.push([CRC_PROPERTY, crcText(0).slice(0, -1)]);
  const text = encodeProperties(properties);
  const draft = {
    topic: MANIFEST_TOPIC, body: encoder.encode(JSON.stringify(body)), flag: 0, properties: text, propertiesBytes: utf8Length(text), msgId: "",
    messageGroup: undefined, waitStoreMsgOK: true, isDiverted: false,
  };
  const bytes = new Uint8Array(recordBytes(draft, topicBytes.byteLength));
  const view = new DataView(bytes.buffer);
  writeRecord({ bytes, view }, 0, draft, topicBytes, 0, time);
  writeInt64(view, RECORD.queueOffset, index);
  writeInt64(view, RECORD.physicalOffset, position);
  writeInt64(view, RECORD.storeTimestamp, time);
  view.setUint32(RECORD.storeHost, BROKER_ADDRESS.ip);
  view.setInt32(RECORD.storeHost + 4, BROKER_ADDRESS.port);
  if (crc === undefined) return bytes;
  const textAt = bytes.byteLength - CRC_TEXT_BYTES;
  bytes.set(encoder.encode(crcText(crc32(bytes.subarray(0, textAt), crc))), textAt);
  return bytes;
}

/** How an export ends whose other bytes have this CRC. */
export function crcText(crc: number): string {
  return `${crc.toString(16).padStart(8, "0")}\u0002`;
}

/** Whether `record`, the whole of one, is of the manifest's topic. Nothing of it has been checked yet. */
export function isManifest(record: Uint8Array): boolean {
  const topic = partsOf(record)?.topic;
  return topic !== undefined && topic.byteLength === topicBytes.byteLength && topic.every((byte, at) => byte === topicBytes[at]);
}

/** What a manifest record says; undefined when it is damaged. */
export function readManifest(record: Uint8Array): unknown {
  const parts = partsOf(record);
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  if (parts === null || view.getInt32(RECORD.magic) !== RECORD_MAGIC) return undefined;
  if (view.getInt32(RECORD.bodyCrc) !== (crc32(parts.body) & 0x7fffffff)) return undefined;
  try {
    return JSON.parse(decoder.decode(parts.body)) as unknown;
  } catch {
    return undefined;
  }
}

/** Null when the lengths do not agree. */
function partsOf(record: Uint8Array): { body: Uint8Array; topic: Uint8Array } | null {
  if (record.byteLength < RECORD_MIN_BYTES) return null;
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const bodyLength = view.getInt32(RECORD.bodyLength);
  if (bodyLength < 0 || RECORD_FIXED_BYTES + bodyLength > record.byteLength) return null;
  const topicAt = RECORD.body + bodyLength + 1;
  const topicEnd = topicAt + view.getUint8(topicAt - 1);
  if (topicEnd + 2 > record.byteLength || topicEnd + 2 + view.getUint16(topicEnd) !== record.byteLength) return null;
  return { body: record.subarray(RECORD.body, topicAt - 1), topic: record.subarray(topicAt, topicEnd) };
}
