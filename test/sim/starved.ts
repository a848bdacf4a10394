import { MEMBER_EXPIRY } from "../../src/model/limits.ts";
import type { Verdict } from "./checkers.ts";
import { AFTERMATH, Disturbances } from "./disturbances.ts";
import { entriesOf, type FaultKind, type History, type Of, placeOf } from "./history.ts";
import type { Plan } from "./plan.ts";

/** The broker counts in thirds of the expiry, and the first has begun already. */
const NOTICED = (MEMBER_EXPIRY * 4) / 3;
/** Until the queues have changed hands and what waits in them is delivered. */
const SLACK = 10_000;
/** A listener that takes longer may have a backlog of its own. */
const QUICK = 5;

const ENDS: FaultKind[] = ["tab crashed", "tab closed"];

/**
 * While a member sleeps for longer than a member may be silent, and nothing else goes wrong, the others of its group get
 * what comes to its queues: then and there, not when it has woken up.
 */
export function starved(history: History, { groups, duration, work }: Pick<Plan, "groups" | "duration" | "work">): Verdict[] {
  if (work > QUICK) return [];
  const faults = new Disturbances(history);
  const sleeps = entriesOf(history, "fault").filter(({ kind, at, until = at }) => kind === "tab frozen" && until - at > NOTICED + SLACK);
  return sleeps.flatMap((sleep) => {
    const end = Math.min(sleep.until!, duration, faults.peaceAfter(sleep));
    const from = sleep.at + NOTICED + SLACK;
    if (from > end) return [];
    return groups
      .filter(({ group }) => hasOther(history, group, sleep, end))
      .flatMap(({ group, subscriptions }) => {
        const got = new Set(entriesOf(history, "delivered").filter((entry) => entry.group === group && entry.at <= end).map(({ message }) => placeOf(message)));
        return entriesOf(history, "stored").flatMap(({ at, record, tags }): Verdict[] => {
          const expression = subscriptions[record.topic];
          const isWanted = expression !== undefined && (expression === "*" || expression.split(" || ").includes(tags));
          const isDue = at >= sleep.at && at + SLACK <= end;
          if (!isWanted || !isDue || got.has(`${placeOf(record)}`)) return [];
          return [{ kind: "starved", text: `${group} has not got ${placeOf(record)}, stored at ${at}, by ${end}: ${sleep.agent} sleeps since ${sleep.at}` }];
        });
      });
  });
}

/** Has somebody else of the group been there for a while, and stays? */
function hasOther(history: History, group: string, sleep: Of<"fault">, end: number): boolean {
  const left = new Map(entriesOf(history, "left").map(({ consumer, at }) => [consumer, at]));
  const ended = new Map(entriesOf(history, "fault").filter(({ kind }) => ENDS.includes(kind)).map(({ agent, at }) => [agent, at]));
  // Who lost all it had when a broker ended, and was given nothing since, has no broker: with two builds, one of them waits.
  const epochs = entriesOf(history, "epoch").map(({ at }) => at);
  const stranded = new Set<string>();
  for (const { at, consumer, assigned, revoked } of entriesOf(history, "rebalanced").filter((entry) => entry.at <= sleep.at)) {
    if (assigned.length === 0 && revoked.length > 0 && epochs.some((epoch) => epoch > at && epoch < at + AFTERMATH)) stranded.add(consumer);
    else stranded.delete(consumer);
  }
  return entriesOf(history, "joined").some(
    ({ at, consumer, tab, kind, group: its }) =>
      kind === "push" && its === group && tab !== sleep.agent && at + AFTERMATH <= sleep.at && !stranded.has(consumer) && (left.get(consumer) ?? Infinity) > end && (ended.get(tab) ?? Infinity) > end,
  );
}
