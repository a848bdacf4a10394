import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MessageExt, TabMQ } from "../../src/index.ts";
import { MQError } from "../../src/index.ts";
import { readCheckpoint } from "../../src/storage/checkpoint.ts";
import { MemoryDisk } from "../../src/storage/memory-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { checkStore } from "../support/store-check.ts";
import { GatedStore } from "../support/gated-store.ts";
import { copyOf } from "../support/memory-disk.ts";
import { asDamaged } from "../support/sound-stores.ts";

let origins: NodeOrigin[] = [];
beforeEach(() => void (origins = []));
afterEach(() => Promise.all(origins.map((origin) => origin.close())));

function start(disk: MemoryDisk): NodeOrigin {
  const origin = new NodeOrigin(disk);
  origins.push(origin);
  return origin;
}

const bodies = (messages: MessageExt[]): string[] => messages.map((message) => message.text());
const codeOf = (work: Promise<unknown>): Promise<unknown> => work.then(() => "no error", (error: unknown) => (error instanceof MQError ? [error.code, error.field] : error));

describe("queryMessages", () => {
  test("finds by each key and by msgId, the newest first; other topics and keys are not meant", async () => {
    const mq = await start(new MemoryDisk()).connect();
    const producer = await mq.createProducer({ producerGroup: "p" });
    const send = (body: string, keys: string | string[], topic = "orders"): Promise<{ msgId: string }> => producer.send({ topic, body, keys });
    await send("one", "o-1 tea");
    const { msgId } = await send("two", ["o-2", "tea"]);
    await send("three", "tea", "jobs");
    await send("four", "coffee");
    expect(bodies(await mq.admin.queryMessages({ topic: "orders", key: "tea" }))).toEqual(["two", "one"]);
    expect(bodies(await mq.admin.queryMessages({ topic: "jobs", key: "tea" }))).toEqual(["three"]);
    expect(bodies(await mq.admin.queryMessages({ topic: "orders", key: msgId }))).toEqual(["two"]);
    expect(bodies(await mq.admin.queryMessages({ topic: "orders", key: "tea", max: 1 }))).toEqual(["two"]);
    for (const [topic, key] of [["orders", "te"], ["orders", "tea "], ["orders", "o-1 tea"], ["nobody", "tea"], ["jobs", msgId]] as const) {
      expect(await mq.admin.queryMessages({ topic, key })).toEqual([]);
    }
  });

  test("keys with the same hash are told apart", async () => {
    const mq = await start(new MemoryDisk()).connect();
    const producer = await mq.createProducer({ producerGroup: "p" });
    for (const keys of ["Aa", "BB", "AaBB BBAa", "Aa"]) await producer.send({ topic: "t", body: keys, keys });
    expect(bodies(await mq.admin.queryMessages({ topic: "t", key: "Aa" }))).toEqual(["Aa", "Aa"]);
    expect(bodies(await mq.admin.queryMessages({ topic: "t", key: "BB" }))).toEqual(["BB"]);
    expect(bodies(await mq.admin.queryMessages({ topic: "t", key: "BBAa" }))).toEqual(["AaBB BBAa"]);
    expect(await mq.admin.queryMessages({ topic: "t", key: "AaAa" })).toEqual([]);
  });

  test("begin and end are store times, exact and inclusive", async () => {
    const mq = await start(new MemoryDisk()).connect();
    const producer = await mq.createProducer({ producerGroup: "p" });
    for (let at = 0; at < 6; at++) {
      await producer.send({ topic: "t", body: `${at}`, keys: "k" });
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    const all = await mq.admin.queryMessages({ topic: "t", key: "k" });
    expect(bodies(all)).toEqual(["5", "4", "3", "2", "1", "0"]);
    const [begin, end] = [all[4]!.storeTimestamp, all[2]!.storeTimestamp];
    expect(bodies(await mq.admin.queryMessages({ topic: "t", key: "k", begin, end }))).toEqual(["3", "2", "1"]);
    expect(bodies(await mq.admin.queryMessages({ topic: "t", key: "k", begin: begin + 1, end: end - 1 }))).toEqual(["2"]);
    expect(await mq.admin.queryMessages({ topic: "t", key: "k", begin: end, end: begin })).toEqual([]);
  });

  test("max messages are given however long they are, 32 unless asked", async () => {
    const mq = await start(new MemoryDisk()).connect();
    const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 30_000 });
    await Promise.all(Array.from({ length: 70 }, (_, at) => producer.send({ topic: "t", body: new Uint8Array(100_000).fill(at), keys: "k" })));
    const found = await mq.admin.queryMessages({ topic: "t", key: "k", max: 1000 });
    expect(found.map(({ commitLogOffset }) => commitLogOffset)).toEqual(found.map(({ commitLogOffset }) => commitLogOffset).sort((a, b) => b - a));
    expect(new Set(found.map(({ body }) => body[0])).size).toBe(64);
    expect(await mq.admin.queryMessages({ topic: "t", key: "k" })).toHaveLength(32);
  });

  test("nothing is found before it is durable", async () => {
    const origin = start(new MemoryDisk());
    const store = new GatedStore(origin.disk);
    origin.makeStore = () => store;
    const mq = await origin.connect();
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "t", body: "durable", keys: "k" });
    const before = store.batches.length;
    store.shut();
    const sent = producer.send({ topic: "t", body: "on its way", keys: "k" });
    await until(() => store.batches.length > before);
    expect(bodies(await mq.admin.queryMessages({ topic: "t", key: "k" }))).toEqual(["durable"]);
    store.open();
    await sent;
    expect(bodies(await mq.admin.queryMessages({ topic: "t", key: "k" }))).toEqual(["on its way", "durable"]);
  });

  test("after a full store has refused records, later ones are found where they stand", async () => {
    const origin = start(new MemoryDisk());
    const store = new GatedStore(origin.disk);
    origin.makeStore = () => store;
    const mq = await origin.connect();
    const producer = await mq.createProducer({ producerGroup: "p", retryTimesWhenSendFailed: 0 });
    await producer.send({ topic: "t", body: "before", keys: "k" });
    store.answerNext({ status: "rejected", reason: "FULL" });
    expect(await codeOf(producer.send({ topic: "t", body: "refused", keys: "k" }))).toEqual(["STORAGE_FULL", undefined]);
    await producer.send({ topic: "t", body: "after", keys: "k" });
    expect(bodies(await mq.admin.queryMessages({ topic: "t", key: "k" }))).toEqual(["after", "before"]);
  });

  test.each([
    [{ topic: "t" }, "queryMessages.key"],
    [{ key: "k" }, "queryMessages.topic"],
    [{ topic: "t", key: "" }, "queryMessages.key"],
    [{ topic: "t", key: ["k"] }, "queryMessages.key"],
    [{ topic: "t", key: "x".repeat(32_768) }, "queryMessages.key"],
    [{ topic: "a b", key: "k" }, "queryMessages.topic"],
    [{ topic: "t", key: "k", max: 0 }, "queryMessages.max"],
    [{ topic: "t", key: "k", max: 1.5 }, "queryMessages.max"],
    [{ topic: "t", key: "k", begin: -1 }, "queryMessages.begin"],
    [{ topic: "t", key: "k", end: 1.5 }, "queryMessages.end"],
    [{ topic: "t", key: "k", maxNum: 3 }, "queryMessages.maxNum"],
    ["k", "queryMessages"],
  ])("refuses %j, naming %s", async (options, field) => {
    const mq = await start(new MemoryDisk()).connect();
    expect(await codeOf(mq.admin.queryMessages(options as never))).toEqual(["INVALID_PARAMETER", field]);
  });
});

