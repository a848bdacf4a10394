import { asMQError } from "../model/errors.ts";
import { finishOf } from "../model/finish.ts";
import { MAX_CLIENT_ID_LENGTH, MAX_QUERY_MESSAGES, MAX_TRACE_EVENTS, MAX_TRACED_BYTES, MAX_TRACED_RECORDS } from "../model/limits.ts";
import { ID_PREFIX_LENGTH, offsetMsgId } from "../model/message-id.ts";
import { DLQ_TOPIC_PREFIX, RETRY_TOPIC_PREFIX } from "../model/names.ts";
import { DLQ_GROUP, HALF_TOPIC, OP_TOPIC, SYSTEM_GROUP_PREFIX, TRACE_TOPIC, TRANS_CHECK_MAX_TIME_TOPIC } from "../model/system-names.ts";
import { PROPERTY } from "../model/properties.ts";
import { RECORD, readInt64 } from "../model/record.ts";
import { readAllStored, type StoredRecord } from "../model/record-copy.ts";
import { BROKER_ADDRESS } from "../model/record-codec.ts";
import { type ConsumeReturnType, decodeTrace, type SubAfter, type SubBefore, type TraceRecord } from "../model/trace-data.ts";
import type { TransactionState } from "../model/transaction.ts";
import { outcomeIn } from "../model/transaction-op.ts";
import type { QueryReply } from "../protocol/api.ts";
import type { Connection } from "./connection.ts";

/** Times are ms since 1970. */
interface Happening {
  time: number;
}

interface Told extends Happening {
  group: string;
  /** Undefined = whoever has told it has not said. */
  clientId?: string;
}

/** Where a record of the message stands. */
interface Stored extends Happening {
  topic: string;
  queueId: number;
  queueOffset: number;
  offsetMsgId: string;
}

/** Something that has happened to a message. Times are ms since 1970. */
export type TraceEvent =
  /** By its producer, who is known for as long as the trace of the producer's start is kept. */
  | (Happening & { type: "SEND"; group?: string; clientId?: string })
  /** In a queue: where it was sent to, or where it waits, for its time, its transaction or a retry. */
  | (Stored & { type: "STORE" })
  /** It came to a consumer. */
  | (Told & { type: "DELIVER" })
  /** One try. Without `costTime`: nobody has told that it has ended. */
  | (Told & { type: "CONSUME"; attempt: number; costTime?: number; success?: boolean; returnType?: ConsumeReturnType; reason?: string })
  /** Its group will try again, for the `reconsumeTimes`th time. */
  | (Stored & { type: "RETRY"; group: string; reconsumeTimes: number })
  /** Its group has given up. */
  | (Stored & { type: "DEAD_LETTER"; group: string; reconsumeTimes: number; reason?: string })
  /** A dead letter goes to its group once more. */
  | (Stored & { type: "RESEND"; group: string })
  | (Happening & { type: "END_TRANSACTION"; transactionState: TransactionState; group?: string; clientId?: string; fromCheck?: boolean })
  | (Told & { type: "RECALL"; success: boolean })
  /** A dead letter is given to nobody any more. */
  | (Told & { type: "DISCARD" });

/** What can happen to a message. */
export type TraceEventType = TraceEvent["type"];

/** What is known of one message, in the order of its times. */
export interface MessageTrace {
  msgId: string;
  /** Where it was sent to; undefined = its record is not there any more, or never was. */
  topic?: string;
  producer?: { clientId: string; group: string };
  /** Empty when nobody knows the id. */
  events: TraceEvent[];
}

/** What happens in the same ms comes in this order. */
const ORDER: readonly TraceEventType[] = ["SEND", "STORE", "END_TRANSACTION", "RECALL", "DELIVER", "CONSUME", "RETRY", "DEAD_LETTER", "RESEND", "DISCARD"];

