import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ConsumeContext, MessageExt, Producer, PushConsumerOptions, TabMQ } from "../../src/index.ts";
import { Offsets } from "../../src/broker/offsets.ts";
import { systemTimers } from "../../src/platform/timers.ts";
import { copyOf } from "../support/memory-disk.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { QuotaStore } from "../support/quota-store.ts";

/** Of which the first retry takes the third. */
const LEVELS = "1ms 2ms 30ms 40ms 50ms";

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ broker: { defaultTopicQueueNums: 1, messageDelayLevel: LEVELS } });
  producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 30_000 });
});
afterEach(() => origin.close());

type Listener = (message: MessageExt, context: ConsumeContext) => ReturnType<NonNullable<PushConsumerOptions["messageListener"]>>;

function consume(listener: Listener, options: Partial<PushConsumerOptions> = {}, tab = mq) {
  return tab.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: listener, ...options });
}

describe("a message that was not consumed", () => {
  test.each([
    ["RECONSUME_LATER", () => "RECONSUME_LATER" as const],
    ["null", () => null],
    ["a throw", () => { throw new Error("no"); }],
    ["a timeout", () => new Promise<void>(() => {})],
  ])("%s: it comes again by way of the retry topic, later, and does not hold the offset", async (_name, failure) => {
    const seen: { message: MessageExt; attempt: number; at: number }[] = [];
    await consume(
      (message, { attempt }) => {
        seen.push({ message, attempt, at: performance.now() });
        return attempt === 1 ? failure() : undefined;
      },
      { consumeTimeout: 100 },
    );
    const began = performance.now();
    const { msgId, offsetMsgId } = await producer.send({ topic: "t", body: "x", keys: "k", properties: { a: "b" }, tags: "tag" });
    await until(() => seen.length === 2);
    const [first, second] = seen;
    expect(second!.at - began).toBeGreaterThanOrEqual(30);
    expect(second).toMatchObject({ attempt: 2, message: { topic: "t", reconsumeTimes: 1, msgId, keys: ["k"], tags: "tag", bornTimestamp: first!.message.bornTimestamp } });
    expect({ ...second!.message.properties }).toEqual({ a: "b" });
    expect(second!.message.text()).toBe("x");
    expect(second!.message.offsetMsgId).not.toBe(offsetMsgId);
    await until(async () => (await mq.admin.consumeStats("g")).diffTotal === 0);
    expect((await mq.admin.consumeStats("g")).queues).toMatchObject([{ topic: "%RETRY%g", consumerOffset: 1 }, { topic: "t", consumerOffset: 1 }]);
    expect((await mq.admin.viewMessage(msgId)).topic).toBe("t");
  });

  test("fails once too often: it becomes a dead letter that says why", async () => {
    let calls = 0;
    const failing = await consume(() => { throw new Error(`no ${++calls}`); }, { maxReconsumeTimes: 2 });
    failing.on("error", () => {});
    const { msgId } = await producer.send({ topic: "t", body: "x", properties: { a: "b" } });
    const pull = await mq.createPullConsumer({ consumerGroup: "look" });
    const dead = { topic: "%DLQ%g", brokerName: "broker-a", queueId: 0 };
    await until(async () => (await mq.admin.topics()).some(({ topic }) => topic === dead.topic));
    await until(async () => (await pull.pull(dead, "*", 0, 10)).messages.length === 1);
    const [letter] = (await pull.pull(dead, "*", 0, 10)).messages;
    expect(letter).toMatchObject({ msgId, reconsumeTimes: 3, properties: { a: "b", DLQ_ORIGIN_TOPIC: "t", DLQ_ERROR: "no 3" } });
    expect(calls).toBe(3);
  });

  test("a listener that throws something unprintable, or answers nonsense, fails like any other and says so", async () => {
    const errors: string[] = [];
    let calls = 0;
    const it = await consume(() => {
      calls++;
      if (calls === 1) throw Object.create(null);
      return (calls === 2 ? "CONSUME_SUCESS" : undefined) as never;
    });
    it.on("error", (error) => errors.push(error.message));
    await producer.send({ topic: "t", body: "x" });
    await until(() => calls === 3);
    expect(errors).toEqual([expect.stringContaining("cannot be printed"), expect.stringContaining("CONSUME_SUCESS")]);
  });

  test("the others of its queue go on, and the group's offset with them", async () => {
    const seen: string[] = [];
    await consume((message) => {
      seen.push(message.text());
      return message.text() === "0" && message.reconsumeTimes === 0 ? "RECONSUME_LATER" : undefined;
    });
    await Promise.all(Array.from({ length: 50 }, (_, i) => producer.send({ topic: "t", body: `${i}` })));
    await until(() => seen.length === 51);
    expect(seen.filter((text) => text === "0")).toHaveLength(2);
    await until(async () => (await mq.admin.consumeStats("g")).queues.every(({ diff }) => diff === 0));
  });
});

