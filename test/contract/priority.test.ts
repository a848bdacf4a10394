import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Message, MQError, Producer, TabMQ } from "../../src/index.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect();
  producer = await mq.createProducer({ producerGroup: "p" });
});
afterEach(async () => {
  await origin.close();
});

async function backlog(priorities: number[], messageType: "PRIORITY" | "MIXED" = "PRIORITY"): Promise<void> {
  await mq.admin.createTopic({ topic: "t", readQueueNums: 4, writeQueueNums: 4, messageType });
  for (const [at, priority] of priorities.entries()) await producer.send({ topic: "t", body: `${priority}.${at}`, priority });
}

async function received(max: number, rounds: number): Promise<string[]> {
  const simple = await mq.createSimpleConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
  const bodies: string[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const message of await simple.receive({ max, awaitDuration: 0 })) {
      bodies.push(message.text());
      await simple.ack(message);
    }
  }
  return bodies;
}

describe("priorities", () => {
  test("each level has a queue, and those beyond share the last; the message tells its priority", async () => {
    await mq.admin.createTopic({ topic: "t", readQueueNums: 4, writeQueueNums: 4, messageType: "PRIORITY" });
    const places = await Promise.all([0, 1, 3, 4, 99].map((priority) => producer.send({ topic: "t", body: "x", priority })));
    expect(places.map(({ messageQueue }) => messageQueue.queueId)).toEqual([0, 1, 3, 3, 3]);
    const simple = await mq.createSimpleConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    const [first] = await simple.receive({ max: 1 });
    expect([first!.priority, { ...first!.properties }]).toEqual([3, {}]);
  });

  test("a simple consumer gets the highest first, whenever it asks, and within a level in order", async () => {
    await backlog([0, 2, 1, 3, 0, 2, 3, 7]);
    expect(await received(1, 8)).toEqual(["3.3", "3.6", "7.7", "2.1", "2.5", "1.2", "0.0", "0.4"]);
  });

  test("what is sent meanwhile with a higher one goes before what waits", async () => {
    await backlog([0, 0]);
    const simple = await mq.createSimpleConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    const next = async (): Promise<string> => (await simple.receive({ max: 1 }))[0]!.text();
    expect(await next()).toBe("0.0");
    await producer.send({ topic: "t", body: "urgent", priority: 2 });
    expect([await next(), await next()]).toEqual(["urgent", "0.1"]);
  });

  test("control: of a topic without priorities the queues take turns", async () => {
    await backlog([0, 2, 1, 3, 0, 2, 3, 7], "MIXED");
    expect((await received(1, 4)).map((body) => body[0])).toEqual(["0", "1", "2", "3"]);
  });

  test("other topics of the group keep their turns", async () => {
    await backlog([0, 1, 2, 3]);
    await mq.admin.createTopic({ topic: "u", readQueueNums: 1, writeQueueNums: 1 });
    for (let at = 0; at < 5; at++) await producer.send({ topic: "u", body: `u${at}` });
    const simple = await mq.createSimpleConsumer({ consumerGroup: "g", subscriptions: { t: "*", u: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    const bodies: string[] = [];
    for (let round = 0; round < 9; round++) bodies.push((await simple.receive({ max: 1, awaitDuration: 0 }))[0]!.text());
    expect(bodies.filter((body) => body[0] !== "u")).toEqual(["3.3", "2.2", "1.1", "0.0"]);
    expect(bodies.filter((body) => body[0] === "u")).toEqual(["u0", "u1", "u2", "u3", "u4"]);
    // Neither waits for the other to be empty.
    expect(bodies.indexOf("u0")).toBeLessThan(bodies.indexOf("0.0"));
    expect(bodies.indexOf("3.3")).toBeLessThan(bodies.indexOf("u4"));
  });

  /** What a push consumer that works on one at a time makes of a backlog, by first digits. */
  async function pushed(): Promise<string> {
    await backlog([0, 1, 2, 3, 0, 1, 2, 3]);
    const bodies: string[] = [];
    await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", consumeConcurrency: 1,
      messageListener: (message) => void bodies.push(message.text()),
    });
    await until(() => bodies.length === 8);
    return bodies.map((body) => body[0]).join("");
  }

  test("a push consumer that comes to a backlog gets the highest first", async () => {
    expect(await pushed()).toBe("33221100");
  });

  test("control: not where the broker takes the topic for one without", async () => {
    Object.defineProperty(origin.host.broker!.topics, "hasPriorities", { value: () => false });
    expect(await pushed()).not.toBe("33221100");
  });

  test.each<[string, Partial<Message>, string]>([
    ["below 0", { priority: -1 }, "message.priority"],
    ["no integer", { priority: 1.5 }, "message.priority"],
    ["no number", { priority: "1" as never }, "message.priority"],
    ["NaN", { priority: Number.NaN }, "message.priority"],
    ["beyond 32 bits", { priority: 2 ** 31 }, "message.priority"],
    ["with a group", { priority: 1, messageGroup: "g" }, "message.messageGroup"],
    ["as a property of one's own", { properties: { _SYS_MSG_PRIORITY_: "1" } }, "message.properties._SYS_MSG_PRIORITY_"],
  ])("refused: %s", async (_what, more, field) => {
    await expect(producer.send({ topic: "t", body: "x", ...more })).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", outcome: "rejected", field });
  });

  test("who gives a priority does not choose the queue; a batch has one priority", async () => {
    const code = (promise: Promise<unknown>): Promise<string> => promise.then(() => "none", (error: MQError) => `${error.code} ${error.field}`);
    expect(await code(producer.send({ topic: "t", body: "x", priority: 1 }, { selector: ([queue]) => queue! }))).toBe("INVALID_PARAMETER send.selector");
    expect(await code(producer.send([{ topic: "t", body: "x", priority: 1 }, { topic: "t", body: "x" }]))).toBe("MESSAGE_ILLEGAL messages[1].priority");
    const { messageQueue } = await producer.send([{ topic: "t", body: "x", priority: 2 }, { topic: "t", body: "y", priority: 2 }]);
    expect(messageQueue.queueId).toBe(2);
  });
});
