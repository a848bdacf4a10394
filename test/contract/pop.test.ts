import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Producer, SimpleConsumer, SimpleConsumerOptions, TabMQ } from "../../src/index.ts";
import { PopQueue } from "../../src/broker/pop-queue.ts";
import { systemTimers } from "../../src/platform/timers.ts";
import { MemoryStore } from "../../src/storage/memory-store.ts";
import { copyOf } from "../support/memory-disk.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { QuotaStore } from "../support/quota-store.ts";

let origin: NodeOrigin;
let store: MemoryStore;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  origin.makeStore = () => (store = new MemoryStore(origin.disk));
  mq = await origin.connect({ broker: { defaultTopicQueueNums: 2 } });
  producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 30_000 });
});
afterEach(() => {
  vi.restoreAllMocks();
  return origin.close();
});

const LONG = 60_000;

function simple(tab = mq, options: Partial<SimpleConsumerOptions> = {}): Promise<SimpleConsumer> {
  return tab.createSimpleConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", ...options });
}

async function send(bodies: string[], more: { messageGroup?: string; tags?: string } = {}): Promise<void> {
  for (const body of bodies) await producer.send({ topic: "t", body, ...more });
}

function texts(messages: { text(): string }[]): string[] {
  return messages.map((message) => message.text()).sort();
}

const now = { awaitDuration: 0, invisibleDuration: LONG };
const numbers = (count: number): string[] => Array.from({ length: count }, (_, at) => `${at}`.padStart(3, "0"));

describe("receive", () => {
  test("gives each message to one only, whoever asks at once, and no more than asked for", async () => {
    await send(numbers(60));
    const [a, b] = [await simple(), await simple(await origin.connect())];
    const batches = await Promise.all([a, b, a, b, a, b, a, b].map((consumer) => consumer.receive({ ...now, max: 8 })));
    expect(batches.every(({ length }) => length <= 8)).toBe(true);
    expect(texts(batches.flat())).toEqual(numbers(60));
    expect(await a.receive(now)).toEqual([]);
  });

  test("control: without claims a message is given twice", async () => {
    vi.spyOn(PopQueue.prototype, "give").mockImplementation(() => {});
    await send(numbers(4));
    const [a, b] = [await simple(), await simple(await origin.connect())];
    expect([...(await a.receive(now)), ...(await b.receive(now))].length).toBeGreaterThan(4);
  });

  test("waits for the first message, as long as it is told", async () => {
    const it = await simple();
    const began = performance.now();
    expect(await it.receive({ awaitDuration: 80 })).toEqual([]);
    expect(performance.now() - began).toBeGreaterThanOrEqual(75);
    const coming = it.receive({ awaitDuration: 30_000 });
    await send(["x"]);
    expect(texts(await coming)).toEqual(["x"]);
  });

  test("of a topic that comes into being later, and through a filter, whose losers hold nothing up", async () => {
    const it = await simple(mq, { subscriptions: { t: "yes", other: "*" } });
    await send(["1", "2"], { tags: "no" });
    await send(["3"], { tags: "yes" });
    await producer.send({ topic: "other", body: "4" });
    const messages = [...(await it.receive({ max: 2 })), ...(await it.receive({ awaitDuration: 100 }))];
    expect(texts(messages)).toEqual(["3", "4"]);
    for (const message of messages) await it.ack(message);
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(0);
  });

  test("different tags with one code: the text decides, and what it leaves out is finished", async () => {
    const it = await simple(mq, { subscriptions: { t: "Aa" } });
    await send(["1"], { tags: "BB" });
    await send(["2"], { tags: "Aa" });
    expect(texts([...(await it.receive({ max: 1 })), ...(await it.receive({ awaitDuration: 50 }))])).toEqual(["2"]);
    await until(async () => (await mq.admin.consumeStats("g")).diffTotal === 1);
  });

  test("what the group is to try again comes as it was sent", async () => {
    const first = await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", maxReconsumeTimes: 0, messageListener: () => "RECONSUME_LATER" });
    await send(["x"]);
    await until(async () => (await mq.admin.deadLetters("g")).length === 1);
    await first.shutdown();
    await mq.admin.resendDeadLetters({ group: "g" });
    const it = await simple();
    const [message] = await it.receive();
    expect(message).toMatchObject({ topic: "t", reconsumeTimes: 0 });
    await it.ack(message!);
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(0);
  });
});

