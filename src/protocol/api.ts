import type { ErrorData } from "../model/errors.ts";
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
  /** Where a topic's messages go; creates the topic when `create` and the broker's settings allow it. */
  route(topic: string, create: boolean): Promise<Answer<TopicConfig>>;
  join(request: JoinRequest): Promise<Answer<JoinReply>>;
  fetch(request: FetchRequest): Promise<Answer<FetchReply>>;
  quit(request: QuitRequest): Promise<Answer<null>>;
  pull(request: PullRequest): Promise<Answer<PullReply>>;
  createTopic(spec: TopicSpec): Promise<Answer<TopicConfig>>;
  topics(): Promise<Answer<TopicConfig[]>>;
  topicStats(topic: string): Promise<Answer<TopicStats>>;
  consumeStats(group: string): Promise<Answer<ConsumeStats>>;
  diagnostics(): Promise<Answer<BrokerDiagnostics>>;
}

export const BROKER_METHODS = [
  "hello", "leave", "ping", "send", "route", "join", "fetch", "quit", "pull",
  "createTopic", "topics", "topicStats", "consumeStats", "diagnostics",
] as const satisfies readonly (keyof BrokerApi)[];

/** Broker settings a client may bring along; the running broker's win. */
export interface BrokerSettings {
  defaultTopicQueueNums: number;
  autoCreateTopicEnable: boolean;
  maxMessageSize: number;
}

export const DEFAULT_BROKER_SETTINGS: BrokerSettings = {
  defaultTopicQueueNums: 4,
  autoCreateTopicEnable: true,
  maxMessageSize: 4 * 1024 * 1024,
};

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

export type ConsumeFromWhere = "CONSUME_FROM_LAST_OFFSET" | "CONSUME_FROM_FIRST_OFFSET";

export interface QueueRef {
  topic: string;
  queueId: number;
}

export interface JoinRequest {
  group: string;
  /** topic -> tag expression: the group shares these topics' queues. */
  subscriptions: [topic: string, expression: string][];
  /** Instead: exactly these queues, shared with nobody and by nobody's leave (`assign` of a pull consumer). */
  queues: QueueRef[];
  consumeFromWhere: ConsumeFromWhere;
}

export interface JoinReply {
  memberId: string;
}

/** A queue that a member owns. */
export interface AssignedQueue extends QueueRef {
  /** Where to begin. */
  offset: number;
}

/** State of one queue that the member holds, draining ones included. */
export interface HeldQueue extends QueueRef {
  /** Everything before is consumed; -1 = nothing to say yet. */
  commitOffset: number;
  /** The first offset not yet received. */
  nextOffset: number;
  /** How many messages the member has room for; 0 = do not send. */
  want: number;
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
  /** How long to wait for messages, ms. */
  wait: number;
}

export interface FetchReply {
  generation: number;
  /** Only when it differs from the request's generation: the queues to hold from now on. */
  assignment?: AssignedQueue[];
  /** Where to go on in each queue that was read, past filtered messages. */
  progress: { topic: string; queueId: number; nextOffset: number }[];
  /** Whole records, grouped by queue in the order of `progress`. */
  records: Uint8Array;
}

export interface QueueCommit extends QueueRef {
  commitOffset: number;
}

export interface QuitRequest {
  memberId: string;
  commits: QueueCommit[];
}

export interface PullRequest extends QueueRef {
  expression: string;
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

export interface BrokerDiagnostics {
  lib: string;
  incarnation: string;
  epoch: number;
  storage: StorageKind;
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
  recovery: RecoveryReport;
  /** Damaged rows met since the start, recovery included. */
  damaged: DamagedRange[];
  /** Messages on ports that were no legal call. */
  violations: number;
}
