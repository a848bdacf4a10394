/** Who is connected, and what each has done since, in virtual time. */
import { afterEach, expect, test, vi } from "vitest";
import { ClientTraffic } from "../../src/broker/client-traffic.ts";
import type { ClientConnection, TabMQ } from "../../src/index.ts";
import { MAX_SENT_TOPICS } from "../../src/model/limits.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";

const SECOND = 1000;
const FIRST = "CONSUME_FROM_FIRST_OFFSET" as const;
afterEach(() => void vi.restoreAllMocks());

async function inTime(work: (origin: VirtualOrigin, tab: (clientId: string) => Promise<TabMQ>) => Promise<void>): Promise<void> {
  const disk = new MemoryDisk();
  const origin = new VirtualOrigin(() => new MemoryStore(disk), { memo: null });
  const broker = { defaultTopicQueueNums: 1, messageDelayLevel: "1s", traceEnable: true };
  await origin.time.run(work(origin, (clientId) => origin.connect({ clientId, broker })));
  origin.killAll();
}

const one = async (mq: TabMQ, clientId: string): Promise<ClientConnection> => (await mq.admin.clients()).find((client) => client.clientId === clientId)!;

test("each with its groups and what it has sent and was given; who has gone is not there", () =>
  inTime(async (origin, tab) => {
    const began = origin.time.now();
    const b = await tab("b");
    await origin.time.sleep(SECOND);
    const a = await tab("a");
    const producer = await a.createProducer({ producerGroup: "p" });
    await a.createTransactionProducer({ producerGroup: "tx", executeLocalTransaction: () => "COMMIT", checkLocalTransaction: () => "COMMIT" });
    const got: string[] = [];
    for (const consumerGroup of ["h", "g"]) await b.createPushConsumer({ consumerGroup, subscriptions: { t: "*" }, consumeFromWhere: FIRST, messageListener: (message) => void got.push(message.text()) });
    await producer.send({ topic: "t", body: "1" });
    await producer.send(["2", "3"].map((body) => ({ topic: "t", body })));
    await producer.send({ topic: "u", body: "4", delayTimeLevel: 1 });
    while (got.length < 6) await origin.time.sleep(10);
    const clients = await b.admin.clients();
    expect(clients).toEqual([
      {
        clientId: "a", connectedTimestamp: expect.any(Number), lastCallTimestamp: expect.any(Number), producerGroups: ["tx"], consumerGroups: [],
        putMessages: 4, putBytes: expect.any(Number), getMessages: 0, topics: ["u", "t"],
      },
      {
        clientId: "b", connectedTimestamp: expect.any(Number), lastCallTimestamp: origin.time.now(), producerGroups: [], consumerGroups: ["g", "h"],
        putMessages: 0, putBytes: 0, getMessages: 6, topics: [],
      },
    ]);
    expect(clients[0]!.putBytes).toBeGreaterThan(4 * 91);
    expect(clients[0]!.connectedTimestamp - clients[1]!.connectedTimestamp).toBeGreaterThanOrEqual(SECOND);
    expect(clients[1]!.connectedTimestamp).toBeGreaterThanOrEqual(began);
    origin.killTab(a);
    await origin.time.sleep(SECOND);
    expect((await b.admin.clients()).map(({ clientId }) => clientId)).toEqual(["b"]);
  }));

test("a consumer asks again and again; a client that does nothing is silent", () =>
  inTime(async (origin, tab) => {
    const [asker, busy] = [await tab("asker"), await tab("busy")];
    await busy.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: () => {} });
    await tab("idle");
    const { lastCallTimestamp: before } = await one(asker, "idle");
    await origin.time.sleep(60 * SECOND);
    expect(origin.time.now() - (await one(asker, "busy")).lastCallTimestamp).toBeLessThanOrEqual(16 * SECOND);
    expect((await one(asker, "idle")).lastCallTimestamp).toBe(before);
  }));

test("however it is given messages, and however it sends them: pulls, simple consumers, a listener's own sends", () =>
  inTime(async (origin, tab) => {
    const [sender, puller, popper, relay] = [await tab("sender"), await tab("puller"), await tab("popper"), await tab("relay")];
    const producer = await sender.createProducer({ producerGroup: "p" });
    for (let at = 0; at < 3; at++) await producer.send({ topic: "t", body: `${at}` });
    const pull = await puller.createPullConsumer({ consumerGroup: "pull" });
    await pull.pull({ topic: "t", brokerName: "broker-a", queueId: 0 }, "*", 1, 10);
    const simple = await popper.createSimpleConsumer({ consumerGroup: "pop", subscriptions: { t: "*" }, consumeFromWhere: FIRST });
    await simple.receive({ max: 2, awaitDuration: 0 });
    await relay.createPushConsumer({
      consumerGroup: "relay", subscriptions: { t: "*" }, consumeFromWhere: FIRST, messageListener: (message, context) => void context.send({ topic: "out", body: message.text() }),
    });
    await origin.time.sleep(SECOND);
    expect(await one(sender, "puller")).toMatchObject({ getMessages: 2, putMessages: 0 });
    expect(await one(sender, "popper")).toMatchObject({ getMessages: 2, consumerGroups: ["pop"] });
    expect(await one(sender, "relay")).toMatchObject({ getMessages: 3, putMessages: 3, topics: ["out"], consumerGroups: ["relay"] });
  }));

test("what is refused, or stored already, is not counted; and the next broker begins anew", () =>
  inTime(async (origin, tab) => {
    const mq = await tab("a");
    await mq.admin.createTopic({ topic: "closed", perm: 4 });
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "closed", body: "x" }).catch(() => {});
    expect(await one(mq, "a")).toMatchObject({ putMessages: 0, topics: [] });
    await producer.send({ topic: "t", body: "x" });
    const { connectedTimestamp } = await one(mq, "a");
    await origin.time.sleep(SECOND);
    origin.killWorker();
    const after = await one(mq, "a");
    expect(after).toMatchObject({ putMessages: 0, putBytes: 0 });
    expect(after.connectedTimestamp).toBeGreaterThan(connectedTimestamp);
  }));

test("topics: the newest first, no more than so many, each once; what is told of lives is none", () => {
  const traffic = new ClientTraffic();
  for (let at = 0; at < 100; at++) traffic.put(1, 10, [`t${at}`]);
  expect(traffic.topics).toEqual(Array.from({ length: MAX_SENT_TOPICS }, (_, at) => `t${99 - at}`));
  traffic.put(1, 10, ["t90"]);
  traffic.put(1, 10, ["t90"]);
  expect(traffic.topics.slice(0, 3)).toEqual(["t90", "t99", "t98"]);
  expect(traffic.topics).toHaveLength(MAX_SENT_TOPICS);
  traffic.put(30_000, 1, Array.from({ length: 30_000 }, (_, at) => `many${at}`));
  expect(traffic.topics).toEqual(Array.from({ length: MAX_SENT_TOPICS }, (_, at) => `many${29_999 - at}`));
  const { putMessages } = traffic;
  traffic.put(5, 10, ["RMQ_SYS_TRACE_TOPIC"]);
  expect([traffic.putMessages, traffic.topics[0]]).toEqual([putMessages, "many29999"]);
});

test("control: where nothing is counted, nobody has sent", () =>
  inTime(async (_origin, tab) => {
    vi.spyOn(ClientTraffic.prototype, "put").mockImplementation(() => {});
    const mq = await tab("a");
    await (await mq.createProducer({ producerGroup: "p" })).send({ topic: "t", body: "x" });
    expect(await one(mq, "a")).toMatchObject({ putMessages: 0, topics: [] });
  }));
