/** A timer: when it is due, ms since 1970, and its offset in the wheel's queue. */
export interface Timer {
  due: number;
  offset: number;
}

/**
 * Timers that wait, by their due time. Part of the Indexer seam, with two implementations. Of those that are due at the
 * same time the one with the lower offset comes first. What is not to be delivered any more stays until its time comes:
 * whoever takes it knows.
 */
export interface TimerIndex {
  readonly count: number;
  /** When the first is due; Infinity when there is none. */
  readonly next: number;
  /** Memory that it takes. */
  readonly bytes: number;

  clear(): void;

  /**
   * Enters the timers that these consume-queue entries stand for, the first of which has the offset `first`, a multiple
   * of 8. Holes are left out, and those whose bit in `finished` is set (the lowest bit of a byte is the first).
   */
  load(entries: Uint8Array, first: number, finished: Uint8Array): void;

  /** Enters one that was taken out. */
  add(timer: Timer): void;

  /** Takes out those that are due at `now`, in their order, at most `max`. */
  take(now: number, max: number): Timer[];

  /** Shows all there are, in no order. `visit` must change nothing. */
  scan(visit: (due: number, offset: number) => void): void;
}
