import type { MessageSelector } from "../filter/message-selector.ts";
import { asMQError, MQError } from "../model/errors.ts";
import { DEFAULT_PULL_BATCH, DEFAULT_THRESHOLD_FOR_QUEUE, DEFAULT_THRESHOLD_SIZE_FOR_QUEUE, MAX_PULL_BATCH, MAX_QUEUES_PER_CALL } from "../model/limits.ts";
import type { MessageExt } from "../model/message.ts";
import { checkClientTopic, checkGroup } from "../model/names.ts";
import type { MessageQueue } from "../model/queue.ts";
import { compareQueues, queueKey } from "../model/queue.ts";
import { decodeRecords } from "../model/record-codec.ts";
import { Events } from "../platform/events.ts";
import type { ConsumeFromWhere, PullStatus, QueueRef } from "../protocol/api.ts";
import { boolean, integer, list, named, offset, optional, record, time } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import { GroupMember } from "./group-member.ts";
import { listen } from "./listen.ts";
import { type Start, startFields, startOf } from "./start.ts";
import { PollBuffer } from "./poll-buffer.ts";
import type { ConsumerEvents } from "./push-consumer.ts";
import { CONSUMER_EVENTS } from "./push-consumer.ts";
import { queueRef } from "./queue-ref.ts";
import { allocateStrategy, type Standing, standingOf, type StandingOptions } from "./standing.ts";
import { checkSubscribed, selector as checkSelector, type SubscriptionMap, withoutTopic, withTopic } from "./subscriptions.ts";
import type { Tracer } from "./tracer.ts";

export interface PullConsumerOptions extends StandingOptions {
  consumerGroup: string;
  /** What an earlier `poll` gave counts as consumed when the next one is called. Default true. */
  autoCommit?: boolean;
  consumeFromWhere?: ConsumeFromWhere;
  /** Store time with which a new group begins, ms, with CONSUME_FROM_TIMESTAMP. Default half an hour ago. */
  consumeTimestamp?: number;
  /** Messages of one queue that are fetched at once, ahead of `poll`; more is faster and takes more memory. Default 32, at most 1024. */
  pullBatchSize?: number;
}

/** What a pull consumer's `poll` takes. */
export interface PollOptions {
  /** How long to wait for the first message, ms. Default 5000; 0 = do not wait. */
  timeout?: number;
  /** Default 10. */
  max?: number;
}

/** What RocketMQ's PullResult says. Offsets are of the queue. */
export interface PullResult {
  /** FOUND; NO_NEW_MSG: the end; NO_MATCHED_MSG: go on at `nextBeginOffset`; OFFSET_ILLEGAL: outside the queue. */
  status: PullStatus;
  /** Where to go on. */
  nextBeginOffset: number;
  minOffset: number;
  maxOffset: number;
  messages: MessageExt[];
}

const optionsCheck = record({
  consumerGroup: named(checkGroup),
  allocateMessageQueueStrategy: optional(allocateStrategy),
  replaceSubscription: optional(boolean),
  autoCommit: optional(boolean),
  ...startFields,
  pullBatchSize: optional(integer(1, MAX_PULL_BATCH)),
});
const pollCheck = record({ timeout: optional(integer(0, 2 ** 31 - 1)), max: optional(integer(1, MAX_PULL_BATCH)) });
const topicCheck = named(checkClientTopic);
const max = integer(1, MAX_PULL_BATCH);

/** Asks for messages when it wants them. Made by `mq.createPullConsumer`; RocketMQ calls it lite pull consumer. */
export class PullConsumer implements AsyncIterable<MessageExt> {
  readonly consumerGroup: string;
  readonly #events = new Events<ConsumerEvents>();
  readonly #connection: Connection;
  readonly #autoCommit: boolean;
  readonly #begin: Start;
  readonly #pullBatchSize: number;
  readonly #standing: Standing;
  readonly #tracer: Tracer | null;
  /** Before it has joined. */
  #subscriptions: SubscriptionMap = new Map();
  readonly #onShutdown: (consumer: PullConsumer) => void;
  #member: GroupMember | null = null;
  #buffer: PollBuffer | null = null;
  /** It has picked its queues. */
  #picks = false;
  #starting: Promise<void> = Promise.resolve();
  /** Why the queues of `assign` were refused. */
  #refusal: unknown;
  #closing: Promise<void> | null = null;
  #isShut = false;

