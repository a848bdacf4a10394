/** A consumer outlives its broker: what it has done is not done again, unless an admin wants it so. */
import { describe, expect, test, vi } from "vitest";
import { ConsumerGroup } from "../../src/broker/consumer-group.ts";
import { Member } from "../../src/broker/member.ts";
import { Offsets } from "../../src/broker/offsets.ts";
import { HeldQueues } from "../../src/client/held-queues.ts";
import { Witness } from "../../src/client/witness.ts";
import type { PushConsumerOptions } from "../../src/index.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";

interface Seen {
  /** Calls of the listener, by message. */
  calls: number[];
  /** Calls that began while another one for the same message was going on. */
  overlaps: number;
  left: number;
}

/** Runs in virtual time, and stops the last broker behind it. Each broker opens what `disk` says then. */
function live<T>(work: (origin: VirtualOrigin) => Promise<T>, disk?: () => MemoryDisk): Promise<T> {
  const kept = new MemoryDisk();
  const origin = new VirtualOrigin(() => new MemoryStore(disk?.() ?? kept), { memo: null });
  return origin.time.run(
    (async () => {
      const result = await work(origin);
      await origin.stopWorker();
      return result;
    })(),
  );
}

/** One tab consumes 40 messages, 2 s each; its broker dies after a second, in the middle of many. */
function outlive(options: Partial<PushConsumerOptions> = {}): Promise<Seen> {
  return live(async (origin) => {
    const mq = await origin.connect({ broker: { defaultTopicQueueNums: 4 } });
    const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000 });
    const calls = new Map<string, number>();
    const running = new Set<string>();
    let overlaps = 0;
    await mq.createPushConsumer({
      consumerGroup: "g",
      subscriptions: { t: "*" },
      messageListener: async ({ msgId }) => {
        calls.set(msgId, (calls.get(msgId) ?? 0) + 1);
        if (running.has(msgId)) overlaps++;
        running.add(msgId);
        await origin.time.sleep(2000 + (calls.size % 7) * 100);
        running.delete(msgId);
      },
      ...options,
    });
    for (let at = 0; at < 40; at++) await producer.send({ topic: "t", body: `${at}` });
    await origin.time.sleep(1000);
    origin.killWorker();
    await origin.time.sleep(120_000);
    const left = (await mq.admin.consumeStats("g")).diffTotal;
    await mq.close();
    return { calls: [...calls.values()], overlaps, left };
  });
}

describe("a consumer whose broker dies", () => {
  const once = { calls: Array.from({ length: 40 }, () => 1), overlaps: 0, left: 0 };

  test.each([{}, { orderly: true }, { consumeConcurrency: 3 }])("finishes what it has begun, and nothing of it comes again: %o", async (options) => {
    expect(await outlive(options)).toEqual(once);
  });

  test("control: one to which its progress does not count consumes again what was finished", async () => {
    const { assign, forget } = HeldQueues.prototype;
    let isLost = false;
    vi.spyOn(HeldQueues.prototype, "forget").mockImplementation(function noted(this: HeldQueues) {
      isLost = true;
      forget.call(this);
    });
    // As if an admin had begun every queue anew.
    vi.spyOn(HeldQueues.prototype, "assign").mockImplementation(function anew(this: HeldQueues, queues, brokerName) {
      return assign.call(this, isLost ? queues.map((queue) => ({ ...queue, resets: 1 })) : queues, brokerName);
    });
    const { calls } = await outlive();
    vi.restoreAllMocks();
    expect(Math.max(...calls)).toBeGreaterThan(1);
  });
});

