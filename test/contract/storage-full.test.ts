import { afterEach, beforeEach, expect, test } from "vitest";
import type { MQError, Producer, TabMQ } from "../../src/index.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { QuotaStore } from "../support/quota-store.ts";

const STORED = 60;
const topic = { topic: "t", writeQueueNums: 1, readQueueNums: 1 };

let origin: NodeOrigin;
let store: QuotaStore;
let mq: TabMQ;
let producer: Producer;
const load = { isOn: false, ended: Promise.resolve() };
let refusals: MQError[];
beforeEach(async () => {
  origin = new NodeOrigin();
  origin.makeStore = () => (store = new QuotaStore(origin.disk));
  mq = await origin.connect();
  await mq.admin.createTopic(topic);
  producer = await mq.createProducer({ producerGroup: "p" });
  for (let at = 0; at < STORED; at++) await producer.send({ topic: "t", body: `${at}` });
  refusals = [];
});
afterEach(async () => {
  load.isOn = false;
  await load.ended;
  await origin.close();
});

/** The store takes nothing more, and producers go on all the same. */
function fillUp(): void {
  store.quota = store.usage;
  load.isOn = true;
  load.ended = (async () => {
    while (load.isOn) {
      await producer.send({ topic: "t", body: "one too many" }).catch((error: MQError) => refusals.push(error));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
}

async function consume(count: number): Promise<void> {
  let got = 0;
  const consumer = await mq.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: () => void got++,
  });
  await until(() => got >= count);
  await consumer.shutdown();
}

/** Where the group goes on in a broker that knows only the disk. */
async function offsetAfterRestart(): Promise<number> {
  const again = new NodeOrigin(origin.disk);
  const { queues } = await (await again.connect()).admin.consumeStats("g");
  await again.close();
  return queues[0]?.consumerOffset ?? -1;
}

const writtenOffset = (): number => (origin.disk.state.get("offset/g/t") as Record<string, number> | undefined)?.[0] ?? 0;

test("sends are refused, consumers go on, and their offsets are written although producers do not stop", async () => {
  fillUp();
  await until(() => refusals.length > 5);
  await consume(STORED);
  await until(() => writtenOffset() === STORED);
  expect(refusals.every(({ code, outcome }) => code === "STORAGE_FULL" && outcome === "rejected")).toBe(true);
  expect(await offsetAfterRestart()).toBe(STORED);
});

test("control: where the reserve is not there, the offsets are lost at the restart", async () => {
  store.reserve = 0;
  fillUp();
  await until(() => refusals.length > 5);
  await consume(STORED);
  const tries = store.refused.length;
  await until(() => store.refused.length > tries + 5);
  expect(await offsetAfterRestart()).toBeLessThan(STORED);
});

test("what somebody waits for is written at once", async () => {
  fillUp();
  await until(() => refusals.length > 5);
  await mq.admin.createTopic({ topic: "late" });
  await mq.admin.createTopic({ topic: "later" });
  expect([...origin.disk.state.keys()]).toEqual(expect.arrayContaining(["topic/late", "topic/later"]));
});

test("offsets that nobody waits for are written sparingly: the reserve is small", async () => {
  fillUp();
  await until(() => refusals.length > 5);
  const consumer = await mq.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", consumeConcurrency: 1, pullBatchSize: 1,
    messageListener: () => new Promise((resolve) => setTimeout(resolve, 20)),
  });
  const before = store.taken.length;
  const began = performance.now();
  await until(() => writtenOffset() >= STORED);
  const seconds = (performance.now() - began) / 1000;
  expect(store.taken.length - before).toBeLessThanOrEqual(2 * seconds + 3);
  await consumer.shutdown();
});

test("with room again, sends are taken by the same broker, behind the last one that was", async () => {
  fillUp();
  await until(() => refusals.length > 5);
  const { epoch } = (await mq.diagnostics()).broker;
  store.quota = Number.POSITIVE_INFINITY;
  const { queueOffset } = await producer.send({ topic: "t", body: "room" });
  expect(queueOffset).toBeGreaterThanOrEqual(STORED);
  expect((await mq.diagnostics()).broker.epoch).toBe(epoch);
  load.isOn = false;
  await load.ended;
  const pull = await mq.createPullConsumer({ consumerGroup: "g" });
  const { messages } = await pull.pull({ topic: "t", brokerName: "broker-a", queueId: 0 }, "*", STORED, 1000);
  expect(messages[0]!.queueOffset).toBeGreaterThanOrEqual(STORED);
  expect(messages.some((message) => message.text() === "room")).toBe(true);
});

test("diagnostics say that sends are refused, from the first refusal until a message is stored again; that facts are written is no room", async () => {
  const isFull = async (): Promise<boolean> => (await mq.diagnostics()).broker.storageFull;
  expect(await isFull()).toBe(false);
  fillUp();
  await until(() => refusals.length > 0);
  load.isOn = false;
  await load.ended;
  expect(await isFull()).toBe(true);
  await mq.admin.createTopic({ topic: "late" });
  expect(await isFull()).toBe(true);
  store.quota = Number.POSITIVE_INFINITY;
  await producer.send({ topic: "t", body: "fits" });
  expect(await isFull()).toBe(false);
});
