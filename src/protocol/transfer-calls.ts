import type { OffsetRange } from "./group-calls.ts";
import type { TopicConfig, TopicSpec } from "./send-calls.ts";
import type { DamagedRange } from "./session-calls.ts";

/* Export and import. */

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
