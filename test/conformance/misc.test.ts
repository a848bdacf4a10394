/** Consumer lag, by a real broker: so many messages, so many of them consumed. The table's other parts belong to others. */
import { afterEach, describe, expect, test } from "vitest";
import { NodeOrigin } from "../support/node-broker.ts";
import table from "./data/misc.json" with { type: "json" };

let origin: NodeOrigin;
afterEach(() => origin.close());

describe("diff", () => {
  test.each(table.diff.map((row) => [row.id, row.note ?? "", row] as const))("row %i %s", async (id, _note, { queues, diffTotal }) => {
    origin = new NodeOrigin();
    const mq = await origin.connect();
    await mq.admin.createTopic({ topic: "t", readQueueNums: queues.length, writeQueueNums: queues.length });
    const producer = await mq.createProducer({ producerGroup: "p" });
    const places = queues.map((queue, queueId) => ({ ...queue, queue: { topic: "t", brokerName: "broker-a", queueId } }));
    for (const { queue, brokerOffset } of places) {
      await Promise.all(Array.from({ length: brokerOffset }, () => producer.send({ topic: "t", body: "x" }, { queue })));
    }
    for (const { queue, consumerOffset } of places) {
      await mq.admin.resetOffset({ group: "g", topic: "t", offset: consumerOffset ?? 0, queue });
    }
    const stats = await mq.admin.consumeStats("g");
    // Nobody has consumed what does not exist: an offset behind the end is not stored (row 6).
    const isBehindEnd = queues.some(({ brokerOffset, consumerOffset }) => (consumerOffset ?? 0) > brokerOffset);
    expect(stats.diffTotal).toBe(isBehindEnd ? 0 : diffTotal);
    expect(isBehindEnd).toBe(id === 6);
    expect(stats.queues.map(({ brokerOffset }) => brokerOffset)).toEqual(queues.map(({ brokerOffset }) => brokerOffset));
  });
});
