import type { MessageSelector } from "../filter/message-selector.ts";
import type { MessageModel } from "../model/consume-result.ts";
import { MQError } from "../model/errors.ts";
import type { MessageExt } from "../model/message.ts";
import {
  CONSUME_MAX_SPAN, DEFAULT_PULL_BATCH, DEFAULT_THRESHOLD_FOR_QUEUE, DEFAULT_THRESHOLD_SIZE_FOR_QUEUE, MAX_CONSUME_CONCURRENCY,
  MAX_PULL_BATCH, MAX_SUBSCRIPTIONS_PER_MEMBER,
} from "../model/limits.ts";
import { checkClientTopic, checkGroup } from "../model/names.ts";
import type { MessageQueue } from "../model/queue.ts";
import { MAX_RECONSUME_TIMES } from "../model/retry.ts";
import { Events } from "../platform/events.ts";
import type { ConsumeFromWhere } from "../protocol/api.ts";
import { boolean, callable, entries, integer, named, oneOf, optional, record } from "../protocol/validate.ts";
import { ConcurrentConsumption } from "./concurrent-consumption.ts";
import type { Connection } from "./connection.ts";
import { ContextSender } from "./context-sender.ts";
import { GroupMember } from "./group-member.ts";
import { Idempotence, idempotentOptions, type IdempotentOptions } from "./idempotence.ts";
import { listen } from "./listen.ts";
import { OrderlyConsumption } from "./orderly-consumption.ts";
import { startFields, startOf } from "./start.ts";
import { type BatchListener, type ExceptionPolicy, ListenerRunner, type MessageListener } from "./listener-runner.ts";
import type { Routes } from "./routes.ts";
import type { SequenceGap } from "./sequence-audit.ts";
import { Replier } from "./replier.ts";
import type { SentBack } from "./settle.ts";
import { allocateStrategy, type Standing, standingOf, type StandingOptions } from "./standing.ts";
import { checkSubscribed, selector, withoutTopic, withTopic } from "./subscriptions.ts";
import type { OpenSpan } from "./telemetry.ts";
import type { Tracer } from "./tracer.ts";

export interface PushConsumerOptions extends StandingOptions {
  consumerGroup: string;
  /** topic -> "*", a tag expression such as "created || paid", or a MessageSelector. */
  subscriptions: Record<string, string | MessageSelector>;
  /** One message at a time per slot. */
  messageListener?: MessageListener;
  /** Instead: up to consumeMessageBatchMaxSize messages of one queue at a time. */
  batchListener?: BatchListener;
  /**
   * Default CLUSTERING: the group shares the messages. BROADCASTING: every client gets all of them, tries each once,
   * and keeps its offsets in the browser's storage, where it finds them again if `connect` is given a `clientId`.
   */
  messageModel?: MessageModel;
  /** One call of the listener at a time for each queue, in the queue's order; a failure makes the queue rest. Default false. */
  orderly?: boolean;
  /** Orderly: how long, ms. Default 1000, at least 10 and at most 30000. */
  suspendCurrentQueueTime?: number;
  /** Where a new group begins. Default CONSUME_FROM_LAST_OFFSET: with the first message that is sent after it has joined. */
  consumeFromWhere?: ConsumeFromWhere;
  /** Store time with which a new group begins, ms, with CONSUME_FROM_TIMESTAMP. Default half an hour ago. */
  consumeTimestamp?: number;
  /** Listeners running at once. Default 20. */
  consumeConcurrency?: number;
  /** Messages that a `batchListener` is given at once, at most. Default 1. */
  consumeMessageBatchMaxSize?: number;
  /** Messages of one queue that are fetched at once. Default 32. */
  pullBatchSize?: number;
  /** How long to rest after messages have come, ms. Default 0. */
  pullInterval?: number;
  /** No more is fetched of a queue of which this many messages are here. Default 1000. */
  pullThresholdForQueue?: number;
  /** The same in bytes. Default 16 MiB. */
  pullThresholdSizeForQueue?: number;
  /** How far a queue may run ahead of its oldest unfinished message, in offsets. Default 2000. */
  consumeConcurrentlyMaxSpan?: number;
  /** A listener that takes longer is told to stop and its message is tried again, ms. Default 15 min. */
  consumeTimeout?: number;
  /** How often a message is tried again before it becomes a dead letter. Default 16; of an orderly consumer 2147483647. */
  maxReconsumeTimes?: number;
  /** `skip`: a listener's error is reported, and its message counts as consumed. Default `retry`. */
  exceptionPolicy?: ExceptionPolicy;
  /**
   * A message whose key the group has finished within `window` is acknowledged without calling the listener; one whose
   * key another message, queue or tab of the group has in hand waits for it. `true`: the key is the msgId, and the window
   * 24 hours. Default false. All members of a group say the same; not with BROADCASTING.
   *
   * A finished key is stored in the transaction of its message's offset. What the broker has not heard of when the tab dies
   * (at most about 0.1 s of work), or has not yet on disk when both die, is given to a listener again: what a listener
   * does outside should still bear being done twice. What failed is not finished, nor is a dead letter. Moving a group
   * back (`resetOffset`) makes nothing unfinished. The broker remembers 100,000 keys a group; above, an `error` event
   * FLOW_CONTROL tells that the oldest are forgotten sooner.
   */
  idempotent?: boolean | IdempotentOptions;
}

