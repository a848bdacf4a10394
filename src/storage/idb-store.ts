import type { DBSchema, IDBPDatabase } from "idb";
import { openDB, unwrap } from "idb";
import { MQError } from "../model/errors.ts";
import type { BlockStore, CommitBatch, CommitOutcome, LogRow, PageKey } from "./block-store.ts";
import { EPOCH_KEY } from "./block-store.ts";

/** Version 1 for ever: an old tab that holds the database open must never block a new version. Values carry versions instead. */
const SCHEMA_VERSION = 1;

interface Schema extends DBSchema {
  log: { key: number; value: Uint8Array };
  queue: { key: [string, number, number]; value: Uint8Array };
  index: { key: [string, number]; value: Uint8Array };
  state: { key: string; value: unknown };
}


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
    await tx.done;
    return epoch;
  }

  /**
   * Answers on the transaction's `complete`, never on a request's `success`: over quota, requests succeed and the
   * transaction aborts afterwards. `strict` makes `complete` wait for the device; without it a power cut takes
   * acknowledged messages along.
   */
  commit(batch: CommitBatch): Promise<CommitOutcome> {
    return new Promise((resolve) => {
      const onFailure = (error: unknown): void => {
        const isFull = error instanceof DOMException && error.name === "QuotaExceededError";
        resolve(isFull ? { status: "rejected", reason: "FULL", cause: error } : { status: "unknown", cause: error });
      };
      // Plain requests: this runs for every lone message, and a wrapped request costs a promise and a proxy each.
      let tx: IDBTransaction;
      try {
        const stores = batch.queue.length > 0 ? ["log", "queue", "state"] : ["log", "state"];
        tx = unwrap(this.#connection()).transaction(stores, "readwrite", { durability: "strict" });
      } catch (error) {
        return onFailure(error);
      }
      let isFenced = false;
      tx.oncomplete = () => resolve({ status: "committed" });
      tx.onabort = () => (isFenced ? resolve({ status: "rejected", reason: "FENCED" }) : onFailure(tx.error));
      try {
        const epoch = tx.objectStore("state").get(EPOCH_KEY);
        write(tx, batch);
        // The rows wait in the same transaction while the epoch is read: nobody can raise it in between.
        epoch.onsuccess = () => {
          isFenced = epoch.result !== batch.epoch;
          if (isFenced) tx.abort();
          else tx.commit();
        };
      } catch {
        // A value that cannot be cloned throws while the rows before it already wait: they must not commit by themselves.
        tx.abort();
      }
    });
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
    return keys.map((key, at) => [key, values[at]]);
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

function write(tx: IDBTransaction, batch: CommitBatch): void {
  const log = tx.objectStore("log");
  for (const { bytes, position } of batch.log) log.put(bytes, position);
  if (batch.queue.length > 0) {
    const queue = tx.objectStore("queue");
    for (const { bytes, key } of batch.queue) queue.put(bytes, [...key]);
  }
  const state = tx.objectStore("state");
  for (const [key, value] of batch.state) state.put(value, key);
}
