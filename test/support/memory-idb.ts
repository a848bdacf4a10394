/**
 * As much of IndexedDB as an application's outbox needs, in memory: one database, any number of connections. A transaction is
 * complete when its requests are answered and no more have come; what a dead connection has not completed is not there, as where the browser has closed it.
 */
import type { OutboxDatabase, OutboxTransaction } from "../../src/client/outbox-rows.ts";

type Key = number | string;
type Rows = Map<Key, unknown>;

interface Request {
  result: unknown;
  error: Error | null;
  onsuccess: (() => void) | null;
  onerror: (() => void) | null;
}

export class MemoryIdb {
  readonly name = "app";
  readonly stores = new Map<string, { rows: Rows; next: number; autoIncrement: boolean; keyPath: string | null }>();
  /** Called before each commit and each read; what it kills in there is not done any more. */
  onOperation: (what: string) => void = () => {};
  /** The next commit of a connection fails. */
  failsNext = false;

  constructor(stores: string[] = ["outbox", "orders"]) {
    for (const name of stores) this.stores.set(name, { rows: new Map(), next: 1, autoIncrement: name !== "named", keyPath: null });
  }

  /** `isPromising`: as the library idb wraps it. `turn`: what lies between a transaction's requests and its end. */
  open({ isPromising = false, turn = nextTurn }: { isPromising?: boolean; turn?: () => Promise<void> } = {}): MemoryDatabase {
    return new MemoryDatabase(this, isPromising, turn);
  }
}

export class MemoryDatabase implements OutboxDatabase {
  readonly name: string;
  isAlive = true;
  isClosed = false;
  readonly idb: MemoryIdb;
  readonly isPromising: boolean;
  readonly turn: () => Promise<void>;

  constructor(idb: MemoryIdb, isPromising: boolean, turn: () => Promise<void>) {
    this.idb = idb;
    this.name = idb.name;
    this.isPromising = isPromising;
    this.turn = turn;
  }

  get objectStoreNames(): { contains(name: string): boolean } {
    return { contains: (name) => this.idb.stores.has(name) };
  }

  transaction(names: string | string[], mode: "readonly" | "readwrite" = "readonly"): MemoryTransaction {
    if (this.isClosed || !this.isAlive) throw Object.assign(new Error("The database is closed."), { name: "InvalidStateError" });
    return new MemoryTransaction(this, [names].flat(), mode);
  }
}

export class MemoryTransaction implements OutboxTransaction {
  readonly done: Promise<void>;
  readonly #db: MemoryDatabase;
  readonly #names: string[];
  readonly #mode: string;
  readonly #listeners = { complete: [] as (() => void)[], abort: [] as (() => void)[] };
  readonly #changes: (() => void)[] = [];
  #open = 0;
  #state: "active" | "over" = "active";

  constructor(db: MemoryDatabase, names: string[], mode: string) {
    this.#db = db;
    this.#names = names;
    this.#mode = mode;
    this.done = new Promise((resolve) => {
      this.addEventListener("complete", resolve);
      this.addEventListener("abort", resolve);
    });
    void this.#end();
  }

  addEventListener(type: "complete" | "abort", listener: () => void): void {
    this.#listeners[type].push(listener);
  }

  abort(): void {
    this.#over("abort");
  }

  objectStore(name: string): Record<string, unknown> {
    const store = this.#db.idb.stores.get(name);
    if (store === undefined || !this.#names.includes(name)) throw new Error(`No object store "${name}" in this transaction.`);
    const write = (change: () => unknown): unknown => {
      if (this.#mode !== "readwrite") throw new Error("The transaction is read-only.");
      this.#changes.push(() => void change());
      return this.#request(() => undefined);
    };
    const read = (what: () => unknown): unknown => this.#request(what);
    const from = (range: KeyRange | null, count: number): [Key, unknown][] =>
      [...store.rows].filter(([key]) => range === null || range.holds(key)).sort(([a], [b]) => (isBehind(a, b) ? 1 : -1)).slice(0, count);
    return {
      autoIncrement: store.autoIncrement,
      keyPath: store.keyPath,
      add: (value: unknown) => {
        const kept: unknown = structuredClone(value);
        return write(() => store.rows.set(store.next++, kept));
      },
      put: (value: unknown, key: Key = store.next++) => {
        const kept: unknown = structuredClone(value);
        return write(() => store.rows.set(key, kept));
      },
      delete: (key: Key) => write(() => store.rows.delete(key)),
      getAll: (range: KeyRange | null, count: number) => read(() => from(range, count).map(([, value]) => structuredClone(value))),
      getAllKeys: (range: KeyRange | null, count: number) => read(() => from(range, count).map(([key]) => key)),
      count: () => read(() => store.rows.size),
    };
  }

  #request(answer: () => unknown): unknown {
    if (this.#state === "over") throw new Error("The transaction is over.");
    this.#open++;
    const request: Request = { result: undefined, error: null, onsuccess: null, onerror: null };
    const answered = Promise.resolve().then(() => {
      this.#open--;
      if (!this.#db.isAlive) {
        request.onerror?.();
        throw new Error("The connection was closed.");
      }
      request.result = answer();
      request.onsuccess?.();
      return request.result;
    });
    answered.catch(() => {});
    return this.#db.isPromising ? answered : request;
  }

  async #end(): Promise<void> {
    do await this.#db.turn();
    while (this.#open > 0);
    const { idb } = this.#db;
    if (this.#state === "over") return;
    if (this.#db.isAlive) idb.onOperation(this.#changes.length > 0 ? "commit" : "read");
    if (!this.#db.isAlive) return this.#over("abort");
    if (idb.failsNext && this.#changes.length > 0) {
      idb.failsNext = false;
      return this.#over("abort");
    }
    for (const change of this.#changes) change();
    this.#over("complete");
  }

  #over(how: "complete" | "abort"): void {
    if (this.#state === "over") return;
    this.#state = "over";
    for (const listener of this.#listeners[how]) listener();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface KeyRange {
  holds(key: Key): boolean;
}

/** Texts come behind all numbers. */
function isBehind(key: Key, other: Key): boolean {
  return typeof key === typeof other ? key > other : typeof key === "string";
}

/** Where there is none, as in Node. */
export function stubKeyRange(): void {
  const bound = (after: Key, last: Key): KeyRange => ({ holds: (key) => isBehind(key, after) && !isBehind(key, last) });
  Object.assign(globalThis, { IDBKeyRange: { bound } });
}
