import type { CommitBatch, IndexRange, Removal } from "./block-store.ts";

/** The object stores that a batch touches. The narrower a transaction, the cheaper. */
export function scopeOf(batch: CommitBatch, reliesOnFence: boolean): string[] {
  const scope = [];
  if (batch.log.length > 0 || batch.remove?.log !== undefined) scope.push("log");
  if (batch.queue.length > 0 || batch.remove?.queue !== undefined) scope.push("queue");
  if (batch.index !== undefined) scope.push("index");
  if (batch.state.length > 0 || !reliesOnFence) scope.push("state");
  return scope;
}

/** Asks for all that a batch changes, what is to go first. `fence`: where our own fence stands; the first row takes its place. */
export function writeBatch(tx: IDBTransaction, batch: CommitBatch, fence: number | undefined): void {
  if (batch.remove !== undefined) remove(tx, batch.remove);
  for (const { bytes, position } of batch.log) {
    const log = tx.objectStore("log");
    if (position === fence) log.put(bytes, position);
    else log.add(bytes, position);
  }
  for (const { bytes, key } of batch.queue) tx.objectStore("queue").put(bytes, [...key]);
  if (batch.index !== undefined) {
    const index = tx.objectStore("index");
    // Under the empty name stands the reserve.
    if (batch.index.delete === "all") index.delete(IDBKeyRange.lowerBound(["", Number.POSITIVE_INFINITY]));
    else for (const range of batch.index.delete) index.delete(keyRange(range));
    for (const { bytes, key } of batch.index.put) index.put(bytes, [...key]);
  }
  const state = batch.state.length > 0 ? tx.objectStore("state") : null;
  for (const [key, value] of batch.state) {
    if (value === null) state!.delete(key);
    else state!.put(value, key);
  }
}

function remove(tx: IDBTransaction, { log, queue = [] }: Removal): void {
  if (log !== undefined) tx.objectStore("log").delete(IDBKeyRange.bound(...log, false, true));
  for (const { topic, queueId, pages: [from, to] } of queue) {
    tx.objectStore("queue").delete(IDBKeyRange.bound([topic, queueId, from], [topic, queueId, to], false, true));
  }
}

export function keyRange({ name, from, to }: IndexRange): IDBKeyRange {
  return IDBKeyRange.bound([name, from], [name, to]);
}