describe("options", () => {
  test("exceptionPolicy skip: an error is reported and its message consumed; RECONSUME_LATER still asks for a retry", async () => {
    const errors: string[] = [];
    const seen: string[] = [];
    const it = await consume(
      (message) => {
        seen.push(message.text());
        if (message.text() === "throws") throw new Error("no");
        return message.reconsumeTimes === 0 ? "RECONSUME_LATER" : undefined;
      },
      { exceptionPolicy: "skip" },
    );
    it.on("error", (error) => errors.push(error.message));
    await producer.send({ topic: "t", body: "throws" });
    await producer.send({ topic: "t", body: "later" });
    await until(() => seen.length === 3);
    expect(seen).toEqual(["throws", "later", "later"]);
    expect(errors).toEqual([expect.stringContaining("no")]);
    await until(async () => (await mq.admin.consumeStats("g")).diffTotal === 0);
  });

  test("delayLevelWhenNextConsume: the listener chooses when, or never", async () => {
    const seen: { text: string; at: number }[] = [];
    await consume((message, context) => {
      seen.push({ text: message.text(), at: performance.now() });
      if (message.reconsumeTimes > 0) return;
      context.delayLevelWhenNextConsume = message.text() === "dead" ? -1 : 1;
      return "RECONSUME_LATER";
    });
    await producer.send({ topic: "t", body: "dead" });
    await producer.send({ topic: "t", body: "soon" });
    await until(() => seen.length === 3);
    expect(seen.map(({ text }) => text)).toEqual(["dead", "soon", "soon"]);
    await until(async () => (await mq.admin.topicStats("%DLQ%g")).queues[0]!.maxOffset === 1);
    // One level for all that came: the first.
    expect((await mq.admin.topicStats("SCHEDULE_TOPIC_XXXX")).queues.map(({ maxOffset }) => maxOffset)).toEqual([1, 0, 0, 0, 0]);
  });

  test("ackIndex: of a batch, what comes behind it is tried again", async () => {
    const batches: string[][] = [];
    const it = await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", consumeMessageBatchMaxSize: 8, consumeConcurrency: 1,
      batchListener: (messages, context) => {
        batches.push(messages.map((message) => message.text()));
        if (context.attempt === 1) context.ackIndex = messages.findIndex((message) => message.text() === "1");
      },
    });
    it.suspend();
    await producer.send([0, 1, 2, 3].map((body) => ({ topic: "t", body: `${body}` })));
    await until(async () => (await mq.admin.consumeStats("g")).queues.some(({ inflight }) => inflight === 4));
    it.resume();
    await until(() => batches.flat().length === 6);
    expect(batches[0]).toEqual(["0", "1", "2", "3"]);
    expect(batches.slice(1).flat().sort()).toEqual(["2", "3"]);
  });

  test("what an option may not be is refused", async () => {
    await expect(consume(() => {}, { maxReconsumeTimes: -1 })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "pushConsumer.maxReconsumeTimes" });
    await expect(consume(() => {}, { exceptionPolicy: "drop" as never })).rejects.toMatchObject({ field: "pushConsumer.exceptionPolicy" });
    await expect(consume(() => {}, { consumerGroup: "CID_RMQ_SYS_SCHEDULE" })).rejects.toMatchObject({ code: "NO_PERMISSION" });
    await expect(origin.connect({ broker: { messageDelayLevel: "1s 2x" } })).rejects.toMatchObject({ code: "INVALID_PARAMETER" });
    await expect(producer.send({ topic: "SCHEDULE_TOPIC_XXXX", body: "x" })).rejects.toMatchObject({ code: "NO_PERMISSION" });
  });

  test("pullInterval: after messages have come, no more are asked for before it is over", async () => {
    const seen: number[] = [];
    await consume(() => void seen.push(performance.now()), { pullInterval: 200, pullBatchSize: 1 });
    await Promise.all(Array.from({ length: 3 }, (_, i) => producer.send({ topic: "t", body: `${i}` })));
    await until(() => seen.length === 3);
    expect(seen[1]! - seen[0]!).toBeGreaterThan(150);
    expect(seen[2]! - seen[1]!).toBeGreaterThan(150);
  });
});