describe("ack", () => {
  test("finishes a message: out of order, it is behind the offset until the others are", async () => {
    await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
    await send(numbers(5));
    const it = await simple();
    const messages = await it.receive();
    await Promise.all([it.ack(messages[1]!), it.ack(messages[3]!)]);
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(5);
    expect(origin.disk.state.get("done/g/t")).toMatchObject({ queues: { 0: [[1, 2], [3, 5]].slice(0, 1).concat([[3, 4]]) } });
    await it.ack(messages[0]!);
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(3);
    await it.ack(messages[2]!);
    await it.ack(messages[4]!);
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(0);
    await it.shutdown();
    // A push consumer goes on where this left off.
    const seen: string[] = [];
    await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: (message) => void seen.push(message.text()) });
    await send(["new"]);
    await until(() => seen.length > 0);
    expect(seen).toEqual(["new"]);
  });

  test("a push consumer after it gets what was not acknowledged, and nothing else", async () => {
    await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
    await send(numbers(4));
    const it = await simple();
    const messages = await it.receive();
    await it.ack(messages[1]!);
    await it.ack(messages[3]!);
    await it.shutdown();
    const seen: string[] = [];
    await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: (message) => void seen.push(message.text()) });
    await until(async () => (await mq.admin.consumeStats("g")).diffTotal === 0);
    expect(seen).toEqual(["000", "002"]);
  });

  test("twice, late, of another's or of nothing: refused, and nothing changes", async () => {
    await send(["x", "y"]);
    const [a, b] = [await simple(), await simple(await origin.connect())];
    const [first] = await a.receive({ max: 1, invisibleDuration: 30 });
    const refused = { code: "INVALID_RECEIPT_HANDLE", outcome: "rejected", retriable: false };
    await expect(b.ack(first!)).rejects.toMatchObject(refused);
    await expect(a.ack({} as never)).rejects.toMatchObject(refused);
    await expect(a.ack(null as never)).rejects.toMatchObject(refused);
    await new Promise((resolve) => setTimeout(resolve, 60));
    await expect(a.ack(first!)).rejects.toMatchObject(refused);
    await expect(a.changeInvisibleDuration(first!, 1000)).rejects.toMatchObject(refused);
    const messages = await b.receive({ ...now });
    expect(texts(messages)).toEqual(["x", "y"]);
    await b.ack(messages[0]!);
    await expect(b.ack(messages[0]!)).rejects.toMatchObject(refused);
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(1);
  });

  test("a foreign consumer with a handle that it was told is refused by the broker too", async () => {
    await send(["x"]);
    const [a, b] = [await simple(), await simple(await origin.connect())];
    await a.receive({ ...now });
    await b.receive({ awaitDuration: 0 });
    const { pops, groups } = origin.host.broker!;
    const [mine, other] = [...groups.find("g")!.members.values()] as Parameters<typeof pops.ack>[0][];
    const handle = { topic: "t", queueId: 0, queueOffset: 0, epoch: origin.host.broker!.epoch, number: 1, version: 0 };
    const at = { ...handle, queueId: pops.ledger.claimed("g", "t", 0) === 1 ? 0 : 1 };
    const ack = (member: typeof mine, changes = {}): unknown => pops.ack(member!, { memberId: "", handles: [{ ...at, ...changes }], again: false });
    const no = { refused: [{ index: 0, error: expect.objectContaining({ code: "INVALID_RECEIPT_HANDLE" }) as unknown }] };
    expect(await ack(other)).toEqual(no);
    for (const changes of [{ epoch: 99 }, { number: 2 }, { version: 1 }, { queueOffset: 1 }, { topic: "u" }]) expect(await ack(mine, changes)).toEqual(no);
    expect(pops.ledger.claimed("g", "t", at.queueId)).toBe(1);
    expect(await ack(mine)).toEqual({ refused: [] });
    expect(pops.ledger.claimed("g", "t", at.queueId)).toBe(0);
  });
});

