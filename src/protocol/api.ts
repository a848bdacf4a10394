import type { ErrorData } from "../model/errors.ts";
import type { BrokerStats, ClientConnection, ClusterInfo, ConsumeStats, ConsumerConnections, DeadLettersReply, DeadLettersRequest, Deleted, DeleteGroupRequest, GroupConfig, GroupInfo, GroupSpec, LettersRequest, MessageTrack, ResetOffsetRequest, TopicRoute, TopicStats } from "./admin-calls.ts";
import type { BrokerSettings, MutableSettings } from "./broker-settings.ts";
import type { BrokerDiagnostics } from "./diagnostics.ts";
import type { AllocateReply, ClaimKeysRequest, FetchReply, FetchRequest, FinishReply, FinishRequest, JoinReply, JoinRequest, KeyState, PickRequest, QuitRequest, SettleReply, SettleRequest, SubscribeRequest } from "./group-calls.ts";
import type { InboxReply, InboxRequest } from "./inbox-calls.ts";
import type { AckReply, AckRequest, ChangeInvisibleRequest, ClaimHandle, ReceiveReply, ReceiveRequest } from "./pop-calls.ts";
import type { PendingTimersReply, PendingTimersRequest, PullReply, PullRequest, QueryReply, QueryRequest, SearchOffsetRequest } from "./query-calls.ts";
import type { ListenersRequest, ReplyOutcome } from "./request-calls.ts";
import type { FlushReply, QueueRef, RecallReply, RecallRequest, SendReply, TopicConfig, TopicSpec } from "./send-calls.ts";
import type { HelloReply, HelloRequest } from "./session-calls.ts";
import type { EndTransactionReply, EndTransactionRequest, OpenTransactionsReply, OpenTransactionsRequest } from "./transaction-calls.ts";
import type { ExportReply, ExportRequest, ImportEnd, ImportRecords, LogExtent } from "./transfer-calls.ts";

export type * from "./admin-calls.ts";
export type * from "./diagnostics.ts";
export type * from "./group-calls.ts";
export type * from "./inbox-calls.ts";
export type * from "./pop-calls.ts";
export type * from "./query-calls.ts";
export type * from "./request-calls.ts";
export type * from "./send-calls.ts";
export type * from "./session-calls.ts";
export type * from "./transaction-calls.ts";
export type * from "./transfer-calls.ts";

/**
 * What crosses a port. A client calls one of these methods by name through comlink; nothing else gets through
 * (guarded-endpoint.ts). The broker never throws over the port: an error is a value, and every answer carries the epoch,
 * and how far the log is durable: whoever hears it is a witness.
 */
export const PROTOCOL_VERSION = 1;
export const PROTOCOL_RANGE: [number, number] = [1, 1];
export const STORE_FORMAT = 1;
/** Version of this library, for diagnostics. */
export const LIBRARY_VERSION = "0.1.0";

export type Answer<T> = { ok: true; epoch: number; durable: number; value: T } | { ok: false; epoch: number; error: ErrorData };