/** What a push consumer tells. */
export interface ConsumerEvents {
  rebalance: { assigned: MessageQueue[]; revoked: MessageQueue[] };
  error: MQError;
  /** Messages of a queue were deleted, or lost, before this group could have them: it goes on at `to`. */
  offsetMoved: OffsetMoved;
  /**
   * Of a producer with `sequenceAudit`, in a topic that is subscribed to whole (`"*"`): messages are missing in a queue, or
   * one has come again. Told once, as soon as the producer knew what had become of all before. What lies before the
   * first message that this consumer gets of a producer in a queue is no gap, nor what `offsetMoved` tells.
   */
  sequenceGap: SequenceGap;
  /** What a push consumer's listener has not consumed is stored: to be tried again, or as a dead letter. */
  sentBack: SentBack;
  /** By `subscribe` or `unsubscribe`, of this consumer and of all others in the group, these are the group's subscriptions now. */
  subscribed: { subscriptions: Record<string, MessageSelector> };
}

/** Messages of a queue that a group did not get: it goes on at `to` instead of `from`. */
export interface OffsetMoved {
  queue: MessageQueue;
  from: number;
  to: number;
}

export const CONSUMER_EVENTS = ["rebalance", "error", "offsetMoved", "sequenceGap", "sentBack", "subscribed"] as const satisfies readonly (keyof ConsumerEvents)[];

const optionsCheck = record({
  consumerGroup: named(checkGroup),
  subscriptions: entries(named(checkClientTopic), selector, MAX_SUBSCRIPTIONS_PER_MEMBER),
  messageListener: optional(callable<MessageListener>),
  batchListener: optional(callable<BatchListener>),
  allocateMessageQueueStrategy: optional(allocateStrategy),
  replaceSubscription: optional(boolean),
  messageModel: optional(oneOf("CLUSTERING", "BROADCASTING")),
  orderly: optional(boolean),
  suspendCurrentQueueTime: optional(integer(0, 2 ** 31 - 1)),
  ...startFields,
  consumeConcurrency: optional(integer(1, MAX_CONSUME_CONCURRENCY)),
  consumeMessageBatchMaxSize: optional(integer(1, MAX_PULL_BATCH)),
  pullBatchSize: optional(integer(1, MAX_PULL_BATCH)),
  pullThresholdForQueue: optional(integer(1, 65_535)),
  pullThresholdSizeForQueue: optional(integer(1024, 2 ** 30)),
  consumeConcurrentlyMaxSpan: optional(integer(1, 65_535)),
  pullInterval: optional(integer(0, 65_535)),
  consumeTimeout: optional(integer(1, 2 ** 31 - 1)),
  maxReconsumeTimes: optional(integer(0, 2 ** 31 - 1)),
  exceptionPolicy: optional(oneOf("retry", "skip")),
  idempotent: optional(idempotentOptions),
});

const SHUTDOWN_PATIENCE = 5000;

const DEFAULT_CONSUME_TIMEOUT = 15 * 60_000;
const DEFAULT_CONCURRENCY = 20;
/** What is to be in order is tried until it works. */
const MAX_ORDERLY_RECONSUME_TIMES = 2 ** 31 - 1;
const DEFAULT_SUSPENSION = 1000;

