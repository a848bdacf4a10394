/** tabmq/testing, from its source: a broker in the same process, whose time stands still until a test lets it pass. */
import { pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MQError, type TabMQ } from "../../src/index.ts";
import { createTestBroker, type TestBroker } from "../../src/testing/index.ts";

const derive = promisify(pbkdf2);
const FIRST = "CONSUME_FROM_FIRST_OFFSET" as const;
let broker: TestBroker;
let mq: TabMQ;

beforeEach(async () => {
  broker = createTestBroker({ now: Date.UTC(2026, 0, 1) });
  mq = await broker.connect();
});
afterEach(() => broker.close());

/** What a consumer of a tab gets. */
async function consume(tab: TabMQ, got: string[], fails = 0): Promise<void> {
  let left = fails;
  await tab.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: FIRST,
    messageListener: (message) => {
      if (left-- > 0) throw new Error("not yet");
      got.push(message.text());
    },
  });
}

test("sends and consumes without any time passing", async () => {
  const producer = await mq.createProducer({ producerGroup: "p" });
  const got: string[] = [];
  await consume(await broker.connect(), got);
  expect(await producer.send({ topic: "t", body: "1" })).toMatchObject({ sendStatus: "SEND_OK", queueOffset: 0 });
  await broker.clock.advance(0);
  expect(got).toEqual(["1"]);
  expect(broker.clock.now()).toBe(Date.UTC(2026, 0, 1));
});

describe("the clock", () => {
  test("what waits comes when its time has passed, and not before", async () => {
    const producer = await mq.createProducer({ producerGroup: "p" });
    const got: string[] = [];
    await consume(mq, got);
    await producer.send({ topic: "t", body: "later", deliverAfter: 3_600_000 });
    await broker.clock.advance(3_599_999);
    expect(got).toEqual([]);
    await broker.clock.advance(1);
    expect(got).toEqual(["later"]);
  });

  test("a retry comes after ten seconds", async () => {
    const producer = await mq.createProducer({ producerGroup: "p" });
    const got: string[] = [];
    await consume(mq, got, 1);
    await producer.send({ topic: "t", body: "again" });
    await broker.clock.advance(9_000);
    expect(got).toEqual([]);
    await broker.clock.advance(2_000);
    expect(got).toEqual(["again"]);
  });

  test("refuses to go back, and what is no time", async () => {
    const now = broker.clock.now();
    for (const ms of [-1, Number.NaN, Infinity, "5" as unknown as number]) await expect(broker.clock.advance(ms)).rejects.toThrow(RangeError);
    await broker.clock.advance(5);
    expect(broker.clock.now()).toBe(now + 5);
  });

  test("waits for the cipher, which works in threads that may be busy", async () => {
    const tab = await broker.connect({ namespace: "secret", encryptionKey: new Uint8Array(32) });
    const producer = await tab.createProducer({ producerGroup: "p" });
    const got: string[] = [];
    await consume(tab, got);
    await producer.send({ topic: "t", body: "1" });
    await broker.clock.advance(1000);
    await producer.send({ topic: "t", body: "later", deliverAfter: 1000 });
    const busy = Array.from({ length: 8 }, () => derive("x", "y", 50_000, 64, "sha512"));
    await broker.clock.advance(2000);
    expect(got).toEqual(["1", "later"]);
    await Promise.all(busy);
  });
});

