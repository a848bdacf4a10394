/**
 * Locks shared by all tabs and workers of an origin. In browsers: the Web Locks API, which frees a lock when its
 * holder's tab or worker dies, however it dies. That makes a lock the one reliable sign of life.
 */
export interface Locks {
  /**
   * Waits for the lock, exclusive or shared with others who want it so; null when `signal` aborted first, or, with
   * `ifFree`, when somebody else holds it or waits for it. With `steal` it is taken from whoever holds it. `lost`
   * resolves when it was stolen from this holder.
   */
  acquire(name: string, options?: LockWish): Promise<HeldLock | null>;
}

/** Of `signal`, `ifFree` and `steal` one at most; what is stolen is exclusive. */
export interface LockWish {
  signal?: AbortSignal;
  ifFree?: boolean;
  steal?: boolean;
  shared?: boolean;
}

export interface HeldLock {
  release(): void;
  readonly lost: Promise<void>;
}

export function webLocks(manager: LockManager): Locks {
  return {
    acquire(name, { signal, ifFree = false, steal = false, shared = false } = {}) {
      return new Promise((resolve, reject) => {
        const mode = shared ? "shared" : "exclusive";
        const options: LockOptions = ifFree ? { mode, ifAvailable: true } : steal ? { steal } : signal ? { mode, signal } : { mode };
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