/** Gets messages handed to its listener, sharing the queues with the other members of its group. Made by `mq.createPushConsumer`. */
export class PushConsumer {
  readonly consumerGroup: string;
  readonly #events = new Events<ConsumerEvents>();
  readonly #member: GroupMember;
  readonly #runner: ListenerRunner;
  readonly #consumption: ConcurrentConsumption | OrderlyConsumption;
  readonly #standing: Standing;
  readonly #onShutdown: (consumer: PushConsumer) => void;
  #closing: Promise<void> | null = null;

  constructor(connection: Connection, options: PushConsumerOptions, onShutdown: (consumer: PushConsumer) => void, tracer: Tracer | null, routes: Routes) {
    const checked = optionsCheck(options, "pushConsumer");
    const { consumerGroup: group, messageModel = "CLUSTERING" } = checked;
    const { timers, clock } = connection.environment;
    const onError = (error: MQError): void => this.#events.emit("error", error);
    const idempotence = idempotenceOf(checked, onError);
    const listener = idempotence === null ? listenerOf(checked) : withKeys(listenerOf(checked), idempotence);
    this.consumerGroup = group;
    this.#onShutdown = onShutdown;
    if (checked.subscriptions.length === 0) {
      throw new MQError("INVALID_PARAMETER", "A push consumer subscribes to at least one topic.", { field: "pushConsumer.subscriptions" });
    }
    const orderly = checked.orderly ?? false;
    this.#standing = standingOf(connection, checked, "CONSUME_PASSIVELY", { orderly, idempotenceWindow: idempotence?.window ?? null });
    this.#member = new GroupMember(connection, {
      group,
      subscriptions: new Map(checked.subscriptions),
      queues: [],
      takesRetries: messageModel === "CLUSTERING",
      ...startOf(checked, connection),
      standing: this.#standing,
      idempotence,
      pullBatchSize: checked.pullBatchSize ?? DEFAULT_PULL_BATCH,
      pullInterval: checked.pullInterval ?? 0,
      thresholdForQueue: checked.pullThresholdForQueue ?? DEFAULT_THRESHOLD_FOR_QUEUE,
      thresholdSizeForQueue: checked.pullThresholdSizeForQueue ?? DEFAULT_THRESHOLD_SIZE_FOR_QUEUE,
      // An orderly consumer finishes nothing out of turn.
      maxSpan: checked.orderly ? Infinity : (checked.consumeConcurrentlyMaxSpan ?? CONSUME_MAX_SPAN),
    });
    const replier = new Replier(connection);
    const sender = new ContextSender({ connection, routes, group, tracer });
    const runner = (this.#runner = new ListenerRunner({
      listener, group, orderly, timers, clock, tracer, onError,
      span: spansOf(connection, group, messageModel),
      sender: messageModel === "BROADCASTING" ? null : sender,
      timeout: checked.consumeTimeout ?? DEFAULT_CONSUME_TIMEOUT,
      exceptionPolicy: checked.exceptionPolicy ?? "retry",
      reply: (request, body) => replier.reply(request, body),
    }));
    const common = {
      member: this.#member, runner, sender, idempotence, tracer, timers, onError, messageModel,
      onSentBack: (sentBack: SentBack) => this.#events.emit("sentBack", sentBack),
      concurrency: checked.consumeConcurrency ?? DEFAULT_CONCURRENCY,
      batchSize: checked.batchListener === undefined ? 1 : (checked.consumeMessageBatchMaxSize ?? 1),
    };
    this.#consumption = orderly
      ? new OrderlyConsumption({ ...common, maxReconsumeTimes: checked.maxReconsumeTimes ?? MAX_ORDERLY_RECONSUME_TIMES, suspendTime: checked.suspendCurrentQueueTime ?? DEFAULT_SUSPENSION })
      : new ConcurrentConsumption({ ...common, maxReconsumeTimes: checked.maxReconsumeTimes ?? MAX_RECONSUME_TIMES });
    const { events } = this.#member;
    events.on("messages", ({ processQueue, messages }) => this.#consumption.take(processQueue, messages));
    events.on("dropped", (processQueue) => this.#consumption.drop(processQueue));
    events.on("sure", () => this.#consumption.goOn());
    events.on("rebalance", (change) => this.#events.emit("rebalance", change));
    events.on("offsetMoved", (move) => this.#events.emit("offsetMoved", move));
    events.on("sequenceGap", (gap) => this.#events.emit("sequenceGap", gap));
    events.on("subscribed", (now) => this.#events.emit("subscribed", { subscriptions: Object.fromEntries(now) }));
    events.on("error", onError);
  }

  /** Joins the group. @internal */
  start(): Promise<void> {
    return this.#member.start();
  }

  /** Where its offsets are kept: `memory` (broadcasting, without a `clientId` or without local storage) is gone with the tab. */
  get offsetStore(): "broker" | "browser" | "memory" {
    const { broadcast } = this.#standing;
    return broadcast === null ? "broker" : broadcast.isKept ? "browser" : "memory";
  }

  /** Begins no more messages until `resume`; the queues stay with this consumer. */
  suspend(): void {
    this.#consumption.suspend();
  }

  /** Begins messages again. */
  resume(): void {
    this.#consumption.resume();
  }

  /** The queues this consumer works on at present. */
  assignment(): MessageQueue[] {
    return this.#member.assignment();
  }

  /**
   * The group consumes this topic too, or by another filter; a topic that is new to the group begins as this consumer's
   * `consumeFromWhere` says. Resolves when it is so. All members of a group have the same subscriptions: while others
   * have not asked for the same, the promise rejects with SUBSCRIPTION_INCONSISTENT, which names both sides, and nothing
   * changes; but the wish is remembered as long as this consumer and the broker live, and as soon as all wish
   * the same it is taken, and the event `subscribed` tells. A later call builds on the wish. Not with BROADCASTING.
   */
  async subscribe(topic: string, filter: string | MessageSelector = "*"): Promise<void> {
    this.#checkOpen();
    await this.#member.subscribe(withTopic(this.#member.wishedSubscriptions, topic, filter));
  }

  /** The group does not consume this topic any more; else as `subscribe`. What its listeners have in hand is finished. One topic must be left. */
  async unsubscribe(topic: string): Promise<void> {
    this.#checkOpen();
    await this.#member.subscribe(checkSubscribed(withoutTopic(this.#member.wishedSubscriptions, topic)));
  }

  /** Returns the function that stops listening. */
  on<Name extends keyof ConsumerEvents>(name: Name, listener: (event: ConsumerEvents[Name]) => void): () => void {
    return listen(this.#events, CONSUMER_EVENTS, name, listener);
  }

  /**
   * Waits for the listeners that are running, but no longer than `patience` ms, commits, and leaves the group.
   * What was not finished by then is told to stop and will be delivered again.
   */
  shutdown(patience = SHUTDOWN_PATIENCE): Promise<void> {
    this.#closing ??= this.#shutdown(patience);
    return this.#closing;
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new MQError("CLOSED", `The consumer of group "${this.consumerGroup}" is shut down.`);
  }

  async #shutdown(patience: number): Promise<void> {
    await this.#consumption.stop(patience);
    this.#runner.end();
    await this.#member.stop();
    this.#onShutdown(this);
  }

  /** As `shutdown`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}

function spansOf({ options: { telemetry } }: Connection, group: string, messageModel: MessageModel): ((messages: readonly MessageExt[]) => OpenSpan | null) | undefined {
  if (telemetry === undefined) return undefined;
  return (messages) => telemetry.process(group, messages, messageModel === "CLUSTERING" ? "clustering" : "broadcasting");
}

function idempotenceOf({ idempotent = null, messageModel }: ReturnType<typeof optionsCheck>, onError: (error: MQError) => void): Idempotence | null {
  if (idempotent === null) return null;
  if (messageModel !== "BROADCASTING") return new Idempotence(idempotent, onError);
  throw new MQError("INVALID_PARAMETER", "A broadcasting consumer cannot be idempotent: its group finishes nothing together.", { field: "pushConsumer.idempotent" });
}

/** A message without a key is nothing to be idempotent by: that is a failure like the listener's own. */
function withKeys(listener: BatchListener, idempotence: Idempotence): BatchListener {
  return (messages, context) => {
    for (const message of messages) idempotence.keyOf(message);
    return listener(messages, context);
  };
}

function listenerOf({ messageListener, batchListener }: ReturnType<typeof optionsCheck>): BatchListener {
  if (batchListener !== undefined && messageListener === undefined) return batchListener;
  if (messageListener !== undefined && batchListener === undefined) return ([message], context) => messageListener(message!, context);
  throw new MQError("INVALID_PARAMETER", "A push consumer has either a messageListener or a batchListener.", { field: "pushConsumer.messageListener" });
}
