import { isArrayBuffer, isUint8Array } from "./binary.ts";
import { MQError } from "./errors.ts";
import { COPY_PROPERTIES_BYTES, MAX_BODY_BYTES, MAX_MESSAGE_GROUP_LENGTH, MAX_PROPERTIES_BYTES } from "./limits.ts";
import { checkExclusive } from "./typed-message.ts";
import { checkClientTopic } from "./names.ts";
import { checkSendable } from "./system-names.ts";
import { PROPERTY, checkUserProperty, encodeProperties } from "./properties.ts";
import { isWellFormed, utf8Length } from "./text.ts";

/** What JSON can write. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** A value of an interface type is no JsonValue to TypeScript, because interfaces have no index signature; it is checked when it is sent. */
type JsonObject = object;

/** What an application sends. */
export interface Message {
  /** `[%|a-zA-Z0-9_-]`, up to 127 characters. */
  topic: string;
  /** Stored as bytes; what it was is remembered: bytes, text (a string, UTF-8) or JSON (everything else). Never empty. */
  body: Uint8Array | ArrayBuffer | string | JsonValue | JsonObject;
  /** One tag, for filtering. */
  tags?: string;
  /** Business keys. A string is split at spaces, as in RocketMQ. */
  keys?: string | string[];
  /** A 32-bit integer for the application; the broker does not look at it. */
  flag?: number;
  /** The application's own, for SQL92 filters and for consumers. Names and values are not blank; tags, keys and properties take at most 30,719 bytes together. */
  properties?: Record<string, string>;
  /** Messages of one group go to one queue and so stay in order. */
  messageGroup?: string;
  /**
   * From 0 on; a higher one goes first where the topic's messageType is PRIORITY. It decides the queue: one for each
   * level, and the last for all levels beyond. Not together with a messageGroup or an exact time.
   */
  priority?: number;
  /** Delivered later, by the broker's delay levels: 1 is the first; beyond the last is the last; 0 and less is no delay. */
  delayTimeLevel?: number;
  /** Delivered so many ms after the broker has it, or later; not in the future: at once. At most `timerMaxDelay`. */
  deliverAfter?: number;
  /** Delivered at this time, ms since 1970 on the wall clock, or later; in the past: at once. One of the three at most. */
  deliverAt?: number | Date;
  /**
   * Default true: the send is answered when the message is committed. With false it is answered as soon as the broker
   * has taken the message in, and a crash before the commit, or a commit that fails, loses it: the event `flushFailed`
   * tells which, as long as this tab lives. Consumers see it after the commit, as any other; `flush()` waits for that.
   */
  waitStoreMsgOK?: boolean;
}

/** What a consumer, a query or the admin sees. Times are milliseconds since 1970. */
export interface MessageExt {
  readonly topic: string;
  readonly tags: string | undefined;
  readonly keys: string[];
  readonly flag: number;
  /** The application's own properties. */
  readonly properties: Record<string, string>;
  readonly body: Uint8Array;
  /** What the producer gave as body: bytes, text or a JSON value. */
  readonly bodyKind: BodyKind;
  /** The body as UTF-8 text. */
  text(): string;
  /** The body parsed as JSON; throws a SyntaxError when it is none. */
  json<T = JsonValue>(): T;
  /** Given by the producer, the same everywhere and for ever. */
  readonly msgId: string;
  /** Where this copy stands in the log. */
  readonly offsetMsgId: string;
  readonly brokerName: string;
  readonly queueId: number;
  readonly queueOffset: number;
  /** Its position in the log, bytes. */
  readonly commitLogOffset: number;
  /** Of its record, bytes. */
  readonly storeSize: number;
  /** RocketMQ's bits: 4 a half message, 8 one that was committed. */
  readonly sysFlag: number;
  /** CRC32 of the body. */
  readonly bodyCRC: number;
  /** When the producer made it, by its clock. */
  readonly bornTimestamp: number;
  /** "host:port". RocketMQ's layout wants one; a tab has none, so it is the loopback's, as is `storeHost`. */
  readonly bornHost: string;
  /** When the broker stored this copy. */
  readonly storeTimestamp: number;
  readonly storeHost: string;
  /** How often it was tried in vain before. */
  readonly reconsumeTimes: number;
  readonly preparedTransactionOffset: number;
  /** Of a message that was sent in a transaction: its msgId. */
  readonly transactionId: string | undefined;
  readonly messageGroup: string | undefined;
  readonly priority: number | undefined;
}

