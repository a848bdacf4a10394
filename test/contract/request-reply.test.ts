import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RequestService } from "../../src/broker/requests.ts";
import { createReplyMessage, MessageSelector, type MessageExt, type MQError, type Producer, type TabMQ } from "../../src/index.ts";
import type { ConsumeContext } from "../../src/client/listener-runner.ts";
import type { Connection } from "../../src/client/connection.ts";
import { MAX_NOTICES, MAX_PENDING_REQUESTS } from "../../src/model/limits.ts";
import { draftMessage } from "../../src/model/message.ts";
import { encodeTopic } from "../../src/model/record-codec.ts";
import { FrameWriter } from "../../src/protocol/frame.ts";
import { brokerLock, writerLock } from "../../src/protocol/lock-names.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ broker: { messageDelayLevel: "50ms 50ms 50ms 50ms" } });
  producer = await mq.createProducer({ producerGroup: "asks" });
});
afterEach(async () => {
  await origin.close();
  vi.restoreAllMocks();
});

type Listener = (message: MessageExt, context: ConsumeContext) => unknown;

/** A tab that consumes "t". */
async function worker(listener: Listener, options: object = {}): Promise<TabMQ> {
  const tab = await origin.connect();
  await tab.createPushConsumer({ consumerGroup: "works", subscriptions: { t: "*" }, messageListener: listener as never, ...options });
  return tab;
}

const code = (promise: Promise<unknown>): Promise<string> => promise.then(() => "none", (error: MQError) => `${error.code} ${error.outcome}`);

/** Without a word: its ports are dead and its locks are free. */
function killBroker(): void {
  const { incarnation } = origin.host.broker!;
  origin.silence();
  origin.host = origin.newHost();
  origin.locks.steal(writerLock("default")).release();
  origin.locks.steal(brokerLock("default", incarnation)).release();
}

describe("request and reply", () => {
  test("the reply comes to the tab that asked, and is no stored message", async () => {
    const seen: MessageExt[] = [];
    await worker(async (message, context) => {
      seen.push(message);
      await context.reply({ sum: message.json<number[]>().reduce((a, b) => a + b) });
    });
    const reply = await producer.request({ topic: "t", body: [1, 2, 3], tags: "sum", properties: { who: "me" } }, { timeout: 5000 });
    expect(reply.json()).toEqual({ sum: 6 });
    const [request] = seen;
    expect({ ...request!.properties }).toEqual({ who: "me", CORRELATION_ID: request!.msgId, REPLY_TO_CLIENT: mq.clientId, TTL: "5000", CLUSTER: "DefaultCluster" });
    expect({ ...reply.properties }).toEqual({ MSG_TYPE: "reply", CORRELATION_ID: request!.msgId, REPLY_TO_CLIENT: mq.clientId, TTL: "5000" });
    expect(reply.topic).toBe("DefaultCluster_REPLY_TOPIC");
    expect((await mq.admin.topics()).map(({ topic }) => topic)).not.toContain("DefaultCluster_REPLY_TOPIC");
  });

  test("a hundred at once, each gets its own; of two producers in one tab, too", async () => {
    await worker((message, context) => context.reply(`re ${message.text()}`));
    const other = await mq.createProducer({ producerGroup: "asks-too" });
    const replies = await Promise.all(Array.from({ length: 100 }, (_, at) => (at % 2 === 0 ? producer : other).request({ topic: "t", body: `${at}` })));
    expect(replies.map((reply) => reply.text())).toEqual(Array.from({ length: 100 }, (_, at) => `re ${at}`));
  });

  test("any producer replies to what any consumer has received, with properties of its own; of several replies the first is taken", async () => {
    const tab = await origin.connect();
    const simple = await tab.createSimpleConsumer({ consumerGroup: "pops", subscriptions: { t: "*" } });
    const answers = await tab.createProducer({ producerGroup: "answers" });
    const asked = producer.request({ topic: "t", body: "?" });
    const [request] = await simple.receive();
    await answers.reply(request!, "first", { properties: { by: "hand" } });
    await expect(answers.reply(request!, "second")).rejects.toMatchObject({ code: "REPLY_NOT_WANTED", outcome: "rejected", retriable: false, field: "request", message: expect.stringContaining("somebody else was faster") });
    const reply = await asked;
    expect([reply.text(), reply.properties.by]).toEqual(["first", "hand"]);
    await simple.ack(request!);
  });

  test("a message that failed and came again can still be replied to", async () => {
    await worker(async (_message, context) => {
      if (context.attempt === 1) return "RECONSUME_LATER";
      await context.reply(`at the ${context.attempt}nd try`);
      return undefined;
    });
    const reply = await producer.request({ topic: "t", body: "x" }, { timeout: 20_000 });
    expect(reply.text()).toBe("at the 2nd try");
  });

  test("of a batch it has to be said which one is replied to", async () => {
    const errors: string[] = [];
    const tab = await origin.connect();
    await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
    const consumer = await tab.createPushConsumer({
      consumerGroup: "works", subscriptions: { t: "*" }, consumeMessageBatchMaxSize: 8,
      batchListener: async (messages, context) => {
        if (messages.length > 1) errors.push(await code(context.reply("which?")));
        for (const message of messages) await context.reply(message.text(), message);
      },
    });
    consumer.suspend();
    const asked = Promise.all(["a", "b", "c"].map((body) => producer.request({ topic: "t", body })));
    await until(async () => (await mq.admin.topicStats("t")).queues[0]!.maxOffset === 3);
    await new Promise((resolve) => setTimeout(resolve, 50));
    consumer.resume();
    expect((await asked).map((reply) => reply.text())).toEqual(["a", "b", "c"]);
    expect(errors).toEqual(["INVALID_PARAMETER rejected"]);
  });
});

