import { checkClientTopic, checkGroup } from "../model/names.ts";
import type { MessageQueue } from "../model/queue.ts";
import type { ConsumeStats, OffsetBoundary, QueueStats, TopicConfig, TopicSpec, TopicStats } from "../protocol/api.ts";
import { type BrokerSettings, type MutableSettings, mutableSettings } from "../protocol/broker-settings.ts";
import { topicSpec } from "../protocol/topic-spec.ts";
import { named, oneOf, time } from "../protocol/validate.ts";
import { MQError } from "../model/errors.ts";
import type { Connection } from "./connection.ts";
import { exportLog } from "./log-export.ts";
import { importLog, type ImportResult } from "./log-import.ts";
import { refuseNotBuilt } from "./not-built.ts";
import { queueRef } from "./pull-consumer.ts";

const topicName = named(checkClientTopic);
const groupName = named(checkGroup);
const boundaryCheck = oneOf("LOWER", "UPPER");

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
    return this.#connection.call([mutableSettings(settings) as Partial<MutableSettings>]);
  }

  /** LOWER: the first message stored at `timestamp` or later, or maxOffset. UPPER: the last one stored at it or earlier, or minOffset. */
  async searchOffset(queue: MessageQueue, timestamp: number, boundary: OffsetBoundary = "LOWER"): Promise<number> {
    const ref = queueRef(queue, "queue", this.#connection.serving.brokerName);
    return this.#connection.call("searchOffset", [{ ...ref, timestamp: time(timestamp, "timestamp"), boundary: boundaryCheck(boundary, "boundary") }]);
  }

  async #queue(queue: MessageQueue): Promise<QueueStats> {
    const { topic, queueId } = queueRef(queue, "queue", this.#connection.serving.brokerName);
    const { queues } = await this.topicStats(topic);
    const row = queues[queueId];
    if (row === undefined) throw new MQError("INVALID_PARAMETER", `Topic "${topic}" has ${queues.length} queues; ${queueId} is none of them.`, { field: "queue.queueId" });
    return row;
  }
}
