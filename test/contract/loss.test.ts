import { afterEach, describe, expect, test } from "vitest";
import type { MessageExt, TabMQ } from "../../src/index.ts";
import { LOSS_GAP_BYTES, MAX_WITNESS_POSITION, WITNESS_INTERVAL } from "../../src/model/limits.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { GatedStore } from "../support/gated-store.ts";
import { copyOf } from "../support/memory-disk.ts";
import { checkStore } from "../support/store-check.ts";
import { asDamaged } from "../support/sound-stores.ts";

let origins: NodeOrigin[] = [];
afterEach(async () => {
  await Promise.all(origins.map((origin) => origin.close()));
  origins = [];
});

/** The browser started anew on `disk`; `note` is what local storage still holds. */
function start(disk: MemoryDisk, note: string | null = null): NodeOrigin {
  const origin = new NodeOrigin(disk);
  origin.memo.text = note;
  origins.push(origin);
  return origin;
}

async function send(mq: TabMQ, bodies: string[]): Promise<number[]> {
  const producer = await mq.createProducer({ producerGroup: "p" });
  const results = [];
  for (const body of bodies) results.push(await producer.send({ topic: "orders", body, messageGroup: "one queue" }));
  return results.map(({ queueOffset }) => queueOffset);
}

/** What a consumer of `group` gets, as it comes. */
async function consume(mq: TabMQ, group = "workers"): Promise<string[]> {
  const got: string[] = [];
  await mq.createPushConsumer({ consumerGroup: group, subscriptions: { orders: "*" }, messageListener: (message: MessageExt) => void got.push(message.text()) });
  return got;
}

const recoveryOf = async (mq: TabMQ) => (await mq.diagnostics()).broker.recovery;

/** An origin in which "a", "b", "c" are stored and consumed, then "d"; and its disk as it was before "d". */
async function lived(): Promise<{ origin: NodeOrigin; before: MemoryDisk; offsets: number[] }> {
  const origin = start(new MemoryDisk());
  const mq = await origin.connect();
  const got = await consume(mq);
  const offsets = await send(mq, ["a", "b", "c"]);
  await until(() => got.length === 3);
  // The progress is written a moment later.
  await until(() => Object.values(origin.disk.state.get("offset/workers/orders") as object).includes(3));
  const before = copyOf(origin.disk);
  offsets.push(...(await send(mq, ["d"])));
  await mq.close();
  return { origin, before, offsets };
}

