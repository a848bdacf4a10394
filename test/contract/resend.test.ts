/** A message that is sent again, because nobody knew whether it was stored, is stored once. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Resends } from "../../src/broker/resends.ts";
import type { Message, MessageExt, Producer, SendResult, TabMQ } from "../../src/index.ts";
import { MQError } from "../../src/index.ts";
import { deferred } from "../../src/platform/deferred.ts";
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
  await mq.admin.createTopic({ topic: "t", readQueueNums: 2, writeQueueNums: 2 });
  producer = await mq.createProducer({ producerGroup: "p" });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

const queue = (queueId = 0): { topic: string; brokerName: string; queueId: number } => ({ topic: "t", brokerName: "broker-a", queueId });

/** The next commit with messages is made, and reported as one of which nobody knows. */
function misreportNext(): void {
  const failing = store;
  failing.commit = async (batch) => {
    const outcome = await GatedStore.prototype.commit.call(failing, batch);
    return batch.log.length === 0 ? outcome : { status: "unknown", cause: new Error("I/O error") };
  };
}

/** The messages' last send is given up while its commit is on its way, and may be stored for all they know. */
async function doubt(message: Message | Message[], queueId = 0): Promise<void> {
  const before = store.batches.length;
  store.shut();
  const abort = new AbortController();
  const sent = producer.send(message, { queue: queue(queueId), signal: abort.signal });
  await until(() => store.batches.slice(before).some((batch) => batch.log.length > 0));
  abort.abort();
  await expect(sent).rejects.toMatchObject({ outcome: "unknown" });
}

async function stored(queueId = 0): Promise<MessageExt[]> {
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  return (await pull.pull(queue(queueId), "*", 0, 1000)).messages;
}

const texts = (messages: MessageExt[]): string[] => messages.map((message) => message.text());
/** Control: nothing is found. */
const blind = (): unknown => vi.spyOn(Resends.prototype, "find").mockResolvedValue([]);

describe("by itself, after a broker's death", () => {
  /** Six messages and a batch, stored by a broker that dies before it answers. */
  async function sendThrough(): Promise<SendResult[]> {
    misreportNext();
    const sends = Array.from({ length: 6 }, (_, at) => producer.send({ topic: "t", body: `${at}` }, { queue: queue() }));
    const batch = producer.send(["a", "b", "c"].map((body) => ({ topic: "t", body })), { queue: queue() });
    const later = producer.send({ topic: "t", body: "later" }, { queue: queue() });
    return Promise.all([...sends, batch, later]);
  }

  test("it is found, at its first place", async () => {
    const results = await sendThrough();
    const found = await stored();
    expect(texts(found)).toEqual(["0", "1", "2", "3", "4", "5", "a", "b", "c", "later"]);
    expect(results.map(({ queueOffset }) => queueOffset)).toEqual([0, 1, 2, 3, 4, 5, 6, 9]);
    expect(results.flatMap(({ msgId }) => msgId.split(","))).toEqual(found.map(({ msgId }) => msgId));
    expect(results.flatMap((result) => result.offsetMsgId.split(","))).toEqual(found.map((message) => message.offsetMsgId));
    // One frame of which nobody had doubts: nothing is looked for.
    const find = vi.spyOn(Resends.prototype, "find");
    await producer.send({ topic: "t", body: "x" });
    expect(find).not.toHaveBeenCalled();
  });

  test("control: not looked for, it is stored twice", async () => {
    blind();
    await sendThrough();
    expect((await stored()).length).toBeGreaterThan(10);
  });

  test("what was not stored is, in order", async () => {
    store.answerNext({ status: "unknown", cause: new Error("I/O error") });
    await Promise.all(Array.from({ length: 5 }, (_, at) => producer.send({ topic: "t", body: `${at}` }, { queue: queue() })));
    expect(texts(await stored())).toEqual(["0", "1", "2", "3", "4"]);
  });

  test("one that waits for its time is found where it waits, or where it has come to", async () => {
    await mq.close();
    mq = await origin.connect();
    producer = await mq.createProducer({ producerGroup: "p" });
    misreportNext();
    const { msgId } = await producer.send({ topic: "t", body: "late", delayTimeLevel: 1 }, { queue: queue() });
    await until(async () => (await stored()).length > 0);
    expect((await stored()).map((message) => message.msgId)).toEqual([msgId]);
    expect((await mq.admin.topicStats("SCHEDULE_TOPIC_XXXX")).queues[0]!.maxOffset).toBe(1);
  });

  test("one with a time of its own waits once, and can be called off", async () => {
    misreportNext();
    const { recallHandle } = await producer.send({ topic: "t", body: "late", deliverAfter: 60_000 }, { queue: queue() });
    expect((await mq.admin.topicStats("rmq_sys_wheel_timer")).queues[0]!.maxOffset).toBe(1);
    expect(await producer.recall(recallHandle!)).toEqual({ recalled: true });
  });
});

