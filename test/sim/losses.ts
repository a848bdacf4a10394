import type { Verdict } from "./checkers.ts";
import { entriesOf, type History, placeOf } from "./history.ts";

/** Did the browser take the message at a place away again, or make it unreadable? */
export function takenFrom(history: History): (place: string) => boolean {
  const taken = new Set<string>();
  const positions = new Map<string, number>();
  for (const entry of history) {
    if (entry.type === "stored") positions.set(placeOf(entry.record), entry.position);
    if (entry.type === "damaged") for (const place of entry.places) taken.add(place);
    if (entry.type === "tail lost") for (const [place, position] of positions) if (position >= entry.position) taken.add(place);
  }
  return (place) => taken.has(place);
}

/** Where the log begins in the end: what was before has been cut off. */
export function beginAfter(history: History): number {
  let begin = 0;
  for (const entry of history) {
    if (entry.type === "removed") begin = Math.max(begin, entry.position);
    // The newest cuts too may be lost.
    if (entry.type === "tail lost") begin = entry.begin;
  }
  return begin;
}

/** Of what the browser has lost, and of what it has damaged, somebody is told; and nobody of what it has not. */
export function losses(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  const records = new Map<string, { position: number; end: number }>();
  const damaged = new Set<string>();
  const told: { position: number; bytes: number }[] = [];
  let untold: number | null = null;
  for (const entry of history) {
    if (entry.type === "tail lost") untold = entry.position;
    if (entry.type === "loss noted") {
      if (untold === null) verdicts.push({ kind: "loss made up", text: `at ${entry.at} a broker notes a loss, and the browser has lost nothing since it last did` });
      untold = null;
    }
    if (entry.type === "damaged") for (const place of entry.places) damaged.add(place);
    if (entry.type === "damage told") told.push(entry);
    if (entry.type === "stored") {
      records.set(placeOf(entry.record), entry);
      if (untold !== null) verdicts.push({ kind: "unreported loss", text: `${placeOf(entry.record)} at ${entry.at}, and nothing was said of what was lost behind ${untold}` });
      untold = null;
    }
    if (entry.type !== "rest" || !entry.isReached) continue;
    const isCut = entriesOf(history, "tail lost").length > 0;
    const readable = new Set(entry.readable.map(placeOf));
    // What was given up need not be read.
    const begin = beginAfter(history);
    for (const place of damaged) {
      const { position: at, end } = records.get(place)!;
      // A long record lies in several rows, of which one is damaged; of a row that is gone only the position is named.
      const isTold = ({ position, bytes }: { position: number; bytes: number }): boolean => position < end && at < position + Math.max(1, bytes);
      // What was damaged and then lost as well is nobody's damage.
      if (isCut || at < begin || readable.has(place) || told.some(isTold) || entry.damaged.some(isTold)) continue;
      verdicts.push({ kind: "unreported damage", text: `${place} at ${at} cannot be read, and nobody says so` });
    }
  }
  return verdicts;
}
