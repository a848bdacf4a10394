import { type Signal, signal } from "@preact/signals";
import { type ConsumeFromWhere, MQError, type PushConsumer } from "../index.ts";
import { received } from "./feed.ts";
import { sentence } from "./format.ts";
import { refreshSoon } from "./lanes.ts";
import { defaultGroup } from "./location.ts";
import { announce, client } from "./state.ts";

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
  /** How long the listener pretends to work on each message, ms. */
  slowness: Signal<number>;
  /** What went wrong last, while it keeps trying. */
  trouble: Signal<string>;
}

export interface StartFailure {
  field: "group" | "expression" | "topic" | undefined;
  sentence: string;
}

export const consumers = signal<readonly TabConsumer[]>([]);
export const startFailure = signal<StartFailure | null>(null);

/** What each consumer needs to be stopped, beside what is shown of it. */
const running = new Map<TabConsumer, { consumer: PushConsumer; hurry: AbortController }>();
let nextId = 1;

export async function startConsumer(wish: ConsumerWish): Promise<boolean> {
  const mq = client.value;
  if (mq === null) return false;
  const hurry = new AbortController();
  const entry: TabConsumer = {
    ...wish, id: nextId++, state: signal("starting"), queues: signal([]), received: signal(0), slowness: signal(0), trouble: signal(""),
  };
  startFailure.value = null;
  consumers.value = [...consumers.value, entry];
  try {
    const consumer = await mq.createPushConsumer({
      consumerGroup: wish.group,
      subscriptions: { [wish.topic]: wish.expression },
      consumeFromWhere: wish.consumeFromWhere,
      // One at a time and few in hand, so that the slider makes a backlog that can be seen, and all queues advance together.
      consumeConcurrency: 1,
      pullBatchSize: 4,
      pullThresholdForQueue: 4,
      messageListener: async (message, { attempt, signal: lost }) => {
        entry.received.value++;
        received(message, wish.group, attempt);
        await pause(entry.slowness.value, AbortSignal.any([lost, hurry.signal]));
      },
    });
    const showQueues = (): void => {
      entry.queues.value = consumer.assignment().map(({ queueId }) => queueId);
      refreshSoon();
    };
    consumer.on("rebalance", showQueues);
    consumer.on("error", (error) => (entry.trouble.value = sentence(error.message)));
    running.set(entry, { consumer, hurry });
    entry.state.value = "running";
    showQueues();
    return true;
  } catch (error) {
    forget(entry);
    startFailure.value = explain(error, wish);
    return false;
  }
}

export async function stopConsumer(entry: TabConsumer): Promise<void> {
  const parts = running.get(entry);
  if (parts === undefined || entry.state.value === "stopping") return;
  entry.state.value = "stopping";
  parts.hurry.abort();
  await parts.consumer.shutdown();
  forget(entry);
  announce(`The consumer of group ${entry.group} has stopped.`);
  refreshSoon();
}

/** Suspended: it keeps its queues and begins no more messages. */
export function toggleSuspended(entry: TabConsumer): void {
  const parts = running.get(entry);
  if (parts === undefined) return;
  const isSuspended = entry.state.value === "suspended";
  if (isSuspended) parts.consumer.resume();
  else parts.consumer.suspend();
  entry.state.value = isSuspended ? "running" : "suspended";
  announce(`The consumer of group ${entry.group} is ${entry.state.value}.`);
}

function forget(entry: TabConsumer): void {
  running.delete(entry);
  consumers.value = consumers.value.filter((other) => other !== entry);
}

function explain(error: unknown, wish: ConsumerWish): StartFailure {
  if (!(error instanceof MQError)) throw error;
  if (error.code === "SUBSCRIPTION_INCONSISTENT") {
    const usual = defaultGroup(wish.topic);
    const other = wish.group === usual ? `${usual}-2` : usual;
    return { field: undefined, sentence: `${error.message} Choose another group, "${other}" for example.` };
  }
  const field = error.field ?? "";
  return {
    field: /group/i.test(field) ? "group" : /expression|selector|subscriptions/.test(field) ? "expression" : undefined,
    sentence: sentence(error.message),
  };
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
