/** Work of one entity, one after the other in the order in which it came; entities do not wait for each other. */
export class EntityLines {
  /** The end of each line that somebody stands in. */
  readonly #tails = new Map<string, Promise<void>>();

  /**
   * Runs `work` when all before it in its line have ended, however they did. Rejects as soon as the signal is aborted; whoever
   * stands behind still waits for those before.
   */
  run<T>(entity: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(entity);
    const mine = (before ?? Promise.resolve()).then(() => {
      signal.throwIfAborted();
      return work();
    });
    const tail = mine.then(nothing, nothing);
    this.#tails.set(entity, tail);
    void tail.then(() => {
      if (this.#tails.get(entity) === tail) this.#tails.delete(entity);
    });
    return unlessAborted(mine, signal);
  }
}

/** The same, but rejects with the signal's reason as soon as it is aborted. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function nothing(): void {}