test("a store without room: a claim holds and an acknowledgement is in doubt; said again when there is room, it is done", async () => {
  const here = new NodeOrigin();
  const full = new QuotaStore(here.disk);
  here.makeStore = () => full;
  try {
    const tab = await here.connect({ broker: { defaultTopicQueueNums: 1 } });
    const sender = await tab.createProducer({ producerGroup: "p" });
    await sender.send([{ topic: "t", body: "x" }, { topic: "t", body: "y" }]);
    const [a, b] = [await simple(tab), await simple(tab)];
    [full.quota, full.reserve] = [0, 0];
    const messages = await a.receive(now);
    expect(texts(messages)).toEqual(["x", "y"]);
    expect(await b.receive({ awaitDuration: 0 })).toEqual([]);
    await expect(a.ack(messages[0]!)).rejects.toMatchObject({ code: "STORAGE_FULL", outcome: "unknown" });
    await expect(a.ack(messages[0]!)).rejects.toMatchObject({ code: "STORAGE_FULL", outcome: "unknown" });
    full.quota = Number.POSITIVE_INFINITY;
    for (const message of messages) await a.ack(message);
    expect(here.disk.state.get("offset/g/t")).toEqual({ 0: 2 });
  } finally {
    await here.close();
  }
});

describe("a message that is not acknowledged in time", () => {
  test("comes again in its place, counted; to whoever asks", async () => {
    await send(["x"]);
    const [a, b] = [await simple(), await simple(await origin.connect())];
    const [first] = await a.receive({ invisibleDuration: 40 });
    const began = performance.now();
    const [second] = await b.receive({ invisibleDuration: LONG });
    expect(performance.now() - began).toBeGreaterThanOrEqual(30);
    expect(second).toMatchObject({ msgId: first!.msgId, queueOffset: first!.queueOffset, reconsumeTimes: 1, topic: "t" });
    await b.ack(second!);
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(0);
  });

  test("changeInvisibleDuration: longer and shorter; the handle before is void", async () => {
    await send(["x"]);
    const it = await simple();
    const [message] = await it.receive({ invisibleDuration: 100 });
    await it.changeInvisibleDuration(message!, LONG);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(await it.receive({ awaitDuration: 0 })).toEqual([]);
    await it.changeInvisibleDuration(message!, 1);
    const [again] = await it.receive();
    expect(again).toMatchObject({ reconsumeTimes: 1 });
    await expect(it.ack(message!)).rejects.toMatchObject({ code: "INVALID_RECEIPT_HANDLE" });
    await it.changeInvisibleDuration(again!, LONG);
    await it.ack(again!);
  });

  test("once too often: it becomes a dead letter that says so, and holds nothing up", async () => {
    await send(["x"]);
    const it = await simple(mq, { maxReconsumeTimes: 1 });
    for (const reconsumeTimes of [0, 1]) expect(await it.receive({ invisibleDuration: 10 })).toMatchObject([{ reconsumeTimes }]);
    expect(await it.receive({ awaitDuration: 200 })).toEqual([]);
    expect(await mq.admin.deadLetters("g")).toMatchObject([{ reconsumeTimes: 2, properties: { DLQ_ORIGIN_TOPIC: "t", DLQ_ERROR: expect.stringContaining("2 times") as unknown } }]);
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(0);
  });
});

