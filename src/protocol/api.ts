import type { AllocateStrategyName } from "../model/allocation.ts";
import type { MessageModel } from "../model/consume-result.ts";
import type { ErrorData } from "../model/errors.ts";
import type { BrokerSettings, MutableSettings } from "./broker-settings.ts";
import type { EncryptionKey } from "./encryption-key.ts";

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
  /** One frame of records; answered when they are durable. */
  send(frame: ArrayBuffer): Promise<Answer<SendReply>>;
  /** How the commits of frames that were answered before ended; waits for them, but not for ever. */
  flush(from: number, to: number): Promise<Answer<FlushReply>>;
  /** Where a topic's messages go; creates the topic when `create` and the broker's settings allow it. */
  route(topic: string, create: boolean): Promise<Answer<TopicConfig>>;
  join(request: JoinRequest): Promise<Answer<JoinReply>>;
  fetch(request: FetchRequest): Promise<Answer<FetchReply>>;
  quit(request: QuitRequest): Promise<Answer<null>>;
  /** Asks for other subscriptions; taken when all members of the group ask for the same, and refused until then, but remembered. Answers with the version of the terms. */
  subscribe(request: SubscribeRequest): Promise<Answer<number>>;
  /** The answer to what a fetch has asked of a group's leader; null = it has been asked something newer since. */
  allocate(request: AllocateReply): Promise<Answer<null>>;
  /** Takes keys in hand for an idempotent consumer; one answer a key. May be repeated. */
  claimKeys(request: ClaimKeysRequest): Promise<Answer<KeyState[]>>;
  /** Messages that were not consumed; answered when their copies are durable. May be repeated. */
  settle(request: SettleRequest): Promise<Answer<SettleReply>>;
  pull(request: PullRequest): Promise<Answer<PullReply>>;
  /** Messages for a simple consumer, each claimed for a time; waits for the first. The same number again gives up what the call before has claimed. */
  receive(request: ReceiveRequest): Promise<Answer<ReceiveReply>>;
  /** Answered when it is durable; each message by itself. */
  ack(request: AckRequest): Promise<Answer<AckReply>>;
  changeInvisible(request: ChangeInvisibleRequest): Promise<Answer<ClaimHandle>>;
  /** 0 for a queue that nobody knows. */
  searchOffset(request: SearchOffsetRequest): Promise<Answer<number>>;
  createTopic(spec: TopicSpec): Promise<Answer<TopicConfig>>;
  topics(): Promise<Answer<TopicConfig[]>>;
  topicStats(topic: string): Promise<Answer<TopicStats>>;
  consumeStats(group: string): Promise<Answer<ConsumeStats>>;
  groups(): Promise<Answer<GroupInfo[]>>;
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
  resendDeadLetters(request: ResendRequest): Promise<Answer<SettleReply>>;
  diagnostics(): Promise<Answer<BrokerDiagnostics>>;
  beginExport(): Promise<Answer<LogExtent>>;
  exportRecords(request: ExportRequest): Promise<Answer<ExportReply>>;
  /** Each of these three may be repeated, also at the next broker. */
  beginImport(request: { id: string }): Promise<Answer<null>>;
  importRecords(request: ImportRecords): Promise<Answer<{ stored: number }>>;
  endImport(request: ImportEnd): Promise<Answer<null>>;
}

export const BROKER_METHODS = [
  "hello", "leave", "ping", "send", "flush", "route", "join", "fetch", "quit", "subscribe", "allocate", "claimKeys", "settle", "pull", "receive", "ack", "changeInvisible", "searchOffset",
  "createTopic", "topics", "topicStats", "consumeStats", "groups", "consumerConnections", "updateBrokerConfig", "queryMessages", "messageAt",
  "deadLetters", "resendDeadLetters", "resetOffset", "messageTrack", "diagnostics",
  "beginExport", "exportRecords", "beginImport", "importRecords", "endImport",
] as const satisfies readonly (keyof BrokerApi)[];

export interface HelloRequest {
  namespace: string;
  clientId: string;
  /** Name of the lock that this client holds as long as it lives. */
  lockName: string;
  protocol: [min: number, max: number];
  lib: string;
  storage: StorageKind;
  settings: Partial<BrokerSettings>;
  /** What this origin's tabs remember of the store; null = nothing. */
  witness: WitnessMark | null;
  /** For AES-GCM, 256 bits. Missing = the store is not encrypted. */
  encryptionKey?: EncryptionKey;
}

