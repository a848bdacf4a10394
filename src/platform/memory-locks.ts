import type { HeldLock, LockRequest, Locks } from "./locks.ts";

interface Waiter {
  grant(): void;
}

/** Locks inside one process, with the same contract as Web Locks: for Node, tests and the simulator. */
export class MemoryLocks implements Locks {
  readonly #queues = new Map<string, Waiter[]>();
  readonly #holders = new Map<string, () => void>();

  acquire(name: string, { signal, ifFree = false, steal = false }: LockRequest = {}): Promise<HeldLock | null> {
    if (signal?.aborted) return Promise.resolve(null);
    if (steal) return Promise.resolve(this.steal(name));
    if (!this.#holders.has(name)) return Promise.resolve(this.#hold(name));
    if (ifFree) return Promise.resolve(null);
    return new Promise((resolve) => {
      const waiter: Waiter = { grant: () => resolve(this.#hold(name)) };
      const queue = this.#queues.get(name) ?? [];
      queue.push(waiter);
      this.#queues.set(name, queue);
      signal?.addEventListener("abort", () => {
        const at = queue.indexOf(waiter);
        if (at < 0) return;
        queue.splice(at, 1);
        resolve(null);
      });
    });
  }

  /** Takes the lock from its holder, as `steal` of Web Locks does. */
  steal(name: string): HeldLock {
    this.#holders.get(name)?.();
    return this.#hold(name);
  }

  isHeld(name: string): boolean {
    return this.#holders.has(name);
  }

  #hold(name: string): HeldLock {
    let onLost = (): void => {};
    const lost = new Promise<void>((resolve) => (onLost = resolve));
    const mine = (): void => onLost();
    this.#holders.set(name, mine);
    return {
      lost,
      release: () => {
        if (this.#holders.get(name) !== mine) return;
        this.#holders.delete(name);
        this.#queues.get(name)?.shift()?.grant();
      },
    };
  }
}
