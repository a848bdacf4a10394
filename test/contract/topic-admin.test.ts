/** Permissions, message types and queue counts of a topic, changed while it is in use; routes and figures of the broker. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Message, MQError, TabMQ } from "../../src/index.ts";
import { QueueShrinking } from "../../src/broker/queue-shrinking.ts";
import { copyOf } from "../support/memory-disk.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { asDamaged } from "../support/sound-stores.ts";

let origin: NodeOrigin;
let mq: TabMQ;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ broker: { traceEnable: false } });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

const queue = (queueId: number) => ({ topic: "t", brokerName: "broker-a", queueId });
const send = async (body: string, queueId = 0): Promise<unknown> => {
  const producer = await mq.createProducer({ producerGroup: "p" });
  return producer.send({ topic: "t", body, keys: "k" }, { queue: queue(queueId) }).finally(() => producer.shutdown());
};

describe("permissions", () => {
  test("read is taken and given back while consumers of all kinds are there", async () => {
    await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
    const got: string[] = [];
    const take = (name: string) => (message: { text(): string }) => void got.push(`${name} ${message.text()}`);
    const push = await mq.createPushConsumer({ consumerGroup: "push", subscriptions: { t: "*" }, messageListener: take("push") });
    const all = await mq.createPushConsumer({ consumerGroup: "all", subscriptions: { t: "*" }, messageModel: "BROADCASTING", messageListener: take("all") });
    const pull = await mq.createPullConsumer({ consumerGroup: "pull" });
    pull.assign([queue(0)]);
    await pull.seekToBegin(queue(0));
    const simple = await mq.createSimpleConsumer({ consumerGroup: "pop", subscriptions: { t: "*" } });
    await send("1");
    await until(() => got.length === 2);
    expect((await pull.poll({ timeout: 2000, max: 8 })).map((message) => message.text())).toEqual(["1"]);
    await pull.commit();

    await mq.admin.createTopic({ topic: "t", perm: 2 });
    await until(() => push.assignment().every(({ topic }) => topic !== "t") && all.assignment().every(({ topic }) => topic !== "t"));
    const sent = (await send("2")) as { msgId: string };
    expect(await pull.poll({ timeout: 150, max: 8 })).toEqual([]);
    await expect(pull.pull(queue(0), "*", 0, 8)).rejects.toMatchObject({ code: "NO_PERMISSION", field: "topic" });
    await expect(mq.admin.queryMessages({ topic: "t", key: "k" })).rejects.toMatchObject({ code: "NO_PERMISSION" });
    await expect(mq.admin.viewMessage(sent.msgId)).rejects.toMatchObject({ code: "NO_PERMISSION" });
    expect(await simple.receive({ max: 8, invisibleDuration: 1000, awaitDuration: 100 })).toEqual([]);
    expect(got).toHaveLength(2);

    await mq.admin.createTopic({ topic: "t", perm: 6 });
    await until(() => got.length === 4);
    expect(got.toSorted()).toEqual(["all 1", "all 2", "push 1", "push 2"]);
    expect((await pull.poll({ timeout: 2000, max: 8 })).map((message) => message.text())).toEqual(["2"]);
    expect(await mq.admin.queryMessages({ topic: "t", key: "k" })).toHaveLength(2);
  });

  test.each([4, 0])("perm %i: nothing is sent, at once also by a producer that knows the route", async (perm) => {
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "t", body: "1" });
    await mq.admin.createTopic({ topic: "t", perm });
    await expect(producer.send({ topic: "t", body: "2" })).rejects.toMatchObject({ code: "NO_PERMISSION", outcome: "rejected" });
    await expect(producer.send({ topic: "t", body: "2", deliverAfter: 1000 })).rejects.toMatchObject({ code: "NO_PERMISSION" });
    await mq.admin.createTopic({ topic: "t", perm: 6 });
    await producer.send({ topic: "t", body: "3" });
  });
});

describe("message types", () => {
  const kinds: [type: "NORMAL" | "FIFO" | "DELAY", extra: Partial<Message>][] = [
    ["NORMAL", {}], ["FIFO", { messageGroup: "g" }], ["DELAY", { deliverAfter: 3_600_000 }], ["DELAY", { delayTimeLevel: 18 }],
  ];

  test.each(["NORMAL", "FIFO", "DELAY", "PRIORITY", "MIXED", "TRANSACTION"] as const)("%s takes its own, and the broker says what it was offered instead", async (messageType) => {
    await mq.admin.createTopic({ topic: "t", messageType });
    const producer = await mq.createProducer({ producerGroup: "p" });
    for (const [type, extra] of kinds) {
      const sent = producer.send({ topic: "t", body: "x", ...extra });
      if (type === messageType || messageType === "MIXED") await sent;
      else await expect(sent).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", message: `Topic "t" takes ${messageType} messages; this one is of type ${type}.` });
    }
  });

  test.each([{ deliverAfter: 0 }, { deliverAfter: -1 }, { deliverAt: 0 }, { deliverAt: new Date(-1) }, { deliverAt: 1 }])("a time that is not in the future makes it a delayed message too: %j", async (extra) => {
    for (const messageType of ["NORMAL", "DELAY"] as const) await mq.admin.createTopic({ topic: messageType, messageType });
    const producer = await mq.createProducer({ producerGroup: "p" });
    await expect(producer.send({ topic: "DELAY", body: "x", ...extra })).resolves.not.toHaveProperty("recallHandle");
    await expect(producer.send({ topic: "NORMAL", body: "x", ...extra })).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", message: expect.stringMatching(/of type DELAY/) });
    await expect(producer.send([{ topic: "MIXED", body: "x", ...extra }])).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", message: expect.stringMatching(/cannot wait/) });
  });

  test("a type that is none is refused; another one holds from then on, and what is stored stays", async () => {
    await expect(mq.admin.createTopic({ topic: "t", messageType: "SMALL" as "FIFO" })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "createTopic.messageType" });
    await send("normal");
    await mq.admin.createTopic({ topic: "t", messageType: "FIFO" });
    await expect(send("normal")).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL" });
    expect(await mq.admin.queryMessages({ topic: "t", key: "k" })).toHaveLength(1);
  });
});

describe("fewer queues", () => {
  const drained = async (group: string, offset: number, queueId = 1): Promise<unknown> => mq.admin.resetOffset({ group, topic: "t", offset, queue: queue(queueId) });

  test("RocketMQ's way: write to fewer, drain, read fewer; refused until all groups have consumed", async () => {
    await mq.admin.createTopic({ topic: "t", readQueueNums: 2, writeQueueNums: 2 });
    await send("a", 1);
    await send("b", 1);
    await mq.admin.createTopic({ topic: "t", writeQueueNums: 1 });
    const fewer = (): Promise<unknown> => mq.admin.createTopic({ topic: "t", readQueueNums: 1 });
    await expect(fewer()).rejects.toMatchObject({ code: "ILLEGAL_OPERATION", field: "readQueueNums", message: expect.stringContaining("queue 1 holds 2 messages, and no group") as string });
    await drained("g", 2);
    await drained("slow", 1);
    await expect(fewer()).rejects.toMatchObject({ code: "ILLEGAL_OPERATION", message: expect.stringContaining('queue 1 holds 1 messages that group "slow" has not consumed') as string });
    await drained("slow", 2);
    const consumer = await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: () => {} });
    await fewer();
    await until(() => consumer.assignment().filter(({ topic }) => topic === "t").length === 1);
    expect((await mq.admin.topicStats("t")).queues).toHaveLength(1);
    await expect((await mq.createPullConsumer({ consumerGroup: "p" })).pull(queue(1), "*", 0, 1)).rejects.toMatchObject({ code: "INVALID_PARAMETER" });

    // Not even the next broker that reads the whole log brings it back; and when it comes back, nothing is given twice.
    const disk = copyOf(origin.disk);
    disk.state.delete("checkpoint");
    disk.queue.clear();
    disk.index.clear();
    const other = new NodeOrigin(disk);
    const next = await other.connect();
    expect((await next.admin.topicStats("t")).queues).toHaveLength(1);
    await next.admin.createTopic({ topic: "t", readQueueNums: 2, writeQueueNums: 2 });
    const got: string[] = [];
    await next.createPushConsumer({ consumerGroup: "slow", subscriptions: { t: "*" }, messageListener: (message) => void got.push(message.text()) });
    await (await next.createProducer({ producerGroup: "p" })).send({ topic: "t", body: "new" }, { queue: queue(1) });
    await until(() => got.length > 0);
    expect(got).toEqual(["new"]);
    expect((await next.admin.consumeStats("g")).queues.map(({ diff }) => diff)).toEqual([0, 1]);
    await other.close();
  });

  test("of a topic that nobody has used, in one call; of one that is written to, not", async () => {
    await mq.admin.createTopic({ topic: "t", readQueueNums: 8, writeQueueNums: 8 });
    await mq.admin.createTopic({ topic: "t", readQueueNums: 2, writeQueueNums: 2 });
    expect((await mq.admin.topicStats("t")).queues).toHaveLength(2);
    const producer = await mq.createProducer({ producerGroup: "p" });
    // On its way when the shrinking begins to wait, and committed in between.
    const shrunk = mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
    const sent = Promise.all(Array.from({ length: 20 }, () => producer.send({ topic: "t", body: "x" }, { queue: queue(1) }))).catch((error: MQError) => error);
    const [outcome] = await Promise.allSettled([shrunk]);
    await sent;
    const { queues } = await mq.admin.topicStats("t");
    // Either all of them came too late, or none is lost.
    expect(queues.length === 1 ? outcome.status === "fulfilled" : queues[1]!.maxOffset > 0 && outcome.status === "rejected").toBe(true);
  });

  test("control: without the look, messages vanish that nobody has consumed", async () => {
    vi.spyOn(QueueShrinking.prototype, "prepare").mockResolvedValue(() => {});
    await mq.admin.createTopic({ topic: "t", readQueueNums: 2, writeQueueNums: 2 });
    await send("a", 1);
    await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
    expect((await mq.admin.topicStats("t")).queues).toHaveLength(1);
    asDamaged(origin.disk, "messages are left in a queue that the topic no longer has");
  });
});

test("route, cluster and figures", async () => {
  await mq.admin.createTopic({ topic: "t", readQueueNums: 3, writeQueueNums: 2, perm: 6 });
  const broker = { cluster: "DefaultCluster", brokerName: "broker-a", brokerAddrs: { 0: "127.0.0.1:10911" } };
  expect(await mq.admin.topicRoute("t")).toEqual({ topic: "t", queueDatas: [{ brokerName: "broker-a", readQueueNums: 3, writeQueueNums: 2, perm: 6 }], brokerDatas: [broker] });
  await expect(mq.admin.topicRoute("none")).rejects.toMatchObject({ code: "TOPIC_NOT_EXIST" });
  expect(await mq.admin.cluster()).toEqual({ brokerAddrTable: { "broker-a": broker }, clusterAddrTable: { DefaultCluster: ["broker-a"] } });
  await send("one");
  await send("two");
  await (await mq.createPullConsumer({ consumerGroup: "p" })).pull(queue(0), "*", 0, 1);
  const stats = await mq.admin.brokerStats();
  expect(stats).toMatchObject({ brokerName: "broker-a", epoch: 1, topics: 1, groups: 0, clients: 1, messages: 2, putMessages: 2, getMessages: 1, removedMessages: 0 });
  expect([stats.putTps, stats.getTps].every((rate) => rate > 0)).toBe(true);
  expect(stats.bytes).toBe(stats.putBytes);
  expect(stats.getBytes).toBeLessThan(stats.putBytes);
  await expect(mq.admin.persistStorage()).rejects.toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT" });
});
