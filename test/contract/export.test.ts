/** A namespace as a stream, and the stream as a namespace again. */
import { afterEach, describe, expect, test } from "vitest";
import { ImportError, type MessageExt, type TabMQ } from "../../src/index.ts";
import { MANIFEST_TOPIC } from "../../src/model/log-manifest.ts";
import { decodeRecords } from "../../src/model/record-codec.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { checkStore } from "../support/store-check.ts";
import { asDamaged } from "../support/sound-stores.ts";

let origins: NodeOrigin[] = [];
afterEach(async () => {
  await Promise.all(origins.map((origin) => origin.close()));
  origins = [];
});

function open(disk = new MemoryDisk()): NodeOrigin {
  const origin = new NodeOrigin(disk);
  origins.push(origin);
  return origin;
}

/** An origin whose brokers can be ended: what they have not committed is gone. */
function mortal(disk = new MemoryDisk()): { origin: NodeOrigin; kill: () => void } {
  const origin = open(disk);
  let store: MemoryStore;
  origin.makeStore = () => (store = new MemoryStore(disk));
  return { origin, kill: () => store.onLost("killed") };
}

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

/** The bytes in pieces of some length. */
function streamOf(bytes: Uint8Array, piece = 100_000): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.byteLength) return controller.close();
      controller.enqueue(bytes.subarray(at, (at += piece)));
    },
  });
}

/** Every message of every queue, as a reader sees it, without what an import changes. */
async function contentOf(mq: TabMQ): Promise<object[]> {
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  const all: object[] = [];
  for (const { topic } of await mq.admin.topics()) {
    for (const queue of await pull.fetchQueues(topic)) {
      for (let offset = await mq.admin.minOffset(queue); ; ) {
        const { status, messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 1024);
        for (const message of messages) all.push(comparable(message));
        if (status === "NO_NEW_MSG") break;
        offset = nextBeginOffset;
      }
    }
  }
  await pull.shutdown();
  return all;
}

function comparable({ commitLogOffset: _position, offsetMsgId: _id, body, ...rest }: MessageExt): object {
  // As text: to compare two arrays of bytes takes the test runner a second a megabyte.
  return { ...rest, body: Buffer.from(body).toString("latin1") };
}