/** A note outside the store of how far it had come: it lags behind what is durable and is never ahead of it. */
export interface WitnessMark {
  epoch: number;
  /** Everything in the log before this position was durable. */
  position: number;
  /** Groups that consumed here. */
  groups: string[];
}

export type StorageKind = "indexeddb" | "memory";

export type HelloReply =
  /** Not the host yet: `waiting` for the writer lock, or `recovering` the log. Ask again. */
  | { status: "waiting" | "recovering" }
  | {
      status: "serving";
      protocol: number;
      epoch: number;
      /** Name of this broker's life; another incarnation knows nothing of this session. */
      incarnation: string;
      /** Lock that the broker holds as long as it lives. */
      brokerLock: string;
      brokerName: string;
      settings: BrokerSettings;
      /** Settings the client asked for and did not get. */
      ignored: { name: string; asked: unknown; running: unknown }[];
      recovery: RecoveryReport;
    };

/** What a start found in the store. */
export interface RecoveryReport {
  /** Whether the browser has lost what was durable: its newest part, or all of it. `none` = not as far as any tab remembers. */
  loss: LossKind;
  /** Up to this position the log was known to be durable before this start; null = no tab remembers. */
  lastKnownPosition: number | null;
  /** Records read again from the log because no checkpoint covered them. */
  replayed: number;
  /**
   * Pages of consume queues and of the key index, 1024 entries each, that were made again from the log because stored ones
   * were missing or damaged. A start looks at few of them; the others are found out when somebody reads them, so this
   * counts up to now. Without a checkpoint no page is expected: then all is `replayed`.
   */
  rebuilt: number;
  /** Where the log goes on. */
  position: number;
  /** Rows that cannot be read: their records are skipped, never delivered. */
  damaged: DamagedRange[];
  tookMs: number;
}

export type LossKind = "none" | "tail" | "total";

/** Bytes of the log that are not what was written. */
export interface DamagedRange {
  position: number;
  bytes: number;
  reason: string;
}

export interface SendReply {
  /** Two numbers for each record of the frame, in its order: queue offset and position; -1, -1 = refused. */
  places: ArrayLike<number>;
  refused: { index: number; error: ErrorData }[];
  /** The frame is appended and not yet committed: its number, by which `flush` tells the end. Absent = durable. */
  unflushed?: number;
}

export interface FlushReply {
  /** The frames up to this number are committed or lost; ask again for the rest. */
  settled: number;
  /** Frames whose commit failed. */
  lost: { from: number; to: number; error: ErrorData }[];
}

export type MessageType = "NORMAL" | "FIFO" | "MIXED";

/** perm: 4 = read, 2 = write, 6 = both. */
export interface TopicConfig {
  topic: string;
  brokerName: string;
  readQueueNums: number;
  writeQueueNums: number;
  perm: number;
  messageType: MessageType;
}

export interface TopicSpec {
  topic: string;
  readQueueNums?: number;
  writeQueueNums?: number;
  perm?: number;
  messageType?: MessageType;
}

export type ConsumeFromWhere = "CONSUME_FROM_LAST_OFFSET" | "CONSUME_FROM_FIRST_OFFSET" | "CONSUME_FROM_TIMESTAMP";

export interface QueueRef {
  topic: string;
  queueId: number;
}

/** Which messages of a topic: a tag expression, an SQL92 condition, or a module that exports `matches`. */
export type Filter = string | { type: "SQL92"; expression: string } | { type: "WASM"; module: Uint8Array<ArrayBuffer> };

export interface JoinRequest {
  group: string;
  /** The group shares these topics' queues. */
  subscriptions: [topic: string, filter: Filter][];
  /** Instead: exactly these queues, shared with nobody and by nobody's leave (`assign` of a pull consumer). */
  queues: QueueRef[];
  consumeFromWhere: ConsumeFromWhere;
  /** Store time, ms; with CONSUME_FROM_TIMESTAMP. */
  consumeTimestamp?: number;
  /** Default CONSUME_PASSIVELY. */
  consumeType?: ConsumeType;
  /** Default AVG. */
  allocation?: Allocation;
  /** The group takes this member's terms over: its subscriptions, model and strategy. Members with others lose their queues, and are told. */
  replaceSubscription?: boolean;
  /** When it joins again: which of the group's terms it has had. Newer ones win. */
  termsVersion?: number;
  /** BROADCASTING: the member has all queues of its topics, and keeps the offsets itself. */
  broadcast?: BroadcastProgress;
  /** Whether its listener works in order; missing = it has none. */
  orderly?: boolean;
  /** Its finished keys are remembered for so long, ms; missing = they are not. */
  idempotenceWindow?: number;
  /** Instead: no queue at all, it asks by `receive`. */
  pops?: PopRequest;
}