/** What a body was when it was sent: bytes, text, or a JSON value. */
export type BodyKind = "bytes" | "text" | "json";

/** A checked message, ready to be written as a record. */
export interface MessageDraft {
  topic: string;
  body: Uint8Array;
  flag: number;
  /** As a record holds them, and how many bytes that takes. */
  properties: string;
  propertiesBytes: number;
  msgId: string;
  messageGroup: string | undefined;
  priority?: number | undefined;
  waitStoreMsgOK: boolean;
  /** It may have to go elsewhere first. */
  isDiverted: boolean;
}

/** A copy that is tried again, as the message it is a copy of: in the topic it was sent to, with what its producer gave it. */
export function asSent(message: MessageExt): MessageExt {
  if (message.properties[PROPERTY.RETRY_TOPIC] === undefined) return message;
  const { [PROPERTY.RETRY_TOPIC]: topic, [PROPERTY.ORIGIN_MESSAGE_ID]: _origin, ...properties } = message.properties;
  return Object.assign(Object.create(Object.getPrototypeOf(message) as object) as MessageExt, message, { topic, properties });
}

/** A half message, as it will be when its transaction is committed. */
export function asCommitted(message: MessageExt): MessageExt {
  const { [PROPERTY.REAL_TOPIC]: topic = message.topic, [PROPERTY.REAL_QID]: queueId = "0", ...properties } = message.properties;
  return Object.assign(Object.create(Object.getPrototypeOf(message) as object) as MessageExt, message, { topic, queueId: Number(queueId), properties });
}

/** The same message, tried in vain so many times. */
export function asTried(message: MessageExt, reconsumeTimes: number): MessageExt {
  if (message.reconsumeTimes === reconsumeTimes) return message;
  return Object.assign(Object.create(Object.getPrototypeOf(message) as object) as MessageExt, message, { reconsumeTimes });
}

const FIELDS: ReadonlySet<string> = new Set<keyof Message>([
  "topic", "body", "tags", "keys", "flag", "properties", "messageGroup", "priority", "delayTimeLevel", "deliverAfter", "deliverAt", "waitStoreMsgOK",
]);

export const MAX_SENT_PROPERTIES = MAX_PROPERTIES_BYTES - COPY_PROPERTIES_BYTES;

const TRANSIENT_PREFIX = "__RMQ.TRANSIENT.";

/** The last ms that a Date knows. */
const MAX_TIME = 8.64e15;

const encoder = new TextEncoder();

/**
 * Checks a message and turns it into bytes. Throws MQError: INVALID_PARAMETER or NO_PERMISSION for the topic,
 * MESSAGE_ILLEGAL naming the field for the rest. `system`: properties that only TabMQ itself may set.
 */
export function draftMessage(given: Message, msgId: string, maxBodyBytes: number = MAX_BODY_BYTES, system: readonly (readonly [name: string, value: string])[] = []): MessageDraft {
  if (typeof given !== "object" || given === null) throw illegal("message", "A message is an object with topic and body.");
  // Read once: what a getter says at the check is what is sent.
  const message = { ...given };
  for (const key of Object.keys(message)) {
    if (!FIELDS.has(key)) throw illegal(`message.${key}`, `A message has no field "${key}". Known fields: ${[...FIELDS].join(", ")}.`);
  }
  const { topic } = message;
  checkClientTopic(topic, "message.topic");
  checkSendable(topic, "message.topic");
  const { kind, bytes } = encodeBody(message.body, maxBodyBytes);
  if (bytes.byteLength === 0) throw illegal("message.body", "The body is empty; RocketMQ's rule is at least one byte.");
  if (bytes.byteLength > maxBodyBytes) throw tooLong(`${bytes.byteLength}`, maxBodyBytes);
  const flag = message.flag ?? 0;
  if (typeof flag !== "number" || flag !== (flag | 0)) throw illegal("message.flag", `flag is a 32-bit integer, not ${describe(flag)}.`);
  const waitStoreMsgOK = message.waitStoreMsgOK ?? true;
  if (typeof waitStoreMsgOK !== "boolean") throw illegal("message.waitStoreMsgOK", "waitStoreMsgOK is true or false.");
  if (message.messageGroup !== undefined || message.priority !== undefined) {
    checkExclusive(Object.entries(message).flatMap(([field, value]) => (value === undefined ? [] : [field])), false);
  }
  const priority = draftPriority(message);
  const delay = draftDelay(message);
  const properties = draftProperties(message, msgId, kind, waitStoreMsgOK, delay, system, priority);
  return {
    topic,
    body: bytes,
    flag,
    properties,
    propertiesBytes: checkProperties(properties),
    msgId,
    messageGroup: message.messageGroup,
    priority,
    waitStoreMsgOK,
    isDiverted: delay !== null || system.some(([name]) => name === PROPERTY.TRAN_MSG),
  };
}