describe("a reset that the broker has not told of when it dies", () => {
  /** Ten messages are consumed, the group is set back to the fourth, and the broker dies. What comes after that. */
  function reset(): Promise<number[]> {
    return live(async (origin) => {
      const mq = await origin.connect({ broker: { defaultTopicQueueNums: 1 } });
      const producer = await mq.createProducer({ producerGroup: "p" });
      const seen: number[] = [];
      await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: ({ queueOffset }) => void seen.push(queueOffset) });
      for (let at = 0; at < 10; at++) await producer.send({ topic: "t", body: `${at}` });
      await origin.time.sleep(1000);
      expect(seen).toHaveLength(10);
      vi.spyOn(Member.prototype, "changed").mockReturnValue();
      await mq.admin.resetOffset({ group: "g", topic: "t", offset: 3 });
      origin.killWorker();
      vi.mocked(Member.prototype.changed).mockRestore();
      await origin.time.sleep(30_000);
      await mq.close();
      return seen.slice(10);
    });
  }

  test("makes what its consumers have done void under the next broker too", async () => {
    expect((await reset()).toSorted()).toEqual([3, 4, 5, 6, 7, 8, 9]);
  });

  test("control: where the next broker does not know of it, they go on as if nothing had been", async () => {
    vi.spyOn(Offsets.prototype, "resets").mockReturnValue(0);
    const again = await reset();
    vi.restoreAllMocks();
    expect(again).toEqual([]);
  });
});

describe("a database that is gone when its broker dies, where there is no local storage either", () => {
  /** Ten messages are consumed, everything stored is dropped, and six more are sent. How many of those come. */
  function dropped(): Promise<number> {
    let disk = new MemoryDisk();
    return live(async (origin) => {
      const mq = await origin.connect({ broker: { defaultTopicQueueNums: 1 } });
      const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000 });
      let seen = 0;
      await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: () => void seen++ });
      for (let at = 0; at < 10; at++) await producer.send({ topic: "t", body: `${at}` });
      await origin.time.sleep(1000);
      expect(seen).toBe(10);
      disk = new MemoryDisk();
      origin.killWorker();
      await origin.time.sleep(3000);
      for (let at = 0; at < 6; at++) await producer.send({ topic: "t", body: `${at}` });
      await origin.time.sleep(5000);
      await mq.close();
      return seen - 10;
    }, () => disk);
  }

  test("is noticed by the tabs that live, so that nothing new lies before where their consumers go on", async () => {
    expect(await dropped()).toBe(6);
  });

  test("control: where they do not tell what they have seen, their consumers pass over new messages", async () => {
    vi.spyOn(Witness.prototype, "recall").mockReturnValue(null);
    const seen = await dropped();
    vi.restoreAllMocks();
    expect(seen).toBeLessThan(6);
  });
});

describe("another tab that has the queue first at the next broker, and goes back in it", () => {
  /** One tab consumes ten messages; the broker dies; another tab gets the queue, seeks to the fourth and leaves. What the first gets then. */
  function soughtBack(): Promise<number[]> {
    return live(async (origin) => {
      const other = await origin.connect({ clientId: "a", broker: { defaultTopicQueueNums: 1 } });
      const mq = await origin.connect({ clientId: "m" });
      const producer = await other.createProducer({ producerGroup: "p" });
      for (let at = 0; at < 10; at++) await producer.send({ topic: "t", body: `${at}` });
      const seen: number[] = [];
      await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: ({ queueOffset }) => void seen.push(queueOffset) });
      await origin.time.sleep(1000);
      expect(seen).toHaveLength(10);
      origin.killWorker();
      const pull = await other.createPullConsumer({ consumerGroup: "g" });
      pull.subscribe("t");
      await pull.poll({ timeout: 0 });
      await origin.time.sleep(3000);
      const [queue] = pull.assignment();
      pull.seek(queue!, 3);
      await pull.commit();
      await pull.shutdown();
      await origin.time.sleep(5000);
      await mq.close();
      await other.close();
      return seen.slice(10);
    });
  }

  test("is not overruled by what the first has consumed before", async () => {
    expect(await soughtBack()).toEqual([3, 4, 5, 6, 7, 8, 9]);
  });

  test("control: where everybody is taken for the first, seven messages come to nobody", async () => {
    vi.spyOn(ConsumerGroup.prototype, "isFirst").mockReturnValue(true);
    const again = await soughtBack();
    vi.restoreAllMocks();
    expect(again).toEqual([]);
  });
});
