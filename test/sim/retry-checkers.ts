import { SCHEDULE_GROUP } from "../../src/broker/schedule.ts";
import { parseDelayLevels } from "../../src/model/delay-level.ts";
import { RETRY_TOPIC_PREFIX } from "../../src/model/names.ts";
import { SCHEDULE_TOPIC, TIMER_GROUP, WHEEL_TOPIC } from "../../src/model/system-names.ts";
import type { Verdict } from "./checkers.ts";
import { Disturbances } from "./disturbances.ts";
import { entriesOf, type FaultKind, type GroupPlace, type History, type Of, placeOf } from "./history.ts";

/** Short enough that a healed world comes to rest soon. */
export const DELAY_LEVELS = "1s 2s 3s 5s 10s 20s 30s 1m";

const DELAYS = parseDelayLevels(DELAY_LEVELS);

/** What has taken the place of what. */
export function copiesByPlace(history: History): Map<GroupPlace, Of<"stored">[]> {
  const copies = new Map<GroupPlace, Of<"stored">[]>();
  for (const entry of entriesOf(history, "stored")) {
    if (entry.finishes !== undefined) copies.set(entry.finishes, [...(copies.get(entry.finishes) ?? []), entry]);
  }
  return copies;
}

/** Where a group finds the copy of what it had at `place`. While it waits for its time it is nobody's but the schedule's. */
export function placeAfter(place: GroupPlace, record: Of<"stored">["record"]): GroupPlace {
  const group = record.topic === SCHEDULE_TOPIC ? SCHEDULE_GROUP : record.topic === WHEEL_TOPIC ? TIMER_GROUP : record.topic.startsWith(RETRY_TOPIC_PREFIX) ? record.topic.slice(RETRY_TOPIC_PREFIX.length) : place.split(" ")[0]!;
  return `${group} ${placeOf(record)}`;
}

/** What makes one and the same host or tab miss that a message is finished. */
export const UNHEARD: FaultKind[] = [
  "host killed", "host paused", "writer lock stolen", "commit failed", "commit misreported", "store lost", "read failed", "quota used up",
  "tab crashed", "tab frozen", "tab hidden", "tab closed", "disk slow", "messages slow", "timers throttled",
];

/** A message is moved once; it is not given to its group again from where it was; and what waits is not delivered before its time. */
export function retries(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  const faults = new Disturbances(history);
  /** What waits, since when and for how long; also where it was put to get out of retention's way. */
  const waiting = new Map<string, { since: Of<"stored">; delay: number }>();
  /** What is finished, since when, and by which record. */
  const finished = new Map<GroupPlace, { at: number; position: number }>();
  /** The last host to begin, and what each consumer holds since when. */
  let host = 0;
  const held = new Map<string, number>();
  for (const entry of history) {
    if (entry.type === "epoch") host = entry.at;
    // What the browser takes away finishes nothing any more.
    if (entry.type === "tail lost") for (const [place, { position }] of finished) if (position >= entry.position) finished.delete(place);
    if (entry.type === "rebalanced") for (const queue of entry.assigned) held.set(`${entry.consumer} ${queue}`, entry.at);
    if (entry.type === "stored") {
      const { finishes, record } = entry;
      const wait = finishes === undefined ? undefined : waiting.get(finishes.split(" ")[1]!);
      if (record.topic === SCHEDULE_TOPIC) waiting.set(placeOf(record), { since: entry, delay: DELAYS[record.queueId]! });
      else if (record.topic === WHEEL_TOPIC && wait !== undefined) waiting.set(placeOf(record), wait);
      if (finishes === undefined) continue;
      if (finished.has(finishes)) verdicts.push({ kind: "moved twice", text: `${finishes} at ${finished.get(finishes)!.at} and at ${entry.at}` });
      finished.set(finishes, entry);
      // Store times of one broker compare. Those of two do not: for what seems to come from the future the delay begins anew, on
      // the clock of the one that delivers, which is the true time and what it was put ahead. What was not delayed cannot be early.
      if (wait === undefined || record.topic === WHEEL_TOPIC) continue;
      const { since, delay } = wait;
      const isEarly =
        (entry.storeTimestamp ?? 0) < (since.storeTimestamp ?? 0) + delay &&
        (entry.epoch === since.epoch || entry.at + faults.putAhead(since.at, entry.at) < since.at + delay);
      if (isEarly) {
        verdicts.push({ kind: "delivered early", text: `${placeOf(record)} ${(entry.storeTimestamp ?? 0) - (since.storeTimestamp ?? 0)} ms after it was stored, not ${delay}` });
      }
    }
    if (entry.type !== "delivered") continue;
    const { topic, queueId } = entry.message;
    const since = finished.get(`${entry.group} ${placeOf(entry.message)}`)?.at;
    if (since === undefined) continue;
    // A host that began later has read it in the log; whoever got the queue from it has no excuse.
    const mustKnow = host > since && (held.get(`${entry.consumer} ${topic}:${queueId}`) ?? 0) > host;
    if (mustKnow || !faults.any(since, entry.at, UNHEARD)) {
      verdicts.push({ kind: "delivered although finished", text: `${entry.group} ${placeOf(entry.message)} to ${entry.consumer} at ${entry.at}, finished since ${since}` });
    }
  }
  return verdicts;
}
