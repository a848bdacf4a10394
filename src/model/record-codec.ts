import { crc32 } from "./crc32.ts";
import type { BodyKind, JsonValue, MessageDraft, MessageExt } from "./message.ts";
import { offsetMsgId } from "./message-id.ts";
import { PROPERTY, decodeProperties, eachProperty } from "./properties.ts";
import { RECORD, RECORD_FIXED_BYTES, RECORD_MAGIC, readInt64, writeInt64 } from "./record.ts";
import { writeUtf8 } from "./text.ts";
import { TRANSACTION_BITS } from "./transaction.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** IPv4 address and port, as a record holds them. */
export interface HostAddress {
  ip: number;
  port: number;
}

/** TabMQ has no network: every record says 127.0.0.1, and the broker RocketMQ's default port. */
const LOOPBACK = 0x7f000001;
export const BROKER_ADDRESS: HostAddress = { ip: LOOPBACK, port: 10911 };
const CLIENT_ADDRESS: HostAddress = { ip: LOOPBACK, port: 0 };

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
  readonly transactionId: string | undefined;
  readonly priority: number | undefined;

  constructor(frame: Frame, at: number) {
    const { bytes, view, brokerName } = frame;
    const size = view.getInt32(at + RECORD.totalSize);
    const bodyEnd = at + RECORD.body + view.getInt32(at + RECORD.bodyLength);
    const topicEnd = bodyEnd + 1 + view.getUint8(bodyEnd);
    this.topic = frame.topic(bodyEnd + 1, topicEnd);
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
    this.bornHost = frame.host(at + RECORD.bornHost);
    this.storeTimestamp = readInt64(view, at + RECORD.storeTimestamp);
    this.storeHost = frame.host(at + RECORD.storeHost);
    this.reconsumeTimes = view.getInt32(at + RECORD.reconsumeTimes);
    this.preparedTransactionOffset = readInt64(view, at + RECORD.preparedTransactionOffset);
    this.offsetMsgId = offsetMsgId(view.getUint32(at + RECORD.storeHost), view.getInt32(at + RECORD.storeHost + 4), this.commitLogOffset);
    // Properties of the system are fields; taking them out again would cost more than the rest of this.
    const system: Record<string, string | undefined> = {};
    const properties = Object.create(null) as Record<string, string>;
    eachProperty(decoder.decode(bytes.subarray(topicEnd + 2, at + size)), (name, value) => {
      if (SHOWN_AS_FIELDS.has(name)) system[name] = value;
      else properties[name] = value;
    });
    this.properties = properties;
    this.msgId = system[PROPERTY.UNIQ_KEY] ?? this.offsetMsgId;
    this.transactionId = (this.sysFlag & TRANSACTION_BITS) === 0 ? undefined : this.msgId;
    this.tags = system[PROPERTY.TAGS];
    this.keys = keysOf(system[PROPERTY.KEYS]);
    this.messageGroup = system[PROPERTY.SHARDING_KEY];
    this.priority = priorityOf(system[PROPERTY.PRIORITY]);
    const kind = system[PROPERTY.BODY_KIND];
    this.bodyKind = kind === "text" || kind === "json" ? kind : "bytes";
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
    keys: keysOf(properties[PROPERTY.KEYS]),
    storeTimestamp: readInt64(view, RECORD.storeTimestamp),
  };
}

const SHOWN_AS_FIELDS: ReadonlySet<string> = new Set([
  PROPERTY.UNIQ_KEY, PROPERTY.TAGS, PROPERTY.KEYS, PROPERTY.SHARDING_KEY, PROPERTY.PRIORITY, PROPERTY.WAIT, PROPERTY.BODY_KIND, PROPERTY.FINISHES, PROPERTY.COMPLETES,
  PROPERTY.TRAN_MSG, PROPERTY.PGROUP,
]);

/** Whatever another writer of the log has put there. */
function priorityOf(property: string | undefined): number | undefined {
  return property !== undefined && /^\d{1,10}$/.test(property) ? Number(property) : undefined;
}

function keysOf(property = ""): string[] {
  return property === "" ? [] : property.split(" ").filter((key) => key !== "");
}

/** Records that came together. What is the same in most of them is made a text once. */
class Frame {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly brokerName: string;
  #topic: { bytes: Uint8Array; text: string } = { bytes: new Uint8Array(), text: "" };
  /** Few. */
  readonly #hosts: { ip: number; port: number; text: string }[] = [];

  constructor(bytes: Uint8Array, brokerName: string) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.brokerName = brokerName;
  }

  topic(start: number, end: number): string {
    const { bytes } = this.#topic;
    if (bytes.byteLength !== end - start || bytes.some((byte, at) => byte !== this.bytes[start + at])) {
      const topic = this.bytes.subarray(start, end);
      this.#topic = { bytes: topic, text: decoder.decode(topic) };
    }
    return this.#topic.text;
  }

  host(at: number): string {
    const { view } = this;
    const [ip, port] = [view.getUint32(at), view.getInt32(at + 4)];
    const known = this.#hosts.find((host) => host.ip === ip && host.port === port);
    if (known !== undefined) return known.text;
    const text = `${ip >>> 24}.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}:${port}`;
    this.#hosts.push({ ip, port, text });
    return text;
  }
}

/** The messages of whole, checked records, one after the other. */
export function decodeRecords(bytes: Uint8Array, brokerName: string): MessageExt[] {
  const frame = new Frame(bytes, brokerName);
  const messages: MessageExt[] = [];
  for (let at = 0; at < bytes.byteLength; at += frame.view.getInt32(at + RECORD.totalSize)) messages.push(new DecodedMessage(frame, at));
  return messages;
}
