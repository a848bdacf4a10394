import { crc32 } from "./crc32.ts";
import type { BodyKind, JsonValue, MessageDraft, MessageExt } from "./message.ts";
import { offsetMsgId } from "./message-id.ts";
import { PROPERTY, decodeProperties } from "./properties.ts";
import { RECORD, RECORD_FIXED_BYTES, RECORD_MAGIC, readInt64, writeInt64 } from "./record.ts";
import { writeUtf8 } from "./text.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** IPv4 address and port, as a record holds them. */
export interface HostAddress {
  ip: number;
  port: number;
}

/** TabMQ has no network: every record says 127.0.0.1, and the broker RocketMQ's default port. */
export const LOOPBACK = 0x7f000001;
export const BROKER_ADDRESS: HostAddress = { ip: LOOPBACK, port: 10911 };
export const CLIENT_ADDRESS: HostAddress = { ip: LOOPBACK, port: 0 };

/** Bytes of the record that `writeRecord` makes of this message. */
export function recordBytes(draft: MessageDraft, topicBytes: number): number {
  return RECORD_FIXED_BYTES + draft.body.byteLength + topicBytes + draft.propertiesBytes;
}

/** Writes the record at `at` (which must have room) and leaves the broker's fields zero. Returns its end. */
export function writeRecord(
  target: { bytes: Uint8Array; view: DataView },
  at: number,
  draft: MessageDraft,
  topic: Uint8Array,
  queueId: number,
  bornTimestamp: number,
): number {
  const { bytes, view } = target;
  const { body, properties, propertiesBytes } = draft;
  const size = recordBytes(draft, topic.byteLength);
  view.setInt32(at + RECORD.totalSize, size);
  view.setInt32(at + RECORD.magic, RECORD_MAGIC);
  // RocketMQ keeps the CRC non-negative by clearing the sign bit.
  view.setInt32(at + RECORD.bodyCrc, crc32(body) & 0x7fffffff);
  view.setInt32(at + RECORD.queueId, queueId);
  view.setInt32(at + RECORD.flag, draft.flag);
  writeInt64(view, at + RECORD.bornTimestamp, bornTimestamp);
  view.setUint32(at + RECORD.bornHost, CLIENT_ADDRESS.ip);
  view.setInt32(at + RECORD.bornHost + 4, CLIENT_ADDRESS.port);
  view.setInt32(at + RECORD.bodyLength, body.byteLength);
  bytes.set(body, at + RECORD.body);
  let end = at + RECORD.body + body.byteLength;
  view.setUint8(end, topic.byteLength);
  bytes.set(topic, end + 1);
  end += 1 + topic.byteLength;
  view.setUint16(end, propertiesBytes);
  return writeUtf8(properties, bytes, end + 2, propertiesBytes);
}

export function encodeTopic(topic: string): Uint8Array {
  return encoder.encode(topic);
}

/** A record as a consumer sees it. Its body is a copy, so that one small message does not keep a whole frame alive. */
class DecodedMessage implements MessageExt {
  readonly topic: string;
  readonly tags: string | undefined;
  readonly keys: string[];
  readonly flag: number;
  readonly properties: Record<string, string>;
  readonly body: Uint8Array;
  readonly bodyKind: BodyKind;
  readonly msgId: string;
  readonly offsetMsgId: string;
  readonly brokerName: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly commitLogOffset: number;
  readonly storeSize: number;
  readonly sysFlag: number;
  readonly bodyCRC: number;
  readonly bornTimestamp: number;
  readonly bornHost: string;
  readonly storeTimestamp: number;
  readonly storeHost: string;
  readonly reconsumeTimes: number;
  readonly preparedTransactionOffset: number;
  readonly messageGroup: string | undefined;