describe("the browser has lost the database", () => {
  test("without a loss nothing is reported, whatever the note says that is older", async () => {
    const { origin } = await lived();
    const mq = await start(origin.disk, origin.memo.text).connect();
    expect(await recoveryOf(mq)).toMatchObject({ loss: "none", lastKnownPosition: JSON.parse(origin.memo.text!).position });
  });

  test("all of it: the start says so, and neither epoch nor position nor offset is used again", async () => {
    const { origin, offsets } = await lived();
    const mark = JSON.parse(origin.memo.text!) as { epoch: number; position: number; groups: string[] };
    expect(mark.groups).toEqual(["workers"]);

    const next = start(new MemoryDisk(), origin.memo.text);
    const heard: unknown[] = [];
    const mq = await next.connect();
    mq.on("loss", (event) => heard.push(event));
    const { broker } = await mq.diagnostics();
    expect(broker.recovery).toMatchObject({ loss: "total", lastKnownPosition: mark.position, damaged: [] });
    expect(broker.epoch).toBeGreaterThan(mark.epoch);
    expect(broker.position).toBeGreaterThanOrEqual(mark.position + LOSS_GAP_BYTES);
    await until(() => heard.length > 0);
    expect(heard).toEqual([{ loss: "total", lastKnownPosition: mark.position }]);

    // The group is known from the note: what is sent before it is back is not lost on it.
    const [offset] = await send(mq, ["e"]);
    expect(offset).toBeGreaterThan(Math.max(...offsets));
    const got = await consume(mq);
    await until(() => got.length === 1);
    expect(got).toEqual(["e"]);
    await until(async () => (await mq.admin.consumeStats("workers")).diffTotal === 0);
    // A group that nobody has heard of begins where it says, at the end.
    expect(await consume(mq, "strangers")).toEqual([]);
  });

  test("its newest part: what is left is delivered, and what comes next does not stand where the lost stood", async () => {
    const { origin, before, offsets } = await lived();
    const mark = JSON.parse(origin.memo.text!) as { position: number };
    const mq = await start(before, origin.memo.text).connect();
    expect(await recoveryOf(mq)).toMatchObject({ loss: "tail", lastKnownPosition: mark.position, damaged: [] });

    const [offset] = await send(mq, ["e"]);
    expect(offset).toBeGreaterThan(Math.max(...offsets));
    const all: string[] = [];
    const reader = await mq.createPullConsumer({ consumerGroup: "reader", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    reader.subscribe("orders");
    await until(async () => all.push(...(await reader.poll()).map((message) => message.text())) >= 4);
    expect(all).toEqual(["a", "b", "c", "e"]);
    // Control: without the row that tells of the loss the checker takes all of that for damage.
    const untold = copyOf(before);
    untold.state.delete("loss");
    expect(checkStore(untold).map(({ code }) => code)).toEqual(expect.arrayContaining(["LOG_GAP", "OFFSET_GAP"]));
    // The gap is no backlog.
    await mq.admin.consumeStats("workers").then(({ diffTotal }) => expect(diffTotal).toBe(1));
    const got = await consume(mq);
    await until(() => got.length === 1);
    expect(got).toEqual(["e"]);
  });

  test("a group keeps its place at queues that hold nothing yet, also at the next start, and is told of no gap", async () => {
    const { origin } = await lived();
    const disk = new MemoryDisk();
    const places = (): number[] => Object.values((disk.state.get("offset/workers/orders") ?? {}) as Record<number, number>);
    const first = await start(disk, origin.memo.text).connect();
    await first.admin.createTopic({ topic: "orders" });
    await consume(first);
    await until(() => places().length > 0);
    const before = Math.min(...places());
    expect(before).toBeGreaterThan(0);
    await first.close();

    const second = await start(disk).connect();
    const moved: unknown[] = [];
    const got: string[] = [];
    const consumer = await second.createPushConsumer({ consumerGroup: "workers", subscriptions: { orders: "*" }, messageListener: (message) => void got.push(message.text()) });
    consumer.on("offsetMoved", (move) => moved.push(move));
    await send(second, ["e"]);
    await until(() => got.length === 1 && places().includes(before + 1));
    expect(Math.min(...places())).toBe(before);
    expect(moved).toEqual([]);
  });

  test("is remembered in the store: later starts, with or without checkpoint, go on as if it had not happened", async () => {
    const { origin } = await lived();
    const disk = new MemoryDisk();
    const first = await start(disk, origin.memo.text).connect();
    const [offset] = await send(first, ["e"]);
    for (const lose of [() => {}, () => disk.state.delete("checkpoint")]) {
      lose();
      const mq = await start(disk).connect();
      expect(await recoveryOf(mq)).toMatchObject({ loss: "none", lastKnownPosition: null, damaged: [] });
      const queue = (await mq.admin.topicStats("orders")).queues.find(({ maxOffset }) => maxOffset > offset!)!;
      expect(queue.minOffset).toBe(offset);
      // Queues that hold nothing, and topics of later, begin above what may have been lost as well.
      await mq.admin.createTopic({ topic: "new" });
      for (const { minOffset } of (await mq.admin.topicStats("new")).queues) expect(minOffset).toBeGreaterThan(LOSS_GAP_BYTES / 200);
    }
  });

  test("while tabs are open: the broker comes back on an empty store, and knows by itself", async () => {
    const origin = start(new MemoryDisk());
    const mq = await origin.connect();
    const got = await consume(mq);
    const offsets = await send(mq, ["a", "b"]);
    await until(() => got.length === 2);
    const lost = new Promise((resolve) => mq.on("loss", resolve));
    // No note was written yet that could help.
    origin.memo.text = null;
    for (const part of [origin.disk.log, origin.disk.queue, origin.disk.index, origin.disk.state]) part.clear();
    const [offset] = await send(mq, ["c"]);
    await lost;
    expect(offset).toBeGreaterThan(Math.max(...offsets));
    await until(() => got.length === 3);
    expect(got).toEqual(["a", "b", "c"]);
  });

  test("control: without the note nothing is noticed, and offsets are used twice", async () => {
    const { offsets } = await lived();
    const mq = await start(new MemoryDisk()).connect();
    expect(await recoveryOf(mq)).toMatchObject({ loss: "none", lastKnownPosition: null });
    expect(offsets).toContain((await send(mq, ["e"]))[0]);
  });
});

describe("the note", () => {
  test.each(["", "null", "{}", "[]", '"x"', '{"epoch":-1,"position":0,"groups":[]}', `{"epoch":1,"position":${MAX_WITNESS_POSITION * 2},"groups":[]}`, '{"epoch":1,"position":1,"groups":["a b"]}'])(
    "that nobody can have written is no note: %s",
    async (text) => {
      const mq = await start(new MemoryDisk(), text).connect();
      expect(await recoveryOf(mq)).toMatchObject({ loss: "none", lastKnownPosition: null });
    },
  );

  test("of two tabs is one: the higher position, all groups", async () => {
    const origin = start(new MemoryDisk());
    const [one, two] = [await origin.connect(), await origin.connect()];
    await consume(one, "g1");
    await consume(two, "g2");
    await send(one, ["a"]);
    await one.close();
    const noted = JSON.parse(origin.memo.text!) as { position: number };
    await two.close();
    const both = JSON.parse(origin.memo.text!) as { position: number; groups: string[] };
    expect(noted.position).toBeGreaterThan(0);
    expect(both.position).toBe(noted.position);
    expect(both.groups.toSorted()).toEqual(["g1", "g2"]);
  });

  test("is never ahead of what is durable: answers that come while a commit is on its way do not count it", async () => {
    const origin = start(new MemoryDisk());
    const store = new GatedStore(origin.disk);
    origin.makeStore = () => store;
    const mq = await origin.connect();
    for (let i = 0; i < 20; i++) await send(mq, [`${i}`]);
    const before = (await mq.diagnostics()).broker;
    expect(before.position).toBe(before.durablePosition);
    store.shut();
    const sent = send(mq, ["on its way"]);
    await until(async () => (await mq.diagnostics()).broker.position > before.position);
    expect((await mq.diagnostics()).broker.durablePosition).toBe(before.durablePosition);
    const noted = (): number => (JSON.parse(origin.memo.text ?? '{ "position": 0 }') as { position: number }).position;
    // Twice as long as a tab takes to note what it has heard.
    await new Promise((resolve) => setTimeout(resolve, 2 * WITNESS_INTERVAL));
    expect(noted()).toBe(before.durablePosition);
    store.open();
    await sent;
    const { durablePosition } = (await mq.diagnostics()).broker;
    expect(durablePosition).toBeGreaterThan(before.durablePosition);
    await mq.close();
    expect(noted()).toBe(durablePosition);
  });

  test("is not kept for a broker that keeps nothing", async () => {
    const origin = start(new MemoryDisk());
    const mq = await origin.connect({ host: "memory" });
    await send(mq, ["a"]);
    await mq.close();
    expect(origin.memo.text).toBeNull();
  });
});

describe("found by whoever tried to refute it", () => {
  const queue = { topic: "t", brokerName: "broker-a", queueId: 0 };
  /** Its records no longer are what was written. */
  function damage(disk: MemoryDisk, isDamaged: (position: number) => boolean): void {
    asDamaged(disk, "rows are damaged");
    for (const [position, row] of disk.log) if (isDamaged(position) && row.byteLength > 100) row[CHUNK_HEADER_BYTES + 95]! ^= 1;
  }

  test("damage, a checkpoint, and damage again: no offset twice", async () => {
    const first = start(new MemoryDisk());
    const producer = await (await first.connect()).createProducer({ producerGroup: "p" });
    for (let i = 0; i <= 10; i++) await producer.send({ topic: "t", body: "d".repeat(900) }, { queue });
    const disk = copyOf(first.disk);
    damage(disk, (position) => position > 0);
    const next = await (await start(disk).connect()).createProducer({ producerGroup: "p" });
    for (let i = 0; i < 5; i++) await next.send({ topic: "other", body: new Uint8Array(1e6) });
    await until(() => disk.state.has("checkpoint"));
    const before = new Set(disk.log.keys());
    const used: number[] = [];
    for (let i = 0; i < 3; i++) used.push((await next.send({ topic: "t", body: "n" }, { queue })).queueOffset);
    const again = copyOf(disk);
    damage(again, (position) => !before.has(position));
    const last = await (await start(again).connect()).createProducer({ producerGroup: "p" });
    const { queueOffset } = await last.send({ topic: "t", body: "new" }, { queue });
    expect(queueOffset).toBeGreaterThan(Math.max(...used));
  });

  /** A tab on a store that is lost under it: `lose` puts an empty one in its place. */
  async function losable(note: string | null = null): Promise<{ origin: NodeOrigin; mq: TabMQ; lose: () => void }> {
    const origin = start(new MemoryDisk(), note);
    let disk = origin.disk;
    let store!: MemoryStore;
    origin.makeStore = () => (store = new MemoryStore(disk));
    const mq = await origin.connect();
    const lose = (): void => {
      disk = new MemoryDisk();
      store.onLost("gone");
    };
    return { origin, mq, lose };
  }

  test("a note at the limit is believed once and stops nobody", async () => {
    const { origin, mq, lose } = await losable(JSON.stringify({ epoch: 1, position: MAX_WITNESS_POSITION, groups: [] }));
    await send(mq, ["1"]);
    lose();
    await send(mq, ["2"]);
    await origin.connect();
  });

  test("flush waits for a send that has to ask for its topic once more", async () => {
    const { mq, lose } = await losable();
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "t", body: "1" });
    lose();
    const order: string[] = [];
    const sent = producer.send({ topic: "t", body: "2" }).then(() => order.push("sent"));
    await Promise.all([sent, mq.flush().then(() => order.push("flushed"))]);
    expect(order).toEqual(["sent", "flushed"]);
  });

  test("bytes of the caller's are not sent a second time: they may be others by now", async () => {
    const { mq, lose } = await losable();
    const producer = await mq.createProducer({ producerGroup: "p" });
    const body = new Uint8Array([1, 1, 1]);
    await producer.send({ topic: "t", body });
    lose();
    await expect(producer.send({ topic: "t", body })).rejects.toMatchObject({ code: "TOPIC_NOT_EXIST" });
    await expect(producer.send({ topic: "t", body })).resolves.toMatchObject({ sendStatus: "SEND_OK" });
  });
});
