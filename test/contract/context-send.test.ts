/** What a listener sends through its context is stored with the acknowledgement of its messages, both or neither. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Offsets } from "../../src/broker/offsets.ts";
import type { ConsumeContext, MessageExt, MQError, Producer, PushConsumer, PushConsumerOptions, TabMQ } from "../../src/index.ts";
import { type Completion, completionOf, completionText } from "../../src/model/completion.ts";
import { draftMessage } from "../../src/model/message.ts";
import { PROPERTY } from "../../src/model/properties.ts";
import { encodeTopic, writeRecord } from "../../src/model/record-codec.ts";
import { writerLock } from "../../src/protocol/lock-names.ts";
import { MemoryStore } from "../../src/storage/memory-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ broker: { defaultTopicQueueNums: 1, messageDelayLevel: "1ms 1ms 1ms 1ms" } });
  for (const topic of ["in", "out"]) await mq.admin.createTopic({ topic, readQueueNums: 1, writeQueueNums: 1 });
  producer = await mq.createProducer({ producerGroup: "p" });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

async function consume(options: Partial<PushConsumerOptions>): Promise<{ consumer: PushConsumer; errors: MQError[] }> {
  const errors: MQError[] = [];
  const consumer = await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { in: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", ...options });
  consumer.on("error", (error) => errors.push(error));
  return { consumer, errors };
}

const send = (...bodies: string[]): Promise<unknown> => producer.send(bodies.map((body) => ({ topic: "in", body })));
const isConsumed = async (): Promise<boolean> => (await mq.admin.consumeStats("g")).diffTotal === 0;

async function stored(topic = "out"): Promise<MessageExt[]> {
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  return (await pull.pull({ topic, brokerName: "broker-a", queueId: 0 }, "*", 0, 1000)).messages;
}

const texts = async (topic?: string): Promise<string[]> => (await stored(topic)).map((message) => message.text());

async function nextBroker(): Promise<void> {
  const { epoch } = (await mq.diagnostics()).broker;
  origin.locks.steal(writerLock("default")).release();
  await until(async () => (await mq.diagnostics()).broker.epoch > epoch);
}

const copy = (message: MessageExt, context: ConsumeContext, body = `got ${message.text()}`): string => context.send({ topic: "out", body });

describe.each([["concurrent", {}], ["orderly", { orderly: true }], ["idempotent", { idempotent: true }]] as const)("%s", (_name, kind) => {
  test("sent once, visible with the end of its message, under the id that was told", async () => {
    const ids: string[] = [];
    let before: MessageExt[] = [];
    await consume({
      ...kind,
      messageListener: async (message, context) => {
        ids.push(copy(message, context), copy(message, context, "and again"));
        before = [...before, ...(await stored())];
      },
    });
    await send("a");
    await until(async () => (await stored()).length === 2 && (await isConsumed()));
    expect([before, await texts()]).toEqual([[], ["got a", "and again"]]);
    expect((await stored()).map(({ msgId }) => msgId)).toEqual(ids);
    expect(Object.keys((await stored())[0]!.properties)).toEqual([]);
  });

  test("nothing of a call that throws, also where that is skipped", async () => {
    const { errors } = await consume({
      ...kind,
      exceptionPolicy: "skip",
      messageListener: (message, context) => {
        copy(message, context);
        if (message.text() === "a") throw new Error("in the middle");
      },
    });
    await send("a", "b");
    await until(isConsumed);
    expect([errors.length, await texts()]).toEqual([1, ["got b"]]);
  });

  test("nothing of a call that fails; of a retry, once", async () => {
    const attempts: number[] = [];
    await consume({
      ...kind,
      suspendCurrentQueueTime: 10,
      messageListener: (message, context) => {
        attempts.push(context.attempt);
        copy(message, context, `try ${context.attempt}`);
        if (context.attempt < 3) throw new Error("not yet");
      },
    });
    await send("a");
    await until(async () => (await stored()).length > 0 && (await isConsumed()));
    expect([attempts, await texts()]).toEqual([[1, 2, 3], ["try 3"]]);
  });

  test("nothing of a call that takes too long, nor what it sends then", async () => {
    let late: unknown = null;
    await consume({
      ...kind,
      consumeTimeout: 30,
      suspendCurrentQueueTime: 10,
      messageListener: async (message, context) => {
        if (context.attempt > 1) return;
        copy(message, context, "in time");
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
        await new Promise((resolve) => setTimeout(resolve, 5));
        try {
          copy(message, context, "late");
        } catch (error) {
          late = error;
        }
      },
    });
    await send("a");
    await until(async () => late !== null && (await isConsumed()));
    expect(late).toMatchObject({ code: "CLOSED" });
    await producer.send({ topic: "out", body: "end" });
    expect(await texts()).toEqual(["end"]);
  });

  test("nothing is stored twice where the answer is lost with the broker, and the listener runs again", async () => {
    let calls = 0;
    let isKilled = false;
    const { commit } = MemoryStore.prototype;
    await consume({ ...kind, suspendCurrentQueueTime: 10, messageListener: (message, context) => void (calls++, copy(message, context)) });
    vi.spyOn(MemoryStore.prototype, "commit").mockImplementation(async function dies(this: MemoryStore, batch) {
      const outcome = await commit.call(this, batch);
      const hasSent = batch.log.some(({ bytes }) => new TextDecoder().decode(bytes).includes(PROPERTY.COMPLETES));
      if (!hasSent || isKilled) return outcome;
      isKilled = true;
      return { status: "unknown", cause: new Error("injected") };
    });
    await send("a");
    await until(async () => isKilled && (await stored()).length > 0 && (await isConsumed()));
    await producer.send({ topic: "out", body: "end" });
    expect(await texts()).toEqual(["got a", "end"]);
    expect(calls).toBeGreaterThan(0);
    // A consumer of the next life does not get it either.
    await nextBroker();
    expect(await isConsumed()).toBe(true);
  });
});

describe("a batch", () => {
  test("what was sent goes with those that were consumed; the others come again", async () => {
    const calls: string[][] = [];
    await consume({
      consumeMessageBatchMaxSize: 3,
      batchListener: (messages, context) => {
        calls.push(messages.map((message) => message.text()));
        for (const message of messages) context.send({ topic: "out", body: `${message.text()} ${context.attempt}` });
        if (context.attempt === 1) context.ackIndex = 1;
      },
    });
    await send("a", "b", "c");
    await until(async () => calls.length >= 2 && (await isConsumed()));
    expect(calls).toEqual([["a", "b", "c"], ["c"]]);
    expect(await texts()).toEqual(["a 1", "b 1", "c 1", "c 2"]);
  });

  test("whose messages were finished in part stores nothing; the rest is given again by itself", async () => {
    const { isDone } = Offsets.prototype;
    const spy = vi.spyOn(Offsets.prototype, "isDone").mockImplementation(function other(this: Offsets, finish) {
      return finish.queueOffset === 0 || isDone.call(this, finish);
    });
    const { errors } = await consume({ orderly: true, suspendCurrentQueueTime: 10, consumeMessageBatchMaxSize: 2, batchListener: (messages, context) => void context.send({ topic: "out", body: messages.map((message) => message.text()).join() }) });
    await send("a", "b");
    await until(async () => (await stored()).length > 0 && (await isConsumed()));
    spy.mockRestore();
    expect(await texts()).toEqual(["b"]);
    expect(errors.map(({ code }) => code)).toEqual(["STALE_GENERATION"]);
  });
});

test("orderly, committing by itself: with the COMMIT, and nothing of what is rolled back", async () => {
  const seen: string[] = [];
  await consume({
    orderly: true,
    suspendCurrentQueueTime: 10,
    messageListener: (message, context) => {
      context.autoCommit = false;
      seen.push(message.text());
      copy(message, context, `${message.text()}${seen.length}`);
      if (message.text() !== "c") return "SUCCESS";
      return seen.length < 4 ? "ROLLBACK" : "COMMIT";
    },
  });
  await send("a", "b", "c");
  await until(async () => (await stored()).length > 0 && (await isConsumed()));
  expect([seen, await texts()]).toEqual([["a", "b", "c", "a", "b", "c"], ["a4", "b5", "c6"]]);
});

describe("refused", () => {
  test("at once: a bad message, which is the listener's failure as any other, and too many", async () => {
    const thrown: unknown[] = [];
    const attempt = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        thrown.push(error);
      }
    };
    await consume({
      messageListener: (_message, context) => {
        attempt(() => context.send({ topic: "out", body: "" }));
        attempt(() => context.send({ topic: "RMQ_SYS_TRANS_HALF_TOPIC", body: "x" }));
        for (let at = 0; at < 1025; at++) attempt(() => context.send({ topic: "out", body: "x" }));
        attempt(() => context.send({ topic: "out", body: new Uint8Array(4 * 2 ** 20) }));
        attempt(() => context.send({ topic: "out", body: new Uint8Array(4 * 2 ** 20) }));
        throw new Error("enough");
      },
      maxReconsumeTimes: 0,
    });
    await send("a");
    await until(async () => (await mq.admin.deadLetters("g")).length === 1);
    expect(thrown.slice(0, 3)).toMatchObject([{ code: "MESSAGE_ILLEGAL", field: "message.body" }, { field: "message.topic" }, { code: "FLOW_CONTROL" }]);
  });

  test("by the broker: the listener has failed, and a dead letter says why", async () => {
    await mq.admin.createTopic({ topic: "closed", readQueueNums: 1, writeQueueNums: 1, perm: 4 });
    const { errors } = await consume({ messageListener: (message, context) => void (copy(message, context), context.send({ topic: "closed", body: "x" })), maxReconsumeTimes: 1 });
    await send("a");
    await until(async () => (await mq.admin.deadLetters("g")).length === 1);
    expect((await mq.admin.deadLetters("g"))[0]!.properties["DLQ_ERROR"]).toMatch(/not writable/);
    expect(errors.map(({ code }) => code)).toEqual(["NO_PERMISSION", "NO_PERMISSION"]);
    await producer.send({ topic: "out", body: "end" });
    expect(await texts()).toEqual(["end"]);
  });

  test("by the broker, in an orderly group: no longer than the message may be tried, and the queue goes on", async () => {
    await mq.admin.createTopic({ topic: "out", perm: 4 });
    const calls: string[] = [];
    await consume({
      orderly: true,
      maxReconsumeTimes: 2,
      suspendCurrentQueueTime: 10,
      messageListener: (message, context) => {
        calls.push(`${message.text()} ${context.attempt}`);
        if (message.text() === "a") copy(message, context);
      },
    });
    await send("a", "b");
    await until(isConsumed);
    expect(calls).toEqual(["a 1", "a 2", "a 3", "b 1"]);
    const dead = await mq.admin.deadLetters("g");
    expect(dead.map((message) => [message.text(), message.reconsumeTimes, message.properties["DLQ_ERROR"]])).toEqual([["a", 3, expect.stringMatching(/not writable/)]]);
  });

  test("by the broker, of what several calls of an orderly listener have sent: those before go on without the one that is given up", async () => {
    await mq.admin.createTopic({ topic: "out", perm: 4 });
    await consume({
      orderly: true,
      maxReconsumeTimes: 1,
      suspendCurrentQueueTime: 10,
      messageListener: (message, context) => {
        context.autoCommit = false;
        if (message.text() === "b") copy(message, context);
        return message.text() === "a" ? "SUCCESS" : "COMMIT";
      },
    });
    await send("a", "b", "c");
    await until(isConsumed);
    expect((await mq.admin.deadLetters("g")).map((message) => message.text())).toEqual(["b"]);
  });

  test("to a broadcasting listener", async () => {
    const { errors } = await consume({ messageModel: "BROADCASTING", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: (message, context) => void copy(message, context) });
    await send("a");
    await until(() => errors.length > 0);
    expect(errors[0]!.cause).toMatchObject({ code: "UNSUPPORTED" });
  });
});

test("a message that waits for its time, sent through a context, comes once, and takes nothing along that it says of others", async () => {
  await consume({ messageListener: (_message, context) => void context.send({ topic: "out", body: "later", delayTimeLevel: 1 }) });
  await send("a");
  await until(async () => (await stored()).length > 0 && (await isConsumed()));
  expect(await texts()).toEqual(["later"]);
  const records = [...origin.disk.log.from(0)].map((position) => new TextDecoder().decode(origin.disk.log.get(position)));
  expect(records.join("").split(PROPERTY.COMPLETES)).toHaveLength(2);
});

describe("an idempotent group", () => {
  const options = (calls: string[]): Partial<PushConsumerOptions> => ({
    idempotent: { key: (message) => message.text() },
    messageListener: (message, context) => void (calls.push(message.text()), copy(message, context)),
  });

  test("has the key with it, also after a broker's death at once", async () => {
    const calls: string[] = [];
    await consume(options(calls));
    await send("a", "key with % and\tmore \u00e4\u{1f600}");
    await until(isConsumed);
    await nextBroker();
    await send("a", "key with % and\tmore \u00e4\u{1f600}", "b");
    await until(async () => (await stored()).length >= 3 && (await isConsumed()));
    expect(calls.sort()).toEqual(["a", "b", "key with % and\tmore \u00e4\u{1f600}"]);
  });

  test.each([["concurrent", false], ["orderly", true]])("has no larger batches than one record can name the keys of, %s", async (_kind, orderly) => {
    const sizes: number[] = [];
    const { errors } = await consume({
      orderly,
      idempotent: { key: (message) => `${"\u00e4".repeat(200)} ${message.text()}` },
      consumeMessageBatchMaxSize: 200,
      pullBatchSize: 200,
      batchListener: (messages, context) => {
        sizes.push(messages.length);
        context.send({ topic: "out", body: `${messages.length}`, properties: { p: "p".repeat(8000) } });
      },
    });
    await send(...Array.from({ length: 200 }, (_, at) => `${at}`));
    await until(isConsumed);
    expect(errors).toEqual([]);
    expect(await texts()).toEqual(sizes.map(String));
    expect([sizes.reduce((sum, size) => sum + size), Math.max(...sizes) > 30]).toEqual([200, true]);
  });

  test("is asked once for its key, whatever the listener does with it", async () => {
    let calls = 0;
    const { errors } = await consume({
      idempotent: { key: ({ properties }) => properties["id"]! },
      messageListener: (message, context) => {
        calls++;
        delete message.properties["id"];
        copy(message, context);
      },
    });
    for (let twice = 0; twice < 2; twice++) await producer.send({ topic: "in", body: "a", properties: { id: "7" } });
    await until(isConsumed);
    expect([calls, errors, await texts()]).toEqual([1, [], ["got a"]]);
  });
});

describe("as a record says it", () => {
  const completion: Completion = { group: "g", topic: "%RETRY%g", queueId: 3, queueOffsets: [7, 3, 5, 6, 9], keys: ["", "a b", "\u0001\u0002%", "ä\u3000\u{1f600}"].filter((key) => key !== ""), window: 5 };
  const record = (text: string): Uint8Array => {
    const draft = draftMessage({ topic: "t", body: "x" }, "id");
    const property = `${PROPERTY.COMPLETES}\u0001${text}\u0002`;
    const bytes = new Uint8Array(4096);
    writeRecord({ bytes, view: new DataView(bytes.buffer) }, 0, { ...draft, properties: draft.properties + property, propertiesBytes: new TextEncoder().encode(draft.properties + property).byteLength }, encodeTopic("t"), 0, 0);
    return bytes;
  };

  test("it is read as it was written", () => {
    expect(completionOf(record(completionText(completion)), 0)).toEqual({ ...completion, queueOffsets: [3, 5, 6, 7, 9] });
    expect(completionOf(record(completionText({ ...completion, keys: [], window: 0, queueOffsets: [0] })), 0)).toMatchObject({ keys: [], window: 0, queueOffsets: [0] });
  });

  test.each(["", "g t 0 5", "g t 0 5-3 0", "g t 0 0-99999999 0", "g t x 5 0", "g t 0 5, 0", "g t 0 5 0 %zz"])("%j is none", (text) => {
    expect(completionOf(record(text), 0)).toBeNull();
  });
});
