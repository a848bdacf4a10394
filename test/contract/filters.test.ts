import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Member } from "../../src/broker/member.ts";
import { MessageSelector, type MQError, type Producer, type PullConsumer, type PushConsumerOptions, type TabMQ } from "../../src/index.ts";
import { MAX_FILTER_MODULES, MAX_FILTERED_RECORDS } from "../../src/model/limits.ts";
import { LOOPING, TAGGED_A, TRAPPING } from "../support/wasm-filters.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ broker: { defaultTopicQueueNums: 1, enableWasmFilter: true } });
  producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 30_000 });
});
afterEach(() => origin.close());

const q0 = { topic: "t", brokerName: "broker-a", queueId: 0 };
const eu = MessageSelector.bySql("amount > 100 AND region = 'eu'");

async function consume(selector: string | MessageSelector, options: Partial<PushConsumerOptions> = {}, tab = mq): Promise<{ seen: string[]; errors: MQError[] }> {
  const seen: string[] = [];
  const errors: MQError[] = [];
  const consumer = await tab.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: selector }, messageListener: (message) => void seen.push(message.text()), consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", ...options,
  });
  consumer.on("error", (error) => errors.push(error));
  return { seen, errors };
}

const send = (body: string, properties: Record<string, string> = {}, tags?: string, keys?: string[]) =>
  producer.send({ topic: "t", body, properties, ...(tags === undefined ? {} : { tags }), ...(keys === undefined ? {} : { keys }) });

const caughtUp = (group = "g") => until(async () => (await mq.admin.consumeStats(group)).diffTotal === 0);

