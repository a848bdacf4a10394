/** A pull consumer changes what its group is subscribed to, together with whoever else is in it. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConsumerGroup } from "../../src/broker/consumer-group.ts";
import { FetchService } from "../../src/broker/fetch.ts";
import { GroupMember } from "../../src/client/group-member.ts";
import type { MQError, PullConsumer, PullConsumerOptions, PushConsumer, TabMQ } from "../../src/index.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let admin: TabMQ;
beforeEach(async () => {
  origin = new NodeOrigin();
  admin = await origin.connect({ clientId: "admin", broker: { messageDelayLevel: "1ms 1ms 1ms" } });
  for (const topic of ["t", "u"]) await admin.admin.createTopic({ topic, readQueueNums: 2, writeQueueNums: 2 });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

interface Seen<Consumer> {
  mq: TabMQ;
  consumer: Consumer;
  got: string[];
  errors: MQError[];
  subscribed: string[];
}

function seen<Consumer extends PullConsumer | PushConsumer>(mq: TabMQ, consumer: Consumer, got: string[]): Seen<Consumer> {
  const it: Seen<Consumer> = { mq, consumer, got, errors: [], subscribed: [] };
  consumer.on("error", (error) => it.errors.push(error));
  consumer.on("subscribed", ({ subscriptions }) => it.subscribed.push(Object.entries(subscriptions).map(([topic, { expression }]) => `${topic} ${expression}`).join(", ")));
  return it;
}

async function pulls(clientId: string, options: Partial<PullConsumerOptions> = {}, topics: Record<string, string> = { t: "a" }): Promise<Seen<PullConsumer>> {
  const mq = await origin.connect({ clientId });
  const consumer = await mq.createPullConsumer({ consumerGroup: "g", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", ...options });
  for (const [topic, filter] of Object.entries(topics)) void consumer.subscribe(topic, filter);
  const it = seen(mq, consumer, []);
  await poll(it);
  return it;
}

async function pushes(clientId: string): Promise<Seen<PushConsumer>> {
  const mq = await origin.connect({ clientId });
  const got: string[] = [];
  const consumer = await mq.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "a" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: (message, { attempt }) => {
      if (message.keys.length > 0 && attempt === 1) return "RECONSUME_LATER";
      got.push(message.text());
      return "CONSUME_SUCCESS";
    },
  });
  return seen(mq, consumer, got);
}

async function send(topic: string, tags: string, bodies: string[]): Promise<void> {
  const producer = await admin.createProducer({ producerGroup: "p" });
  for (const body of bodies) await producer.send({ topic, body, tags });
  await producer.shutdown();
}

async function poll(it: Seen<PullConsumer>, timeout = 0): Promise<void> {
  for (const message of await it.consumer.poll({ timeout, max: 100 })) it.got.push(message.text());
}

/** Polls until the group is behind by nothing. */
async function drain(...all: Seen<PullConsumer>[]): Promise<void> {
  await until(async () => {
    for (const it of all) await poll(it);
    return (await admin.admin.consumeStats("g")).diffTotal === 0;
  });
}

const topicsOf = ({ consumer }: Seen<PullConsumer | PushConsumer>): string => [...new Set(consumer.assignment().map(({ topic }) => topic))].filter((topic) => !topic.startsWith("%")).join();
const inconsistent = { code: "SUBSCRIPTION_INCONSISTENT", field: "subscriptions" };

test("one that is alone changes freely, before the first poll and after it", async () => {
  const a = await pulls("a", {}, { t: "a", u: "x" });
  await send("t", "b", ["not yet"]);
  await send("t", "a", ["1", "2"]);
  await drain(a);
  await a.consumer.subscribe("t", "a || b");
  await a.consumer.unsubscribe("u");
  await until(() => topicsOf(a) === "t");
  await send("u", "x", ["nobody's"]);
  await send("t", "b", ["3"]);
  await until(async () => (await poll(a), a.got.length === 3));
  expect(a.got.toSorted()).toEqual(["1", "2", "3"]);
  expect(a.subscribed).toEqual(["t a || b, u x", "t a || b"]);
  expect(a.errors).toEqual([]);
});

test("before the first poll the last topic may go too, and another may come", async () => {
  const consumer = await admin.createPullConsumer({ consumerGroup: "g" });
  consumer.subscribe("t");
  await consumer.unsubscribe("t");
  expect(() => consumer.unsubscribe("t")).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "unsubscribe.topic" }));
  await expect(consumer.poll()).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "subscribe" });
  await consumer.assign([{ topic: "u", brokerName: "broker-a", queueId: 0 }]);
  expect(() => consumer.subscribe("t")).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "subscribe" }));
  expect(() => consumer.unsubscribe("u")).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "unsubscribe" }));
});

