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
