import { computed, effect, signal } from "@preact/signals";
import { type ConsumeStats, MQError, type QueueConsumeStats, type QueueStats, type TopicStats } from "../index.ts";
import { sentence } from "./format.ts";
import { ignoreUnlessBug, refreshDiagnostics, refreshTopics } from "./session.ts";
import { client, group, topic } from "./state.ts";

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

export interface TopicView {
  status: "loading" | "missing" | "refused" | "here";
  /** Why the broker does not tell. */
  reason: string;
  lanes: Lane[];
  consumeTps: number;
}

const NOTHING: TopicView = { status: "loading", reason: "", lanes: [], consumeTps: 0 };
export const view = signal<TopicView>(NOTHING);

export const isRead = computed(() => view.value.lanes.some((lane) => lane.consumed !== null));
export const totalBacklog = computed(() => view.value.lanes.reduce((sum, lane) => sum + lane.backlog, 0));
export const owners = computed(() => [...new Set(view.value.lanes.flatMap(({ owner }) => owner ?? []))]);

const INTERVAL = 300;
/** While things move. */
const INTERVAL_MOVING = 120;
const AFTER_ACTIVITY = 40;
/** Every so many rounds the slow things are asked for as well. */
const ROUNDS_TO_REST = 7;

let timer: ReturnType<typeof setTimeout> | undefined;
let dueAt = Infinity;
let isAsking = false;
let rounds = 0;

/** Starts watching; asks nothing while nobody looks. */
export function watchLanes(): void {
  document.addEventListener("visibilitychange", () => refreshSoon(0));
  effect(() => {
    // Another topic or group: nothing of the old one may be taken for the new one's.
    void [topic.value, group.value];
    view.value = NOTHING;
    refreshSoon(0);
  });
}

/** Something has happened: do not wait for the next round. */
export function refreshSoon(delay = AFTER_ACTIVITY): void {
  const at = performance.now() + delay;
  if (at >= dueAt) return;
  clearTimeout(timer);
  dueAt = at;
  timer = setTimeout(() => void refresh(), delay);
}

async function refresh(): Promise<void> {
  dueAt = Infinity;
  const mq = client.value;
  if (document.hidden) return;
  if (mq === null || isAsking) return refreshSoon(INTERVAL);
  isAsking = true;
  const before = view.value;
  const of = { topic: topic.value, group: group.value };
  try {
    const [stats, consume] = await Promise.all([mq.admin.topicStats(of.topic).catch(missing), mq.admin.consumeStats(of.group)]);
    if (of.topic === topic.value && of.group === group.value) show(stats, consume);
    if (rounds++ % ROUNDS_TO_REST === 0) void Promise.all([refreshDiagnostics(), refreshTopics()]);
  } catch (error) {
    ignoreUnlessBug(error);
    if (error instanceof MQError && !error.retriable) view.value = { ...NOTHING, status: "refused", reason: sentence(error.message) };
  } finally {
    isAsking = false;
    refreshSoon(view.value === before ? INTERVAL : INTERVAL_MOVING);
  }
}

function missing(error: unknown): null {
  if (error instanceof MQError && error.code === "TOPIC_NOT_EXIST") return null;
  throw error;
}

function show(stats: TopicStats | null, consume: ConsumeStats): void {
  const rows = new Map<number, QueueConsumeStats>();
  for (const row of consume.queues) if (row.topic === stats?.topic) rows.set(row.queueId, row);
  const next: TopicView =
    stats === null
      ? { ...NOTHING, status: "missing" }
      : { ...NOTHING, status: "here", lanes: stats.queues.map((queue) => laneOf(queue, rows.get(queue.queueId))), consumeTps: consume.consumeTps };
  // Most rounds find nothing new; then nothing is drawn.
  if (JSON.stringify(next) !== JSON.stringify(view.value)) view.value = next;
}

function laneOf({ queueId, minOffset: min, maxOffset }: QueueStats, row: QueueConsumeStats | undefined): Lane {
  if (row === undefined) return { queueId, min, max: maxOffset, consumed: null, inflight: 0, backlog: 0, owner: undefined };
  // The two answers may be a moment apart: the later end of the queue is the truer one.
  const max = Math.max(maxOffset, row.brokerOffset);
  return { queueId, min, max, consumed: row.consumerOffset, inflight: row.inflight, backlog: max - row.consumerOffset, owner: row.clientId };
}
