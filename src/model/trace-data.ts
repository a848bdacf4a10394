import { MAX_ERROR_TEXT, MAX_TRACE_BYTES } from "./limits.ts";
import type { TransactionState } from "./transaction.ts";

/**
 * What a trace message's body says: records, their fields divided by U+0001, each ended by U+0002. Source: RocketMQ
 * client/trace/TraceDataEncoder. Fields in brackets are ours, behind RocketMQ's own, where its decoders do not look:
 *
 * | record         | fields |
 * |----------------|--------|
 * | SubBefore      | type, time, region, group, requestId, msgId, retryTimes, keys [, deliverTime] |
 * | SubAfter       | type, requestId, msgId, costTime, success, keys, contextCode, time, group [, retryTimes, deliverTime, reason] |
 * | EndTransaction | type, time, region, group, topic, msgId, tags, keys, storeHost, msgType, transactionId, state, fromCheck |
 * | Recall         | type, time, region, group, topic, msgId, success |
 * | Discard        | type, time, region, group, msgId: ours; a dead letter of the group is given to nobody any more |
 * | Producer       | type, time, region, group, prefix: ours; the messages whose ids begin so are that group's, and the client's who says it |
 *
 * There is no Pub: when a message was sent and stored its own record says. Region, keys and storeHost stay empty, for the same reason.
 */
const FIELD_END = "\u0001";
const RECORD_END = "\u0002";
const MAX_FIELDS = 16;
const MAX_FIELD_LENGTH = 512;
/** RocketMQ's ordinal of MessageType.Trans_Msg_Half. */
const HALF_MESSAGE = 1;

/** How a listener came back; in a record its place in this list. RocketMQ's ConsumeReturnType. */
export const CONSUME_RETURN_TYPES = ["SUCCESS", "TIME_OUT", "EXCEPTION", "RETURNNULL", "FAILED"] as const;
/** How a try of a listener has ended, as a trace says it. */
export type ConsumeReturnType = (typeof CONSUME_RETURN_TYPES)[number];

/** RocketMQ's names in a record. */
const STATE_NAMES = { COMMIT: "COMMIT_MESSAGE", ROLLBACK: "ROLLBACK_MESSAGE", UNKNOWN: "UNKNOW" } as const;

/** A consumer has begun with a message. Times are ms since 1970. */
export interface SubBefore {
  type: "SubBefore";
  time: number;
  group: string;
  /** The same in both records of one try. */
  requestId: string;
  msgId: string;
  retryTimes: number;
  /** When the message came to the consumer. */
  deliverTime: number;
}

/** It has come back. */
export interface SubAfter {
  type: "SubAfter";
  requestId: string;
  msgId: string;
  /** ms */
  costTime: number;
  success: boolean;
  returnType: ConsumeReturnType;
  time: number;
  group: string;
  retryTimes: number;
  deliverTime: number;
  /** Why it failed. */
  reason: string;
}

export interface EndTransaction {
  type: "EndTransaction";
  time: number;
  group: string;
  topic: string;
  msgId: string;
  transactionId: string;
  state: TransactionState;
  /** The producer was asked. */
  fromCheck: boolean;
}

export interface Recall {
  type: "Recall";
  time: number;
  group: string;
  topic: string;
  msgId: string;
  success: boolean;
}

/** A dead letter was discarded. */
export interface Discard {
  type: "Discard";
  time: number;
  group: string;
  msgId: string;
}

/** Who makes the ids with this prefix. */
interface ProducerNote {
  type: "Producer";
  time: number;
  group: string;
  prefix: string;
}

export type TraceRecord = SubBefore | SubAfter | EndTransaction | Recall | Discard | ProducerNote;

/** What the record is about: a message, or the prefix of many. The key under which it is found. */
export function traceKey(record: TraceRecord): string {
  return record.type === "Producer" ? record.prefix : record.msgId;
}

/** No id of ours: it would not be found, or be taken for several fields. */
export function isTraceable(record: TraceRecord): boolean {
  return /^[\w-]{1,64}$/.test(traceKey(record));
}

