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
 * subscription of the consumers that are there leaves it out; IN_RETRY: it has failed and is to be tried again; DISCARDED: it
 * was dead, and an operator has discarded it.
 */
export type TrackType = "CONSUMED" | "NOT_CONSUMED_YET" | "FILTERED" | "NOT_ONLINE" | "IN_RETRY" | "DEAD" | "DISCARDED";

/** What became of a message in one group. */
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

/** Dead letters: to be sent again, or to be discarded. */
export interface LettersRequest {
  group: string;
  queueOffsets: number[];
}

/** What one queue of a topic holds. */
export interface QueueStats extends QueueRef {
  brokerName: string;
  /** The oldest offset that can be read. */
  minOffset: number;
  /** The offset that the next message gets. */
  maxOffset: number;
  /** Store time of the newest message, ms; 0 = none. */
  lastUpdate: number;
}

/** What a topic holds, queue by queue. */
export interface TopicStats {
  topic: string;
  queues: QueueStats[];
}

/** How far a group has come in one queue. */
export interface QueueConsumeStats extends QueueRef {
  brokerName: string;
  /** The offset that the next message gets. */
  brokerOffset: number;
  /** All before it is finished. */
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

/** How far a group has come. */
export interface ConsumeStats {
  group: string;
  queues: QueueConsumeStats[];
  /** The backlog over all queues. */
  diffTotal: number;
  /** Messages a second consumed over the last ten seconds. */
  consumeTps: number;
  /** Of its dead letters, how many were discarded, over all time. */
  discarded: number;
}

/** What an admin says of a group. */
export interface GroupSpec {
  group: string;
  /** Whether it is given anything. Default true. */
  consumeEnable?: boolean;
  /** Whether its consumers may broadcast. Default true. */
  consumeBroadcastEnable?: boolean;
  /** How often a message is tried again before it is a dead letter, at most, whatever its consumers say. Default null: as they say. */
  retryMaxTimes?: number | null;
}

/** A group's settings, all of them. */
export type GroupConfig = Required<GroupSpec>;

export interface DeleteGroupRequest {
  group: string;
  /** Also when it has consumers. */
  force: boolean;
}

/** What has become unreadable with a topic or a group. */
export interface Deleted {
  messages: number;
}

/** RocketMQ's TopicRouteData. */
export interface TopicRoute {
  topic: string;
  /** `perm`: 4 read, 2 write, 6 both, 0 neither. */
  queueDatas: { brokerName: string; readQueueNums: number; writeQueueNums: number; perm: number }[];
  brokerDatas: BrokerData[];
}

/** A broker of a cluster, as RocketMQ's route information names it. */
export interface BrokerData {
  cluster: string;
  brokerName: string;
  /** By broker id; 0 is the master. "host:port", as in a message's storeHost. */
  brokerAddrs: Record<number, string>;
}

/** RocketMQ's ClusterInfo. */
export interface ClusterInfo {
  /** By broker name. */
  brokerAddrTable: Record<string, BrokerData>;
  /** cluster -> broker names */
  clusterAddrTable: Record<string, string[]>;
}

/** Since the broker began, unless it says otherwise. */
export interface BrokerStats {
  brokerName: string;
  /** The host's number: each that takes over has a higher one. */
  epoch: number;
  /** When it began, ms. */
  bootTimestamp: number;
  topics: number;
  groups: number;
  clients: number;
  /** That can be read now, over all topics, copies of the broker's own included; and bytes of the log. */
  messages: number;
  bytes: number;
  /** Stored, copies included; and given to consumers, each time. */
  putMessages: number;
  putBytes: number;
  getMessages: number;
  getBytes: number;
  /** Messages a second over the last ten seconds. */
  putTps: number;
  getTps: number;
  commits: number;
  /** Removed by retention, over all time. */
  removedMessages: number;
}

/** A consumer group. */
export interface GroupInfo {
  group: string;
  /** What an admin has said of it; undefined = nothing. */
  config?: GroupConfig;
  /** Consumers that are there now, and how they share; undefined = nobody is there. */
  consumers: number;
  messageModel?: MessageModel;
  allocateMessageQueueStrategy?: Allocation["strategy"];
  /** Topics it consumes, or has consumed, by name. */
  topics: string[];
}

/** One consumer of a group, as the broker sees it. */
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

/** Who is in a group now. */
export interface ConsumerConnections {
  group: string;
  /** By client id; empty when nobody is there. */
  connections: ConsumerConnection[];
}

/** A client that is connected, and what it has done since. Times are ms since 1970. */
export interface ClientConnection {
  clientId: string;
  /** To this broker: after a broker's death all connect anew. */
  connectedTimestamp: number;
  /** Who consumes asks at least every fifteen seconds; who does nothing is silent. */
  lastCallTimestamp: number;
  /** Whose transactions it answers for, by name; of other producers the broker knows no groups. */
  producerGroups: string[];
  /** By name. */
  consumerGroups: string[];
  /** Stored, without traces and the broker's copies; and given to it, each time. */
  putMessages: number;
  putBytes: number;
  getMessages: number;
  /** That it has sent to lately, the newest first; the last 16. */
  topics: string[];
}
