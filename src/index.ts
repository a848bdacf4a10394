/** TabMQ's public API: everything an application may import, and nothing else. */
export { connect, type ConnectOptions } from "./client/connect.ts";
export type { TabMQ, Diagnostics } from "./client/tabmq.ts";
export type { ClientEvents } from "./client/connection.ts";
export type { Producer, ProducerOptions, SendOptions, SendResult, SendStatus } from "./client/producer.ts";
export type { ConsumerEvents, OffsetMoved, PushConsumer, PushConsumerOptions } from "./client/push-consumer.ts";
export type { SequenceGap } from "./client/sequence-audit.ts";
export type { IdempotentOptions } from "./client/idempotence.ts";
export type { BatchListener, ConsumeContext, ConsumeResult, ExceptionPolicy, MessageListener } from "./client/listener-runner.ts";
export type { PollOptions, PullConsumer, PullConsumerOptions, PullResult } from "./client/pull-consumer.ts";
export type { AllocateStrategy, StandingOptions } from "./client/standing.ts";
export type { ReceiveOptions, SimpleConsumer, SimpleConsumerEvents, SimpleConsumerOptions } from "./client/simple-consumer.ts";
export type { Admin, QueryOptions } from "./client/admin.ts";
export type { QueueOffset, ResetOffsetOptions } from "./client/offset-reset.ts";
export type { ResendOptions, ResendResult } from "./client/dead-letters.ts";
export { ImportError, type ImportResult } from "./client/log-import.ts";
export type {
  BrokerDiagnostics, ConsumeFromWhere, ConsumerConnection, ConsumerConnections, ConsumeStats, ConsumeType, DamagedRange, Durability, GroupInfo,
  MessageType, OffsetBoundary, PullStatus,
  MessageTrack, QueueConsumeStats, QueueStats, RecoveryReport, TopicConfig, TopicSpec, TopicStats, TrackType,
} from "./protocol/api.ts";
export type { BrokerSettings, FlushDiskType, MutableSettings } from "./protocol/broker-settings.ts";
export type { BodyKind, JsonValue, Message, MessageExt } from "./model/message.ts";
export type { MessageModel } from "./model/consume-result.ts";
export { MQError, type ErrorCode, type Outcome } from "./model/errors.ts";
export {
  SelectMessageQueueByHash, SelectMessageQueueByRandom, type MessageQueue, type MessageQueueSelector,
} from "./model/queue.ts";
export { MessageSelector, type Selectable, type SelectorType } from "./filter/message-selector.ts";
export { allocateMessageQueues, type AllocateFunction, type AllocateOptions, type AllocateRequest, type AllocateStrategyName } from "./model/allocation.ts";
export { checkGroup, checkTopic, isSystemTopic } from "./model/names.ts";
export { tagHash } from "./model/hash.ts";
export { DEFAULT_DELAY_LEVELS, parseDelayLevels } from "./model/delay-level.ts";
export { retryDelay } from "./model/retry.ts";
