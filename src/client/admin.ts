import { MQError } from "../model/errors.ts";
import { MAX_KEY_LENGTH } from "../model/limits.ts";
import type { MessageExt } from "../model/message.ts";
import { checkClientTopic, checkGroup } from "../model/names.ts";
import type { MessageQueue } from "../model/queue.ts";
import type { BrokerStats, ClientConnection, ClusterInfo, ConsumerConnections, ConsumeStats, Deleted, GroupConfig, GroupInfo, GroupSpec, MessageTrack, OffsetBoundary, OpenTransaction, PendingTimer, QueueStats, RecallReply, TopicConfig, TopicRoute, TopicSpec, TopicStats } from "../protocol/api.ts";
import { type BrokerSettings, type MutableSettings, mutableSettings } from "../protocol/broker-settings.ts";
import { groupSpec, topicSpec } from "../protocol/topic-spec.ts";
import { boolean, filled, named, oneOf, optional, record, time } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import type { DiscardOptions, DiscardResult, ResendOptions, ResendResult } from "./dead-letters.ts";
import type { ImportResult } from "./log-import.ts";
import type { MessageAdmin } from "./message-admin.ts";
import type { MessageTrace } from "./message-trace.ts";
import type { QueueOffset, ResetOffsetOptions } from "./offset-reset.ts";
import { queueRef } from "./queue-ref.ts";
import type { EndTransactionOptions, OpenTransactionsOptions, PendingTimersOptions } from "./waiting-messages.ts";

const topicName = named(checkClientTopic);
const groupName = named(checkGroup);
const boundaryCheck = oneOf("LOWER", "UPPER");

/** What `admin.queryMessages` takes. */
export interface QueryOptions {
  topic: string;
  /** One of a message's keys, or its msgId. */
  key: string;
  /** Default 32; never more than 64. */
  max?: number;
  /** Store times, ms since 1970, inclusive. */
  begin?: number;
  end?: number;
}

/** What `admin.deleteGroup` takes. */
export interface DeleteGroupOptions {
  /** Also when there are consumers in it. Default false. */
  force?: boolean;
}

const deleteGroupOptions = record({ force: optional(boolean) });
const messageId = filled(MAX_KEY_LENGTH);

/** Looks after topics and tells how things stand. `mq.admin`. */
export class Admin {
  readonly #connection: Connection;
  readonly #messages: () => MessageAdmin | Promise<MessageAdmin>;

  /** `messages`: what it takes to read and write messages, as soon as that is loaded. */
  constructor(connection: Connection, messages: () => MessageAdmin | Promise<MessageAdmin>) {
    this.#connection = connection;
    this.#messages = messages;
  }

  /** Creates the topic, or changes the one there is; resolves when that is durable. Default: 4 queues, readable and writable. */
  async createTopic(spec: TopicSpec): Promise<TopicConfig> {
    return this.#connection.call("createTopic", [topicSpec(spec, "createTopic")]);
  }

  /**
   * The topic with everything that hangs on it: its messages, also those that wait to be delivered to it, what groups have
   * consumed of it, their claims. Consumers that are there hear of it by the event `error`, and go on with their other topics. A topic
   * of the same name that is made later, be it by a producer that sends on, is empty, and uses no offset again.
   * @throws MQError TOPIC_NOT_EXIST
   */
  async deleteTopic(topic: string): Promise<Deleted> {
    return this.#connection.call("deleteTopic", [topicName(topic, "topic")]);
  }

  /** What RocketMQ calls the route of a topic: its queues, and who has them. */
  async topicRoute(topic: string): Promise<TopicRoute> {
    return this.#connection.call("topicRoute", [topicName(topic, "topic")]);
  }

  /** The brokers there are: this one. */
  cluster(): Promise<ClusterInfo> {
    return this.#connection.call("cluster", []);
  }

  /** What the broker holds, and what it has done since it began. */
  brokerStats(): Promise<BrokerStats> {
    return this.#connection.call("brokerStats", []);
  }

  /** Creates a consumer group, or changes what is said of it; at once also for consumers that are there. Resolves when that is durable. */
  async createGroup(spec: GroupSpec): Promise<GroupConfig> {
    return this.#connection.call("createGroup", [groupSpec(spec, "createGroup")]);
  }

  /**
   * The group with everything that it has: its offsets, what it is to try again, its dead letters, its finished keys. With consumers in it
   * only by `force`: they hear of it by the event `error`, and get nothing more.
   * @throws MQError SUBSCRIPTION_GROUP_NOT_EXIST, ILLEGAL_OPERATION that names the clients
   */
  async deleteGroup(group: string, options: DeleteGroupOptions = {}): Promise<Deleted> {
    const { force = false } = deleteGroupOptions(options, "deleteGroup");
    return this.#connection.call("deleteGroup", [{ group: groupName(group, "group"), force }]);
  }

  /**
   * Deletes the namespace: messages, topics, groups, everything that is stored of it, and this origin's notes about it. Whoever is
   * connected to it, in any tab, gets CLOSED from then on, and so does this connection; `connect` begins anew with an empty store. Resolves when every tab that is
   * awake has heard of it (of tabs that are asleep none is waited for longer than 1.5 s), so a page may be closed or reloaded then.
   */
  destroy(): Promise<void> {
    return this.#connection.destroy();
  }

  /**
   * Asks the browser not to evict this origin's data when it runs out of room; resolves with whether it has agreed. It may ask the user.
   * @throws MQError UNSUPPORTED_ENVIRONMENT where it cannot be asked
   */
  async persistStorage(): Promise<boolean> {
    const storage = typeof navigator === "undefined" ? undefined : navigator.storage;
    if (storage?.persist === undefined) throw new MQError("UNSUPPORTED_ENVIRONMENT", "This environment has no navigator.storage.persist (it needs a browser, and https or localhost).");
    return storage.persist();
  }