/** What a simple consumer says of itself. */
export interface PopRequest {
  /** Tells the consumers of one client apart, also for the next broker. */
  instance: number;
  maxReconsumeTimes: number;
}

export interface JoinReply {
  memberId: string;
  termsVersion: number;
}

/** RocketMQ's words: messages are handed to it, or it asks for them. */
export type ConsumeType = "CONSUME_PASSIVELY" | "CONSUME_ACTIVELY";

/** How a group shares its queues. FUNCTION: one of its members computes it. */
export interface Allocation {
  strategy: AllocateStrategyName | "FUNCTION";
  /** CONFIG: the queues for this member. */
  queues?: QueueRef[];
}

/** How far a member of a broadcasting group has come. */
export interface BroadcastProgress {
  /** Topics it has begun with: their new queues begin at the first message. */
  topics: string[];
  offsets: QueueCommit[];
}

/** What a group's leader is asked: who gets which queue? */
export interface AllocationTask {
  round: number;
  topics: { topic: string; queues: number; clientIds: string[] }[];
}

export interface AllocateReply {
  memberId: string;
  round: number;
  /** Null: it cannot say. */
  shares: [clientId: string, topic: string, queueId: number][] | null;
}

/** A queue that a member owns. */
export interface AssignedQueue extends QueueRef {
  /** Where to begin. */
  offset: number;
  /** Finished already, behind that. */
  done: OffsetRange[];
  /** How often an admin has begun the queue anew for the group while it was at work; missing = never. What was received before is void. */
  resets?: number;
}

/** From the first offset up to but not including the second. */
export type OffsetRange = [from: number, to: number];

/** State of one queue that the member holds, draining ones included. */
export interface HeldQueue extends QueueRef {
  /** Everything before is consumed; -1 = nothing to say yet. */
  commitOffset: number;
  /** The first offset not yet received. */
  nextOffset: number;
  /** How many messages the member has room for; 0 = do not send. */
  want: number;
  /** As it was assigned. */
  resets?: number;
}

/** A member has one fetch outstanding; a newer one takes the place of the older, which is answered empty. */
export interface FetchRequest {
  memberId: string;
  /** The last assignment this member has taken over; 0 = none yet. */
  generation: number;
  /** All queues the member still holds: one that was taken from it and is missing here is let go. */
  held: HeldQueue[];
  /** How far it came in the queues it has let go since the last fetch. */
  released: QueueCommit[];
  keys?: KeyReport;
  /** How long to wait for messages, ms. */
  wait: number;
}

export interface FetchReply {
  generation: number;
  /** Only when it differs from the request's generation: the queues to hold from now on. */
  assignment?: AssignedQueue[];
  /** Where to go on in each queue that was read, past filtered messages. */
  progress: { topic: string; queueId: number; nextOffset: number }[];
  /** Queues whose next messages were deleted before this member could have them. */
  moved?: (QueueRef & { from: number; to: number })[];
  /** Topics of which nothing more is read, because this member's filter has failed. Told once. */
  failed?: { topic: string; error: ErrorData }[];
  /** Whole records, grouped by queue in the order of `progress`. */
  records: Uint8Array;
  /** The member is the group's leader, and is asked. */
  allocate?: AllocationTask;
  /** What the application should hear. */
  errors?: ErrorData[];
  /** The group has other terms now: the member finishes what it has in hand and goes. */
  displaced?: true;
  /** What the member has asked for by `subscribe` is the group's since it was told last: the number of its wish. */
  subscribed?: { wish: number; termsVersion: number };
  /** The keys of its reports up to this number are durable. */
  keysKept?: number;
}

export interface SubscribeRequest {
  memberId: string;
  /** They rise. */
  wish: number;
  /** All of them, as for `join`. */
  subscriptions: [topic: string, filter: Filter][];
  /** For topics that are new to the group, with CONSUME_FROM_TIMESTAMP. */
  consumeTimestamp?: number;
}

export interface ClaimKeysRequest {
  memberId: string;
  keys: string[];
}

/** BUSY: another member has it in hand. */
export type KeyState = "CLAIMED" | "FINISHED" | "BUSY";

