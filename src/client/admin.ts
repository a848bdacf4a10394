import { DEFAULT_DEAD_LETTERS, DEFAULT_QUERY_MESSAGES, MAX_KEY_LENGTH, MAX_QUERY_MESSAGES } from "../model/limits.ts";
import type { MessageExt } from "../model/message.ts";
import { parseOffsetMsgId } from "../model/message-id.ts";
import { checkClientTopic, checkGroup, isCopyTopic } from "../model/names.ts";
import type { MessageQueue } from "../model/queue.ts";
import { BROKER_ADDRESS, decodeRecords } from "../model/record-codec.ts";
import type { ConsumerConnections, ConsumeStats, GroupInfo, MessageTrack, OffsetBoundary, QueryReply, QueryRequest, QueueStats, TopicConfig, TopicSpec, TopicStats } from "../protocol/api.ts";
import { type BrokerSettings, type MutableSettings, mutableSettings } from "../protocol/broker-settings.ts";
import { topicSpec } from "../protocol/topic-spec.ts";
import { filled, integer, named, offset, oneOf, optional, record, time } from "../protocol/validate.ts";
import { MQError } from "../model/errors.ts";
import type { Connection } from "./connection.ts";
import { deadLetters, type ResendOptions, resendDeadLetters, resendOptions, type ResendResult } from "./dead-letters.ts";
import { type QueueOffset, resetOffset, type ResetOffsetOptions } from "./offset-reset.ts";
import { exportLog } from "./log-export.ts";
import { importLog, type ImportResult } from "./log-import.ts";
import { refuseNotBuilt } from "./not-built.ts";
import { queueRef } from "./queue-ref.ts";

const topicName = named(checkClientTopic);
const groupName = named(checkGroup);
const boundaryCheck = oneOf("LOWER", "UPPER");

export interface QueryOptions {
  topic: string;
  key: string;
  max?: number;
  begin?: number;
  end?: number;
}

const queryOptions = record({
  topic: topicName,
  key: filled(MAX_KEY_LENGTH),
  max: optional(integer(1, Number.MAX_SAFE_INTEGER)),
  begin: optional(offset),
  end: optional(offset),
});
const messageId = filled(MAX_KEY_LENGTH);

/** Looks after topics and tells how things stand. `mq.admin`. */
export class Admin {
  readonly #connection: Connection;

  static {
    refuseNotBuilt(this.prototype, "admin");
  }

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Creates the topic, or changes the one there is; resolves when that is durable. Default: 4 queues, readable and writable. */
  async createTopic(spec: TopicSpec): Promise<TopicConfig> {
    return this.#connection.call("createTopic", [topicSpec(spec, "createTopic")]);
  }

  /** All topics, by name. */
  topics(): Promise<TopicConfig[]> {
    return this.#connection.call("topics", []);
  }

  async topicStats(topic: string): Promise<TopicStats> {
    return this.#connection.call("topicStats", [topicName(topic, "topic")]);
  }

  /** Of a group nobody knows: no queues, no backlog. */
  async consumeStats(group: string): Promise<ConsumeStats> {
    return this.#connection.call("consumeStats", [groupName(group, "group")]);
  }

  /** All groups that are there or have been, by name. Of those whose members all were broadcasting, only while they are there. */
  groups(): Promise<GroupInfo[]> {
    return this.#connection.call("groups", []);
  }

  /** Who is in a group, and what each works on; of a group nobody knows: nobody. */
  async consumerConnections(group: string): Promise<ConsumerConnections> {
    return this.#connection.call("consumerConnections", [groupName(group, "group")]);
  }

