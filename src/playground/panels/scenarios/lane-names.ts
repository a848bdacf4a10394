import type { Translate } from "../../../devtools/i18n/translate.ts";
import { DEAD } from "./snapshot.ts";

/** The broker's own topics say what they are for; the others are called what they are called. */
export function topicName(topic: string, t: Translate): string {
  if (topic.startsWith("%RETRY%")) return t("scenarios.retries", { group: topic.slice("%RETRY%".length) });
  if (topic.startsWith(DEAD)) return t("scenarios.deadLetters", { group: topic.slice(DEAD.length) });
  return topic;
}
