import type { Clock } from "../platform/clock.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import { ciphering } from "../storage/cipher.ts";

/** Time that passes only when somebody says so. */
export interface TestClock {
  /** ms since 1970 */
  now(): number;
  /**
   * Lets so many ms pass: what is due meanwhile happens in its order, each thing at its own time, with all that follows from it.
   * Resolves when everything has come to rest. 0: nothing passes, and what can happen now does.
   */
  advance(ms: number): Promise<void>;
}

/** A task of its own. As it is before anybody puts fake timers in its place; `setTimeout` would take a ms each time. */
const { setImmediate: immediate, setTimeout: timeout } = globalThis as unknown as Record<"setImmediate" | "setTimeout", ((run: () => void) => void) | undefined>;
const nextTask = (): Promise<void> => new Promise((resolve) => (immediate ?? timeout!)(resolve));

export class VirtualClock implements TestClock, Clock, Timers {
  #now: number;
  #next = 0;
  /** One after the other: two that were not awaited do not run into each other. */
  #advancing: Promise<void> = Promise.resolve();
  readonly #timers = new Map<number, { at: number; run: () => void }>();

  constructor(now: number) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(delay: number, run: () => void): Cancel {
    const id = this.#next++;
    this.#timers.set(id, { at: this.#now + Math.max(0, delay), run });
    return () => void this.#timers.delete(id);
  }

  advance(ms: number): Promise<void> {
    if (!Number.isFinite(ms) || ms < 0) return Promise.reject(new RangeError(`clock.advance takes ms from 0 on, not ${String(ms)}.`));
    const advanced = this.#advancing.then(() => this.#advance(ms));
    this.#advancing = advanced.catch(() => {});
    return advanced;
  }

  async #advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await rest();
    for (let timer = this.#takeDue(end); timer !== undefined; timer = this.#takeDue(end)) {
      this.#now = Math.max(this.#now, timer.at);
      timer.run();
      await rest();
    }
    this.#now = end;
  }

  #takeDue(end: number): { at: number; run: () => void } | undefined {
    let [first, soonest]: [number, number] = [-1, Infinity];
    for (const [id, { at }] of this.#timers) if (at <= end && at < soonest) [first, soonest] = [id, at];
    const timer = this.#timers.get(first);
    this.#timers.delete(first);
    return timer;
  }
}

/** Messages travel in microtasks, and those all run before a task; what works in tasks of its own (a stream) gets a few. A cipher works in another thread, and is waited for. */
export async function rest(): Promise<void> {
  do {
    await Promise.allSettled(ciphering);
    for (let turn = 0; turn < 3; turn++) await nextTask();
  } while (ciphering.size > 0);
}