  /**
   * Everything stored, as a stream: the messages as RocketMQ's commit-log records, the topics and the groups' offsets.
   * What is durable when the reading begins is in it, and nothing later. It is read as fast as it is consumed.
   */
  exportLog(): ReadableStream<Uint8Array> {
    return exportLog(this.#connection, this.#connection.options.namespace);
  }

  /**
   * Takes in what `exportLog` gave, into an empty namespace. Messages keep their ids, times, queues and offsets, and
   * groups go on where they were. Nothing can be read before all of it is there. Rejects with ImportError.
   */
  importLog(stream: ReadableStream<Uint8Array>): Promise<ImportResult> {
    return importLog(this.#connection, stream);
  }

  /** The oldest offset that can still be read. */
  async minOffset(queue: MessageQueue): Promise<number> {
    return (await this.#queue(queue)).minOffset;
  }

  /** The offset that the next message gets. */
  async maxOffset(queue: MessageQueue): Promise<number> {
    return (await this.#queue(queue)).maxOffset;
  }

  /** Changes settings of the running broker and of those after it; resolves with all of them when that is durable. */
  async updateBrokerConfig(settings: Partial<MutableSettings>): Promise<BrokerSettings> {
    return this.#connection.call("updateBrokerConfig", [mutableSettings(settings, "updateBrokerConfig") as Partial<MutableSettings>]);
  }

  /** LOWER: the first message stored at `timestamp` or later, or maxOffset. UPPER: the last one stored at it or earlier, or minOffset. */
  async searchOffset(queue: MessageQueue, timestamp: number, boundary: OffsetBoundary = "LOWER"): Promise<number> {
    const ref = queueRef(queue, "queue", this.#connection.serving.brokerName);
    return this.#connection.call("searchOffset", [{ ...ref, timestamp: time(timestamp, "timestamp"), boundary: boundaryCheck(boundary, "boundary") }]);
  }

  /**
   * Messages of a topic by key, or by msgId, the newest first; an empty list when there is none. `begin` and `end`: store times, ms,
   * inclusive. At most `max`: 32 unless given; never more than 64, whatever is asked, as RocketMQ has it.
   */
  async queryMessages(options: QueryOptions): Promise<MessageExt[]> {
    const { topic, key, max: asked = DEFAULT_QUERY_MESSAGES, begin = 0, end = Number.MAX_SAFE_INTEGER } = queryOptions(options, "queryMessages");
    const max = Math.min(asked, MAX_QUERY_MESSAGES);
    const found: MessageExt[] = [];
    for await (const message of this.#find({ topic, key, max, begin, end })) {
      found.push(message);
      if (found.length === max) break;
    }
    return found;
  }

  /**
   * One message by its msgId, or by the offsetMsgId of one copy of it.
   * @throws MQError NO_MESSAGE: there is none with this id, or no more
   */
  async viewMessage(msgId: string): Promise<MessageExt> {
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

  /** Messages that a group has given up on and that were not sent again, the oldest first; at most `max` of them. Their properties say where they come from, and why they are dead. */
  async deadLetters(group: string, { max = DEFAULT_DEAD_LETTERS }: { max?: number } = {}): Promise<MessageExt[]> {
    const [name, most] = [groupName(group, "group"), integer(1, Number.MAX_SAFE_INTEGER)(max, "max")];
    const found: MessageExt[] = [];
    for await (const letter of deadLetters(this.#connection, name)) if (found.push(letter) >= most) break;
    return found;
  }

  /** Gives dead letters to their group again, and to no other, as messages that were never tried. Each that is resent is no dead letter any more, in one transaction. */
  async resendDeadLetters(options: ResendOptions): Promise<ResendResult> {
    return resendDeadLetters(this.#connection, resendOptions(options, "resendDeadLetters"));
  }

  /**
   * A group begins anew, at a time or at an offset, whether it is at work or not: what its consumers have in hand is told to
   * stop, and finishes without moving the offset. Resolves with where each queue goes on, when that is durable.
   */
  async resetOffset(options: ResetOffsetOptions): Promise<QueueOffset[]> {
    return resetOffset(this.#connection, options);
  }

  /**
   * What has become of a message, for each group that has been at its topic.
   * @throws MQError NO_MESSAGE: there is none with this id, or no more
   */
  async messageTrack(msgId: string): Promise<MessageTrack[]> {
    return this.#connection.call("messageTrack", [messageId(msgId, "msgId")]);
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

  async #queue(queue: MessageQueue): Promise<QueueStats> {
    const { topic, queueId } = queueRef(queue, "queue", this.#connection.serving.brokerName);
    const { queues } = await this.topicStats(topic);
    const row = queues[queueId];
    if (row === undefined) throw new MQError("INVALID_PARAMETER", `Topic "${topic}" has ${queues.length} queues; ${queueId} is none of them.`, { field: "queue.queueId" });
    return row;
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