  /** All topics, by name. */
  topics(): Promise<TopicConfig[]> {
    return this.#connection.call("topics", []);
  }

  /**
   * Each queue's offsets and its newest message's time.
   * @throws MQError TOPIC_NOT_EXIST
   */
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

  /** Every client that is connected, this one too, and what it has done since, by client id. */
  clients(): Promise<ClientConnection[]> {
    return this.#connection.call("clients", []);
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
    const messages = this.#messages();
    return messages instanceof Promise ? whenThere(messages.then((loaded) => loaded.exportLog())) : messages.exportLog();
  }

  /**
   * Takes in what `exportLog` gave, into an empty namespace. Messages keep their ids, times, queues and offsets, and
   * groups go on where they were. Nothing can be read before all of it is there. Rejects with ImportError.
   */
  async importLog(stream: ReadableStream<Uint8Array>): Promise<ImportResult> {
    return (await this.#messages()).importLog(stream);
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
    return (await this.#messages()).query(options);
  }

  /**
   * One message by its msgId, or by the offsetMsgId of one copy of it.
   * @throws MQError NO_MESSAGE: there is none with this id, or no more
   */
  async viewMessage(msgId: string): Promise<MessageExt> {
    return (await this.#messages()).view(msgId);
  }

  /** Messages that a group has given up on and that were neither sent again nor discarded, the oldest first; at most `max` of them. Their properties say where they come from, and why they are dead. */
  async deadLetters(group: string, options: { max?: number } = {}): Promise<MessageExt[]> {
    return (await this.#messages()).deadLetters(group, options);
  }

  /** Gives dead letters to their group again, and to no other, as messages that were never tried. Each that is resent is no dead letter any more, in one transaction. */
  async resendDeadLetters(options: ResendOptions): Promise<ResendResult> {
    return (await this.#messages()).resendDeadLetters(options);
  }

  /**
   * Dead letters that nobody is to be given any more. Each that is discarded is no dead letter any more, durably, and cannot be
   * sent again; `consumeStats` counts it, `messageTrack` and `messageTrace` tell it. Its record stays in the log until retention removes it.
   */
  async discardDeadLetters(options: DiscardOptions): Promise<DiscardResult> {
    return (await this.#messages()).discardDeadLetters(options);
  }

  /** Messages whose local transactions nobody has ended yet, the oldest first. */
  async openTransactions(options: OpenTransactionsOptions = {}): Promise<OpenTransaction[]> {
    return (await this.#messages()).openTransactions(options);
  }

  /**
   * Decides a transaction in its producer's place, whether it is asked for or not; resolves when that is durable, and again when it had
   * ended so before. A producer that comes later learns how it ended.
   * @throws MQError NO_MESSAGE: there is no such transaction, or no more; ILLEGAL_OPERATION: it has ended otherwise; TOPIC_NOT_EXIST, STORAGE_FULL: it stays open
   */
  async endTransaction(options: EndTransactionOptions): Promise<void> {
    return (await this.#messages()).endTransaction(options);
  }

  /**
   * Messages that wait for their time, the soonest first: by a time of their own, by a delay level, or to be tried again (these
   * are for the topic "%RETRY%GROUP"). `topic`: where they are to go. Looking for a topic that few of many are for takes its time.
   */
  async pendingTimers(options: PendingTimersOptions = {}): Promise<PendingTimer[]> {
    return (await this.#messages()).pendingTimers(options);
  }

  /** As `producer.recall`: calls a timer off. `recalled`: it will never be delivered, which is durable then. */
  async recall(recallHandle: string): Promise<RecallReply> {
    return (await this.#messages()).recall(recallHandle);
  }

  /**
   * A group begins anew, at a time or at an offset, whether it is at work or not: what its consumers have in hand is told to
   * stop, and finishes without moving the offset. Resolves with where each queue goes on, when that is durable.
   */
  async resetOffset(options: ResetOffsetOptions): Promise<QueueOffset[]> {
    return (await this.#messages()).resetOffset(options);
  }

  /**
   * What has become of a message, for each group that has been at its topic.
   * @throws MQError NO_MESSAGE: there is none with this id, or no more
   */
  async messageTrack(msgId: string): Promise<MessageTrack[]> {
    return this.#connection.call("messageTrack", [messageId(msgId, "msgId")]);
  }

  /**
   * One message's life, put together from the log and from what tabs have told (`traceEnable`): sent, stored, delivered,
   * consumed with which result, tried again, given up. What nobody could tell any more is missing; of an id that nobody
   * knows there are no events.
   */
  async messageTrace(msgId: string): Promise<MessageTrace> {
    return (await this.#messages()).trace(msgId);
  }

  async #queue(queue: MessageQueue): Promise<QueueStats> {
    const { topic, queueId } = queueRef(queue, "queue", this.#connection.serving.brokerName);
    const { queues } = await this.topicStats(topic);
    const row = queues[queueId];
    if (row === undefined) throw new MQError("INVALID_PARAMETER", `Topic "${topic}" has ${queues.length} queues; ${queueId} is none of them.`, { field: "queue.queueId" });
    return row;
  }
}

/** A stream that is read as another one which is still to come. */
function whenThere(source: Promise<ReadableStream<Uint8Array>>): ReadableStream<Uint8Array> {
  const reader = source.then((stream) => stream.getReader());
  reader.catch(() => {});
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await (await reader).read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: async (reason) => (await reader).cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
