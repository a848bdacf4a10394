/** A group's subscriptions change while it works, when all of its members ask for the same. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConsumerGroup } from "../../src/broker/consumer-group.ts";
import { MessageSelector, type MQError, type PushConsumer, type PushConsumerOptions, type TabMQ } from "../../src/index.ts";
import { writerLock } from "../../src/protocol/lock-names.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let admin: TabMQ;
beforeEach(async () => {
  origin = new NodeOrigin();
  admin = await origin.connect({ clientId: "admin" });
  for (const topic of ["t", "u"]) await admin.admin.createTopic({ topic, readQueueNums: 4, writeQueueNums: 4 });
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
  subscribed: string[];
}

async function member(clientId: string, options: Partial<PushConsumerOptions> = {}): Promise<Seen> {
  const mq = await origin.connect({ clientId });
  const seen = { mq, got: [] as string[], errors: [] as MQError[], subscribed: [] as string[] };
  const consumer = await mq.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "a" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: (message) => void seen.got.push(message.text()), ...options,
  });
  consumer.on("error", (error) => seen.errors.push(error));
  consumer.on("subscribed", ({ subscriptions }) => seen.subscribed.push(Object.entries(subscriptions).map(([topic, { expression }]) => `${topic} ${expression}`).join(", ")));
  return { ...seen, consumer };
}

async function send(topic: string, tags: string, bodies: string[]): Promise<void> {
  const producer = await admin.createProducer({ producerGroup: "p" });
  for (const body of bodies) await producer.send({ topic, body, tags });
  await producer.shutdown();
}

const topicsOf = ({ consumer }: Seen): string => [...new Set(consumer.assignment().map(({ topic }) => topic))].filter((topic) => !topic.startsWith("%")).join();

test("a consumer that is alone changes freely: another filter, one more topic, one less", async () => {
  const a = await member("a");
  await send("t", "b", ["before"]);
  // One in each queue: then the one before has been passed.
  await send("t", "a", ["1", "2", "3", "4"]);
  await send("u", "x", ["in u"]);
  await until(() => a.got.length === 4);
  await a.consumer.subscribe("t", "a || b");
  await a.consumer.subscribe("u");
  await send("t", "b", ["after"]);
  await until(() => a.got.length === 6);
  expect(a.got.slice(4).sort()).toEqual(["after", "in u"]);
  await a.consumer.unsubscribe("t");
  await until(() => topicsOf(a) === "u");
  await send("t", "a", ["nobody's"]);
  await send("u", "x", ["more"]);
  await until(() => a.got.includes("more"));
  expect(a.got).not.toContain("nobody's");
  expect(a.subscribed).toEqual(["t a || b", "t a || b, u *", "u *"]);
  expect((await admin.admin.consumerConnections("g")).connections).toMatchObject([{ subscriptions: { u: "*" } }]);
  expect(a.errors).toEqual([]);
});

test("where there are others, the first to ask is refused, naming both; when the last one asks for the same it is the group's", async () => {
  const [a, b, c] = [await member("a"), await member("b"), await member("c")];
  for (const { consumer } of [a, b]) {
    const refused = consumer.subscribe("u", "x");
    await expect(refused).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT", field: "subscriptions" });
    await expect(refused).rejects.toThrow(`Group "g" has t "a"; this consumer asks for t "a", u "x".`);
  }
  await send("u", "x", ["1", "2", "3", "4"]);
  expect([a, b, c].map(topicsOf)).toEqual(["t", "t", "t"]);
  await c.consumer.subscribe("u", "x");
  await until(() => a.got.length + b.got.length + c.got.length === 4);
  await until(() => [a, b, c].every((seen) => topicsOf(seen) === "t,u"));
  for (const seen of [a, b, c]) expect([seen.subscribed, seen.errors]).toEqual([["t a, u x"], []]);
  // A newcomer has to say the same.
  await expect(member("d")).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT" });
  await member("e", { subscriptions: { t: "a", u: "x" } });
});

test("two who wish different things are both refused, until one wishes as the other", async () => {
  const [a, b] = [await member("a"), await member("b")];
  await expect(a.consumer.subscribe("t", "a || b")).rejects.toThrow(`has t "a"; this consumer asks for t "a || b"`);
  await expect(b.consumer.subscribe("t", "a || c")).rejects.toThrow(`has t "a"; this consumer asks for t "a || c"`);
  // It is content with what there is; its wish is forgotten, the other one's is not.
  await a.consumer.subscribe("t", "a");
  expect(a.subscribed).toEqual(["t a"]);
  await expect(a.consumer.subscribe("t", "a || b")).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT" });
  await a.consumer.subscribe("t", "a || c");
  await until(() => b.subscribed.length === 1);
  expect(b.subscribed).toEqual(["t a || c"]);
});

test("a wish is granted when those who did not share it leave", async () => {
  const [a, b] = [await member("a"), await member("b")];
  await expect(a.consumer.subscribe("u")).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT" });
  await b.mq.close();
  await until(() => a.subscribed.length === 1);
  const c = await member("c", { subscriptions: { t: "a", u: "*" } });
  await expect(a.consumer.unsubscribe("t")).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT" });
  await c.mq.close();
  await until(() => a.subscribed.length === 2);
  const d = await member("d", { subscriptions: { u: "*" } });
  await expect(d.consumer.subscribe("t")).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT" });
  await expect(a.consumer.subscribe("t")).resolves.toBeUndefined();
  await until(() => d.subscribed.length === 1);
  const wishes = [a, d].map(({ consumer }) => consumer.subscribe("u", MessageSelector.bySql("amount > 1")));
  await Promise.allSettled(wishes);
  await until(() => a.subscribed.at(-1) === "u amount > 1, t *" && d.subscribed.at(-1) === "u amount > 1, t *");
});

test("a newcomer that has what one of two wishes is refused", async () => {
  const [a, b] = [await member("a"), await member("b")];
  await expect(a.consumer.subscribe("u")).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT" });
  await expect(member("c", { subscriptions: { t: "a", u: "*" } })).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT" });
  await b.mq.close();
  await until(() => a.subscribed.length === 1);
});

test("after the broker's death the agreed subscriptions stay", async () => {
  const [a, b] = [await member("a"), await member("b")];
  await Promise.allSettled([a.consumer.subscribe("u"), b.consumer.subscribe("u")]);
  await until(() => a.subscribed.length === 1 && b.subscribed.length === 1);
  const { epoch } = (await admin.diagnostics()).broker;
  origin.locks.steal(writerLock("default")).release();
  await until(async () => (await admin.diagnostics()).broker.epoch > epoch);
  await until(() => topicsOf(a) === "t,u" && topicsOf(b) === "t,u");
  await send("u", "x", ["1", "2", "3", "4"]);
  await until(() => a.got.length + b.got.length === 4);
  expect([...a.errors, ...b.errors].filter(({ code }) => code === "SUBSCRIPTION_INCONSISTENT")).toEqual([]);
});

describe("refused", () => {
  test("a topic that is not subscribed to, the last one, a wrong filter, a consumer that is shut down, a broadcasting one", async () => {
    const a = await member("a");
    await expect(a.consumer.unsubscribe("u")).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "unsubscribe.topic" });
    await expect(a.consumer.unsubscribe("t")).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "unsubscribe.topic" });
    await expect(a.consumer.subscribe("t", "||")).rejects.toMatchObject({ code: "SUBSCRIPTION_PARSE_FAILED" });
    const b = await member("b", { consumerGroup: "h", messageModel: "BROADCASTING" });
    await expect(b.consumer.subscribe("u")).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "subscribe" });
    await a.consumer.shutdown();
    await expect(a.consumer.subscribe("u")).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("one whom another has displaced", async () => {
    let finish = (): void => {};
    const a = await member("a", { messageListener: () => new Promise<void>((resolve) => (finish = resolve)) });
    await send("t", "a", ["in hand"]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await member("b", { subscriptions: { u: "*" }, replaceSubscription: true });
    await until(() => a.errors.length === 1);
    await expect(a.consumer.subscribe("u")).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT" });
    finish();
  });
});

test("control: where one wish is enough, the other loses messages", async () => {
  const { agree } = ConsumerGroup.prototype;
  vi.spyOn(ConsumerGroup.prototype, "agree").mockImplementation(function alone(this: ConsumerGroup, terms) {
    vi.spyOn(this, "bound").mockReturnValueOnce(this.bound().filter(({ wish }) => wish !== null));
    return agree.call(this, terms);
  });
  const [a, b] = [await member("a"), await member("b")];
  await a.consumer.subscribe("t", "b");
  await send("t", "b", ["1", "2", "3", "4"]);
  await until(() => a.got.length === 2);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(b.got).toEqual([]);
});
