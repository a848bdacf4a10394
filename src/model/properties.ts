import { MQError } from "./errors.ts";
import { isWellFormed } from "./text.ts";

/** Between a name and its value. */
export const NAME_END = "\u0001";
/** Behind a value. */
export const VALUE_END = "\u0002";

/** Names of properties that the system itself reads or writes. Source: RocketMQ common/message/MessageConst.java. */
export const PROPERTY = {
  TAGS: "TAGS",
  /** Joined by one space. */
  KEYS: "KEYS",
  UNIQ_KEY: "UNIQ_KEY",
  /** waitStoreMsgOK, `"true"` or `"false"`. */
  WAIT: "WAIT",
  /** messageGroup. Not reserved, as in RocketMQ. */
  SHARDING_KEY: "__SHARDINGKEY",
  PRIORITY: "_SYS_MSG_PRIORITY_",
  /** Of a request, and of the reply to it: which request it is, who waits for the reply, for how long (ms). */
  CORRELATION_ID: "CORRELATION_ID",
  REPLY_TO_CLIENT: "REPLY_TO_CLIENT",
  TTL: "TTL",
  /** Of a request: the cluster whose reply topic its reply is for. */
  CLUSTER: "CLUSTER",
  /** Of a reply: "reply". */
  MSG_TYPE: "MSG_TYPE",
  /** The level of a message that waits for its time. */
  DELAY: "DELAY",
  /** When a message is to be delivered, as its producer says: in so many seconds or ms, or at a time, ms since 1970. */
  TIMER_DELAY_SEC: "TIMER_DELAY_SEC",
  TIMER_DELAY_MS: "TIMER_DELAY_MS",
  TIMER_DELIVER_MS: "TIMER_DELIVER_MS",
  /** Of a message that waits for a time of its own: that time; and how often it was moved to the end of the log. */
  TIMER_OUT_MS: "TIMER_OUT_MS",
  TIMER_ROLL_TIMES: "TIMER_ROLL_TIMES",
  /** Where it goes then. */
  REAL_TOPIC: "REAL_TOPIC",
  REAL_QID: "REAL_QID",
  /** `"true"`: a half message; and its producer group. */
  TRAN_MSG: "TRAN_MSG",
  PGROUP: "PGROUP",
  /** How often a transaction was checked in vain. */
  TRANSACTION_CHECK_TIMES: "TRANSACTION_CHECK_TIMES",
  /** Of a copy that is tried again, and of a dead letter: the topic it was sent to. */
  RETRY_TOPIC: "RETRY_TOPIC",
  /** offsetMsgId of the first copy. */
  ORIGIN_MESSAGE_ID: "ORIGIN_MESSAGE_ID",
  DLQ_ORIGIN_TOPIC: "DLQ_ORIGIN_TOPIC",
  DLQ_ORIGIN_MESSAGE_ID: "DLQ_ORIGIN_MESSAGE_ID",
  /** Ours: the kind of `body` the message was sent with. */
  BODY_KIND: "__TABMQ_BODY",
  /** Ours: the message that this copy takes the place of, see finish.ts. */
  FINISHES: "__TABMQ_FINISHES",
  /** Ours: the messages whose listener has sent this one, see completion.ts. */
  COMPLETES: "__TABMQ_COMPLETES",
  /** Ours: which one it is of those that its producer has sent to the queue, see sequence.ts. */
  SEQUENCE: "__TABMQ_SEQUENCE",
  /** Ours: how a transaction ended, in its op record. */
  TRANSACTION_OUTCOME: "__TABMQ_TRANSACTION_OUTCOME",
  /** Ours: why a dead letter's last try failed. */
  DLQ_ERROR: "DLQ_ERROR",
} as const;

/** Names a user may not set: MessageConst.STRING_HASH_SET, and our own. */
export const RESERVED_PROPERTIES: ReadonlySet<string> = new Set([
  "KEYS",
  "TAGS",
  "WAIT",
  "DELAY",
  "RETRY_TOPIC",
  "REAL_TOPIC",
  "REAL_QID",
  "TRAN_MSG",
  "PGROUP",
  "MIN_OFFSET",
  "MAX_OFFSET",
  "BUYER_ID",
  "ORIGIN_MESSAGE_ID",
  "TRANSFER_FLAG",
  "CORRECTION_FLAG",
  "MQ2_FLAG",
  "RECONSUME_TIME",
  "MSG_REGION",
  "TRACE_ON",
  "UNIQ_KEY",
  "EXTEND_UNIQ_INFO",
  "MAX_RECONSUME_TIMES",
  "CONSUME_START_TIME",
  "DUP_INFO",
  "TRAN_PREPARED_QUEUE_OFFSET",
  "INSTANCE_ID",
  "CORRELATION_ID",
  "REPLY_TO_CLIENT",
  "TTL",
  "ARRIVE_TIME",
  "PUSH_REPLY_TIME",
  "CLUSTER",
  "MSG_TYPE",
  "POP_CK",
  "POP_CK_OFFSET",
  "1ST_POP_TIME",
  "INNER_MULTI_QUEUE_OFFSET",
  "TIMER_DELAY_MS",
  "TIMER_DELAY_SEC",
  "TIMER_DELIVER_MS",
  "TIMER_ENQUEUE_MS",
  "TIMER_DEQUEUE_MS",
  "TIMER_ROLL_TIMES",
  "TIMER_OUT_MS",
  "TIMER_DEL_UNIQKEY",
  "TIMER_DELAY_LEVEL",
  "__BORNHOST",
  "BORN_TIMESTAMP",
  "DLQ_ORIGIN_TOPIC",
  "DLQ_ORIGIN_MESSAGE_ID",
  "__CRC32#",
  PROPERTY.PRIORITY,
  PROPERTY.BODY_KIND,
  PROPERTY.FINISHES,
  PROPERTY.COMPLETES,
  PROPERTY.DLQ_ERROR,
  PROPERTY.SEQUENCE,
  PROPERTY.TRANSACTION_OUTCOME,
]);

