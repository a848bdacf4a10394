/** Every client of the group gets everything, and keeps its offsets itself. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Groups } from "../../src/broker/groups.ts";
import type { MQError, Producer, PushConsumer, PushConsumerOptions, TabMQ } from "../../src/index.ts";
import type { Memo } from "../../src/client/environment.ts";
import { queueKey } from "../../src/model/queue.ts";
import { writerLock } from "../../src/protocol/lock-names.ts";
import { MemoryDisk } from "../../src/storage/memory-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let admin: TabMQ;
let producer: Producer;
/** Local storage. */
let notes: Map<string, string>;
beforeEach(async () => {
  origin = new NodeOrigin();
  notes = new Map();
  admin = await origin.connect({ clientId: "admin" });
  await admin.admin.createTopic({ topic: "t", readQueueNums: 2, writeQueueNums: 2 });
  producer = await admin.createProducer({ producerGroup: "p" });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

const memoOf = (name: string): Memo => ({ read: () => notes.get(name) ?? null, write: (text) => void notes.set(name, text) });

interface Seen {
  mq: TabMQ;
  consumer: PushConsumer;
  got: string[];
  errors: MQError[];
}

async function listener(clientId: string | undefined, options: Partial<PushConsumerOptions> = {}, memo: typeof memoOf | null = memoOf): Promise<Seen> {
  const mq = await origin.connect(clientId === undefined ? {} : { clientId }, memo === null ? {} : { memoOf: memo });
  const [got, errors] = [[] as string[], [] as MQError[]];
  const consumer = await mq.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "*" }, messageModel: "BROADCASTING", messageListener: (message) => void got.push(message.text()), ...options,
  });
  consumer.on("error", (error) => errors.push(error));
  return { mq, consumer, got, errors };
}

const send = (...texts: string[]): Promise<unknown> => Promise.all(texts.map((body) => producer.send({ topic: "t", body })));
const sorted = ({ got }: Seen): string[] => [...got].sort();

async function nextBroker(): Promise<void> {
  const { epoch } = (await admin.diagnostics()).broker;
  origin.locks.steal(writerLock("default")).release();
  await until(async () => (await admin.diagnostics()).broker.epoch > epoch);
}

describe("a broadcasting group", () => {
  test("every client gets every message, new queues and topics included; the broker keeps no offsets", async () => {
    const [a, b] = [await listener("a", { subscriptions: { t: "*", young: "*" } }), await listener("b", { subscriptions: { t: "*", young: "*" } })];
    await send("1", "2", "3");
    await admin.admin.createTopic({ topic: "t", readQueueNums: 3, writeQueueNums: 3 });
    const informed = await (await origin.connect()).createProducer({ producerGroup: "p" });
    await informed.send({ topic: "t", body: "4" }, { queue: { topic: "t", brokerName: "broker-a", queueId: 2 } });
    await producer.send({ topic: "young", body: "5" });
    await until(() => a.got.length === 5 && b.got.length === 5);
    expect([sorted(a), sorted(b)]).toEqual([["1", "2", "3", "4", "5"], ["1", "2", "3", "4", "5"]]);
    expect(a.consumer.assignment()).toHaveLength(3 + 4);
    const { connections } = await admin.admin.consumerConnections("g");
    expect(connections.map(({ clientId, messageModel, assignment }) => [clientId, messageModel, assignment.length])).toEqual([["a", "BROADCASTING", 7], ["b", "BROADCASTING", 7]]);
    expect(await admin.admin.consumeStats("g")).toMatchObject({ queues: [], diffTotal: 0 });
  });

  test("a failure is told, counts as consumed, and is not tried again", async () => {
    const attempts: string[] = [];
    const a = await listener("a", {
      consumeConcurrency: 1,
      messageListener: (message) => {
        attempts.push(message.text());
        if (message.text() === "throws") throw new Error("boom");
        return message.text() === "later" ? "RECONSUME_LATER" : undefined;
      },
    });
    const queue = { topic: "t", brokerName: "broker-a", queueId: 0 };
    for (const body of ["throws", "later", "good"]) await producer.send({ topic: "t", body }, { queue });
    await until(() => attempts.includes("good"));
    // In a group that shares, the first retry comes after a second.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(attempts).toEqual(["throws", "later", "good"]);
    expect(a.errors.filter(({ message }) => message.includes("not tried again"))).toHaveLength(2);
    expect(a.errors.some(({ message }) => message.includes("boom"))).toBe(true);
  });

  test.each(["CLUSTERING", "BROADCASTING"] as const)("does not mix: a group that is %s refuses the other kind, and names both", async (messageModel) => {
    await listener("a", { messageModel });
    const other = messageModel === "CLUSTERING" ? "BROADCASTING" : "CLUSTERING";
    const refused = listener("b", { messageModel: other });
    await expect(refused).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT", field: "messageModel" });
    await expect(refused).rejects.toThrow(new RegExp(`has ${messageModel}; this consumer asks for ${other}`));
  });

  test("one consumer of it in a client: their offsets have one name", async () => {
    const a = await listener("a");
    const second = a.mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageModel: "BROADCASTING", messageListener: () => {} });
    await expect(second).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "consumerGroup" });
  });
});

