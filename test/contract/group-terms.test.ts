/** What the members of a group have in common: their subscriptions, how they share, what changes it. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConsumerGroup } from "../../src/broker/consumer-group.ts";
import { Leaders } from "../../src/broker/leaders.ts";
import { allocateMessageQueues, type AllocateRequest, type AllocateStrategy, type MessageQueue, type MQError, type PushConsumer, type PushConsumerOptions, type TabMQ } from "../../src/index.ts";
import { ALLOCATION_TIMEOUT } from "../../src/model/limits.ts";
import { systemTimers, type Timers } from "../../src/platform/timers.ts";
import { writerLock } from "../../src/protocol/lock-names.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let admin: TabMQ;
beforeEach(async () => {
  origin = new NodeOrigin();
  admin = await origin.connect({ clientId: "admin" });
  await admin.admin.createTopic({ topic: "t", readQueueNums: 4, writeQueueNums: 4 });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

interface Seen {
  mq: TabMQ;
  consumer: PushConsumer;
  got: string[];
  errors: MQError[];
}

async function member(clientId: string, options: Partial<PushConsumerOptions> = {}): Promise<Seen> {
  const mq = await origin.connect({ clientId });
  const [got, errors] = [[] as string[], [] as MQError[]];
  const consumer = await mq.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
    messageListener: (message) => void got.push(message.text()), ...options,
  });
  consumer.on("error", (error) => errors.push(error));
  return { mq, consumer, got, errors };
}

const queueIds = ({ consumer }: Seen): number[] => consumer.assignment().map(({ queueId }) => queueId);

async function send(texts: string[], tags?: string): Promise<void> {
  const producer = await admin.createProducer({ producerGroup: "p" });
  for (const body of texts) await producer.send({ topic: "t", body, ...(tags === undefined ? {} : { tags }) });
  await producer.shutdown();
}

describe("a member with another subscription", () => {
  test("is refused, and both sides are named, also where a tag is called *", async () => {
    await member("a", { subscriptions: { t: "* || b" } });
    await expect(member("b", { subscriptions: { t: "*" } })).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT", field: "subscriptions" });
    await member("c", { consumerGroup: "h", subscriptions: { t: "* ||" } });
    const refused = member("d", { consumerGroup: "h", subscriptions: { t: "*" } });
    await expect(refused).rejects.toThrow(`Group "h" has t "* ||"; this consumer asks for t "*".`);
  });

  test("is refused where tags look like a second topic", async () => {
    await member("a", { subscriptions: { t: `x", u "y` } });
    await expect(member("b", { subscriptions: { t: "x", u: "y" } })).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT" });
  });

  test("control: where it is taken in, messages are lost without a word", async () => {
    vi.spyOn(ConsumerGroup.prototype, "admit").mockReturnValue([]);
    const [a, b] = [await member("a", { subscriptions: { t: "x" } }), await member("b", { subscriptions: { t: "y" } })];
    await until(() => queueIds(a).length === 2 && queueIds(b).length === 2);
    await send(["1", "2", "3", "4"], "y");
    await until(() => b.got.length === 2);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(a.got.length + b.got.length).toBe(2);
  });

  test("that replaces the group's: the others are told, finish what they have in hand, and lose their queues", async () => {
    let finish = (): void => {};
    const old = await member("a", {
      subscriptions: { t: "x" },
      messageListener: (message) => new Promise((resolve) => {
        old.got.push(message.text());
        finish = () => resolve();
      }),
    });
    await send(["in hand"], "x");
    await until(() => old.got.length === 1);
    const fresh = await member("b", { subscriptions: { t: "x || y" }, replaceSubscription: true });
    await until(() => old.errors.length > 0 && old.consumer.assignment().length === 0);
    expect(old.errors[0]).toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT", field: "subscriptions" });
    expect(old.errors[0]!.message).toMatch(/has t "x \|\| y"; this consumer asks for t "x"/);
    await until(() => fresh.consumer.assignment().length === 3);
    expect(fresh.got).toEqual([]);
    finish();
    await until(() => fresh.consumer.assignment().length === 4);
    await send(["1", "2", "3", "4"], "y");
    await until(() => fresh.got.length === 4);
    expect(fresh.got.sort()).toEqual(["1", "2", "3", "4"]);
    expect(old.got).toEqual(["in hand"]);
    await until(async () => (await admin.admin.consumerConnections("g")).connections.length === 1);
    // It stays out, and is told once.
    expect(old.errors).toHaveLength(1);
    await fresh.consumer.shutdown();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await admin.admin.consumerConnections("g")).connections).toEqual([]);
  });

  test("after the broker's death the newer subscription stays, whoever is back first, and whatever options it was made with", async () => {
    const old = await member("a", { subscriptions: { t: "x" }, replaceSubscription: true });
    const fresh = await member("b", { subscriptions: { t: "y" }, replaceSubscription: true });
    await until(() => old.errors.length === 1);
    for (let round = 0; round < 2; round++) {
      const { epoch } = (await admin.diagnostics()).broker;
      origin.locks.steal(writerLock("default")).release();
      await until(async () => (await admin.diagnostics()).broker.epoch > epoch);
      await until(async () => (await admin.admin.consumerConnections("g").catch(() => ({ connections: [] }))).connections.length === 1);
    }
    const { connections } = await admin.admin.consumerConnections("g");
    expect(connections).toMatchObject([{ clientId: "b", subscriptions: { t: "y" } }]);
    expect(fresh.errors.filter(({ code }) => code === "SUBSCRIPTION_INCONSISTENT")).toEqual([]);
  });

  test("one that picks its queues is bound by nothing", async () => {
    await member("a", { subscriptions: { t: "x" } });
    const pull = await (await origin.connect({ clientId: "b" })).createPullConsumer({ consumerGroup: "g" });
    await pull.assign([{ topic: "t", brokerName: "broker-a", queueId: 0 }]);
  });
});

describe("listeners in order and not", () => {
  test.each([[false, "concurrent", "orderly"], [true, "orderly", "concurrent"]])("in one group are refused, and both are named (the first one orderly: %s)", async (orderly, has, asks) => {
    await member("a", { orderly });
    const refused = member("b", { orderly: !orderly });
    await expect(refused).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT", field: "orderly" });
    await expect(refused).rejects.toThrow(`Group "g" has ${has} listeners; this consumer asks for ${asks} listeners.`);
  });

  test("go together with a pull consumer, which has no listener; replaceSubscription replaces them", async () => {
    const old = await member("a", { orderly: true });
    const pull = await (await origin.connect({ clientId: "b" })).createPullConsumer({ consumerGroup: "g" });
    pull.subscribe("t");
    await pull.poll({ timeout: 0 });
    await until(() => pull.assignment().length === 2);
    const fresh = await member("c", { orderly: false, replaceSubscription: true });
    await until(() => old.errors.length === 1 && fresh.consumer.assignment().length === 2);
    expect(old.errors[0]).toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT", field: "orderly" });
  });

  test("control: where both are taken in, a queue's order depends on whose it is", async () => {
    vi.spyOn(ConsumerGroup.prototype, "admit").mockReturnValue([]);
    let open = 0;
    const most = { a: 0, b: 0 };
    const at = (name: "a" | "b") => async (): Promise<void> => {
      most[name] = Math.max(most[name], ++open);
      await new Promise((resolve) => setTimeout(resolve, 5));
      open--;
    };
    const a = await member("a", { orderly: true, messageListener: at("a") });
    const b = await member("b", { messageListener: at("b") });
    await until(() => queueIds(a).length === 2 && queueIds(b).length === 2);
    const producer = await admin.createProducer({ producerGroup: "p" });
    for (const queueId of [3, 0]) {
      await producer.send(["1", "2", "3"].map((body) => ({ topic: "t", body })), { queue: { topic: "t", brokerName: "broker-a", queueId } });
      await until(async () => open === 0 && (await admin.admin.consumeStats("g")).diffTotal === 0);
    }
    expect(most).toEqual({ a: 1, b: 3 });
  });
});

describe("how a group shares", () => {
  test("another strategy than the group's is refused, and both are named; replaceSubscription replaces it too", async () => {
    const a = await member("a", { allocateMessageQueueStrategy: "AVG_BY_CIRCLE" });
    const refused = member("b", { allocateMessageQueueStrategy: "CONSISTENT_HASH" });
    await expect(refused).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT", field: "allocateMessageQueueStrategy" });
    await expect(refused).rejects.toThrow(/has AVG_BY_CIRCLE; this consumer asks for CONSISTENT_HASH/);
    const b = await member("c", { allocateMessageQueueStrategy: () => [], replaceSubscription: true });
    await until(() => a.errors.length === 1 && a.consumer.assignment().length === 0);
    expect(b.consumer.assignment()).toEqual([]);
  });

  test.each([
    ["AVG", [[0, 1], [2], [3]]],
    ["AVG_BY_CIRCLE", [[0, 3], [1], [2]]],
    ["MACHINE_ROOM", [[0, 3], [1], [2]]],
    ["MACHINE_ROOM_NEARBY", [[0, 1], [2], [3]]],
  ] as const)("%s, in the order of client ids", async (strategy, expected) => {
    const members = [];
    for (const id of ["c", "a", "b"]) members.push(await member(id, { allocateMessageQueueStrategy: strategy }));
    const [c, a, b] = members as [Seen, Seen, Seen];
    await until(() => JSON.stringify([a, b, c].map(queueIds)) === JSON.stringify(expected));
  });

  test("CONSISTENT_HASH is RocketMQ's, and a client finds its queues again when it comes back", async () => {
    const a = await member("CID-0", { allocateMessageQueueStrategy: "CONSISTENT_HASH" });
    const b = await member("CID-1", { allocateMessageQueueStrategy: "CONSISTENT_HASH" });
    const queues = Array.from({ length: 4 }, (_, queueId) => ({ topic: "t", brokerName: "broker-a", queueId }));
    const share = (currentClientId: string): number[] =>
      allocateMessageQueues("CONSISTENT_HASH", { currentClientId, clientIds: ["CID-0", "CID-1"], queues }).map(({ queueId }) => queueId);
    const isShared = (seen: Seen, id: string): boolean => JSON.stringify(queueIds(seen)) === JSON.stringify(share(id));
    await until(() => isShared(a, "CID-0") && isShared(b, "CID-1"));
    await a.mq.close();
    const again = await member("CID-0", { allocateMessageQueueStrategy: "CONSISTENT_HASH" });
    await until(() => isShared(again, "CID-0") && isShared(b, "CID-1"));
  });

  test("CONFIG gives each what its list says, a queue that two want to one of them, and one that is in no list to nobody", async () => {
    const list = (...ids: number[]): AllocateStrategy =>
      ({ strategy: "CONFIG", messageQueueList: ids.map((queueId) => ({ topic: "t", brokerName: "broker-a", queueId })) });
    const a = await member("a", { allocateMessageQueueStrategy: list(1, 2) });
    const b = await member("b", { allocateMessageQueueStrategy: list(2, 0, 99) });
    await until(() => queueIds(b).length === 1);
    expect([queueIds(a), queueIds(b)]).toEqual([[1, 2], [0]]);
  });

  test.each([
    ["CONFIG", { strategy: "CONFIG", messageQueueList: [{ topic: "t", brokerName: "broker-a", queueId: 1 }] }],
    ["a function", ({ queues }: AllocateRequest) => queues.filter(({ topic, queueId }) => topic === "t" && queueId === 1)],
  ] as [string, AllocateStrategy][])("%s that knows nothing of retries leaves none of them out", async (_what, allocateMessageQueueStrategy) => {
    await origin.close();
    origin = new NodeOrigin();
    admin = await origin.connect({ clientId: "admin", broker: { messageDelayLevel: "1ms 1ms 1ms" } });
    await admin.admin.createTopic({ topic: "t", readQueueNums: 4, writeQueueNums: 4 });
    const attempts: number[] = [];
    await member("a", {
      allocateMessageQueueStrategy,
      messageListener: (_message, { attempt }) => {
        attempts.push(attempt);
        return attempt < 3 ? "RECONSUME_LATER" : "CONSUME_SUCCESS";
      },
    });
    const producer = await admin.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "t", body: "x" }, { queue: { topic: "t", brokerName: "broker-a", queueId: 1 } });
    await until(() => attempts.length === 3);
  });

  test.each([
    ["CONFIG", "allocateMessageQueueStrategy"],
    ["AVERAGE", "allocateMessageQueueStrategy"],
    [{ strategy: "CONFIG", messageQueueList: [{ topic: "t", brokerName: "elsewhere", queueId: 0 }] }, "messageQueueList[0].brokerName"],
    [7, "allocateMessageQueueStrategy"],
  ])("%j is refused", async (strategy, field) => {
    const refused = member("a", { allocateMessageQueueStrategy: strategy as "AVG" });
    await expect(refused).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: expect.stringContaining(field) });
  });

  test("a pull consumer shares by strategy like a push consumer", async () => {
    const a = await member("a", { allocateMessageQueueStrategy: "AVG_BY_CIRCLE" });
    const pull = await (await origin.connect({ clientId: "b" })).createPullConsumer({ consumerGroup: "g", allocateMessageQueueStrategy: "AVG_BY_CIRCLE" });
    pull.subscribe("t");
    await pull.poll({ timeout: 0 });
    await until(() => pull.assignment().length === 2);
    expect([queueIds(a), pull.assignment().map(({ queueId }) => queueId)]).toEqual([[0, 2], [1, 3]]);
  });
});

describe("a strategy of one's own", () => {
  const last = ({ currentClientId, clientIds, queues }: AllocateRequest): MessageQueue[] => (currentClientId === clientIds.at(-1) ? [...queues] : []);

  test("is asked in one tab, for all members, and again when one comes or goes", async () => {
    const asked = new Set<string>();
    const strategy = (by: string) => (request: AllocateRequest) => {
      asked.add(`${by}: ${request.clientIds.join(" ")}`);
      return last(request);
    };
    const a = await member("a", { allocateMessageQueueStrategy: strategy("a") });
    await until(() => queueIds(a).length === 4);
    const b = await member("b", { allocateMessageQueueStrategy: strategy("b") });
    await until(() => queueIds(b).length === 4);
    await send(["1", "2"]);
    await until(() => b.got.length === 2);
    expect([...asked]).toEqual(["a: a", "a: a b"]);
    await a.mq.close();
    const c = await member("c", { allocateMessageQueueStrategy: strategy("c") });
    await until(() => queueIds(c).length === 4 && queueIds(b).length === 0);
    expect([...asked].slice(2)).toEqual(["b: b", "b: b c"]);
  });

  test("may leave queues out: nobody has them", async () => {
    const a = await member("a", { allocateMessageQueueStrategy: ({ queues }) => queues.slice(0, 1) });
    await until(() => queueIds(a).length === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(queueIds(a)).toEqual([0]);
    expect(a.errors).toEqual([]);
  });

  test("may be a client's second consumer in the group", async () => {
    const a = await member("a", { allocateMessageQueueStrategy: last });
    const second = await a.mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: () => {}, allocateMessageQueueStrategy: last });
    await until(() => second.assignment().length === 4 && queueIds(a).length === 0);
  });

  const nonsense: [string, (request: AllocateRequest) => unknown, RegExp][] = [
    ["throws", () => { throw new Error("no idea"); }, /no idea/],
    ["answers with no list", () => Promise.resolve([]), /at once/],
    ["answers with no queue", () => ["t"], /must be a MessageQueue/],
    ["gives a queue twice", ({ queues }) => [...queues, queues[0]], /twice/],
    ["gives a queue that is not there", () => [{ topic: "t", brokerName: "broker-a", queueId: 4 }], /which there is not/],
    ["gives a queue of another topic", () => [{ topic: "u", brokerName: "broker-a", queueId: 0 }], /which there is not/],
  ];
  test.each(nonsense)("that %s is told by an error event; who has a queue keeps it, and nobody's are shared by AVG", async (_what, broken, message) => {
    let isBroken = false;
    const strategy = (request: AllocateRequest): MessageQueue[] => (isBroken ? (broken(request) as MessageQueue[]) : last(request).slice(1));
    const a = await member("a", { allocateMessageQueueStrategy: strategy });
    await until(() => queueIds(a).length === 3);
    isBroken = true;
    const b = await member("b", { allocateMessageQueueStrategy: strategy });
    await until(() => a.errors.length > 0);
    expect(a.errors[0]).toMatchObject({ code: "INVALID_PARAMETER", message: expect.stringMatching(message) as string });
    await until(() => queueIds(a).length + queueIds(b).length === 4);
    expect(queueIds(a)).toEqual([0, 1, 2, 3]);
    // Not only once: the next change asks the other one, who is no better.
    await a.mq.close();
    await until(() => queueIds(b).length === 4);
    expect(b.errors.length).toBeGreaterThan(0);
    isBroken = false;
    const c = await member("c", { allocateMessageQueueStrategy: strategy });
    await until(() => queueIds(c).length === 3);
  });
});

describe("a leader that does not answer", () => {
  /** a is silent, as a tab is that is frozen or whose function does not return; the time to wait for it passes faster, or never. */
  async function withSilentLeader(patience: number | null): Promise<Record<"a" | "b" | "c", Seen>> {
    const { answer } = Leaders.prototype;
    let isSilent = false;
    vi.spyOn(Leaders.prototype, "answer").mockImplementation(function deaf(this: Leaders, by, reply) {
      if (!isSilent || by.clientId !== "a") answer.call(this, by, reply);
    });
    const after: Timers["after"] = (delay, run) => (delay !== ALLOCATION_TIMEOUT ? systemTimers.after(delay, run) : patience === null ? () => {} : systemTimers.after(patience, run));
    await origin.close();
    origin = new NodeOrigin();
    origin.host = origin.newHost({ timers: { after } });
    admin = await origin.connect({ clientId: "admin" });
    await admin.admin.createTopic({ topic: "t", readQueueNums: 4, writeQueueNums: 4 });
    const strategy = ({ currentClientId, clientIds, queues }: AllocateRequest): MessageQueue[] => queues.filter(({ queueId }) => clientIds.length === 1 || clientIds[1 + (queueId % (clientIds.length - 1))] === currentClientId);
    const members = { a: await member("a", { allocateMessageQueueStrategy: strategy }), b: await member("b", { allocateMessageQueueStrategy: strategy }), c: await member("c", { allocateMessageQueueStrategy: strategy }) };
    await until(() => [members.b, members.c].every((seen) => queueIds(seen).length === 2));
    isSilent = true;
    await members.c.mq.close();
    return members;
  }

  test("keeps nothing from anybody: what is nobody's is shared at once when its time is up, everybody is told, and the next one is asked", async () => {
    const { a, b } = await withSilentLeader(200);
    await until(() => queueIds(b).length === 4);
    for (const { errors } of [a, b]) expect(errors[0]).toMatchObject({ code: "DEADLINE_EXCEEDED", field: "allocateMessageQueueStrategy" });
    await send(["1", "2", "3", "4"]);
    await until(() => b.got.length === 4);
  });

  test("and comes back to life, or goes: the group is as its strategy says", async () => {
    const { a, b } = await withSilentLeader(200);
    await until(() => queueIds(b).length === 4);
    await a.mq.close();
    const d = await member("d", { allocateMessageQueueStrategy: () => [] });
    await until(() => queueIds(d).length === 4 && queueIds(b).length === 0);
  });

  test("control: without that time, the queues of the member that has gone are nobody's", async () => {
    const { a, b } = await withSilentLeader(null);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(queueIds(a).length + queueIds(b).length).toBe(2);
  });
});

