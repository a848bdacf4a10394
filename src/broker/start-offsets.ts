import { queueKey } from "../model/queue.ts";
import type { JoinRequest } from "../protocol/api.ts";
import type { Offsets } from "./offsets.ts";
import type { TimeSearch } from "./time-search.ts";
import type { Topics } from "./topics.ts";

/** Where a group that begins at a time begins. Looked up before it joins, because reading times takes its time. */
export class StartOffsets {
  readonly #services: { offsets: Offsets; topics: Topics; times: TimeSearch };

  constructor(services: { offsets: Offsets; topics: Topics; times: TimeSearch }) {
    this.#services = services;
  }

  /** By queueKey: the first message stored at the time or later, for each queue that the group has no offset in. */
  async at(timestamp: number, { group, subscriptions, queues }: Pick<JoinRequest, "group" | "subscriptions" | "queues">): Promise<Map<string, number>> {
    const { offsets, topics, times } = this.#services;
    const found = new Map<string, number>();
    const names = new Set(queues.length > 0 ? queues.map(({ topic }) => topic) : subscriptions.map(([topic]) => topic));
    for (const topic of names) {
      const count = topics.find(topic)?.readQueueNums ?? 0;
      for (let queueId = 0; queueId < count; queueId++) {
        if (offsets.get(group, topic, queueId) !== undefined) continue;
        found.set(queueKey(topic, queueId), await times.search({ topic, queueId, timestamp, boundary: "LOWER" }));
      }
    }
    return found;
  }
}