describe("a consumer's end", () => {
  test.each([
    ["shutdown", (consumer: SimpleConsumer) => consumer.shutdown()],
    ["close of its tab", (_: SimpleConsumer, tab: TabMQ) => tab.close()],
  ])("%s: what it has not acknowledged is for the others at once", async (_name, end) => {
    await send(["x"]);
    const tab = await origin.connect();
    const [dying, other] = [await simple(tab), await simple()];
    const [message] = await dying.receive(now);
    const coming = other.receive();
    const waiting = dying.receive();
    await end(dying, tab);
    expect(await coming).toMatchObject([{ msgId: message!.msgId, reconsumeTimes: 1 }]);
    expect(await waiting).toEqual([]);
    await expect(dying.ack(message!)).rejects.toMatchObject({ code: "CLOSED" });
    await expect(dying.receive()).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("its death: its lock is free", async () => {
    await send(["x"]);
    const it = await simple();
    const tab = await origin.connect();
    expect(await (await simple(tab)).receive(now)).toHaveLength(1);
    const coming = it.receive();
    const broker = origin.host.broker!;
    broker.endSession([...broker.sessions].find(({ clientId }) => clientId === tab.clientId)!);
    expect(await coming).toMatchObject([{ reconsumeTimes: 1 }]);
  });
});

test("who says nothing for long keeps what it has claimed: nobody waits for its fetches", async () => {
  const here = new NodeOrigin();
  // Other members would be taken for frozen after 60 ms.
  here.host = here.newHost({ timers: { after: (delay, run) => systemTimers.after(delay === 10_000 ? 20 : delay, run) } });
  try {
    const tab = await here.connect();
    await (await tab.createProducer({ producerGroup: "p" })).send({ topic: "t", body: "x" });
    const it = await simple(tab);
    const [message] = await it.receive(now);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await it.ack(message!);
  } finally {
    await here.close();
  }
});

describe("the next broker", () => {
  /** Timers that do not take half a minute for the dead of before. */
  const hasty = { after: (delay: number, run: () => void) => systemTimers.after(delay === 30_000 ? 300 : delay, run) };

  test("knows the claims and takes their acknowledgements", async () => {
    await send(["x", "y", "z"]);
    const it = await simple();
    const messages = await it.receive({ ...now, max: 2 });
    expect(messages).toHaveLength(2);
    store.onLost("killed");
    const other = await simple(await origin.connect());
    const rest = await other.receive(now);
    expect(texts([...messages, ...rest])).toEqual(["x", "y", "z"]);
    await it.changeInvisibleDuration(messages[0]!, LONG);
    for (const message of messages) await it.ack(message);
    for (const message of rest) await other.ack(message);
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(0);
  });

  test("after a crash: what is acknowledged is finished, what is claimed stays so; control: without the row it is given again", async () => {
    await send(["x", "y"]);
    const it = await simple();
    const [acked, claimed] = await it.receive(now);
    await it.ack(acked!);
    async function receivedAfter(forget: boolean): Promise<string[]> {
      const next = new NodeOrigin(copyOf(origin.disk));
      try {
        if (forget) next.disk.state.delete("claim/g/t");
        return texts(await (await simple(await next.connect())).receive(now));
      } finally {
        await next.close();
      }
    }
    expect(await receivedAfter(false)).toEqual([]);
    expect(await receivedAfter(true)).toEqual([claimed!.text()]);
  });

  test("takes claims of those who do not come for dead, and lets no push consumer at them before", async () => {
    await send(["x"]);
    await (await simple()).receive(now);
    const next = new NodeOrigin(copyOf(origin.disk));
    next.host = next.newHost({ timers: hasty });
    try {
      const tab = await next.connect();
      const push = () => tab.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: () => {} });
      await expect(push()).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT", message: expect.stringContaining(mq.clientId) as unknown });
      const it = await simple(tab);
      expect(await it.receive({ awaitDuration: 0 })).toEqual([]);
      expect(await it.receive()).toMatchObject([{ reconsumeTimes: 1 }]);
    } finally {
      await next.close();
    }
  });
});