describe("SQL92 in the broker", () => {
  test("only what matches is delivered, and the offset passes what does not", async () => {
    const { seen } = await consume(eu);
    await send("small", { amount: "5", region: "eu" });
    await send("yes", { amount: "101", region: "eu" });
    await send("us", { amount: "101", region: "us" });
    await send("no number", { amount: "many", region: "eu" });
    await send("none");
    await send("yes again", { amount: "1000", region: "eu" });
    await caughtUp();
    expect(seen).toEqual(["yes", "yes again"]);
  });

  test("the consumer's port carries no message that does not match", async () => {
    await send("no", { amount: "5", region: "eu" });
    await send("yes", { amount: "500", region: "eu" });
    const read = await origin.host.broker!.fetches.pull({ topic: "t", queueId: 0, expression: { type: "SQL92", expression: eu.expression }, offset: 0, max: 32 });
    // All of the buffer is what a port would carry.
    const text = new TextDecoder().decode(read.records.buffer as ArrayBuffer);
    expect([read.status, read.nextBeginOffset, text.includes("yes"), text.includes("amount\u00015\u0002")]).toEqual(["FOUND", 2, true, false]);
  });

  test("TAGS and KEYS are properties", async () => {
    const { seen } = await consume(MessageSelector.bySql("TAGS IN ('a', 'b') AND KEYS CONTAINS 'k1'"));
    await send("1", {}, "a", ["k0", "k1"]);
    await send("2", {}, "c", ["k1"]);
    await send("3", {}, "b", ["k2"]);
    await send("4", { TAG: "a" }, "b", ["k1"]);
    await caughtUp();
    expect(seen).toEqual(["1", "4"]);
  });

  test("pulled: status and where to go on", async () => {
    for (let n = 0; n < 10; n++) await send(`${n}`, { n: `${n}` });
    const pull: PullConsumer = await mq.createPullConsumer({ consumerGroup: "g" });
    const odd = await pull.pull(q0, MessageSelector.bySql("n IN ('1', '3', '5', '7')"), 0, 2);
    expect([odd.status, odd.nextBeginOffset, odd.messages.map((message) => message.text())]).toEqual(["FOUND", 4, ["1", "3"]]);
    const none = await pull.pull(q0, MessageSelector.bySql("n > 9"), 0, 32);
    expect(none).toMatchObject({ status: "NO_MATCHED_MSG", nextBeginOffset: 10, messages: [] });
  });

  test("a match that is longer than the misses before it: where to go on is not read out of its body", async () => {
    for (const body of ["a", "b", "c"]) {
      // Two: the first read looks at no more messages than are wanted.
      for (const miss of ["no", "no"]) await send(miss, { n: "1" });
      await send(body.repeat(2000), { n: "2" });
    }
    const filter = MessageSelector.bySql("n = 2");
    const pull = await mq.createPullConsumer({ consumerGroup: "p" });
    for (const [offset, next] of [[0, 3], [1, 3], [3, 6], [4, 6], [6, 9]] as const) {
      expect(await pull.pull(q0, filter, offset, 1)).toMatchObject({ status: "FOUND", nextBeginOffset: next, messages: [{ queueOffset: next - 1 }] });
    }
    const { seen, errors } = await consume(filter, { pullBatchSize: 1 });
    await caughtUp();
    expect(seen.map((text) => text[0])).toEqual(["a", "b", "c"]);
    expect(errors).toEqual([]);
  });

  test("a match behind more misses than one read looks at", async () => {
    const misses = MAX_FILTERED_RECORDS + 100;
    await Promise.all(Array.from({ length: misses }, () => send("no", { n: "1" })));
    await send("yes", { n: "2" });
    const read = await origin.host.broker!.fetches.pull({ topic: "t", queueId: 0, expression: { type: "SQL92", expression: "n = 2" }, offset: 0, max: 32 });
    expect([read.status, read.nextBeginOffset > 0 && read.nextBeginOffset <= MAX_FILTERED_RECORDS]).toEqual(["NO_MATCHED_MSG", true]);
    const { seen } = await consume(MessageSelector.bySql("n = 2"));
    await caughtUp();
    expect(seen).toEqual(["yes"]);
  });

  test("an expression that takes its time leaves time to others", async () => {
    await Promise.all(Array.from({ length: MAX_FILTERED_RECORDS }, () => send("no", { n: "1".repeat(200) })));
    await send("yes", { n: "2" });
    const slow = Array.from({ length: 250 }, (_, n) => `n CONTAINS '${n}2'`).join(" OR ");
    const { seen } = await consume(MessageSelector.bySql(`${slow} OR n = '2'`));
    let answers = 0;
    for (; seen.length === 0; answers++) await mq.admin.topics();
    expect(seen).toEqual(["yes"]);
    // Control: when a read goes on until it is through, one or two.
    expect(answers).toBeGreaterThan(4);
  });

  test("a bad expression fails where it is written, and in the broker for whoever comes by another way", async () => {
    expect(() => MessageSelector.bySql("amount >")).toThrow(expect.objectContaining({ code: "SUBSCRIPTION_PARSE_FAILED", position: 8 }));
    const bad = { type: "SQL92" as const, expression: "a = 1 b" };
    await expect(origin.host.broker!.fetches.pull({ topic: "t", queueId: 0, expression: bad, offset: 0, max: 1 })).rejects.toMatchObject({ code: expect.any(String) });
    await send("x");
    await expect(origin.host.broker!.fetches.pull({ topic: "t", queueId: 0, expression: bad, offset: 0, max: 1 })).rejects.toMatchObject({ code: "SUBSCRIPTION_PARSE_FAILED", position: 6 });
  });

  test("members of a group need the same type and text", async () => {
    await consume(eu);
    const other = await origin.connect();
    await expect(consume(MessageSelector.bySql("amount > 100"), {}, other)).rejects.toMatchObject({ code: "SUBSCRIPTION_INCONSISTENT" });
    await expect(consume("amount", {}, other)).rejects.toMatchObject({ message: expect.stringMatching(/t SQL92 "amount > 100 AND region = 'eu'".*t "amount"/) });
    await expect(consume(eu, {}, other)).resolves.toBeDefined();
  });
});

