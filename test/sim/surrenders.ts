import { SCHEDULE_GROUP } from "../../src/broker/schedule.ts";
import { DLQ_TOPIC_PREFIX } from "../../src/model/names.ts";
import { TIMER_GROUP } from "../../src/model/system-names.ts";
import type { Verdict } from "./checkers.ts";
import { Disturbances } from "./disturbances.ts";
import { type FaultKind, type GroupPlace, type History, placeOf } from "./history.ts";
import type { Plan } from "./plan.ts";

/** Why a listener's failure may reach the log only after another try of the message has succeeded. */
const OVERTAKEN: FaultKind[] = [
  "host killed", "host paused", "writer lock stolen", "commit failed", "commit misreported", "store lost", "read failed", "quota used up",
  "tab crashed", "tab frozen", "tab hidden", "tab closed", "disk slow", "messages slow", "timers throttled", "clock jumped",
];

interface Tries {
  failed: number;
  lastFailed: number;
  /** When it was consumed last; null = since the last failure it was not. */
  consumed: number | null;
}

/**
 * A group gives up what it could not consume, and nothing else: no copy, to be tried again or as a dead letter, without
 * a listener's failure before it; a dead letter after as many as the group's maxReconsumeTimes asks for, not sooner; and
 * nothing that has failed so often is tried once more.
 */
export function surrenders(history: History, { groups, maxReconsumeTimes }: Pick<Plan, "groups" | "maxReconsumeTimes">): Verdict[] {
  const verdicts: Verdict[] = [];
  const faults = new Disturbances(history);
  const tries = new Map<GroupPlace, Tries>();
  const places = new Map<number, GroupPlace>();
  /** How often the message at a place was moved because it had failed; a place belongs to one group from its first move on. */
  const depths = new Map<string, number>();
  const orderly = new Set(groups.flatMap(({ group, orderly: isOrderly }) => (isOrderly ? [group] : [])));
  for (const entry of history) {
    if (entry.type === "delivered") places.set(entry.delivery, `${entry.group} ${placeOf(entry.message)}`);
    if (entry.type === "consumed") {
      const place = places.get(entry.delivery)!;
      const { failed, lastFailed } = tries.get(place) ?? { failed: 0, lastFailed: 0 };
      tries.set(place, entry.isOk ? { failed, lastFailed, consumed: entry.at } : { failed: failed + 1, lastFailed: entry.at, consumed: null });
    }
    if (entry.type !== "stored" || entry.finishes === undefined) continue;
    const { at, record, finishes } = entry;
    const [group, source] = finishes.split(" ") as [string, string];
    const depth = depths.get(source) ?? 0;
    if (group === SCHEDULE_GROUP || group === TIMER_GROUP) {
      depths.set(placeOf(record), depth);
      continue;
    }
    depths.set(placeOf(record), depth + 1);
    const { failed, lastFailed, consumed } = tries.get(finishes) ?? { failed: 0, lastFailed: 0, consumed: null };
    const name = `${finishes} as ${placeOf(record)} at ${at}`;
    const isDead = record.topic.startsWith(DLQ_TOPIC_PREFIX);
    if (failed === 0) verdicts.push({ kind: "given up without a failure", text: name });
    else if (consumed !== null && !faults.any(lastFailed, at, OVERTAKEN)) verdicts.push({ kind: "given up although consumed", text: `${name}, consumed at ${consumed}` });
    // An orderly consumer tries again where it stands, every other one with a copy.
    else if (isDead && (orderly.has(group) ? failed - 1 : depth) < maxReconsumeTimes) verdicts.push({ kind: "given up too early", text: `${name}, after ${orderly.has(group) ? failed : depth + 1} tries` });
    if (!isDead && depth >= maxReconsumeTimes) verdicts.push({ kind: "given up too late", text: `${name}, after ${depth + 1} tries` });
  }
  return verdicts;
}
