import { MQError } from "../model/errors.ts";
import { SYSTEM_GROUP_PREFIX } from "../model/system-names.ts";
import type { QueueRef, ResetOffsetRequest } from "../protocol/api.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { Groups } from "./groups.ts";
import type { Offsets } from "./offsets.ts";
import type { PopService } from "./pop.ts";
import type { TimeSearch } from "./time-search.ts";
import type { Topics } from "./topics.ts";

/** Moves a group to other offsets, whether it is at work or not. */
export class OffsetReset {
  readonly #services: { groups: Groups; offsets: Offsets; topics: Topics; queues: ConsumeQueueStore; times: TimeSearch; pops: PopService };

  constructor(services: { groups: Groups; offsets: Offsets; topics: Topics; queues: ConsumeQueueStore; times: TimeSearch; pops: PopService }) {
    this.#services = services;
  }

  /** Answers when the new offsets are durable. Each lies within its queue, whatever was asked. */
  async reset({ group, topic, queueId, timestamp, offset }: ResetOffsetRequest): Promise<(QueueRef & { offset: number })[]> {
    const { groups, offsets, topics, queues, times, pops } = this.#services;
    if (group.startsWith(SYSTEM_GROUP_PREFIX)) throw new MQError("NO_PERMISSION", `Groups that begin with ${SYSTEM_GROUP_PREFIX} are the broker's own.`, { field: "group" });
    if ((timestamp === null) === (offset === null)) throw new MQError("INVALID_PARAMETER", "resetOffset needs either a timestamp or an offset.", { field: "resetOffset.timestamp" });
    if ([...(groups.find(group)?.members.values() ?? [])].some(({ isBroadcasting }) => isBroadcasting)) {
      throw new MQError("UNSUPPORTED", `Group "${group}" is broadcasting: its clients keep their offsets themselves.`, { field: "group" });
    }
    const { readQueueNums } = topics.get(topic);
    if (queueId !== null && queueId >= readQueueNums) {
      throw new MQError("INVALID_PARAMETER", `Topic "${topic}" has ${readQueueNums} queues; ${queueId} is none of them.`, { field: "queue.queueId" });
    }
    const ids = queueId === null ? Array.from({ length: readQueueNums }, (_, id) => id) : [queueId];
    const offsetOf = async (id: number): Promise<number> => {
      if (timestamp === null) return offset!;
      // RocketMQ's way to say the end.
      return timestamp < 0 ? Number.MAX_SAFE_INTEGER : times.search({ topic, queueId: id, timestamp, boundary: "LOWER" });
    };
    const asked = await Promise.all(
      ids.map(async (id) => ({ topic, queueId: id, offset: await offsetOf(id) })),
    );
    offsets.checkRoom(group, [topic]);
    const saved = asked.map((place) => {
      const { minOffset, maxOffset } = queues.open(topic, place.queueId);
      place.offset = Math.min(Math.max(place.offset, minOffset), maxOffset);
      pops.reset(group, topic, place.queueId, place.offset);
      return groups.reset(group, topic, place.queueId, place.offset);
    });
    await Promise.all(saved);
    return asked;
  }
}
