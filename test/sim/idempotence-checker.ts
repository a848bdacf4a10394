import type { Verdict } from "./checkers.ts";
import { Disturbances } from "./disturbances.ts";
import { entriesOf, type History } from "./history.ts";
import type { Plan } from "./plan.ts";
import { UNHEARD } from "./retry-checkers.ts";

/** What a group of idempotent consumers has durably finished is not given to a listener of it again, in whatever copy. */
export function givenAgain(history: History, { groups }: Pick<Plan, "groups">): Verdict[] {
  const idempotent = new Set(groups.filter((plan) => plan.idempotent).map(({ group }) => group));
  if (idempotent.size === 0 || entriesOf(history, "tail lost").length > 0) return [];
  const verdicts: Verdict[] = [];
  const faults = new Disturbances(history);
  const finished = new Map<string, number>();
  /** The last host to begin, and what each consumer holds since when. */
  let host = 0;
  const held = new Map<string, number>();
  for (const entry of history) {
    if (entry.type === "epoch") host = entry.at;
    if (entry.type === "rebalanced") for (const queue of entry.assigned) held.set(`${entry.consumer} ${queue}`, entry.at);
    if (entry.type === "key stored") finished.set(`${entry.group} ${entry.key}`, entry.at);
    if (entry.type !== "delivered" || !idempotent.has(entry.group)) continue;
    const { topic, queueId, queueOffset, msgId } = entry.message;
    const since = finished.get(`${entry.group} ${msgId}`);
    // A clock that is put ahead ends the window before its time.
    if (since === undefined || faults.any(0, entry.at, ["clock jumped"])) continue;
    // A host that began later has read it; whoever got the queue from it has no excuse.
    const mustKnow = host > since && (held.get(`${entry.consumer} ${topic}:${queueId}`) ?? 0) > host;
    if (mustKnow || !faults.any(since, entry.at, UNHEARD)) {
      verdicts.push({ kind: "given again", text: `${entry.group} ${msgId} at ${topic}:${queueId}:${queueOffset} to ${entry.consumer} at ${entry.at}, finished since ${since}` });
    }
  }
  return verdicts;
}
