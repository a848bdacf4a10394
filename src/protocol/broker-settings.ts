import { DEFAULT_MESSAGE_DELAY_LEVEL, parseDelayLevels } from "../model/delay-level.ts";
import { MAX_BODY_BYTES, MAX_EXPRESSION_LENGTH, MAX_FLUSH_TIMEOUT, MAX_QUEUES_PER_TOPIC, MAX_TIMER_DELAY, MIN_STORE_BYTES } from "../model/limits.ts";
import { parseDeleteWhen } from "../model/retention.ts";
import { MQError } from "../model/errors.ts";
import { boolean, integer, oneOf, optional, record, text } from "./validate.ts";

/** Broker settings a client may bring along; the running broker's win. RocketMQ's names. */
export interface BrokerSettings {
  /** Of a topic that comes into being by a send, or that does not say. Default 4. */
  defaultTopicQueueNums: number;
  /** Whether a topic comes into being at the first send to it. Default true. */
  autoCreateTopicEnable: boolean;
  /** Whether a group comes into being when its first consumer joins. */
  autoCreateSubscriptionGroup: boolean;
  /** Of a body, and of a batch together, bytes. Default 4 MiB, and never more. */
  maxMessageSize: number;
  /**
   * `sync`: a commit is complete when the device has it. `async`: when the operating system has it, which a crash of
   * the browser does not take away, and a power cut may.
   */
  flushDiskType: FlushDiskType;
  /** A send whose commit takes longer, ms, is answered FLUSH_DISK_TIMEOUT and stays queued. */
  syncFlushTimeout: number;
  /** How long messages are kept, consumed or not, ms. Whole blocks go when their newest message is older. */
  fileReservedTime: number;
  /** Hours of the day, local time, at which what has expired is deleted, divided by ";". Empty = any hour. */
  deleteWhen: string;
  /** The log's bytes above which the oldest blocks go at once; 0 = as much as the browser's quota allows. */
  maxStoreBytes: number;
  /** The delay levels, as text: numbers with one of the units ms, s, m, h, d, divided by spaces. */
  messageDelayLevel: string;
  /** How far ahead a message may be that is to be delivered at a time of its own, ms. */
  timerMaxDelay: number;
  /** How old a transaction is at least, ms, before a member of its producer group is asked how it ended. */
  transactionTimeout: number;
  /** From one such check to the next, ms. */
  transactionCheckInterval: number;
  /** Checks after which a transaction is rolled back that nobody could decide. */
  transactionCheckMax: number;
  /** Whether this tab's consumers may bring filters in WebAssembly. Each tab asks for itself; no other tab gets it by that. */
  enableWasmFilter: boolean;
  /** Whether tabs write to RMQ_SYS_TRACE_TOPIC what `admin.messageTrace` tells besides what the log says: who has sent and consumed what, with which result. */
  traceEnable: boolean;
}

/** When a send is answered: `sync`, when the message is flushed to the device; `async`, before. */
export type FlushDiskType = "sync" | "async";

/** The broker's settings where nobody has said otherwise. */
export const DEFAULT_BROKER_SETTINGS: Readonly<BrokerSettings> = {
  defaultTopicQueueNums: 4,
  autoCreateTopicEnable: true,
  autoCreateSubscriptionGroup: true,
  maxMessageSize: MAX_BODY_BYTES,
  flushDiskType: "sync",
  syncFlushTimeout: 5000,
  fileReservedTime: 72 * 3_600_000,
  deleteWhen: "",
  maxStoreBytes: 0,
  messageDelayLevel: DEFAULT_MESSAGE_DELAY_LEVEL,
  timerMaxDelay: 30 * 24 * 3_600_000,
  transactionTimeout: 6000,
  transactionCheckInterval: 30_000,
  transactionCheckMax: 15,
  enableWasmFilter: false,
  traceEnable: true,
};

/** What may change while the broker runs. */
export type MutableSettings = Omit<BrokerSettings, "maxMessageSize" | "messageDelayLevel" | "enableWasmFilter" | "traceEnable">;

const mutable = {
  defaultTopicQueueNums: optional(integer(1, MAX_QUEUES_PER_TOPIC)),
  autoCreateTopicEnable: optional(boolean),
  autoCreateSubscriptionGroup: optional(boolean),
  flushDiskType: optional(oneOf("sync", "async")),
  syncFlushTimeout: optional(integer(1, MAX_FLUSH_TIMEOUT)),
  fileReservedTime: optional(integer(1, Number.MAX_SAFE_INTEGER)),
  deleteWhen: optional(deleteWhen),
  maxStoreBytes: optional(storeBytes),
  timerMaxDelay: optional(integer(0, MAX_TIMER_DELAY)),
  transactionTimeout: optional(integer(1, MAX_FLUSH_TIMEOUT)),
  transactionCheckInterval: optional(integer(1, MAX_FLUSH_TIMEOUT)),
  transactionCheckMax: optional(integer(1, 1000)),
};

/** Checked where they are given, because not everything can be sent, and where they arrive. */
export const brokerSettings = record({
  ...mutable,
  maxMessageSize: optional(integer(1, MAX_BODY_BYTES)),
  messageDelayLevel: optional(delayLevels),
  enableWasmFilter: optional(boolean),
  traceEnable: optional(boolean),
});
export const mutableSettings = record(mutable);

function deleteWhen(value: unknown, field: string): string {
  const hours = text(100)(value, field);
  if (parseDeleteWhen(hours) === null) throw new MQError("INVALID_PARAMETER", `${field} must be hours from 0 to 23, divided by ";".`, { field });
  return hours;
}

function delayLevels(value: unknown, field: string): string {
  const levels = text(MAX_EXPRESSION_LENGTH)(value, field);
  parseDelayLevels(levels, field);
  return levels;
}

function storeBytes(value: unknown, field: string): number {
  return value === 0 ? 0 : integer(MIN_STORE_BYTES, Number.MAX_SAFE_INTEGER)(value, field);
}
