import { deferred } from "../../platform/deferred.ts";
import { unlessAborted } from "./entity-lines.ts";

/** So much work at once, and no more; who comes first is first. */
export class Slots {
  #free: number;
  /** Who is called has a slot. */
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Rejects with the signal's reason when it is aborted while waiting. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    try {
      return await work();
    } finally {
      this.#release();
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = deferred<void>();
    const given = (): void => resolve();
    this.#waiting.add(given);
    try {
      await unlessAborted(promise, signal);
    } catch (error) {
      // It may have been given one in the same moment.
      if (!this.#waiting.delete(given)) this.#release();
      throw error;
    }
  }

  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