describe("a push and a pull consumer", () => {
  test("the pull consumer asks, the push consumer consents", async () => {
    const [push, pull] = [await pushes("a"), await pulls("b")];
    const refused = pull.consumer.subscribe("u", "x");
    await expect(refused).rejects.toMatchObject(inconsistent);
    await expect(refused).rejects.toThrow(`Group "g" has t "a"; this consumer asks for t "a", u "x".`);
    await send("u", "x", ["1", "2", "3", "4"]);
    expect([push, pull].map(topicsOf)).toEqual(["t", "t"]);
    await push.consumer.subscribe("u", "x");
    await drain(pull);
    expect([...push.got, ...pull.got].toSorted()).toEqual(["1", "2", "3", "4"]);
    expect(pull.got.length).toBe(2);
    expect([push.subscribed, pull.subscribed]).toEqual([["t a, u x"], ["t a, u x"]]);
    // Who need not await it is told so.
    expect([push.errors, pull.errors]).toMatchObject([[], [inconsistent]]);
  });

  test("the push consumer asks, the pull consumer consents without awaiting", async () => {
    const [push, pull] = [await pushes("a"), await pulls("b")];
    await expect(push.consumer.subscribe("u", "x")).rejects.toMatchObject(inconsistent);
    pull.consumer.subscribe("u", "x");
    await until(() => push.subscribed.length === 1 && pull.subscribed.length === 1);
    await send("u", "x", ["1", "2", "3", "4"]);
    await drain(pull);
    expect([...push.got, ...pull.got].toSorted()).toEqual(["1", "2", "3", "4"]);
    // What the group has to try again comes to push consumers as before.
    const queue = push.consumer.assignment().find(({ topic }) => topic === "u")!;
    await (await admin.createProducer({ producerGroup: "p" })).send({ topic: "u", body: "5", tags: "x", keys: "fails once" }, { queue });
    await until(() => push.got.includes("5"));
  });
});

test("of two pull consumers one does not consent: nothing changes until it leaves; a newcomer replaces both", async () => {
  const [a, b] = [await pulls("a"), await pulls("b")];
  a.consumer.subscribe("t", "b");
  await until(() => a.errors.length === 1);
  await send("t", "a", ["1", "2", "3", "4"]);
  await drain(a, b);
  expect([...a.got, ...b.got].toSorted()).toEqual(["1", "2", "3", "4"]);
  await b.consumer.shutdown();
  await until(() => a.subscribed.length === 1);
  await send("t", "b", ["5", "6"]);
  await drain(a);
  expect(a.got).toEqual(expect.arrayContaining(["5", "6"]));
  const c = await pulls("c", { replaceSubscription: true }, { u: "*" });
  await until(() => topicsOf(c) === "u" && topicsOf(a) === "");
  expect(a.errors.at(-1)).toMatchObject(inconsistent);
});

test("control: where one wish is enough, the other passes what is meant for both", async () => {
  const { agree } = ConsumerGroup.prototype;
  vi.spyOn(ConsumerGroup.prototype, "agree").mockImplementation(function alone(this: ConsumerGroup, terms) {
    vi.spyOn(this, "bound").mockReturnValueOnce(this.bound().filter(({ wish }) => wish !== null));
    return agree.call(this, terms);
  });
  const [a, b] = [await pulls("a"), await pulls("b")];
  await a.consumer.subscribe("t", "b");
  await send("t", "b", ["1", "2", "3", "4"]);
  await until(async () => (await poll(a), a.got.length === 2));
  await poll(b, 300);
  expect(b.got).toEqual([]);
});

/** Poll has four messages of `u`, and the application one more. */
async function begun(options: Partial<PullConsumerOptions> = {}): Promise<Seen<PullConsumer>> {
  const a = await pulls("a", options, { t: "*", u: "*" });
  const producer = await admin.createProducer({ producerGroup: "p" });
  await producer.send(["1", "2", "3", "4", "5"].map((body) => ({ topic: "u", body })), { queue: { topic: "u", brokerName: "broker-a", queueId: 0 } });
  await until(async () => (a.got.push(...(await a.consumer.poll({ timeout: 0, max: 1 })).map((message) => message.text())), a.got.length === 1));
  return a;
}

