import { useEffect, useState } from "react";
import type { ConsumeContext, ConsumeResult, Message, MessageExt, MessageQueue, MQError, PushConsumer, PushConsumerOptions, TopicDefinition, TypedConsumerOptions } from "../index.ts";
import { asError, useTabMQ } from "./provider.ts";
import { useNewest } from "./use-newest.ts";

/** What `useConsumer` answers. */
export interface ConsumerState {
  status: "connecting" | "running" | "failed";
  /** Why it has failed, or what its listener has thrown last. */
  error: MQError | null;
  /** The queues that this tab works on. */
  assignment: readonly MessageQueue[];
}

/** What `useConsumer` takes for a topic by name: a push consumer's options, one topic, and a listener. */
export interface UseConsumerOptions extends Omit<PushConsumerOptions, "subscriptions" | "messageListener" | "batchListener"> {
  topic: string;
  /** A tag expression; `"*"` unless given. */
  filter?: string;
  /** The newest is called. Returns: done. Throws: `exceptionPolicy` says what becomes of the message. */
  listener: (message: MessageExt, context: ConsumeContext) => ConsumeResult | Promise<ConsumeResult>;
}

/** What `useConsumer` takes for a topic made by `defineTopic`. */
export interface UseTypedConsumerOptions<Body extends Message["body"]> extends Omit<TypedConsumerOptions<Body>, "filter"> {
  topic: TopicDefinition<Body>;
  filter?: string;
}

/**
 * A push consumer, as long as the component is there. The newest listener is called; another group, topic or filter is another consumer;
 * of the other options those count that it was made with.
 */
export function useConsumer<Body extends Message["body"]>(options: UseTypedConsumerOptions<Body>): ConsumerState;
export function useConsumer(options: UseConsumerOptions): ConsumerState;
export function useConsumer(options: UseConsumerOptions | UseTypedConsumerOptions<Message["body"]>): ConsumerState {
  const { mq, error: failure } = useTabMQ();
  const [state, setState] = useState<ConsumerState>(CONNECTING);
  const newest = useNewest(options);
  const { consumerGroup, filter = "*" } = options;
  const topic = typeof options.topic === "string" ? options.topic : options.topic.topic;

  useEffect(() => {
    if (mq === null) return undefined;
    let isOver = false;
    const change = (changed: Partial<ConsumerState>): void => {
      if (!isOver) setState((before) => ({ ...before, ...changed }));
    };
    const { topic: _topic, filter: _filter, listener: _listener, ...rest } = newest.current;
    const starting = mq.createPushConsumer({
      ...rest,
      subscriptions: { [topic]: filter },
      messageListener: (message, context) => {
        const { current } = newest;
        return typeof current.topic === "string" ? (current as UseConsumerOptions).listener(message, context) : current.topic.listener((current as UseTypedConsumerOptions<Message["body"]>).listener)(message, context);
      },
    });
    starting.then(
      (consumer) => {
        const tell = (): void => change({ assignment: consumer.assignment() });
        consumer.on("rebalance", tell);
        consumer.on("error", (error) => change({ error }));
        change({ status: "running", error: null, assignment: consumer.assignment() });
      },
      (error: unknown) => change({ status: "failed", error: asError(error) }),
    );
    return () => {
      isOver = true;
      setState(CONNECTING);
      starting.then((consumer: PushConsumer) => consumer.shutdown()).catch(() => {});
    };
  }, [mq, consumerGroup, topic, filter]);

  return failure === null ? state : { ...CONNECTING, status: "failed", error: failure };
}

const CONNECTING: ConsumerState = { status: "connecting", error: null, assignment: [] };
