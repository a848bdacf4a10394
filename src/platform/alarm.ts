import type { Clock } from "./clock.ts";
import type { Cancel, Timers } from "./timers.ts";

/**
 * One timer for many deadlines, left standing when the one it was set for is met: a timer of its own for each would
 * be set and cancelled for every message.
 */
export class Alarm {
  readonly #timers: Timers;
  readonly #clock: Clock;
  readonly #ring: (now: number) => number;
  #at = Number.POSITIVE_INFINITY;
  #cancel: Cancel | null = null;
  #isStopped = false;

  /** `ring` deals with what is due at `now` and returns the next deadline, Infinity if there is none. All on the monotonic clock. */
  constructor(timers: Timers, clock: Clock, ring: (now: number) => number) {
    this.#timers = timers;
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Sees to it that it rings at `deadline`, or before. */
  by(deadline: number): void {
    if (deadline >= this.#at || this.#isStopped) return;
    this.#cancel?.();
    this.#at = deadline;
    this.#cancel = this.#timers.after(Math.max(0, deadline - this.#clock.monotonic()), () => {
      this.#at = Number.POSITIVE_INFINITY;
      this.#cancel = null;
      this.by(this.#ring(this.#clock.monotonic()));
    });
  }

  /** For good. A timer left standing would keep all that hangs on it until then. */
  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }
}
