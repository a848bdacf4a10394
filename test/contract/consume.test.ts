import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Member } from "../../src/broker/member.ts";
import type { MessageExt, Producer, PushConsumerOptions, TabMQ } from "../../src/index.ts";
import { MessageSelector } from "../../src/index.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ broker: { defaultTopicQueueNums: 1 } });
  producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 30_000 });
});
afterEach(() => origin.close());

const q0 = { topic: "t", brokerName: "broker-a", queueId: 0 };

function consumer(tab: TabMQ, listener: PushConsumerOptions["messageListener"], options: Partial<PushConsumerOptions> = {}) {
  return tab.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: listener!, ...options });
}

async function sendNumbers(count: number, topic = "t"): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => producer.send({ topic, body: `${i}` })));
}

const caughtUp = (group = "g") => until(async () => (await mq.admin.consumeStats(group)).diffTotal === 0);

describe("where a group begins", () => {
  test("LAST: exactly with the first message after it joined, also in a young topic", async () => {
    await sendNumbers(3);
    const seen: string[] = [];
    await consumer(mq, (message) => void seen.push(message.text()));
    await producer.send({ topic: "t", body: "after" });
    await until(() => seen.length > 0);
    expect(seen).toEqual(["after"]);
  });

  test("FIRST: with the oldest message", async () => {
    await sendNumbers(3);
    const seen: string[] = [];
    await consumer(mq, (message) => void seen.push(message.text()), { consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    await until(() => seen.length === 3);
  });

  test("a topic, and a queue, that comes into being later is consumed from its first message", async () => {
    const seen: string[] = [];
    await consumer(mq, (message) => void seen.push(message.text()));
    await producer.send({ topic: "t", body: "first ever" });
    await until(() => seen.includes("first ever"));
    await mq.admin.createTopic({ topic: "t", readQueueNums: 3, writeQueueNums: 3 });
    await producer.send({ topic: "t", body: "new queue" }, { queue: { ...q0, queueId: 0 } });
    const other = await origin.connect();
    const fresh = await other.createProducer({ producerGroup: "p" });
    await fresh.send({ topic: "t", body: "third queue" }, { queue: { ...q0, queueId: 2 } });
    await until(() => seen.length === 3);
  });

  test("a group that asked for a topic before there was one, and left, gets everything", async () => {
    const early = await consumer(mq, () => {}, { subscriptions: { young: "*" } });
    await early.shutdown();
    await sendNumbers(5, "young");
    const seen: string[] = [];
    await consumer(mq, (message) => void seen.push(message.text()), { subscriptions: { young: "*" } });
    await until(() => seen.length === 5);
  });

  test("a group that was away goes on where it stopped", async () => {
    const seen: string[] = [];
    const first = await consumer(mq, (message) => void seen.push(message.text()));
    await sendNumbers(5);
    await until(() => seen.length === 5);
    await first.shutdown();
    await producer.send({ topic: "t", body: "while away" });
    await consumer(mq, (message) => void seen.push(message.text()));
    await until(() => seen.length === 6);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(seen).toEqual(["0", "1", "2", "3", "4", "while away"]);
  });
});

describe("sharing", () => {
  beforeEach(() => mq.admin.createTopic({ topic: "t", readQueueNums: 8, writeQueueNums: 8 }));

  test("a queue changes hands when its holder has finished: no message is worked on twice", async () => {
    const [b, c] = [await origin.connect(), await origin.connect()];
    const active = new Map<string, number>();
    const seen: string[] = [];
    let overlaps = 0;
    const slow = (who: number) => async (message: MessageExt): Promise<void> => {
      const key = `${message.queueId}`;
      if (active.has(key) && active.get(key) !== who) overlaps++;
      active.set(key, who);
      await new Promise((resolve) => setTimeout(resolve, 3));
      active.delete(key);
      seen.push(message.msgId);
    };
    const consumers = [await consumer(mq, slow(1), { consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" })];
    const sending = sendNumbers(500);
    consumers.push(await consumer(b, slow(2)));
    await new Promise((resolve) => setTimeout(resolve, 30));
    consumers.push(await consumer(c, slow(3)));
    await new Promise((resolve) => setTimeout(resolve, 30));
    await consumers[1]!.shutdown();
    await sending;
    await caughtUp();
    expect(seen).toHaveLength(500);
    expect(new Set(seen).size).toBe(500);
    expect(overlaps).toBe(0);
    await until(() => consumers[0]!.assignment().length === 4 && consumers[2]!.assignment().length === 4);
  });

  test("a tab that dies gives its queues back at once, and what it had not finished is delivered again", async () => {
    const locks = origin.locks;
    const held: { release(): void }[] = [];
    const dying = await origin.connect({}, {
      locks: { acquire: async (name, options) => { const lock = await locks.acquire(name, options); if (lock !== null && name.includes("/client/")) held.push(lock); return lock; } },
    });
    const stuck: string[] = [];
    const doomed = await consumer(dying, (message) => { stuck.push(message.text()); return new Promise<void>(() => {}); }, { consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    const seen: string[] = [];
    await sendNumbers(50);
    await until(() => stuck.length > 0);
    await consumer(mq, (message) => void seen.push(message.text()), {});
    held[0]!.release();
    await until(() => new Set(seen).size === 50);
    await caughtUp();
    await doomed.shutdown(0);
  });

  test("members of a group need equal subscriptions", async () => {
    const b = await origin.connect();
    await consumer(mq, () => {}, { subscriptions: { t: "x || y" } });
    await consumer(b, () => {}, { subscriptions: { t: MessageSelector.byTag("y||x") } });
    await expect(consumer(b, () => {}, { subscriptions: { t: "x" } })).rejects.toMatchObject({
      code: "SUBSCRIPTION_INCONSISTENT",
      message: expect.stringMatching(/has t "x \|\| y"; this consumer asks for t "x"/),
    });
    await expect(consumer(b, () => {}, { subscriptions: { t: "x || y", u: "*" } })).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT" });
  });

  test("two groups each get everything", async () => {
    const seen: string[][] = [[], []];
    await consumer(mq, (message) => void seen[0]!.push(message.text()));
    await consumer(mq, (message) => void seen[1]!.push(message.text()), { consumerGroup: "h" });
    await sendNumbers(20);
    await until(() => seen.every((list) => list.length === 20));
  });
});

describe("flow", () => {
  test("a slow listener is given no more than its share, and concurrency is kept", async () => {
    let running = 0;
    let most = 0;
    let done = 0;
    await consumer(
      mq,
      async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 1));
        running--;
        done++;
      },
      { consumeConcurrency: 3, pullThresholdForQueue: 10, pullBatchSize: 5 },
    );
    await sendNumbers(200);
    await until(async () => {
      const [row] = (await mq.admin.consumeStats("g")).queues;
      expect(row!.inflight).toBeLessThanOrEqual(15);
      return done === 200;
    });
    expect(most).toBe(3);
    await caughtUp();
  });

  test("a batch listener gets batches of one queue; suspend holds, resume goes on", async () => {
    const sizes: number[] = [];
    const it = await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", consumeMessageBatchMaxSize: 8, consumeConcurrency: 1,
      batchListener: (messages) => void sizes.push(messages.length),
    });
    it.suspend();
    await sendNumbers(32);
    await until(async () => (await mq.admin.consumeStats("g")).queues[0]?.inflight === 32);
    expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(8);
    it.resume();
    await caughtUp();
    expect(sizes.reduce((a, b) => a + b, 0)).toBe(32);
    expect(Math.max(...sizes)).toBe(8);
  });

  test("shutdown waits for the listener and commits what it has done", async () => {
    let [begun, finished] = [false, false];
    const it = await consumer(mq, async () => { begun = true; await new Promise((resolve) => setTimeout(resolve, 30)); finished = true; });
    await producer.send({ topic: "t", body: "x" });
    await until(() => begun);
    await it.shutdown();
    expect(finished).toBe(true);
    expect(await mq.admin.consumeStats("g")).toMatchObject({ diffTotal: 0 });
  });
});

describe("pull consumer", () => {
  test("poll gives what is there, waits for the first, and counts the last poll as consumed", async () => {
    const pull = await mq.createPullConsumer({ consumerGroup: "g", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    pull.subscribe("t");
    expect(await pull.poll({ timeout: 20 })).toEqual([]);
    const waiting = pull.poll({ timeout: 2000 });
    await sendNumbers(25);
    const first = await waiting;
    expect(first.length).toBeGreaterThan(0);
    const rest = [];
    while (first.length + rest.length < 25) rest.push(...(await pull.poll({ max: 7 })));
    expect([...first, ...rest].map((message) => message.text())).toEqual(Array.from({ length: 25 }, (_, i) => `${i}`));
    expect((await mq.admin.consumeStats("g")).diffTotal).toBeGreaterThan(0);
    await pull.shutdown();
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(0);
  });

  test("without autoCommit only commit moves the offset", async () => {
    await sendNumbers(10);
    const options = { consumerGroup: "g", autoCommit: false, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" } as const;
    const pull = await mq.createPullConsumer(options);
    pull.subscribe("t");
    await pull.poll({ max: 4 });
    await pull.poll({ max: 2 });
    await pull.shutdown();
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(10);
    const again = await mq.createPullConsumer(options);
    again.subscribe("t");
    expect((await again.poll({ max: 4 })).map((message) => message.text())).toEqual(["0", "1", "2", "3"]);
    await again.commit();
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(6);
  });

  test("assign, seek to an offset, to the begin, to the end", async () => {
    await sendNumbers(10);
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    const queues = await pull.fetchQueues("t");
    expect(queues).toEqual([q0]);
    pull.assign(queues);
    await pull.seek(q0, 7);
    expect((await pull.poll()).map((message) => message.text())).toEqual(["7", "8", "9"]);
    await pull.seekToBegin(q0);
    expect((await pull.poll({ max: 2 })).map((message) => message.text())).toEqual(["0", "1"]);
    await pull.seekToEnd(q0);
    expect(await pull.poll({ timeout: 30 })).toEqual([]);
    await expect(pull.seek({ ...q0, queueId: 3 }, 0)).rejects.toMatchObject({ code: "INVALID_PARAMETER" });
    await expect(pull.seek(q0, -1)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "seek.offset" });
  });

  test("polls at the same time are all woken", async () => {
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    pull.subscribe("t");
    const polls = [pull.poll({ max: 1, timeout: 20_000 }), pull.poll({ max: 1, timeout: 20_000 })];
    await until(async () => (await mq.diagnostics()).broker.sessions === 1);
    await sendNumbers(2);
    expect((await Promise.all(polls)).flat()).toHaveLength(2);
  });

  test("a poll waits its time, also when another one has taken what came", async () => {
    const pull = await mq.createPullConsumer({ consumerGroup: "g", autoCommit: false });
    pull.subscribe("t");
    const polls = [pull.poll({ max: 1, timeout: 20_000 }), pull.poll({ max: 1, timeout: 20_000 })];
    await sendNumbers(1);
    await Promise.race(polls);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await sendNumbers(1);
    expect((await Promise.all(polls)).map((messages) => messages.length)).toEqual([1, 1]);
  });

  test("nothing that is called, or comes back, after shutdown makes a member of the group", async () => {
    await sendNumbers(3);
    const never = await mq.createPullConsumer({ consumerGroup: "g" });
    never.subscribe("t");
    const late = never.seek(q0, 1);
    await never.shutdown();
    await expect(late).rejects.toMatchObject({ code: "CLOSED" });
    expect(() => never.pause([q0])).toThrow(expect.objectContaining({ code: "CLOSED" }));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect((await mq.admin.consumerConnections("g")).connections).toEqual([]);
  });

  test("what a consumer has of queues it has picked is in flight as well", async () => {
    await sendNumbers(3);
    const pull = await mq.createPullConsumer({ consumerGroup: "g", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    await pull.assign([q0]);
    expect(await pull.poll()).toHaveLength(3);
    await until(async () => (await mq.admin.consumeStats("g")).queues[0]!.inflight === 3);
    expect((await mq.admin.consumeStats("g")).queues[0]).toMatchObject({ consumerOffset: 0, clientId: mq.clientId });
  });

  test("a seek beyond the end is refused and stops nothing", async () => {
    await sendNumbers(3);
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    pull.assign([q0]);
    await expect(pull.seek(q0, 50)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "seek.offset" });
    await pull.seek(q0, 1);
    expect(await pull.poll()).toHaveLength(2);
  });

  test("a queue paused before the first poll stays paused", async () => {
    await sendNumbers(3);
    const pull = await mq.createPullConsumer({ consumerGroup: "g", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    pull.subscribe("t");
    pull.pause([q0]);
    expect(await pull.poll({ timeout: 50 })).toEqual([]);
    pull.resume([q0]);
    expect(await pull.poll()).toHaveLength(3);
  });

  test("for await goes through the messages one by one", async () => {
    await sendNumbers(5);
    const pull = await mq.createPullConsumer({ consumerGroup: "g", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    pull.subscribe("t");
    const seen: string[] = [];
    for await (const message of pull) {
      seen.push(message.text());
      if (seen.length === 5) break;
    }
    expect(seen).toEqual(["0", "1", "2", "3", "4"]);
  });

  test("pause and resume", async () => {
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    await mq.admin.createTopic({ topic: "t" });
    pull.assign([q0]);
    await pull.poll({ timeout: 0 });
    pull.pause([q0]);
    await sendNumbers(3);
    await pull.commit();
    expect(await pull.poll({ timeout: 50 })).toEqual([]);
    pull.resume([q0]);
    expect(await pull.poll()).toHaveLength(3);
  });

  test("raw pull: status, limits, filter", async () => {
    await producer.send({ topic: "t", body: "a", tags: "a" });
    await producer.send({ topic: "t", body: "b", tags: "b" });
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    expect(await pull.pull(q0, "*", 0, 10)).toMatchObject({ status: "FOUND", nextBeginOffset: 2, minOffset: 0, maxOffset: 2 });
    expect(await pull.pull(q0, "b", 0, 10)).toMatchObject({ status: "FOUND", messages: [{ queueOffset: 1 }] });
    expect(await pull.pull(q0, "c", 0, 10)).toMatchObject({ status: "NO_MATCHED_MSG", nextBeginOffset: 2, messages: [] });
    expect(await pull.pull(q0, "*", 2, 10)).toMatchObject({ status: "NO_NEW_MSG", nextBeginOffset: 2 });
    expect(await pull.pull(q0, "*", 99, 10)).toMatchObject({ status: "OFFSET_ILLEGAL", nextBeginOffset: 2 });
  });
});

describe("a filter over a long queue", () => {
  test("finds the few that match among many", async () => {
    await Promise.all(Array.from({ length: 20_000 }, (_, i) => producer.send({ topic: "t", body: "x", tags: i % 5000 === 4999 ? "rare" : "common" })));
    const seen: number[] = [];
    await consumer(mq, (message) => void seen.push(message.queueOffset), { subscriptions: { t: "rare" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    await until(() => seen.length === 4);
    expect(seen).toEqual([4999, 9999, 14_999, 19_999]);
    await caughtUp();
  });
});

test("a fetch that has ended waits for nothing any more: what comes later wakes only the one that waits", async () => {
  const seen: string[] = [];
  await consumer(mq, (message) => void seen.push(message.text()));
  const wake = vi.spyOn(Member.prototype, "wake");
  const wakesOfOne = async (): Promise<number> => {
    const [before, count] = [seen.length, wake.mock.calls.length];
    await producer.send({ topic: "t", body: "x" });
    await until(() => seen.length > before);
    await caughtUp();
    return wake.mock.calls.length - count;
  };
  const first = await wakesOfOne();
  for (let at = 0; at < 30; at++) await wakesOfOne();
  expect(await wakesOfOne()).toBeLessThan(first + 10);
  vi.restoreAllMocks();
});