describe("who is there", () => {
  test("groups and consumerConnections", async () => {
    await member("a", { subscriptions: { t: "x || y" }, allocateMessageQueueStrategy: "CONSISTENT_HASH" });
    const pull = await (await origin.connect({ clientId: "b" })).createPullConsumer({ consumerGroup: "h", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    await pull.assign([{ topic: "t", brokerName: "broker-a", queueId: 2 }]);
    await (await member("c", { consumerGroup: "gone" })).mq.close();
    await until(async () => (await admin.admin.groups()).every(({ group, consumers }) => group !== "gone" || consumers === 0));
    expect(await admin.admin.groups()).toEqual([
      { group: "g", consumers: 1, messageModel: "CLUSTERING", allocateMessageQueueStrategy: "CONSISTENT_HASH", topics: ["t"] },
      { group: "gone", consumers: 0, topics: ["t"] },
      { group: "h", consumers: 1, topics: ["t"] },
    ]);
    const queue = (queueId: number): MessageQueue => ({ topic: "t", brokerName: "broker-a", queueId });
    expect(await admin.admin.consumerConnections("g")).toEqual({
      group: "g",
      connections: [{
        clientId: "a", consumeType: "CONSUME_PASSIVELY", messageModel: "CLUSTERING", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
        subscriptions: { t: "x || y" }, assignment: [0, 1, 2, 3].map(queue),
      }],
    });
    expect((await admin.admin.consumerConnections("h")).connections).toEqual([{
      clientId: "b", consumeType: "CONSUME_ACTIVELY", messageModel: "CLUSTERING", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      subscriptions: {}, assignment: [queue(2)],
    }]);
    expect(await admin.admin.consumerConnections("nobody")).toEqual({ group: "nobody", connections: [] });
  });
});
