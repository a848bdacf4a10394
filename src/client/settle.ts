import { asMQError, errorFromData, type MQError } from "../model/errors.ts";
import type { MessageExt } from "../model/message.ts";
import type { SettleResult } from "../protocol/api.ts";
import { BrokerGone } from "./channel.ts";
import type { GroupMember } from "./group-member.ts";
import type { ProcessQueue } from "./process-queue.ts";

/** A message that a listener has not consumed, and why. */
export interface SentBack {
  message: MessageExt;
  reason: string;
}

/** Hands the broker messages of a queue that were not consumed, each with what is to become of it; returns those that it has taken. */
export async function settle<Work extends { message: MessageExt }>(
  { member, maxReconsumeTimes, onSentBack, onError }: { member: Pick<GroupMember, "settle">; maxReconsumeTimes: number; onSentBack?: (sentBack: SentBack) => void; onError: (error: MQError) => void },
  processQueue: ProcessQueue,
  works: readonly Work[],
  resultOf: (work: Work) => SettleResult,
): Promise<Set<Work>> {
  try {
    const results = works.map(resultOf);
    const { refused } = await member.settle(processQueue, maxReconsumeTimes, results);
    if (refused[0] !== undefined) onError(errorFromData(refused[0].error));
    const offsets = new Set(refused.map(({ queueOffset }) => queueOffset));
    const taken = new Set<Work>();
    for (const [at, work] of works.entries()) {
      if (offsets.has(work.message.queueOffset)) continue;
      taken.add(work);
      onSentBack?.({ message: work.message, reason: results[at]!.error ?? "" });
    }
    return taken;
  } catch (failure) {
    // Whoever has no broker hears of that otherwise.
    if (!(failure instanceof BrokerGone)) onError(asMQError(failure));
    return new Set();
  }
}
