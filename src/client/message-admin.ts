import { MQError } from "../model/errors.ts";
import { DEFAULT_DEAD_LETTERS, DEFAULT_QUERY_MESSAGES, MAX_KEY_LENGTH, MAX_QUERY_MESSAGES } from "../model/limits.ts";
import type { MessageExt } from "../model/message.ts";
import { parseOffsetMsgId } from "../model/message-id.ts";
import { checkClientTopic, checkGroup } from "../model/names.ts";
import { ADMIN_GROUP, isCopyTopic } from "../model/system-names.ts";
import { BROKER_ADDRESS, decodeRecords } from "../model/record-codec.ts";
import type { OpenTransaction, PendingTimer, QueryReply, QueryRequest, RecallReply } from "../protocol/api.ts";
import { filled, integer, named, offset, optional, record } from "../protocol/validate.ts";
import type { QueryOptions } from "./admin.ts";
import type { Connection } from "./connection.ts";
import { deadLetters, type DiscardOptions, type DiscardResult, lettersOptions, type ResendOptions, type ResendResult, settleDeadLetters } from "./dead-letters.ts";
import { exportLog } from "./log-export.ts";
import { importLog, type ImportResult } from "./log-import.ts";
import { type MessageTrace, messageTrace } from "./message-trace.ts";
import { type QueueOffset, resetOffset, type ResetOffsetOptions } from "./offset-reset.ts";
import { recall } from "./recall.ts";
import type { Tracer } from "./tracer.ts";
import { endTransaction, type EndTransactionOptions, openTransactions, type OpenTransactionsOptions, pendingTimers, type PendingTimersOptions } from "./waiting-messages.ts";

const topicName = named(checkClientTopic);
const groupName = named(checkGroup);
const messageId = filled(MAX_KEY_LENGTH);
const queryOptions = record({
  topic: topicName,
  key: filled(MAX_KEY_LENGTH),
  max: optional(integer(1, Number.MAX_SAFE_INTEGER)),
  begin: optional(offset),
  end: optional(offset),
});

/** What the admin does with messages themselves: `mq.admin` loads it when it is first asked for it. */
export class MessageAdmin {
  readonly #connection: Connection;
  readonly #tracer: Tracer;

  constructor(connection: Connection, tracer: Tracer) {
    this.#connection = connection;
    this.#tracer = tracer;
  }

  async query(options: QueryOptions): Promise<MessageExt[]> {
    const { topic, key, max: asked = DEFAULT_QUERY_MESSAGES, begin = 0, end = Number.MAX_SAFE_INTEGER } = queryOptions(options, "queryMessages");
    const max = Math.min(asked, MAX_QUERY_MESSAGES);
    const found: MessageExt[] = [];
    for await (const message of this.#find({ topic, key, max, begin, end })) {
      found.push(message);
      if (found.length === max) break;
    }
    return found;
  }

  async view(msgId: string): Promise<MessageExt> {
    const id = messageId(msgId, "msgId");
    const position = positionIn(id);
    if (position !== null) {
      const [message] = decodeRecords(await this.#connection.call("messageAt", [position]), this.#connection.serving.brokerName);
      if (message !== undefined) return message;
    }
    let other: MessageExt | undefined;
    for await (const message of this.#find({ topic: null, key: id, max: DEFAULT_QUERY_MESSAGES, begin: 0, end: Number.MAX_SAFE_INTEGER })) {
      // Copies that the system has made, for a retry or a dead letter, carry the id as well.
      if (!isCopyTopic(message.topic)) return message;
      other ??= message;
    }
    if (other !== undefined) return other;
    throw new MQError("NO_MESSAGE", `There is no message with the id ${id}.`, { field: "msgId" });
  }

  async deadLetters(group: string, { max = DEFAULT_DEAD_LETTERS }: { max?: number } = {}): Promise<MessageExt[]> {
    const [name, most] = [groupName(group, "group"), integer(1, Number.MAX_SAFE_INTEGER)(max, "max")];
    const found: MessageExt[] = [];
    for await (const letter of deadLetters(this.#connection, name)) if (found.push(letter) >= most) break;
    return found;
  }

  async resendDeadLetters(options: ResendOptions): Promise<ResendResult> {
    const { done, failed } = await settleDeadLetters(this.#connection, "resendDeadLetters", lettersOptions(options, "resendDeadLetters"));
    return { resent: done, failed };
  }

  async discardDeadLetters(options: DiscardOptions): Promise<DiscardResult> {
    const checked = lettersOptions(options, "discardDeadLetters");
    const { done, failed } = await settleDeadLetters(this.#connection, "discardDeadLetters", checked);
    for (const msgId of done) this.#tracer.discard({ group: checked.group, msgId });
    return { discarded: done, failed };
  }

  openTransactions(options: OpenTransactionsOptions): Promise<OpenTransaction[]> {
    return openTransactions(this.#connection, options);
  }

  endTransaction(options: EndTransactionOptions): Promise<void> {
    return endTransaction(this.#connection, options);
  }

  pendingTimers(options: PendingTimersOptions): Promise<PendingTimer[]> {
    return pendingTimers(this.#connection, options);
  }

  recall(recallHandle: string): Promise<RecallReply> {
    return recall(this.#connection, this.#tracer, ADMIN_GROUP, recallHandle);
  }

  async resetOffset(options: ResetOffsetOptions): Promise<QueueOffset[]> {
    return resetOffset(this.#connection, options);
  }

  async trace(msgId: string): Promise<MessageTrace> {
    const id = messageId(msgId, "msgId");
    await this.#tracer.flush();
    return messageTrace(this.#connection, id);
  }

  exportLog(): ReadableStream<Uint8Array> {
    return exportLog(this.#connection, this.#connection.options.namespace);
  }

  importLog(stream: ReadableStream<Uint8Array>): Promise<ImportResult> {
    return importLog(this.#connection, stream);
  }

  /** One call is bounded, in bytes and in work; this goes on until there is no more. */
  async *#find(query: Omit<QueryRequest, "before">): AsyncGenerator<MessageExt> {
    for (let before: number | null = null; ; ) {
      const reply: QueryReply = await this.#connection.call("queryMessages", [{ ...query, before }]);
      yield* decodeRecords(reply.records, this.#connection.serving.brokerName);
      before = reply.next;
      if (before === null) return;
    }
  }
}

/** The position that an offsetMsgId of this broker names; null for any other id. */
function positionIn(id: string): number | null {
  try {
    const { ip, port, position } = parseOffsetMsgId(id);
    return ip === BROKER_ADDRESS.ip && port === BROKER_ADDRESS.port ? position : null;
  } catch {
    return null;
  }
}