describe("where a broadcasting consumer begins", () => {
  test("as it says when nothing is kept, and afterwards where it stopped, whatever it says", async () => {
    await send("old");
    const first = await listener("a", { consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    const last = await listener("b");
    await send("new");
    await until(() => first.got.length === 2 && last.got.length === 1);
    expect([sorted(first), last.got]).toEqual([["new", "old"], ["new"]]);
    await first.mq.close();
    await last.mq.close();
    await send("while away");
    const again = [await listener("a"), await listener("b", { consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" })];
    await until(() => again.every(({ got }) => got.length === 1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(again.map(({ got, consumer }) => [got, consumer.offsetStore])).toEqual([[["while away"], "browser"], [["while away"], "browser"]]);
  });

  test("a queue that came into being while it was away: at its first message", async () => {
    await (await listener("a", { subscriptions: { young: "*" } })).mq.close();
    await producer.send({ topic: "young", body: "1" });
    const again = await listener("a", { subscriptions: { young: "*" } });
    await until(() => again.got.length === 1);
  });

  test.each([
    ["without a clientId", undefined, memoOf],
    ["without local storage", "a", null],
    ["where local storage keeps nothing", "a", (): Memo => ({ read: () => null, write: () => {} })],
  ])("%s it says that its offsets are in memory", async (_what, clientId, memo) => {
    const a = await listener(clientId, {}, memo);
    expect(a.consumer.offsetStore).toBe("memory");
    // A broker's death is no reload.
    await send("1");
    await until(() => a.got.length === 1);
    await nextBroker();
    await send("2");
    await until(() => a.got.length === 2);
    expect(a.got).toEqual(["1", "2"]);
    expect([...notes]).toEqual([]);
  });

  test("control: a group that shares has its offsets at the broker", async () => {
    expect((await listener("a", { messageModel: "CLUSTERING" })).consumer.offsetStore).toBe("broker");
  });

  test("what stands in local storage is nobody's word: nonsense there is as nothing", async () => {
    notes.set("broadcast/g/a", `{"topics":["t"],"offsets":[{"topic":"t","queueId":-1,"commitOffset":3}]}`);
    const a = await listener("a");
    await send("1");
    await until(() => a.got.length === 1);
  });

  test("the next broker: nothing twice, nothing lost", async () => {
    const a = await listener("a");
    for (let round = 0; round < 3; round++) {
      await send(`${round} before`);
      await until(() => a.got.length === 2 * round + 1);
      await nextBroker();
      await send(`${round} after`);
      await until(() => a.got.length === 2 * round + 2);
    }
    expect(a.got).toEqual([0, 1, 2].flatMap((round) => [`${round} before`, `${round} after`]));
  });

  /** Another disk, and no witness: what the client has kept is all that is left of the first one. */
  async function consumeAfterLoss(): Promise<Seen> {
    const a = await listener("a");
    await send("1", "2", "3", "4", "5", "6");
    await until(() => a.got.length === 6);
    await a.mq.close();
    await origin.close();
    origin = new NodeOrigin(new MemoryDisk());
    admin = await origin.connect({ clientId: "admin" });
    await admin.admin.createTopic({ topic: "t", readQueueNums: 2, writeQueueNums: 2 });
    producer = await admin.createProducer({ producerGroup: "p" });
    await send("new 1", "new 2");
    const again = await listener("a");
    await send("new 3");
    return again;
  }

  test("the database is lost, and nobody remembers it: offsets beyond the end are no place to wait", async () => {
    const again = await consumeAfterLoss();
    await until(() => again.got.length === 3);
    expect(sorted(again)).toEqual(["new 1", "new 2", "new 3"]);
  });

  test("control: a broker that believes them gives nothing", async () => {
    const { join } = Groups.prototype;
    vi.spyOn(Groups.prototype, "join").mockImplementation(function believe(this: Groups, session, request) {
      const member = join.call(this, session, request);
      for (const { topic, queueId, commitOffset } of request.broadcast?.offsets ?? []) member.progress.set(queueKey(topic, queueId), commitOffset);
      return member;
    });
    const again = await consumeAfterLoss();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(again.got).toEqual([]);
  });
});
