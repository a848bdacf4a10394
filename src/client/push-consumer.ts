import { MessageSelector } from "../filter/tag-expression.ts";
import { MQError, textOf } from "../model/errors.ts";
import {
  CONSUME_MAX_SPAN, DEFAULT_PULL_BATCH, DEFAULT_THRESHOLD_FOR_QUEUE, DEFAULT_THRESHOLD_SIZE_FOR_QUEUE, MAX_CONSUME_CONCURRENCY,
  MAX_EXPRESSION_LENGTH, MAX_PULL_BATCH, MAX_SUBSCRIPTIONS_PER_MEMBER,
} from "../model/limits.ts";
import type { MessageExt } from "../model/message.ts";
import { checkClientTopic, checkGroup } from "../model/names.ts";
import type { MessageQueue } from "../model/queue.ts";
import { Events } from "../platform/events.ts";
import type { Cancel } from "../platform/timers.ts";
import type { ConsumeFromWhere, MessageModel } from "../protocol/api.ts";
import { boolean, callable, entries, integer, named, oneOf, optional, record, text } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import { GroupMember } from "./group-member.ts";
import { listen } from "./listen.ts";
import type { ProcessQueue } from "./process-queue.ts";
import { allocateStrategy, type Standing, standingOf, type StandingOptions } from "./standing.ts";

/** Nothing (undefined) is success; `null`, a throw and a timeout ask for a retry, as RECONSUME_LATER does. */
export type ConsumeResult = "CONSUME_SUCCESS" | "RECONSUME_LATER" | null | undefined | void;

export interface ConsumeContext {
  queue: MessageQueue;
  /** 1 for the first try. */
  attempt: number;
  /** Aborted when the time is up or the queue goes to another consumer. */
  signal: AbortSignal;
}

export type MessageListener = (message: MessageExt, context: ConsumeContext) => ConsumeResult | Promise<ConsumeResult>;
export type BatchListener = (messages: MessageExt[], context: ConsumeContext) => ConsumeResult | Promise<ConsumeResult>;

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
  consumeFromWhere?: ConsumeFromWhere;
  /** Listeners running at once. Default 20. */
  consumeConcurrency?: number;
  consumeMessageBatchMaxSize?: number;
  pullBatchSize?: number;
  pullThresholdForQueue?: number;
  /** Bytes. Default 16 MiB. */
  pullThresholdSizeForQueue?: number;
  /** A listener that takes longer is told to stop and its message is tried again, ms. Default 15 min. */
  consumeTimeout?: number;
}

export interface ConsumerEvents {
  rebalance: { assigned: MessageQueue[]; revoked: MessageQueue[] };
  error: MQError;
  /** Messages of a queue were deleted, or lost, before this group could have them: it goes on at `to`. */
  offsetMoved: OffsetMoved;
}

export interface OffsetMoved {
  queue: MessageQueue;
  from: number;
  to: number;
}

export const CONSUMER_EVENTS = ["rebalance", "error", "offsetMoved"] as const satisfies readonly (keyof ConsumerEvents)[];

const optionsCheck = record({
  consumerGroup: named(checkGroup),
  subscriptions: entries(named(checkClientTopic), selector, MAX_SUBSCRIPTIONS_PER_MEMBER),
  messageListener: optional(callable<MessageListener>),
  batchListener: optional(callable<BatchListener>),
  allocateMessageQueueStrategy: optional(allocateStrategy),
  replaceSubscription: optional(boolean),
  messageModel: optional(oneOf("CLUSTERING", "BROADCASTING")),
  consumeFromWhere: optional(oneOf("CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_FIRST_OFFSET")),
  consumeConcurrency: optional(integer(1, MAX_CONSUME_CONCURRENCY)),
  consumeMessageBatchMaxSize: optional(integer(1, MAX_PULL_BATCH)),
  pullBatchSize: optional(integer(1, MAX_PULL_BATCH)),
  pullThresholdForQueue: optional(integer(1, 65_535)),
  pullThresholdSizeForQueue: optional(integer(1024, 2 ** 30)),
  consumeTimeout: optional(integer(1, 2 ** 31 - 1)),
});

export function selector(value: unknown, field: string): MessageSelector {
  if (value instanceof MessageSelector) return value;
  const expression = text(MAX_EXPRESSION_LENGTH)(value, field);
  try {
    return MessageSelector.byTag(expression);
  } catch (error) {
    // The parser knows the place in the expression; which expression it was is known here.
    if (!(error instanceof MQError) || error.position === undefined) throw error;
    throw new MQError(error.code, `${field}: ${error.message}`, { field, position: error.position, cause: error });
  }
}

