import { type Signal, signal } from "@preact/signals";
import { type ConsumeFromWhere, MQError, type MessageExt, type PushConsumer } from "../index.ts";
import type { Devtools } from "../devtools/context.ts";
import { defaultGroup } from "../devtools/panels/map/names.ts";
import { sentence } from "../devtools/polled.ts";

export interface ConsumerWish {
  topic: string;
  group: string;
  expression: string;
  consumeFromWhere: ConsumeFromWhere;
}

/** A consumer that runs in this tab. */
export interface TabConsumer extends ConsumerWish {
  id: number;
  state: Signal<"starting" | "running" | "suspended" | "stopping">;
  queues: Signal<number[]>;
  received: Signal<number>;
  failed: Signal<number>;
  /** How long the listener pretends to work on each message, ms. */
  slowness: Signal<number>;
  /** It fails at every so-many-th message; 0 = never. */
  failsEvery: Signal<number>;
  /** What went wrong last, while it keeps trying. */
  trouble: Signal<string>;
}

export interface StartFailure {
  field: "group" | "expression" | undefined;
  sentence: string;
}

/** Told of each message that a consumer of this tab is given. */
export type Received = (message: MessageExt, group: string, attempt: number, isFailing: boolean) => void;

/** RocketMQ's defaults are 16 tries over hours: too many to wait for. */
export const MAX_RETRIES = 3;
/** Level 1: a second later. */
const RETRY_LEVEL = 1;

export class Consumers {
  readonly list = signal<readonly TabConsumer[]>([]);
  readonly startFailure = signal<StartFailure | null>(null);
  readonly #devtools: Devtools;
  readonly #received: Received;
  /** What each consumer needs to be stopped, beside what is shown of it. */
  readonly #running = new Map<TabConsumer, { consumer: PushConsumer; hurry: AbortController }>();
  readonly #unsubscribe: () => void;
  #nextId = 1;

  constructor(devtools: Devtools, received: Received) {
    this.#devtools = devtools;
    this.#received = received;
    // A connection that is over has taken its consumers with it: the next one begins with none.
    this.#unsubscribe = devtools.session.client.subscribe((client) => {
      if (client !== null) return;
      this.#running.clear();
      this.list.value = [];
    });
  }

  async start(wish: ConsumerWish): Promise<boolean> {
    const mq = this.#devtools.session.client.peek();
    if (mq === null) return false;
    const hurry = new AbortController();
    const entry: TabConsumer = {
      ...wish, id: this.#nextId++, state: signal("starting"), queues: signal([]), received: signal(0), failed: signal(0),
      slowness: signal(0), failsEvery: signal(0), trouble: signal(""),
    };
    this.startFailure.value = null;
    this.list.value = [...this.list.value, entry];
    try {
      const consumer = await mq.createPushConsumer({
        consumerGroup: wish.group,
        subscriptions: { [wish.topic]: wish.expression },
        consumeFromWhere: wish.consumeFromWhere,
        maxReconsumeTimes: MAX_RETRIES,
        // One at a time and few in hand, so that the slider makes a backlog that can be seen, and all queues advance together.
        consumeConcurrency: 1,
        pullBatchSize: 4,
        pullThresholdForQueue: 4,
        messageListener: async (message, context) => {
          entry.received.value++;
          const every = entry.failsEvery.value;
          const isFailing = every > 0 && entry.received.value % every === 0;
          if (isFailing) entry.failed.value++;
          this.#received(message, wish.group, context.attempt, isFailing);
          await pause(entry.slowness.value, AbortSignal.any([context.signal, hurry.signal]));
          if (!isFailing) return undefined;
          context.delayLevelWhenNextConsume = RETRY_LEVEL;
          return "RECONSUME_LATER";
        },
      });
      const showQueues = (): void => {
        entry.queues.value = consumer.assignment().filter(({ topic }) => topic === wish.topic).map(({ queueId }) => queueId);
      };
      consumer.on("rebalance", showQueues);
      consumer.on("error", (error) => (entry.trouble.value = sentence(error.message)));
      this.#running.set(entry, { consumer, hurry });
      entry.state.value = "running";
      showQueues();
      return true;
    } catch (error) {
      this.#forget(entry);
      this.startFailure.value = this.#explain(error, wish);
      return false;
    }
  }

  async stop(entry: TabConsumer): Promise<void> {
    const parts = this.#running.get(entry);
    if (parts === undefined || entry.state.value === "stopping") return;
    entry.state.value = "stopping";
    parts.hurry.abort();
    await parts.consumer.shutdown();
    this.#forget(entry);
    this.#announce("live.consumer.stopped", entry);
  }

  /** Suspended: it keeps its queues and begins no more messages. */
  toggleSuspended(entry: TabConsumer): void {
    const parts = this.#running.get(entry);
    if (parts === undefined) return;
    const isSuspended = entry.state.value === "suspended";
    if (isSuspended) parts.consumer.resume();
    else parts.consumer.suspend();
    entry.state.value = isSuspended ? "running" : "suspended";
    this.#announce(isSuspended ? "live.consumer.isResumed" : "live.consumer.isSuspended", entry);
  }

  /** The connection may be an application's own, and outlive the element. */
  close(): void {
    this.#unsubscribe();
    for (const { consumer, hurry } of this.#running.values()) {
      hurry.abort();
      consumer.shutdown().catch(() => undefined);
    }
    this.#running.clear();
  }

  #forget(entry: TabConsumer): void {
    this.#running.delete(entry);
    this.list.value = this.list.value.filter((other) => other !== entry);
  }

  #announce(key: "live.consumer.stopped" | "live.consumer.isResumed" | "live.consumer.isSuspended", { group }: TabConsumer): void {
    this.#devtools.announce(this.#devtools.settings.translate.peek()(key, { group }));
  }

  #explain(error: unknown, wish: ConsumerWish): StartFailure {
    if (!(error instanceof MQError)) throw error;
    if (error.code === "SUBSCRIPTION_INCONSISTENT") {
      const usual = defaultGroup(wish.topic);
      const group = wish.group === usual ? `${usual}-2` : usual;
      return { field: undefined, sentence: this.#devtools.settings.translate.peek()("live.consumer.otherGroup", { reason: error.message, group }) };
    }
    const field = error.field ?? "";
    return {
      field: /group/i.test(field) ? "group" : /expression|selector|subscriptions/.test(field) ? "expression" : undefined,
      sentence: sentence(error.message),
    };
  }
}

/** Ends early when the queue goes to another tab, or the consumer is to stop: the message in hand still counts as consumed. */
function pause(duration: number, cut: AbortSignal): Promise<void> {
  if (duration === 0 || cut.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      cut.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, duration);
    cut.addEventListener("abort", done);
  });
}
