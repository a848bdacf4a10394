/** mq.outbox: what an application writes with its own data, in its own transaction, is sent when that is committed, once. */
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Resends } from "../../src/broker/resends.ts";
import { SendService } from "../../src/broker/send.ts";
import type { Message, MessageExt, ParkedMessage, TabMQ, TransactionalOutbox } from "../../src/index.ts";
import { MQError } from "../../src/index.ts";
import { type MemoryDatabase, MemoryIdb, type MemoryTransaction, stubKeyRange } from "../support/memory-idb.ts";
import { GatedStore } from "../support/gated-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

beforeAll(stubKeyRange);

let origin: NodeOrigin;
let store: GatedStore;
let idb: MemoryIdb;
let mq: TabMQ;
const wakers = new Map<string, Set<() => void>>();
/** What BroadcastChannel is between tabs. */
const openWakeChannel = (name: string, onWake: () => void): { post(): void; close(): void } => {
  const all = wakers.get(name) ?? new Set();
  wakers.set(name, all.add(onWake));
  return { post: () => [...all].filter((other) => other !== onWake).forEach((wake) => wake()), close: () => void all.delete(onWake) };
};
const tab = (): Promise<TabMQ> => origin.connect({ broker: { defaultTopicQueueNums: 1, messageDelayLevel: "1ms" } }, { openWakeChannel });

beforeEach(async () => {
  origin = new NodeOrigin();
  origin.makeStore = () => (store = new GatedStore(origin.disk));
  idb = new MemoryIdb();
  mq = await tab();
  await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

const rows = (): unknown[] => [...idb.stores.get("outbox")!.rows.values()];
/** So many orders are committed, and nothing is left to be sent. */
const isSent = (count: number): boolean => idb.stores.get("orders")!.rows.size === count && rows().length === 0;

/** An order and its message, in one transaction. */
function order(db: MemoryDatabase, outbox: TransactionalOutbox, body: string, more: Partial<Message> = {}): { msgId: string; tx: MemoryTransaction } {
  const tx = db.transaction(["orders", "outbox"], "readwrite");
  (tx.objectStore("orders") as { put(value: unknown): void }).put({ body });
  return { msgId: outbox.add(tx, { topic: "t", body, ...more }), tx };
}

async function stored(topic = "t"): Promise<MessageExt[]> {
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  return (await pull.pull({ topic, brokerName: "broker-a", queueId: 0 }, "*", 0, 1000)).messages;
}
const texts = async (topic?: string): Promise<string[]> => (await stored(topic)).map((message) => message.text());

describe.each([["IDBDatabase", false], ["wrapped by idb", true]])("%s", (_name, isPromising) => {
  test("sent when the transaction is complete, in the order of transactions, under the id that was told; then the row is gone", async () => {
    const db = idb.open({ isPromising });
    const outbox = await mq.outbox(db, "outbox");
    const sent: string[] = [];
    outbox.on("sent", ({ msgId }) => sent.push(msgId));
    const ids = Array.from({ length: 100 }, (_, at) => order(db, outbox, `${at}`, { tags: "a", keys: ["k"], properties: { p: "1" } }).msgId);
    await until(() => isSent(100) && sent.length === 100);
    const found = await stored();
    expect(found.map(({ msgId }) => msgId)).toEqual(ids);
    expect(found.map((message) => message.text())).toEqual(ids.map((_, at) => `${at}`));
    expect(sent).toEqual(ids);
    expect(found[0]).toMatchObject({ tags: "a", keys: ["k"], properties: { p: "1" } });
    expect(await outbox.pending()).toBe(0);
  });

  test("not sent when it is aborted; a bad message leaves it unharmed", async () => {
    const db = idb.open({ isPromising });
    const outbox = await mq.outbox(db, "outbox");
    order(db, outbox, "aborted").tx.abort();
    const { tx } = order(db, outbox, "good");
    expect(() => outbox.add(tx, { topic: "t", body: "" })).toThrow(MQError);
    expect(() => outbox.add(tx, { topic: "a b", body: "x" })).toThrow(MQError);
    expect(() => outbox.add(tx, null as never)).toThrow(MQError);
    await until(() => isSent(1));
    expect([await texts(), idb.stores.get("orders")!.rows.size]).toEqual([["good"], 1]);
  });
});

describe("refused", () => {
  test.each([
    ["no database", () => mq.outbox(null as never, "outbox"), "db"],
    ["a closed one", () => mq.outbox(Object.assign(idb.open(), { isClosed: true }), "outbox"), "db"],
    ["no such store", () => mq.outbox(idb.open(), "nowhere"), "storeName"],
    ["keys of its own", () => mq.outbox(new MemoryIdb(["named"]).open(), "named"), "storeName"],
  ])("%s", async (_what, open, field) => {
    await expect(open()).rejects.toMatchObject({ code: "INVALID_PARAMETER", field });
  });

  test("a transaction that is over, read-only, or of other stores; an outbox that is shut down", async () => {
    const db = idb.open();
    const outbox = await mq.outbox(db, "outbox");
    const over = db.transaction("outbox", "readwrite");
    await over.done;
    for (const tx of [over, db.transaction("outbox"), db.transaction("orders", "readwrite")]) {
      expect(() => outbox.add(tx, { topic: "t", body: "x" })).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "tx" }) as Error);
    }
    await outbox.shutdown();
    expect(() => outbox.add(db.transaction("outbox", "readwrite"), { topic: "t", body: "x" })).toThrow(/shut down/);
  });
});

