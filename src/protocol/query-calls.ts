import type { Filter } from "./group-calls.ts";
import type { QueueRef } from "./send-calls.ts";

/* Reading without a group: pulls and lookups. */

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

/** What a pull has come to, in RocketMQ's words. */
export type PullStatus = "FOUND" | "NO_NEW_MSG" | "NO_MATCHED_MSG" | "OFFSET_ILLEGAL";

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

/** A message that nobody is given yet. Times are ms since 1970. */
export interface WaitingMessage {
  msgId: string;
  /** Where it is to go. */
  topic: string;
  tags?: string;
  keys: string[];
  /** Bytes. */
  bodySize: number;
  /** Times are ms since 1970. */
  bornTimestamp: number;
  storeTimestamp: number;
}

/** A message that waits for its time. */
export interface PendingTimer extends WaitingMessage {
  deliverTimestamp: number;
  /** It waits by this delay level; undefined = by a time of its own. */
  delayTimeLevel?: number;
  /** What `recall` takes; undefined = it cannot be called off: it waits by a delay level, or to be tried again. */
  recallHandle?: string;
}

/** Where in the order of what waits: the level is 0 for a time of its own, the offset that of its queue. */
export interface TimerPlace {
  due: number;
  level: number;
  offset: number;
}

export interface PendingTimersRequest {
  /** Where they are to go; null = anywhere. */
  topic: string | null;
  /** Times of delivery, ms, inclusive. */
  begin: number;
  end: number;
  /** Only behind this place; null = all. */
  after: TimerPlace | null;
  max: number;
}

export interface PendingTimersReply {
  /** In the order of their times. */
  timers: Omit<PendingTimer, "recallHandle">[];
  /** Where to go on; null = there is no more. */
  next: TimerPlace | null;
}
