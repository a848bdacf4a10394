/**
 * The locks of a namespace. Whoever holds the writer lock is the host, whatever kind of worker it is; all others
 * wait. The lock says who may begin; the epoch in every transaction says who is still allowed to write.
 */
export function writerLock(namespace: string): string {
  return `tabmq/${namespace}/writer`;
}

/** The host holds it too, and takes it back when it is taken away: the sign that it does not only exist but runs. */
export function pulseLock(namespace: string): string {
  return `tabmq/${namespace}/pulse`;
}

/** Held by a broker as long as it lives: a client that gets it knows that the broker is gone. */
export function brokerLock(namespace: string, incarnation: string): string {
  return `tabmq/${namespace}/broker/${incarnation}`;
}

/** Held by a client as long as its tab lives; without a name, how all of them begin. */
export function clientLock(namespace: string, name = ""): string {
  return `tabmq/${namespace}/client/${name}`;
}
