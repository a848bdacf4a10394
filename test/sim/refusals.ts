import type { Verdict } from "./checkers.ts";
import { entriesOf, type History, placeOf } from "./history.ts";

/** What every call that sent it called rejected is nowhere: it is never stored, then or later. */
export function refusals(history: History): Verdict[] {
  const ends = new Map(entriesOf(history, "settled").map(({ call, outcome }) => [call, outcome]));
  const rejected = new Set<string>();
  const inDoubt = new Set<string>();
  for (const { call, contents } of entriesOf(history, "sent")) {
    for (const content of contents) (ends.get(call) === "rejected" ? rejected : inDoubt).add(content);
  }
  return entriesOf(history, "stored").flatMap(({ at, record, finishes }): Verdict[] => {
    if (finishes !== undefined || !rejected.has(record.content) || inDoubt.has(record.content)) return [];
    return [{ kind: "rejected and stored", text: `${placeOf(record)} ${record.content} at ${at}` }];
  });
}
