import type { HeldLock, Locks, LockWish } from "./locks.ts";

interface Waiter {
  isShared: boolean;
  grant(): void;
}

/** Who holds a lock: one, or several that share it. */
interface Holders {
  isShared: boolean;
  lost: Set<() => void>;
}

/** Locks inside one process, with the same contract as Web Locks: for Node, tests and the simulator. */
export class MemoryLocks implements Locks {
  readonly #queues = new Map<string, Waiter[]>();
  readonly #holders = new Map<string, Holders>();

  acquire(name: string, { signal, ifFree = false, steal = false, shared: isShared = false }: LockWish = {}): Promise<HeldLock | null> {
    if (signal?.aborted) return Promise.resolve(null);
    if (steal) return Promise.resolve(this.steal(name));
    if (!this.#queues.has(name) && this.#isFree(name, isShared)) return Promise.resolve(this.#hold(name, isShared));
    if (ifFree) return Promise.resolve(null);
    return new Promise((resolve) => {
      const queue = this.#queues.get(name) ?? [];
      const onAbort = (): void => {
        queue.splice(queue.indexOf(waiter), 1);
        this.#grant(name);
        resolve(null);
      };
      const waiter: Waiter = {
        isShared,
        grant: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve(this.#hold(name, isShared));
        },
      };
      queue.push(waiter);
      this.#queues.set(name, queue);
      signal?.addEventListener("abort", onAbort);
    });
  }

  /** Takes the lock from its holders, as `steal` of Web Locks does. */
  steal(name: string): HeldLock {
    for (const onLost of this.#holders.get(name)?.lost ?? []) onLost();
    this.#holders.delete(name);
    return this.#hold(name, false);
  }

  /** Of locks that are held or wanted. */
  names(): string[] {
    return [...new Set([...this.#holders.keys(), ...this.#queues.keys()])];
  }

  isHeld(name: string): boolean {
    return this.#holders.has(name);
  }

  #isFree(name: string, isShared: boolean): boolean {
    const holders = this.#holders.get(name);
    return holders === undefined || (isShared && holders.isShared);
  }

  #hold(name: string, isShared: boolean): HeldLock {
    let onLost = (): void => {};
    const lost = new Promise<void>((resolve) => (onLost = resolve));
    const mine = (): void => onLost();
    const holders = this.#holders.get(name) ?? { isShared, lost: new Set() };
    this.#holders.set(name, holders);
    holders.lost.add(mine);
    return {
      lost,
      release: () => {
        if (this.#holders.get(name) !== holders || !holders.lost.delete(mine)) return;
        if (holders.lost.size === 0) this.#holders.delete(name);
        this.#grant(name);
      },
    };
  }

  /** Whoever is next, and those behind that share with it. */
  #grant(name: string): void {
    const queue = this.#queues.get(name) ?? [];
    while (queue[0] !== undefined && this.#isFree(name, queue[0].isShared)) queue.shift()!.grant();
    if (queue.length === 0) this.#queues.delete(name);
  }
}
