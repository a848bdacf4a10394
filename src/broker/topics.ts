import { MQError } from "../model/errors.ts";
import { MAX_QUEUES_PER_TOPIC, MAX_TOPICS } from "../model/limits.ts";
import { MESSAGE_TYPES, type MessageType, topicTakes } from "../model/message-type.ts";
import { readStored } from "../model/record-copy.ts";
import { checkSendable, isSystemTopic, TRACE_TOPIC, WHEEL_TOPIC } from "../model/system-names.ts";
import { compareQueues, type MessageQueue } from "../model/queue.ts";
import { messageTypeOf } from "../model/typed-message.ts";
import type { TopicConfig, TopicSpec } from "../protocol/api.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { Deletions } from "../storage/deletions.ts";
import type { DurableState } from "../storage/durable-state.ts";
import { readImport } from "./import-row.ts";

export const BROKER_NAME = "broker-a";
const PREFIX = "topic/";
export const PERM_READ = 4;
const PERM_WRITE = 2;

/** The topics of this broker: what they are called, how many queues they have, who may read and write. */
export class Topics {
  readonly #topics = new Map<string, TopicConfig>();
  readonly #state: DurableState;
  readonly #settings: BrokerSettings;
  readonly #deletions: Deletions;
  /** A topic is new, or something else is said of it than before. */
  onChanged: (topic: string) => void = () => {};
  /** Set by the composition root: @see QueueShrinking.prepare */
  shrinking: (topic: string, from: number, to: number) => Promise<() => void> = () => Promise.reject(new Error("shrinking is not wired"));

  constructor(state: DurableState, settings: BrokerSettings, deletions: Deletions) {
    this.#deletions = deletions;
    this.#state = state;
    this.#settings = settings;
  }

