import type { Message } from "../../../index.ts";
import type { Translate } from "../../i18n/translate.ts";
import { FieldProblem, numberOf, valueOf } from "../../submit.ts";

/** The fields of the form, in the library's words. */
export const MESSAGE_FIELDS = ["body", "tags", "keys", "properties", "messageGroup", "priority", "delayTimeLevel", "deliverAfter"] as const;

/** Of the choice "when": a time of the message's own, and no level. */
export const OWN_TIME = "own";

/** The message that a form describes. What is empty is left out; the rest the library checks. */
export function messageOf(form: HTMLFormElement, topic: string, t: Translate): Message {
  const text = valueOf(form, "body");
  const [tags, keys, messageGroup, when] = ["tags", "keys", "messageGroup", "delayTimeLevel"].map((name) => valueOf(form, name).trim());
  const properties = propertiesOf(valueOf(form, "properties"), t);
  return {
    topic,
    body: valueOf(form, "kind") === "json" ? jsonOf(text, t) : text,
    ...(tags !== "" && { tags: tags! }),
    ...(keys !== "" && { keys: keys! }),
    ...(Object.keys(properties).length > 0 && { properties }),
    ...(messageGroup !== "" && { messageGroup: messageGroup! }),
    ...(valueOf(form, "priority").trim() !== "" && { priority: numberOf(form, "priority", t) }),
    ...(when === OWN_TIME ? { deliverAfter: Math.round(numberOf(form, "deliverAfter", t) * 1000) } : { delayTimeLevel: Number(when) }),
  };
}

function jsonOf(text: string, t: Translate): Message["body"] {
  try {
    return JSON.parse(text) as Message["body"];
  } catch (error) {
    throw new FieldProblem("body", t("topics.send.badJson", { reason: (error as Error).message }));
  }
}

/** `name=value`, one a line. */
function propertiesOf(text: string, t: Translate): Record<string, string> {
  const lines = text.split("\n").map((line) => line.trim());
  const entries = lines.flatMap((line, at): [string, string][] => {
    if (line === "") return [];
    const sign = line.indexOf("=");
    if (sign <= 0) throw new FieldProblem("properties", t("topics.send.badProperty", { line: at + 1 }));
    return [[line.slice(0, sign).trim(), line.slice(sign + 1).trim()]];
  });
  return Object.fromEntries(entries);
}