describe("nobody listens", () => {
  test("told at once, and nothing is sent", async () => {
    const began = performance.now();
    const refusal = producer.request({ topic: "t", body: "x" }, { timeout: 20_000 });
    await expect(refusal).rejects.toMatchObject({ code: "CONSUMER_NOT_ONLINE", outcome: "rejected", retriable: true, field: "message.topic", message: expect.stringContaining('no consumer of topic "t" is there') });
    expect(performance.now() - began).toBeLessThan(10_000);
    expect((await mq.admin.topics()).map(({ topic }) => topic)).not.toContain("t");
  });

  test("control: who does not ask who listens waits until the time is up", async () => {
    vi.spyOn(RequestService.prototype, "listeners").mockReturnValue(1);
    expect(await code(producer.request({ topic: "t", body: "x" }, { timeout: 200 }))).toBe("DEADLINE_EXCEEDED unknown");
    expect((await mq.admin.topicStats("t")).queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0)).toBe(1);
  });

  test("a consumer of other tags, of another topic, or one that is gone, does not listen", async () => {
    const tab = await origin.connect();
    const consumer = await tab.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "a || b", u: "*" }, messageListener: (_message, context) => context.reply("ok") });
    expect(await code(producer.request({ topic: "t", body: "x", tags: "c" }))).toBe("CONSUMER_NOT_ONLINE rejected");
    expect(await code(producer.request({ topic: "t", body: "x" }))).toBe("CONSUMER_NOT_ONLINE rejected");
    expect((await producer.request({ topic: "t", body: "x", tags: "b" })).text()).toBe("ok");
    await consumer.shutdown();
    expect(await code(producer.request({ topic: "t", body: "x", tags: "b" }))).toBe("CONSUMER_NOT_ONLINE rejected");
  });

  test.each<[string, (tab: TabMQ) => Promise<unknown>]>([
    ["a broadcasting one", (tab) => tab.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageModel: "BROADCASTING", messageListener: (_message, context) => context.reply("ok") })],
    ["a simple one", async (tab) => {
      const simple = await tab.createSimpleConsumer({ consumerGroup: "g", subscriptions: { t: "*" } });
      const answers = await tab.createProducer({ producerGroup: "answers" });
      void simple.receive().then(async ([message]) => answers.reply(message!, "ok"));
    }],
    ["one that polls what it has subscribed", async (tab) => {
      const pull = await tab.createPullConsumer({ consumerGroup: "g" });
      const answers = await tab.createProducer({ producerGroup: "answers" });
      pull.subscribe("t");
      await pull.poll({ timeout: 10 });
      void pull.poll({ timeout: 5000 }).then(async ([message]) => answers.reply(message!, "ok"));
    }],
    ["one that polls the queues it has picked", async (tab) => {
      await mq.admin.createTopic({ topic: "t" });
      const pull = await tab.createPullConsumer({ consumerGroup: "g" });
      const answers = await tab.createProducer({ producerGroup: "answers" });
      pull.assign(await pull.fetchQueues("t"));
      await pull.poll({ timeout: 10 });
      void pull.poll({ timeout: 5000 }).then(async ([message]) => answers.reply(message!, "ok"));
    }],
    ["one that filters by SQL", (tab) => tab.createPushConsumer({ consumerGroup: "g", subscriptions: { t: MessageSelector.bySql("a IS NULL") }, messageListener: (_message, context) => context.reply("ok") })],
  ])("every kind of consumer listens: %s", async (_kind, listen) => {
    await listen(await origin.connect());
    expect((await producer.request({ topic: "t", body: "x" }, { timeout: 5000 })).text()).toBe("ok");
  });
});

