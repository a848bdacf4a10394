import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SendService } from "../../src/broker/send.ts";
import { MQError, type Message, type Producer, SelectMessageQueueByHash, type TabMQ } from "../../src/index.ts";
import { MemoryStore } from "../../src/storage/memory-store.ts";
import { GatedStore } from "../support/gated-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let store: GatedStore;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  origin.makeStore = () => (store = new GatedStore(origin.disk));
  mq = await origin.connect();
  producer = await mq.createProducer({ producerGroup: "p" });
  await producer.send({ topic: "t", body: "warm-up" });
});
afterEach(() => origin.close());

const queue = { topic: "t", brokerName: "broker-a", queueId: 0 };

describe("durability", () => {
  test("a send is answered when its transaction is complete, and nobody sees it before", async () => {
    store.shut();
    const { maxOffset } = (await mq.admin.topicStats("t")).queues[0]!;
    let isAnswered = false;
    const sent = producer.send({ topic: "t", body: "x" }, { queue }).then(() => (isAnswered = true));
    await until(() => store.batches.some((batch) => batch.log.length > 0));
    expect(isAnswered).toBe(false);
    expect(await mq.admin.maxOffset(queue)).toBe(maxOffset);
    store.open();
    await sent;
    expect(await mq.admin.maxOffset(queue)).toBe(maxOffset + 1);
  });

  test("what gathers while one transaction is on its way shares the next", async () => {
    store.shut();
    const before = store.batches.length;
    const sends = [];
    for (let i = 0; i < 50; i++) {
      sends.push(producer.send({ topic: "t", body: `m${i}` }));
      await Promise.resolve().then(() => new Promise((resolve) => setTimeout(resolve, 0)));
    }
    store.open();
    await Promise.all(sends);
    expect(store.batches.length - before).toBe(2);
  });

  test("no transaction without its epoch, no row of 64 KiB or more", async () => {
    await producer.send({ topic: "t", body: new Uint8Array(300_000) });
    await Promise.all(Array.from({ length: 200 }, () => producer.send({ topic: "t", body: new Uint8Array(1000) })));
    for (const batch of store.batches) {
      expect(batch.epoch).toBe(1);
      for (const { bytes } of batch.log) expect(bytes.byteLength).toBeLessThan(64 * 1024);
    }
  });

  test("a full store refuses, and takes messages again when there is room; the log has no hole", async () => {
    store.answerNext({ status: "rejected", reason: "FULL" });
    await expect(producer.send({ topic: "t", body: "no room" })).rejects.toMatchObject({ code: "STORAGE_FULL", outcome: "rejected" });
    await producer.send({ topic: "t", body: "room" });
    const again = new NodeOrigin(origin.disk);
    const { broker } = await (await again.connect()).diagnostics();
    expect(broker.recovery.damaged).toEqual([]);
    await again.close();
  });

  test("a full store is not asked again at once, and does not keep the broker from ending", async () => {
    let tries = 0;
    store.commit = async () => {
      tries++;
      await new Promise((resolve) => setTimeout(resolve, 1));
      return { status: "rejected", reason: "FULL" };
    };
    await expect(mq.admin.createTopic({ topic: "late" })).rejects.toMatchObject({ code: "STORAGE_FULL" });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(tries).toBeLessThan(5);
    await origin.host.broker!.close();
    expect(tries).toBeLessThan(10);
  });

  test("a topic that did not fit is written when there is room: its outcome was not known", async () => {
    store.answerNext({ status: "rejected", reason: "FULL" });
    await expect(mq.admin.createTopic({ topic: "late" })).rejects.toMatchObject({ code: "STORAGE_FULL", outcome: "unknown" });
    await producer.send({ topic: "late", body: "x" });
    expect(origin.disk.state.has("topic/late")).toBe(true);
  });

  test("an unknown outcome ends the broker; the next one gets the same message again, under the same id", async () => {
    const failing = store;
    failing.answerNext({ status: "unknown", cause: new Error("I/O error") });
    const events: string[] = [];
    mq.on("disconnected", () => events.push("disconnected"));
    mq.on("connected", () => events.push("connected"));
    const { msgId } = await producer.send({ topic: "t", body: "stubborn" }, { queue });
    expect(store).not.toBe(failing);
    await until(() => events.join().endsWith("disconnected,connected"));
    expect((await mq.diagnostics()).broker.epoch).toBe(2);
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    const { messages } = await pull.pull(queue, "*", 0, 100);
    expect(messages.filter((message) => message.msgId === msgId)).toHaveLength(1);
  });

  test("sends of one tab to one queue keep their order through a broker's death", async () => {
    const sends: Promise<unknown>[] = [];
    for (let i = 0; i < 300; i++) {
      if (i === 100) store.answerNext({ status: "unknown", cause: new Error("I/O error") });
      sends.push(producer.send({ topic: "t", body: `${i}` }, { queue, timeout: 10_000 }));
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(sends);
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    const numbers = (await pull.pull(queue, "*", 0, 1000)).messages.map((message) => Number(message.text())).filter((n) => !Number.isNaN(n));
    expect(numbers).toEqual(Array.from({ length: 300 }, (_, i) => i));
  });
});

describe("no call hangs", () => {
  test("what an earlier try may have stored is not certainly rejected, whatever a later try hears", async () => {
    const failing = store;
    // The first try is stored and reported as failed; the next broker refuses everything without a look.
    failing.commit = async (batch) => {
      await MemoryStore.prototype.commit.call(failing, batch);
      return { status: "unknown", cause: new Error("I/O error") };
    };
    origin.makeStore = () => {
      vi.spyOn(SendService.prototype, "send").mockRejectedValueOnce(new MQError("STORAGE_FULL", "no room"));
      return (store = new GatedStore(origin.disk));
    };
    const message = { topic: "t", body: "doubtful" };
    await expect(producer.send(message, { queue })).rejects.toMatchObject({ code: "STORAGE_FULL", outcome: "unknown" });
    vi.restoreAllMocks();
    // Sent again, it keeps its id, by which it is found.
    const { msgId } = await producer.send(message, { queue });
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    const copies = (await pull.pull(queue, "*", 0, 100)).messages.filter((one) => one.text() === "doubtful");
    expect(copies.map((one) => one.msgId)).toEqual([msgId]);
  });

  test("a send that gets no answer ends at its deadline, with an unknown outcome", async () => {
    store.shut();
    const send = producer.send({ topic: "t", body: "x" }, { timeout: 50 });
    await expect(send).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED", outcome: "unknown", retriable: true });
    store.open();
  });

  test("a send can be given up", async () => {
    store.shut();
    const abort = new AbortController();
    const send = producer.send({ topic: "t", body: "x" }, { signal: abort.signal });
    abort.abort();
    await expect(send).rejects.toMatchObject({ code: "CLOSED", outcome: "unknown" });
    store.open();
    await expect(producer.send({ topic: "t", body: "x" }, { signal: abort.signal })).rejects.toMatchObject({ outcome: "rejected" });
  });

  test("after close everything is refused", async () => {
    await mq.close();
    await expect(producer.send({ topic: "t", body: "x" })).rejects.toMatchObject({ code: "CLOSED" });
    await expect(mq.admin.topics()).rejects.toMatchObject({ code: "CLOSED" });
    await expect(mq.createProducer({ producerGroup: "p" })).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("close waits for what was sent", async () => {
    const sends = Array.from({ length: 100 }, () => producer.send({ topic: "t", body: "x" }));
    await mq.close();
    await Promise.all(sends);
  });
});

describe("what is in doubt", () => {
  test("the same message sent again keeps its id; another one gets its own", async () => {
    store.shut();
    const message = { topic: "t", body: "pay 5 EUR" };
    const abort = new AbortController();
    const first = producer.send(message, { signal: abort.signal, queue });
    await until(() => store.batches.some((batch) => batch.log.length > 0));
    abort.abort();
    await expect(first).rejects.toMatchObject({ outcome: "unknown" });
    store.open();
    const again = await producer.send(message, { queue });
    const other = await producer.send({ ...message }, { queue });
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    const ids = (await pull.pull(queue, "*", 0, 10)).messages.filter((one) => one.text() === "pay 5 EUR").map((one) => one.msgId);
    expect(ids).toEqual([again.msgId, other.msgId]);
  });

  test("flush waits for sends that still ask where their topic is", async () => {
    let isStored = false;
    const sent = producer.send({ topic: "fresh", body: "x" }).then(() => (isStored = true));
    await mq.flush();
    await Promise.resolve();
    expect(isStored).toBe(true);
    await sent;
  });

  test("asking where a topic is counts as sending time, and what was never sent is rejected", async () => {
    origin.silence();
    const send = producer.send({ topic: "fresh", body: "x" }, { timeout: 50 });
    await expect(send).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED", outcome: "rejected" });
  });

  test("many small frames on a slow disk wait their turn", async () => {
    store.shut();
    const sends = Array.from({ length: 1600 }, (_, i) => producer.send({ topic: "t", body: "x" }, { timeout: 20_000 + i }));
    await until(() => store.batches.length > 1);
    store.open();
    await Promise.all(sends);
  });

  test("closing twice waits twice", async () => {
    const sends = Array.from({ length: 20 }, () => producer.send({ topic: "t", body: "x" }));
    void mq.close();
    await mq.close();
    expect(await Promise.all(sends)).toHaveLength(20);
  });
});

describe("queue selection", () => {
  test("topics that take turns each use all their queues", async () => {
    const used = { a: new Set<number>(), b: new Set<number>() };
    for (let i = 0; i < 8; i++) for (const topic of ["a", "b"] as const) used[topic].add((await producer.send({ topic, body: "x" })).messageQueue.queueId);
    expect([used.a.size, used.b.size]).toEqual([4, 4]);
  });

  test("round robin spreads evenly; a message group and a hash always meet the same queue", async () => {
    const used = await Promise.all(Array.from({ length: 40 }, () => producer.send({ topic: "rr", body: "x" })));
    const counts = [0, 0, 0, 0];
    for (const { messageQueue } of used) counts[messageQueue.queueId]!++;
    expect(counts).toEqual([10, 10, 10, 10]);
    const grouped = await Promise.all(Array.from({ length: 10 }, () => producer.send({ topic: "rr", body: "x", messageGroup: "order-1" })));
    expect(new Set(grouped.map(({ messageQueue }) => messageQueue.queueId))).toEqual(new Set([3]));
    const hashed = await producer.send({ topic: "rr", body: "x" }, { selector: SelectMessageQueueByHash, arg: "order-1" });
    expect(hashed.messageQueue.queueId).toBe(2);
  });
});

describe("bad input is refused with a typed error that names the field", () => {
  const large = new Uint8Array(4 * 1024 * 1024 + 1);
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const messages: [name: string, message: unknown, code: string, field: string][] = [
    ["no message", undefined, "MESSAGE_ILLEGAL", "message"],
    ["a topic with a dot", { topic: "a.b", body: "x" }, "INVALID_PARAMETER", "message.topic"],
    ["an empty topic", { topic: "", body: "x" }, "INVALID_PARAMETER", "message.topic"],
    ["a topic of 128 characters", { topic: "t".repeat(128), body: "x" }, "INVALID_PARAMETER", "message.topic"],
    ["a topic that is no text", { topic: 7, body: "x" }, "INVALID_PARAMETER", "message.topic"],
    ["the broker's own topic", { topic: "SCHEDULE_TOPIC_XXXX", body: "x" }, "NO_PERMISSION", "message.topic"],
    ["an empty body", { topic: "t", body: "" }, "MESSAGE_ILLEGAL", "message.body"],
    ["no bytes", { topic: "t", body: new Uint8Array(0) }, "MESSAGE_ILLEGAL", "message.body"],
    ["no body", { topic: "t" }, "MESSAGE_ILLEGAL", "message.body"],
    ["a body over 4 MiB", { topic: "t", body: large }, "MESSAGE_ILLEGAL", "message.body"],
    ["a body that is no JSON", { topic: "t", body: cyclic }, "MESSAGE_ILLEGAL", "message.body"],
    ["a Map, which JSON would lose", { topic: "t", body: new Map([[1, 2]]) }, "MESSAGE_ILLEGAL", "message.body"],
    ["NaN", { topic: "t", body: Number.NaN }, "MESSAGE_ILLEGAL", "message.body"],
    ["properties over 32,767 bytes", { topic: "t", body: "x", properties: { a: "x".repeat(32_768) } }, "MESSAGE_ILLEGAL", "message.properties"],
    ["many properties over 32,767 bytes", { topic: "t", body: "x", properties: Object.fromEntries(Array.from({ length: 4000 }, (_, i) => [`k${i}`, "value"])) }, "MESSAGE_ILLEGAL", "message.properties"],
    ["a property that is no text", { topic: "t", body: "x", properties: { a: 1 } }, "MESSAGE_ILLEGAL", "message.properties.a"],
    ["a reserved property", { topic: "t", body: "x", properties: { UNIQ_KEY: "1" } }, "MESSAGE_ILLEGAL", "message.properties.UNIQ_KEY"],
    ["a separator in a property", { topic: "t", body: "x", properties: { a: "1\u0002b\u00011" } }, "MESSAGE_ILLEGAL", "message.properties.a"],
    ["a separator in a tag", { topic: "t", body: "x", tags: "a\u0001" }, "MESSAGE_ILLEGAL", "message.tags"],
    ["two tags", { topic: "t", body: "x", tags: "a || b" }, "MESSAGE_ILLEGAL", "message.tags"],
    ["a key with a space", { topic: "t", body: "x", keys: ["a b"] }, "MESSAGE_ILLEGAL", "message.keys"],
    ["a flag beyond 32 bits", { topic: "t", body: "x", flag: 2 ** 31 }, "MESSAGE_ILLEGAL", "message.flag"],
    ["a message group of 65 characters", { topic: "t", body: "x", messageGroup: "g".repeat(65) }, "MESSAGE_ILLEGAL", "message.messageGroup"],
    ["a field that does not exist", { topic: "t", body: "x", tag: "a" }, "MESSAGE_ILLEGAL", "message.tag"],
    ["a field of a later version", { topic: "t", body: "x", expiresAt: 3 }, "MESSAGE_ILLEGAL", "message.expiresAt"],
    ["properties in a Map", { topic: "t", body: "x", properties: new Map([["a", "b"]]) }, "MESSAGE_ILLEGAL", "message.properties"],
    ["half a surrogate pair in a body", { topic: "t", body: "a\ud83d" }, "MESSAGE_ILLEGAL", "message.body"],
    ["half a surrogate pair in a property", { topic: "t", body: "x", properties: { a: "\udc00b" } }, "MESSAGE_ILLEGAL", "message.properties.a"],
    ["half a surrogate pair in a property's name", { topic: "t", body: "x", properties: { "\ud800": "b" } }, "MESSAGE_ILLEGAL", "message.properties.\ud800"],
    ["half a surrogate pair in a tag", { topic: "t", body: "x", tags: "\ud800" }, "MESSAGE_ILLEGAL", "message.tags"],
    ["half a surrogate pair in a key", { topic: "t", body: "x", keys: ["a", "\udfff"] }, "MESSAGE_ILLEGAL", "message.keys"],
    ["half a surrogate pair in a message group", { topic: "t", body: "x", messageGroup: "\udbff" }, "MESSAGE_ILLEGAL", "message.messageGroup"],
    ["half a surrogate pair in a topic", { topic: "t\ud800", body: "x" }, "INVALID_PARAMETER", "message.topic"],
    ["a flag without a prototype", { topic: "t", body: "x", flag: Object.create(null) as object }, "MESSAGE_ILLEGAL", "message.flag"],
    ["a bigint flag", { topic: "t", body: "x", flag: 1n }, "MESSAGE_ILLEGAL", "message.flag"],
    // oxlint-disable-next-line no-sparse-arrays -- that is the point
    ["a hole in a batch", [{ topic: "t", body: "x" }, , { topic: "t", body: "x" }], "MESSAGE_ILLEGAL", "messages[1]"],
    ["a bad member of a batch", [{ topic: "t", body: "x" }, { topic: "t", body: "" }], "MESSAGE_ILLEGAL", "messages[1].body"],
    ["an empty batch", [], "MESSAGE_ILLEGAL", "messages"],
    ["a batch of two topics", [{ topic: "t", body: "x" }, { topic: "u", body: "x" }], "MESSAGE_ILLEGAL", "messages[1].topic"],
    ["a batch over 4 MiB", [{ topic: "t", body: large.subarray(0, 3e6) }, { topic: "t", body: large.subarray(0, 3e6) }], "MESSAGE_ILLEGAL", "messages"],
  ];

  test.each(messages)("%s", async (_name, message, code, field) => {
    const before = (await mq.diagnostics()).broker.position;
    const send = producer.send(message as Message);
    await expect(send).rejects.toBeInstanceOf(MQError);
    await expect(send).rejects.toMatchObject({ code, field, outcome: "rejected" });
    expect((await mq.diagnostics()).broker.position).toBe(before);
    await producer.send({ topic: "t", body: "still works" });
  });

  const options: [name: string, options: unknown, field: string][] = [
    ["an unknown option", { timeuot: 5 }, "send.timeuot"],
    ["a timeout of 0", { timeout: 0 }, "send.timeout"],
    ["a timeout that is no number", { timeout: "3s" }, "send.timeout"],
    ["a queue that is none", { queue: { topic: "t", brokerName: "broker-a", queueId: 99 } }, "send.queue"],
    ["a queue of another topic", { queue: { topic: "u", brokerName: "broker-a", queueId: 0 } }, "send.queue"],
    ["a selector that is no function", { selector: "first" }, "send.selector"],
    ["a selector that chooses nothing", { selector: () => undefined }, "send.selector"],
  ];
  test.each(options)("%s", async (_name, given, field) => {
    await expect(producer.send({ topic: "t", body: "x" }, given as object)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field });
  });

  test("a selector that throws is told from the broker's faults, and its own error is the cause", async () => {
    const cause = new RangeError("mine");
    const send = producer.send({ topic: "t", body: "x" }, { selector: () => { throw cause; } });
    await expect(send).rejects.toBeInstanceOf(MQError);
    await expect(send).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "send.selector", outcome: "rejected", cause });
    await producer.send({ topic: "t", body: "still works" });
  });

  test("a getter or a proxy that throws is a fault of its field", async () => {
    const cause = new RangeError("mine");
    const throwing = (name: string): object => Object.defineProperty({}, name, { enumerable: true, get() { throw cause; } });
    await expect(producer.send(throwing("body") as Message)).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", field: "message", cause });
    await expect(producer.send([throwing("topic") as Message])).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", field: "messages[0]" });
    await expect(producer.send({ topic: "t", body: "x", properties: throwing("p") as Record<string, string> })).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL" });
    await expect(producer.send({ topic: "t", body: "x" }, throwing("timeout"))).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "send.timeout", cause });
    await expect(origin.connect(throwing("namespace"))).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "connect.namespace", cause });
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    await expect(mq.createProducer(proxy as never)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "producer" });
    await expect(producer.send(proxy as never)).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", field: "message" });
  });

  test("a message is read once: what a getter says at the check is what is sent", async () => {
    let reads = 0;
    const message = { body: "x", get topic() { return reads++ === 0 ? "t" : "../../etc"; } };
    expect((await producer.send(message)).messageQueue.topic).toBe("t");
    expect(reads).toBe(1);
  });

  test("what nobody will ever hear of is not listened for", async () => {
    const listener = (): void => {};
    const push = await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: listener });
    const pull = await mq.createPullConsumer({ consumerGroup: "h" });
    for (const client of [mq, push, pull] as { on(name: unknown, listener: unknown): unknown }[]) {
      expect(() => client.on("conected", listener)).toThrow(expect.objectContaining({ name: "MQError", code: "INVALID_PARAMETER", field: "on.event" }));
      expect(() => client.on("__proto__", listener)).toThrow(expect.objectContaining({ field: "on.event" }));
      expect(() => client.on(client === mq ? "connected" : "error", "listener")).toThrow(expect.objectContaining({ name: "MQError", code: "INVALID_PARAMETER", field: "on.listener" }));
    }
    expect(mq.on("disconnected", listener)).toBeTypeOf("function");
  });

  const odd: [name: string, spec: unknown, field: string][] = [
    ["nothing", undefined, "createTopic"],
    ["text", "orders", "createTopic"],
    ["bytes", new Uint8Array(9), "createTopic"],
    ["a function as topic", { topic: () => "t" }, "createTopic.topic"],
    ["a function beside it", { topic: "x", on: () => {} }, "createTopic.on"],
    ["an object without a prototype as perm", { topic: "x", perm: Object.create(null) as object }, "createTopic.perm"],
    ["a symbol as perm", { topic: "x", perm: Symbol("6") }, "createTopic.perm"],
    ["a bigint as count", { topic: "x", readQueueNums: 4n }, "createTopic.readQueueNums"],
    ["a list as type", { topic: "x", messageType: ["FIFO"] }, "createTopic.messageType"],
  ];
  test.each(odd)("createTopic: %s", async (_name, spec, field) => {
    await expect(mq.admin.createTopic(spec as never)).rejects.toMatchObject({ name: "MQError", code: "INVALID_PARAMETER", field });
  });

  const connects: [options: unknown, field: string][] = [
    [{ namespace: "a b" }, "connect.namespace"],
    [{ namespace: "" }, "connect.namespace"],
    [{ host: "tab" }, "connect.host"],
    [{ nmespace: "a" }, "connect.nmespace"],
    [{ broker: { flushDisk: true } }, "connect.broker.flushDisk"],
    [{ broker: { defaultTopicQueueNums: 0 } }, "connect.broker.defaultTopicQueueNums"],
    [{ clientId: "a/b" }, "connect.clientId"],
    [7, "connect"],
  ];
  test.each(connects)("connect(%j)", async (given, field) => {
    await expect(origin.connect(given as object)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field });
  });

  test("consumers and admin", async () => {
    const listener = (): void => {};
    const push = (given: object): Promise<unknown> => mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: listener, ...given });
    await expect(push({ consumerGroup: "a.b" })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "pushConsumer.consumerGroup" });
    await expect(push({ consumerGroup: "DEFAULT_CONSUMER" })).rejects.toMatchObject({ code: "INVALID_PARAMETER" });
    await expect(push({ subscriptions: {} })).rejects.toMatchObject({ field: "pushConsumer.subscriptions" });
    await expect(push({ subscriptions: { t: "||" } })).rejects.toMatchObject({ code: "SUBSCRIPTION_PARSE_FAILED" });
    await expect(push({ messageListener: undefined })).rejects.toMatchObject({ field: "pushConsumer.messageListener" });
    await expect(push({ consumeConcurrency: 0 })).rejects.toMatchObject({ field: "pushConsumer.consumeConcurrency" });
    await expect(push({ orderly: 1 })).rejects.toMatchObject({ field: "pushConsumer.orderly" });
    await expect(push({ ordered: true })).rejects.toMatchObject({ field: "pushConsumer.ordered" });
    await expect(mq.admin.createTopic({ topic: "x", readQueueNums: 0 })).rejects.toMatchObject({ field: "createTopic.readQueueNums" });
    await expect(mq.admin.createTopic({ topic: "x", perm: 5 })).rejects.toMatchObject({ field: "createTopic.perm" });
    await expect(mq.admin.createTopic({ topic: "rmq_sys_x" })).rejects.toMatchObject({ code: "NO_PERMISSION" });
    await expect(mq.admin.topicStats("nowhere")).rejects.toMatchObject({ code: "TOPIC_NOT_EXIST", field: "topic" });
    await expect(mq.admin.maxOffset({ ...queue, queueId: 4 })).rejects.toMatchObject({ field: "queue.queueId" });
    expect(await mq.admin.consumeStats("nobody")).toMatchObject({ queues: [], diffTotal: 0 });
  });
});

