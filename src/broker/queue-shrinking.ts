import { MQError } from "../model/errors.ts";
import { SYSTEM_GROUP_PREFIX } from "../model/system-names.ts";
import { queueKey } from "../model/queue.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { GroupCommit } from "../storage/group-commit.ts";
import type { Groups } from "./groups.ts";
import type { Offsets } from "./offsets.ts";
import type { Removals } from "./removals.ts";

export interface ShrinkingServices {
  queues: ConsumeQueueStore;
  commit: GroupCommit;
  offsets: Offsets;
  groups: Groups;
  removals: Removals;
}

/**
 * Takes queues away from a topic. RocketMQ's way is to write to fewer, to wait until the rest is consumed, and then to read
 * fewer; where it trusts that somebody has waited, this looks.
 */
export class QueueShrinking {
  readonly #services: ShrinkingServices;

  constructor(services: ShrinkingServices) {
    this.#services = services;
  }

  /**
   * Waits for what is on its way into the queues from `from` to `to`. What it resolves with ends them, in the task in which the
   * topic's row is written, or throws ILLEGAL_OPERATION: somebody has written meanwhile, or has not consumed.
   */
  async prepare(topic: string, from: number, to: number): Promise<() => void> {
    const { queues, commit, removals } = this.#services;
    const ids = Array.from({ length: to - from }, (_, at) => from + at);
    const before = ids.map((queueId) => queues.open(topic, queueId).nextOffset);
    await new Promise<void>((resolve) => commit.enqueue({ committed: resolve, failed: () => resolve() }));
    return () => {
      const ended = ids.map((queueId) => queues.open(topic, queueId));
      for (const [at, queue] of ended.entries()) {
        if (queue.nextOffset !== before[at]) throw notYet(queue, "is being written to; lower writeQueueNums first");
        this.#checkDrained(queue);
      }
      removals.endQueues(topic, ended);
    };
  }

  #checkDrained(queue: ConsumeQueue): void {
    const { offsets, groups } = this.#services;
    const { topic, queueId, minOffset, maxOffset } = queue;
    if (minOffset === maxOffset) return;
    const consumers = offsets.groupsAt(topic).filter((group) => !group.startsWith(SYSTEM_GROUP_PREFIX));
    for (const group of consumers) {
      const left = queue.backlogFrom(Math.max(minOffset, offsets.get(group, topic, queueId) ?? 0));
      if (left > 0) throw notYet(queue, `holds ${left} messages that group "${group}" has not consumed`);
    }
    const audience = groups.broadcastersOf(topic);
    for (const member of audience) {
      const left = queue.backlogFrom(member.progress.get(queueKey(topic, queueId)) ?? minOffset);
      if (left > 0) throw notYet(queue, `holds ${left} messages that client "${member.clientId}" of group "${member.group.name}" has not consumed`);
    }
    if (consumers.length + audience.length === 0) throw notYet(queue, `holds ${queue.backlogFrom(minOffset)} messages, and no group has consumed them`);
  }
}

function notYet({ topic, queueId }: ConsumeQueue, why: string): MQError {
  return new MQError("ILLEGAL_OPERATION", `readQueueNums of "${topic}" cannot shrink: queue ${queueId} ${why}.`, { field: "readQueueNums" });
}