export function encodeTrace(record: TraceRecord): string {
  switch (record.type) {
    case "SubBefore":
      return join("SubBefore", record.time, "", record.group, record.requestId, record.msgId, record.retryTimes, "", record.deliverTime);
    case "SubAfter": {
      const { requestId, msgId, costTime, success, returnType, time, group, retryTimes, deliverTime, reason } = record;
      const own = reason === "" ? [retryTimes, deliverTime] : [retryTimes, deliverTime, plain(reason)];
      return join("SubAfter", requestId, msgId, costTime, success, "", CONSUME_RETURN_TYPES.indexOf(returnType), time, group, ...own);
    }
    case "EndTransaction": {
      const { time, group, topic, msgId, transactionId, state, fromCheck } = record;
      return join("EndTransaction", time, "", group, topic, msgId, "", "", "", HALF_MESSAGE, transactionId, STATE_NAMES[state], fromCheck);
    }
    case "Recall":
      return join("Recall", record.time, "", record.group, record.topic, record.msgId, record.success);
    case "Discard":
      return join("Discard", record.time, "", record.group, record.msgId);
    case "Producer":
      return join("Producer", record.time, "", record.group, record.prefix);
  }
}

/**
 * The records of a body that are about one of these keys. Anybody may send to the topic: what is no such record is left
 * out, whatever it is.
 */
export function decodeTrace(body: string, isWanted: (key: string) => boolean): TraceRecord[] {
  const records: TraceRecord[] = [];
  for (const text of body.slice(0, MAX_TRACE_BYTES).split(RECORD_END)) {
    const fields = new Fields(text);
    const record = decodeRecord(fields);
    if (record !== null && !fields.isBroken && isWanted(traceKey(record))) records.push(record);
  }
  return records;
}

function decodeRecord(at: Fields): TraceRecord | null {
  switch (at.type) {
    case "SubBefore":
      return { type: at.type, time: at.count(1), group: at.text(3), requestId: at.text(4), msgId: at.text(5), retryTimes: at.count(6), deliverTime: at.count(8, at.count(1)) };
    case "SubAfter": {
      const [costTime, time] = [at.count(3), at.count(7)];
      return {
        type: at.type, requestId: at.text(1), msgId: at.text(2), costTime, success: at.flag(4), returnType: CONSUME_RETURN_TYPES[at.count(6)] ?? "FAILED", time, group: at.text(8),
        retryTimes: at.count(9, 0), deliverTime: at.count(10, Math.max(0, time - costTime)), reason: at.text(11, ""),
      };
    }
    case "EndTransaction":
      return { type: at.type, time: at.count(1), group: at.text(3), topic: at.text(4), msgId: at.text(5), transactionId: at.text(10, ""), state: at.state(11), fromCheck: at.flag(12) };
    case "Recall":
      return { type: at.type, time: at.count(1), group: at.text(3), topic: at.text(4), msgId: at.text(5), success: at.flag(6) };
    case "Discard":
      return { type: at.type, time: at.count(1), group: at.text(3), msgId: at.text(4) };
    case "Producer":
      return { type: at.type, time: at.count(1), group: at.text(3), prefix: at.text(4) };
    default:
      return null;
  }
}

/** Of one record; `isBroken` once something was read that cannot be. */
class Fields {
  isBroken = false;
  readonly #fields: string[];

  constructor(text: string) {
    this.#fields = text.split(FIELD_END, MAX_FIELDS);
  }

  get type(): string {
    return this.#fields[0]!;
  }

  /** `otherwise`: what it is where the record ends before. */
  text(at: number, otherwise?: string): string {
    const text = this.#fields[at] ?? otherwise;
    this.isBroken ||= text === undefined || (text === "" && otherwise === undefined) || text.length > MAX_FIELD_LENGTH;
    return text ?? "";
  }

  count(at: number, otherwise?: number): number {
    const text = this.#fields[at] ?? "";
    if (text === "" && otherwise !== undefined) return otherwise;
    this.isBroken ||= !/^\d{1,15}$/.test(text);
    return Number(text);
  }

  flag(at: number): boolean {
    const text = this.#fields[at];
    this.isBroken ||= text !== "true" && text !== "false";
    return text === "true";
  }

  state(at: number): TransactionState {
    const states = Object.keys(STATE_NAMES) as TransactionState[];
    const state = states.find((known) => STATE_NAMES[known] === this.#fields[at]);
    this.isBroken ||= state === undefined;
    return state ?? "UNKNOWN";
  }
}

function join(...fields: (string | number | boolean)[]): string {
  return fields.join(FIELD_END) + RECORD_END;
}

/** Whatever an error says, as a field. */
function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the separators are control characters
  return text.slice(0, MAX_ERROR_TEXT).replace(/[\u0000-\u001f]/g, " ");
}