function isIterable(properties: object): properties is Iterable<readonly [string, string]> {
  return Symbol.iterator in properties;
}

/**
 * The property string of a record: name U+0001 value U+0002, for each property in order.
 * Properties without a name or a value are left out, because a decoder would drop them.
 * Names and values hold no separators: `checkUserProperty` has seen to it. The limit of MAX_PROPERTIES_BYTES is the caller's to check.
 */
export function encodeProperties(properties: Readonly<Record<string, string>> | Iterable<readonly [string, string]>): string {
  let text = "";
  for (const [name, value] of isIterable(properties) ? properties : Object.entries(properties)) {
    if (name && value) text += name + NAME_END + value + VALUE_END;
  }
  return text;
}

/**
 * The inverse of `encodeProperties`, for any text: the last of equal names wins, entries without a name or a value are dropped, a second
 * U+0001 belongs to the value. The result has no prototype, so every name is plain data, `__proto__` and `constructor` too.
 * Source: RocketMQ common/message/MessageDecoder.string2messageProperties.
 */
export function decodeProperties(text: string): Record<string, string> {
  const properties = Object.create(null) as Record<string, string>;
  eachProperty(text, (name, value) => void (properties[name] = value));
  return properties;
}

/** The same, one after the other: of equal names the last is the one that counts. */
export function eachProperty(text: string, take: (name: string, value: string) => void): void {
  let nameEnd = -1;
  for (let start = 0; start < text.length; ) {
    // Searched for again only when passed: entries without U+0001 must not make this quadratic.
    if (nameEnd < start) nameEnd = text.indexOf(NAME_END, start);
    if (nameEnd < 0) break;
    const found = text.indexOf(VALUE_END, start);
    const end = found < 0 ? text.length : found;
    if (nameEnd > start && nameEnd < end - 1) take(text.slice(start, nameEnd), text.slice(nameEnd + 1, end));
    start = end + 1;
  }
}

/** Blank as Java's `trim().isEmpty()` has it. */
// oxlint-disable-next-line no-control-regex -- Java trims control characters
const BLANK = /^[\u0000-\u0020]*$/;
// oxlint-disable-next-line no-control-regex -- the separators are control characters
const SEPARATORS = /[\u0001\u0002]/;

function checkPart(text: unknown, what: string, field: string): asserts text is string {
  if (text !== null && text !== undefined && typeof text !== "string") {
    throw new MQError("MESSAGE_ILLEGAL", `${field}: a property's ${what} must be a string, not ${typeof text}.`, { field });
  }
  // Before the blank check, because a lone separator would count as blank.
  if (text && SEPARATORS.test(text)) {
    throw new MQError("MESSAGE_ILLEGAL", `${field}: a property's ${what} must not contain U+0001 or U+0002, which separate properties when stored.`, { field });
  }
  if (text && !isWellFormed(text)) {
    throw new MQError("MESSAGE_ILLEGAL", `${field}: a property's ${what} must not hold half of a surrogate pair, which UTF-8 cannot write.`, { field });
  }
  if (!text || BLANK.test(text)) throw new MQError("MESSAGE_ILLEGAL", `${field}: a property's ${what} must not be blank.`, { field });
}

/**
 * The rule for a property that a user sets.
 * @throws MQError MESSAGE_ILLEGAL with `field`: a blank or reserved name, a blank value, a separator in either
 */
export function checkUserProperty(name: unknown, value: unknown, field: string): void {
  checkPart(name, "name", field);
  if (RESERVED_PROPERTIES.has(name)) {
    throw new MQError("MESSAGE_ILLEGAL", `${field}: the property name ${name} is reserved for the system; choose another name.`, { field });
  }
  checkPart(value, "value", field);
}