  constructor(connection: Connection, options: PullConsumerOptions, onShutdown: (consumer: PullConsumer) => void, tracer: Tracer | null) {
    const checked = optionsCheck(options, "pullConsumer");
    this.consumerGroup = checked.consumerGroup;
    this.#connection = connection;
    this.#autoCommit = checked.autoCommit ?? true;
    this.#begin = startOf(checked, connection);
    this.#pullBatchSize = checked.pullBatchSize ?? DEFAULT_PULL_BATCH;
    this.#standing = standingOf(connection, checked, "CONSUME_ACTIVELY");
    this.#onShutdown = onShutdown;
    this.#tracer = tracer;
  }

  /**
   * Shares the topic's queues with the group. May be called for several topics. Before the first poll it is done at
   * once; after it the group has to agree, as in `subscribe` of a push consumer: see there when the promise rejects. It
   * need not be awaited, because an `error` event tells of a refusal too, and `subscribed` of the consent.
   */
  subscribe(topic: string, selector: string | MessageSelector = "*"): Promise<void> {
    return this.#change("subscribe", (subscriptions) => withTopic(subscriptions, topic, selector));
  }

  /** The group does not consume this topic any more; else as `subscribe`. Nothing more of it is given; what was given is finished as ever. */
  unsubscribe(topic: string): Promise<void> {
    return this.#change("unsubscribe", (subscriptions) => withoutTopic(subscriptions, topic));
  }