/** A namespace with two topics, one of them with messages of every kind, and a group that has consumed some. */
async function lived(messages = 40): Promise<{ origin: NodeOrigin; mq: TabMQ }> {
  const origin = open();
  const mq = await origin.connect({ namespace: "shop" });
  await mq.admin.createTopic({ topic: "orders", readQueueNums: 3, writeQueueNums: 2 });
  await mq.admin.createTopic({ topic: "unused", perm: 4 });
  const producer = await mq.createProducer({ producerGroup: "p" });
  await producer.send({ topic: "orders", body: { id: 7 }, tags: "created", keys: ["o-7", "k"], flag: -5, properties: { region: "eu" }, messageGroup: "c" });
  await producer.send({ topic: "orders", body: new Uint8Array(70_000).fill(9), tags: "long" });
  for (let i = 0; i < messages; i++) await producer.send({ topic: i % 3 === 0 ? "more" : "orders", body: `message ${i} ☕`, tags: i % 2 === 0 ? "even" : "odd" });
  const pull = await mq.createPullConsumer({ consumerGroup: "workers", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
  pull.subscribe("orders");
  const got = await pull.poll({ max: 9 });
  expect(got.length).toBeGreaterThan(0);
  await pull.commit();
  await pull.shutdown();
  return { origin, mq };
}

/** The same with thirty messages of 100 kB: an export of several parts. */
async function large(mq?: TabMQ): Promise<TabMQ> {
  const filled = mq ?? (await lived(10)).mq;
  const producer = await filled.createProducer({ producerGroup: "p" });
  for (let i = 0; i < 30; i++) await producer.send({ topic: "orders", body: new Uint8Array(100_000).fill(i) });
  return filled;
}

const offsetsOf = async (mq: TabMQ) => (await mq.admin.consumeStats("workers")).queues.map(({ clientId: _gone, ...row }) => row);

describe("export and import", () => {
  test("the other namespace holds the same: messages, offsets, times, topics, groups; and goes on from there", async () => {
    const { mq } = await lived();
    const before = await contentOf(mq);
    const [topics, offsets] = [await mq.admin.topics(), await offsetsOf(mq)];
    expect(before.length).toBe(42);

    const target = open();
    const other = await target.connect({ namespace: "copy" });
    const result = await other.admin.importLog(mq.admin.exportLog());
    expect(result).toEqual({ imported: 42, topics: 3, damaged: 0 });
    expect(await other.admin.topics()).toEqual(topics);
    expect(await offsetsOf(other)).toEqual(offsets);
    expect(await contentOf(other)).toEqual(before);
    expect(checkStore(target.disk)).toEqual([]);
    const [tea] = await other.admin.queryMessages({ topic: "orders", key: "o-7" });
    expect(tea!.json()).toEqual({ id: 7 });
    expect(await other.admin.viewMessage(tea!.msgId)).toMatchObject({ queueOffset: tea!.queueOffset, storeTimestamp: tea!.storeTimestamp });

    // Sent now, consumed by the group that came along: behind everything of before, and nothing twice.
    const producer = await other.createProducer({ producerGroup: "p" });
    const { queueOffset } = await producer.send({ topic: "orders", body: "new" }, { queue: { topic: "orders", brokerName: "broker-a", queueId: 0 } });
    expect(queueOffset).toBe(offsets.find(({ queueId }) => queueId === 0)!.brokerOffset);
    const got: MessageExt[] = [];
    await other.createPushConsumer({ consumerGroup: "workers", subscriptions: { orders: "*" }, messageListener: (message) => void got.push(message) });
    const { diffTotal } = await mq.admin.consumeStats("workers");
    await until(() => got.length === diffTotal + 1);
    expect(got.filter((message) => message.text() === "new")).toHaveLength(1);

    // And after a restart, which knows only what is stored.
    await target.close();
    const again = open(target.disk);
    expect(await contentOf(await again.connect({ namespace: "copy" }))).toEqual(expect.arrayContaining(before));
  });

  test("a copy of the copy is the same but for positions; of an empty namespace there is one too", async () => {
    const { mq } = await lived(10);
    const first = await bytesOf(mq.admin.exportLog());
    const copy = await open().connect();
    await copy.admin.importLog(streamOf(first));
    const second = await bytesOf(copy.admin.exportLog());
    const messages = (bytes: Uint8Array): object[] => decodeRecords(bytes, "").filter(({ topic }) => topic !== MANIFEST_TOPIC).map(comparable);
    expect(messages(second)).toEqual(messages(first));

    const empty = await bytesOf((await open().connect()).admin.exportLog());
    const target = await open().connect();
    expect(await target.admin.importLog(streamOf(empty))).toEqual({ imported: 0, topics: 0, damaged: 0 });
    expect(await target.admin.topics()).toEqual([]);
  });

  test("it is RocketMQ records from the first byte to the last", async () => {
    const { mq } = await lived(5);
    const bytes = await bytesOf(mq.admin.exportLog());
    const records = decodeRecords(bytes, "");
    expect(records.reduce((sum, { storeSize }) => sum + storeSize, 0)).toBe(bytes.byteLength);
    const parts = records.map(({ topic, tags }) => (topic === MANIFEST_TOPIC ? tags : "message"));
    expect(parts).toEqual(["begin", "state", "state", ...Array<string>(7).fill("message"), "end"]);
    expect(records[0]!.json()).toMatchObject({ format: "tabmq-log", version: 1, namespace: "shop", position: 0 });
    // A reader of its own topic's name would take no message for one of these: nobody can send there.
    const producer = await mq.createProducer({ producerGroup: "p" });
    await expect(producer.send({ topic: MANIFEST_TOPIC, body: "x" })).rejects.toMatchObject({ code: "NO_PERMISSION" });
  });

  test("what is sent while it is read is not in it; and it is read as fast as it is consumed", async () => {
    const origin = open();
    const calls: number[] = [];
    origin.makeStore = () => new (class extends MemoryStore {
      override readLog(position: number, count: number): ReturnType<MemoryStore["readLog"]> {
        calls.push(position);
        return super.readLog(position, count);
      }
    })(origin.disk);
    const mq = await origin.connect();
    const producer = await mq.createProducer({ producerGroup: "p" });
    for (let i = 0; i < 60; i++) await producer.send({ topic: "t", body: new Uint8Array(100_000) });
    const reader = mq.admin.exportLog().getReader();
    const parts = [(await reader.read()).value!, (await reader.read()).value!];
    await producer.send({ topic: "t", body: "too late" });
    calls.length = 0;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(calls).toEqual([]);
    const sizes: number[] = [];
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      parts.push(next.value);
      sizes.push(next.value.byteLength);
    }
    // 6 MB in parts of about one.
    expect(sizes.length).toBeGreaterThan(4);
    expect(Math.max(...sizes)).toBeLessThan(1.2 * 2 ** 20);
    const records = decodeRecords(new Uint8Array(Buffer.concat(parts)), "").filter(({ topic }) => topic === "t");
    expect(records).toHaveLength(60);
  });

  test("the broker may die in between: another goes on where it was, on either side", async () => {
    const { origin: first, mq: writing } = await lived(10);
    await writing.close();
    await first.close();
    const source = mortal(first.disk);
    const mq = await large(await source.origin.connect());
    const before = await contentOf(mq);
    const target = mortal();
    const other = await target.origin.connect();
    let parts = 0;
    const dying = mq.admin.exportLog().pipeThrough(new TransformStream({
      async transform(part: Uint8Array, controller) {
        controller.enqueue(part);
        if (++parts === 3 || parts === 5) source.kill();
        if (parts === 4 || parts === 6) target.kill();
      },
    }));
    expect(await other.admin.importLog(dying)).toMatchObject({ imported: 42 });
    expect(parts).toBeGreaterThan(5);
    expect(await contentOf(other)).toEqual(before);
    expect(checkStore(target.origin.disk)).toEqual([]);
    expect((await other.diagnostics()).broker.epoch).toBeGreaterThan(1);
  });

  test("goes on inside a row, because rows may have been merged since the last part", async () => {
    const origin = open();
    const mq = await origin.connect();
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send(["a", "b", "c"].map((body) => ({ topic: "t", body })));
    const { exports } = origin.host.broker!;
    const { position, end } = await exports.begin();
    const all = decodeRecords((await exports.read({ position, end })).records, "");
    expect(all.map((message) => message.text())).toEqual(["a", "b", "c"]);
    expect(origin.disk.log.size).toBe(1);
    const rest = await exports.read({ position: all[1]!.commitLogOffset, end });
    expect(decodeRecords(rest.records, "").map((message) => message.text())).toEqual(["b", "c"]);
    expect(rest).toMatchObject({ count: 2, nextPosition: end, damaged: [] });
  });

  test("damage in the log is left out, counted, and the rest is whole", async () => {
    const { origin, mq } = await lived(20);
    await mq.close();
    await origin.close();
    const rows = [...origin.disk.log.keys()].sort((a, b) => a - b);
    asDamaged(origin.disk, "a row is damaged").log.get(rows.at(-5)!)![CHUNK_HEADER_BYTES + 95]! ^= 1;
    const damaged = await open(origin.disk).connect();
    const target = await open().connect();
    expect(await target.admin.importLog(damaged.admin.exportLog())).toEqual({ imported: 21, topics: 3, damaged: 1 });
    expect(await contentOf(target)).toEqual(await contentOf(damaged));
  });
});

describe("the same call again", () => {
  /** A store whose commit of the n-th batch of records is done and reported as failed. */
  function doubtful(disk: MemoryDisk, at: number): MemoryStore {
    let logs = 0;
    const store = new MemoryStore(disk);
    const commit = store.commit.bind(store);
    store.commit = async (batch) => {
      const outcome = await commit(batch);
      return batch.log.length > 0 && ++logs === at ? { status: "unknown", cause: new Error("I/O error") } : outcome;
    };
    return store;
  }

  test("what is stored although its commit failed is recognised by the next broker, and not stored twice", async () => {
    const mq = await large();
    const target = open();
    let at = 2;
    target.makeStore = () => {
      const store = doubtful(target.disk, at);
      at = Infinity;
      return store;
    };
    const other = await target.connect();
    expect(await other.admin.importLog(mq.admin.exportLog())).toMatchObject({ imported: 42 });
    expect((await other.diagnostics()).broker.epoch).toBe(2);
    expect(await contentOf(other)).toEqual(await contentOf(mq));
  });

  test("an import broken off shows nothing, after a restart neither, and goes on when it is done again; another log is not mixed in", async () => {
    const [mq, { mq: stranger }] = [await large(), await lived(3)];
    const bytes = await bytesOf(mq.admin.exportLog());
    const target = open();
    let isGiven = false;
    const stop = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (isGiven) controller.error(new Error("the disk was pulled out"));
        else controller.enqueue(bytes.subarray(0, bytes.byteLength - 500_000));
        isGiven = true;
      },
    });
    const first = await target.connect();
    const broken = await first.admin.importLog(stop).catch((error: unknown) => error as ImportError);
    expect(broken).toMatchObject({ code: "INVALID_PARAMETER", field: "importLog.stream", outcome: "rejected" });
    expect(broken instanceof ImportError && broken.message).toContain("the disk was pulled out");
    const imported = broken instanceof ImportError ? broken.imported : 0;
    expect(imported).toBeGreaterThan(10);
    expect(imported).toBeLessThan(42);
    expect(await first.admin.topics()).toEqual([]);
    await target.close();

    const again = open(target.disk);
    const second = await again.connect();
    expect(await second.admin.topics()).toEqual([]);
    const foreign = await second.admin.importLog(stranger.admin.exportLog()).catch((error: unknown) => error as ImportError);
    expect(foreign).toMatchObject({ code: "INVALID_PARAMETER", field: "namespace", imported: 0 });
    expect(await second.admin.importLog(streamOf(bytes, 777))).toMatchObject({ imported: 42 });
    expect(await contentOf(second)).toEqual(await contentOf(mq));
    expect(await second.admin.topics()).toEqual(await mq.admin.topics());
    expect(checkStore(again.disk)).toEqual([]);
    await expect(second.admin.importLog(streamOf(bytes))).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "namespace", imported: 0, byte: 0 });
  });

  test("a namespace with a topic or a message of its own is refused, and stays as it is", async () => {
    const { mq } = await lived(3);
    const target = await open().connect();
    await target.admin.createTopic({ topic: "mine" });
    await expect(target.admin.importLog(mq.admin.exportLog())).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "namespace", imported: 0 });
    expect((await target.admin.topics()).map(({ topic }) => topic)).toEqual(["mine"]);
    await expect(mq.admin.importLog(mq.admin.exportLog())).rejects.toMatchObject({ field: "namespace" });
  });

  test("a producer that writes into the same queue meanwhile ends the import; its message is not overwritten", async () => {
    const { mq } = await lived(20);
    const bytes = await bytesOf(mq.admin.exportLog());
    const origin = open();
    const target = await origin.connect();
    const producer = await target.createProducer({ producerGroup: "p" });
    const queue = { topic: "orders", brokerName: "broker-a", queueId: 1 };
    const feed = new TransformStream<Uint8Array, Uint8Array>();
    const importing = target.admin.importLog(feed.readable).catch((error: unknown) => error as ImportError);
    const writer = feed.writable.getWriter();
    void writer.write(bytes.subarray(0, 1000));
    await until(() => origin.disk.state.has("import"));
    await producer.send({ topic: "orders", body: "in between" }, { queue });
    void writer.write(bytes.subarray(1000)).then(() => writer.close()).catch(() => {});
    expect(await importing).toMatchObject({ code: "MESSAGE_ILLEGAL", imported: 0 });
    const pull = await target.createPullConsumer({ consumerGroup: "g" });
    expect((await pull.pull(queue, "*", 0, 10)).messages.map((message) => message.text())).toEqual(["in between"]);
  });

  test("what is no stream, or no bytes, is refused", async () => {
    const { admin } = await open().connect();
    await expect(admin.importLog({} as ReadableStream<Uint8Array>)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "importLog.stream" });
    const texts = new ReadableStream({ start: (controller) => controller.enqueue("text") });
    await expect(admin.importLog(texts as unknown as ReadableStream<Uint8Array>)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "importLog.stream" });
    const cancelled = await admin.exportLog().cancel();
    expect(cancelled).toBeUndefined();
  });
});