async function unsubscribed(options: Partial<PullConsumerOptions> = {}): Promise<Seen<PullConsumer>> {
  const a = await begun(options);
  await a.consumer.unsubscribe("u");
  return a;
}

const offsetOfU = async (): Promise<number> => (await admin.admin.consumeStats("g")).queues.find(({ topic, queueId }) => topic === "u" && queueId === 0)!.consumerOffset;

describe("a topic that is unsubscribed from", () => {
  test("is no longer given from the moment of the consent, and its progress is kept: with the topic it goes on there", async () => {
    const a = await unsubscribed();
    expect(await a.consumer.poll({ timeout: 0 })).toEqual([]);
    await until(async () => (await offsetOfU()) === 1);
    await send("t", "x", ["6"]);
    await until(async () => (await poll(a), a.got.length === 2));
    expect(a.got).toEqual(["1", "6"]);
    await a.consumer.subscribe("u");
    await drain(a);
    expect(a.got).toEqual(["1", "6", "2", "3", "4", "5"]);
  });

  test("control: what is there already would be given", async () => {
    vi.spyOn(GroupMember.prototype, "isSubscribed").mockReturnValue(true);
    const a = await unsubscribed();
    expect((await a.consumer.poll({ timeout: 0 })).length).toBe(4);
  });

  test.each([
    ["at once", async (consumer: PullConsumer) => void consumer.subscribe("u")],
    ["three times", async (consumer: PullConsumer) => {
      for (const change of ["subscribe", "unsubscribe", "subscribe", "unsubscribe", "subscribe"] as const) void consumer[change]("u");
    }],
  ])("and subscribed to again %s loses nothing; what the application has in hand may come again, as from a queue that goes to another", async (_how, again) => {
    const a = await unsubscribed();
    await again(a.consumer);
    await drain(a);
    expect(a.got.slice(-4)).toEqual(["2", "3", "4", "5"]);
    expect(new Set(a.got).size).toBe(5);
    expect(a.got.length).toBeLessThan(7);
    expect(a.errors).toEqual([]);
  });

  test("and subscribed to again before this consumer's next fetch has never gone: what poll has of it is given", async () => {
    const a = await begun();
    const { fetch } = FetchService.prototype;
    let [isAsked, open] = [false, (): void => {}];
    const gate = new Promise<void>((resolve) => (open = resolve));
    vi.spyOn(FetchService.prototype, "fetch").mockImplementation(async function late(this: FetchService, member, request) {
      isAsked = true;
      await gate;
      return fetch.call(this, member, request);
    });
    // With it the fetch comes back that was waiting.
    await send("t", "x", ["6"]);
    await until(() => isAsked);
    await a.consumer.unsubscribe("u");
    await until(async () => (await poll(a), a.got.length > 1));
    expect(a.got).toEqual(["1", "6"]);
    await a.consumer.subscribe("u");
    open();
    await drain(a);
    expect(a.got).toEqual(["1", "6", "2", "3", "4", "5"]);
  });

  test("waits for the application's commit of what it has been given; without one it comes again with the topic", async () => {
    const a = await unsubscribed({ autoCommit: false });
    await poll(a, 100);
    expect(await offsetOfU()).toBe(0);
    await a.consumer.commit();
    await until(async () => (await offsetOfU()) === 1);
    await a.consumer.subscribe("u");
    await until(async () => (await poll(a), a.got.length === 5));
    await a.consumer.unsubscribe("u");
    await until(() => topicsOf(a) === "t");
    await a.consumer.subscribe("u");
    await until(async () => (await poll(a), a.got.length === 9));
    expect(a.got.slice(5)).toEqual(["2", "3", "4", "5"]);
  });
});

test("the last topic stays, wrong filters and topics are refused, also told to who does not await; after shutdown CLOSED", async () => {
  const { consumer, errors } = await pulls("a");
  await expect(consumer.unsubscribe("t")).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "unsubscribe.topic" });
  await expect(consumer.unsubscribe("u")).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "unsubscribe.topic" });
  consumer.subscribe("t", "||");
  await until(() => errors.at(-1)?.code === "SUBSCRIPTION_PARSE_FAILED");
  expect(errors.length).toBe(3);
  const [late, closing] = [consumer.subscribe("u"), consumer.shutdown()];
  await Promise.allSettled([late, closing]);
  for (const change of [() => consumer.subscribe("u"), () => consumer.unsubscribe("t"), () => consumer.assign([])]) {
    expect(change).toThrow(expect.objectContaining({ code: "CLOSED" }));
  }
});
