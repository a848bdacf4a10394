/** What the simple consumers of a group are subscribed to: changed when all ask for the same, or by `replaceSubscription`. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConsumerGroup } from "../../src/broker/consumer-group.ts";
import { PopMember } from "../../src/client/pop-member.ts";
import { Subscriptions } from "../../src/client/subscriptions.ts";
import { MessageSelector, type MQError, type SimpleConsumer, type SimpleConsumerOptions, type TabMQ } from "../../src/index.ts";
import { writerLock } from "../../src/protocol/lock-names.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let admin: TabMQ;
beforeEach(async () => {
  origin = new NodeOrigin();
  admin = await origin.connect({ clientId: "admin" });
  for (const topic of ["t", "u"]) await admin.admin.createTopic({ topic, readQueueNums: 2, writeQueueNums: 2 });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

interface Seen {
  mq: TabMQ;
  consumer: SimpleConsumer;
  errors: MQError[];
  subscribed: string[];
}

async function member(clientId: string, options: Partial<SimpleConsumerOptions> = {}): Promise<Seen> {
  const mq = await origin.connect({ clientId });
  const consumer = await mq.createSimpleConsumer({ consumerGroup: "g", subscriptions: { t: "a" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", ...options });
  const seen: Seen = { mq, consumer, errors: [], subscribed: [] };
  consumer.on("error", (error) => seen.errors.push(error));
  consumer.on("subscribed", ({ subscriptions }) => seen.subscribed.push(Object.entries(subscriptions).map(([topic, { expression }]) => `${topic} ${expression}`).join(", ")));
  return seen;
}

async function send(topic: string, tags: string, bodies: string[]): Promise<void> {
  const producer = await admin.createProducer({ producerGroup: "p" });
  for (const body of bodies) await producer.send({ topic, body, tags });
  await producer.shutdown();
}

const now = { awaitDuration: 0, invisibleDuration: 60_000 };
const inconsistent = { code: "SUBSCRIPTION_INCONSISTENT", field: "subscriptions" };

/** All that comes until nothing more is there, acknowledged. */
async function drain({ consumer }: Seen): Promise<string[]> {
  const got: string[] = [];
  for (let messages = await consumer.receive(now); messages.length > 0; messages = await consumer.receive(now)) {
    for (const message of messages) {
      got.push(message.text());
      await consumer.ack(message);
    }
  }
  return got.sort();
}

test("a consumer that is alone changes freely: another filter, one more topic, one less", async () => {
  const a = await member("a");
  await send("t", "a", ["1"]);
  await send("u", "x", ["in u"]);
  expect(await drain(a)).toEqual(["1"]);
  await a.consumer.subscribe("t", "a || b");
  await a.consumer.subscribe("u", MessageSelector.bySql("TRUE"));
  await send("t", "b", ["2"]);
  expect(await drain(a)).toEqual(["2", "in u"]);
  await a.consumer.unsubscribe("t");
  await send("t", "a", ["nobody's"]);
  await send("u", "x", ["more"]);
  expect(await drain(a)).toEqual(["more"]);
  expect(a.subscribed).toEqual(["t a || b", "t a || b, u TRUE", "u TRUE"]);
  expect((await admin.admin.consumerConnections("g")).connections).toMatchObject([{ subscriptions: { u: "TRUE" } }]);
  expect(a.errors).toEqual([]);
});

test("where there are others, the first to ask is refused, naming both; when the last one asks for the same it is the group's, also for who waits", async () => {
  const [a, b, c] = [await member("a"), await member("b"), await member("c")];
  for (const { consumer } of [a, b]) {
    const refused = consumer.subscribe("u", "x");
    await expect(refused).rejects.toMatchObject(inconsistent);
    await expect(refused).rejects.toThrow(`Group "g" has t "a"; this consumer asks for t "a", u "x".`);
  }
  await send("u", "x", ["1"]);
  for (const seen of [a, b, c]) expect(await drain(seen)).toEqual([]);
  const waiting = a.consumer.receive({ awaitDuration: 20_000 });
  await c.consumer.subscribe("u", "x");
  const [message] = await waiting;
  expect(message!.text()).toBe("1");
  await a.consumer.ack(message!);
  expect([a.subscribed, c.subscribed]).toEqual([["t a, u x"], ["t a, u x"]]);
  // b asks for nothing, and hears of it all the same.
  await until(() => b.subscribed.length === 1);
  await expect(member("d")).rejects.toMatchObject(inconsistent);
  await member("e", { subscriptions: { t: "a", u: "x" } });
});