describe("nobody replies", () => {
  test("the time is up: the request is stored; the late reply is not wanted, and whoever replied is told", async () => {
    const contexts: [MessageExt, ConsumeContext][] = [];
    await worker((message, context) => void contexts.push([message, context]));
    await expect(producer.request({ topic: "t", body: "x" }, { timeout: 100 })).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED", outcome: "unknown", message: expect.stringMatching(/^Nobody has replied to the request [0-9A-F]{32} within 100 ms. It is stored in "t"/),
    });
    await until(() => contexts.length === 1);
    await expect(contexts[0]![1].reply("late")).rejects.toMatchObject({ code: "REPLY_NOT_WANTED", message: expect.stringContaining("its time was up") });
  });

  test("the requester is gone: so is whoever wanted the reply", async () => {
    const requests: MessageExt[] = [];
    const tab = await worker((message) => void requests.push(message));
    const asked = code(producer.request({ topic: "t", body: "x" }, { timeout: 20_000 }));
    await until(() => requests.length === 1);
    await mq.close();
    expect(await asked).toBe("CLOSED unknown");
    const answers = await tab.createProducer({ producerGroup: "answers" });
    await expect(answers.reply(requests[0]!, "x")).rejects.toMatchObject({ code: "REPLY_NOT_WANTED", message: expect.stringContaining(`Client "${mq.clientId}" is gone`) });
  });

  test("what is no request has nobody to reply to; neither has one of whom nobody has heard", async () => {
    const received: MessageExt[] = [];
    await worker((message) => void received.push(message));
    await producer.send({ topic: "t", body: "x" });
    await until(() => received.length === 1);
    await expect(producer.reply(received[0]!, "x")).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "request", message: expect.stringContaining("not sent by producer.request") });
    const request = (to: string, correlation = "c"): MessageExt => ({ properties: { CLUSTER: "c", TTL: "1", REPLY_TO_CLIENT: to, CORRELATION_ID: correlation } }) as unknown as MessageExt;
    expect(await code(producer.reply(request("nobody"), "x"))).toBe("REPLY_NOT_WANTED rejected");
    expect(await code(producer.reply(request(mq.clientId), "x"))).toBe("REPLY_NOT_WANTED rejected");
    for (const bad of [null, undefined, 1, {}, { properties: null }, { properties: { CLUSTER: 1 } }]) expect(await code(producer.reply(bad as never, "x"))).toBe("INVALID_PARAMETER rejected");
    expect(await code(producer.reply(request("nobody"), ""))).toBe("MESSAGE_ILLEGAL rejected");
    expect(await code(producer.reply(request("nobody"), undefined as never))).toBe("MESSAGE_ILLEGAL rejected");
    expect(await code(producer.reply(request("nobody"), "x", { timeout: 0 }))).toBe("INVALID_PARAMETER rejected");
    expect(await code(producer.reply(request("nobody"), "x", { properties: { CLUSTER: "x" } }))).toBe("MESSAGE_ILLEGAL rejected");
    expect(await code(producer.reply(request("x\u0001y"), "x"))).not.toBe("none");
  });

  test("bad requests", async () => {
    await worker(() => {});
    expect(await code(producer.request([{ topic: "t", body: "x" }] as never))).toBe("MESSAGE_ILLEGAL rejected");
    expect(await code(producer.request(null as never))).toBe("MESSAGE_ILLEGAL rejected");
    expect(await code(producer.request({ topic: "t" } as never))).toBe("MESSAGE_ILLEGAL rejected");
    expect(await code(producer.request({ topic: "t", body: "x" }, { timeout: -1 }))).toBe("INVALID_PARAMETER rejected");
    expect(await code(producer.request({ topic: "t", body: "x" }, { timeout: Number.NaN }))).toBe("INVALID_PARAMETER rejected");
    expect(await code(producer.request({ topic: "t", body: "x", properties: { CORRELATION_ID: "mine" } }))).toBe("MESSAGE_ILLEGAL rejected");
  });

  test("aborted before it is sent it is rejected, and behind that unknown; so by a shutdown", async () => {
    await worker(() => {});
    const request = (signal: AbortSignal): Promise<string> => code(producer.request({ topic: "t", body: "x" }, { signal, timeout: 20_000 }));
    expect(await request(AbortSignal.abort())).toBe("CLOSED rejected");
    const early = new AbortController();
    const asked = request(early.signal);
    early.abort();
    expect(await asked).toBe("CLOSED rejected");
    const late = new AbortController();
    const sent = request(late.signal);
    await until(async () => (await mq.admin.topics()).some(({ topic }) => topic === "t") && (await mq.admin.topicStats("t")).queues.some(({ maxOffset }) => maxOffset > 0));
    late.abort();
    expect(await sent).toBe("CLOSED unknown");
    const waiting = code(producer.request({ topic: "t", body: "x" }, { timeout: 20_000 }));
    await until(async () => (await mq.admin.topicStats("t")).queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0) === 2);
    await producer.shutdown();
    expect(await waiting).toBe("CLOSED unknown");
    expect(await code(producer.request({ topic: "t", body: "x" }))).toBe("CLOSED rejected");
  });
});

