/** Messages that are sent with a delay level: where they wait, when they come, and what is no level. */
import { afterEach, describe, expect, test } from "vitest";
import type { Message, MQError } from "../../src/index.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

const origins: NodeOrigin[] = [];
afterEach(() => Promise.all(origins.splice(0).map((origin) => origin.close())));

async function world(messageDelayLevel = "200ms 400ms") {
  const origin = new NodeOrigin();
  origins.push(origin);
  const mq = await origin.connect({ broker: { messageDelayLevel, defaultTopicQueueNums: 1 } });
  const producer = await mq.createProducer({ producerGroup: "p" });
  const got: { text: string; after: number; keys: string[]; properties: Record<string, string>; msgId: string }[] = [];
  await mq.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
    messageListener: (message) => void got.push({ text: message.text(), after: Date.now() - message.bornTimestamp, keys: message.keys, properties: message.properties, msgId: message.msgId }),
  });
  return { mq, producer, got };
}

test("a level is a delay; the message keeps what it is, and nothing of its way is seen", async () => {
  const { mq, producer, got } = await world();
  const late = await producer.send({ topic: "t", body: "late", delayTimeLevel: 2, keys: "k", properties: { mine: "1" } });
  await producer.send({ topic: "t", body: "soon", delayTimeLevel: 1 });
  await producer.send({ topic: "t", body: "now" });
  await until(() => got.length === 3);
  expect(got.map(({ text }) => text)).toEqual(["now", "soon", "late"]);
  expect(got[1]!.after).toBeGreaterThanOrEqual(200);
  expect(got[2]!.after).toBeGreaterThanOrEqual(400);
  expect(got[2]).toMatchObject({ msgId: late.msgId, keys: ["k"] });
  expect(got[2]!.properties).toEqual({ mine: "1" });
  expect(late.messageQueue).toMatchObject({ topic: "t", queueId: 0 });
  expect(await mq.admin.maxOffset({ topic: "SCHEDULE_TOPIC_XXXX", brokerName: "broker-a", queueId: 1 })).toBe(1);
});

describe("what a level can be", () => {
  test.each([0, -1, -7])("%i is none: delivered at once", async (delayTimeLevel) => {
    const { producer, got } = await world("2h");
    await producer.send({ topic: "t", body: "x", delayTimeLevel });
    await until(() => got.length === 1);
  });

  test("beyond the last it is the last", async () => {
    const { mq, producer } = await world("1h 2h");
    await producer.send({ topic: "t", body: "x", delayTimeLevel: 19 });
    expect(await mq.admin.maxOffset({ topic: "SCHEDULE_TOPIC_XXXX", brokerName: "broker-a", queueId: 1 })).toBe(1);
  });

  test.each([Number.NaN, 1.5, Number.POSITIVE_INFINITY, "3", null, 2 ** 31])("%s is refused", async (level) => {
    const { producer } = await world();
    const error = (await producer.send({ topic: "t", body: "x", delayTimeLevel: level as number }).catch((cause: unknown) => cause)) as MQError;
    expect(error).toMatchObject({ code: "MESSAGE_ILLEGAL", field: "message.delayTimeLevel", outcome: "rejected" });
  });

  test("not in a batch", async () => {
    const { producer } = await world();
    const batch: Message[] = [{ topic: "t", body: "x" }, { topic: "t", body: "y", delayTimeLevel: 1 }];
    await expect(producer.send(batch)).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", field: "messages[1]" });
  });
});

test("what is refused is refused for what it is, not for where it would wait", async () => {
  const { mq, producer } = await world();
  await mq.admin.createTopic({ topic: "closed", perm: 4 });
  await expect(producer.send({ topic: "closed", body: "x", delayTimeLevel: 1 })).rejects.toMatchObject({ code: "NO_PERMISSION" });
});

test("a time of its own", async () => {
  const { producer, got } = await world();
  const at = Date.now() + 300;
  await producer.send({ topic: "t", body: "at", deliverAt: at });
  await producer.send({ topic: "t", body: "after", deliverAfter: 100 });
  await until(() => got.length === 2);
  expect(got.map(({ text }) => text)).toEqual(["after", "at"]);
  expect(Date.now()).toBeGreaterThanOrEqual(at);
  expect(got[0]!.properties).toEqual({});
});

test("an exported log knows what waits, what has come and what was called off", async () => {
  const { mq, producer, got } = await world();
  await producer.send({ topic: "t", body: "has come", deliverAfter: 50 });
  const gone = await producer.send({ topic: "t", body: "called off", deliverAfter: 1500 });
  await producer.send({ topic: "t", body: "waits", deliverAfter: 1500 });
  expect(await producer.recall(gone.recallHandle!)).toEqual({ recalled: true });
  await until(() => got.length === 1);
  const exported = await mq.admin.exportLog();
  const other = new NodeOrigin();
  origins.push(other);
  const imported = await other.connect();
  await imported.admin.importLog(exported);
  const again: string[] = [];
  await imported.createPushConsumer({
    consumerGroup: "new", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: (message) => void again.push(message.text()),
  });
  await until(() => again.includes("waits"));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(again).toEqual(["has come", "waits"]);
});

test("whatever a group does with the queue in which they wait, they come", async () => {
  const { mq, producer, got } = await world();
  await producer.send({ topic: "t", body: "x", deliverAfter: 1500 });
  let peeked = 0;
  await mq.createPushConsumer({
    consumerGroup: "curious", subscriptions: { rmq_sys_wheel_timer: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
    messageListener: () => (peeked++, "RECONSUME_LATER"),
  });
  await until(() => peeked > 0);
  await until(() => got.length > 0);
  expect(got.map(({ text }) => text)).toEqual(["x"]);
});

test("a transaction's message waits from its commit on", async () => {
  const { mq, got } = await world();
  let committed = 0;
  const producer = await mq.createTransactionProducer({
    producerGroup: "tx",
    executeLocalTransaction: async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      committed = Date.now();
      return "COMMIT" as const;
    },
    checkLocalTransaction: () => Promise.resolve("UNKNOWN" as const),
  });
  await producer.sendMessageInTransaction({ topic: "t", body: "x", deliverAfter: 300 }, null);
  await until(() => got.length > 0);
  expect(Date.now() - committed).toBeGreaterThanOrEqual(300);
  expect(got[0]!.properties).toEqual({});
});

test("a time beyond timerMaxDelay is refused before the local transaction", async () => {
  const { mq, got } = await world();
  let isDone = false;
  const producer = await mq.createTransactionProducer({
    producerGroup: "tx",
    executeLocalTransaction: () => {
      isDone = true;
      return "COMMIT" as const;
    },
    checkLocalTransaction: () => "UNKNOWN" as const,
  });
  await expect(producer.sendMessageInTransaction({ topic: "t", body: "x", deliverAfter: 40 * 86_400_000 }, null)).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL" });
  expect([isDone, got]).toEqual([false, []]);
});