describe("a messageGroup", () => {
  test("is in order: while one is claimed, no later one is given, others are; and an expired one comes first", async () => {
    await send(["a1", "a2", "a3"], { messageGroup: "a" });
    await send(["b1", "b2"], { messageGroup: "b" });
    const it = await simple();
    const first = await it.receive(now);
    expect(texts(first)).toEqual(["a1", "b1"]);
    expect(await it.receive({ awaitDuration: 0 })).toEqual([]);
    await it.ack(first.find((message) => message.text() === "b1")!);
    const [b2] = await it.receive(now);
    expect(b2!.text()).toBe("b2");
    await it.changeInvisibleDuration(first.find((message) => message.text() === "a1")!, 1);
    for (const [text, reconsumeTimes] of [["a1", 1], ["a2", 0], ["a3", 0]] as const) {
      const [message, ...more] = await it.receive({ invisibleDuration: LONG });
      expect([message!.text(), message!.reconsumeTimes, more]).toEqual([text, reconsumeTimes, []]);
      await it.ack(message!);
    }
  });

  test("also after the next broker's start, and past a dead letter", async () => {
    await send(["a1", "a2"], { messageGroup: "a" });
    const it = await simple(mq, { maxReconsumeTimes: 0 });
    const [a1] = await it.receive(now);
    store.onLost("killed");
    expect(await it.receive({ awaitDuration: 0 })).toEqual([]);
    await it.changeInvisibleDuration(a1!, 1);
    expect(texts(await it.receive())).toEqual(["a2"]);
    expect(texts(await mq.admin.deadLetters("g"))).toEqual(["a1"]);
  });

  test("what waits behind a claim is not lost when the next broker hears of later messages first", async () => {
    await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
    await send(["a1", "a2"], { messageGroup: "a" });
    await send(["b1"]);
    const it = await simple();
    const [a1, b1] = await it.receive(now);
    expect((await mq.admin.consumeStats("g")).queues.find(({ topic }) => topic === "t")).toMatchObject({ inflight: 2, diff: 3 });
    store.onLost("killed");
    await it.ack(b1!);
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(3);
    store.onLost("killed");
    expect(await it.receive({ awaitDuration: 0 })).toEqual([]);
    await it.ack(a1!);
    const [a2, ...more] = await it.receive(now);
    expect([a2!.text(), more]).toEqual(["a2", []]);
    await it.ack(a2!);
    expect((await mq.admin.consumeStats("g")).diffTotal).toBe(0);
  });

  test("one with a long backlog keeps the others neither from their queue's turn nor from other queues for ever", async () => {
    await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
    await producer.send(numbers(300).map((body) => ({ topic: "t", body, messageGroup: "a" })));
    await send(["b"], { messageGroup: "b" });
    const it = await simple();
    const seen: string[] = [];
    for (let round = 0; round < 301 && !seen.includes("b"); round++) {
      for (const message of await it.receive(now)) {
        seen.push(message.text());
        await it.ack(message);
      }
    }
    expect(seen).toContain("b");
    expect(seen.filter((text) => text !== "b")).toEqual(numbers(seen.length - 1));
  });
});

describe("refused", () => {
  test("a group is shared or popped, not both; the error names both sides", async () => {
    const it = await simple();
    const push = () => mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: () => {} });
    const both = { code: "SUBSCRIPTION_INCONSISTENT", field: "consumerGroup", message: expect.stringMatching(/simple consumer.*push or pull|push or pull.*simple consumer/) as unknown };
    await expect(push()).rejects.toMatchObject(both);
    await it.shutdown();
    await push();
    await expect(simple()).rejects.toMatchObject(both);
    await expect(simple(mq, { consumerGroup: "h" })).resolves.toBeDefined();
    await expect(simple(mq, { consumerGroup: "h", subscriptions: { t: "a" } })).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT", field: "subscriptions" });
  });

  test("what an option may not be", async () => {
    const it = await simple();
    for (const [options, field] of [
      [{ max: 0 }, "max"], [{ max: 33 }, "max"], [{ max: 1.5 }, "max"], [{ invisibleDuration: 0 }, "invisibleDuration"], [{ invisibleDuration: 43_200_001 }, "invisibleDuration"],
      [{ awaitDuration: -1 }, "awaitDuration"], [{ wait: 1 }, "wait"],
    ] as const) await expect(it.receive(options as never)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: `receive.${field}` });
    await send(["x"]);
    const [message] = await it.receive(now);
    for (const duration of [-1, 0, 43_200_001, Number.NaN, "1"]) {
      await expect(it.changeInvisibleDuration(message!, duration as never)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "changeInvisibleDuration.invisibleDuration" });
    }
    await it.ack(message!);
    await expect(simple(mq, { subscriptions: {} })).rejects.toMatchObject({ field: "simpleConsumer.subscriptions" });
    await expect(simple(mq, { subscriptions: { t: "||" } })).rejects.toMatchObject({ code: "SUBSCRIPTION_PARSE_FAILED" });
    await expect(simple(mq, { maxReconsumeTimes: -1 })).rejects.toMatchObject({ field: "simpleConsumer.maxReconsumeTimes" });
  });

  test("more than a group may have in hand", async () => {
    await producer.send(numbers(1001).map((body) => ({ topic: "t", body })));
    await producer.send(numbers(1001).map((body) => ({ topic: "t", body })));
    const it = await simple();
    let received = 0;
    for (let round = 0; round < 63; round++) received += (await it.receive(now)).length;
    expect(received).toBe(2000);
    await expect(it.receive({ awaitDuration: 0 })).rejects.toMatchObject({ code: "FLOW_CONTROL", retriable: true });
  });
});
