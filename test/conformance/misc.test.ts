/**
 * What a consumer asks for next, by its bookkeeping; and by a real broker: consumer lag, how a topic's queues are shown
 * to producers and consumers, and topics that are made on the first send.
 */
import { afterEach, describe, expect, test } from "vitest";
import { HeldQueues } from "../../src/client/held-queues.ts";
import { CONSUME_MAX_SPAN, DEFAULT_PULL_BATCH, DEFAULT_THRESHOLD_FOR_QUEUE } from "../../src/model/limits.ts";
import type { MessageExt } from "../../src/model/message.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import table from "./data/misc.json" with { type: "json" };

let origin: NodeOrigin | undefined;
afterEach(async () => {
  await origin?.close();
  origin = undefined;
});

/** Exactly at a limit RocketMQ asks for one more batch; here the limit is the most that a tab is to hold. One offset, or byte, below it, it asks too. */
const AT_THE_LIMIT = new Map([[1, { cachedMessages: -1 }], [3, { cachedMiB: -1 / 2 ** 20 }], [5, { offsetSpan: -1 }]]);

describe("flowControl", () => {
  /** Whether more is wanted of a queue. Nothing is polled for, so there is no delay: it is asked again as soon as there is room. */
  function action({ cachedMessages, cachedMiB, offsetSpan, orderly, queueLocked }: Omit<(typeof table.flowControl)[number], "id" | "expected">): string {
    const queues = new HeldQueues(
      { pullBatchSize: DEFAULT_PULL_BATCH, thresholdForQueue: DEFAULT_THRESHOLD_FOR_QUEUE, thresholdSizeForQueue: 100 * 2 ** 20, maxSpan: orderly ? Infinity : CONSUME_MAX_SPAN },
      () => {},
    );
    const queue = { topic: "t", queueId: 0 };
    queues.assign([{ ...queue, offset: 0, done: [] }], "broker-a");
    const count = Math.max(cachedMessages, cachedMiB > 0 ? 1 : 0);
    const storeSize = (cachedMiB * 2 ** 20) / count;
    const messages = Array.from({ length: count }, (_, queueOffset) => ({ ...queue, queueOffset, storeSize }) as unknown as MessageExt);
    const received = queues.receive({ generation: 1, progress: [{ ...queue, nextOffset: Math.max(offsetSpan, count) }], records: new Uint8Array(0) }, messages, queues.snapshot(), new Map());
    // The broker's lock is its handover: a queue that is not this consumer's is held only as long as something of it runs.
    for (const { processQueue } of received) queues.began(processQueue);
    if (queueLocked === false) queues.assign([], "broker-a");
    const [held] = queues.report().held;
    return held !== undefined && held.want > 0 ? "pull" : "later";
  }

  test.each(table.flowControl)("row $id: $cachedMessages messages, $cachedMiB MiB, span $offsetSpan, orderly $orderly, locked $queueLocked", ({ id, expected, ...input }) => {
    const atLimit = AT_THE_LIMIT.get(id);
    expect(action(input)).toBe(atLimit === undefined ? expected.action : "later");
    if (atLimit === undefined) return;
    const below = { ...input };
    for (const [name, change] of Object.entries(atLimit)) below[name as keyof typeof atLimit] += change;
    expect(action(below)).toBe(expected.action);
  });
});

describe("expiry", () => {
  test.skip.each(table.expiry)("row $id: $kind: a lock tells at once who is gone, not the age of a heartbeat; a tab that sleeps loses its queues after 30 s (test/sim/starved.ts)", () => {});
});

/** What createTopic refuses, and what there is not. */
const NO_SUCH_ROUTE = new Map([
  [3, "createTopic refuses more queues to write to than can be read"],
  [8, "topics inherit nothing"],
]);

describe("routes", () => {
  for (const { id, writeQueues, readQueues, perm, masterAlive, publishQueues, subscribeQueues, note = "" } of table.routes) {
    if (!masterAlive) {
      test.skip(`row ${id}, ${note}: there is one broker, and it is the master`, () => {});
      continue;
    }
    const why = NO_SUCH_ROUTE.get(id);
    test([`row ${id}`, note, why].filter(Boolean).join(": "), async () => {
      origin = new NodeOrigin();
      const mq = await origin.connect();
      const created = mq.admin.createTopic({ topic: "t", writeQueueNums: writeQueues, readQueueNums: readQueues, perm });
      if (why !== undefined) return void (await expect(created).rejects.toMatchObject({ code: "INVALID_PARAMETER" }));
      await created;
      const producer = await mq.createProducer({ producerGroup: "p" });
      let published = 0;
      const sent = producer.send({ topic: "t", body: "x" }, { selector: (queues) => ((published = queues.length), queues[0]!) });
      if (publishQueues === 0) await expect(sent).rejects.toMatchObject({ code: "NO_PERMISSION" });
      else await sent.then(() => expect(published).toBe(publishQueues));
      const got: string[] = [];
      const consumer = await mq.createPushConsumer({
        consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: (message) => void got.push(message.text()),
      });
      expect(consumer.assignment().filter(({ topic }) => topic === "t")).toHaveLength(subscribeQueues);
      if (publishQueues === 0) return;
      // What may not be read now is read when it may.
      if (subscribeQueues === 0) await mq.admin.createTopic({ topic: "t", perm: 6 });
      await until(() => got.length === 1);
    });
  }
});

/** One setting stands for the template and for the client's wish, and nothing is inherited. */
const NO_TEMPLATE = new Map([[3, "there is no template that could forbid it"], [4, "defaultTopicQueueNums is 1 at least"]]);

describe("autoCreate", () => {
  for (const { id, clientDefaultQueues, templateQueues, autoCreateEnabled, expected } of table.autoCreate) {
    const why = NO_TEMPLATE.get(id);
    if (why !== undefined) {
      test.skip(`row ${id}: ${why}`, () => {});
      continue;
    }
    test(`row ${id}: ${clientDefaultQueues} of ${templateQueues} queues, enabled ${autoCreateEnabled}`, async () => {
      origin = new NodeOrigin();
      // The default is the client's 4; where the client asks for more than the template has, the template's number is what can be set.
      const defaultTopicQueueNums = clientDefaultQueues > templateQueues ? { defaultTopicQueueNums: templateQueues } : {};
      const mq = await origin.connect({ broker: { autoCreateTopicEnable: autoCreateEnabled, ...defaultTopicQueueNums } });
      const sent = (await mq.createProducer({ producerGroup: "p" })).send({ topic: "t", body: "x" });
      if (expected === null) await expect(sent).rejects.toMatchObject({ code: "TOPIC_NOT_EXIST" });
      else await sent;
      const made = (await mq.admin.topics()).find(({ topic }) => topic === "t");
      expect(made === undefined ? null : { readQueues: made.readQueueNums, writeQueues: made.writeQueueNums, perm: made.perm }).toEqual(expected);
    });
  }
});

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
