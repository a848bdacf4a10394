import type { Clock } from "./clock.ts";

/** The wall clock may be slowed down by as much as this, ms, and is followed; what is more is a jump. */
const TOLERANCE = 1000;

/**
 * Wall-clock time that is never set back: where the wall clock is, this one goes on at its own pace until the other has
 * caught up. So what was to happen some time later does not happen sooner, nor an hour late.
 */
export class SteadyClock {
  readonly #clock: Clock;
  #now = 0;
  #monotonic = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since 1970, whole. Never less than before. */
  now(): number {
    const monotonic = this.#clock.monotonic();
    const wall = this.#clock.now();
    const expected = this.#now + Math.max(0, monotonic - this.#monotonic);
    this.#now = wall >= expected - TOLERANCE ? Math.max(wall, this.#now) : expected;
    this.#monotonic = monotonic;
    return Math.floor(this.#now);
  }
}
