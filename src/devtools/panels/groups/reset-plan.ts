import type { Admin, ResetOffsetOptions } from "../../../index.ts";

/** Where a group is to begin anew. */
export type ResetTarget = { kind: "now" } | { kind: "earliest" } | { kind: "time"; at: number } | { kind: "offset"; offset: number };

interface QueuePlan {
  queueId: number;
  from: number;
  to: number;
}

/** What a reset would do, counted in messages, before any filter. */
export interface ResetPlan {
  queues: QueuePlan[];
  skipped: number;
  again: number;
}

export interface ResetWish {
  group: string;
  topic: string;
  /** Undefined = all of them. */
  queueId: number | undefined;
  target: ResetTarget;
}

/** Asks for everything that the reset itself would look at, and changes nothing. */
export async function planReset(admin: Admin, { group, topic, queueId, target }: ResetWish): Promise<ResetPlan> {
  const [{ queues }, stats] = await Promise.all([admin.topicStats(topic), admin.consumeStats(group)]);
  const chosen = queues.filter((queue) => queueId === undefined || queue.queueId === queueId);
  const plans = await Promise.all(
    chosen.map(async (queue): Promise<QueuePlan> => {
      const { minOffset, maxOffset } = queue;
      // A group that has not been at the queue yet is counted from the queue's beginning.
      const from = stats.queues.find((row) => row.topic === topic && row.queueId === queue.queueId)?.consumerOffset ?? minOffset;
      const to = target.kind === "now" ? maxOffset : target.kind === "earliest" ? minOffset : target.kind === "offset" ? target.offset : await admin.searchOffset(queue, target.at, "LOWER");
      return { queueId: queue.queueId, from, to: Math.min(Math.max(to, minOffset), maxOffset) };
    }),
  );
  return {
    queues: plans,
    skipped: plans.reduce((sum, { from, to }) => sum + Math.max(0, to - from), 0),
    again: plans.reduce((sum, { from, to }) => sum + Math.max(0, from - to), 0),
  };
}

/** The same, as the call has it. */
export function resetOptions({ group, topic, queueId, target }: ResetWish, brokerName: string): ResetOffsetOptions {
  const where = target.kind === "now" ? { timestamp: -1 } : target.kind === "earliest" ? { offset: 0 } : target.kind === "offset" ? { offset: target.offset } : { timestamp: target.at };
  return { group, topic, ...where, ...(queueId !== undefined && { queue: { topic, brokerName, queueId } }) };
}
