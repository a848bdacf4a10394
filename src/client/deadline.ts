import { MQError } from "../model/errors.ts";
import type { Cancel, Timers } from "../platform/timers.ts";

/** One limit for everything a call does, however many steps it takes. */
export class Deadline {
  readonly #cancel: Cancel;
  #reject: ((error: MQError) => void) | null = null;
  #expired: MQError | null = null;

  constructor(timers: Timers, timeout: number, what: string) {
    this.#cancel = timers.after(timeout, () => {
      this.#expired = new MQError("DEADLINE_EXCEEDED", `${what} took longer than ${timeout} ms.`, { outcome: "unknown" });
      this.#reject?.(this.#expired);
    });
  }

  /** The promise's outcome, or DEADLINE_EXCEEDED if that comes first. One at a time. */
  race<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#expired !== null) {
        promise.catch(() => {});
        return reject(this.#expired);
      }
      this.#reject = reject;
      promise.then(resolve, reject);
    });
  }

  clear(): void {
    this.#cancel();
  }
}
