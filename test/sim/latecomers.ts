import type { Verdict } from "./checkers.ts";
import { AFTERMATH } from "./disturbances.ts";
import { entriesOf, type History, placeOf } from "./history.ts";
import type { Plan } from "./plan.ts";

/** Far more than all the ways a message goes, on the slowest disk and ports of a plan, and far less than the next long poll, ms. */
export const PROMPT = 4_000;
/** A listener that takes longer may have a backlog of its own. */
const QUICK = 5;

/** As long as nothing at all has gone wrong, what is stored is with a push group that has been there for a while at once. */
export function latecomers(history: History, plan: Pick<Plan, "groups" | "duration" | "work" | "listenerFails" | "builds">): Verdict[] {
  // Of two versions' tabs, one's wait for a broker.
  if (plan.work > QUICK || plan.builds > 1) return [];
  const peace = Math.min(plan.duration, ...entriesOf(history, "fault").map(({ at }) => at));
  const joined = entriesOf(history, "joined");
  const left = new Map(entriesOf(history, "left").map(({ consumer, at }) => [consumer, at]));
  return plan.groups.flatMap(({ group, kind, orderly = false, subscriptions }): Verdict[] => {
    // What an orderly group could not consume holds all behind it.
    if (kind !== "push" || (orderly && plan.listenerFails > 0)) return [];
    const members = joined.filter((entry) => entry.group === group && !left.has(entry.consumer));
    const since = Math.min(...members.map(({ at }) => at)) + AFTERMATH;
    const first = new Map<string, number>();
    for (const entry of entriesOf(history, "delivered")) {
      if (entry.group === group && !first.has(placeOf(entry.message))) first.set(placeOf(entry.message), entry.at);
    }
    return entriesOf(history, "stored").flatMap(({ at, record, tags }): Verdict[] => {
      const expression = subscriptions[record.topic];
      const isWanted = expression !== undefined && (expression === "*" || expression.split(" || ").includes(tags));
      if (!isWanted || at < since || at + PROMPT > peace) return [];
      const delivered = first.get(placeOf(record)) ?? Infinity;
      return delivered <= at + PROMPT ? [] : [{ kind: "late", text: `${group} gets ${placeOf(record)}, stored at ${at}, at ${delivered}` }];
    });
  });
}