describe("one tab relays", () => {
  test("and hears of what others have committed; the next takes over when it goes", async () => {
    const [first, second] = [idb.open(), idb.open()];
    const [one, other] = [await mq.outbox(first, "outbox"), await (await tab()).outbox(second, "outbox")];
    const by: string[] = [];
    one.on("sent", () => by.push("one"));
    other.on("sent", () => by.push("other"));
    order(second, other, "a");
    await until(() => by.length === 1);
    await one.shutdown();
    order(second, other, "b");
    await until(() => by.length === 2);
    expect([by, await texts()]).toEqual([["one", "other"], ["a", "b"]]);
  });

  /** The message is stored, and the tab is gone before it hears of it: its row is left. */
  async function dieBetween(): Promise<void> {
    const db = idb.open();
    const outbox = await mq.outbox(db, "outbox");
    let isStored = false;
    const { commit } = GatedStore.prototype;
    vi.spyOn(GatedStore.prototype, "commit").mockImplementation(async function dies(this: GatedStore, batch) {
      const outcome = await commit.call(this, batch);
      if (batch.log.length > 0 && !isStored) {
        isStored = true;
        db.isAlive = false;
      }
      return outcome;
    });
    order(db, outbox, "a");
    order(db, outbox, "b");
    await until(() => isStored);
    expect(rows().length).toBeGreaterThan(0);
    void outbox.shutdown();
    origin.locks.steal("tabmq/default/outbox/app/outbox").release();
    const later = await tab();
    await later.outbox(idb.open(), "outbox");
    await until(() => isSent(2));
  }

  test("killed between send and delete: the next sends again what is found, and deletes it", async () => {
    await dieBetween();
    expect(await texts()).toEqual(["a", "b"]);
  });

  test("control: not looked for, it is stored twice", async () => {
    vi.spyOn(Resends.prototype, "find").mockResolvedValue([]);
    await dieBetween();
    expect((await texts()).length).toBeGreaterThan(2);
  });
});

