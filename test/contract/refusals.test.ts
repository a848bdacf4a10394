/** What cannot be done is said, by an MQError that names the field: nothing is ignored, nothing is a TypeError. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TabMQ } from "../../src/index.ts";
import { NodeOrigin } from "../support/node-broker.ts";

let origin: NodeOrigin;
let mq: TabMQ;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect();
  await mq.admin.createTopic({ topic: "t", readQueueNums: 2, writeQueueNums: 2 });
});
afterEach(() => origin.close());

const queue = { topic: "t", brokerName: "broker-a", queueId: 1 };
const elsewhere = { ...queue, brokerName: "broker-b" };

describe("queues that are not there", () => {
  test("minOffset and maxOffset want this broker's name", async () => {
    expect(await mq.admin.maxOffset(queue)).toBe(0);
    const { brokerName: _gone, ...nameless } = queue;
    for (const wrong of [elsewhere, nameless as typeof queue]) {
      await expect(mq.admin.minOffset(wrong)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "queue.brokerName" });
      await expect(mq.admin.maxOffset(wrong)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "queue.brokerName" });
    }
  });

  test("so do pull, seek, pause and assign", async () => {
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    await expect(pull.pull(elsewhere, "*", 0, 1)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "pull.queue.brokerName" });
    await expect(pull.seek(elsewhere, 0)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "seek.queue.brokerName" });
    expect(() => pull.pause([queue, elsewhere])).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "pause[1].brokerName" }));
    expect(() => pull.assign([elsewhere])).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "assign[0].brokerName" }));
  });

  test("assign refuses a queue that does not exist, and poll tells of it too", async () => {
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    await expect(pull.assign([queue, { ...queue, queueId: 2 }])).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "assign[1].queueId" });
    await expect(pull.poll({ timeout: 0 })).rejects.toMatchObject({ field: "assign[1].queueId" });
    expect((await mq.admin.consumeStats("g")).queues).toEqual([]);
    await expect(pull.assign([{ ...queue, topic: "none" }])).rejects.toMatchObject({ code: "TOPIC_NOT_EXIST" });
    await pull.assign([queue]);
    expect(pull.assignment()).toEqual([queue]);
  });

  test("an assign that nobody awaits throws nothing at nobody", async () => {
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    void pull.assign([{ ...queue, queueId: 9 }]);
    await expect(pull.poll()).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "assign[0].queueId" });
  });
});

test("a send with a queue and a selector is refused, not half obeyed", async () => {
  const producer = await mq.createProducer({ producerGroup: "p" });
  const selector = (): typeof queue => ({ ...queue, queueId: 0 });
  await expect(producer.send({ topic: "t", body: "x" }, { queue, selector })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "send.selector" });
  expect((await producer.send({ topic: "t", body: "x" }, { queue })).messageQueue.queueId).toBe(1);
  expect((await producer.send({ topic: "t", body: "x" }, { selector })).messageQueue.queueId).toBe(0);
});
