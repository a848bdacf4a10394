import type { Translate } from "../../../devtools/i18n/translate.ts";
import { groupOfTopic, topicKind } from "../../../devtools/topic-kind.ts";

/** The broker's own topics say what they are for; the others are called what they are called. */
export function topicName(topic: string, t: Translate): string {
  const kind = topicKind(topic);
  if (kind === "retry") return t("scenarios.retries", { group: groupOfTopic(topic)! });
  if (kind === "dead") return t("scenarios.deadLetters", { group: groupOfTopic(topic)! });
  return topic;
}