describe("viewMessage", () => {
  test("finds by msgId in whatever topic, and by offsetMsgId", async () => {
    const mq = await start(new MemoryDisk()).connect();
    const producer = await mq.createProducer({ producerGroup: "p" });
    const sent = await Promise.all(Array.from({ length: 30 }, (_, at) => producer.send({ topic: `t${at % 7}`, body: `m${at}`, tags: "x", keys: "k" })));
    for (const [at, { msgId, offsetMsgId }] of sent.entries()) {
      const message = await mq.admin.viewMessage(msgId);
      expect(message).toMatchObject({ msgId, offsetMsgId, topic: `t${at % 7}`, tags: "x", keys: ["k"] });
      expect(message.text()).toBe(`m${at}`);
      expect(await mq.admin.viewMessage(offsetMsgId)).toEqual(message);
      expect(await mq.admin.viewMessage(offsetMsgId.toLowerCase())).toEqual(message);
    }
  });

  test("an id that is none, and a place where no message begins: NO_MESSAGE with the id", async () => {
    const mq = await start(new MemoryDisk()).connect();
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "t", body: "one", keys: "k" });
    const { offsetMsgId } = await producer.send({ topic: "t", body: "two" });
    const at = (position: number): string => offsetMsgId.slice(0, 16) + position.toString(16).padStart(16, "0");
    for (const id of ["F".repeat(32), "k", "nobody", at(1), at(100), at(1e6), at(2 ** 53 - 1), "f".repeat(32)]) {
      const error = await mq.admin.viewMessage(id).then(() => null, (thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "NO_MESSAGE", outcome: "rejected" });
      expect((error as MQError).message).toContain(id);
    }
    expect((await mq.diagnostics()).broker.damaged).toEqual([]);
    for (const id of ["", 7, undefined, "x".repeat(32_768)]) expect(await codeOf(mq.admin.viewMessage(id as never))).toEqual(["INVALID_PARAMETER", "msgId"]);
  });
});