describe("the broker dies", () => {
  test("with the request stored and nothing replied: the next one brings both to their ends", async () => {
    let isDead = false;
    const replied = vi.fn();
    await worker(async (_message, context) => {
      if (!isDead) {
        isDead = true;
        killBroker();
      }
      await context.reply("after all").then(replied);
    });
    const reply = await producer.request({ topic: "t", body: "x" }, { timeout: 20_000 });
    expect(reply.text()).toBe("after all");
  });

  test("with the reply on its way: it is brought again, and taken once", async () => {
    const told = vi.fn();
    await worker(async (_message, context) => {
      await context.reply("brought").then(() => told("delivered"), told);
    });
    // The requester has it, and its word of that never arrives.
    const poll = vi.spyOn(origin.host.broker!.inboxes, "poll");
    const reply = origin.host.broker!.requests.reply.bind(origin.host.broker!.requests);
    vi.spyOn(origin.host.broker!.requests, "reply").mockImplementation((frame) => {
      poll.mockImplementation(async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        killBroker();
        return new Promise(() => {});
      });
      return reply(frame);
    });
    expect((await producer.request({ topic: "t", body: "x" }, { timeout: 20_000 })).text()).toBe("brought");
    await until(() => told.mock.calls.length > 0);
    expect(told.mock.calls[0]).toEqual(["delivered"]);
  });

  test("with the send's outcome unknown: the same message asked again is the same request, and the reply to what was stored is its reply", async () => {
    const asks = await mq.createProducer({ producerGroup: "once", retryTimesWhenSendFailed: 0 });
    const seen: string[] = [];
    await worker(async (message, context) => {
      seen.push(message.msgId);
      // Refused while nobody waits, it fails, and the message comes again.
      await context.reply("at last");
    });
    const { send } = origin.host.broker!.send;
    vi.spyOn(origin.host.broker!.send, "send").mockImplementation(async function unheard(frame) {
      await send.call(origin.host.broker!.send, frame);
      killBroker();
      return new Promise(() => {});
    });
    const message = { topic: "t", body: "x" };
    expect(await code(asks.request(message, { timeout: 20_000 }))).toMatch(/unknown$/);
    expect((await asks.request(message, { timeout: 20_000 })).text()).toBe("at last");
    expect(new Set(seen).size).toBe(1);
    // The second frame was known to be there.
    await mq.flush();
    expect((await mq.admin.topicStats("t")).queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0)).toBe(1);
  });

  describe("and consumers have not found the next one yet", () => {
    let calls: number;
    beforeEach(async () => {
      await worker((_message, context) => context.reply("ok"));
      expect((await producer.request({ topic: "t", body: "1" })).text()).toBe("ok");
      const { listeners } = RequestService.prototype;
      calls = 0;
      vi.spyOn(RequestService.prototype, "listeners").mockImplementation(function late(this: RequestService, request) {
        return ++calls < 4 ? 0 : listeners.call(this, request);
      });
    });

    test("they are waited for", async () => {
      killBroker();
      // A call that finds the next one.
      await mq.admin.topics();
      expect((await producer.request({ topic: "t", body: "2" }, { timeout: 20_000 })).text()).toBe("ok");
      expect(calls).toBe(4);
    });

    test("control: without a death, who is not there is not waited for", async () => {
      expect(await code(producer.request({ topic: "t", body: "2" }, { timeout: 20_000 }))).toBe("CONSUMER_NOT_ONLINE rejected");
      expect(calls).toBe(1);
    });
  });
});

