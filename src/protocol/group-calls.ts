import type { AllocateStrategyName } from "../model/allocation.ts";
import type { ErrorData } from "../model/errors.ts";
import type { QueueRef } from "./send-calls.ts";

/* What the members of a consumer group and their coordinator say to each other. */

/** Where a group begins in a queue that it has never consumed. */
export type ConsumeFromWhere = "CONSUME_FROM_LAST_OFFSET" | "CONSUME_FROM_FIRST_OFFSET" | "CONSUME_FROM_TIMESTAMP";

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
interface PopRequest {
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
  /** How often an admin has begun the queue anew for the group, under whichever broker; missing = never. What was received before is void. */
  resets?: number;
  /** No other member has had it since this broker began: what this one knows of it from the broker before still counts. */
  isFirst?: boolean;
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

/** Of a member that has picked its queues: these, from now on. Those that stay go on; from the others it finishes what it has in hand. */
export interface PickRequest {
  memberId: string;
  queues: QueueRef[];
  /** As for `join`. */
  consumeTimestamp?: number;
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

/** Messages that were consumed, and what their listener has sent meanwhile: a frame. */
export interface FinishRequest extends QueueRef {
  memberId: string;
  resets?: number;
  queueOffsets: number[];
  frame: ArrayBuffer;
  /** Of an idempotent consumer: the messages' keys. */
  keys?: string[];
}

export type FinishReply = SettleReply;

export interface SettleReply {
  /** These stay as they were, the others are finished. */
  refused: { queueOffset: number; error: ErrorData }[];
}