test("control: where one wish is enough, what the others do not want is lost with them", async () => {
  const { agree } = ConsumerGroup.prototype;
  vi.spyOn(ConsumerGroup.prototype, "agree").mockImplementation(function alone(this: ConsumerGroup, terms) {
    vi.spyOn(this, "bound").mockReturnValueOnce(this.bound().filter(({ wish }) => wish !== null));
    return agree.call(this, terms);
  });
  const [a, b] = [await member("a"), await member("b")];
  await a.consumer.subscribe("t", "b");
  await send("t", "b", ["1", "2", "3", "4"]);
  // It passes what is not for it, and the queue belongs to all.
  expect(await drain(b)).toEqual([]);
  expect(await drain(a)).toEqual([]);
});

test("the new filter goes with the first messages that it lets through: none of them counts as filtered", async () => {
  const [a, b] = [await member("a"), await member("b")];
  await expect(a.consumer.subscribe("t", "b")).rejects.toMatchObject(inconsistent);
  const waiting = a.consumer.receive({ awaitDuration: 20_000 });
  await b.consumer.subscribe("t", "b");
  await send("t", "b", ["1"]);
  expect((await waiting).map((message) => message.text())).toEqual(["1"]);
  expect(a.subscribed).toEqual(["t b"]);
});

test("control: a consumer that does not hear so finishes what it filters by the old one", async () => {
  const [a, b] = [await member("a"), await member("b")];
  await expect(a.consumer.subscribe("t", "b")).rejects.toMatchObject(inconsistent);
  const waiting = a.consumer.receive({ awaitDuration: 300 });
  await b.consumer.subscribe("t", "b");
  vi.spyOn(PopMember.prototype, "granted").mockImplementation(() => {});
  await send("t", "b", ["1"]);
  expect(await waiting).toEqual([]);
  await until(async () => (await admin.admin.consumeStats("g")).diffTotal === 0);
  expect(await drain(b)).toEqual([]);
});

test("what was received of a topic that is unsubscribed from can be acknowledged; what was not comes again with the topic", async () => {
  const a = await member("a", { subscriptions: { t: "*", u: "*" } });
  await send("t", "a", ["1", "2"]);
  const held = await a.consumer.receive(now);
  expect(held.length).toBe(2);
  const [first, second] = held[0]!.text() === "1" ? held : held.toReversed();
  await a.consumer.unsubscribe("t");
  await a.consumer.ack(first!);
  await a.consumer.changeInvisibleDuration(second!, 1);
  await send("u", "x", ["3"]);
  expect(await drain(a)).toEqual(["3"]);
  await a.consumer.subscribe("t", "*");
  await until(async () => (await drain(a)).includes("2"));
  expect((await admin.admin.consumeStats("g")).diffTotal).toBe(0);
});

test("a wish is granted when those who did not share it leave; two different ones are both refused", async () => {
  const [a, b, c] = [await member("a"), await member("b"), await member("c")];
  await expect(a.consumer.subscribe("t", "b")).rejects.toMatchObject(inconsistent);
  await expect(b.consumer.subscribe("t", "c")).rejects.toMatchObject(inconsistent);
  await c.mq.close();
  expect([a.subscribed, b.subscribed]).toEqual([[], []]);
  await b.mq.close();
  await until(() => a.subscribed.length === 1);
  expect(a.subscribed).toEqual(["t b"]);
});

test("after the broker's death the agreed subscriptions stay, also of one who never received", async () => {
  const [a, b] = [await member("a"), await member("b")];
  await expect(a.consumer.subscribe("u")).rejects.toMatchObject(inconsistent);
  await b.consumer.subscribe("u");
  await until(() => a.subscribed.length === 1);
  const { epoch } = (await admin.diagnostics()).broker;
  origin.locks.steal(writerLock("default")).release();
  await until(async () => (await admin.diagnostics()).broker.epoch > epoch);
  await send("u", "x", ["1", "2"]);
  const got: string[] = [];
  await until(async () => (got.push(...(await drain(a)), ...(await drain(b))), got.length === 2));
  expect([...a.errors, ...b.errors]).toEqual([]);
});

