/** Messages that wait for their time do not go with what has been kept long enough; where one must, it is counted. */
import { expect, test, vi } from "vitest";
import { ScheduleService } from "../../src/broker/schedule.ts";
import type { TabMQ } from "../../src/index.ts";
import { CLEAN_INTERVAL, ROW_REST } from "../../src/model/limits.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { checkStore } from "../support/store-check.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";

const HOUR = 3_600_000;
const MIB = 1024 * 1024;

interface Life {
  mq: TabMQ;
  /** What was delivered, and after how long. */
  got: { text: string; at: number }[];
  send(body: string, delay: object): Promise<unknown>;
  /** Ordinary messages. */
  fill(bytes: number): Promise<void>;
  sleep(ms: number): Promise<void>;
  retention(): Promise<{ minPosition: number; removedTimers: number }>;
}

async function life(broker: Record<string, unknown>, work: (life: Life) => Promise<void>, room: () => { usage: number; quota: number } | null = () => null): Promise<void> {
  const disk = new MemoryDisk();
  const origin = new VirtualOrigin(() => new MemoryStore(disk), { memo: null, estimateRoom: () => Promise.resolve(room()) });
  const { time } = origin;
  await time.run((async () => {
    const mq = await origin.connect({ broker: { defaultTopicQueueNums: 1, ...broker } });
    const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000 });
    const began = time.now();
    const got: Life["got"] = [];
    await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      messageListener: (message) => void got.push({ text: message.text(), at: time.now() - began }),
    });
    await work({
      mq, got,
      send: (body, delay) => producer.send({ topic: "t", body, ...delay }),
      fill: async (bytes) => void (await Promise.all(Array.from({ length: bytes / 32_768 }, () => producer.send({ topic: "other", body: new Uint8Array(32_768) })))),
      sleep: (ms) => time.sleep(ms),
      retention: async () => (await mq.diagnostics()).broker.retention,
    });
    await mq.close();
    await origin.stopWorker();
  })());
  expect(checkStore(disk)).toEqual([]);
}

/** Timers and a level that outlast the log they were stored in, by age. What came, and how many were counted as removed. */
async function outlast(): Promise<{ got: Life["got"]; removed: number }> {
  const result = { got: [] as Life["got"], removed: -1 };
  await life({ fileReservedTime: HOUR, messageDelayLevel: "5h" }, async ({ got, send, fill, sleep, retention }) => {
    for (const hours of [9, 3, 6]) await send(`${hours}`, { deliverAfter: hours * HOUR });
    await send("level", { delayTimeLevel: 1 });
    await fill(4 * MIB);
    for (let hour = 0; hour < 10; hour++) {
      await sleep(HOUR);
      await fill(2 * MIB);
    }
    expect((await retention()).minPosition).toBeGreaterThan(4 * MIB);
    Object.assign(result, { got, removed: (await retention()).removedTimers });
  });
  return result;
}

test("they outlast the log that they were stored in, and come at their time", async () => {
  const { got, removed } = await outlast();
  expect(got.map(({ text }) => text)).toEqual(["3", "level", "6", "9"]);
  for (const [index, hours] of [3, 5, 6, 9].entries()) {
    expect(got[index]!.at).toBeGreaterThanOrEqual(hours * HOUR);
    expect(got[index]!.at).toBeLessThan(hours * HOUR + 2000);
  }
  expect(removed).toBe(0);
});

test("control: where nobody gets them out of the way they are gone, and counted", async () => {
  const spy = vi.spyOn(ScheduleService.prototype, "makeWay").mockResolvedValue(true);
  const { got, removed } = await outlast();
  spy.mockRestore();
  expect(got).toEqual([]);
  expect(removed).toBe(3);
});

test("a log that is limited to little keeps them, and stays within its limit", () =>
  life({ maxStoreBytes: 2 * MIB }, async ({ mq, got, send, fill, sleep, retention }) => {
    for (let index = 0; index < 100; index++) await send(`${index}`, { deliverAfter: HOUR + index });
    await sleep(ROW_REST);
    for (let round = 0; round < 5; round++) {
      await fill(2 * MIB);
      await sleep(CLEAN_INTERVAL);
    }
    const { position } = (await mq.diagnostics()).broker;
    expect(position - (await retention()).minPosition).toBeLessThan(3.1 * MIB);
    await sleep(HOUR);
    expect(got.map(({ text }) => text)).toEqual(Array.from({ length: 100 }, (_, index) => `${index}`));
  }));

test("where nearly all that there is waits, the log grows above its limit rather than go round and round", () =>
  life({ maxStoreBytes: 2 * MIB }, async ({ mq, got, send, sleep, retention }) => {
    await Promise.all(Array.from({ length: 200 }, (_, index) => send(`${index} ${"x".repeat(20_000)}`, { deliverAfter: HOUR })));
    await sleep(10 * CLEAN_INTERVAL);
    const { position } = (await mq.diagnostics()).broker;
    expect((await retention()).minPosition).toBe(0);
    await sleep(10 * CLEAN_INTERVAL);
    // Nothing has been written meanwhile.
    expect((await mq.diagnostics()).broker.position).toBe(position);
    await sleep(2 * HOUR);
    expect(got).toHaveLength(200);
  }));

test("near the end of the quota they go like all others, and are counted", () =>
  life({}, async ({ got, send, fill, sleep, retention }) => {
    for (let index = 0; index < 100; index++) await send(`${index} ${"x".repeat(40_000)}`, { deliverAfter: HOUR });
    await fill(MIB);
    await sleep(HOUR / 2);
    expect((await retention()).minPosition).toBeGreaterThan(0);
    await sleep(HOUR);
    const { removedTimers } = await retention();
    expect(removedTimers).toBeGreaterThan(0);
    expect(got.length + removedTimers).toBe(100);
  }, () => ({ usage: 88, quota: 100 })));
