import { deadLetterTopic, isSystemTopic, retryTopic } from "../index.ts";

const RETRY = retryTopic("");
const DEAD_LETTERS = deadLetterTopic("");

/** Whose a topic is: the application's, the broker's, or a group's. */
export type TopicKind = "own" | "system" | "retry" | "dead";

export function topicKind(topic: string): TopicKind {
  if (topic.startsWith(RETRY)) return "retry";
  if (topic.startsWith(DEAD_LETTERS)) return "dead";
  return isSystemTopic(topic) ? "system" : "own";
}

/** Of a group's retries or dead letters: which group. */
export function groupOfTopic(topic: string): string | undefined {
  const prefix = [RETRY, DEAD_LETTERS].find((one) => topic.startsWith(one));
  return prefix === undefined ? undefined : topic.slice(prefix.length);
}

/** Groups that have, or had, dead letters, by the broker's list of topics. */
export function groupsWithLetters(topics: readonly { topic: string }[]): string[] {
  return topics.flatMap(({ topic }) => (topicKind(topic) === "dead" ? [groupOfTopic(topic)!] : []));
}