describe("what the broker does not take", () => {
  test("is parked and told, and holds nobody up; it is sent again, or discarded, on demand", async () => {
    await mq.admin.createTopic({ topic: "closed", readQueueNums: 1, writeQueueNums: 1, perm: 4 });
    const db = idb.open();
    const outbox = await mq.outbox(db, "outbox");
    const told: ParkedMessage[] = [];
    outbox.on("parked", (message) => told.push(message));
    const [first, , third] = [order(db, outbox, "1", { topic: "closed" }), order(db, outbox, "2"), order(db, outbox, "3", { topic: "closed" })];
    await until(() => told.length === 2);
    expect(await texts()).toEqual(["2"]);
    expect(told).toMatchObject([{ msgId: first.msgId, topic: "closed", code: "NO_PERMISSION" }, { msgId: third.msgId }]);
    expect((await outbox.parked()).map(({ msgId, code }) => [msgId, code])).toEqual([[first.msgId, "NO_PERMISSION"], [third.msgId, "NO_PERMISSION"]]);
    expect([await outbox.pending(), await outbox.waiting()]).toEqual([2, 0]);
    // Not by itself, also not in the next life.
    await outbox.shutdown();
    const next = await mq.outbox(db, "outbox");
    order(db, next, "4");
    await until(() => rows().length === 2);
    expect(await next.discard([third.msgId])).toBe(1);
    origin.host.broker!.topics.find("closed")!.perm = 6;
    expect(await next.retry()).toBe(1);
    await until(() => rows().length === 0);
    expect((await stored("closed")).map(({ msgId }) => msgId)).toEqual([first.msgId]);
  });

  test.each([["too long for any frame", "", 9 * 2 ** 20], ["no record can hold", "x".repeat(40_000), 1]])("is parked too where it is %s, and refused with all of its frame; what is beside it is sent", async (_what, more, size) => {
    const db = idb.open();
    const waiting = idb.stores.get("outbox")!;
    const row = { tabmq: 1, namespace: "default", from: 0, topic: "t", flag: 0, isDiverted: false };
    const [before, bad, behind] = ["1", "2", "3"].map((digit) => digit.repeat(32));
    for (const msgId of [before, bad, behind]) {
      const isBad = msgId === bad;
      waiting.rows.set(waiting.next++, { ...row, msgId, properties: `UNIQ_KEY\u0001${msgId}\u0002p\u0001${isBad ? more : ""}\u0002`, body: new Uint8Array(isBad ? size : 1) });
    }
    const outbox = await mq.outbox(db, "outbox");
    await until(async () => (await outbox.parked()).length === 1 && rows().length === 1);
    expect((await outbox.parked())[0]!.msgId).toBe(bad);
    expect((await stored()).map(({ msgId }) => msgId)).toEqual([before, behind]);
  });

  test("for a reason that lasts: the application is told, once", async () => {
    vi.spyOn(SendService.prototype, "send").mockImplementation(() => {
      throw new MQError("STORAGE_FULL", "no room");
    });
    const db = idb.open();
    const outbox = await mq.outbox(db, "outbox");
    const errors: string[] = [];
    outbox.on("error", ({ code }) => void errors.push(code));
    order(db, outbox, "0");
    await until(() => errors.length > 0);
    await outbox.shutdown();
    expect(errors).toEqual(["STORAGE_FULL"]);
  });

  test("for a reason that passes waits, with what is behind it, and is sent in order", async () => {
    const { send } = SendService.prototype;
    let refusals = 0;
    vi.spyOn(SendService.prototype, "send").mockImplementation(function full(this: SendService, ...given) {
      if (refusals++ < 2) throw new MQError("STORAGE_FULL", "no room");
      return send.apply(this, given);
    });
    const db = idb.open();
    const outbox = await mq.outbox(db, "outbox");
    for (let at = 0; at < 5; at++) order(db, outbox, `${at}`);
    await until(() => isSent(5));
    expect(refusals).toBeGreaterThan(2);
    expect(await texts()).toEqual(["0", "1", "2", "3", "4"]);
  });
});

test("a row stays until its message is durable, whatever the message says of waiting", async () => {
  const db = idb.open();
  const outbox = await mq.outbox(db, "outbox");
  store.shut();
  const before = store.batches.length;
  order(db, outbox, "a", { waitStoreMsgOK: false });
  await until(() => store.batches.slice(before).some(({ log }) => log.length > 0));
  await mq.admin.topics();
  expect(rows()).toHaveLength(1);
  store.open();
  await until(() => isSent(1));
});

test("messages that wait for their time, and rows that are none of ours", async () => {
  const db = idb.open();
  idb.stores.get("outbox")!.rows.set(idb.stores.get("outbox")!.next++, { mine: true });
  // Behind every number, in the browser's order.
  idb.stores.get("outbox")!.rows.set("settings", { mine: true });
  const outbox = await mq.outbox(db, "outbox");
  order(db, outbox, "late", { delayTimeLevel: 1 });
  order(db, outbox, "now");
  await until(async () => (await stored().catch(() => [])).length === 2);
  await until(() => rows().length === 2);
  expect(rows()).toEqual([{ mine: true }, { mine: true }]);
  // The relay has seen all that there is.
  order(db, outbox, "later");
  await until(async () => (await stored()).length === 3 && rows().length === 2);
});

test("rows that cannot be deleted are sent again, and found; a database that is closed is told of", async () => {
  const db = idb.open();
  const outbox = await mq.outbox(db, "outbox");
  const errors: MQError[] = [];
  outbox.on("error", (error) => errors.push(error));
  const { tx } = order(db, outbox, "a");
  tx.addEventListener("complete", () => void (idb.failsNext = true));
  await until(() => isSent(1));
  expect([errors.length, await texts()]).toEqual([1, ["a"]]);
  db.isClosed = true;
  const other = idb.open();
  order(other, outbox, "b");
  await until(() => errors.length === 2);
  await mq.outbox(other, "outbox");
  await until(() => isSent(2));
  expect(await texts()).toEqual(["a", "b"]);
});