/** What has become of keys that an idempotent consumer had in hand. */
export interface KeyReport {
  /** They rise. */
  number: number;
  finished: string[];
  /** Not finished: whoever meets them next may try. */
  released: string[];
}

export interface QueueCommit extends QueueRef {
  commitOffset: number;
  /** As the queue was assigned: progress from before a reset is none. */
  resets?: number;
}

export interface QuitRequest {
  memberId: string;
  commits: QueueCommit[];
  keys?: KeyReport;
}

export interface SettleRequest extends QueueRef {
  memberId: string;
  resets?: number;
  maxReconsumeTimes: number;
  results: SettleResult[];
}

/** A message that a listener did not consume. */
export interface SettleResult {
  queueOffset: number;
  /** To be tried again, or not. */
  action: "retry" | "dead";
  /** When: a level; 0 or missing = as its failures say. */
  delayLevel?: number;
  /** How often it was tried in vain where nobody but the consumer has seen it. */
  reconsumeTimes?: number;
  /** Why. */
  error?: string;
}

export interface SettleReply {
  /** These stay as they were, the others are finished. */
  refused: { queueOffset: number; error: ErrorData }[];
}

export interface ResetOffsetRequest {
  group: string;
  topic: string;
  /** null = all. */
  queueId: number | null;
  /** One of these two. Store time, ms; negative = the end. */
  timestamp: number | null;
  offset: number | null;
}

/**
 * What has become of a message for a group. NOT_ONLINE: not consumed yet, and nobody is there to do it; FILTERED: the
 * subscription of the consumers that are there leaves it out; IN_RETRY: it has failed and is to be tried again.
 */
export type TrackType = "CONSUMED" | "NOT_CONSUMED_YET" | "FILTERED" | "NOT_ONLINE" | "IN_RETRY" | "DEAD";

export interface MessageTrack {
  group: string;
  trackType: TrackType;
}

export interface DeadLettersRequest {
  group: string;
  /** Of the dead-letter queue: where to begin. */
  offset: number;
}

export interface DeadLettersReply {
  /** Whole records, the oldest first. */
  records: Uint8Array;
  /** Where to go on; null = there is no more. */
  nextOffset: number | null;
}

export interface ResendRequest {
  group: string;
  queueOffsets: number[];
}

export interface PullRequest extends QueueRef {
  expression: Exclude<Filter, { type: "WASM" }>;
  offset: number;
  max: number;
}

export interface PullReply {
  status: PullStatus;
  nextBeginOffset: number;
  minOffset: number;
  maxOffset: number;
  records: Uint8Array;
}

export type PullStatus = "FOUND" | "NO_NEW_MSG" | "NO_MATCHED_MSG" | "OFFSET_ILLEGAL";

export interface ReceiveRequest {
  memberId: string;
  /** A number of its own for each call of the consumer. */
  receive: number;
  max: number;
  invisibleDuration: number;
  /** How long to wait for messages, ms. */
  wait: number;
}

/** Names a claim. */
export interface ClaimHandle extends QueueRef {
  queueOffset: number;
  epoch: number;
  number: number;
  version: number;
}

export interface ReceiveReply {
  /** Whole records, and the claim of each. */
  records: Uint8Array;
  handles: ClaimHandle[];
}

export interface AckRequest {
  memberId: string;
  handles: ClaimHandle[];
  /** These were sent before, with an outcome that nobody knows: what is finished already is well. */
  again: boolean;
}

export interface AckReply {
  /** By their places in the request. */
  refused: { index: number; error: ErrorData }[];
}

export interface ChangeInvisibleRequest {
  memberId: string;
  handle: ClaimHandle;
  invisibleDuration: number;
  again: boolean;
}

export interface SearchOffsetRequest extends QueueRef {
  /** Store time, ms. */
  timestamp: number;
  boundary: OffsetBoundary;
}

/** LOWER: the first message stored at a time or later. UPPER: the last one stored at it or earlier. */
export type OffsetBoundary = "LOWER" | "UPPER";

export interface QueryRequest {
  /** null = in any topic: then `key` is a message's id. */
  topic: string | null;
  key: string;
  max: number;
  /** Store times, ms, inclusive. */
  begin: number;
  end: number;
  /** Only positions of the log below this one; null = all. */
  before: number | null;
}

