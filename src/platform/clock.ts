/** Milliseconds. */
export interface Clock {
  /** Wall-clock time since 1970, for timestamps. May jump. */
  now(): number;
  /** Since some moment; never jumps, never goes back, stands still while the machine sleeps. For durations. */
  monotonic(): number;
}

export const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };
