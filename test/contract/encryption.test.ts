import { afterEach, describe, expect, test } from "vitest";
import type { MessageExt, TabMQ } from "../../src/index.ts";
import { systemRandom } from "../../src/platform/random.ts";
import type { PortLike } from "../../src/protocol/guarded-endpoint.ts";
import type { BlockStore, CommitBatch, CommitOutcome, LogRow } from "../../src/storage/block-store.ts";
import { KEY_CHECK } from "../../src/storage/block-store.ts";
import { RowCipher } from "../../src/storage/cipher.ts";
import { EncryptedStore } from "../../src/storage/encrypted-store.ts";
import { makeKeyCheck } from "../../src/storage/key-check.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { newKey } from "../support/keys.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { asDamaged } from "../support/sound-stores.ts";

const key = await newKey();
const otherKey = await newKey();
const QUEUE = { topic: "orders", brokerName: "broker-a", queueId: 0 };

let origins: NodeOrigin[] = [];
afterEach(async () => {
  await Promise.all(origins.map((origin) => origin.close()));
  origins = [];
});

/** A browser with this disk, started anew. */
function start(disk = new MemoryDisk()): NodeOrigin {
  const origin = new NodeOrigin(disk);
  origins.push(origin);
  return origin;
}

async function send(mq: TabMQ, bodies: string[]): Promise<void> {
  const producer = await mq.createProducer({ producerGroup: "p" });
  for (const body of bodies) await producer.send({ topic: "orders", body }, { queue: QUEUE });
}

async function read(mq: TabMQ): Promise<string[]> {
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  const all: MessageExt[] = [];
  for (let offset = 0; ; ) {
    const { status, messages, nextBeginOffset } = await pull.pull(QUEUE, "*", offset, 100);
    all.push(...messages);
    if (status === "NO_NEW_MSG") return all.map((message) => message.text());
    offset = nextBeginOffset;
  }
}

/** A disk on which these messages are stored, each in a row of its own. */
async function filled(bodies: string[], encryptionKey: CryptoKey | null = key): Promise<MemoryDisk> {
  const origin = start();
  const mq = await origin.connect(encryptionKey === null ? {} : { encryptionKey });
  await send(mq, bodies);
  await mq.close();
  return copyOf(origin.disk);
}

function copyOf(disk: MemoryDisk): MemoryDisk {
  const copy = new MemoryDisk();
  for (const part of ["log", "queue", "state"] as const) {
    for (const [name, value] of disk[part]) (copy[part] as Map<unknown, unknown>).set(name, structuredClone(value));
  }
  return copy;
}

/** Where there is damage; several things may be wrong with one place. */
async function damagedAt(mq: TabMQ): Promise<number[]> {
  const { damaged } = (await mq.diagnostics()).broker;
  return [...new Set(damaged.map(({ position }) => position))];
}

function contains(bytes: Uint8Array, part: Uint8Array): boolean {
  return Buffer.from(bytes).includes(Buffer.from(part));
}

describe("keys that idempotent consumers have finished", () => {
  /** A life in which these are sent and consumed; returns which of them the listener was given. */
  async function life(disk: MemoryDisk, bodies: string[], encryptionKey: CryptoKey | null = key): Promise<{ calls: string[]; disk: MemoryDisk }> {
    const origin = start(disk);
    const mq = await origin.connect(encryptionKey === null ? {} : { encryptionKey });
    const calls: string[] = [];
    await send(mq, bodies);
    const consumer = await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { orders: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", idempotent: { key: (message) => `key of ${message.text()}` },
      messageListener: (message) => void calls.push(message.text()),
    });
    await until(async () => (await mq.admin.consumeStats("g")).diffTotal === 0);
    await consumer.shutdown();
    // Its commit takes along what nobody waits for.
    await send(mq, ["end"]);
    await mq.close();
    return { calls, disk: copyOf(origin.disk) };
  }

  const textOf = (disk: MemoryDisk): string => [...disk.state].map(([name, row]) => `${name} ${row instanceof Uint8Array ? Buffer.from(row).toString("latin1") : JSON.stringify(row)}`).join("\n");

  test("lie encrypted, and are known after a restart; control: without a key they lie open", async () => {
    const first = await life(new MemoryDisk(), ["red", "green"]);
    expect(textOf(first.disk)).not.toMatch(/red|green/);
    const second = await life(first.disk, ["green", "blue"]);
    expect([first.calls, second.calls]).toEqual([["red", "green"], ["end", "blue"]]);
    expect(textOf((await life(new MemoryDisk(), ["red"], null)).disk)).toMatch(/key of red/);
  });

  test.each([
    ["changed", (disk: MemoryDisk) => void ((disk.state.get("finished/g/0") as Uint8Array)[20]! ^= 1)],
    ["plain", (disk: MemoryDisk) => void disk.state.set("finished/g/0", { number: 0, from: 1, until: Date.now(), window: 86_400_000, keys: ["key of blue"] })],
    ["another row's", (disk: MemoryDisk) => void disk.state.set("finished/g/1", disk.state.get("finished/g/0")).set("finished/g/0", null)],
  ])("are not believed where the row is %s", async (_what, damage) => {
    const { disk } = await life(new MemoryDisk(), ["red"]);
    damage(disk);
    expect((await life(disk, ["red", "blue"])).calls).toEqual(["end", "red", "blue"]);
  });
});