describe("an import that fails", () => {
  /** One namespace with a few messages, exported: each record's first byte, and what it is. */
  async function small(): Promise<{ bytes: Uint8Array; records: { at: number; part: string }[] }> {
    const mq = await open().connect({ namespace: "s" });
    await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
    const producer = await mq.createProducer({ producerGroup: "p" });
    for (const body of ["a", "b", "c"]) await producer.send({ topic: "t", body });
    const bytes = await bytesOf(mq.admin.exportLog());
    let at = 0;
    const records = decodeRecords(bytes, "").map(({ topic, tags, storeSize }) => {
      at += storeSize;
      return { at: at - storeSize, part: topic === MANIFEST_TOPIC ? tags! : "message" };
    });
    return { bytes, records };
  }

  async function refusal(bytes: Uint8Array): Promise<{ error: ImportError; topics: number }> {
    const origin = new NodeOrigin();
    const mq = await origin.connect();
    const error: unknown = await mq.admin.importLog(streamOf(bytes)).catch((thrown: unknown) => thrown);
    const topics = (await mq.admin.topics()).length;
    await origin.close();
    return { error: error as ImportError, topics };
  }

  test("whichever byte is another, and wherever it is cut off: it is refused, at that record or at the end, and no topic shows anything", async () => {
    const { bytes, records } = await small();
    const missed: number[] = [];
    for (let at = 0; at < bytes.byteLength; at++) {
      const changed = bytes.slice();
      changed[at]! ^= 1 << (at % 8);
      const { error, topics } = await refusal(changed);
      if (!(error instanceof ImportError) || topics > 0 || error.byte > records.at(-1)!.at) missed.push(at);
    }
    expect(missed).toEqual([]);
    for (let length = 0; length < bytes.byteLength; length += 7) {
      const { error, topics } = await refusal(bytes.subarray(0, length));
      if (!(error instanceof ImportError) || topics > 0 || error.byte !== records.findLast(({ at }) => at <= length)!.at) missed.push(length);
    }
    expect(missed).toEqual([]);
  }, 120_000);

  test("it says at which byte, and how many messages are stored", async () => {
    const { bytes, records } = await small();
    const [, second] = records.filter(({ part }) => part === "message");
    const changed = bytes.slice();
    changed[second!.at + 88]! ^= 1;
    const { error } = await refusal(changed);
    expect(error).toMatchObject({ code: "MESSAGE_ILLEGAL", field: "importLog.stream", byte: second!.at, imported: 0, outcome: "rejected" });
    expect(error.message).toContain("BAD_CRC");
    const long = Buffer.concat([bytes, bytes.subarray(0, 1)]);
    expect((await refusal(long)).error).toMatchObject({ byte: bytes.byteLength, imported: 3 });
    expect((await refusal(Buffer.from("not a log at all, but long enough for one: ".repeat(5)))).error).toMatchObject({ byte: 0, imported: 0 });
    expect((await refusal(new Uint8Array(0))).error).toMatchObject({ code: "MESSAGE_ILLEGAL", byte: 0 });
  });
});