describe("over starts", () => {
  /** About 110,000 keys: three segments of them, two sealed. */
  async function fill(mq: TabMQ): Promise<string[]> {
    const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000 });
    const ids: string[] = [];
    for (let at = 0; at < 28; at++) {
      const keys = Array.from({ length: 5000 }, (_, key) => (at * 5000 + key).toString(36));
      ids.push((await producer.send({ topic: "t", body: `m${at}`, keys: [...keys, "all"] })).msgId);
    }
    return ids;
  }

  async function check(mq: TabMQ, ids: string[]): Promise<void> {
    for (const [at, id] of ids.entries()) {
      expect((await mq.admin.viewMessage(id)).text()).toBe(`m${at}`);
      for (const key of [0, 2500, 4999]) expect(bodies(await mq.admin.queryMessages({ topic: "t", key: (at * 5000 + key).toString(36) }))).toEqual([`m${at}`]);
    }
    expect(bodies(await mq.admin.queryMessages({ topic: "t", key: "all", max: 64 }))).toEqual(ids.map((_, at) => `m${at}`).reverse());
  }

  const indexed = (disk: MemoryDisk): number => readCheckpoint(disk.state.get("checkpoint"))?.index.length ?? 0;

  test("everything is found: after a stop without goodbye, with whole pages, without them, without a checkpoint", { timeout: 120_000 }, async () => {
    const disk = new MemoryDisk();
    const first = await start(disk).connect();
    const ids = await fill(first);
    await check(first, ids);
    const early = copyOf(disk);
    await until(() => indexed(disk) === 3);
    const late = copyOf(disk);
    expect(checkStore(late)).toEqual([]);
    expect([...late.index.keys()].filter((key) => key.startsWith("segment/")).length).toBeGreaterThanOrEqual(128);

    await check(await start(early).connect(), ids);
    const whole = await start(copyOf(late)).connect();
    expect((await whole.diagnostics()).broker.recovery.replayed).toBe(0);
    await check(whole, ids);

    // The checker that knows nothing of the index but its layout sees what is wrong with a sealed page.
    const spoilt = copyOf(late);
    const [name] = [...late.index.keys()].filter((key) => key.startsWith("segment/"));
    spoilt.index.delete(name!);
    expect(checkStore(spoilt).map(({ code }) => code)).toEqual(expect.arrayContaining(["INDEX_MISSING", "INDEX_WRONG"]));

    const bare = asDamaged(copyOf(late), "its key index is gone");
    bare.index.clear();
    const rebuilt = await start(bare).connect();
    expect((await rebuilt.diagnostics()).broker.recovery.replayed).toBe(0);
    await check(rebuilt, ids);

    const older = asDamaged(copyOf(late), "its checkpoint is of before there was a key index", "the next checkpoint has one");
    delete (older.state.get("checkpoint") as { index?: unknown }).index;
    const replayed = await start(older).connect();
    expect((await replayed.diagnostics()).broker.recovery.replayed).toBe(28);
    await check(replayed, ids);
  });
});
