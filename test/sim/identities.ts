import type { Verdict } from "./checkers.ts";
import { entriesOf, type History, placeOf } from "./history.ts";

/** A msgId is one message's, wherever a copy of it stands. */
export function identities(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  const contents = new Map<string, string>();
  for (const { at, record } of entriesOf(history, "stored")) {
    const { msgId, content } = record;
    const before = contents.get(msgId) ?? content;
    contents.set(msgId, before);
    if (before !== content) verdicts.push({ kind: "msgId used twice", text: `${msgId} is ${before}, and ${placeOf(record)} ${content} at ${at}` });
  }
  return verdicts;
}
