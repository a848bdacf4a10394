import { MQError } from "./errors.ts";
import { MAX_PROPERTIES_BYTES } from "./limits.ts";
import { decodeProperties, encodeProperties } from "./properties.ts";
import { RECORD, RECORD_FIXED_BYTES, readInt64, writeInt64 } from "./record.ts";
import { encodeTopic } from "./record-codec.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What changes when a stored message is put elsewhere: body, flags, its producer and the time of its birth stay. */
export interface RecordPlace {
  topic: string;
  queueId: number;
  reconsumeTimes: number;
  properties: Record<string, string>;
  /** Of a transactional message; else they stay. */
  sysFlag?: number;
  preparedTransactionOffset?: number;
}

/** A stored message, as far as it matters to whoever puts it elsewhere. */
export interface StoredRecord extends RecordPlace {
  bytes: Uint8Array;
  queueOffset: number;
  storeTimestamp: number;
}

/** Of whole, checked bytes of one record. */
export function readStored(bytes: Uint8Array): StoredRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const topicAt = RECORD.body + view.getInt32(RECORD.bodyLength) + 1;
  const topicEnd = topicAt + view.getUint8(topicAt - 1);
  return {
    bytes,
    topic: decoder.decode(bytes.subarray(topicAt, topicEnd)),
    queueId: view.getInt32(RECORD.queueId),
    queueOffset: readInt64(view, RECORD.queueOffset),
    storeTimestamp: readInt64(view, RECORD.storeTimestamp),
    reconsumeTimes: view.getInt32(RECORD.reconsumeTimes),
    properties: decodeProperties(decoder.decode(bytes.subarray(topicEnd + 2))),
  };
}

/** The same for records one behind the other. */
export function readAllStored(bytes: Uint8Array): StoredRecord[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const all: StoredRecord[] = [];
  for (let at = 0, size = 0; at < bytes.byteLength; at += size) {
    size = view.getInt32(at + RECORD.totalSize);
    all.push(readStored(bytes.subarray(at, at + size)));
  }
  return all;
}

/**
 * The record of the same message in another place; the broker's fields are for the log to fill in.
 * @throws MQError MESSAGE_ILLEGAL when the properties have become too long
 */
export function copyRecord({ bytes: source }: StoredRecord, { topic, queueId, reconsumeTimes, properties, sysFlag, preparedTransactionOffset }: RecordPlace): Uint8Array {
  const bodyEnd = RECORD.body + new DataView(source.buffer, source.byteOffset).getInt32(RECORD.bodyLength);
  const [topicBytes, propertyBytes] = [encodeTopic(topic), encoder.encode(encodeProperties(properties))];
  if (propertyBytes.byteLength > MAX_PROPERTIES_BYTES) {
    throw new MQError("MESSAGE_ILLEGAL", `The message's properties leave no room for what the broker adds: ${propertyBytes.byteLength} bytes of ${MAX_PROPERTIES_BYTES}.`, { field: "message.properties" });
  }
  const bytes = new Uint8Array(RECORD_FIXED_BYTES + bodyEnd - RECORD.body + topicBytes.byteLength + propertyBytes.byteLength);
  const view = new DataView(bytes.buffer);
  bytes.set(source.subarray(0, bodyEnd));
  view.setInt32(RECORD.totalSize, bytes.byteLength);
  view.setInt32(RECORD.queueId, queueId);
  view.setInt32(RECORD.reconsumeTimes, reconsumeTimes);
  if (sysFlag !== undefined) view.setInt32(RECORD.sysFlag, sysFlag);
  if (preparedTransactionOffset !== undefined) writeInt64(view, RECORD.preparedTransactionOffset, preparedTransactionOffset);
  view.setUint8(bodyEnd, topicBytes.byteLength);
  bytes.set(topicBytes, bodyEnd + 1);
  const propertiesAt = bodyEnd + 1 + topicBytes.byteLength + 2;
  view.setUint16(propertiesAt - 2, propertyBytes.byteLength);
  bytes.set(propertyBytes, propertiesAt);
  return bytes;
}
