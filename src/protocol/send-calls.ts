import type { ErrorData } from "../model/errors.ts";

/* Topics, and how messages get into them. */

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

export interface QueueRef {
  topic: string;
  queueId: number;
}
