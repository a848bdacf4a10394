import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import { IdbStore, databaseName } from "../../src/storage/idb-store.ts";
import { type TestDisk, blockStoreContract } from "../contract/block-store.contract.ts";

let next = 0;

function makeDisk(): TestDisk & { namespace: string } {
  const namespace = `contract-${Date.now()}-${next++}`;
  return { namespace, open: () => new IdbStore(namespace, systemClock), destroy: () => deleteDatabase(databaseName(namespace)) };
}

function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error ?? new Error("the database could not be deleted"));
  });
}

/** The rows that keep room, by their sizes. */
async function reserveBytes(namespace: string): Promise<number[]> {
  const result = <T>(request: IDBRequest<T>): Promise<T> => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const db = await result(indexedDB.open(databaseName(namespace)));
  const rows = (await result(db.transaction("index").objectStore("index").getAll())) as Uint8Array[];
  db.close();
  return rows.map(({ byteLength }) => byteLength);
}

blockStoreContract("IdbStore", makeDisk);

/** As retention or merging may, when some time has gone. */
async function deleteRow(namespace: string, position: number): Promise<void> {
  const db = await new Promise<IDBDatabase>((resolve) => {
    const request = indexedDB.open(databaseName(namespace));
    request.onsuccess = () => resolve(request.result);
  });
  const tx = db.transaction("log", "readwrite");
  tx.objectStore("log").delete(position);
  await new Promise((resolve) => (tx.oncomplete = resolve));
  db.close();
}

