import type { Clock } from "../platform/clock.ts";

/** Counts events and tells how many there were a second over the last ten seconds. */
export interface RateMeter {
  add(count: number): void;
  perSecond(): number;
}

const SECONDS = 10;

export function newRateMeter(clock: Clock): RateMeter {
  const counts = new Float64Array(SECONDS);
  const seconds = new Float64Array(SECONDS);
  const second = (): number => Math.floor(clock.monotonic() / 1000);
  return {
    add(count) {
      const now = second();
      const slot = now % SECONDS;
      if (seconds[slot] !== now) counts[slot] = 0;
      seconds[slot] = now;
      counts[slot]! += count;
    },
    perSecond() {
      const oldest = second() - SECONDS;
      return counts.reduce((sum, count, slot) => (seconds[slot]! > oldest ? sum + count : sum), 0) / SECONDS;
    },
  };
}