describe("an encrypted namespace", () => {
  test("what was sent is there after a restart, and says that it is encrypted", async () => {
    const disk = await filled(["a", "b", "c"]);
    const mq = await start(disk).connect({ encryptionKey: key });
    expect(await read(mq)).toEqual(["a", "b", "c"]);
    expect((await mq.diagnostics()).broker).toMatchObject({ encrypted: true, damaged: [], recovery: { damaged: [] } });
    await send(mq, ["d"]);
    expect(await read(mq)).toEqual(["a", "b", "c", "d"]);
  });

  test("neither body nor topic nor property is readable in the log; control: without a key they are", async () => {
    const shown = async (encryptionKey?: CryptoKey): Promise<string[]> => {
      const origin = start();
      const mq = await origin.connect(encryptionKey === undefined ? {} : { encryptionKey });
      const producer = await mq.createProducer({ producerGroup: "p" });
      const words = ["the body itself", "secretorders", "secretkey", "secretregion"];
      await producer.send({ topic: "secretorders", body: "the body itself", keys: "secretkey", properties: { at: "secretregion" } });
      const log = Buffer.concat([...origin.disk.log.values()]);
      return words.filter((word) => log.includes(word));
    };
    expect(await shown(key)).toEqual([]);
    expect(await shown()).toHaveLength(4);
  });

  test("32 bytes are a key too, the same after a restart, and are nowhere to be seen", async () => {
    const bytes = systemRandom.bytes(32);
    const origin = start();
    const posted: unknown[] = [];
    const openBroker = () => {
      const port = origin.port();
      const post = port.postMessage.bind(port);
      port.postMessage = (message: unknown) => (posted.push(message), post(message));
      return { port: port as never, onError: () => {} };
    };
    const given = bytes.slice();
    const mq = await origin.connect({ encryptionKey: given }, { openBroker });
    await send(mq, ["a"]);
    const answers = [await mq.diagnostics(), await mq.admin.topics(), origin.memo.text];
    await mq.close();
    expect(given).toEqual(bytes);
    // It crosses the port in the greeting and in nothing else.
    const shown = posted.filter((message) => JSON.stringify(message, (_, value) => (value instanceof Uint8Array ? [...value] : value)).includes([...bytes].join(",")));
    expect(posted.length).toBeGreaterThan(2);
    expect(shown).toMatchObject([{ path: ["hello"] }]);
    const [hex, base64] = [Buffer.from(bytes).toString("hex"), Buffer.from(bytes).toString("base64")];
    expect(JSON.stringify(answers)).not.toMatch(new RegExp(`${hex}|${base64.slice(0, 40).replaceAll(/[+/]/g, "\\$&")}|CryptoKey`));
    const stored = [...origin.disk.log.values(), ...origin.disk.queue.values(), ...[...origin.disk.state.values()].map((value) => new Uint8Array(Buffer.from(JSON.stringify(value))))];
    expect(stored.some((row) => contains(row, bytes))).toBe(false);
    expect(await read(await start(copyOf(origin.disk)).connect({ encryptionKey: bytes }))).toEqual(["a"]);
  });

  test("a broker that ends is followed by one with the same key", async () => {
    const origin = start();
    const stores: BlockStore[] = [];
    origin.makeStore = () => {
      const store = new MemoryStore(origin.disk);
      stores.push(store);
      return store;
    };
    const mq = await origin.connect({ encryptionKey: key });
    await send(mq, ["a"]);
    stores[0]!.onLost("gone (injected)");
    await send(mq, ["b"]);
    expect(await read(mq)).toEqual(["a", "b"]);
    expect(stores).toHaveLength(2);
  });

  test("host memory is encrypted as well", async () => {
    const mq = await start().connect({ host: "memory", encryptionKey: key });
    await send(mq, ["a"]);
    expect(await read(mq)).toEqual(["a"]);
    expect((await mq.diagnostics()).broker).toMatchObject({ encrypted: true, storage: "memory" });
  });
});

describe("a key that is none is refused by name, before anything is opened", () => {
  const generate = (algorithm: AesKeyGenParams | HmacKeyGenParams, usages: KeyUsage[]) => crypto.subtle.generateKey(algorithm, true, usages);
  test.each<[string, () => unknown, string]>([
    ["text", () => "my secret passphrase, 32 letters.", "Uint8Array"],
    ["a number", () => 7, "Uint8Array"],
    ["null", () => null, "Uint8Array"],
    ["an object", () => ({ type: "secret" }), "Uint8Array"],
    ["16 bytes", () => new Uint8Array(16), "32 bytes, not 16"],
    ["33 bytes", () => new Uint8Array(33), "32 bytes, not 33"],
    ["a key of 128 bits", () => generate({ name: "AES-GCM", length: 128 }, ["encrypt", "decrypt"]), "256 bits"],
    ["a key for AES-CBC", () => generate({ name: "AES-CBC", length: 256 }, ["encrypt", "decrypt"]), "AES-GCM"],
    ["a key for HMAC", () => generate({ name: "HMAC", hash: "SHA-256", length: 256 }, ["sign"]), "AES-GCM"],
    ["a key that may only encrypt", () => generate({ name: "AES-GCM", length: 256 }, ["encrypt"]), `"decrypt"`],
    ["a key that may only decrypt", () => generate({ name: "AES-GCM", length: 256 }, ["decrypt"]), `"encrypt"`],
  ])("%s", async (_name, make, expected) => {
    let opened = 0;
    const attempt = start().connect({ encryptionKey: (await make()) as CryptoKey }, { openBroker: () => (opened++, Promise.reject(new Error("no")) as never) });
    const error = (await attempt.catch((caught: unknown) => caught)) as Error;
    expect(error).toMatchObject({ code: "INVALID_PARAMETER", field: "connect.encryptionKey" });
    expect(error.message).toContain(expected);
    expect(JSON.stringify(error) + error.message).not.toContain("passphrase");
    expect(opened).toBe(0);
  });

  test("also by the broker, whatever a client lets through", async () => {
    const origin = start();
    const port = origin.port();
    const answer = new Promise((resolve) => port.addEventListener("message", ({ data }) => resolve((data as { value: unknown }).value)));
    port.start();
    const hello = { namespace: "default", clientId: "x", lockName: "tabmq/default/client/x", protocol: [1, 1], lib: "x", storage: "indexeddb", settings: {}, witness: null, encryptionKey: { raw: "passphrase" } };
    port.postMessage({ id: "1", type: "APPLY", path: ["hello"], argumentList: [{ type: "RAW", value: hello }] });
    expect(await answer).toMatchObject({ ok: false, error: { code: "INVALID_PARAMETER", field: "connect.encryptionKey" } });
    expect(JSON.stringify(await answer)).not.toContain("passphrase");
    expect(origin.disk).toEqual(new MemoryDisk());
  });
});

describe("a key that the browser does not let through", () => {
  /** A port whose other side can read nothing: each message is an event there, and not one with data. */
  function unreadable(origin: NodeOrigin): PortLike {
    const listeners: ((event: MessageEvent) => void)[] = [];
    const far: PortLike = {
      postMessage: (data) => listeners.forEach((listener) => listener({ data } as MessageEvent)),
      addEventListener: () => {}, removeEventListener: () => {}, start: () => {}, close: () => {},
    };
    origin.host.accept(far);
    return { ...far, postMessage: () => far.onmessageerror?.({} as MessageEvent), addEventListener: (_type, listener) => void listeners.push(listener) };
  }

  test("is refused with the reason, and nobody takes the worker for hung", async () => {
    const origin = start();
    let opened = 0;
    const openBroker = () => (opened++, { port: unreadable(origin), onError: () => {} });
    await expect(origin.connect({ encryptionKey: key }, { openBroker })).rejects.toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT", message: expect.stringContaining("32 bytes") });
    expect(opened).toBe(1);
  });
});

describe("a key that does not fit", () => {
  const attempts: [string, { encryptionKey?: CryptoKey }, RegExp][] = [
    ["another key", { encryptionKey: otherKey }, /another key/],
    ["no key", {}, /encrypted.*encryptionKey/],
  ];

  test.each(attempts)("%s: CANNOT_DECRYPT, nothing is changed, and with the right key everything is there", async (_name, options, words) => {
    const disk = await filled(["a", "b"]);
    const before = copyOf(disk);
    const origin = start(disk);
    await expect(origin.connect(options)).rejects.toMatchObject({ code: "CANNOT_DECRYPT", retriable: false, field: "connect.encryptionKey", message: expect.stringMatching(words) });
    expect(disk).toEqual(before);
    // The same worker, which has a failed start behind it; and one that has not.
    for (const next of [origin, start(copyOf(before))]) {
      const mq = await next.connect({ encryptionKey: key });
      expect(await read(mq)).toEqual(["a", "b"]);
      expect(await damagedAt(mq)).toEqual([]);
    }
  });

  test("control: without the key check, both look like damage", async () => {
    const disk = await filled(["a", "b"]);
    disk.state.set(KEY_CHECK, await makeKeyCheck(otherKey, "default", systemRandom));
    const wrong = await start(asDamaged(copyOf(disk), "its rows are another key's")).connect({ encryptionKey: otherKey });
    expect([await read(wrong), await damagedAt(wrong)]).toEqual([[], [...disk.log.keys()]]);
    disk.state.delete(KEY_CHECK);
    const none = await start(asDamaged(copyOf(disk), "nobody tells that its rows are encrypted")).connect();
    expect([await read(none), await damagedAt(none)]).toEqual([[], [...disk.log.keys()]]);
  });

  test("the right key, when wrong ones and none come at the same time", async () => {
    const origin = start(await filled(["a"]));
    const given = [otherKey, undefined, key, otherKey, key, undefined];
    const outcomes = await Promise.allSettled(given.map((one) => origin.connect(one === undefined ? {} : { encryptionKey: one })));
    const codes = outcomes.map((outcome) => (outcome.status === "fulfilled" ? "connected" : (outcome.reason as { code: string }).code));
    expect(codes).toEqual(given.map((one) => (one === key ? "connected" : "CANNOT_DECRYPT")));
  });

  test.each(attempts)("%s, while a broker runs: that tab is refused, the others are not", async (_name, options) => {
    const origin = start();
    const mq = await origin.connect({ encryptionKey: key });
    await send(mq, ["a"]);
    await expect(origin.connect(options)).rejects.toMatchObject({ code: "CANNOT_DECRYPT" });
    expect(origin.host.broker!.sessions.size).toBe(1);
    const second = await origin.connect({ encryptionKey: key });
    expect(await read(second)).toEqual(["a"]);
    expect(await read(mq)).toEqual(["a"]);
  });

  test("a key for a broker that serves without: refused, rather than not encrypted", async () => {
    const origin = start();
    const mq = await origin.connect();
    await expect(origin.connect({ encryptionKey: key })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "connect.encryptionKey" });
    expect((await mq.diagnostics()).broker).toMatchObject({ encrypted: false, sessions: 1 });
  });

  test("a key for a namespace that holds messages without: refused, nothing is changed, and they can be read without", async () => {
    const disk = await filled(["a"], null);
    const before = copyOf(disk);
    const origin = start(disk);
    await expect(origin.connect({ encryptionKey: key })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "connect.encryptionKey", message: expect.stringContaining("another namespace") });
    expect(disk).toEqual(before);
    expect(await read(await origin.connect())).toEqual(["a"]);
  });

  test("a key for a namespace whose key check is gone, or is none: CANNOT_DECRYPT, and nothing is changed", async () => {
    for (const spoilt of [undefined, { version: 2 }, "x", { version: 1, salt: new Uint8Array(3), nonce: new Uint8Array(12), check: new Uint8Array(9) }]) {
      const disk = asDamaged(await filled(["a"]), "its key check is spoilt");
      if (spoilt === undefined) disk.state.delete(KEY_CHECK);
      else disk.state.set(KEY_CHECK, spoilt);
      const before = copyOf(disk);
      await expect(start(disk).connect({ encryptionKey: key })).rejects.toMatchObject({ code: "CANNOT_DECRYPT" });
      expect(disk).toEqual(before);
    }
  });

  test("a whole database of another namespace is not this one's", async () => {
    const disk = asDamaged(await filled(["a"]), "nobody here has a key that opens its rows");
    await expect(start(disk).connect({ namespace: "other", encryptionKey: key })).rejects.toMatchObject({ code: "CANNOT_DECRYPT" });
  });
});

describe("what was done to stored rows is reported, and never delivered", () => {
  test("any byte of a row flipped", async () => {
    const disk = await filled(["m0", "m1", "m2"]);
    const [, victim] = [...disk.log.keys()];
    const length = disk.log.get(victim!)!.byteLength;
    expect(length).toBeGreaterThan(150);
    for (let at = 0; at < length; at++) {
      const changed = asDamaged(copyOf(disk), "a byte is another");
      changed.log.get(victim!)![at]! ^= 0x10;
      const origin = start(changed);
      const mq = await origin.connect({ encryptionKey: key });
      expect([at, await read(mq), await damagedAt(mq)]).toEqual([at, ["m0", "m2"], [victim]]);
      await origin.close();
    }
  });

  test("the last row flipped or cut: the log goes on behind it", async () => {
    const disk = await filled(["m0", "m1"]);
    const last = [...disk.log.keys()].at(-1)!;
    for (const change of [(row: Uint8Array) => row.fill(0), (row: Uint8Array) => row.slice(0, 60), (row: Uint8Array) => row.slice(0, 1)]) {
      const changed = asDamaged(copyOf(disk), "the last row is damaged");
      changed.log.set(last, change(changed.log.get(last)!.slice()));
      const mq = await start(changed).connect({ encryptionKey: key });
      await send(mq, ["m2"]);
      expect([await read(mq), await damagedAt(mq)]).toEqual([["m0", "m2"], [last]]);
      const again = await start(asDamaged(copyOf(changed), "the last row was damaged")).connect({ encryptionKey: key });
      expect([await read(again), await damagedAt(again)]).toEqual([["m0", "m2"], [last]]);
    }
  });

  test("two rows swapped", async () => {
    const disk = await filled(["m0", "m1", "m2"]);
    const [, b, c] = [...disk.log.keys()] as [number, number, number];
    const [left, right] = [disk.log.get(b)!, disk.log.get(c)!];
    asDamaged(disk, "two rows are swapped").log.set(b, right).set(c, left);
    const mq = await start(disk).connect({ encryptionKey: key });
    expect([await read(mq), await damagedAt(mq)]).toEqual([["m0"], [b, c]]);
  });

  /** A database of before, of the same namespace and key, and the present one; the messages are as long. */
  const twoDatabases = (encryptionKey: CryptoKey | null): Promise<[MemoryDisk, MemoryDisk]> =>
    Promise.all([filled(["old 0", "old 1"], encryptionKey), filled(["new 0", "new 1"], encryptionKey)]);

  test("a row of an earlier database in its old place; control: without encryption it is believed", async () => {
    const replayed = async (encryptionKey: CryptoKey | null): Promise<string[]> => {
      const [earlier, disk] = await twoDatabases(encryptionKey);
      const [position, row] = [...earlier.log][1]!;
      expect(disk.log.get(position)!.byteLength).toBe(row.byteLength);
      disk.log.set(position, row);
      if (encryptionKey !== null) asDamaged(disk, "a row is another database's");
      return read(await start(disk).connect(encryptionKey === null ? {} : { encryptionKey }));
    };
    expect(await replayed(key)).toEqual(["new 0"]);
    expect(await replayed(null)).toEqual(["new 0", "old 1"]);
  });

  test("a row that is not encrypted, in the place of one that is; control: without a key it is believed", async () => {
    const [plain, disk] = await Promise.all([filled(["forged"], null), filled(["genuine"])]);
    const [position, row] = [...plain.log][0]!;
    asDamaged(disk, "a row is not encrypted").log.set(position, row);
    const mq = await start(disk).connect({ encryptionKey: key });
    expect([await read(mq), await damagedAt(mq)]).toEqual([[], [position]]);
    expect(await read(await start(plain).connect())).toEqual(["forged"]);
  });
});

describe("commits of an EncryptedStore", () => {
  /** Notes what it is asked to commit. */
  class NotingStore extends MemoryStore {
    readonly batches: CommitBatch[] = [];
    override commit(batch: CommitBatch): Promise<CommitOutcome> {
      this.batches.push(batch);
      return super.commit(batch);
    }
  }
  const slow = { position: 0, bytes: new Uint8Array(100) };
  const small = { position: 10_000, bytes: new Uint8Array(100).fill(5) };

  /** Takes its time for the row at position 0. */
  class SlowCipher extends RowCipher {
    override async seal(row: LogRow, epoch: number): Promise<Uint8Array> {
      const sealed = await super.seal(row, epoch);
      if (row.position === slow.position) await new Promise((resolve) => setTimeout(resolve, 50));
      return sealed;
    }
  }
  class SlowStore extends EncryptedStore {
    protected override makeCipher(...given: ConstructorParameters<typeof RowCipher>): RowCipher {
      return new SlowCipher(...given);
    }
  }

  test("reach the store in the order in which they were asked for, also when the first takes longer to encrypt", async () => {
    const inner = new NotingStore();
    const store = new SlowStore(inner, "default", key);
    const epoch = await store.takeOver();
    const batch = (rows: Partial<CommitBatch>): CommitBatch => ({ epoch, log: [], queue: [], state: [], ...rows });
    const outcomes = await Promise.all([store.commit(batch({ log: [slow], state: [["k", 1]] })), store.commit(batch({ log: [small] })), store.commit(batch({ state: [["k", 2]] }))]);
    expect(outcomes).toEqual(Array.from({ length: 3 }, () => ({ status: "committed" })));
    expect(inner.batches.map(({ log }) => log.map(({ position }) => position))).toEqual([[slow.position], [small.position], []]);
    expect(await store.readState("k")).toEqual([["k", 2]]);
  });

  test("control: encryption alone does not keep the order", async () => {
    const cipher = new SlowCipher(key, "default", new Uint8Array(16), systemRandom);
    const order: LogRow[] = [];
    await Promise.all([slow, small].map((row) => cipher.seal(row, 1).then(() => order.push(row))));
    expect(order).toEqual([small, slow]);
  });

  test("the first one carries the key check, and again until one has arrived", async () => {
    const inner = new NotingStore();
    const store = new EncryptedStore(inner, "default", key);
    const epoch = await store.takeOver();
    const state = () => inner.batches.map((batch) => batch.state.map(([name]) => name));
    expect(await store.commit({ epoch: epoch + 1, log: [], queue: [], state: [["a", 1]] })).toMatchObject({ status: "rejected" });
    for (const name of ["b", "c"]) await store.commit({ epoch, log: [], queue: [], state: [[name, 1]] });
    expect(state()).toEqual([["a", KEY_CHECK], ["b", KEY_CHECK], ["c"]]);
    expect((await store.readState("")).map(([name]) => name)).toEqual(["b", "c", "epoch"]);
  });

  test("an outdated host that was the first to write is followed with its salt, not against it", async () => {
    const disk = new MemoryDisk();
    const outdated = new EncryptedStore(new MemoryStore(disk), "default", key);
    const old = await outdated.takeOver();
    // It writes while the next host has looked at the store and not yet taken it over.
    class Slow extends MemoryStore {
      override async takeOver(above?: number): Promise<number> {
        await outdated.commit({ epoch: old, log: [small], queue: [], state: [] });
        return super.takeOver(above);
      }
    }
    const next = new EncryptedStore(new Slow(disk), "default", key);
    const epoch = await next.takeOver();
    const mine = { position: 20_000_000, bytes: new Uint8Array(100).fill(7) };
    expect(await next.commit({ epoch, log: [mine], queue: [], state: [] })).toEqual({ status: "committed" });
    const last = new EncryptedStore(new MemoryStore(disk), "default", key);
    await last.takeOver();
    expect(await last.readLog(0, 10)).toEqual([small, mine]);
  });
});
