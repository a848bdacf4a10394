import type { HeldLock, Locks } from "../platform/locks.ts";

/**
 * The right to write a namespace. Whoever holds the writer lock is the host, whatever kind of worker it is; all
 * others wait. The lock says who may begin; the epoch in every transaction says who is still allowed to write.
 */
export function writerLock(namespace: string): string {
  return `tabmq/${namespace}/writer`;
}

/** Held by a broker as long as it lives: a client that gets it knows that the broker is gone. */
export function brokerLock(namespace: string, incarnation: string): string {
  return `tabmq/${namespace}/broker/${incarnation}`;
}

/** Waits, for ever if need be, until the namespace is free. */
export async function acquireLease(locks: Locks, namespace: string): Promise<HeldLock> {
  const lock = await locks.acquire(writerLock(namespace));
  // Without `ifFree` or a signal there is no way not to get it.
  if (lock === null) throw new Error("the writer lock was refused");
  return lock;
}
