/** Retention over IndexedDB: what is too much goes, whoever was behind hears of it, and a restart finds it so. */
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { OffsetMoved } from "../../src/index.ts";
import { QUEUE_PAGE_ENTRIES } from "../../src/model/limits.ts";
import { bundle, House, type Tab, type TabConnect, until } from "../support/house.ts";

const MIB = 2 ** 20;
const TOPIC = "orders";
const BODY = 1500;

let house: House;
afterEach(() => house.end());

/** Sends `count` messages, numbered from `first` on, to the topic's two queues in turn. */
function fill(tab: Tab, first: number, count: number): Promise<void> {
  return tab.run(
    async ({ producer }, given) => {
      const sent = [];
      for (let at = 0; at < given.count; at++) {
        const queue = { topic: given.topic, brokerName: "broker-a", queueId: at % 2 };
        const body = crypto.getRandomValues(new Uint8Array(given.bytes));
        sent.push(producer.send({ topic: given.topic, body, tags: "t", keys: `n${given.first + at}` }, { queue }));
      }
      await Promise.all(sent);
    },
    { topic: TOPIC, first, count, bytes: BODY },
  );
}

interface Seen {
  queues: { minOffset: number; maxOffset: number }[];
  minPosition: number;
  removedMessages: number;
  removedBytes: number;
  damaged: unknown[];
  left: number;
}

/** What the broker says, and how many messages can be read. */
async function look(tab: Tab): Promise<Seen> {
  const left = (await tab.readAll(TOPIC, await minOffsets(tab))).length;
  return tab.run(
    async ({ mq }, given) => {
      const { queues } = await mq.admin.topicStats(given.topic);
      const { retention, damaged, recovery } = (await mq.diagnostics()).broker;
      const { minPosition, removedMessages, removedBytes } = retention;
      return { queues: queues.map(({ minOffset, maxOffset }) => ({ minOffset, maxOffset })), minPosition, removedMessages, removedBytes, damaged: [...damaged, ...recovery.damaged], left: given.left };
    },
    { topic: TOPIC, left },
  );
}

function minOffsets(tab: Tab): Promise<Record<number, number>> {
  return tab.run(async ({ mq }, topic) => Object.fromEntries((await mq.admin.topicStats(topic)).queues.map(({ minOffset }, queueId) => [queueId, minOffset])), TOPIC);
}

/** What stands in the database itself: the log's rows, and the lowest page of each queue. */
function onDisk(tab: Tab): Promise<{ firstRow: number; bytes: number; pages: number[] }> {
  return tab.run(async () => {
    const result = <T>(request: IDBRequest<T>): Promise<T> => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const db = await result(indexedDB.open("tabmq/shop"));
    const tx = db.transaction(["log", "queue"]);
    const [keys, rows, pages] = await Promise.all([result(tx.objectStore("log").getAllKeys()), result(tx.objectStore("log").getAll()), result(tx.objectStore("queue").getAllKeys())]);
    db.close();
    return {
      firstRow: Number(keys[0]),
      bytes: (rows as Uint8Array[]).reduce((sum, row) => sum + row.byteLength, 0),
      pages: [0, 1].map((queueId) => Math.min(...(pages as [string, number, number][]).filter((page) => page[1] === queueId).map((page) => page[2]))),
    };
  });
}

const removed = (tab: Tab): Promise<number> => tab.run(async ({ mq }) => (await mq.diagnostics()).broker.retention.removedMessages);

/** A push consumer that is behind at first: it tells what it was moved over, and how many messages it got. */
function consumeLate(tab: Tab): Promise<void> {
  return tab.run(async (side, topic) => {
    const moves: OffsetMoved[] = [];
    side.box.moves = moves;
    side.box.got = 0;
    const consumer = await side.mq.createPushConsumer({
      consumerGroup: "late",
      subscriptions: { [topic]: "*" },
      consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      messageListener: () => void (side.box.got = Number(side.box.got) + 1),
    });
    consumer.on("offsetMoved", (move) => moves.push(move));
    side.consumer = consumer;
  }, TOPIC);
}

const toldTo = (tab: Tab): Promise<{ moves: OffsetMoved[]; got: number }> => tab.run(({ box }) => ({ moves: box.moves as OffsetMoved[], got: Number(box.got) }));

