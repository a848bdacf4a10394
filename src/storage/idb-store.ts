import type { DBSchema, IDBPDatabase } from "idb";
import { openDB } from "idb";
import { MQError } from "../model/errors.ts";
import type { BlockStore, CommitBatch, CommitOutcome, LogRow, PageKey } from "./block-store.ts";
import { EPOCH_KEY } from "./block-store.ts";

/** Version 1 for ever: an old tab that holds the database open must never block a new version. Values carry versions instead. */
const SCHEMA_VERSION = 1;

interface Schema extends DBSchema {
  log: { key: number; value: Uint8Array };
  queue: { key: [string, number, number]; value: Uint8Array };
  index: { key: [string, number]; value: Uint8Array };
  /** Facts under text; under the number of each epoch, its fence. */
  state: { key: string | number; value: unknown };
}

/** A host that sleeps through this many others is out of this world. */
const FENCES_KEPT = 10_000;

export function databaseName(namespace: string): string {
  return `tabmq/${namespace}`;
}

export class IdbStore implements BlockStore {
  readonly kind = "indexeddb";
  onLost: (reason: string) => void = () => {};
  readonly #name: string;
  #db: IDBPDatabase<Schema> | undefined;

  constructor(namespace: string) {
    this.#name = databaseName(namespace);
  }

  async takeOver(): Promise<number> {
    this.#db = await this.#open();
    const tx = this.#db.transaction("state", "readwrite", { durability: "strict" });
    const last: unknown = await tx.store.get(EPOCH_KEY);
    const epoch = (typeof last === "number" ? last : 0) + 1;
    void tx.store.put(epoch, EPOCH_KEY);
    // Every commit of the host before us tries to put this fence up itself: from now on it fails.
    void tx.store.put(true, epoch);
    void tx.store.delete(IDBKeyRange.bound(0, epoch - FENCES_KEPT));
    await tx.done;
    return epoch;
  }

  /**
   * Answers on the transaction's `complete`, never on a request's `success`: over quota, requests succeed and the
   * transaction aborts afterwards. `strict` makes `complete` wait for the device; without it a power cut takes
   * acknowledged messages along.
   */
  async commit(batch: CommitBatch): Promise<CommitOutcome> {
    let tx;
    try {
      const stores = batch.queue.length > 0 ? (["log", "queue", "state"] as const) : (["log", "state"] as const);
      tx = this.#connection().transaction(stores, "readwrite", { durability: "strict" });
    } catch (cause) {
      return { status: "unknown", cause };
    }
    // Failures of single requests are part of the transaction's; `done` tells the whole story.
    const ignore = (): void => {};
    tx.done.catch(ignore);
    try {
      const state = tx.objectStore("state");
      // The epoch check. Reading the epoch and waiting for the answer would cost a round trip to the database process
      // in every commit; a fence that cannot be put up twice lets the database itself refuse an outdated host.
      const fence = batch.epoch + 1;
      state.add(true, fence).catch(ignore);
      state.delete(fence).catch(ignore);
      const log = tx.objectStore("log");
      for (const row of batch.log) log.put(row.bytes, row.position).catch(ignore);
      if (batch.queue.length > 0) {
        const queue = tx.objectStore("queue");
        for (const page of batch.queue) queue.put(page.bytes, [...page.key]).catch(ignore);
      }
      for (const [key, value] of batch.state) state.put(value, key).catch(ignore);
      tx.commit();
      await tx.done;
      return { status: "committed" };
    } catch (cause) {
      // A value that cannot be cloned throws while the rows before it already wait: they must not commit by themselves.
      try {
        tx.abort();
      } catch {
        // It has ended by itself.
      }
      return this.#explain(batch.epoch, tx.error ?? cause);
    }
  }

  /** Nothing was committed, or so it seems: why? */
  async #explain(epoch: number, error: unknown): Promise<CommitOutcome> {
    const current: unknown = await this.#db?.get("state", EPOCH_KEY).catch(() => epoch);
    if (typeof current === "number" && current > epoch) return { status: "rejected", reason: "FENCED" };
    if (error instanceof DOMException && error.name === "QuotaExceededError") return { status: "rejected", reason: "FULL", cause: error };
    return { status: "unknown", cause: error };
  }

  async readLog(position: number, count: number): Promise<LogRow[]> {
    const tx = this.#connection().transaction("log");
    const range = IDBKeyRange.lowerBound(position);
    const [keys, values] = await Promise.all([tx.store.getAllKeys(range, count), tx.store.getAll(range, count)]);
    return keys.map((key, at) => ({ position: key, bytes: values[at]! }));
  }

  async floorLog(position: number): Promise<number | undefined> {
    const cursor = await this.#connection().transaction("log").store.openKeyCursor(IDBKeyRange.upperBound(position), "prev");
    return cursor?.key;
  }

  async readPages(keys: PageKey[]): Promise<(Uint8Array | undefined)[]> {
    if (keys.length === 0) return [];
    const { store } = this.#connection().transaction("queue");
    return Promise.all(keys.map((key) => store.get([...key])));
  }

  async readState(prefix: string): Promise<[string, unknown][]> {
    const { store } = this.#connection().transaction("state");
    const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
    const [keys, values] = await Promise.all([store.getAllKeys(range), store.getAll(range)]);
    return keys.map((key, at) => [String(key), values[at]]);
  }

  close(): void {
    this.#db?.close();
    this.#db = undefined;
  }

  #connection(): IDBPDatabase<Schema> {
    if (this.#db === undefined) throw new MQError("STORAGE_UNAVAILABLE", "The database connection is closed.");
    return this.#db;
  }

  #open(): Promise<IDBPDatabase<Schema>> {
    return openDB<Schema>(this.#name, SCHEMA_VERSION, {
      upgrade(db) {
        for (const store of ["log", "queue", "index", "state"] as const) db.createObjectStore(store);
      },
      // Somebody wants to delete or upgrade the database: holding on would block them for ever.
      blocking: () => this.#lose("another connection asked for the database"),
      terminated: () => this.#lose("the browser closed the database"),
    });
  }

  #lose(reason: string): void {
    this.close();
    this.onLost(reason);
  }
}