  constructor(bytes: Uint8Array, view: DataView, at: number, brokerName: string) {
    const size = view.getInt32(at + RECORD.totalSize);
    const bodyEnd = at + RECORD.body + view.getInt32(at + RECORD.bodyLength);
    const topicEnd = bodyEnd + 1 + view.getUint8(bodyEnd);
    const properties = decodeProperties(decoder.decode(bytes.subarray(topicEnd + 2, at + size)));
    this.topic = decoder.decode(bytes.subarray(bodyEnd + 1, topicEnd));
    this.body = bytes.slice(at + RECORD.body, bodyEnd);
    this.flag = view.getInt32(at + RECORD.flag);
    this.brokerName = brokerName;
    this.queueId = view.getInt32(at + RECORD.queueId);
    this.queueOffset = readInt64(view, at + RECORD.queueOffset);
    this.commitLogOffset = readInt64(view, at + RECORD.physicalOffset);
    this.storeSize = size;
    this.sysFlag = view.getInt32(at + RECORD.sysFlag);
    this.bodyCRC = view.getInt32(at + RECORD.bodyCrc);
    this.bornTimestamp = readInt64(view, at + RECORD.bornTimestamp);
    this.bornHost = hostText(view, at + RECORD.bornHost);
    this.storeTimestamp = readInt64(view, at + RECORD.storeTimestamp);
    this.storeHost = hostText(view, at + RECORD.storeHost);
    this.reconsumeTimes = view.getInt32(at + RECORD.reconsumeTimes);
    this.preparedTransactionOffset = readInt64(view, at + RECORD.preparedTransactionOffset);
    this.offsetMsgId = offsetMsgId(
      view.getUint32(at + RECORD.storeHost),
      view.getInt32(at + RECORD.storeHost + 4),
      this.commitLogOffset,
    );
    this.msgId = properties[PROPERTY.UNIQ_KEY] ?? this.offsetMsgId;
    this.tags = properties[PROPERTY.TAGS];
    this.keys = (properties[PROPERTY.KEYS] ?? "").split(" ").filter((key) => key !== "");
    this.messageGroup = properties[PROPERTY.SHARDING_KEY];
    const kind = properties[PROPERTY.BODY_KIND];
    this.bodyKind = kind === "text" || kind === "json" ? kind : "bytes";
    for (const name of SHOWN_AS_FIELDS) delete properties[name];
    this.properties = properties;
  }

  text(): string {
    return decoder.decode(this.body);
  }

  json<T = JsonValue>(): T {
    return JSON.parse(this.text()) as T;
  }
}

/** What a query compares of a record. */
export interface RecordKeys {
  topic: string;
  uniqueKey: string | undefined;
  keys: string[];
  storeTimestamp: number;
}

/** The same fields as a message has them, without the rest of it. */
export function readKeys(bytes: Uint8Array): RecordKeys {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bodyEnd = RECORD.body + view.getInt32(RECORD.bodyLength);
  const topicEnd = bodyEnd + 1 + view.getUint8(bodyEnd);
  const properties = decodeProperties(decoder.decode(bytes.subarray(topicEnd + 2)));
  return {
    topic: decoder.decode(bytes.subarray(bodyEnd + 1, topicEnd)),
    uniqueKey: properties[PROPERTY.UNIQ_KEY],
    keys: (properties[PROPERTY.KEYS] ?? "").split(" ").filter((key) => key !== ""),
    storeTimestamp: readInt64(view, RECORD.storeTimestamp),
  };
}

const SHOWN_AS_FIELDS = [
  PROPERTY.UNIQ_KEY, PROPERTY.TAGS, PROPERTY.KEYS, PROPERTY.SHARDING_KEY, PROPERTY.WAIT, PROPERTY.BODY_KIND, PROPERTY.FINISHES,
];

function hostText(view: DataView, at: number): string {
  return `${view.getUint8(at)}.${view.getUint8(at + 1)}.${view.getUint8(at + 2)}.${view.getUint8(at + 3)}:${view.getInt32(at + 4)}`;
}

/** The messages of whole, checked records, one after the other. */
export function decodeRecords(bytes: Uint8Array, brokerName: string): MessageExt[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: MessageExt[] = [];
  for (let at = 0; at < bytes.byteLength; at += view.getInt32(at + RECORD.totalSize)) {
    messages.push(new DecodedMessage(bytes, view, at, brokerName));
  }
  return messages;
}