describe("WebAssembly in the broker", () => {
  const byTag = MessageSelector.byWasm(TAGGED_A);

  test("only what it lets through is delivered", async () => {
    const { seen, errors } = await consume(byTag);
    await send("1", {}, "a");
    await send("2", {}, "b");
    await send("4");
    await send("3".repeat(300_000), {}, "a");
    await caughtUp();
    expect([seen, errors]).toEqual([["1", "3".repeat(300_000)], []]);
  });

  test("a tab that has not asked for it may bring none; the others' leave is not its", async () => {
    const other = await origin.connect();
    await expect(consume(byTag, {}, other)).rejects.toMatchObject({ code: "NO_PERMISSION", field: "subscriptions" });
    await expect(consume(byTag, {})).resolves.toBeDefined();
  });

  test.each([
    ["loops", LOOPING, /takes too long/],
    ["traps", TRAPPING, /traps/],
  ])("one that %s is disabled and says so; its queue waits, others go on", async (_name, module, why) => {
    await send("1", {}, "x");
    const { seen, errors } = await consume(MessageSelector.byWasm(module), { consumerGroup: "bad", subscriptions: { t: MessageSelector.byWasm(module), u: "*" } });
    await until(() => errors.length > 0);
    expect(errors[0]).toMatchObject({ code: "FILTER_FAILED", message: expect.stringMatching(why) });
    // Another group at the same topic, another topic of the same consumer.
    const good = await consume("*");
    await send("2", {}, "x");
    await producer.send({ topic: "u", body: "u1" });
    await caughtUp();
    await until(() => seen.includes("u1"));
    expect(good.seen).toEqual(["1", "2"]);
    // Nothing unmatched is delivered, nothing is passed by, and it is told once.
    const waiting = (await mq.admin.consumeStats("bad")).queues.find(({ topic }) => topic === "t")!;
    expect([seen, waiting.consumerOffset, waiting.diff, errors.length]).toEqual([["u1"], 0, 2, 1]);
  });

  test("control: a broker that does not look whether a filter has failed tells nobody", async () => {
    const failures = vi.spyOn(Member.prototype, "failures").mockReturnValue([]);
    await send("1", {}, "x");
    const { errors } = await consume(MessageSelector.byWasm(TRAPPING), { consumerGroup: "bad" });
    const good = await consume("*");
    await until(() => good.seen.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    failures.mockRestore();
    expect(errors).toEqual([]);
  });

  test("the group goes on from there with another filter", async () => {
    await send("1", {}, "a");
    const bad = await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: MessageSelector.byWasm(TRAPPING) }, messageListener: () => {}, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    await new Promise<void>((resolve) => void bad.on("error", () => resolve()));
    await bad.shutdown();
    const { seen } = await consume(byTag);
    await caughtUp();
    expect(seen).toEqual(["1"]);
  });

  test("no more of them than are allowed, over all consumers", async () => {
    const topics = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`t${n}`, byTag]));
    await expect(consume(byTag, { subscriptions: topics(MAX_FILTER_MODULES + 1) })).rejects.toMatchObject({ code: "FLOW_CONTROL" });
    const all = await mq.createPushConsumer({ consumerGroup: "all", subscriptions: topics(MAX_FILTER_MODULES), messageListener: () => {} });
    await expect(consume(byTag)).rejects.toMatchObject({ code: "FLOW_CONTROL" });
    await all.shutdown();
    await expect(consume(byTag)).resolves.toBeDefined();
    // Nor at the same moment.
    const half = (consumerGroup: string) => mq.createPushConsumer({ consumerGroup, subscriptions: topics(MAX_FILTER_MODULES / 2), messageListener: () => {} });
    const outcomes = await Promise.allSettled(["a", "b", "c", "d"].map(half));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  test("it goes with subscriptions only", async () => {
    await send("1");
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    await expect(pull.pull(q0, byTag, 0, 1)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    expect(() => byTag.matches({ tags: "a" })).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  });
});
