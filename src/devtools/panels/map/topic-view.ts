import { type Admin, type ClientConnection, type ConsumeStats, deadLetterTopic, MQError, type QueueConsumeStats, type QueueStats, retryTopic, type TopicStats } from "../../../index.ts";

/** One queue as the broker describes it, through the eyes of the selected group. */
export interface Lane {
  queueId: number;
  min: number;
  max: number;
  /** Everything before this offset is consumed; null = the group has never been at this topic. */
  consumed: number | null;
  /** Received by a consumer and not yet consumed. */
  inflight: number;
  backlog: number;
  /** Client id of the queue's owner. */
  owner: string | undefined;
}

/** Who has sent something to the topic lately, and how much to all topics. */
export type Sender = Pick<ClientConnection, "clientId" | "putMessages">;

/** A place beside the topic: what has been put there over all time, and taken out of it. */
interface Aside {
  put: number;
  taken: number;
  waiting: number;
  owner: string | undefined;
}

/** A topic and a group, at one moment. */
export interface TopicView {
  isMissing: boolean;
  lanes: Lane[];
  /** What the group is to try again. */
  retry: Aside;
  /** Dead letters that were ever put away; how many are left is asked for less often. */
  dead: number;
  /** Messages a second that the group consumes. */
  consumeTps: number;
  senders: Sender[];
}

export async function askTopic(admin: Admin, topic: string, group: string): Promise<TopicView> {
  const [stats, consume, dead, clients] = await Promise.all([
    existing(admin.topicStats(topic)), admin.consumeStats(group), existing(admin.topicStats(deadLetterTopic(group))), admin.clients(),
  ]);
  return topicView({ group, stats, consume, dead, senders: clients.filter((one) => one.topics.includes(topic)).map(({ clientId, putMessages }) => ({ clientId, putMessages })) });
}

interface Answers {
  group: string;
  stats: TopicStats | null;
  consume: ConsumeStats;
  dead: TopicStats | null;
  senders: Sender[];
}

export function topicView({ group, stats, consume, dead, senders }: Answers): TopicView {
  const rows = new Map<number, QueueConsumeStats>();
  for (const row of consume.queues) if (row.topic === stats?.topic) rows.set(row.queueId, row);
  return {
    isMissing: stats === null,
    lanes: stats?.queues.map((queue) => laneOf(queue, rows.get(queue.queueId))) ?? [],
    retry: asideOf(consume.queues.filter((row) => row.topic === retryTopic(group))),
    dead: sum(dead?.queues ?? [], (queue) => queue.maxOffset),
    consumeTps: consume.consumeTps,
    senders,
  };
}

function laneOf({ queueId, minOffset: min, maxOffset }: QueueStats, row: QueueConsumeStats | undefined): Lane {
  if (row === undefined) return { queueId, min, max: maxOffset, consumed: null, inflight: 0, backlog: 0, owner: undefined };
  // The two answers may be a moment apart: the later end of the queue is the truer one.
  const max = Math.max(maxOffset, row.brokerOffset);
  return { queueId, min, max, consumed: row.consumerOffset, inflight: row.inflight, backlog: max - row.consumerOffset, owner: row.clientId };
}

function asideOf(rows: readonly QueueConsumeStats[]): Aside {
  return {
    put: sum(rows, (row) => row.brokerOffset),
    taken: sum(rows, (row) => row.consumerOffset),
    waiting: sum(rows, (row) => row.diff),
    owner: rows.find((row) => row.clientId !== undefined)?.clientId,
  };
}

/** Null where there is no such topic. */
export async function existing(answer: Promise<TopicStats>): Promise<TopicStats | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof MQError && error.code === "TOPIC_NOT_EXIST") return null;
    throw error;
  }
}

export function sum<T>(rows: readonly T[], figure: (row: T) => number): number {
  return rows.reduce((total, row) => total + figure(row), 0);
}
