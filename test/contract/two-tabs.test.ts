import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MessageExt } from "../../src/index.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
beforeEach(() => void (origin = new NodeOrigin()));
afterEach(() => origin.close());

describe("the main job", () => {
  test("what one tab sends, another consumes, exactly as it was sent", async () => {
    const [a, b] = await Promise.all([origin.connect({ namespace: "shop" }), origin.connect({ namespace: "shop" })]);
    const received: MessageExt[] = [];
    await b.createPushConsumer({
      consumerGroup: "billing",
      subscriptions: { orders: "*" },
      messageListener: (message) => void received.push(message),
    });
    const producer = await a.createProducer({ producerGroup: "checkout" });
    const result = await producer.send({
      topic: "orders", body: { id: 7, what: "tea ☕" }, tags: "created", keys: ["o-7", "c-1"], properties: { region: "eu" }, flag: 42,
    });
    await until(() => received.length === 1);
    const [message] = received;
    expect(message).toMatchObject({
      topic: "orders", tags: "created", keys: ["o-7", "c-1"], flag: 42, msgId: result.msgId, offsetMsgId: result.offsetMsgId,
      queueId: result.messageQueue.queueId, queueOffset: 0, reconsumeTimes: 0, bodyKind: "json",
    });
    expect({ ...message!.properties }).toEqual({ region: "eu" });
    expect(message!.json()).toEqual({ id: 7, what: "tea ☕" });
    expect(result.sendStatus).toBe("SEND_OK");
    await until(async () => (await a.admin.consumeStats("billing")).diffTotal === 0);
  });

  test("several tabs share the queues evenly, and every message is consumed once", async () => {
    const tabs = await Promise.all(Array.from({ length: 4 }, () => origin.connect()));
    const seen: string[][] = [[], [], [], []];
    const consumers = await Promise.all(
      tabs.map((tab, at) =>
        tab.createPushConsumer({
          consumerGroup: "g",
          subscriptions: { t: "*" },
          consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
          messageListener: (message) => void seen[at]!.push(message.msgId),
        }),
      ),
    );
    const producer = await tabs[0]!.createProducer({ producerGroup: "p" });
    const sent = await Promise.all(Array.from({ length: 400 }, (_, i) => producer.send({ topic: "t", body: `m${i}` })));
    await until(() => seen.flat().length >= 400);
    expect(consumers.map((consumer) => consumer.assignment().length)).toEqual([1, 1, 1, 1]);
    expect(seen.flat().sort()).toEqual(sent.map((result) => result.msgId).sort());
    expect(seen.map((list) => list.length)).toEqual([100, 100, 100, 100]);
  });

  test("a tag subscription gets its tags and nothing else, also where two tags share a hash code", async () => {
    const mq = await origin.connect();
    const seen: string[] = [];
    await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "Aa || x" }, messageListener: (message) => void seen.push(message.tags ?? ""),
    });
    const producer = await mq.createProducer({ producerGroup: "p" });
    for (const tags of ["Aa", "BB", "x", "y", "BB", "Aa"]) await producer.send({ topic: "t", body: "b", tags }, { queue: { topic: "t", brokerName: "broker-a", queueId: 0 } });
    await until(async () => (await mq.admin.consumeStats("g")).diffTotal === 0);
    expect(seen).toEqual(["Aa", "x", "Aa"]);
  });

  test("a batch goes to one queue with consecutive offsets", async () => {
    const mq = await origin.connect();
    const producer = await mq.createProducer({ producerGroup: "p" });
    const result = await producer.send(["a", "b", "c"].map((body) => ({ topic: "t", body })));
    expect(result.msgId.split(",")).toHaveLength(3);
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    const { messages, status } = await pull.pull(result.messageQueue, "*", result.queueOffset, 32);
    expect(status).toBe("FOUND");
    expect(messages.map((message) => [message.text(), message.queueOffset])).toEqual([["a", 0], ["b", 1], ["c", 2]]);
  });
});