function draftProperties(message: Message, msgId: string, kind: BodyKind, waitStoreMsgOK: boolean, delay: [string, string] | null, system: readonly (readonly [string, string])[], priority: number | undefined): string {
  const all: [string, string][] = [];
  if (message.properties !== undefined) {
    if (!isPlain(message.properties)) {
      throw illegal("message.properties", "properties is an object of strings.");
    }
    for (const [name, value] of Object.entries(message.properties)) {
      // RocketMQ's rule: properties with this prefix are for the way through the client and are never stored.
      if (name.startsWith(TRANSIENT_PREFIX)) continue;
      checkUserProperty(name, value, `message.properties.${name}`);
      all.push([name, value]);
    }
  }
  const keys = draftKeys(message.keys);
  if (keys !== "") all.push([PROPERTY.KEYS, keys]);
  if (message.tags !== undefined && message.tags !== "") {
    checkText(message.tags, "message.tags");
    if (message.tags.includes("||")) throw illegal("message.tags", `A message has one tag; "||" separates tags in a subscription.`);
    if (message.tags.trim() !== message.tags) {
      throw illegal("message.tags", `A tag has no white space around it, because no subscription could name it: "${message.tags}".`);
    }
    all.push([PROPERTY.TAGS, message.tags]);
  }
  if (message.messageGroup !== undefined) {
    checkText(message.messageGroup, "message.messageGroup");
    const length = message.messageGroup.length;
    if (length === 0 || length > MAX_MESSAGE_GROUP_LENGTH) {
      throw illegal("message.messageGroup", `messageGroup has 1 to ${MAX_MESSAGE_GROUP_LENGTH} characters, not ${length}.`);
    }
    all.push([PROPERTY.SHARDING_KEY, message.messageGroup]);
  }
  if (priority !== undefined) all.push([PROPERTY.PRIORITY, String(priority)]);
  all.push([PROPERTY.UNIQ_KEY, msgId], [PROPERTY.WAIT, String(waitStoreMsgOK)]);
  if (kind !== "bytes") all.push([PROPERTY.BODY_KIND, kind]);
  if (delay !== null) all.push(delay);
  for (const [name, value] of system) all.push([name, value]);
  return encodeProperties(all);
}

function draftPriority({ priority }: Message): number | undefined {
  if (priority === undefined) return undefined;
  if (typeof priority !== "number" || priority !== (priority | 0) || priority < 0) throw illegal("message.priority", `priority is an integer from 0 on, not ${describe(priority)}.`);
  return priority;
}

/** The property by which the message waits; null = it does not. */
function draftDelay({ delayTimeLevel: level = 0, deliverAfter, deliverAt }: Message): [string, string] | null {
  if (typeof level !== "number" || level !== (level | 0)) throw illegal("message.delayTimeLevel", `delayTimeLevel is a 32-bit integer, not ${describe(level)}.`);
  // RocketMQ's rule: what is below the first level is none.
  if (level > 0) {
    if (deliverAfter !== undefined || deliverAt !== undefined) throw illegal("message.delayTimeLevel", "A message has one time: delayTimeLevel, deliverAfter or deliverAt.");
    return [PROPERTY.DELAY, `${level}`];
  }
  if (deliverAt !== undefined) {
    if (deliverAfter !== undefined) throw illegal("message.deliverAt", "A message has one time: deliverAfter or deliverAt.");
    return draftTime(PROPERTY.TIMER_DELIVER_MS, deliverAt, "message.deliverAt");
  }
  return deliverAfter === undefined ? null : draftTime(PROPERTY.TIMER_DELAY_MS, deliverAfter, "message.deliverAfter");
}

