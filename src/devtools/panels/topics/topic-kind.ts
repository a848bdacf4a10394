import { isSystemTopic } from "../../../index.ts";
import type { Key } from "../../i18n/translate.ts";

const RETRY = "%RETRY%";
const DEAD_LETTERS = "%DLQ%";

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

export function permKey(perm: number): Key {
  return perm === 6 ? "topics.perm.both" : perm === 4 ? "topics.perm.read" : perm === 2 ? "topics.perm.write" : "topics.perm.neither";
}
