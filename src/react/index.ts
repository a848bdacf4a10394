/**
 * `tabmq/react`: hooks for React 18 and newer.
 * @module tabmq/react
 */
export { TabMQProvider, type TabMQProviderProps, type TabMQState, type TabMQStatus, useTabMQ } from "./provider.ts";
export { type Topic, useTopic } from "./use-topic.ts";
export { type ConsumerState, useConsumer, type UseConsumerOptions, type UseTypedConsumerOptions } from "./use-consumer.ts";
export { type ConsumerLag, useConsumerLag } from "./use-consumer-lag.ts";