describe("by the caller", () => {
  const message = { topic: "t", body: "pay 5 EUR" };

  test.each([0, 1])("to queue %i: the first try had chosen queue 0, and so says the result", async (queueId) => {
    await doubt(message);
    const again = producer.send(message, { queue: queue(queueId) });
    store.open();
    expect(await again).toMatchObject({ sendStatus: "SEND_OK", messageQueue: queue(0), queueOffset: 0, msgId: (await stored())[0]!.msgId });
    expect([texts(await stored(0)), texts(await stored(1))]).toEqual([["pay 5 EUR"], []]);
    // Out of doubt, the object is a new message each time.
    await producer.send(message, { queue: queue() });
    expect(await stored()).toHaveLength(2);
  });

  test("control: not looked for, it is in both", async () => {
    blind();
    await doubt(message);
    const again = producer.send(message, { queue: queue(1) });
    store.open();
    await again;
    expect([texts(await stored(0)), texts(await stored(1))]).toEqual([["pay 5 EUR"], ["pay 5 EUR"]]);
  });

  test("several times at once: once", async () => {
    // What was in doubt had no room, and its offset is left out.
    store.answerNext({ status: "rejected", reason: "FULL" });
    await doubt(message);
    store.open();
    const results = await Promise.all(Array.from({ length: 4 }, (_, at) => producer.send(message, { queue: queue(at % 2) })));
    expect(results.map(({ queueOffset, messageQueue }) => [messageQueue.queueId, queueOffset])).toEqual(Array.from({ length: 4 }, () => [0, 1]));
    expect([texts(await stored(0)), texts(await stored(1))]).toEqual([["pay 5 EUR"], []]);
  });

  test("in a batch with others: only they are stored now", async () => {
    await doubt(message);
    store.open();
    const others = ["b", "c"].map((body) => ({ topic: "t", body }));
    const result = await producer.send([message, ...others, message], { queue: queue() });
    const found = await stored();
    expect(texts(found)).toEqual(["pay 5 EUR", "b", "c", "pay 5 EUR"]);
    expect(result.msgId.split(",")).toEqual(found.map(({ msgId }) => msgId));
    expect(result.offsetMsgId.split(",")).toEqual(found.map((one) => one.offsetMsgId));
    expect(result.queueOffset).toBe(0);
  });

  test("what is sent behind it stays behind it, while it is looked for", async () => {
    await doubt(message);
    store.open();
    const isFound = deferred<void>();
    vi.spyOn(Resends.prototype, "find").mockImplementation(async () => {
      await isFound.promise;
      return [null];
    });
    const again = producer.send(message, { queue: queue(1) });
    const behind = [1, 2].map((number) => producer.send({ topic: "t", body: `${number}` }, { queue: queue(1) }));
    const other = await origin.connect();
    await other.admin.topics();
    expect(await stored(1)).toEqual([]);
    isFound.resolve();
    await Promise.all([again, ...behind]);
    expect(texts(await stored(1))).toEqual(["pay 5 EUR", "1", "2"]);
  });

  test("that it cannot be looked for is told as in doubt, and nothing behind it goes first", async () => {
    await doubt(message);
    store.open();
    const find = vi.spyOn(Resends.prototype, "find").mockRejectedValueOnce(new Error("no page"));
    const again = producer.send(message, { queue: queue() });
    const behind = producer.send({ topic: "t", body: "behind" }, { queue: queue() });
    // The session begins anew, and both are sent once more.
    await Promise.all([again, behind]);
    expect(find.mock.calls.length).toBeGreaterThan(1);
    expect(texts(await stored())).toEqual(["pay 5 EUR", "behind"]);
  });

  test("a refusal of those that were looked for is certain", async () => {
    store.answerNext({ status: "rejected", reason: "FULL" });
    const long = { topic: "t", body: "x".repeat(2000) };
    await doubt(long);
    store.open();
    const { settings } = origin.host.broker!;
    settings.maxMessageSize = 1024;
    await expect(producer.send(long, { queue: queue() })).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", outcome: "rejected" });
    await doubt(message);
    store.open();
    settings.maxMessageSize = 1;
    // That it is stored is known, whatever is allowed by now.
    await producer.send(message, { queue: queue() });
    expect(texts(await stored())).toEqual([message.body]);
  });
});

describe("what is found", () => {
  test("is the message, and not another whose id has the same hash, or of another topic", async () => {
    const spy = vi.spyOn(Resends.prototype, "find");
    const message = { topic: "t", body: "x", keys: "Aa" };
    await doubt(message);
    store.open();
    const { msgId } = await producer.send(message, { queue: queue() });
    const resends = spy.mock.contexts[0] as Resends;
    const find = (id: string, topic = "t"): Promise<unknown> => resends.find({ topics: [topic], topicIndex: [0] } as never, [id], 0);
    expect(await find(msgId)).toMatchObject([{ queueId: 0, queueOffset: 0 }]);
    // "Aa" and "BB" are alike to Java's hash.
    expect(await find(msgId, "other")).toEqual([null]);
    expect(await find("Aa")).toEqual([null]);
    expect(await find("BB")).toEqual([null]);
  });

  test("is not searched for without end", async () => {
    const resends = new Resends({ durablePosition: 10 } as never, { segmentsFrom: (position: number) => (position === 0 ? 2 ** 17 : 1), find: () => Promise.resolve({ positions: [], next: null }) } as never);
    const table = { topics: ["t"], topicIndex: [0, 0, 0] } as never;
    await expect(resends.find(table, ["a", "b", "c"], 0)).rejects.toBeInstanceOf(MQError);
    await expect(resends.find(table, ["a", "b"], 0)).resolves.toEqual([null, null]);
    await expect(resends.find(table, ["a", "b", "c"], 9)).resolves.toEqual([null, null, null]);
    // From behind its end, the log must be another one than was meant.
    await expect(resends.find(table, ["a", "b", "c"], 11)).rejects.toBeInstanceOf(MQError);
  });
});
