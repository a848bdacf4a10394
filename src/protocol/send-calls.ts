import type { ErrorData } from "../model/errors.ts";
import type { MessageType } from "../model/message-type.ts";

export type { MessageType };

/* Topics, and how messages get into them. */

export interface SendReply {
  /** Two numbers for each record of the frame, in its order: queue offset and position; -1, -1 = refused. */
  places: ArrayLike<number>;
  refused: { index: number; error: ErrorData }[];
  /** Those that were stored already: their places are the ones they have, maybe in other queues than they were sent to now. */
  found?: { index: number; queueId: number }[];
  /** Of a frame with timers: when each record is due, ms since 1970; -1 = it is no timer. */
  dues?: number[];
  /** The frame is appended and not yet committed: its number, by which `flush` tells the end. Absent = durable. */
  unflushed?: number;
}

/** What the handle of a timer says; one that the broker does not know is not recalled. */
export interface RecallRequest {
  topic: string;
  due: number;
  msgId: string;
}

/** Whether a delayed message could still be recalled. */
export interface RecallReply {
  /** It will never be delivered. */
  recalled: boolean;
}

export interface FlushReply {
  /** The frames up to this number are committed or lost; ask again for the rest. */
  settled: number;
  /** Frames whose commit failed. */
  lost: { from: number; to: number; error: ErrorData }[];
}

/** perm: 4 = read, 2 = write, 6 = both, 0 = neither. */
/** A topic as it is. */
export interface TopicConfig {
  topic: string;
  brokerName: string;
  readQueueNums: number;
  writeQueueNums: number;
  /** 4 read, 2 write, 6 both, 0 neither. */
  perm: number;
  /** What it takes; MIXED = everything. */
  messageType: MessageType;
}

/** What `createTopic` makes of a topic; of one that is there, what is left out stays as it is. */
export interface TopicSpec {
  topic: string;
  /** 1 to 128. Default `defaultTopicQueueNums`. Fewer than before only when the queues that go are consumed. */
  readQueueNums?: number;
  /** 1 to 128. Default `defaultTopicQueueNums`. */
  writeQueueNums?: number;
  /** 4 read, 2 write, 6 both, 0 neither. Default 6. */
  perm?: number;
  /** Default MIXED: everything. */
  messageType?: MessageType;
}

export interface QueueRef {
  topic: string;
  queueId: number;
}
