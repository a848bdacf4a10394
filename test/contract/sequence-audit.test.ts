/** A producer that numbers its messages, and consumers that tell what is missing in between or comes twice. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Resends } from "../../src/broker/resends.ts";
import { Subscriptions } from "../../src/client/subscriptions.ts";
import type { MessageExt, Producer, PushConsumer, PushConsumerOptions, SequenceGap, TabMQ } from "../../src/index.ts";
import { PROPERTY } from "../../src/model/properties.ts";
import { writerLock } from "../../src/protocol/lock-names.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import { MemoryStore } from "../../src/storage/memory-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { asDamaged } from "../support/sound-stores.ts";

const queue = (queueId: number): { topic: string; brokerName: string; queueId: number } => ({ topic: "t", brokerName: "broker-a", queueId });

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ clientId: "a" });
  await mq.admin.createTopic({ topic: "t", readQueueNums: 2, writeQueueNums: 2 });
  producer = await mq.createProducer({ producerGroup: "p", sequenceAudit: true });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

interface Seen {
  consumer: PushConsumer;
  got: MessageExt[];
  gaps: SequenceGap[];
}

async function consume(options: Partial<PushConsumerOptions> = {}, on = mq): Promise<Seen> {
  const [got, gaps] = [[] as MessageExt[], [] as SequenceGap[]];
  const consumer = await on.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: (message) => void got.push(message), ...options,
  });
  consumer.on("sequenceGap", (gap) => gaps.push(gap));
  return { consumer, got, gaps };
}

async function send(count: number, queueId = 0, tags?: string, by = producer): Promise<void> {
  for (let at = 0; at < count; at++) await by.send({ topic: "t", body: "x", ...(tags !== undefined && { tags }) }, { queue: queue(queueId) });
}

async function nextBroker(): Promise<void> {
  const { epoch } = (await mq.diagnostics()).broker;
  origin.locks.steal(writerLock("default")).release();
  await until(async () => (await mq.diagnostics()).broker.epoch > epoch);
}

describe("nothing is told", () => {
  test("where nothing is missing: two producers, batches, many at once, the broker's death, a rebalance, a reset", async () => {
    const one = await consume();
    const other = await mq.createProducer({ producerGroup: "q", sequenceAudit: true });
    await Promise.all(Array.from({ length: 50 }, (_, at) => (at % 2 ? producer : other).send({ topic: "t", body: "x" })));
    await producer.send(Array.from({ length: 5 }, () => ({ topic: "t", body: "b", messageGroup: "one" })));
    await nextBroker();
    await send(4);
    const two = await consume({}, await origin.connect({ clientId: "b" }));
    await send(4, 1);
    await Promise.all(Array.from({ length: 20 }, () => producer.send({ topic: "t", body: "x" })));
    await until(() => one.got.length + two.got.length >= 83);
    await mq.admin.resetOffset({ group: "g", topic: "t", offset: 10 });
    await until(async () => (await mq.admin.consumeStats("g")).diffTotal === 0);
    expect([...one.gaps, ...two.gaps]).toEqual([]);
  });

  test("at the beginning, wherever that is, and where a pull consumer goes elsewhere", async () => {
    await send(10);
    const late = await consume({ consumerGroup: "late", consumeFromWhere: "CONSUME_FROM_LAST_OFFSET" });
    await send(2);
    await until(() => late.got.length === 2);
    const pull = await mq.createPullConsumer({ consumerGroup: "pull" });
    const gaps: SequenceGap[] = [];
    pull.on("sequenceGap", (gap) => gaps.push(gap));
    await pull.assign([queue(0)]);
    for (const offset of [8, 2, 5]) {
      await pull.seek(queue(0), offset);
      expect((await pull.poll({ max: 2, timeout: 1000 }))[0]!.queueOffset).toBe(offset);
    }
    expect([late.gaps, gaps]).toEqual([[], []]);
  });

  test("by a consumer that filters; control: one that does not care would tell", async () => {
    const filtered = await consume({ consumerGroup: "f", subscriptions: { t: "a" } });
    await send(1, 0, "a");
    await send(2, 0, "b");
    await send(2, 0, "a");
    await until(() => filtered.got.length === 3);
    expect(filtered.gaps).toEqual([]);
    vi.spyOn(Subscriptions.prototype, "isWhole").mockReturnValue(true);
    const careless = await consume({ consumerGroup: "h", subscriptions: { t: "a" } });
    await until(() => careless.got.length === 3);
    expect(careless.gaps).toMatchObject([{ expected: 2, found: 4, missing: 2 }]);
  });

  test("of what was certainly not stored, also while others were on their way", async () => {
    const seen = await consume();
    const { commit } = MemoryStore.prototype;
    let commits = 0;
    vi.spyOn(MemoryStore.prototype, "commit").mockImplementation(function full(this: MemoryStore, batch) {
      if (batch.log.length > 0 && ++commits % 3 === 2) return Promise.resolve({ status: "rejected", reason: "FULL" });
      return commit.call(this, batch);
    });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 60 }, async (_, at) => {
        await new Promise((resolve) => setTimeout(resolve, at));
        await send(1);
      }),
    );
    vi.restoreAllMocks();
    await send(2);
    const stored = outcomes.filter(({ status }) => status === "fulfilled").length + 2;
    await until(() => seen.got.length === stored);
    expect(stored).toBeLessThan(62);
    expect(seen.gaps).toEqual([]);
  });
});

describe("is told", () => {
  test("what is missing in the log, once, with the message behind it", async () => {
    await send(5);
    // The third of them is damaged where it rests.
    const [, , third] = origin.disk.log.from(0).filter((position) => origin.disk.log.get(position)!.byteLength > CHUNK_HEADER_BYTES);
    const row = origin.disk.log.get(third!)!;
    await nextBroker();
    row[row.byteLength - 1]! ^= 0xff;
    asDamaged(origin.disk, "the third row is another");
    await nextBroker();
    const seen = await consume();
    await send(1);
    await until(() => seen.got.length === 5);
    expect(seen.gaps).toEqual([
      { producer: expect.stringMatching(/^p@[0-9a-f]{16}$/) as string, messageQueue: queue(0), expected: 3, found: 4, missing: 1, msgId: seen.got.find(({ queueOffset }) => queueOffset === 3)!.msgId },
    ]);
  });

  /** The third message is stored by a broker that dies before it says so, and sent again to the next. */
  async function sendAgain(): Promise<Seen> {
    const seen = await consume();
    await send(2);
    const { commit } = MemoryStore.prototype;
    const spy = vi.spyOn(MemoryStore.prototype, "commit").mockImplementation(async function silent(this: MemoryStore, batch) {
      const outcome = await commit.call(this, batch);
      if (batch.log.length === 0) return outcome;
      spy.mockRestore();
      return { status: "unknown", cause: new Error("injected") };
    });
    await send(3);
    return seen;
  }

  test("nothing, of a message that is sent again because nobody knew whether it was stored", async () => {
    const seen = await sendAgain();
    await until(() => seen.got.length === 5);
    const reader = await consume({ consumerGroup: "reader" });
    await until(() => reader.got.length === 5);
    expect([seen.gaps, reader.gaps]).toEqual([[], []]);
  });

  test("control: were it not found, that it is stored twice", async () => {
    vi.spyOn(Resends.prototype, "find").mockResolvedValue([]);
    const seen = await sendAgain();
    await until(() => seen.got.length >= 6);
    // After the broker's death a queue begins without memory, so only what comes behind it is compared.
    const reader = await consume({ consumerGroup: "reader" });
    await until(() => reader.got.length === 6);
    const ids = reader.got.map(({ msgId }) => msgId);
    const [twice] = ids.filter((id, at) => ids.indexOf(id) !== at);
    expect(reader.gaps).toEqual([{ producer: expect.any(String) as string, messageQueue: queue(0), expected: 4, found: 3, missing: 0, msgId: twice }]);
  });
});

test("the number is a property of the system's; one that is not audited has none", async () => {
  const seen = await consume();
  await send(1);
  await (await mq.createProducer({ producerGroup: "plain" })).send({ topic: "t", body: "x" });
  await until(() => seen.got.length === 2);
  expect(seen.got.map(({ properties }) => PROPERTY.SEQUENCE in properties).sort()).toEqual([false, true]);
  await expect(producer.send({ topic: "t", body: "x", properties: { [PROPERTY.SEQUENCE]: "p 1 1" } })).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL" });
});