  /** Topics as stored, and those of which only records are left. */
  restore(queues: ConsumeQueueStore): void {
    for (const [topic, row] of this.#state.startingWith(PREFIX)) if (isConfigOf(topic, row)) this.#topics.set(topic, row);
    // What is half imported nobody may read.
    if (readImport(this.#state)?.isDone === false) return;
    for (const queue of [...queues.all()]) {
      const { topic, queueId } = queue;
      // Older notes may still name it.
      if (this.#deletions.isGone(queue)) {
        if (queueId >= (this.#topics.get(topic)?.readQueueNums ?? 0)) queues.remove(queue);
        continue;
      }
      const known = this.#topics.get(topic) ?? this.#describe({ topic });
      // No topic has more: a number beyond was made up, and every group would look through as many queues.
      const needed = Math.min(MAX_QUEUES_PER_TOPIC, Math.max(queueId + 1, known.readQueueNums));
      // However many there are: their messages are stored, and a start that refused would refuse for ever.
      if (this.#topics.get(topic)?.readQueueNums !== needed) void this.#keep({ ...known, readQueueNums: needed }).catch(() => {});
    }
  }

  find(topic: string): TopicConfig | undefined {
    return this.#topics.get(topic);
  }

  /** Whether a higher queue of the topic goes before a lower one. */
  readonly hasPriorities = (topic: string): boolean => this.#topics.get(topic)?.messageType === "PRIORITY";

  /** Those of a topic that may be read, in order. */
  queuesToRead(topic: string): MessageQueue[] {
    const config = this.find(topic);
    if (config === undefined || !isReadable(config)) return [];
    const { brokerName, readQueueNums } = config;
    return Array.from({ length: readQueueNums }, (_, queueId) => ({ topic, brokerName, queueId })).sort(compareQueues);
  }

  get(topic: string): TopicConfig {
    const config = this.#topics.get(topic);
    if (config !== undefined) return config;
    throw new MQError("TOPIC_NOT_EXIST", `There is no topic "${topic}".`, { field: "topic" });
  }

  list(): TopicConfig[] {
    return [...this.#topics.values()].sort((a, b) => (a.topic < b.topic ? -1 : 1));
  }

  /** Creates the topic or changes it; resolves when that is durable. */
  async create(spec: TopicSpec): Promise<TopicConfig> {
    checkSendable(spec.topic, "topic");
    if (spec.topic.startsWith("%")) throw new MQError("NO_PERMISSION", `Topics that begin with % are the broker's own: "${spec.topic}".`, { field: "topic" });
    if (isSystemTopic(spec.topic)) throw new MQError("NO_PERMISSION", `"${spec.topic}" is a system topic.`, { field: "topic" });
    const before = this.#topics.get(spec.topic);
    const config = { ...(before ?? this.#describe(spec)), ...spec };
    if (config.writeQueueNums > config.readQueueNums) {
      throw new MQError("INVALID_PARAMETER", `writeQueueNums (${config.writeQueueNums}) exceeds readQueueNums (${config.readQueueNums}): nobody could read the rest.`, {
        field: "writeQueueNums",
      });
    }
    if (before !== undefined && config.readQueueNums < before.readQueueNums) {
      // Messages may wait in the queues that would vanish from the consumers' sight.
      const end = await this.shrinking(spec.topic, config.readQueueNums, before.readQueueNums);
      if (this.#topics.get(spec.topic) !== before) throw new MQError("ILLEGAL_OPERATION", `Somebody else has changed "${spec.topic}" meanwhile.`, { field: "topic" });
      end();
    }
    await this.#put(config);
    return config;
  }

  /** Takes over what an import says of a topic; queues that hold messages already stay readable. */
  adopt(spec: TopicSpec): void {
    const config = this.#describe(spec);
    const readQueueNums = Math.max(config.readQueueNums, this.#topics.get(spec.topic)?.readQueueNums ?? 0);
    this.#put({ ...config, readQueueNums }).catch(() => {});
  }

  /** The topic a producer wants to send to, made on the fly where the settings allow it. */
  forSending(topic: string): TopicConfig {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    checkSendable(topic);
    // RocketMQ lets clients send there; here one that came before the broker's own first timer would have a topic to write to.
    if (topic === WHEEL_TOPIC) throw new MQError("NO_PERMISSION", `The topic ${topic} belongs to the broker; a client may not send to it.`, { field: "topic" });
    if (topic === TRACE_TOPIC) return this.ensure({ topic, readQueueNums: 1, writeQueueNums: 1 });
    if (!this.#settings.autoCreateTopicEnable) {
      throw new MQError("TOPIC_NOT_EXIST", `There is no topic "${topic}", and autoCreateTopicEnable is off.`, { field: "topic" });
    }
    const config = this.#describe({ topic });
    // The row travels in the same commit as the first message, or in an earlier one: nobody has to wait for it.
    this.#put(config).catch(() => {});
    return config;
  }

  /** A topic that the broker itself writes to: there, with as many queues at least, from now on. */
  ensure(spec: TopicSpec): TopicConfig {
    const known = this.#topics.get(spec.topic);
    if (known !== undefined && known.readQueueNums >= (spec.readQueueNums ?? 0)) return known;
    const config = { ...(known ?? this.#describe(spec)), ...spec };
    // As above: no later than the first message.
    this.#put(config).catch(() => {});
    return config;
  }

  /** There is no such topic any more. Goes with the next commit. */
  remove(topic: string): void {
    this.#topics.delete(topic);
    this.#state.set(`${PREFIX}${topic}`, null);
  }

  #put(config: TopicConfig): Promise<void> {
    if (!this.#topics.has(config.topic) && this.#topics.size >= MAX_TOPICS) {
      throw new MQError("FLOW_CONTROL", `The broker holds ${MAX_TOPICS} topics already.`, { field: "topic" });
    }
    return this.#keep(config);
  }

  #keep(config: TopicConfig): Promise<void> {
    this.#topics.set(config.topic, config);
    this.onChanged(config.topic);
    return this.#state.save(`${PREFIX}${config.topic}`, config);
  }

  #describe(spec: TopicSpec): TopicConfig {
    const queues = Math.min(this.#settings.defaultTopicQueueNums, MAX_QUEUES_PER_TOPIC);
    const write = spec.writeQueueNums ?? Math.min(queues, spec.readQueueNums ?? queues);
    return {
      topic: spec.topic,
      brokerName: BROKER_NAME,
      readQueueNums: spec.readQueueNums ?? Math.max(queues, write),
      writeQueueNums: write,
      perm: spec.perm ?? PERM_READ | PERM_WRITE,
      messageType: spec.messageType ?? "MIXED",
    };
  }
}

/** Is this what Topics has written? What is damaged is left out, and made anew for the queues that there are. */
function isConfigOf(name: string, row: unknown): row is TopicConfig {
  if (typeof row !== "object" || row === null) return false;
  const { topic, brokerName, readQueueNums, writeQueueNums, perm, messageType } = row as Partial<TopicConfig>;
  const isQueues = (count: unknown, least: number): boolean => Number.isSafeInteger(count) && Number(count) >= least && Number(count) <= MAX_QUEUES_PER_TOPIC;
  return topic === name && typeof brokerName === "string" && isQueues(readQueueNums, 1) && isQueues(writeQueueNums, 0) && [0, 2, 4, 6].includes(perm as number) && MESSAGE_TYPES.includes(messageType as MessageType);
}

/** Why a record for this queue is refused; undefined when it is welcome. */
export function reasonToRefuse(config: TopicConfig | undefined, topic: string, queueId: number): MQError | undefined {
  if (config === undefined) return new MQError("TOPIC_NOT_EXIST", `There is no topic "${topic}".`, { field: "topic" });
  if ((config.perm & PERM_WRITE) === 0) return new MQError("NO_PERMISSION", `Topic "${topic}" is not writable.`, { field: "topic" });
  if (queueId >= config.writeQueueNums) {
    return new MQError("INVALID_PARAMETER", `Topic "${topic}" has ${config.writeQueueNums} queues to write to; queueId ${queueId} is none of them.`, {
      field: "queueId",
    });
  }
  return undefined;
}

/** The same for whole, checked bytes of one record. Only of a topic that has a type is the message's looked up. */
export function reasonByType({ topic, messageType }: TopicConfig, record: Uint8Array): MQError | undefined {
  if (messageType === "MIXED") return undefined;
  const type = messageTypeOf(readStored(record).properties);
  if (topicTakes(messageType, type)) return undefined;
  return new MQError("MESSAGE_ILLEGAL", `Topic "${topic}" takes ${messageType} messages; this one is of type ${type}.`, { field: "message" });
}

export function isReadable({ perm }: TopicConfig): boolean {
  return (perm & PERM_READ) !== 0;
}

export function checkReadable(config: TopicConfig): void {
  if (!isReadable(config)) {
    throw new MQError("NO_PERMISSION", `Topic "${config.topic}" is not readable.`, { field: "topic" });
  }
}