test("control: one who does not ask again what became of its wish does not know it, and is shut out", async () => {
  const [a, b] = [await member("a"), await member("b")];
  vi.spyOn(Subscriptions.prototype, "newestWish", "get").mockReturnValue(null);
  await expect(a.consumer.subscribe("u")).rejects.toMatchObject(inconsistent);
  await b.consumer.subscribe("u", "*").catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 1200));
  expect(a.subscribed).toEqual([]);
  const { epoch } = (await admin.diagnostics()).broker;
  origin.locks.steal(writerLock("default")).release();
  await until(async () => (await admin.diagnostics()).broker.epoch > epoch);
  // Refused on its way in, or by the other's newer terms.
  await until(async () => (await a.consumer.receive(now).catch(({ code }: MQError) => code)) === "SUBSCRIPTION_INCONSISTENT");
});

describe("replaceSubscription", () => {
  test("the newcomer's are the group's; the others finish what they have in hand, receive no more, and stay out of the next broker's group", async () => {
    const a = await member("a");
    await send("t", "a", ["1"]);
    const [message] = await a.consumer.receive(now);
    const waiting = a.consumer.receive({ awaitDuration: 20_000 });
    waiting.catch(() => {});
    await expect(member("b", { subscriptions: { t: "b" } })).rejects.toMatchObject(inconsistent);
    const c = await member("c", { subscriptions: { t: "b" }, replaceSubscription: true });
    await expect(waiting).rejects.toMatchObject(inconsistent);
    await expect(waiting).rejects.toThrow(`has t "b"; this consumer asks for t "a"`);
    await a.consumer.ack(message!);
    await expect(a.consumer.receive(now)).rejects.toMatchObject(inconsistent);
    await expect(a.consumer.subscribe("t", "b")).rejects.toMatchObject(inconsistent);
    await send("t", "b", ["2"]);
    expect(await drain(c)).toEqual(["2"]);
    const { epoch } = (await admin.diagnostics()).broker;
    origin.locks.steal(writerLock("default")).release();
    await until(async () => (await admin.diagnostics()).broker.epoch > epoch);
    await until(async () => (await admin.admin.consumerConnections("g")).connections.length > 0);
    await send("t", "b", ["3"]);
    await until(async () => (await drain(c)).includes("3"));
    await expect(a.consumer.receive(now)).rejects.toMatchObject(inconsistent);
    expect((await admin.admin.consumerConnections("g")).connections.map(({ clientId }) => clientId)).toEqual(["c"]);
  });

  test("control: where the newcomer is only let in, those with others pass what is meant for it", async () => {
    vi.spyOn(ConsumerGroup.prototype, "admit").mockReturnValue([]);
    const a = await member("a");
    const c = await member("c", { subscriptions: { t: "b" }, replaceSubscription: true });
    await send("t", "b", ["1", "2"]);
    expect(await drain(a)).toEqual([]);
    expect(await drain(c)).toEqual([]);
  });

  test("does not take a group from those who have queues of their own", async () => {
    await admin.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "a" }, messageListener: () => {} });
    await expect(member("b", { replaceSubscription: true })).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT", field: "consumerGroup" });
  });
});

test("refused: a topic that is not subscribed to, the last one, a wrong filter, a consumer that is shut down", async () => {
  const { consumer } = await member("a");
  await expect(consumer.unsubscribe("u")).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "unsubscribe.topic" });
  await expect(consumer.unsubscribe("t")).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "unsubscribe.topic" });
  await expect(consumer.subscribe("t", "||")).rejects.toMatchObject({ code: "SUBSCRIPTION_PARSE_FAILED" });
  await consumer.shutdown();
  await expect(consumer.subscribe("u")).rejects.toMatchObject({ code: "CLOSED" });
  await expect(consumer.unsubscribe("t")).rejects.toMatchObject({ code: "CLOSED" });
});