describe("faults", () => {
  test("the next send fails, as the test says, and the one after it does not", async () => {
    const producer = await mq.createProducer({ producerGroup: "p" });
    const message = { topic: "t", body: "1" };
    broker.failNextSend();
    await expect(producer.send(message)).rejects.toMatchObject({ code: "STORAGE_FULL", outcome: "rejected" });
    broker.failNextSend({ code: "DEADLINE_EXCEEDED", stored: true });
    await expect(producer.send(message)).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED", outcome: "unknown", retriable: true });
    // It is stored, and what is sent again is another message: whoever wants one sends the same object while it is in doubt.
    await producer.send({ topic: "t", body: "2" });
    const { queues } = await mq.admin.topicStats("t");
    expect(queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0)).toBe(2);
  });

  test("a store that is full refuses, and takes again when there is room", async () => {
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "t", body: "1" });
    broker.refuseStore();
    const refused = expect(producer.send({ topic: "t", body: "2" })).rejects.toMatchObject({ code: "STORAGE_FULL" });
    await broker.clock.advance(30_000);
    await refused;
    broker.refuseStore(false);
    await broker.clock.advance(30_000);
    expect(await producer.send({ topic: "t", body: "3" })).toMatchObject({ sendStatus: "SEND_OK" });
  });

  test("a worker that dies is followed by one that has everything", async () => {
    const producer = await mq.createProducer({ producerGroup: "p" });
    const got: string[] = [];
    await consume(mq, got);
    await producer.send({ topic: "t", body: "1" });
    await broker.clock.advance(1000);
    await broker.crash();
    const sent = producer.send({ topic: "t", body: "2" });
    await broker.clock.advance(5000);
    await sent;
    await broker.clock.advance(1000);
    expect(got).toEqual(["1", "2"]);
  });

  test("a tab that dies leaves its work to the others", async () => {
    const producer = await mq.createProducer({ producerGroup: "p" });
    const doomed = await broker.connect();
    await doomed.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: FIRST, messageListener: () => new Promise(() => {}) });
    await producer.send({ topic: "t", body: "1" });
    await broker.clock.advance(1000);
    const got: string[] = [];
    await consume(mq, got);
    await broker.clock.advance(1000);
    expect(got).toEqual([]);
    await broker.disconnect(doomed);
    await broker.clock.advance(1000);
    expect(got).toEqual(["1"]);
  });
});

test("what is on its way when the broker is closed ends, and what is asked later is refused", async () => {
  const [producer, other] = [await mq.createProducer({ producerGroup: "p" }), await broker.connect()];
  await consume(mq, []);
  await broker.crash();
  const sending = producer.send({ topic: "t", body: "1" }).catch((error: unknown) => error);
  await broker.close();
  await broker.close();
  expect(await sending).toBeInstanceOf(MQError);
  await expect(producer.send({ topic: "t", body: "2" })).rejects.toMatchObject({ code: "CLOSED" });
  await expect(mq.admin.topics()).rejects.toMatchObject({ code: "CLOSED" });
  await expect(other.createProducer({ producerGroup: "p" })).rejects.toMatchObject({ code: "CLOSED" });
  await expect(broker.connect()).rejects.toMatchObject({ code: "CLOSED" });
});

test("works where the page is a simulated one, whose globals are not of the realm in which Node makes its own", async () => {
  const realm = runInNewContext("({ ArrayBuffer, Uint8Array })") as Record<string, unknown>;
  for (const [name, value] of Object.entries(realm)) vi.stubGlobal(name, value);
  try {
    const producer = await mq.createProducer({ producerGroup: "p" });
    const got: string[] = [];
    await consume(mq, got);
    await producer.send({ topic: "t", body: { id: 7 } });
    await broker.clock.advance(1000);
    expect(got).toEqual([`{"id":7}`]);
  } finally {
    vi.unstubAllGlobals();
  }
});

test("brokers, and the namespaces of one, share nothing", async () => {
  const producer = await mq.createProducer({ producerGroup: "p" });
  await producer.send({ topic: "t", body: "1" });
  const names = async (tab: TabMQ): Promise<string[]> => (await tab.admin.topics()).map(({ topic }) => topic);
  expect(await names(mq)).toContain("t");
  expect(await names(await broker.connect({ namespace: "other" }))).not.toContain("t");
  const second = createTestBroker();
  expect(await names(await second.connect())).not.toContain("t");
  await second.close();
});

test("an HTTP outbox sends by the test's fetch, and waits while it is offline", async () => {
  const asked: string[] = [];
  const own = createTestBroker({ fetch: async (_url, init) => (asked.push(String(init?.body)), new Response(null, { status: asked.length === 1 ? 503 : 201 })) });
  const tab = await own.connect();
  const outbox = await tab.createHttpOutbox({ consumerGroup: "sync", topic: "t", request: () => ({ url: "/api" }) });
  const producer = await tab.createProducer({ producerGroup: "p" });
  own.setOnline(false);
  await producer.send({ topic: "t", body: "1" });
  await own.clock.advance(3_600_000);
  expect(asked).toEqual([]);
  own.setOnline(true);
  await own.clock.advance(2000);
  expect(asked).toEqual(["1", "1"]);
  expect(await outbox.waiting()).toBe(0);
  await own.close();
});
