/** RocketMQ's message.type of a topic. MIXED takes every message; no message is of that type. */
export const MESSAGE_TYPES = ["NORMAL", "FIFO", "DELAY", "TRANSACTION", "PRIORITY", "MIXED"] as const;
/** What a topic is for: `NORMAL`, `FIFO`, `DELAY`, `TRANSACTION`, `PRIORITY`, or `MIXED`, everything. */
export type MessageType = (typeof MESSAGE_TYPES)[number];

/**
 * Does a topic take a message of this type? Each takes its own, and MIXED takes all. `topicType`: undefined = the topic
 * does not say, which is NORMAL in RocketMQ; null = there is no such topic.
 * Source: RocketMQ proxy/validator/DefaultTopicMessageTypeValidator.java.
 */
export function topicTakes(topicType: MessageType | undefined | null, messageType: MessageType): boolean {
  if (topicType === null) return false;
  return topicType === "MIXED" || (topicType ?? "NORMAL") === messageType;
}
