import type { Admin, TopicStats } from "../../../index.ts";

export interface TopicFigures {
  messages: number;
  /** Store time of the newest message, ms; 0 = none. */
  lastUpdate: number;
  /** Stored within the last minute; undefined = too many queues are busy to look into each. */
  lastMinute: number | undefined;
}

const MINUTE = 60_000;
/** A search costs a few reads, and a busy topic is searched again and again. */
const MOST_SEARCHED = 16;

/** A queue without a message of the last minute is not searched: most topics of a long list cost one question. */
export async function topicFigures(admin: Admin, { queues }: TopicStats, now = Date.now()): Promise<TopicFigures> {
  const since = now - MINUTE;
  const busy = queues.filter(({ lastUpdate }) => lastUpdate >= since);
  const counts = busy.length > MOST_SEARCHED ? undefined : await Promise.all(busy.map(async (queue) => Math.max(0, queue.maxOffset - (await admin.searchOffset(queue, since, "LOWER")))));
  return {
    messages: queues.reduce((sum, { minOffset, maxOffset }) => sum + maxOffset - minOffset, 0),
    lastUpdate: queues.reduce((newest, { lastUpdate }) => Math.max(newest, lastUpdate), 0),
    lastMinute: counts?.reduce((sum, count) => sum + count, 0),
  };
}