  /**
   * Takes exactly these queues, whoever else reads them, instead of those of an earlier call: queues that stay go on where
   * they are, and the progress of those that go is committed when what was given of them is finished. Resolves when the
   * broker has given them; it need not be awaited: `poll` waits for it, and tells of the first call's refusal too. A later
   * call that is refused changes nothing, and an `error` event tells of it.
   */
  assign(queues: MessageQueue[]): Promise<void> {
    this.#checkOpen();
    if (this.#subscriptions.size > 0) throw new MQError("INVALID_PARAMETER", "assign does not go together with subscribe.", { field: "assign" });
    const checked = this.#queueRefs(queues, "assign");
    if (checked.length === 0) throw new MQError("INVALID_PARAMETER", "assign needs at least one queue.", { field: "assign" });
    if (this.#member === null) {
      this.#start(checked);
      return this.#starting;
    }
    const change = this.#starting.catch(() => {}).then(() => this.#assignAgain(checked));
    this.#starting = change.catch(() => {});
    return this.#told(change);
  }

  /** The next messages: at once if some are there, else as soon as the first arrives; none when the time is up. */
  async poll(options: PollOptions = {}): Promise<MessageExt[]> {
    this.#checkOpen();
    const { timeout = 5000, max: most = 10 } = pollCheck(options, "poll");
    if (this.#autoCommit) this.#buffer?.finishGiven();
    await this.#started();
    const buffer = this.#buffer!;
    const { clock } = this.#connection.environment;
    const { telemetry } = this.#connection.options;
    const began = telemetry === undefined ? 0 : clock.now();
    const until = clock.monotonic() + timeout;
    // Another poll may have taken what has come, or its queue is gone again.
    for (let left = timeout; buffer.isEmpty && left > 0 && !this.#isShut; left = until - clock.monotonic()) await buffer.arrival(left);
    const messages = buffer.take(most);
    telemetry?.received(this.consumerGroup, messages, began);
    return messages;
  }

  /** Message by message, for ever; leave the loop with `break`. What was given before counts as consumed at the next step. */
  async *[Symbol.asyncIterator](): AsyncIterator<MessageExt> {
    while (!this.#isShut) {
      for (const message of await this.poll({ max: 1, timeout: 5000 })) yield message;
    }
  }

  /** Goes on at another offset. Messages received and not yet given are forgotten. */
  async seek(queue: MessageQueue, to: number): Promise<void> {
    const [checkedQueue, checkedOffset] = [this.#queueRef(queue, "seek.queue"), offset(to, "seek.offset")];
    const { minOffset, maxOffset } = await this.#limits(queue);
    if (checkedOffset < minOffset || checkedOffset > maxOffset) {
      throw new MQError("INVALID_PARAMETER", `The queue holds the offsets ${minOffset} to ${maxOffset}; ${checkedOffset} is none of them.`, { field: "seek.offset" });
    }
    await this.#started();
    this.#member!.seek(checkedQueue, checkedOffset);
  }

  /** Goes on at the oldest offset that can be read. */
  async seekToBegin(queue: MessageQueue): Promise<void> {
    return this.seek(queue, (await this.#limits(queue)).minOffset);
  }

  /** Goes on with the next message that is stored. */
  async seekToEnd(queue: MessageQueue): Promise<void> {
    return this.seek(queue, (await this.#limits(queue)).maxOffset);
  }

  /** Goes on at the first message that was stored at this time or later; at the end when there is none. */
  async seekToTimestamp(queue: MessageQueue, timestamp: number): Promise<void> {
    const at = time(timestamp, "seekToTimestamp.timestamp");
    const { minOffset, maxOffset } = await this.#limits(queue);
    const found = await this.#connection.call("searchOffset", [{ ...this.#queueRef(queue, "queue"), timestamp: at, boundary: "LOWER" }]);
    return this.seek(queue, Math.min(Math.max(found, minOffset), maxOffset));
  }

  /** Everything that `poll` has given is consumed; resolves when the broker knows. */
  async commit(): Promise<void> {
    this.#checkOpen();
    this.#buffer?.finishGiven();
    await this.#started();
    await this.#member!.commit();
  }

  /** Neither fetches nor gives anything more of these queues until `resume`. */
  pause(queues: MessageQueue[]): void {
    const checked = this.#queueRefs(queues, "pause");
    // Before the first poll there is no member yet: this makes one.
    this.#started().catch(() => {});
    for (const queue of checked) this.#member!.pause(queue);
    this.#buffer!.sortAgain();
  }

  /** Goes on with these queues. */
  resume(queues: MessageQueue[]): void {
    for (const queue of this.#queueRefs(queues, "resume")) this.#member?.resume(queue);
    this.#buffer?.sortAgain();
  }

  /** The queues this consumer reads at present. */
  assignment(): MessageQueue[] {
    return this.#member?.assignment() ?? [];
  }

  /** All queues of a topic. */
  async fetchQueues(topic: string): Promise<MessageQueue[]> {
    const { topic: name, brokerName, readQueueNums } = await this.#connection.call("route", [topicCheck(topic, "topic"), false]);
    return Array.from({ length: readQueueNums }, (_, queueId) => ({ topic: name, brokerName, queueId })).sort(compareQueues);
  }

  /** One read at an offset, on nobody's account: no group, no assignment, no commit, no waiting. */
  async pull(queue: MessageQueue, selector: string | MessageSelector, at: number, most: number): Promise<PullResult> {
    this.#checkOpen();
    const filter = checkSelector(selector, "pull.selector");
    if (filter.type === "WASM") throw new MQError("UNSUPPORTED", "A WebAssembly filter goes with a subscription only.", { field: "pull.selector" });
    const expression = filter.type === "SQL92" ? { type: filter.type, expression: filter.expression } : filter.expression;
    const request = { ...this.#queueRef(queue, "pull.queue"), expression, offset: offset(at, "pull.offset"), max: max(most, "pull.max") };
    const { records, ...rest } = await this.#connection.call("pull", [request]);
    const messages = decodeRecords(records, this.#connection.serving.brokerName).filter((message) => filter.type !== "TAG" || filter.matches({ tags: message.tags }));
    const status = rest.status === "FOUND" && messages.length === 0 ? "NO_MATCHED_MSG" : rest.status;
    return { ...rest, status, messages };
  }

  /** Returns the function that stops listening. */
  on<Name extends keyof ConsumerEvents>(name: Name, listener: (event: ConsumerEvents[Name]) => void): () => void {
    return listen(this.#events, CONSUMER_EVENTS, name, listener);
  }

  /** Commits, if autoCommit is on, and leaves the group. */
  shutdown(): Promise<void> {
    this.#closing ??= this.#shutdown();
    return this.#closing;
  }

  async #shutdown(): Promise<void> {
    if (this.#autoCommit) this.#buffer?.finishGiven();
    this.#isShut = true;
    this.#buffer?.wake();
    await this.#starting.catch(() => {});
    await this.#member?.stop();
    this.#onShutdown(this);
  }

  /** As `shutdown`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  #checkOpen(): void {
    if (this.#isShut) throw new MQError("CLOSED", `The pull consumer of group "${this.consumerGroup}" is shut down.`);
  }

  #started(): Promise<void> {
    // Nothing that comes late makes a member that nobody would stop.
    this.#checkOpen();
    if (this.#member === null) {
      if (this.#subscriptions.size === 0) throw this.#refusal ?? new MQError("INVALID_PARAMETER", "Call subscribe or assign first.", { field: "subscribe" });
      this.#start([]);
    }
    return this.#starting.then(() => {
      if (this.#member === null) throw this.#refusal;
    });
  }

  #change(what: string, change: (subscriptions: SubscriptionMap) => SubscriptionMap): Promise<void> {
    this.#checkOpen();
    const member = this.#member;
    if (member !== null && this.#picks) throw new MQError("INVALID_PARAMETER", `${what} does not go together with assign.`, { field: what });
    if (member === null) {
      this.#subscriptions = change(this.#subscriptions);
      return Promise.resolve();
    }
    return this.#told(
      this.#starting.then(() => {
        this.#checkOpen();
        return member.subscribe(checkSubscribed(change(member.wishedSubscriptions)));
      }),
    );
  }

  async #assignAgain(queues: QueueRef[]): Promise<void> {
    this.#checkOpen();
    if (this.#member === null) {
      this.#start(queues);
      return this.#starting;
    }
    await this.#checkExist(queues);
    await this.#member.pick(queues);
  }

  /** For who does not await it. */
  #told(change: Promise<void>): Promise<void> {
    change.catch((error: unknown) => {
      if (!this.#isShut) this.#events.emit("error", asMQError(error));
    });
    return change;
  }

  #start(queues: { topic: string; queueId: number }[]): void {
    const member = new GroupMember(this.#connection, {
      group: this.consumerGroup,
      subscriptions: this.#subscriptions,
      queues,
      ...this.#begin,
      standing: this.#standing,
      pullBatchSize: this.#pullBatchSize,
      thresholdForQueue: DEFAULT_THRESHOLD_FOR_QUEUE,
      thresholdSizeForQueue: DEFAULT_THRESHOLD_SIZE_FOR_QUEUE,
      maxSpan: Infinity,
    });
    this.#buffer = new PollBuffer(member, this.#connection.environment.timers, this.#tracer === null ? null : { tracer: this.#tracer, group: this.consumerGroup });
    this.#picks = queues.length > 0;
    member.events.on("rebalance", (change) => this.#events.emit("rebalance", change));
    member.events.on("offsetMoved", (move) => this.#events.emit("offsetMoved", move));
    member.events.on("sequenceGap", (gap) => this.#events.emit("sequenceGap", gap));
    member.events.on("subscribed", (now) => this.#events.emit("subscribed", { subscriptions: Object.fromEntries(now) }));
    member.events.on("error", (error) => this.#events.emit("error", error));
    this.#member = member;
    const started = queues.length === 0 ? member.start() : this.#checkExist(queues).then(() => member.start());
    this.#starting = started.catch((error: unknown) => {
      void member.stop();
      this.#member = null;
      this.#refusal = error;
      throw error;
    });
    this.#starting.catch(() => {});
  }

  #queueRef(value: unknown, field: string): QueueRef {
    return queueRef(value, field, this.#connection.serving.brokerName);
  }

  #queueRefs(value: unknown, field: string): QueueRef[] {
    return list((queue, at) => this.#queueRef(queue, at), MAX_QUEUES_PER_CALL)(value, field);
  }

  /** Here and not at the broker: queues that are lost with a store come back, and whoever reads them then goes on. */
  async #checkExist(queues: QueueRef[]): Promise<void> {
    for (const topic of new Set(queues.map((queue) => queue.topic))) {
      const { readQueueNums } = await this.#connection.call("route", [topic, false]);
      const at = queues.findIndex((queue) => queue.topic === topic && queue.queueId >= readQueueNums);
      if (at < 0) continue;
      const field = `assign[${at}].queueId`;
      throw new MQError("INVALID_PARAMETER", `${field}: topic "${topic}" has the queues 0 to ${readQueueNums - 1}; ${queues[at]!.queueId} is none of them.`, { field });
    }
  }

  async #limits(queue: MessageQueue): Promise<{ minOffset: number; maxOffset: number }> {
    const { topic, queueId } = this.#queueRef(queue, "queue");
    const { queues } = await this.#connection.call("topicStats", [topic]);
    const row = queues.find((one) => one.queueId === queueId);
    if (row === undefined) throw new MQError("INVALID_PARAMETER", `Topic "${topic}" has no queue ${queueKey(topic, queueId)}.`, { field: "queue" });
    return row;
  }
}
