import type { AllocateFunction } from "../model/allocation.ts";
import { MQError, textOf } from "../model/errors.ts";
import type { AllocateReply, AllocationTask } from "../protocol/api.ts";
import { queueRef } from "./queue-ref.ts";

/**
 * Asks the application's strategy for every topic and member. What it says is the broker's to judge.
 * @throws MQError INVALID_PARAMETER when it throws, or does not answer with a list of queues
 */
export function answerOf(allocate: AllocateFunction, { topics }: AllocationTask, brokerName: string): NonNullable<AllocateReply["shares"]> {
  const field = "allocateMessageQueueStrategy";
  const shares: NonNullable<AllocateReply["shares"]> = [];
  for (const { topic, queues: count, clientIds } of topics) {
    for (const currentClientId of clientIds) {
      // Copies: what the function does to them is its own affair.
      const queues = Array.from({ length: count }, (_, queueId) => ({ topic, brokerName, queueId }));
      let given: unknown;
      try {
        given = allocate({ currentClientId, clientIds: [...clientIds], queues });
      } catch (cause) {
        throw new MQError("INVALID_PARAMETER", `${field} failed: ${textOf(cause)}`, { field, cause });
      }
      if (!Array.isArray(given)) throw new MQError("INVALID_PARAMETER", `${field} must answer with a list of queues, at once.`, { field });
      for (const queue of given as unknown[]) {
        const ref = queueRef(queue, `${field}: a queue`, brokerName);
        shares.push([currentClientId, ref.topic, ref.queueId]);
      }
    }
  }
  return shares;
}
