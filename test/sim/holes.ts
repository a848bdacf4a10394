import type { Verdict } from "./checkers.ts";
import { type History, placeOf } from "./history.ts";

/**
 * The offsets of a queue have no holes, but for two causes: what was refused when the store was full had offsets already,
 * and a start that finds something lost or damaged leaves offsets out, so that none is used twice.
 */
export function holes(history: History): Verdict[] {
  const verdicts: Verdict[] = [];
  const ends = new Map<string, { offset: number; at: number }>();
  let isDamaged = false;
  let full = -Infinity;
  /** Where a queue begins of which nothing is known. */
  let begin: number | undefined = 0;
  for (const entry of history) {
    if (entry.type === "fault" && entry.kind === "quota used up") full = entry.at;
    if (entry.type === "damaged") isDamaged = true;
    if (entry.type === "tail lost" || (entry.type === "epoch" && isDamaged)) {
      ends.clear();
      begin = undefined;
    }
    if (entry.type !== "stored") continue;
    const { topic, queueId, queueOffset } = entry.record;
    const { offset, at } = ends.get(`${topic}:${queueId}`) ?? { offset: begin ?? queueOffset, at: 0 };
    if (queueOffset > offset && full < at) verdicts.push({ kind: "offset left out", text: `${placeOf(entry.record)} at ${entry.at}; the queue had reached ${offset}` });
    ends.set(`${topic}:${queueId}`, { offset: Math.max(offset, queueOffset + 1), at: entry.at });
  }
  return verdicts;
}
