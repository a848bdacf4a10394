import { DEFAULT_DELAY_LEVELS } from "./delay-level.ts";
import { MQError } from "./errors.ts";
import { deadLetterTopic, retryTopic } from "./names.ts";

/** RocketMQ's retryMaxTimes. */
export const MAX_RECONSUME_TIMES = 16;
/** The level of the first retry: those before are too short for anything to have got better. */
const FIRST_RETRY_LEVEL = 3;

/** When a message that has been consumed in vain `reconsumeTimes` times before is tried again, by the default levels; ms. @throws MQError INVALID_PARAMETER */
export function retryDelay(reconsumeTimes: number): { level: number; delay: number } {
  if (!Number.isSafeInteger(reconsumeTimes) || reconsumeTimes < 0) throw new MQError("INVALID_PARAMETER", "reconsumeTimes must be a whole number from 0 on.", { field: "reconsumeTimes" });
  const level = Math.min(FIRST_RETRY_LEVEL + reconsumeTimes, DEFAULT_DELAY_LEVELS.length);
  return { level, delay: DEFAULT_DELAY_LEVELS[level - 1]! };
}

/** A message that a listener did not consume, and what is asked for it. */
export interface SendBack {
  group: string;
  /** How often it was consumed in vain before. */
  reconsumeTimes: number;
  /** 0 = as its failures say; negative = no more tries. */
  delayLevel: number;
  maxReconsumeTimes: number;
  /** Of the running broker. */
  delayLevels?: readonly number[];
}

/** Where its copy goes. */
export interface SentBack {
  topic: string;
  /** 0 = at once. */
  delayLevel: number;
  /** ms */
  delay: number;
  reconsumeTimes: number;
}

/** Source: RocketMQ broker/processor/AbstractSendMessageProcessor.consumerSendMsgBack. */
export function sendBack({ group, reconsumeTimes, delayLevel, maxReconsumeTimes, delayLevels = DEFAULT_DELAY_LEVELS }: SendBack): SentBack {
  const times = reconsumeTimes + 1;
  if (delayLevel < 0 || reconsumeTimes >= maxReconsumeTimes) return { topic: deadLetterTopic(group), delayLevel: 0, delay: 0, reconsumeTimes: times };
  const level = Math.min(delayLevel === 0 ? FIRST_RETRY_LEVEL + reconsumeTimes : delayLevel, delayLevels.length);
  return { topic: retryTopic(group), delayLevel: level, delay: delayLevels[level - 1]!, reconsumeTimes: times };
}

export type RetryPolicy = "CUSTOMIZED" | "EXPONENTIAL";

const EXPONENTIAL_FIRST = 5000;
const EXPONENTIAL_MOST = 7_200_000;
const EXPONENTIAL_TIMES = 32;

/**
 * RocketMQ 5's retry policy of a subscription group: the delay before the next delivery, ms.
 * Source: RocketMQ remoting/protocol/subscription/{CustomizedRetryPolicy,ExponentialRetryPolicy}.java.
 */
export function retryPolicyDelay(policy: RetryPolicy, reconsumeTimes: number): number {
  const times = Math.max(0, reconsumeTimes);
  if (policy === "EXPONENTIAL") return Math.min(EXPONENTIAL_FIRST * 2 ** Math.min(times, EXPONENTIAL_TIMES), EXPONENTIAL_MOST);
  return retryDelay(times).delay;
}