describe("bounds and strangers", () => {
  test("a producer waits for so many replies and no more", async () => {
    await worker(() => {});
    const waiting = Array.from({ length: MAX_PENDING_REQUESTS }, () => code(producer.request({ topic: "t", body: "x" }, { timeout: 20_000 })));
    await expect(producer.request({ topic: "t", body: "x" })).rejects.toMatchObject({ code: "FLOW_CONTROL", outcome: "rejected" });
    await producer.shutdown();
    await Promise.all(waiting);
  });

  async function clientThatPolls(): Promise<Connection> {
    const client = await origin.open("full");
    await client.callOnce("inbox", [{ after: 0, declined: [], wait: 0 }]);
    return client;
  }

  function frame(properties: [string, string][], records = 1): ArrayBuffer {
    const writer = new FrameWriter(0);
    for (let at = 0; at < records; at++) writer.write(draftMessage({ topic: "r", body: "x" }, "F".repeat(32), 100, properties), encodeTopic("r"), 0, 1);
    return writer.finish();
  }

  const named: [string, string][] = [["CORRELATION_ID", "c"], ["REPLY_TO_CLIENT", "full"]];

  test("an inbox that is full takes no more replies: whoever replies is told to come again", async () => {
    const client = await clientThatPolls();
    for (let at = 0; at < MAX_NOTICES; at++) void client.callOnce("reply", [frame(named)]).catch(() => {});
    await until(async () => (await client.callOnce("inbox", [{ after: 0, declined: [], wait: 0 }])).notices.length === MAX_NOTICES);
    const request = { properties: { CLUSTER: "c", TTL: "1", REPLY_TO_CLIENT: "full", CORRELATION_ID: "c" } } as unknown as MessageExt;
    await expect(producer.reply(request, "x")).rejects.toMatchObject({ code: "FLOW_CONTROL", outcome: "rejected", retriable: true });
  });

  test("a requester that lives and says nothing: unknown, for it may have the reply", async () => {
    const client = await clientThatPolls();
    const request = { properties: { CLUSTER: "c", TTL: "1", REPLY_TO_CLIENT: "full", CORRELATION_ID: "c" } } as unknown as MessageExt;
    expect(await code(producer.reply(request, "x", { timeout: 100 }))).toBe("DEADLINE_EXCEEDED unknown");
    await client.close();
  });

  test.each<[string, unknown, string]>([
    ["no frame", "x", "PROTOCOL_VIOLATION"],
    ["two records", frame(named, 2), "MESSAGE_ILLEGAL"],
    ["nobody named", frame([["CORRELATION_ID", "c"]]), "MESSAGE_ILLEGAL"],
    ["no request named", frame([["REPLY_TO_CLIENT", "full"]]), "MESSAGE_ILLEGAL"],
    ["bytes that are no record", (() => { const bytes = frame(named); new Uint8Array(bytes).fill(7, 20, 60); return bytes; })(), "MESSAGE_ILLEGAL"],
  ])("refused: %s", async (_what, bytes, expected) => {
    const client = await clientThatPolls();
    await expect(client.callOnce("reply", [bytes as ArrayBuffer])).rejects.toMatchObject({ code: expected });
    expect(await client.callOnce("inbox", [{ after: 0, declined: [], wait: 0 }])).toEqual({ notices: [] });
    await producer.send({ topic: "t", body: "the log is as it was" });
  });
});

test("createReplyMessage names the reply topic of the request's cluster and what the request says of itself", () => {
  const properties = { CLUSTER: "c1", CORRELATION_ID: "id", REPLY_TO_CLIENT: "tab", TTL: "3000", other: "x" };
  expect(createReplyMessage({ properties }, "body")).toEqual({
    topic: "c1_REPLY_TOPIC", body: "body", properties: { MSG_TYPE: "reply", CORRELATION_ID: "id", REPLY_TO_CLIENT: "tab", TTL: "3000" },
  });
  for (const name of ["CLUSTER", "CORRELATION_ID", "REPLY_TO_CLIENT", "TTL"]) {
    expect(() => createReplyMessage({ properties: { ...properties, [name]: "" } }, "body")).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "request", message: expect.stringContaining(name) }));
  }
});