/** Reads what the log and the trace topic say of a message. Bounded: of a message with more than a thousand records the newest are told. */
export async function messageTrace(connection: Connection, msgId: string): Promise<MessageTrace> {
  const producer = await producerOf(connection, msgId);
  const stored: TraceEvent[][] = [];
  let topic: string | undefined;
  let isHalf = false;
  for await (const copy of recordsOf(connection, null, msgId)) {
    stored.push(eventsOf(copy, producer));
    const target = targetOf(copy);
    // Any copy that is not a group's own says where the message was sent to; of a retry, a property.
    if (!target.startsWith("%")) topic = target;
    else topic ??= copy.properties[PROPERTY.RETRY_TOPIC];
    isHalf ||= copy.topic === HALF_TOPIC;
  }
  if (isHalf) for await (const op of recordsOf(connection, OP_TOPIC, msgId)) stored.push(eventsOf(op, producer));
  const traced = await tracesOf(connection, msgId);
  // The newest were read first.
  const events = withoutRepeated(decidedOnce([...stored.reverse().flat(), ...consumptions(traced), ...decisions(traced)]));
  // A stable sort: what the log says in one ms stays in the log's order.
  events.sort((a, b) => a.time - b.time || ORDER.indexOf(a.type) - ORDER.indexOf(b.type));
  return { msgId, ...(topic !== undefined && { topic }), ...(producer !== undefined && { producer }), events };
}

/** The newest first; no more than so many, and no more of them than so many bytes. */
async function* recordsOf(connection: Connection, topic: string | null, key: string, maxBytes = Number.POSITIVE_INFINITY): AsyncGenerator<StoredRecord> {
  let count = 0;
  let bytes = 0;
  for (let before: number | null = null; ; ) {
    const reply: QueryReply = await connection.call("queryMessages", [{ topic, key, max: MAX_QUERY_MESSAGES, begin: 0, end: Number.MAX_SAFE_INTEGER, before }]);
    for (const record of readAllStored(reply.records)) {
      yield record;
      bytes += record.bytes.byteLength;
      if (++count >= MAX_TRACED_RECORDS || bytes >= maxBytes) return;
    }
    before = reply.next;
    if (before === null) return;
  }
}

type TracedRecord = TraceRecord & { clientId: string | undefined };

/** What the trace topic says of a key, the oldest first. */
async function tracesOf(connection: Connection, key: string, minOffset?: number): Promise<TracedRecord[]> {
  const begin = minOffset ?? (await traceBegin(connection));
  const found: TracedRecord[] = [];
  for await (const message of recordsOf(connection, TRACE_TOPIC, key, MAX_TRACED_BYTES)) {
    if (message.queueOffset < begin) break;
    const clientId = clientIdOf(message);
    const records = decodeTrace(bodyOf(message), (about) => about === key).map((record) => ({ ...record, clientId }));
    found.push(...records.slice(0, MAX_TRACE_EVENTS - found.length).reverse());
    if (found.length >= MAX_TRACE_EVENTS) break;
  }
  return found.reverse();
}

/** What was before has been deleted, although its records are still in the log. */
async function traceBegin(connection: Connection): Promise<number> {
  try {
    return (await connection.call("topicStats", [TRACE_TOPIC])).queues[0]?.minOffset ?? 0;
  } catch (error) {
    if (asMQError(error).code === "TOPIC_NOT_EXIST") return 0;
    throw error;
  }
}

/** Who has told first, is it: nobody else knows the prefix before its first message is stored. */
async function producerOf(connection: Connection, msgId: string): Promise<MessageTrace["producer"]> {
  const notes = await tracesOf(connection, msgId.slice(0, ID_PREFIX_LENGTH), 0);
  const note = notes.find((record) => record.type === "Producer");
  return note?.clientId === undefined ? undefined : { clientId: note.clientId, group: note.group };
}

/** A try is told by two records or by one. */
function* consumptions(records: readonly TracedRecord[]): Generator<TraceEvent> {
  const tries = new Map<string, { before?: TracedRecord & SubBefore; after?: TracedRecord & SubAfter }>();
  for (const record of records) {
    if (record.type !== "SubBefore" && record.type !== "SubAfter") continue;
    const key = `${record.clientId} ${record.requestId}`;
    const known = tries.get(key);
    tries.set(key, record.type === "SubBefore" ? { ...known, before: record } : { ...known, after: record });
  }
  for (const { before, after } of tries.values()) {
    const { group, clientId, deliverTime, retryTimes } = (after ?? before)!;
    const who = { group, ...(clientId !== undefined && { clientId }) };
    yield { type: "DELIVER", time: deliverTime, ...who };
    const time = after === undefined ? before!.time : Math.max(0, after.time - after.costTime);
    const { costTime, success, returnType, reason = "" } = after ?? {};
    yield {
      type: "CONSUME", time, ...who, attempt: retryTimes + 1,
      ...(costTime !== undefined && { costTime }), ...(success !== undefined && { success }), ...(returnType !== undefined && { returnType }), ...(reason !== "" && { reason }),
    };
  }
}

