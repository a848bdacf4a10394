/**
 * Locks shared by all tabs and workers of an origin. In browsers: the Web Locks API, which frees a lock when its
 * holder's tab or worker dies, however it dies. That makes a lock the one reliable sign of life.
 */
export interface Locks {
  /**
   * Waits for the exclusive lock; null when `signal` aborted first, or, with `ifFree`, when somebody else holds it or
   * waits for it. With `steal` the lock is taken from whoever holds it. `lost` resolves when it was stolen from this holder.
   */
  acquire(name: string, options?: LockRequest): Promise<HeldLock | null>;
}

/** One of them at most. */
export interface LockRequest {
  signal?: AbortSignal;
  ifFree?: boolean;
  steal?: boolean;
}

export interface HeldLock {
  release(): void;
  readonly lost: Promise<void>;
}

export function webLocks(manager: LockManager): Locks {
  return {
    acquire(name, { signal, ifFree = false, steal = false } = {}) {
      return new Promise((resolve, reject) => {
        const options: LockOptions = ifFree ? { ifAvailable: true } : steal ? { steal: true } : signal ? { signal } : {};
        let onLost = (): void => {};
        let granted = false;
        const held = manager.request(name, options, (lock) => {
          if (lock === null) return resolve(null);
          granted = true;
          return new Promise<void>((release) => {
            resolve({ release, lost: new Promise((lost) => (onLost = lost)) });
          });
        });
        // A request rejects when it was aborted while waiting, or when the lock was stolen while held.
        held.catch((error: unknown) => {
          if (granted) onLost();
          else if (signal?.aborted) resolve(null);
          else reject(error);
        });
      });
    },
  };
}