export interface QueryReply {
  /** Whole records, the newest first. */
  records: Uint8Array;
  /** Where to go on below: there may be more. null = there is no more. */
  next: number | null;
}

export interface QueueStats extends QueueRef {
  brokerName: string;
  minOffset: number;
  /** The offset that the next message gets. */
  maxOffset: number;
  /** Store time of the newest message, ms; 0 = none. */
  lastUpdate: number;
}

export interface TopicStats {
  topic: string;
  queues: QueueStats[];
}

export interface QueueConsumeStats extends QueueRef {
  brokerName: string;
  brokerOffset: number;
  consumerOffset: number;
  /** The backlog: brokerOffset - consumerOffset, less what a loss has left out in between. */
  diff: number;
  /** Received by a consumer and not yet consumed. */
  inflight: number;
  /** Store time of the last consumed message, ms; 0 = none. */
  lastTimestamp: number;
  /** The client that owns the queue; undefined = nobody. */
  clientId?: string;
}

export interface ConsumeStats {
  group: string;
  queues: QueueConsumeStats[];
  diffTotal: number;
  /** Messages a second consumed over the last ten seconds. */
  consumeTps: number;
}

export interface GroupInfo {
  group: string;
  /** Consumers that are there now, and how they share; undefined = nobody is there. */
  consumers: number;
  messageModel?: MessageModel;
  allocateMessageQueueStrategy?: Allocation["strategy"];
  /** Topics it consumes, or has consumed, by name. */
  topics: string[];
}

export interface ConsumerConnection {
  clientId: string;
  consumeType: ConsumeType;
  messageModel: MessageModel;
  consumeFromWhere: ConsumeFromWhere;
  /** topic -> expression; empty for a consumer that has picked its queues. */
  subscriptions: Record<string, string>;
  /** The queues it works on. */
  assignment: { topic: string; brokerName: string; queueId: number }[];
}

export interface ConsumerConnections {
  group: string;
  /** By client id; empty when nobody is there. */
  connections: ConsumerConnection[];
}

/** How far a group has come in a topic. */
export interface GroupOffsets {
  group: string;
  topic: string;
  offsets: [queueId: number, offset: number][];
  /** Finished behind its offset. */
  done?: [queueId: number, ranges: OffsetRange[]][];
}

/** What an export comprises. */
export interface LogExtent {
  /** From this position of the log up to but not including `end`. */
  position: number;
  end: number;
  topics: TopicConfig[];
  offsets: GroupOffsets[];
}

export interface ExportRequest {
  position: number;
  end: number;
}

export interface ExportReply {
  /** Whole records. */
  records: Uint8Array;
  count: number;
  /** Where to go on; `end` when that was all. */
  nextPosition: number;
  damaged: DamagedRange[];
}

export interface ImportRecords {
  /** Of the exported log. */
  id: string;
  /** As for `send`, the broker's fields filled in. */
  frame: unknown;
}

export interface ImportEnd {
  id: string;
  topics: TopicSpec[];
  offsets: GroupOffsets[];
}

/**
 * What an acknowledged message survives. `strict`: a power cut, it is flushed to the device. `relaxed`: a crash of
 * the browser. `memory`: nothing.
 */
export type Durability = "strict" | "relaxed" | "memory";

export interface BrokerDiagnostics {
  lib: string;
  incarnation: string;
  epoch: number;
  storage: StorageKind;
  durability: Durability;
  /** Whether messages are encrypted where they rest. */
  encrypted: boolean;
  indexer: "wasm" | "typescript";
  sessions: number;
  /** Calls not yet answered, this one and waiting fetches included. */
  calls: number;
  /** The end of the log and of its durable part. */
  position: number;
  durablePosition: number;
  commits: number;
  /** What is kept in memory of the log, queue pages and index pages for reading, bytes; at most about 64 MiB. */
  cacheBytes: number;
  /** Messages that were answered before their commit, which then failed. */
  lostSends: number;
  recovery: RecoveryReport;
  /** Damaged rows met since the start, recovery included. */
  damaged: DamagedRange[];
  /** Messages on ports that were no legal call. */
  violations: number;
  retention: RetentionReport;
}

/** What has been deleted because of its age, or for want of room. */
export interface RetentionReport {
  /** Where the log begins. */
  minPosition: number;
  /** Since the namespace exists. */
  removedMessages: number;
  removedBytes: number;
  /** Share of the browser's quota that this origin uses, of 1; 0 where the browser does not say, or was not asked yet. */
  usedRatio: number;
}