test("control for the surrogates: whole pairs, and halves in JSON, come back as they were", async () => {
  const pairs = "\u{1f600}\u{10ffff}";
  const sent = await producer.send({ topic: "t", body: pairs, tags: pairs, keys: [pairs], properties: { [pairs]: pairs } }, { queue });
  await producer.send({ topic: "t", body: { half: "\ud83d" } }, { queue });
  const pull = await mq.createPullConsumer({ consumerGroup: "g" });
  const [text, json] = (await pull.pull(queue, "*", sent.queueOffset, 2)).messages;
  expect([text!.text(), text!.tags, text!.keys, text!.properties[pairs]]).toEqual([pairs, pairs, [pairs], pairs]);
  expect(json!.json()).toEqual({ half: "\ud83d" });
});

describe("topics", () => {
  test("a topic that is read-only refuses; one that grows is used in full", async () => {
    await mq.admin.createTopic({ topic: "ro", perm: 4 });
    await expect(producer.send({ topic: "ro", body: "x" })).rejects.toMatchObject({ code: "NO_PERMISSION" });
    await mq.admin.createTopic({ topic: "grow", readQueueNums: 1, writeQueueNums: 1 });
    await mq.admin.createTopic({ topic: "grow", readQueueNums: 8, writeQueueNums: 8 });
    await expect(mq.admin.createTopic({ topic: "grow", readQueueNums: 4 })).rejects.toMatchObject({ field: "writeQueueNums" });
    expect((await mq.admin.topics()).map(({ topic }) => topic)).toEqual(["grow", "ro", "t"]);
  });

  test("without autoCreateTopicEnable a topic has to be created first", async () => {
    const strict = new NodeOrigin();
    const other = await strict.connect({ broker: { autoCreateTopicEnable: false } });
    const sender = await other.createProducer({ producerGroup: "p" });
    await expect(sender.send({ topic: "t", body: "x" })).rejects.toMatchObject({ code: "TOPIC_NOT_EXIST" });
    await other.admin.createTopic({ topic: "t" });
    await sender.send({ topic: "t", body: "x" });
    await strict.close();
  });
});
