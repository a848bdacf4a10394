/** Topics and groups of the system's own. */
import { MQError } from "./errors.ts";
import { DLQ_TOPIC_PREFIX, RETRY_TOPIC_PREFIX } from "./names.ts";

/** Where messages wait for their time: one queue for each delay level. */
export const SCHEDULE_TOPIC = "SCHEDULE_TOPIC_XXXX";
/** What consumers and producers tell of the lives of messages. One queue. */
export const TRACE_TOPIC = "RMQ_SYS_TRACE_TOPIC";
/** Messages whose transaction is not decided, and what was decided. */
export const HALF_TOPIC = "RMQ_SYS_TRANS_HALF_TOPIC";
export const OP_TOPIC = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/** Messages of which nobody would say how their transaction ended. */
export const TRANS_CHECK_MAX_TIME_TOPIC = "TRANS_CHECK_MAX_TIME_TOPIC";
/** Where messages wait for a time of their own, in one queue. RocketMQ's, as TimerMessageStore.TIMER_TOPIC. */
export const WHEEL_TOPIC = "rmq_sys_wheel_timer";
/** Groups of the broker's own; no consumer may join them. */
export const SYSTEM_GROUP_PREFIX = "CID_RMQ_SYS_";
/** For whom a timer is finished when it is delivered. */
export const TIMER_GROUP = `${SYSTEM_GROUP_PREFIX}TIMER`;

/** In whose name an operator does what a producer does; in traces only. */
export const ADMIN_GROUP = `${SYSTEM_GROUP_PREFIX}ADMIN`;

/** For whom a dead letter that was sent again is finished. */
export const DLQ_GROUP = `${SYSTEM_GROUP_PREFIX}DLQ`;
/** And for whom one that was discarded. */
export const DISCARD_GROUP = `${SYSTEM_GROUP_PREFIX}DLQ_DISCARD`;

const SYSTEM_TOPIC_PREFIX = "rmq_sys_";
/** RocketMQ, common/topic/TopicValidator.java. `true`: a client may not send to it. */
const SYSTEM_TOPICS: ReadonlyMap<string, boolean> = new Map([
  ["TBW102", false],
  [SCHEDULE_TOPIC, true],
  ["BenchmarkTest", false],
  [WHEEL_TOPIC, false],
  [HALF_TOPIC, true],
  [TRACE_TOPIC, false],
  [OP_TOPIC, true],
  [TRANS_CHECK_MAX_TIME_TOPIC, true],
  ["SELF_TEST_TOPIC", true],
  ["OFFSET_MOVED_EVENT", true],
  ["CHECKPOINT_TOPIC", false],
  // Ours: what an exported log says of itself (log-manifest.ts).
  ["rmq_sys_TABMQ_LOG", true],
]);

/** True for RocketMQ's own topics and for every name that begins with `rmq_sys_` (case matters). */
export function isSystemTopic(name: string): boolean {
  return SYSTEM_TOPICS.has(name) || name.startsWith(SYSTEM_TOPIC_PREFIX);
}

/** True where the broker puts copies of what was sent elsewhere. */
export function isCopyTopic(name: string): boolean {
  return isSystemTopic(name) || name.startsWith(RETRY_TOPIC_PREFIX) || name.startsWith(DLQ_TOPIC_PREFIX);
}

/**
 * Refuses the topics only the broker itself may write.
 * @throws MQError NO_PERMISSION with `field`
 */
export function checkSendable(topic: string, field = "topic"): void {
  if (SYSTEM_TOPICS.get(topic) === true) {
    throw new MQError("NO_PERMISSION", `${field}: the topic ${topic} belongs to the broker; a client may not send to it.`, { field });
  }
}