export interface BrokerApi {
  /** First call on every port, repeated until it says `serving`. */
  hello(request: HelloRequest): Promise<Answer<HelloReply>>;
  /** The client goes away politely. */
  leave(): Promise<Answer<null>>;
  ping(): Promise<Answer<null>>;
  /** One frame of records; answered when they are durable. Of a frame that is sent again: `from` where on they may be in the log. */
  send(frame: ArrayBuffer, from?: number): Promise<Answer<SendReply>>;
  /** How the commits of frames that were answered before ended; waits for them, but not for ever. */
  flush(from: number, to: number): Promise<Answer<FlushReply>>;
  /** Calls a timer off; answered when that is durable. May be repeated. */
  recall(request: RecallRequest): Promise<Answer<RecallReply>>;
  pendingTimers(request: PendingTimersRequest): Promise<Answer<PendingTimersReply>>;
  /** Where a topic's messages go; creates the topic when `create` and the broker's settings allow it. */
  route(topic: string, create: boolean): Promise<Answer<TopicConfig>>;
  join(request: JoinRequest): Promise<Answer<JoinReply>>;
  fetch(request: FetchRequest): Promise<Answer<FetchReply>>;
  quit(request: QuitRequest): Promise<Answer<null>>;
  /** Asks for other subscriptions; taken when all members of the group ask for the same, and refused until then, but remembered. Answers with the version of the terms. */
  subscribe(request: SubscribeRequest): Promise<Answer<number>>;
  /** Answered when the next fetch brings the queues. May be repeated. */
  pick(request: PickRequest): Promise<Answer<null>>;
  /** The answer to what a fetch has asked of a group's leader; null = it has been asked something newer since. */
  allocate(request: AllocateReply): Promise<Answer<null>>;
  /** Takes keys in hand for an idempotent consumer; one answer a key. May be repeated. */
  claimKeys(request: ClaimKeysRequest): Promise<Answer<KeyState[]>>;
  /** Messages that were not consumed; answered when their copies are durable. May be repeated. */
  settle(request: SettleRequest): Promise<Answer<SettleReply>>;
  /** Messages that were consumed, and what is to be stored with their end; answered when both are durable. May be repeated. */
  finish(request: FinishRequest): Promise<Answer<FinishReply>>;
  pull(request: PullRequest): Promise<Answer<PullReply>>;
  /** Messages for a simple consumer, each claimed for a time; waits for the first. The same number again gives up what the call before has claimed. */
  receive(request: ReceiveRequest): Promise<Answer<ReceiveReply>>;
  /** Answered when it is durable; each message by itself. */
  ack(request: AckRequest): Promise<Answer<AckReply>>;
  changeInvisible(request: ChangeInvisibleRequest): Promise<Answer<ClaimHandle>>;
  /** What the broker tells this client by itself; waits for the first. The first call opens the inbox, a newer one takes the place of one that waits. */
  inbox(request: InboxRequest): Promise<Answer<InboxReply>>;
  /** How many consumers are there that a request would reach. */
  listeners(request: ListenersRequest): Promise<Answer<number>>;
  /** One record, for the client that its properties name; answered when that has it. May be repeated. */
  reply(frame: ArrayBuffer): Promise<Answer<ReplyOutcome>>;
  /** This client answers for the transactions of a producer group; or it does not any more. May be repeated. */
  registerProducer(group: string, isThere: boolean): Promise<Answer<null>>;
  /** Answered when it is durable. May be repeated: what has ended once stays as it is. */
  endTransaction(request: EndTransactionRequest): Promise<Answer<EndTransactionReply>>;
  openTransactions(request: OpenTransactionsRequest): Promise<Answer<OpenTransactionsReply>>;
  /** 0 for a queue that nobody knows. */
  searchOffset(request: SearchOffsetRequest): Promise<Answer<number>>;
  createTopic(spec: TopicSpec): Promise<Answer<TopicConfig>>;
  /** May be repeated. */
  deleteTopic(topic: string): Promise<Answer<Deleted>>;
  createGroup(spec: GroupSpec): Promise<Answer<GroupConfig>>;
  /** May be repeated. */
  deleteGroup(request: DeleteGroupRequest): Promise<Answer<Deleted>>;
  /** The broker ends, and everything that it has stored is deleted. All clients hear of it. */
  destroy(namespace: string): Promise<Answer<null>>;
  topicRoute(topic: string): Promise<Answer<TopicRoute>>;
  cluster(): Promise<Answer<ClusterInfo>>;
  brokerStats(): Promise<Answer<BrokerStats>>;
  topics(): Promise<Answer<TopicConfig[]>>;
  topicStats(topic: string): Promise<Answer<TopicStats>>;
  consumeStats(group: string): Promise<Answer<ConsumeStats>>;
  groups(): Promise<Answer<GroupInfo[]>>;
  clients(): Promise<Answer<ClientConnection[]>>;
  consumerConnections(group: string): Promise<Answer<ConsumerConnections>>;
  /** Changes settings of the running broker, and of those after it; answers with all of them when that is durable. */
  updateBrokerConfig(settings: Partial<MutableSettings>): Promise<Answer<BrokerSettings>>;
  queryMessages(request: QueryRequest): Promise<Answer<QueryReply>>;
  /** The record at a position of the log; empty when there is none. */
  messageAt(position: number): Promise<Answer<Uint8Array>>;
  /** Answered when it is durable, with where each queue goes on. */
  resetOffset(request: ResetOffsetRequest): Promise<Answer<(QueueRef & { offset: number })[]>>;
  /** For each group that has been at the message's topic. */
  messageTrack(msgId: string): Promise<Answer<MessageTrack[]>>;
  deadLetters(request: DeadLettersRequest): Promise<Answer<DeadLettersReply>>;
  /** Answered when it is durable. May be repeated. */
  resendDeadLetters(request: LettersRequest): Promise<Answer<SettleReply>>;
  /** Likewise. */
  discardDeadLetters(request: LettersRequest): Promise<Answer<SettleReply>>;
  diagnostics(): Promise<Answer<BrokerDiagnostics>>;
  beginExport(): Promise<Answer<LogExtent>>;
  exportRecords(request: ExportRequest): Promise<Answer<ExportReply>>;
  /** Each of these three may be repeated, also at the next broker. */
  beginImport(request: { id: string }): Promise<Answer<null>>;
  importRecords(request: ImportRecords): Promise<Answer<{ stored: number }>>;
  endImport(request: ImportEnd): Promise<Answer<null>>;
}

export const BROKER_METHODS = [
  "hello", "leave", "ping", "send", "flush", "recall", "pendingTimers", "route", "join", "fetch", "quit", "subscribe", "pick", "allocate", "claimKeys", "settle", "finish", "pull", "receive", "ack", "changeInvisible", "inbox", "listeners", "reply", "registerProducer", "endTransaction", "openTransactions", "searchOffset",
  "createTopic", "deleteTopic", "createGroup", "deleteGroup", "destroy", "topicRoute", "cluster", "brokerStats", "topics", "topicStats", "consumeStats", "groups", "clients", "consumerConnections", "updateBrokerConfig", "queryMessages", "messageAt",
  "deadLetters", "resendDeadLetters", "discardDeadLetters", "resetOffset", "messageTrack", "diagnostics",
  "beginExport", "exportRecords", "beginImport", "importRecords", "endImport",
] as const satisfies readonly (keyof BrokerApi)[];
