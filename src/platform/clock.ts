/** Wall-clock time in milliseconds since 1970. May jump; nothing but timestamps may depend on it. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
