/** What a group of idempotent consumers has finished is not given to a listener again, however often and wherever its key comes. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FinishedKeys } from "../../src/broker/finished-keys.ts";
import { KeyClaims } from "../../src/broker/key-claims.ts";
import type { ConsumeContext, Message, MessageExt, MQError, PushConsumer, PushConsumerOptions, TabMQ } from "../../src/index.ts";
import { FINISHED_KEYS_PER_PAGE, MAX_FINISHED_KEYS, MAX_IDEMPOTENT_GROUPS } from "../../src/model/limits.ts";
import { writerLock } from "../../src/protocol/lock-names.ts";
import { DurableState } from "../../src/storage/durable-state.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

const queue = (queueId: number): { topic: string; brokerName: string; queueId: number } => ({ topic: "t", brokerName: "broker-a", queueId });
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let origin: NodeOrigin;
let mq: TabMQ;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ clientId: "a", broker: { messageDelayLevel: "1ms 1ms 20ms" } });
  await mq.admin.createTopic({ topic: "t", readQueueNums: 2, writeQueueNums: 2 });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

async function consume(listener: PushConsumerOptions["messageListener"], options: Partial<PushConsumerOptions> = {}, on = mq): Promise<{ consumer: PushConsumer; errors: MQError[] }> {
  const consumer = await on.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", idempotent: { key: ({ keys }) => keys[0]! },
    ...(options.batchListener === undefined && { messageListener: listener! }), ...options,
  });
  const errors: MQError[] = [];
  consumer.on("error", (error) => errors.push(error));
  return { consumer, errors };
}

async function send(messages: [key: string, queueId: number][], more: Partial<Message> = {}): Promise<void> {
  const producer = await mq.createProducer({ producerGroup: "p" });
  for (const [key, queueId] of messages) await producer.send({ topic: "t", body: key, keys: key, ...more }, { queue: queue(queueId) });
  await producer.shutdown();
}

async function caughtUp(): Promise<void> {
  await until(async () => (await mq.admin.consumeStats("g")).diffTotal === 0);
}

/** Runs, and counts its calls by key. */
function counting(work: (message: MessageExt, context: ConsumeContext) => unknown = () => {}): { calls: string[]; listener: PushConsumerOptions["messageListener"] } {
  const calls: string[] = [];
  return { calls, listener: async (message, context) => (calls.push(message.text()), (await work(message, context)) as undefined) };
}

