/// <reference lib="esnext.disposable" preserve="true" />
/**
 * TabMQ's public API: everything an application may import, and nothing else.
 * @module tabmq
 */
export { connect, type ConnectOptions } from "./client/connect.ts";
export type { TabMQ, Diagnostics, HostDiagnostics } from "./client/tabmq.ts";
export type { HostCode } from "./client/environment.ts";
export type { ClientEvents } from "./client/connection.ts";
export type { Producer, ProducerOptions, SendOptions, SendResult, SendStatus } from "./client/producer.ts";
export type { ParkedMessage, TransactionalOutbox, TransactionalOutboxEvents } from "./client/transactional-outbox.ts";
export type { OutboxDatabase, OutboxTransaction } from "./client/outbox-rows.ts";
export type { HttpOutbox, HttpOutboxEvents, HttpOutboxMessage, HttpOutboxProgress } from "./client/http-outbox/http-outbox.ts";
export type { HttpOutboxOptions, HttpRequest } from "./client/http-outbox/options.ts";
export type { HttpVerdict } from "./client/http-outbox/answer.ts";
export type { CreateWorker } from "./client/browser-workers.ts";
export type { WorkerKind } from "./protocol/session-calls.ts";
export { defineTopic, type MessageFields, type StandardResult, type StandardSchema, type TopicDefinition, type TopicDefinitionOptions, type TypedConsumerOptions, type TypedListener } from "./client/topic-definition.ts";
export type { ReplyOptions } from "./client/replier.ts";
export type { ConsumerEvents, OffsetMoved, PushConsumer, PushConsumerOptions } from "./client/push-consumer.ts";
export type {
  LocalTransaction, LocalTransactionState, TransactionProducer, TransactionProducerEvents, TransactionProducerOptions, TransactionSendResult,
} from "./client/transaction-producer.ts";
export type { SequenceGap } from "./client/sequence-audit.ts";
export type { IdempotentOptions } from "./client/idempotence.ts";
export type { BatchListener, ConsumeContext, ConsumeResult, ExceptionPolicy, MessageListener } from "./client/listener-runner.ts";
export type { PollOptions, PullConsumer, PullConsumerOptions, PullResult } from "./client/pull-consumer.ts";
export type { AllocateStrategy, StandingOptions } from "./client/standing.ts";
export type { SentBack } from "./client/settle.ts";
export type { ReceiveOptions, SimpleConsumer, SimpleConsumerEvents, SimpleConsumerOptions } from "./client/simple-consumer.ts";
export type { Admin, DeleteGroupOptions, QueryOptions } from "./client/admin.ts";
export type { MessageTrace, TraceEvent, TraceEventType } from "./client/message-trace.ts";
export type { TraceCounts } from "./client/tracer.ts";
export type {
  TelemetryApi, TelemetryAttributes, TelemetryContext, TelemetrySpan, TelemetrySpanContext, TelemetrySpanOptions, TelemetryTraceState,
} from "./client/telemetry.ts";
export type { ConsumeReturnType } from "./model/trace-data.ts";
export type { QueueOffset, ResetOffsetOptions } from "./client/offset-reset.ts";
export type { DiscardOptions, DiscardResult, FailedLetter, ResendOptions, ResendResult } from "./client/dead-letters.ts";
export type { EndTransactionOptions, OpenTransactionsOptions, PendingTimersOptions } from "./client/waiting-messages.ts";
export { ImportError } from "./client/import-error.ts";
export type { ImportResult } from "./client/log-import.ts";
export type {
  BrokerData, BrokerDiagnostics, BrokerStats, ClientConnection, ClusterInfo, ConsumeFromWhere, ConsumerConnection, ConsumerConnections, ConsumeStats, ConsumeType, DamagedRange, Deleted, Durability,
  GroupConfig, GroupInfo, GroupSpec, LossKind,
  MessageType, OffsetBoundary, OpenTransaction, PendingTimer, PendingTransactions, PullStatus,
  MessageTrack, QueueConsumeStats, QueueStats, RecallReply, RecoveryReport, RetentionReport, StorageKind, TimersReport, TopicConfig, TopicRoute, TopicSpec, TopicStats, TrackType, WaitingMessage,
} from "./protocol/api.ts";
export { type BrokerSettings, DEFAULT_BROKER_SETTINGS, type FlushDiskType, type MutableSettings } from "./protocol/broker-settings.ts";
export type { BodyKind, JsonValue, Message, MessageExt } from "./model/message.ts";
export type { MessageModel } from "./model/consume-result.ts";
export { MQError, type ErrorCode, type MQErrorOptions, type Outcome } from "./model/errors.ts";
export {
  RoundRobin, SelectMessageQueueByConsistentHash, SelectMessageQueueByHash, SelectMessageQueueByRandom, type MessageQueue, type MessageQueueSelector,
} from "./model/queue.ts";
export { MessageSelector, type Selectable, type SelectorType } from "./filter/message-selector.ts";
export { allocateMessageQueues, type AllocateFunction, type AllocateOptions, type AllocateRequest, type AllocateStrategyName } from "./model/allocation.ts";
export { checkGroup, checkTopic, deadLetterTopic, retryTopic } from "./model/names.ts";
export { isSystemTopic } from "./model/system-names.ts";
export { RESERVED_PROPERTIES } from "./model/properties.ts";
export { FAILED_TRY_LATENCY, maySendAgain, notAvailableDuration, type LatencyRules, type RetryRules, type TryOutcome } from "./model/send-retry.ts";
export { splitBatch } from "./model/batch.ts";
export { createReplyMessage, type ReplyMessage } from "./model/request-reply.ts";
export { tagHash } from "./model/hash.ts";
export { DEFAULT_DELAY_LEVELS, parseDelayLevels } from "./model/delay-level.ts";
export { retryDelay } from "./model/retry.ts";
export type { TransactionState } from "./model/transaction.ts";