describe("what was handed back", () => {
  /** The first message holds the offset; three behind it are handed back. */
  async function withThreeBehind(): Promise<void> {
    const it = await consume((message) => (message.text() === "0" ? new Promise<void>(() => {}) : "RECONSUME_LATER"), { maxReconsumeTimes: 0 });
    await producer.send([0, 1, 2, 3].map((body) => ({ topic: "t", body: `${body}` })));
    await until(async () => (await mq.admin.deadLetters("g")).length === 3);
    // Not even a fetch has told the broker how far this consumer is.
    expect(it.assignment()).toContainEqual({ topic: "t", brokerName: "broker-a", queueId: 0 });
  }

  /** Another broker with the disk as it is now, as after a crash, and what its consumer of the group gets. */
  async function afterCrash(): Promise<string[]> {
    const next = new NodeOrigin(copyOf(origin.disk));
    try {
      const tab = await next.connect({ broker: { messageDelayLevel: LEVELS } });
      const seen: string[] = [];
      await consume((message) => void seen.push(message.text()), {}, tab);
      await until(async () => (await tab.admin.consumeStats("g")).diffTotal === 0);
      return seen.sort();
    } finally {
      await next.close();
    }
  }

  test("does not come again from where it stood, although the offset is before it: the next owner knows", async () => {
    await withThreeBehind();
    const seen: string[] = [];
    const other = await origin.connect();
    await mq.close();
    await consume((message) => void seen.push(message.text()), {}, other);
    await until(async () => (await other.admin.consumeStats("g")).diffTotal === 0);
    expect(seen).toEqual(["0"]);
  });

  test("nor from the next broker after a crash; control: one that does not read it in the log delivers it twice", async () => {
    await withThreeBehind();
    // The copies are durable; what follows from them may not be written yet.
    origin.disk.state.delete("done/g/t");
    expect(await afterCrash()).toEqual(["0"]);
    vi.spyOn(Offsets.prototype, "finish").mockImplementation(() => {});
    expect(await afterCrash()).toEqual(["0", "1", "2", "3"]);
    vi.restoreAllMocks();
  });

  test("the same call again changes nothing, and who does not hold the queue is refused", async () => {
    const stuck: MessageExt[] = [];
    await consume((message) => new Promise<void>(() => stuck.push(message)));
    await producer.send({ topic: "t", body: "x" });
    await until(() => stuck.length === 1);
    const broker = origin.host.broker!;
    const [session] = [...broker.sessions].filter(({ members }) => members.size > 0);
    const [member] = session!.members;
    const request = { memberId: member!.id, topic: "t", queueId: 0, maxReconsumeTimes: 16, results: [{ queueOffset: 0, action: "retry" as const, delayLevel: 1 }] };
    expect(await Promise.all([broker.retries.settle(member!, request), broker.retries.settle(member!, request)])).toEqual([{ refused: [] }, { refused: [] }]);
    expect(await broker.retries.settle(member!, request)).toEqual({ refused: [] });
    expect((await mq.admin.topicStats("SCHEDULE_TOPIC_XXXX")).queues[0]!.maxOffset).toBe(1);
    const beyond = { ...request, results: [{ queueOffset: 7, action: "retry" as const }] };
    expect(await broker.retries.settle(member!, beyond)).toMatchObject({ refused: [{ queueOffset: 7, error: { code: "NO_MESSAGE" } }] });
    await expect(broker.retries.settle(member!, { ...request, queueId: 3 })).rejects.toMatchObject({ code: "STALE_GENERATION" });
  });

  test("a broker that has no room: the message is kept, and its listener called again", async () => {
    const full = new NodeOrigin();
    const store = new QuotaStore(full.disk);
    full.makeStore = () => store;
    try {
      // Five seconds, shortened.
      const timers = { after: (delay: number, run: () => void) => systemTimers.after(delay === 5000 ? 50 : delay, run) };
      const tab = await full.connect({ broker: { messageDelayLevel: LEVELS } }, { timers });
      const sender = await tab.createProducer({ producerGroup: "p" });
      const errors: string[] = [];
      const attempts: number[] = [];
      const it = await consume(
        (_message, { attempt }) => {
          attempts.push(attempt);
          if (attempts.length === 3) store.quota = Number.POSITIVE_INFINITY;
          return attempts.length < 4 ? "RECONSUME_LATER" : undefined;
        },
        {},
        tab,
      );
      it.on("error", ({ code }) => errors.push(code));
      it.suspend();
      await sender.send({ topic: "t", body: "x" });
      await until(async () => (await tab.admin.consumeStats("g")).queues.some(({ inflight }) => inflight === 1));
      store.quota = store.usage;
      it.resume();
      await until(() => attempts.length === 4);
      // Twice here, where it was kept, and then by way of the retry topic.
      expect({ attempts, errors }).toEqual({ attempts: [1, 2, 3, 2], errors: ["STORAGE_FULL", "STORAGE_FULL"] });
      await until(async () => (await tab.admin.consumeStats("g")).diffTotal === 0);
    } finally {
      await full.close();
    }
  });
});
