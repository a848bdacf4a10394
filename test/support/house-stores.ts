/** What a browser has in its databases, read past the broker, and what the checker says of it. */
import type { EnginePage } from "./engines/engine.ts";
import { checkStore, type Finding, type StoreContent } from "./store-check.ts";

/** As it comes out of the page: bytes as base64. */
interface Dump {
  name: string;
  log: [number, string][];
  queue: [string, string][];
  index: [string, string][];
  state: [string, unknown][];
}

/** Runs in the page. One transaction for each database: a broker that is still at work is between two of its own. */
async function dump(): Promise<Dump[]> {
  const result = <T>(request: IDBRequest<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("the read failed"));
    });
  const pack = (value: unknown): unknown => {
    if (!(value instanceof Uint8Array)) return value;
    let text = "";
    for (let at = 0; at < value.length; at += 0x8000) text += String.fromCharCode(...value.subarray(at, at + 0x8000));
    return btoa(text);
  };
  const dumps: Dump[] = [];
  for (const { name = "" } of await indexedDB.databases()) {
    if (!/^tabmq\/[^/]+$/.test(name)) continue;
    const db = await result(indexedDB.open(name));
    const tx = db.transaction(["log", "queue", "index", "state"]);
    const rows = async (of: string): Promise<[unknown, unknown][]> => {
      // What is called "" keeps room free (idb-reserve.ts).
      const range = of === "index" ? IDBKeyRange.lowerBound(["\u0001"]) : null;
      const [keys, values] = await Promise.all([result(tx.objectStore(of).getAllKeys(range)), result(tx.objectStore(of).getAll(range) as IDBRequest<unknown[]>)]);
      return keys.map((key, at) => [Array.isArray(key) ? key.join("/") : key, of === "state" && values[at] instanceof Uint8Array ? { bytes: pack(values[at]) } : pack(values[at])]);
    };
    const [log, queue, index, state] = await Promise.all(["log", "queue", "index", "state"].map(rows));
    db.close();
    dumps.push({ name, log, queue, index, state } as Dump);
  }
  return dumps;
}

/** By the databases' names. A namespace that is encrypted is left out: its rows are for those that have the key. */
export async function findingsIn(page: EnginePage, options: { holes?: boolean } = {}): Promise<Map<string, Finding[]>> {
  const dumps = await page.evaluate(dump);
  const plain = dumps.map((one): [string, StoreContent] => [one.name, contentOf(one)]).filter(([, { state }]) => !state.has("encryption"));
  return new Map(plain.map(([name, content]) => [name, checkStore(content, options)]));
}

function contentOf({ log, queue, index, state }: Dump): StoreContent {
  const bytes = <Key>(rows: [Key, string][]): Map<Key, Uint8Array> => new Map(rows.map(([key, text]) => [key, new Uint8Array(Buffer.from(text, "base64"))]));
  const value = (row: unknown): unknown => (typeof row === "object" && row !== null && "bytes" in row && typeof row.bytes === "string" ? new Uint8Array(Buffer.from(row.bytes, "base64")) : row);
  return { log: bytes(log), queue: bytes(queue), index: bytes(index), state: new Map(state.map(([key, row]) => [key, value(row)])) };
}