function* decisions(records: readonly TracedRecord[]): Generator<TraceEvent> {
  for (const record of records) {
    const { time, clientId } = record;
    const who = { time, group: record.group, ...(clientId !== undefined && { clientId }) };
    if (record.type === "EndTransaction") yield { type: "END_TRANSACTION", ...who, transactionState: record.state, fromCheck: record.fromCheck };
    if (record.type === "Recall") yield { type: "RECALL", ...who, success: record.success };
    if (record.type === "Discard") yield { type: "DISCARD", ...who };
  }
}

/** What one record of the log says by standing where it stands. */
function eventsOf(copy: StoredRecord, producer: MessageTrace["producer"]): TraceEvent[] {
  const { topic, queueId, queueOffset, storeTimestamp: time, reconsumeTimes, properties, bytes } = copy;
  const stored: Stored = { time, topic, queueId, queueOffset, offsetMsgId: offsetMsgId(BROKER_ADDRESS.ip, BROKER_ADDRESS.port, positionOf(bytes)) };
  const target = targetOf(copy);
  const finish = finishOf(bytes, 0);
  if (topic === OP_TOPIC) return [{ type: "END_TRANSACTION", time, transactionState: outcomeIn(copy), group: properties[PROPERTY.PGROUP] ?? "" }];
  if (topic === TRANS_CHECK_MAX_TIME_TOPIC) return [{ type: "STORE", ...stored }];
  if (finish?.group === DLQ_GROUP) return [{ type: "RESEND", ...stored, group: groupOf(target) }];
  // The system itself has put it here: its time has come, or its transaction is committed.
  if (finish?.group.startsWith(SYSTEM_GROUP_PREFIX)) return [{ type: "STORE", ...stored }];
  if (target.startsWith(RETRY_TOPIC_PREFIX)) return [{ type: "RETRY", ...stored, group: groupOf(target), reconsumeTimes }];
  if (target.startsWith(DLQ_TOPIC_PREFIX)) {
    const { [PROPERTY.DLQ_ERROR]: reason } = properties;
    return [{ type: "DEAD_LETTER", ...stored, group: groupOf(target), reconsumeTimes, ...(reason !== undefined && { reason }) }];
  }
  return [{ type: "SEND", time: bornAt(bytes), ...producer }, { type: "STORE", ...stored }];
}

/** Where it is to go, whatever it waits for meanwhile. */
function targetOf({ topic, properties }: StoredRecord): string {
  return properties[PROPERTY.REAL_TOPIC] ?? topic;
}

/** Of a retry or dead-letter topic. */
function groupOf(topic: string): string {
  return topic.slice(topic.indexOf("%", 1) + 1);
}

/** The log says how a transaction ended, and who has told the broker says so too: that is one event. */
function decidedOnce(events: TraceEvent[]): TraceEvent[] {
  const ends = events.filter((event) => event.type === "END_TRANSACTION");
  const decided = ends.find(({ transactionState, clientId }) => transactionState !== "UNKNOWN" && clientId === undefined);
  if (decided === undefined) return events;
  const told = ends.filter((end) => end !== decided && end.transactionState === decided.transactionState);
  return events.filter((event) => !told.includes(event as (typeof told)[number])).map((event) => (event === decided ? { ...told[0], ...decided } : event));
}

/** One arrival is told with each try, and a message that was stored twice was sent once. */
function withoutRepeated(events: TraceEvent[]): TraceEvent[] {
  const seen = new Set<string>();
  return events.filter((event) => {
    if (event.type !== "SEND" && event.type !== "DELIVER") return true;
    const key = JSON.stringify([event.type, event.time, event.group, event.clientId]);
    return !seen.has(key) && seen.add(key);
  });
}

const decoder = new TextDecoder();

function bodyOf({ bytes }: StoredRecord): string {
  const end = RECORD.body + viewOf(bytes).getInt32(RECORD.bodyLength);
  return decoder.decode(bytes.subarray(RECORD.body, end));
}

function clientIdOf({ properties }: StoredRecord): string | undefined {
  return properties["clientId"]?.slice(0, MAX_CLIENT_ID_LENGTH);
}

function bornAt(bytes: Uint8Array): number {
  return readInt64(viewOf(bytes), RECORD.bornTimestamp);
}

function positionOf(bytes: Uint8Array): number {
  return readInt64(viewOf(bytes), RECORD.physicalOffset);
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