describe("IdbStore", () => {
  test.each([
    ["10 s after its last commit an older host relies on no fence: FENCED although the fence is gone", 10_000, { status: "rejected", reason: "FENCED" }],
    ["control: just before, the fence is all that there is, which is why it must not go so soon", 9_999, { status: "committed" }],
  ])("%s", async (_what, pause, outcome) => {
    const disk = makeDisk();
    let now = 0;
    const older = new IdbStore(disk.namespace, { now: () => now, monotonic: () => now });
    const epoch = await older.takeOver();
    const row = (value: number): Uint8Array => Uint8Array.from({ length: CHUNK_HEADER_BYTES + 1 }, () => value);
    expect(await older.commit({ epoch, log: [{ position: 0, bytes: row(1) }], queue: [], state: [] })).toEqual({ status: "committed" });
    const newer = disk.open();
    await newer.takeOver();
    await deleteRow(disk.namespace, 1);
    now += pause;
    expect(await older.commit({ epoch, log: [{ position: 1, bytes: row(9) }], queue: [], state: [] })).toMatchObject(outcome);
    older.close();
    newer.close();
    await disk.destroy();
  });

  test("a store that is closed does not reject a commit: it says that nobody knows", async () => {
    const disk = makeDisk();
    const store = disk.open();
    await store.takeOver();
    store.close();
    expect(await store.commit({ epoch: 1, log: [], queue: [], state: [] })).toMatchObject({ status: "unknown" });
    await disk.destroy();
  });

  test("a commit is aborted, and the connection closed before anybody could ask why: nobody knows, and nobody is said to have taken over", async () => {
    const disk = makeDisk();
    const store = disk.open();
    const epoch = await store.takeOver();
    const real = IDBDatabase.prototype.transaction;
    const begun: IDBTransaction[] = [];
    IDBDatabase.prototype.transaction = function (...given) {
      const tx = real.apply(this, given);
      if (this.name === databaseName(disk.namespace)) begun.push(tx);
      return tx;
    };
    const outcome = store.commit({ epoch, log: [], queue: [], state: [["k", 1]] });
    IDBDatabase.prototype.transaction = real;
    // As the browser does when the device fails.
    begun[0]!.abort();
    store.close();
    expect(await outcome).toMatchObject({ status: "unknown" });
    await disk.destroy();
  });

  test("somebody deletes the database: the store lets go at once and says so", async () => {
    const disk = makeDisk();
    const store = disk.open();
    const lost = new Promise<string>((resolve) => (store.onLost = resolve));
    await store.takeOver();
    await deleteDatabase(databaseName(disk.namespace));
    expect(await lost).toContain("another connection");
    expect(await store.commit({ epoch: 1, log: [], queue: [], state: [] })).toMatchObject({ status: "unknown" });
  });

  test("somebody wants a newer version: the store does not block it", async () => {
    const disk = makeDisk();
    const store = disk.open();
    const lost = new Promise<string>((resolve) => (store.onLost = resolve));
    await store.takeOver();
    const upgraded = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(databaseName(disk.namespace), 2);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("no upgrade"));
    });
    await lost;
    upgraded.close();
    await disk.destroy();
  });

  test("commits are strict, they wait for the device, unless they are asked not to", async () => {
    const disk = makeDisk();
    const store = disk.open();
    const real = IDBDatabase.prototype.transaction;
    const asked: (IDBTransactionOptions | undefined)[] = [];
    IDBDatabase.prototype.transaction = function (...given) {
      // What is written only to be thrown away (leveldb-log.ts) has a database of its own.
      if (given[1] === "readwrite" && this.name === databaseName(disk.namespace)) asked.push(given[2]);
      return real.apply(this, given);
    };
    try {
      const epoch = await store.takeOver();
      await store.commit({ epoch, log: [], queue: [], state: [["k", 1]] });
      await store.commit({ epoch, log: [], queue: [], state: [["k", 2]], durability: "strict" });
      await store.commit({ epoch, log: [], queue: [], state: [["k", 3]], durability: "relaxed" });
    } finally {
      IDBDatabase.prototype.transaction = real;
    }
    const strict = { durability: "strict" };
    expect(asked).toEqual([strict, strict, strict, strict, { durability: "relaxed" }]);
    store.close();
    await disk.destroy();
  });

  test("the first messages make a reserve, once, which the next host finds", async () => {
    const disk = makeDisk();
    const store = disk.open();
    const epoch = await store.takeOver();
    expect(await reserveBytes(disk.namespace)).toEqual([]);
    const row = (position: number): { position: number; bytes: Uint8Array } => ({ position, bytes: new Uint8Array(CHUNK_HEADER_BYTES + 1) });
    await store.commit({ epoch, log: [row(0)], queue: [], state: [] });
    const whole = Array.from({ length: 24 }, () => 256 * 1024);
    await expect.poll(() => reserveBytes(disk.namespace)).toEqual(whole);
    const heir = disk.open();
    let made = 0;
    const real = IDBObjectStore.prototype.put;
    IDBObjectStore.prototype.put = function (...given) {
      if (this.name === "index") made++;
      return real.apply(this, given);
    };
    try {
      await heir.commit({ epoch: await heir.takeOver(), log: [row(1)], queue: [], state: [] });
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      IDBObjectStore.prototype.put = real;
    }
    expect(made).toBe(0);
    expect(await reserveBytes(disk.namespace)).toEqual(whole);
    store.close();
    heir.close();
    await disk.destroy();
  });

  test("a log row that the database refuses takes the rest of its commit along", async () => {
    const disk = makeDisk();
    const store = disk.open();
    const epoch = await store.takeOver();
    const rows = [0, 1, 2].map((position) => ({ position, bytes: new Uint8Array(CHUNK_HEADER_BYTES + 1) }));
    expect(await store.commit({ epoch, log: [rows[1]!], queue: [], state: [] })).toEqual({ status: "committed" });
    expect(await store.commit({ epoch, log: [rows[1]!, rows[2]!], queue: [], state: [["after", 1]] })).toMatchObject({ status: "unknown" });
    expect(await store.readState("after")).toEqual([]);
    expect(await store.readLog(0, 10)).toEqual([rows[1]]);
    store.close();
    await disk.destroy();
  });
});