/** Up to whole ms: never early. The broker's clock says whether a time is in the past; what is before 1970, or no delay, surely is, and is as good as its beginning. */
function draftTime(name: string, given: unknown, field: string): [string, string] {
  const isPoint = name === PROPERTY.TIMER_DELIVER_MS;
  const ms = isPoint && given instanceof Date ? given.getTime() : given;
  if (typeof ms !== "number" || Number.isNaN(ms)) throw illegal(field, `${field} is a number of ms${isPoint ? " since 1970, or a Date" : ""}, not ${isPoint && given instanceof Date ? "an invalid Date" : describe(given)}.`);
  if (ms > MAX_TIME) throw illegal(field, `${field} is ${ms}, which is beyond every calendar.`);
  return [name, `${Math.ceil(Math.max(0, ms))}`];
}

function checkProperties(properties: string): number {
  const bytes = utf8Length(properties);
  if (bytes <= MAX_SENT_PROPERTIES) return bytes;
  throw illegal("message.properties", `Properties, tags and keys take ${bytes} bytes together; ${MAX_SENT_PROPERTIES} are allowed.`);
}

function draftKeys(keys: Message["keys"]): string {
  if (keys === undefined) return "";
  const list = Array.isArray(keys) ? keys : [keys];
  for (const key of list) {
    checkText(key, "message.keys");
    if (Array.isArray(keys) && (key.trim() === "" || /\s/.test(key))) {
      throw illegal("message.keys", `A key is not blank and holds no white space (keys are joined by spaces): "${key}".`);
    }
  }
  return list.join(" ").trim();
}

/** Values that end up in the property string may not hold its separators. */
function checkText(value: unknown, field: string): asserts value is string {
  if (typeof value !== "string") throw illegal(field, `${field} is text, not ${typeof value}.`);
  // oxlint-disable-next-line no-control-regex -- the separators are control characters
  if (/[\u0000-\u001f]/.test(value)) throw illegal(field, `${field} holds a control character.`);
  if (!isWellFormed(value)) throw illegal(field, `${field} holds half of a surrogate pair, which UTF-8 cannot write.`);
}

function encodeBody(body: unknown, maxBytes: number): { kind: BodyKind; bytes: Uint8Array } {
  if (typeof body === "string") {
    // No text is shorter in UTF-8 than in UTF-16 units: what is too long already need not be looked at.
    if (body.length > maxBytes) throw tooLong(`at least ${body.length}`, maxBytes);
    if (!isWellFormed(body)) {
      throw illegal("message.body", "The text holds half of a surrogate pair, which UTF-8 cannot write; use bytes for what is not text.");
    }
    return { kind: "text", bytes: encoder.encode(body) };
  }
  if (isUint8Array(body)) return { kind: "bytes", bytes: body };
  if (isArrayBuffer(body)) return { kind: "bytes", bytes: new Uint8Array(body) };
  if (ArrayBuffer.isView(body)) return { kind: "bytes", bytes: new Uint8Array(body.buffer, body.byteOffset, body.byteLength) };
  if (!isJson(body)) {
    throw illegal("message.body", `The body is bytes, text or a JSON value, not ${describe(body)}.`);
  }
  let text: string | undefined;
  try {
    text = JSON.stringify(body);
  } catch (cause) {
    throw new MQError("MESSAGE_ILLEGAL", "The body cannot be written as JSON.", { field: "message.body", cause });
  }
  if (text === undefined) throw illegal("message.body", "The body cannot be written as JSON.");
  return { kind: "json", bytes: encoder.encode(text) };
}

/** JSON.stringify would turn a Map, a Blob or a Promise into "{}" and so lose it without a word. */
function isJson(body: unknown): boolean {
  if (typeof body === "number") return Number.isFinite(body);
  if (typeof body === "boolean") return true;
  if (body === null) return true;
  if (typeof body !== "object") return false;
  return Array.isArray(body) || "toJSON" in body || isPlain(body);
}

/** An object literal, of whatever realm. */
function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "object") return `a ${value.constructor?.name ?? "object"}`;
  return typeof value === "number" ? String(value) : `a ${typeof value}`;
}

function tooLong(bytes: string, maxBytes: number): MQError {
  return illegal("message.body", `The body has ${bytes} bytes; the limit is ${maxBytes}.`);
}

function illegal(field: string, message: string): MQError {
  return new MQError("MESSAGE_ILLEGAL", message, { field });
}
