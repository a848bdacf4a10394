import type { MessageModel } from "../model/consume-result.ts";
import type { Allocation, ConsumeFromWhere, ConsumeType } from "./group-calls.ts";
import type { QueueRef } from "./send-calls.ts";

/* What an admin asks of topics and groups. */

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
