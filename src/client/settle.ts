import { asMQError, errorFromData, type MQError } from "../model/errors.ts";
import type { MessageExt } from "../model/message.ts";
import type { SettleResult } from "../protocol/api.ts";
import { BrokerGone } from "./channel.ts";
import type { GroupMember } from "./group-member.ts";
import type { ProcessQueue } from "./process-queue.ts";

/** Hands the broker messages of a queue that were not consumed, each with what is to become of it; returns those that it has taken. */
export async function settle<Work extends { message: MessageExt }>(
  { member, maxReconsumeTimes, onError }: { member: Pick<GroupMember, "settle">; maxReconsumeTimes: number; onError: (error: MQError) => void },
  processQueue: ProcessQueue,
  works: readonly Work[],
  resultOf: (work: Work) => SettleResult,
): Promise<Set<Work>> {
  try {
    const { refused } = await member.settle(processQueue, maxReconsumeTimes, works.map(resultOf));
    if (refused[0] !== undefined) onError(errorFromData(refused[0].error));
    const offsets = new Set(refused.map(({ queueOffset }) => queueOffset));
    return new Set(works.filter(({ message }) => !offsets.has(message.queueOffset)));
  } catch (failure) {
    // Whoever has no broker hears of that otherwise.
    if (!(failure instanceof BrokerGone)) onError(asMQError(failure));
    return new Set();
  }
}