/** A message whose listener failed is tried again in place: after a second, then after twice as long each time. */
const RETRY_DELAY_MIN = 1000;
const RETRY_DELAY_MAX = 60_000;

const SHUTDOWN_PATIENCE = 5000;

interface Work {
  processQueue: ProcessQueue;
  message: MessageExt;
  attempt: number;
}

/** Gets messages handed to its listener, sharing the queues with the other members of its group. Made by `mq.createPushConsumer`. */
export class PushConsumer {
  readonly consumerGroup: string;
  readonly #events = new Events<ConsumerEvents>();
  readonly #connection: Connection;
  readonly #member: GroupMember;
  readonly #standing: Standing;
  readonly #options: ReturnType<typeof optionsCheck>;
  readonly #listener: BatchListener;
  readonly #concurrency: number;
  readonly #batchSize: number;
  readonly #onShutdown: (consumer: PushConsumer) => void;
  #ready: Work[] = [];
  readonly #retries = new Map<Work, Cancel>();
  readonly #aborts = new Map<ProcessQueue, Set<AbortController>>();
  #running = 0;
  #isSuspended = false;
  #isShut = false;
  #closing: Promise<void> | null = null;
  #idle: (() => void)[] = [];

  constructor(connection: Connection, options: PushConsumerOptions, onShutdown: (consumer: PushConsumer) => void) {
    const checked = optionsCheck(options, "pushConsumer");
    this.consumerGroup = checked.consumerGroup;
    this.#connection = connection;
    this.#options = checked;
    this.#listener = listenerOf(checked);
    this.#concurrency = checked.consumeConcurrency ?? 20;
    this.#batchSize = checked.batchListener === undefined ? 1 : (checked.consumeMessageBatchMaxSize ?? 1);
    this.#onShutdown = onShutdown;
    if (checked.subscriptions.length === 0) {
      throw new MQError("INVALID_PARAMETER", "A push consumer subscribes to at least one topic.", { field: "pushConsumer.subscriptions" });
    }
    this.#standing = standingOf(connection, checked, "CONSUME_PASSIVELY");
    this.#member = new GroupMember(connection, {
      group: checked.consumerGroup,
      subscriptions: new Map(checked.subscriptions),
      queues: [],
      consumeFromWhere: checked.consumeFromWhere ?? "CONSUME_FROM_LAST_OFFSET",
      standing: this.#standing,
      pullBatchSize: checked.pullBatchSize ?? DEFAULT_PULL_BATCH,
      thresholdForQueue: checked.pullThresholdForQueue ?? DEFAULT_THRESHOLD_FOR_QUEUE,
      thresholdSizeForQueue: checked.pullThresholdSizeForQueue ?? DEFAULT_THRESHOLD_SIZE_FOR_QUEUE,
      maxSpan: CONSUME_MAX_SPAN,
    });
    this.#member.events.on("messages", ({ processQueue, messages }) => {
      for (const message of messages) this.#ready.push({ processQueue, message, attempt: 1 });
      this.#work();
    });
    this.#member.events.on("dropped", (processQueue) => this.#drop(processQueue));
    this.#member.events.on("rebalance", (change) => this.#events.emit("rebalance", change));
    this.#member.events.on("offsetMoved", (move) => this.#events.emit("offsetMoved", move));
    this.#member.events.on("error", (error) => this.#events.emit("error", error));
  }

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
    this.#isSuspended = true;
  }

  resume(): void {
    this.#isSuspended = false;
    this.#work();
  }

  /** The queues this consumer works on at present. */
  assignment(): MessageQueue[] {
    return this.#member.assignment();
  }

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

  async #shutdown(patience: number): Promise<void> {
    this.#isShut = true;
    this.#ready = [];
    for (const cancel of this.#retries.values()) cancel();
    this.#retries.clear();
    if (this.#running > 0) {
      await new Promise<void>((resolve) => this.#idle.push(this.#connection.environment.timers.after(patience, resolve), resolve));
    }
    await this.#member.stop();
    this.#onShutdown(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  #work(): void {
    while (!this.#isSuspended && !this.#isShut && this.#running < this.#concurrency) {
      const batch = this.#nextBatch();
      if (batch.length === 0) return;
      void this.#consume(batch);
    }
  }

  /** Work for one slot: up to the batch size, of one queue and one attempt. */
  #nextBatch(): Work[] {
    const first = this.#ready[0];
    if (first === undefined) return [];
    let count = 1;
    for (; count < this.#batchSize; count++) {
      const next = this.#ready[count];
      if (next?.processQueue !== first.processQueue || next.attempt !== first.attempt) break;
    }
    return this.#ready.splice(0, count);
  }

  async #consume(batch: Work[]): Promise<void> {
    const { processQueue, attempt } = batch[0]!;
    const abort = new AbortController();
    const aborts = this.#aborts.get(processQueue) ?? new Set();
    this.#aborts.set(processQueue, aborts.add(abort));
    this.#running++;
    for (const _ of batch) this.#member.began(processQueue);

    const isDone = await this.#runListener(batch.map(({ message }) => message), { queue: { ...processQueue.queue }, attempt, signal: abort.signal }, abort);
    const isConsumed = isDone || (this.#standing.broadcast !== null && this.#giveUp(batch));

    aborts.delete(abort);
    if (aborts.size === 0) this.#aborts.delete(processQueue);
    this.#running--;
    for (const work of batch) {
      this.#member.ended(processQueue, work.message, isConsumed);
      if (!isConsumed && !processQueue.isDropped && !this.#isShut) this.#retryLater(work);
    }
    if (this.#running === 0) for (const idle of this.#idle.splice(0)) idle();
    this.#work();
  }

  async #runListener(messages: MessageExt[], context: ConsumeContext, abort: AbortController): Promise<boolean> {
    const timeout = this.#options.consumeTimeout ?? 15 * 60_000;
    let cancel: Cancel = () => {};
    const late = new Promise<"RECONSUME_LATER">((resolve) => {
      cancel = this.#connection.environment.timers.after(timeout, () => {
        const error = new MQError("DEADLINE_EXCEEDED", `The listener of group "${this.consumerGroup}" took longer than ${timeout} ms.`, { outcome: "unknown" });
        abort.abort(error);
        this.#events.emit("error", error);
        resolve("RECONSUME_LATER");
      });
    });
    try {
      const result: unknown = await Promise.race([this.#listener(messages, context), late]);
      if (result === undefined || result === "CONSUME_SUCCESS") return true;
      if (result !== "RECONSUME_LATER" && result !== null) {
        throw new MQError("INVALID_PARAMETER", `it answered ${textOf(result)}; known answers are "CONSUME_SUCCESS", "RECONSUME_LATER", null and nothing`);
      }
      return false;
    } catch (cause) {
      this.#events.emit("error", new MQError("INTERNAL_ERROR", `The listener of group "${this.consumerGroup}" failed: ${textOf(cause)}`, { cause }));
      return false;
    } finally {
      cancel();
    }
  }

  /** Broadcasting never tries again: a failure is told, and counts as consumed. */
  #giveUp(batch: Work[]): true {
    const ids = batch.map(({ message }) => message.msgId).join(", ");
    this.#events.emit("error", new MQError("INTERNAL_ERROR", `The listener of the broadcasting group "${this.consumerGroup}" has failed; this is not tried again: ${ids}.`));
    return true;
  }

  /** The message stays where it is and holds its queue's offset: it is tried again here, and by whoever gets the queue next. */
  #retryLater({ processQueue, message, attempt }: Work): void {
    const work: Work = { processQueue, message, attempt: attempt + 1 };
    const delay = Math.min(RETRY_DELAY_MIN * 2 ** (attempt - 1), RETRY_DELAY_MAX);
    const cancel = this.#connection.environment.timers.after(delay, () => {
      this.#retries.delete(work);
      this.#ready.unshift(work);
      this.#work();
    });
    this.#retries.set(work, cancel);
  }

  #drop(processQueue: ProcessQueue): void {
    this.#ready = this.#ready.filter((work) => work.processQueue !== processQueue);
    for (const [work, cancel] of this.#retries) {
      if (work.processQueue !== processQueue) continue;
      cancel();
      this.#retries.delete(work);
    }
    for (const abort of this.#aborts.get(processQueue) ?? []) {
      abort.abort(new MQError("STALE_GENERATION", "The queue goes to another consumer of the group."));
    }
  }
}

function listenerOf({ messageListener, batchListener }: ReturnType<typeof optionsCheck>): BatchListener {
  if (batchListener !== undefined && messageListener === undefined) return batchListener;
  if (messageListener !== undefined && batchListener === undefined) return ([message], context) => messageListener(message!, context);
  throw new MQError("INVALID_PARAMETER", "A push consumer has either a messageListener or a batchListener.", { field: "pushConsumer.messageListener" });
}
