import { reasonOf } from "../../polled.ts";

/** What the broker calls the places beside a topic: RocketMQ's names. */
export const SCHEDULE_TOPIC = "SCHEDULE_TOPIC_XXXX";
/** Whose offsets say what has been delivered of the delay levels. */
export const SCHEDULE_GROUP = "CID_RMQ_SYS_SCHEDULE";
/** Groups of the broker's own, which do its deliveries. */
export const SYSTEM_GROUP_PREFIX = "CID_RMQ_SYS_";

const MAX_GROUP_STEM = 100;

/**
 * All members of a group must subscribe to the same topics, or the broker refuses them. A group of its own for each
 * topic keeps tabs that look at different topics out of each other's way.
 */
export function defaultGroup(topic: string): string {
  return topic === "orders" ? "workers" : `${topic.slice(0, MAX_GROUP_STEM)}-workers`;
}

/** Why the name in an address is none, as a sentence. */
export function reasonAgainst(name: string | undefined, check: (name: unknown) => void): string | undefined {
  if (name === undefined || name === "") return undefined;
  try {
    check(name);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}
