import type { ScenarioName } from "./texts.ts";

/** A still of a story: lanes of messages, `#` that waits, `.` that is done, `x` that has failed, `>` that comes later. */
const STILLS: Record<ScenarioName, readonly [string, string, string]> = {
  "peak-shaving": ["..########", "..########", "..########"],
  "consumer-groups": ["......##  ", "....###   ", ".....###  "],
  order: ["oooooooo  ", "*****     ", "########  "],
  "retry-and-resend": ["..x..x....", "    #  #  ", "        x "],
  "order-timeout": ["....      ", "    >>>>>>", "..>.>.>.> "],
  transaction: ["...       ", "   >      ", "....o     "],
  broadcasting: ["******    ", "******    ", "******    "],
  "sql-filter": ["o#*o*#o#*o", "o  o  o  o", "  * *   * "],
  "exactly-once": ["oo**##oo**", "o * # o * ", ".........."],
  backlog: ["##########", "####      ", "#         "],
  "kill-the-broker": ["....x.....", "......x...", "........##"],
  replay: ["....ooooo ", "....ooooo ", "    *****>"],
};
const STEP = 12;

export function Picture({ of }: { of: ScenarioName }) {
  return (
    <svg class="story-still" viewBox="0 0 124 46" aria-hidden="true">
      {STILLS[of].flatMap((lane, row) => [...lane].map((sign, at) => sign !== " " && <rect key={`${row}-${at}`} class={CLASSES[sign]} x={2 + at * STEP} y={2 + row * 15} width="9" height="11" rx="2.5" />))}
    </svg>
  );
}

const CLASSES: Readonly<Record<string, string>> = { "#": "still-waiting", ".": "still-done", x: "still-bad", ">": "still-later", o: "still-other", "*": "still-third" };
