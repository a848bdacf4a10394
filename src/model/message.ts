import { MQError } from "./errors.ts";
import { COPY_PROPERTIES_BYTES, MAX_BODY_BYTES, MAX_MESSAGE_GROUP_LENGTH, MAX_PROPERTIES_BYTES } from "./limits.ts";
import { checkClientTopic, checkSendable } from "./names.ts";
import { PROPERTY, checkUserProperty, encodeProperties } from "./properties.ts";
import { isWellFormed, utf8Length } from "./text.ts";

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** A value of an interface type is no JsonValue to TypeScript, because interfaces have no index signature; it is checked when it is sent. */
export type JsonObject = object;

/** What an application sends. */
export interface Message {
  topic: string;
  /** Stored as bytes; what it was is remembered: bytes, text (a string, UTF-8) or JSON (everything else). Never empty. */
  body: Uint8Array | ArrayBuffer | string | JsonValue | JsonObject;
  /** One tag, for filtering. */
  tags?: string;
  /** Business keys. A string is split at spaces, as in RocketMQ. */
  keys?: string | string[];
  /** A 32-bit integer for the application; the broker does not look at it. */
  flag?: number;
  properties?: Record<string, string>;
  /** Messages of one group go to one queue and so stay in order. */
  messageGroup?: string;
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
}

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
  waitStoreMsgOK: boolean;
}

/** A copy that is tried again, as the message it is a copy of: in the topic it was sent to, with what its producer gave it. */
export function asSent(message: MessageExt): MessageExt {
  if (message.properties[PROPERTY.RETRY_TOPIC] === undefined) return message;
  const { [PROPERTY.RETRY_TOPIC]: topic, [PROPERTY.ORIGIN_MESSAGE_ID]: _origin, ...properties } = message.properties;
  return Object.assign(Object.create(Object.getPrototypeOf(message) as object) as MessageExt, message, { topic, properties });
}

/** The same message, tried in vain so many times. */
export function asTried(message: MessageExt, reconsumeTimes: number): MessageExt {
  if (message.reconsumeTimes === reconsumeTimes) return message;
  return Object.assign(Object.create(Object.getPrototypeOf(message) as object) as MessageExt, message, { reconsumeTimes });
}

const FIELDS: ReadonlySet<string> = new Set<keyof Message>([
  "topic", "body", "tags", "keys", "flag", "properties", "messageGroup", "waitStoreMsgOK",
]);

export const MAX_SENT_PROPERTIES = MAX_PROPERTIES_BYTES - COPY_PROPERTIES_BYTES;

const TRANSIENT_PREFIX = "__RMQ.TRANSIENT.";

const encoder = new TextEncoder();

/**
 * Checks a message and turns it into bytes. Throws MQError: INVALID_PARAMETER or NO_PERMISSION for the topic,
 * MESSAGE_ILLEGAL naming the field for the rest.
 */
export function draftMessage(given: Message, msgId: string, maxBodyBytes: number = MAX_BODY_BYTES): MessageDraft {
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
  const properties = draftProperties(message, msgId, kind, waitStoreMsgOK);
  return {
    topic,
    body: bytes,
    flag,
    properties,
    propertiesBytes: checkProperties(properties),
    msgId,
    messageGroup: message.messageGroup,
    waitStoreMsgOK,
  };
}

function draftProperties(message: Message, msgId: string, kind: BodyKind, waitStoreMsgOK: boolean): string {
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
  all.push([PROPERTY.UNIQ_KEY, msgId], [PROPERTY.WAIT, String(waitStoreMsgOK)]);
  if (kind !== "bytes") all.push([PROPERTY.BODY_KIND, kind]);
  return encodeProperties(all);
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
  if (body instanceof Uint8Array) return { kind: "bytes", bytes: body };
  if (body instanceof ArrayBuffer) return { kind: "bytes", bytes: new Uint8Array(body) };
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
