import { afterEach, describe, expect, test } from "vitest";
import { connect, type ConnectOptions, type TabMQ } from "../../src/index.ts";
import type { BlockStore } from "../../src/storage/block-store.ts";
import { EncryptedStore } from "../../src/storage/encrypted-store.ts";
import { databaseName, IdbStore } from "../../src/storage/idb-store.ts";
import { blockStoreContract, type TestDisk } from "../contract/block-store.contract.ts";
import { newKey } from "../support/keys.ts";
import { untraced } from "../support/untraced.ts";

const key = await newKey();
const keyBytes = crypto.getRandomValues(new Uint8Array(32));
/** WebKit passes no CryptoKey to a SharedWorker. */
const passesKeys = !/AppleWebKit/.test(navigator.userAgent) || /Chrome/.test(navigator.userAgent);
/** A key as an application would have to give it here. */
const given: CryptoKey | Uint8Array = passesKeys ? key : keyBytes;
let next = 0;
const newNamespace = (): string => `encryption-${Date.now()}-${next++}`;

function makeDisk(): TestDisk & { namespace: string } {
  const namespace = newNamespace();
  return { namespace, open: () => new EncryptedStore(new IdbStore(namespace), namespace, key), destroy: () => deleteDatabase(databaseName(namespace)) };
}

function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error ?? new Error("the database could not be deleted"));
  });
}

/** What lies in a database, past everything of ours; `change` may change it. */
async function raw<T>(namespace: string, mode: IDBTransactionMode, act: (tx: IDBTransaction) => IDBRequest<T>): Promise<T> {
  const db = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(databaseName(namespace));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the database does not open"));
  });
  try {
    return await new Promise<T>((resolve, reject) => {
      const tx = db.transaction(["log", "queue", "state"], mode);
      const request = act(tx);
      tx.oncomplete = () => resolve(request.result);
      tx.onabort = () => reject(tx.error ?? new Error("aborted"));
    });
  } finally {
    db.close();
  }
}

const rawLog = (namespace: string): Promise<Uint8Array[]> => raw(namespace, "readonly", (tx) => tx.objectStore("log").getAll() as IDBRequest<Uint8Array[]>);

function shows(rows: Uint8Array[], text: string): boolean {
  return rows.some((row) => new TextDecoder("latin1").decode(row).includes(text));
}

// With the fence: it has to stand where the next row is written, however much longer rows are at rest.
blockStoreContract("EncryptedStore over IdbStore", makeDisk);

describe("IdbStore below", () => {
  test("reading before the take-over opens the store and changes nothing", async () => {
    const disk = makeDisk();
    const plain = new IdbStore(disk.namespace);
    expect(await plain.readState("")).toEqual([]);
    expect(await plain.readLog(0, 10)).toEqual([]);
    expect(await raw(disk.namespace, "readonly", (tx) => tx.objectStore("log").count())).toBe(0);
    expect(await raw(disk.namespace, "readonly", (tx) => tx.objectStore("state").count())).toBe(0);
    expect(await plain.takeOver()).toBe(1);
    plain.close();
    await expect(plain.readState("")).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
    await disk.destroy();
  });

  test("a take-over that is refused at the sight of the key check changes nothing", async () => {
    const disk = makeDisk();
    const stores: BlockStore[] = [disk.open()];
    const epoch = await stores[0]!.takeOver();
    await stores[0]!.commit({ epoch, log: [{ position: 0, bytes: new Uint8Array(100) }], queue: [], state: [] });
    const contents = async () => [await raw(disk.namespace, "readonly", (tx) => tx.objectStore("log").getAllKeys()), await raw(disk.namespace, "readonly", (tx) => tx.objectStore("state").get("epoch"))];
    const before = await contents();
    const plain = new IdbStore(disk.namespace);
    stores.push(plain);
    await expect(plain.takeOver(0, (keyCheck) => { if (keyCheck !== undefined) throw new Error("no"); })).rejects.toThrow("no");
    expect(await contents()).toEqual(before);
    // Control: a take-over that is not refused raises the epoch and leaves its fence.
    await plain.takeOver();
    expect(await contents()).not.toEqual(before);
    for (const store of stores) store.close();
    await disk.destroy();
  });
});

