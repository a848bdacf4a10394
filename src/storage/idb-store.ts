import type { DBSchema, IDBPDatabase } from "idb";
import { openDB, unwrap } from "idb";
import { MQError, storeRefused, textOf } from "../model/errors.ts";
import { systemClock, type Clock } from "../platform/clock.ts";
import { systemTimers } from "../platform/timers.ts";
import type { BlockStore, CommitBatch, CommitOutcome, IndexRange, LogRow, PageKey } from "./block-store.ts";
import { EPOCH_KEY, KEY_CHECK, lastEpoch, rowsWithin } from "./block-store.ts";
import { plainLength } from "./cipher.ts";
import { keyRange, scopeOf, writeBatch } from "./idb-batch.ts";
import { Reserve } from "./idb-reserve.ts";
import { CHUNK_HEADER_BYTES } from "./indexer.ts";
import { beginNewLevelDbLog } from "./leveldb-log.ts";

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

/** How long after a commit the next one may rely on the fence alone, ms. */
const FENCE_TRUST = 10_000;
/** How long the browser may take to delete the database, ms. */
const DELETE_TIMEOUT = 5000;
/** How long after a try the next one to put the reserve back, ms. */
const RESTORE_PAUSE = 1000;
/** Rows of the reserve that are kept for the next host, which cannot begin without writing its epoch. */
const KEPT_FOR_TAKE_OVER = 12;

/**
 * Who has been replaced must not write. Two things see to it:
 *
 * - The epoch row is read in the transaction that writes. That costs a round trip to the database process.
 * - A host that takes over puts a *fence*, an empty row, where the log ends: exactly where the host before it would
 *   write next. Log rows are added, never put, so the database itself refuses that whole transaction, without a
 *   round trip. Whoever has committed a moment ago relies on this alone; after a pause the epoch is read as well,
 *   so that nothing depends on how long a fence, or the row that took its place, is kept.
 */
export class IdbStore implements BlockStore {
  readonly kind = "indexeddb";
  onLost: (reason: string) => void = () => {};
  readonly #name: string;
  readonly #clock: Clock;
  #db: IDBPDatabase<Schema> | undefined;
  #opening: Promise<void> | undefined;
  #isRenewed = false;
  /** Our own fence: the first row we write takes its place. */
  #fence: number | undefined;
  /** Whether `commit()` may be called; otherwise a transaction commits by itself, a little later. */
  #mayCommit = false;
  /** Of log rows: only those prove that the fence of nobody else stands where we write next. */
  #lastLogCommit = Number.NEGATIVE_INFINITY;
  protected readonly reserve: Reserve = new Reserve();
  #lastRestore = Number.NEGATIVE_INFINITY;

  /** Commits on their way, to be told what is known when the connection goes away under them. */
  readonly #open = new Set<(outcome: CommitOutcome) => void>();

  constructor(namespace: string, clock: Clock = systemClock) {
    this.#name = databaseName(namespace);
    this.#clock = clock;
  }

