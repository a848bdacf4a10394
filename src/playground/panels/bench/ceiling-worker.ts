/**
 * The least that a strict writer over IndexedDB can do, in a SharedWorker as the broker: it concatenates what has
 * gathered, up to 1 MiB, and puts it as one value in one strict transaction with an explicit commit. No checks, no index,
 * no retries. Its database is called as the worker, and is deleted at the end.
 */
import type { Answer, CeilingCommand } from "./ceiling.ts";

const COMMIT_BYTES = 1024 * 1024;
const STORE = "log";

interface Gathered {
  bytes: Uint8Array;
  /** Stored bytes go back to the tab. */
  isReturned: boolean;
}

declare const self: typeof globalThis & { name: string; close(): void };

let port: MessagePort;
let gathered: Gathered[] = [];
let key = 0;
let isCommitting = false;
const db = open(self.name);

self.addEventListener("connect", (event) => {
  port = (event as MessageEvent).ports[0]!;
  port.onmessage = ({ data }: MessageEvent<CeilingCommand>) =>
    void receive(data).catch((error: unknown) => answer({ failure: String(error) }));
});

async function receive(command: CeilingCommand): Promise<void> {
  switch (command.name) {
    case "append": {
      gathered.push({ bytes: new Uint8Array(command.buffer, 0, command.bytes), isReturned: command.isReturned });
      if (!isCommitting) await commitAll();
      return;
    }
    case "put": {
      const began = performance.now();
      await put(await db, new Uint8Array(command.buffer));
      return answer({ result: performance.now() - began });
    }
    case "readBack": {
      await readBack(await db);
      return answer({ result: 0 });
    }
    case "clear": {
      await finished((await db).transaction(STORE, "readwrite"), (store) => void store.clear());
      return answer({ result: 0 });
    }
    case "end": {
      (await db).close();
      await new Promise<void>((resolve) => {
        const request = indexedDB.deleteDatabase(self.name);
        request.onsuccess = request.onerror = () => resolve();
      });
      answer({ result: 0 });
      self.close();
    }
  }
}

async function commitAll(): Promise<void> {
  isCommitting = true;
  while (gathered.length > 0) {
    const batch = take();
    const value = new Uint8Array(batch.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
    let end = 0;
    for (const { bytes } of batch) {
      value.set(bytes, end);
      end += bytes.byteLength;
    }
    await put(await db, value);
    answer({ durable: batch.length });
    for (const { bytes, isReturned } of batch) if (isReturned) answer({ buffer: bytes.buffer as ArrayBuffer, bytes: bytes.byteLength }, [bytes.buffer as ArrayBuffer]);
  }
  isCommitting = false;
}

/** What fits into one commit; at least one buffer. */
function take(): Gathered[] {
  let bytes = 0;
  const more = gathered.findIndex((next, at) => (bytes += next.bytes.byteLength) > COMMIT_BYTES && at > 0);
  return gathered.splice(0, more === -1 ? gathered.length : more);
}

function put(database: IDBDatabase, value: Uint8Array): Promise<void> {
  return finished(database.transaction(STORE, "readwrite", { durability: "strict" }), (store) => void store.put(value, key++));
}

/** Every stored value goes to the tab, each as soon as it is read. */
function readBack(database: IDBDatabase): Promise<void> {
  return finished(database.transaction(STORE, "readonly"), (store) => {
    const keys = store.getAllKeys();
    keys.onsuccess = () => {
      for (const each of keys.result) {
        const request = store.get(each);
        request.onsuccess = () => {
          const { buffer, byteLength } = request.result as Uint8Array<ArrayBuffer>;
          answer({ buffer, bytes: byteLength }, [buffer]);
        };
      }
    };
  });
}

function finished(tx: IDBTransaction, act: (store: IDBObjectStore) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error);
    act(tx.objectStore(STORE));
    // A reader has more to ask when the first answer is there.
    if (tx.mode === "readwrite") tx.commit();
  });
}

function open(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function answer(message: Answer, transfer: Transferable[] = []): void {
  port.postMessage(message, transfer);
}