describe("an encrypted namespace, from source, over a real SharedWorker", () => {
  const opened: TabMQ[] = [];
  afterEach(() => Promise.all(opened.splice(0).map((mq) => mq.close())));

  async function open(options: ConnectOptions): Promise<TabMQ> {
    const mq = await connect(untraced(options));
    opened.push(mq);
    return mq;
  }

  async function send(mq: TabMQ, body: string): Promise<void> {
    await (await mq.createProducer({ producerGroup: "p" })).send({ topic: "orders", body }, { queue: { topic: "orders", brokerName: "broker-a", queueId: 0 } });
  }

  async function read(mq: TabMQ): Promise<string[]> {
    const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
    const { messages } = await pull.pull({ topic: "orders", brokerName: "broker-a", queueId: 0 }, "*", 0, 100);
    return messages.map((message) => message.text());
  }

  /** The broker ends, and the next one recovers from the store. Resolves when that one serves: what is sent meanwhile may be stored twice. */
  async function endBroker(mq: TabMQ): Promise<void> {
    const epoch = async (): Promise<number> => (await mq.diagnostics()).broker.epoch;
    const before = await epoch();
    await navigator.locks.request(`tabmq/${mq.namespace}/writer`, { steal: true }, () => Promise.resolve());
    while ((await epoch()) === before) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  test.runIf(!passesKeys)("a CryptoKey that the worker cannot read is refused at once, and the reason given", async () => {
    const began = performance.now();
    await expect(connect({ namespace: newNamespace(), encryptionKey: key })).rejects.toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT", message: expect.stringContaining("32 bytes") });
    // The control is the connect timeout of ten seconds, which this took before.
    expect(performance.now() - began).toBeLessThan(5000);
  });

  const keys: [string, CryptoKey | Uint8Array][] = [["32 bytes", keyBytes]];
  if (passesKeys) keys.push(["a key that nobody can read", key]);
  test.each(keys)("%s: what was sent is there in the next broker's life, and not to be found in IndexedDB", async (_name, encryptionKey) => {
    const namespace = newNamespace();
    const mq = await open({ namespace, encryptionKey });
    expect(key.extractable).toBe(false);
    await send(mq, "the body of a message");
    const first = (await mq.diagnostics()).broker;
    await endBroker(mq);
    await send(mq, "and another");
    const second = (await mq.diagnostics()).broker;
    expect([first.encrypted, second.encrypted, second.epoch > first.epoch, second.damaged]).toEqual([true, true, true, []]);
    expect(await read(mq)).toEqual(["the body of a message", "and another"]);
    const rows = (await rawLog(namespace)).filter(({ byteLength }) => byteLength > 0);
    expect(rows.map((row) => new DataView(row.buffer, row.byteOffset).getUint32(0))).toEqual([0x544d5145, 0x544d5145]);
    expect(shows(rows, "the body of a message")).toBe(false);

    // Control: the same without a key is found by the same look.
    const plain = newNamespace();
    await send(await open({ namespace: plain }), "the body of a message");
    expect(shows(await rawLog(plain), "the body of a message")).toBe(true);
  });

  test("another key or none is CANNOT_DECRYPT, while a broker runs and after one has ended", async () => {
    const namespace = newNamespace();
    const mq = await open({ namespace, encryptionKey: given });
    await send(mq, "a");
    const attempts = async () => {
      const codes = [];
      for (const options of [{ encryptionKey: passesKeys ? await newKey() : new Uint8Array(32).fill(1) }, { encryptionKey: new Uint8Array(32) }, {}]) {
        codes.push(await open({ namespace, ...options }).then(() => "connected", (error: unknown) => (error as { code: string }).code));
      }
      return codes;
    };
    expect(await attempts()).toEqual(["CANNOT_DECRYPT", "CANNOT_DECRYPT", "CANNOT_DECRYPT"]);
    // It ends, and no other comes while the lock is taken.
    let release = (): void => {};
    await new Promise<void>((taken) => {
      const held = new Promise<void>((resolve) => (release = resolve));
      void navigator.locks.request(`tabmq/${namespace}/writer`, { steal: true }, () => (taken(), held));
    });
    await mq.close();
    release();
    expect(await attempts()).toEqual(["CANNOT_DECRYPT", "CANNOT_DECRYPT", "CANNOT_DECRYPT"]);
    expect(await read(await open({ namespace, encryptionKey: given }))).toEqual(["a"]);
  });

  test("a row that was changed in IndexedDB is reported and left out; the log goes on", async () => {
    const namespace = newNamespace();
    const mq = await open({ namespace, encryptionKey: given });
    await send(mq, "a");
    await send(mq, "b");
    const positions = (await raw(namespace, "readonly", (tx) => tx.objectStore("log").getAllKeys())) as number[];
    const row = (await rawLog(namespace))[1]!;
    row[60]! ^= 1;
    await raw(namespace, "readwrite", (tx) => tx.objectStore("log").put(row, positions[1]!));
    await endBroker(mq);
    await send(mq, "c");
    expect(await read(mq)).toEqual(["a", "c"]);
    expect((await mq.diagnostics()).broker.damaged).toMatchObject([{ position: positions[1] }]);
  });
});