async function open(): Promise<TabConnect> {
  house = await House.open({ pages: { "/hasty.js": await bundle(join(import.meta.dirname, "workers/hasty.ts")) } });
  // Without trace: every message, page and row is counted.
  return { namespace: "shop", worker: "/hasty.js", broker: { defaultTopicQueueNums: 2, traceEnable: false } };
}

describe("maxStoreBytes", () => {
  test("the oldest goes from IndexedDB and its offsets with it; who was behind is moved and told; a restart finds it so; sends go on", async () => {
    const options = await open();
    const tab = await house.tab();
    await tab.connect({ ...options, broker: { ...options.broker, maxStoreBytes: 3 * MIB } });
    await tab.createTopic(TOPIC, 2);
    // The group has been there, at the first offsets, and left.
    await tab.run(async ({ mq }, topic) => {
      const pull = await mq.createPullConsumer({ consumerGroup: "late", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
      pull.subscribe(topic);
      await pull.poll({ timeout: 0 });
      await pull.shutdown();
    }, TOPIC);
    await fill(tab, 0, 4000);
    await until(async () => (await removed(tab)) > 2000);
    await until(async () => (await onDisk(tab)).bytes < 3.2 * MIB);

    const seen = await look(tab);
    // What a cut gives up goes a moment later.
    await until(async () => (await onDisk(tab)).firstRow === seen.minPosition);
    const mins = seen.queues.map(({ minOffset }) => minOffset);
    expect(seen).toMatchObject({ damaged: [], removedBytes: seen.minPosition, removedMessages: 4000 - seen.left });
    expect(mins[0]! + mins[1]!).toBe(seen.removedMessages);
    expect(seen.queues.map(({ maxOffset }) => maxOffset)).toEqual([2000, 2000]);
    expect((await onDisk(tab)).pages).toEqual(mins.map((min) => Math.floor(min / QUEUE_PAGE_ENTRIES)));
    expect(Math.min(...mins)).toBeGreaterThan(QUEUE_PAGE_ENTRIES);
    expect((await onDisk(tab)).firstRow).toBe(seen.minPosition);
    const found = (key: string): Promise<number> => tab.run(async ({ mq }, given) => (await mq.admin.queryMessages(given)).length, { topic: TOPIC, key });
    expect([await found("n0"), await found("n3999")]).toEqual([0, 1]);

    await consumeLate(tab);
    await until(async () => (await toldTo(tab)).got === seen.left);
    const { moves } = await toldTo(tab);
    expect(moves.map(({ queue, from, to }) => [queue.queueId, from, to]).sort()).toEqual([[0, 0, mins[0]], [1, 0, mins[1]]]);

    await house.closeTabs();
    await house.restart();
    const next = await house.tab();
    await next.connect(options);
    expect(await look(next)).toEqual(seen);
    expect((await next.run(({ mq }) => mq.admin.consumeStats("late"))).diffTotal).toBe(0);
    // This host asks for no limit: the settings of the first were its own.
    await fill(next, 4000, 20);
    expect((await look(next)).queues.map(({ maxOffset }) => maxOffset)).toEqual([2010, 2010]);
    expect(await removed(next)).toBe(seen.removedMessages);
  });

  test("a limit that an admin sets holds for the brokers after it too, while messages keep coming", async () => {
    const options = await open();
    const tab = await house.tab();
    await tab.connect(options);
    await tab.createTopic(TOPIC, 2);
    await fill(tab, 0, 3000);
    // As long as retention waits after a start, and a round.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await removed(tab)).toBe(0);
    await tab.run(({ mq }) => mq.admin.updateBrokerConfig({ maxStoreBytes: 2_097_152 }).then(() => {}));
    await until(async () => (await removed(tab)) > 1500);
    await house.closeTabs();
    await house.restart();
    const next = await house.tab();
    await next.connect(options);
    await fill(next, 3000, 2000);
    // How far beyond the limit a cut goes depends on the rows it found, single or merged; never less than this is left.
    await until(async () => (await removed(next)) > 5000 - 2_097_152 / BODY);
    await until(async () => (await onDisk(next)).bytes < 2.2 * MIB);
    const { left, removedMessages, damaged } = await look(next);
    expect({ left, damaged }).toEqual({ left: 5000 - removedMessages, damaged: [] });
  });
});
