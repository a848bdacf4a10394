// @ts-check
/**
 * Reads RocketMQ's commit-log records as RocketMQ's documents describe them, with nothing of the broker's own code: what
 * checks a log must not share its mistakes.
 */
import { crc32 } from "node:zlib";

/** Where the fields of a record stand (version 1, IPv4, big-endian). */
export const AT = { size: 0, magic: 4, bodyCrc: 8, queueId: 12, queueOffset: 20, position: 28, bornTimestamp: 40, storeTimestamp: 56, bodyLength: 84, body: 88 };
const RECORD_MAGIC = -626843481;
/** No body, a topic of one character, no properties. */
export const RECORD_MIN_BYTES = 92;
/** A body of 4 MiB, the longest topic, the longest properties. */
export const RECORD_MAX_BYTES = 91 + 4 * 1024 * 1024 + 127 + 32_767;

/**
 * Why no record stands at the beginning of these bytes, which may go on behind it; null when one does.
 * @param {Uint8Array} bytes
 * @returns {string | null}
 */
export function recordFault(bytes) {
  const fault = layoutFault(bytes);
  if (fault !== null) return fault;
  const view = viewOf(bytes);
  const body = bytes.subarray(AT.body, AT.body + view.getInt32(AT.bodyLength));
  // RocketMQ clears the sign bit.
  return view.getInt32(AT.bodyCrc) === (crc32(body) & 0x7fffffff) ? null : "the body's CRC is another";
}

/**
 * The same without the CRC: with these right, the next record can be found.
 * @param {Uint8Array} bytes
 * @returns {string | null}
 */
export function layoutFault(bytes) {
  if (bytes.byteLength < RECORD_MIN_BYTES) return "too short for a record";
  const view = viewOf(bytes);
  const size = view.getInt32(AT.size);
  if (view.getInt32(AT.magic) !== RECORD_MAGIC) return "not a record's magic number";
  if (size < RECORD_MIN_BYTES || size > RECORD_MAX_BYTES || size > bytes.byteLength) return `a record of ${size} bytes`;
  const bodyEnd = AT.body + view.getInt32(AT.bodyLength);
  if (bodyEnd < AT.body || bodyEnd >= size) return "the body's length";
  const topicEnd = bodyEnd + 1 + view.getUint8(bodyEnd);
  if (topicEnd === bodyEnd + 1 || topicEnd + 2 > size || topicEnd + 2 + view.getUint16(topicEnd) !== size) return "lengths that do not agree";
  if (view.getInt32(AT.queueId) < 0) return "a negative queue id";
  return isCount(int64(view, AT.queueOffset)) && isCount(int64(view, AT.position)) ? null : "an offset or position that is none";
}

/**
 * What a record says that has no fault.
 * @param {Uint8Array} bytes
 */
export function readRecord(bytes) {
  const view = viewOf(bytes);
  const size = view.getInt32(AT.size);
  const bodyEnd = AT.body + view.getInt32(AT.bodyLength);
  const topicEnd = bodyEnd + 1 + view.getUint8(bodyEnd);
  return {
    size,
    topic: textOf(bytes.subarray(bodyEnd + 1, topicEnd)),
    properties: textOf(bytes.subarray(topicEnd + 2, size)),
    body: bytes.subarray(AT.body, bodyEnd),
    queueId: view.getInt32(AT.queueId),
    queueOffset: int64(view, AT.queueOffset),
    position: int64(view, AT.position),
    storeTimestamp: int64(view, AT.storeTimestamp),
  };
}

/**
 * @param {DataView} view
 * @param {number} at
 */
function int64(view, at) {
  return Number(view.getBigInt64(at));
}

/** @param {number} value */
function isCount(value) {
  return Number.isSafeInteger(value) && value >= 0;
}

/** @param {Uint8Array} bytes */
export function textOf(bytes) {
  return new TextDecoder().decode(bytes);
}

/** @param {Uint8Array} bytes */
function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