  async takeOver(above = 0, inspect: (keyCheck: unknown) => void = () => {}): Promise<number> {
    const db = await this.#opened();
    if (!this.#isRenewed) this.renewLog();
    this.#isRenewed = true;
    await this.reserve.look(unwrap(db));
    for (;;) {
      try {
        return await this.#raiseEpoch(db, above, inspect);
      } catch (error) {
        if (!isFull(error) || !(await this.reserve.release(unwrap(db), 0))) throw error;
      }
    }
  }

  async #raiseEpoch(db: IDBPDatabase<Schema>, above: number, inspect: (keyCheck: unknown) => void): Promise<number> {
    const tx = db.transaction(["log", "state"], "readwrite", { durability: "strict" });
    const [last, keyCheck, cursor] = await Promise.all([
      tx.objectStore("state").get(EPOCH_KEY), tx.objectStore("state").get(KEY_CHECK), tx.objectStore("log").openCursor(null, "prev"),
    ]);
    inspect(keyCheck);
    const epoch = Math.max(lastEpoch(last), above) + 1;
    void tx.objectStore("state").put(epoch, EPOCH_KEY);
    this.#fence = cursor === null ? 0 : endOfRow(cursor.key, cursor.value);
    void tx.objectStore("log").put(FENCE, this.#fence);
    [this.#mayCommit] = await Promise.all([commitIsAtomic(unwrap(db)), tx.done]);
    return epoch;
  }

  /** Nobody waits for it: all commits go their way meanwhile. Where it fails (over quota), the risk stays as it was. */
  protected renewLog(): void {
    void beginNewLevelDbLog(`${this.#name}/scratch`).catch(() => {});
  }

  /**
   * Answers on the transaction's `complete`, never on a request's `success`: over quota, requests succeed and the
   * transaction aborts afterwards. `strict` makes `complete` wait for the device; `relaxed` does not, and a power
   * cut takes acknowledged messages along.
   */
  commit(batch: CommitBatch): Promise<CommitOutcome> {
    if (batch.log.length === 0 && batch.queue.length === 0) return this.#commitFacts(batch);
    return this.reserve.isTight ? this.#commitIfRoom(batch) : this.#commit(batch);
  }

  /** Facts are small and must not be lost, and what only removes makes room: they may use the reserve. */
  async #commitFacts(batch: CommitBatch): Promise<CommitOutcome> {
    for (;;) {
      const outcome = await this.#commit(batch);
      if (outcome.status !== "rejected" || outcome.reason !== "FULL" || this.#db === undefined) return outcome;
      if (!(await this.reserve.release(unwrap(this.#db), KEPT_FOR_TAKE_OVER))) return outcome;
    }
  }

  /** What the reserve has freed is not for messages: they wait until the reserve fits in again. */
  async #commitIfRoom(batch: CommitBatch): Promise<CommitOutcome> {
    if (await this.#restoreReserve()) return this.#commit(batch);
    return { status: "rejected", reason: "FULL" };
  }

  async #restoreReserve(): Promise<boolean> {
    const now = this.#clock.monotonic();
    if (this.#db === undefined || now - this.#lastRestore < RESTORE_PAUSE) return false;
    this.#lastRestore = now;
    return this.reserve.restore(unwrap(this.#db));
  }

  #commit(batch: CommitBatch): Promise<CommitOutcome> {
    return new Promise((settle) => {
      const resolve = (outcome: CommitOutcome): void => {
        this.#open.delete(resolve);
        settle(outcome);
      };
      this.#open.add(resolve);
      const pause = this.#clock.monotonic() - this.#lastLogCommit;
      // Whoever removes may take away what a fence's place was taken by.
      const isAppend = batch.log.length > 0 && batch.remove === undefined;
      const reliesOnFence = isAppend && this.#fence === undefined && pause >= 0 && pause < FENCE_TRUST;
      // Plain requests: this runs for every lone message, and a wrapped request costs a promise and a proxy each.
      let tx: IDBTransaction;
      try {
        tx = unwrap(this.#connection()).transaction(scopeOf(batch, reliesOnFence), "readwrite", { durability: batch.durability ?? "strict" });
      } catch (cause) {
        return resolve({ status: "unknown", cause });
      }
      tx.oncomplete = () => {
        if (isAppend) {
          this.#lastLogCommit = this.#clock.monotonic();
          this.#fence = undefined;
          // The first messages of a new namespace are there: it is used, and shall not come to a standstill when it is full.
          if (!this.reserve.isWhole && !this.reserve.isTight) void this.#restoreReserve().catch(() => {});
        }
        resolve({ status: "committed" });
      };
      tx.onabort = () => void this.#explain(batch.epoch, tx.error).then(resolve);
      try {
        const epoch = reliesOnFence ? null : tx.objectStore("state").get(EPOCH_KEY);
        writeBatch(tx, batch, this.#fence);
        if (epoch === null) return this.#hasten(tx);
        // The rows wait in the same transaction while the epoch is read: nobody can raise it in between.
        epoch.onsuccess = () => (epoch.result === batch.epoch ? this.#hasten(tx) : tx.abort());
      } catch {
        // A value that cannot be cloned throws while the rows before it already wait: they must not commit by themselves.
        tx.abort();
      }
    });
  }

  #hasten(tx: IDBTransaction): void {
    if (this.#mayCommit) tx.commit();
  }

  /** The transaction was aborted: why? */
  async #explain(epoch: number, error: unknown): Promise<CommitOutcome> {
    // A connection that the browser has closed meanwhile cannot tell.
    const current: unknown = this.#db === undefined ? epoch : await this.#db.get("state", EPOCH_KEY).catch(() => epoch);
    if (current !== epoch) return { status: "rejected", reason: "FENCED" };
    if (isFull(error)) return { status: "rejected", reason: "FULL", cause: error };
    return { status: "unknown", cause: error };
  }

  async readLog(position: number, count: number, bytes = Infinity): Promise<LogRow[]> {
    const { store } = (await this.#opened()).transaction("log");
    const range = IDBKeyRange.lowerBound(position);
    if (bytes === Infinity) {
      const records = recordsOf(unwrap(store), range, count);
      if (records !== null) return (await records).filter((row) => row.bytes.byteLength > 0);
    }
    const keys = await store.getAllKeys(range, count);
    // None is a count without a limit.
    const values = keys.length === 0 ? [] : await store.getAll(range, rowsWithin(keys, bytes));
    return keys.slice(0, values.length).map((key, at) => ({ position: key, bytes: values[at]! })).filter((row) => row.bytes.byteLength > 0);
  }

  readLogKeys(position: number, count: number): Promise<number[]> {
    return this.#connection().transaction("log").store.getAllKeys(IDBKeyRange.lowerBound(position), count);
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

  async readIndex(ranges: IndexRange[]): Promise<Uint8Array[][]> {
    if (ranges.length === 0) return [];
    const { store } = this.#connection().transaction("index");
    return Promise.all(ranges.map((range) => (range.from > range.to ? [] : store.getAll(keyRange(range)))));
  }

  async readState(prefix: string): Promise<[string, unknown][]> {
    const { store } = (await this.#opened()).transaction("state");
    const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
    const [keys, values] = await Promise.all([store.getAllKeys(range), store.getAll(range)]);
    return keys.map((key, at) => [key, values[at]]);
  }

  async destroy(): Promise<void> {
    this.close();
    // Other connections are asked to close, and do. One that does not would have us wait for ever.
    await new Promise<void>((resolve, reject) => {
      const request = indexedDB.deleteDatabase(this.#name);
      const cancel = systemTimers.after(DELETE_TIMEOUT, () => reject(new MQError("STORAGE_UNAVAILABLE", "The browser does not delete the database: somebody else has it open.", { outcome: "unknown" })));
      request.onsuccess = () => (cancel(), resolve());
      request.onerror = () => (cancel(), reject(new MQError("STORAGE_UNAVAILABLE", "The browser does not delete the database.", { outcome: "unknown", cause: request.error })));
    });
  }

  close(): void {
    this.#db?.close();
    this.#db = undefined;
    // WebKit tells nobody of what is aborted when the connection is already closed.
    for (const resolve of this.#open) resolve({ status: "unknown", cause: new DOMException("The connection was closed.", "AbortError") });
  }

  #connection(): IDBPDatabase<Schema> {
    if (this.#db === undefined) throw new MQError("STORAGE_UNAVAILABLE", "The database connection is closed.");
    return this.#db;
  }

  /** The connection, opened by whoever asks first; once closed, it stays so. */
  async #opened(): Promise<IDBPDatabase<Schema>> {
    this.#opening ??= this.#connect().then((db) => void (this.#db = db));
    await this.#opening;
    return this.#connection();
  }

  async #connect(): Promise<IDBPDatabase<Schema>> {
    // Null where the user, or an application that shows web pages, has switched databases off.
    if ((globalThis.indexedDB ?? null) === null) throw storeRefused("there is none");
    try {
      return await this.#openDatabase();
    } catch (error) {
      throw isRefusal(error) ? storeRefused(textOf(error), error) : error;
    }
  }

  #openDatabase(): Promise<IDBPDatabase<Schema>> {
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

/** Private windows of older Firefoxes say the first, pages without rights to any storage the second. Everything else may pass. */
function isRefusal(error: unknown): boolean {
  return error instanceof DOMException && (error.name === "InvalidStateError" || error.name === "SecurityError");
}

/**
 * Whether a request that fails undoes its transaction also after `commit()`. In Firefox (seen in 153) only the last
 * request does; after any other the transaction completes without it: a refused or unwritable log row would be
 * acknowledged. The transaction that finds out changes nothing, however it ends.
 */
function commitIsAtomic(db: IDBDatabase): Promise<boolean> {
  return new Promise((resolve) => {
    const tx = db.transaction("index", "readwrite", { durability: "strict" });
    const key = ["", 0];
    let isRefused = false;
    tx.oncomplete = () => resolve(false);
    // An end for another reason proves nothing.
    tx.onabort = () => resolve(isRefused);
    const store = tx.objectStore("index");
    store.add(0, key);
    store.add(0, key).onerror = () => (isRefused = true);
    store.delete(key);
    tx.commit();
  });
}

/** Rows and their keys by one request, where the browser can (Chromium from 141 on); otherwise null. */
function recordsOf(store: IDBObjectStore, query: IDBKeyRange, count: number): Promise<LogRow[]> | null {
  const { getAllRecords } = store as { getAllRecords?: (options: { query: IDBKeyRange; count: number }) => IDBRequest<{ key: number; value: Uint8Array }[]> };
  if (getAllRecords === undefined) return null;
  return new Promise((resolve, reject) => {
    const request = getAllRecords.call(store, { query, count });
    request.onsuccess = () => resolve(request.result.map(({ key, value }) => ({ position: key, bytes: value })));
    request.onerror = () => reject(request.error);
  });
}

function isFull(error: unknown): boolean {
  return error instanceof DOMException && error.name === "QuotaExceededError";
}

const FENCE = new Uint8Array(0);

/** A fence takes no room. A damaged row keeps its place, however little is left of it: it has to be reported. */
function endOfRow(position: number, bytes: Uint8Array): number {
  return bytes.byteLength === 0 ? position : position + Math.max(1, plainLength(bytes) - CHUNK_HEADER_BYTES);
}
