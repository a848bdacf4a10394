import { systemClock } from "../../../src/platform/clock.ts";
import type { CommitBatch, CommitOutcome } from "../../../src/storage/block-store.ts";
import { databaseName, IdbStore } from "../../../src/storage/idb-store.ts";
import { locksWithoutWriter, serveWithout } from "./host.ts";

/** Writes without looking who is the host, and over whatever is there. */
class UnfencedStore extends IdbStore {
  readonly #db: Promise<IDBDatabase>;

  constructor(namespace: string) {
    super(namespace, systemClock);
    this.#db = new Promise((resolve) => {
      // Only after the first takeOver is there something to open.
      const open = (): void => {
        const request = indexedDB.open(databaseName(namespace), 1);
        request.onupgradeneeded = () => request.transaction?.abort();
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => setTimeout(open, 50);
      };
      setTimeout(open, 50);
    });
  }

  override async commit(batch: CommitBatch): Promise<CommitOutcome> {
    const tx = (await this.#db).transaction(["log", "queue", "state"], "readwrite", { durability: "strict" });
    for (const { bytes, position } of batch.log) tx.objectStore("log").put(bytes, position);
    for (const { bytes, key } of batch.queue) tx.objectStore("queue").put(bytes, [...key]);
    for (const [key, value] of batch.state) tx.objectStore("state").put(value, key);
    await new Promise((done) => (tx.oncomplete = done));
    return { status: "committed" };
  }
}

serveWithout({ locks: locksWithoutWriter(), openStore: (_kind, namespace) => new UnfencedStore(namespace) });
