import { isUint8Array } from "../model/binary.ts";
import { MQError, textOf } from "../model/errors.ts";
import type { MessageDraft } from "../model/message.ts";

/** The parts of IDBDatabase, or of what the library idb wraps around it, that an outbox needs. */
export interface OutboxDatabase {
  readonly name: string;
  readonly objectStoreNames: { contains(name: string): boolean };
  transaction(names: string | string[], mode?: "readonly" | "readwrite"): OutboxTransaction;
}

/** Likewise, of IDBTransaction. */
export interface OutboxTransaction {
  objectStore(name: string): unknown;
  addEventListener(type: "complete" | "abort", listener: () => void): void;
}

/** Of IDBObjectStore. A method answers a request, or with idb a promise. */
interface Store {
  readonly autoIncrement: boolean;
  readonly keyPath: unknown;
  add(value: unknown): unknown;
  put(value: unknown, key: unknown): unknown;
  delete(key: unknown): unknown;
  getAll(range: unknown, count: number): unknown;
  getAllKeys(range: unknown, count: number): unknown;
  count(): unknown;
}

/** A message in the application's database. Everything that a record of the log needs, checked and encoded. */
export interface OutboxRow extends Omit<MessageDraft, "propertiesBytes" | "waitStoreMsgOK"> {
  tabmq: 1;
  namespace: string;
  /** How far the log was durable when it was written: nobody has sent it before. */
  from: number;
  /** The broker does not take it: why, and since when. */
  parked?: { code: string; message: string; at: number };
}

export interface KeyedRow {
  key: unknown;
  row: OutboxRow;
}

const encoder = new TextEncoder();

/** The rows of one outbox: an object store of the application's, whose keys the browser numbers. */
export class OutboxRows {
  readonly #db: OutboxDatabase;
  readonly #storeName: string;
  readonly #namespace: string;

  /** @throws MQError INVALID_PARAMETER where there is no such store, or one with other keys */
  constructor(db: OutboxDatabase, storeName: string, namespace: string) {
    this.#db = db;
    this.#storeName = storeName;
    this.#namespace = namespace;
    if (!db.objectStoreNames.contains(storeName)) throw unfit(db.name, storeName, "does not exist");
    const { autoIncrement, keyPath } = storeOf(db, storeName);
    if (!autoIncrement || keyPath !== null) throw unfit(db.name, storeName, "has keys of another kind");
  }

  /** In the caller's transaction, which decides about it. */
  add(tx: OutboxTransaction, row: OutboxRow): void {
    try {
      const added = (tx.objectStore(this.#storeName) as Store).add(row);
      // Of a request that fails its transaction tells.
      if (isPromise(added)) added.catch(() => {});
    } catch (cause) {
      throw new MQError("INVALID_PARAMETER", `outbox.add needs a running readwrite transaction over "${this.#storeName}": ${textOf(cause)}`, { field: "tx", cause });
    }
  }

  /** The first rows behind a key; undefined = from the beginning. What is no row of this namespace is left out; `last` is the last key that was looked at. */
  async read(after: unknown, count: number): Promise<{ rows: KeyedRow[]; last: unknown }> {
    const store = this.#db.transaction(this.#storeName, "readonly").objectStore(this.#storeName) as Store;
    // The browser numbers them; an application's own rows may have other keys, which are behind all numbers.
    const range = IDBKeyRange.bound(after ?? Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, after !== undefined);
    const [keys, values] = await Promise.all([settled<unknown[]>(store.getAllKeys(range, count)), settled<unknown[]>(store.getAll(range, count))]);
    const rows = values.flatMap((value, at) => (this.#isRow(value) ? [{ key: keys[at], row: value }] : []));
    return { rows, last: keys.at(-1) };
  }

  /** All of it in one transaction. `again`: to be sent once more, behind all others. */
  async change({ gone = [], kept = [], again = [] }: { gone?: readonly unknown[]; kept?: readonly KeyedRow[]; again?: readonly OutboxRow[] }): Promise<void> {
    const tx = this.#db.transaction(this.#storeName, "readwrite");
    const store = tx.objectStore(this.#storeName) as Store;
    const done = new Promise<void>((resolve, reject) => {
      tx.addEventListener("complete", () => resolve());
      tx.addEventListener("abort", () => reject(new Error("The transaction was aborted.")));
    });
    const requests = [...gone.map((key) => store.delete(key)), ...kept.map(({ key, row }) => store.put(row, key)), ...again.map((row) => store.add(row))];
    for (const request of requests) if (isPromise(request)) request.catch(() => {});
    await done;
  }

  count(): Promise<number> {
    return settled((this.#db.transaction(this.#storeName, "readonly").objectStore(this.#storeName) as Store).count());
  }

  #isRow(value: unknown): value is OutboxRow {
    const { tabmq, namespace, msgId, topic, body, properties, from } = (value ?? {}) as Partial<Record<keyof OutboxRow, unknown>>;
    const texts = [msgId, topic, properties].every((text) => typeof text === "string");
    return tabmq === 1 && namespace === this.#namespace && texts && isUint8Array(body) && Number.isSafeInteger(from);
  }
}

/** As a producer would have made it. */
export function draftOf({ topic, body, flag, properties, msgId, messageGroup, priority, isDiverted }: OutboxRow): MessageDraft {
  return { topic, body, flag, properties, propertiesBytes: encoder.encode(properties).byteLength, msgId, messageGroup, priority, waitStoreMsgOK: true, isDiverted };
}

function storeOf(db: OutboxDatabase, storeName: string): Store {
  try {
    return db.transaction(storeName, "readonly").objectStore(storeName) as Store;
  } catch (cause) {
    throw new MQError("INVALID_PARAMETER", `mq.outbox takes an open database: ${textOf(cause)}`, { field: "db", cause });
  }
}

function settled<T>(request: unknown): Promise<T> {
  if (isPromise(request)) return request as Promise<T>;
  const asked = request as IDBRequest<T>;
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error ?? new Error("The request failed."));
  });
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as Partial<Promise<unknown>> | null)?.then === "function";
}

function unfit(db: string, store: string, what: string): MQError {
  return new MQError("INVALID_PARAMETER", `The object store "${store}" of database "${db}" ${what}. An outbox is made in onupgradeneeded: db.createObjectStore("${store}", { autoIncrement: true }).`, { field: "storeName" });
}