describe.each([["concurrently", {}], ["in order", { orderly: true, suspendCurrentQueueTime: 10 }]] as const)("%s", (_how, how) => {
  test("the same key again, in the same queue, in another, and at once, is acknowledged without a call", async () => {
    const { calls, listener } = counting(() => pause(20));
    await consume(listener, how);
    await send([["a", 0], ["a", 0], ["a", 1], ["b", 1], ["b", 0], ["c", 0]]);
    await caughtUp();
    expect(calls.sort()).toEqual(["a", "b", "c"]);
  });

  test("control: without it each is a call, and a broker that does not know what is finished calls again", async () => {
    const plain = counting();
    const { consumer } = await consume(plain.listener, { ...how, idempotent: false });
    await send([["a", 0], ["a", 1]]);
    await caughtUp();
    expect(plain.calls).toEqual(["a", "a"]);
    await consumer.shutdown();
    vi.spyOn(FinishedKeys.prototype, "has").mockReturnValue(false);
    const forgetful = counting();
    await consume(forgetful.listener, how);
    await send([["b", 0]]);
    await until(() => forgetful.calls.length === 1);
    await pause(200);
    await send([["b", 1]]);
    await caughtUp();
    expect(forgetful.calls).toEqual(["b", "b"]);
  });

  test("two tabs that have the same key at the same time: one works, the other waits for how it ends", async () => {
    const tab = await origin.connect({ clientId: "b" });
    let [running, most] = [0, 0];
    const { calls, listener } = counting(async () => {
      most = Math.max(most, ++running);
      await pause(60);
      running--;
    });
    const { consumer } = await consume(listener, how);
    const other = await consume(listener, how, tab);
    await until(() => consumer.assignment().filter(({ topic }) => topic === "t").length === 1 && other.consumer.assignment().filter(({ topic }) => topic === "t").length === 1);
    await Promise.all([send([["a", 0], ["b", 0]]), send([["a", 1], ["b", 1]])]);
    await caughtUp();
    expect(calls.sort()).toEqual(["a", "b"]);
  });

  test("control: without claims both work on it", async () => {
    vi.spyOn(KeyClaims.prototype, "claim").mockImplementation((_member, keys) => keys.map(() => "CLAIMED"));
    const tab = await origin.connect({ clientId: "b" });
    const { calls, listener } = counting(() => pause(60));
    const { consumer } = await consume(listener, how);
    const other = await consume(listener, how, tab);
    await until(() => consumer.assignment().filter(({ topic }) => topic === "t").length === 1 && other.consumer.assignment().filter(({ topic }) => topic === "t").length === 1);
    await Promise.all([send([["a", 0]]), send([["a", 1]])]);
    await caughtUp();
    expect(calls).toEqual(["a", "a"]);
  });

  test("what fails is not finished: it is tried again, and its copy in another queue is given if it becomes a dead letter", async () => {
    const { calls, listener } = counting(({ reconsumeTimes, queueOffset }) => {
      if (calls.length <= 3) throw new Error(`no ${reconsumeTimes} ${queueOffset}`);
    });
    await consume(listener, { ...how, maxReconsumeTimes: 2 });
    await send([["a", 0]]);
    await until(async () => (await mq.admin.deadLetters("g")).length === 1);
    expect(calls).toEqual(["a", "a", "a"]);
    await send([["a", 1], ["a", 0]]);
    await caughtUp();
    expect(calls).toEqual(["a", "a", "a", "a"]);
  });

  test("a batch: only what is not finished, in its order; what ackIndex leaves out is not finished", async () => {
    const batches: string[][] = [];
    await consume(undefined, {
      ...how, consumeMessageBatchMaxSize: 8, pullBatchSize: 32,
      batchListener: (messages, context) => {
        batches.push(messages.map((message) => message.text()));
        if (batches.length === 1) context.ackIndex = messages.length - 2;
      },
    });
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send(["a", "b", "a", "c", "b", "d"].map((key) => ({ topic: "t", body: key, keys: key, messageGroup: "one" })));
    await caughtUp();
    const all = batches.flat();
    const first = batches[0]!.at(-1)!;
    expect([...new Set(all)].sort()).toEqual(["a", "b", "c", "d"]);
    for (const key of ["a", "b", "c", "d"]) expect(all.filter((one) => one === key)).toHaveLength(key === first ? 2 : 1);
  });

  test("after the death of the broker, and of the tab, what was committed is known", async () => {
    const first = counting();
    await consume(first.listener, how);
    await send([["a", 0], ["b", 1]]);
    await caughtUp();
    await until(() => origin.disk.state.has("finished/g/0"));
    const { epoch } = (await mq.diagnostics()).broker;
    origin.locks.steal(writerLock("default")).release();
    await until(async () => (await mq.diagnostics()).broker.epoch > epoch);
    await mq.close();
    mq = await origin.connect({ clientId: "c" });
    const second = counting();
    await consume(second.listener, how);
    await send([["b", 0], ["a", 1], ["c", 1]]);
    await caughtUp();
    expect([first.calls.sort(), second.calls]).toEqual([["a", "b"], ["c"]]);
  });

  test("a tab whose broker dies tells the next one what it had finished", async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const { calls, listener } = counting(({ keys }) => (keys[0] === "slow" ? held : undefined));
    await consume(listener, how);
    const { epoch } = (await mq.diagnostics()).broker;
    await send([["slow", 0], ["quick", 1]]);
    await until(() => calls.length === 2);
    // The broker is gone before anybody has told it; the listener goes on.
    origin.locks.steal(writerLock("default")).release();
    await until(async () => (await mq.diagnostics()).broker.epoch > epoch);
    await pause(50);
    release();
    await caughtUp();
    await send([["slow", 1], ["quick", 0]]);
    await caughtUp();
    expect(calls.sort()).toEqual(["quick", "slow"]);
  });
});

test("the key is the msgId unless the consumer says otherwise: two messages with the same content are two", async () => {
  const { calls, listener } = counting();
  await consume(listener, { idempotent: true });
  await send([["a", 0], ["a", 0]]);
  await caughtUp();
  expect(calls).toEqual(["a", "a"]);
});

test.each([["throws", () => { throw new Error("no key here"); }], ["answers nothing", () => undefined], ["answers too much", () => "x".repeat(257)]])(
  "a key function that %s: a failure like the listener's, to the dead letter",
  async (_what, key) => {
    const { calls, listener } = counting();
    await consume(listener, { idempotent: { key: key as () => string }, maxReconsumeTimes: 0 });
    await send([["a", 0]]);
    await until(async () => (await mq.admin.deadLetters("g")).length === 1);
    expect((await mq.admin.deadLetters("g"))[0]!.properties["DLQ_ERROR"]).toMatch(/no key here|idempotent\.key must answer text/);
    expect(calls).toEqual([]);
  },
);

describe("the group agrees", () => {
  test.each([[false, true], [{ window: 1000 }, { window: 2000 }], [{ window: 1000 }, true]])("%j and %j are refused, naming both", async (one, other) => {
    await consume(() => {}, { idempotent: one });
    const tab = await origin.connect({ clientId: "b" });
    const refused = consume(() => {}, { idempotent: other }, tab);
    await expect(refused).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT", field: "idempotent" });
    await expect(refused).rejects.toThrow(/has (none|a window of 1000 ms); this consumer asks for a window of (2000|86400000) ms/);
  });

  test("a broadcasting consumer cannot be idempotent, and options are checked", async () => {
    await expect(consume(() => {}, { messageModel: "BROADCASTING", idempotent: true })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "pushConsumer.idempotent" });
    await expect(consume(() => {}, { idempotent: { window: 0 } })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "pushConsumer.idempotent.window" });
    await expect(consume(() => {}, { idempotent: { keys: 1 } as object })).rejects.toMatchObject({ code: "INVALID_PARAMETER" });
  });

  test("so many groups, and no more", async () => {
    const consumers = await Promise.all(Array.from({ length: MAX_IDEMPOTENT_GROUPS }, (_, at) => consume(() => {}, { consumerGroup: `g${at}`, idempotent: true })));
    await expect(consume(() => {}, { consumerGroup: "more", idempotent: true })).rejects.toMatchObject({ code: "FLOW_CONTROL", field: "idempotent" });
    // A group that has finished nothing is not remembered.
    await consumers[0]!.consumer.shutdown();
    await consume(() => {}, { consumerGroup: "more", idempotent: true });
  });
});

describe("the window", () => {
  const WINDOW = 16_000;
  let now = 1_000_000;
  const clock = { now: () => now };
  const rows = (state: DurableState): [string, unknown][] => [...state.startingWith("finished/")].map(([key, value]) => [`finished/${key}`, value]);

  test("a key is known at least so long, and a sixteenth more at most; also to the next broker", () => {
    const state = new DurableState();
    const keys = new FinishedKeys(state, clock);
    keys.add("g", ["a"], WINDOW);
    now += 900;
    keys.add("g", ["b"], WINDOW);
    now += WINDOW - 900;
    expect([keys.has("g", "a"), keys.has("g", "b")]).toEqual([true, true]);
    const next = new DurableState();
    next.restore(rows(state));
    const again = new FinishedKeys(next, clock);
    again.restore();
    expect([again.has("g", "a"), again.has("g", "b"), again.has("h", "a")]).toEqual([true, true, false]);
    now += 900;
    expect([again.has("g", "a"), again.has("g", "b")]).toEqual([false, false]);
    expect(rows(next)).toEqual([]);
    again.add("g", ["c"], WINDOW);
    expect(again.has("g", "c")).toBe(true);
  });

  test("above the limit the oldest are forgotten, and that is told; rows are used again", () => {
    const state = new DurableState();
    const keys = new FinishedKeys(state, clock);
    for (let at = 0; at < MAX_FINISHED_KEYS; at += 5000) expect(keys.add("g", Array.from({ length: 5000 }, (_, one) => `k${at + one}`), WINDOW)).toBe(true);
    expect(keys.has("g", "k0")).toBe(true);
    expect(keys.add("g", ["one more"], WINDOW)).toBe(false);
    expect([keys.has("g", "k0"), keys.has("g", `k${FINISHED_KEYS_PER_PAGE}`), keys.has("g", "one more")]).toEqual([false, true, true]);
    expect(rows(state)).toHaveLength(MAX_FINISHED_KEYS / FINISHED_KEYS_PER_PAGE);
    const next = new DurableState();
    next.restore(rows(state));
    const again = new FinishedKeys(next, clock);
    again.restore();
    expect([again.has("g", "k0"), again.has("g", `k${FINISHED_KEYS_PER_PAGE}`), again.has("g", "one more")]).toEqual([false, true, true]);
  });

  test("the group hears of it once", async () => {
    vi.spyOn(FinishedKeys.prototype, "add").mockReturnValue(false);
    const { errors } = await consume(() => {});
    await send([["a", 0], ["b", 1]]);
    await caughtUp();
    await send([["c", 0]]);
    await caughtUp();
    await until(() => errors.length > 0);
    expect(errors).toMatchObject([{ code: "FLOW_CONTROL", field: "idempotent" }]);
  });

  test("damaged rows are no rows", () => {
    const state = new DurableState();
    const good = { number: 3, from: now, until: now, window: WINDOW, keys: ["good"] };
    state.restore([["finished/g/0", 7], ["finished/g/1", { ...good, keys: [1] }], ["finished/g/2", { ...good, until: -1 }], ["finished/g/3", good], ["finished/h/0", null]]);
    const keys = new FinishedKeys(state, clock);
    keys.restore();
    expect(keys.has("g", "good")).toBe(true);
  });
});
