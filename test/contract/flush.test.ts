import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Broker } from "../../src/broker/broker.ts";
import type { ConnectOptions } from "../../src/client/connect.ts";
import { FrameWriter } from "../../src/protocol/frame.ts";
import { draftMessage } from "../../src/model/message.ts";
import type { CommitOutcome } from "../../src/storage/block-store.ts";
import type { MQError, Producer, SendResult, TabMQ } from "../../src/index.ts";
import { BrokerGone } from "../../src/client/channel.ts";
import type { ClientEvents, Connection } from "../../src/client/connection.ts";
import { Unflushed } from "../../src/client/unflushed.ts";
import { Events } from "../../src/platform/events.ts";
import { GatedStore } from "../support/gated-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

const FULL: CommitOutcome = { status: "rejected", reason: "FULL" };
const UNKNOWN: CommitOutcome = { status: "unknown", cause: new Error("I/O error") };
const queue = { topic: "t", brokerName: "broker-a", queueId: 0 };
const impatient = { topic: "t", body: "impatient", waitStoreMsgOK: false };

let origin: NodeOrigin;
let store: GatedStore;
let mq: TabMQ;
let producer: Producer;
let failures: { msgIds: string[]; error: MQError }[];
beforeEach(() => {
  origin = new NodeOrigin();
  origin.makeStore = () => (store = new GatedStore(origin.disk));
});
afterEach(async () => {
  store.open();
  await origin.close();
});

async function begin(options: ConnectOptions = {}): Promise<void> {
  mq = await origin.connect(options);
  producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 20_000 });
  await producer.send({ topic: "t", body: "warm-up" }, { queue });
  failures = [];
  mq.on("flushFailed", (event) => failures.push(event));
}

/** Whether it is answered while the store holds the commit back. */
async function isEarly(sent: Promise<unknown>): Promise<boolean> {
  let isAnswered = false;
  sent.then(() => (isAnswered = true), () => (isAnswered = true));
  await until(() => store.batches.at(-1)!.log.length > 0);
  // The answer of a later call overtakes no earlier one.
  for (let i = 0; i < 3; i++) await mq.admin.topics();
  return isAnswered;
}

describe("waitStoreMsgOK", () => {
  test("false: the send is answered before the commit, and nobody sees the message before it", async () => {
    await begin();
    store.shut();
    const { sendStatus, queueOffset } = await producer.send(impatient, { queue });
    expect(sendStatus).toBe("SEND_OK");
    const { broker } = await mq.diagnostics();
    expect(broker.durablePosition).toBeLessThan(broker.position);
    expect(await mq.admin.maxOffset(queue)).toBe(queueOffset);
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    expect((await pull.pull(queue, "*", queueOffset, 1)).messages).toEqual([]);
    store.open();
    await mq.flush();
    expect((await pull.pull(queue, "*", queueOffset, 1)).messages[0]!.text()).toBe("impatient");
    expect(failures).toEqual([]);
  });

  test("control: true, and nothing said, wait", async () => {
    await begin();
    store.shut();
    expect(await isEarly(producer.send({ ...impatient, waitStoreMsgOK: true }))).toBe(false);
    expect(await isEarly(producer.send({ topic: "t", body: "x" }))).toBe(false);
  });

  test("flush waits for the commit of what was answered before it", async () => {
    await begin();
    store.shut();
    await producer.send(impatient);
    let isFlushed = false;
    const flushed = mq.flush().then(() => (isFlushed = true));
    for (let i = 0; i < 5; i++) await mq.admin.topics();
    expect(isFlushed).toBe(false);
    store.open();
    await flushed;
    const { broker } = await mq.diagnostics();
    expect(broker.durablePosition).toBe(broker.position);
  });

  test("messages that wait and those that do not, sent in one task: each kind is answered in its time, and their order stays", async () => {
    await begin();
    store.shut();
    const sends = Array.from({ length: 12 }, (_, i) => producer.send({ topic: "t", body: `${i}`, waitStoreMsgOK: i % 3 !== 0 }, { queue }));
    const early = await Promise.all([...sends].map((sent) => isEarly(sent)));
    expect(early).toEqual(sends.map((_, i) => i % 3 === 0));
    store.open();
    const results = await Promise.all(sends);
    expect(results.map(({ sendStatus }) => sendStatus)).toEqual(sends.map(() => "SEND_OK"));
    expect(results.map(({ queueOffset }) => queueOffset)).toEqual(sends.map((_, i) => results[0]!.queueOffset + i));
  });

  test.each([
    [[false, false], true],
    [[false, true], false],
    [[true, false], false],
  ])("a frame of records with WAIT %j: answered before the commit: %s, whatever its sender wishes", async (waits, expected) => {
    await begin();
    store.shut();
    const writer = new FrameWriter(1024);
    const topic = new TextEncoder().encode("t");
    for (const waitStoreMsgOK of waits) {
      const properties = { note: "WAIT\u00b7false", NOWAIT: "false" };
      writer.write(draftMessage({ topic: "t", body: "WAIT\u0001false\u0002", properties, waitStoreMsgOK }, "0".repeat(32)), topic, 0, 0);
    }
    const { send } = origin.host.broker as Broker;
    const reply = send.send(writer.finish());
    expect(await isEarly(reply)).toBe(expected);
    store.open();
    expect((await reply).unflushed === undefined).toBe(!expected);
  });

  test("a commit that fails after the answer is told: by the event, with the ids, and by diagnostics", async () => {
    await begin();
    store.shut();
    const { broker: before } = await mq.diagnostics();
    const sent = await Promise.all([producer.send(impatient, { queue }), producer.send({ ...impatient }, { queue })]);
    const patient = producer.send({ topic: "t", body: "patient" }, { queue });
    expect(await isEarly(patient)).toBe(false);
    store.answerNext(FULL);
    store.open();
    await expect(patient).rejects.toMatchObject({ code: "STORAGE_FULL", outcome: "rejected" });
    await mq.flush();
    expect(failures.flatMap(({ msgIds }) => msgIds).sort()).toEqual(sent.map(({ msgId }) => msgId).sort());
    expect(failures[0]!.error).toMatchObject({ code: "STORAGE_FULL", outcome: "rejected" });
    const { broker } = await mq.diagnostics();
    expect(broker.lostSends - before.lostSends).toBe(2);
    const { queueOffset } = await producer.send({ topic: "t", body: "next" }, { queue });
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    const { messages } = await pull.pull(queue, "*", 0, 100);
    expect(messages.map((message) => message.text())).toEqual(["warm-up", "next"]);
    expect(queueOffset).toBe(messages[1]!.queueOffset);
  });

  test("a broker that dies after the answer: the outcome is not known, and told; flush does not wait for ever", async () => {
    await begin();
    const failing = store;
    failing.shut();
    const { msgId } = await producer.send(impatient, { queue });
    failing.answerNext(UNKNOWN);
    failing.open();
    await mq.flush();
    expect(failures).toEqual([{ msgIds: [msgId], error: expect.objectContaining({ code: "STORAGE_UNAVAILABLE", outcome: "unknown" }) }]);
    expect((await producer.send({ topic: "t", body: "next" })).sendStatus).toBe("SEND_OK");
  });

  test("many more than one commit takes: they come in at the store's pace, and all of them are stored", async () => {
    await begin();
    const body = new Uint8Array(100_000);
    const results = await Promise.all(Array.from({ length: 300 }, () => producer.send({ topic: "t", body, waitStoreMsgOK: false }, { queue })));
    await mq.flush();
    expect(await mq.admin.maxOffset(queue)).toBe(Math.max(...results.map(({ queueOffset }) => queueOffset)) + 1);
    expect(failures).toEqual([]);
  });
});

describe("syncFlushTimeout", () => {
  test("a commit that takes longer: FLUSH_DISK_TIMEOUT, while the message stays queued", async () => {
    await begin({ broker: { syncFlushTimeout: 50 } });
    store.shut();
    const results: SendResult[] = await Promise.all([producer.send({ topic: "t", body: "a" }, { queue }), producer.send([{ topic: "t", body: "b" }, { topic: "t", body: "c" }], { queue })]);
    expect(results.map(({ sendStatus }) => sendStatus)).toEqual(["FLUSH_DISK_TIMEOUT", "FLUSH_DISK_TIMEOUT"]);
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    expect((await pull.pull(queue, "*", 1, 10)).messages).toEqual([]);
    store.open();
    await mq.flush();
    expect((await pull.pull(queue, "*", 1, 10)).messages.map((message) => [message.text(), message.queueOffset])).toEqual([["a", 1], ["b", 2], ["c", 3]]);
    expect(results.map(({ queueOffset }) => queueOffset)).toEqual([1, 2]);
    expect(failures).toEqual([]);
    expect((await producer.send({ topic: "t", body: "d" }, { queue })).sendStatus).toBe("SEND_OK");
  });

  test("control: a commit in time is SEND_OK, also when it takes its time", async () => {
    await begin({ broker: { syncFlushTimeout: 10_000 } });
    store.shut();
    const sent = producer.send({ topic: "t", body: "a" });
    expect(await isEarly(sent)).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 100));
    store.open();
    expect((await sent).sendStatus).toBe("SEND_OK");
  });

  test("a commit that fails after FLUSH_DISK_TIMEOUT is told", async () => {
    await begin({ broker: { syncFlushTimeout: 50 } });
    store.shut();
    const { sendStatus, msgId } = await producer.send([{ topic: "t", body: "a" }, { topic: "t", body: "b" }]);
    expect(sendStatus).toBe("FLUSH_DISK_TIMEOUT");
    store.answerNext(FULL);
    store.open();
    await mq.flush();
    expect(failures).toEqual([{ msgIds: msgId.split(","), error: expect.objectContaining({ code: "STORAGE_FULL", outcome: "rejected" }) }]);
    expect((await mq.diagnostics()).broker.lostSends).toBe(2);
  });
});

describe("what was answered before its commit", () => {
  const serving = { incarnation: "first" };

  /** A connection to a broker that says of every frame what `flush` says. */
  function connected(flush: () => Promise<unknown>): { connection: Connection; told: ClientEvents["flushFailed"][]; asked: number } {
    const events = new Events<ClientEvents>();
    const known = { told: [] as ClientEvents["flushFailed"][], asked: 0 };
    events.on("flushFailed", (event) => known.told.push(event));
    const callOnce = (): Promise<unknown> => (known.asked++, flush());
    return Object.assign(known, { connection: { events, lifecycle: new Events(), isOpen: true, serving, callOnce } as unknown as Connection });
  }

  test("by a broker that is gone when the answer comes: the next one is not asked, its numbers are others", async () => {
    const broker = connected(() => Promise.resolve({ settled: 0, lost: [] }));
    const unflushed = new Unflushed(broker.connection);
    unflushed.add(7, ["m"], { incarnation: "before" } as never);
    await unflushed.settled();
    expect(broker.asked).toBe(0);
    expect(broker.told).toEqual([{ msgIds: ["m"], error: expect.objectContaining({ outcome: "unknown" }) }]);
  });

  test("by a broker that dies before it is asked: nobody waits for ever", async () => {
    const broker = connected(() => Promise.reject(new BrokerGone()));
    const unflushed = new Unflushed(broker.connection);
    unflushed.add(7, ["m"], serving as never);
    await unflushed.settled();
    expect(broker.told).toEqual([{ msgIds: ["m"], error: expect.objectContaining({ outcome: "unknown" }) }]);
  });

  test("is asked for again until it is over; only what was lost is told", async () => {
    const replies = [{ settled: 6, lost: [] }, { settled: 8, lost: [{ from: 8, to: 8, error: { code: "STORAGE_FULL", message: "full" } }] }, { settled: 9, lost: [] }];
    const broker = connected(() => Promise.resolve(replies.shift()));
    const unflushed = new Unflushed(broker.connection);
    for (const number of [8, 7, 9]) unflushed.add(number, [`m${number}`], serving as never);
    await unflushed.settled();
    expect(broker.asked).toBe(3);
    expect(broker.told.map(({ msgIds, error }) => [msgIds, error.code])).toEqual([[["m8"], "STORAGE_FULL"]]);
  });
});

describe("flushDiskType", () => {
  test.each([
    [undefined, "strict"],
    ["sync", "strict"],
    ["async", "relaxed"],
  ] as const)("%s: every commit is %s", async (flushDiskType, durability) => {
    await begin({ broker: flushDiskType === undefined ? {} : { flushDiskType } });
    await mq.admin.createTopic({ topic: "u" });
    expect(store.batches.length).toBeGreaterThan(1);
    expect(new Set(store.batches.map((batch) => batch.durability))).toEqual(new Set([durability]));
    expect((await mq.diagnostics()).settings.flushDiskType).toBe(flushDiskType ?? "sync");
  });

  test("async still shows nothing before its commit", async () => {
    await begin({ broker: { flushDiskType: "async" } });
    store.shut();
    const sent = producer.send({ topic: "t", body: "x" }, { queue });
    expect(await isEarly(sent)).toBe(false);
    expect(await mq.admin.maxOffset(queue)).toBe(1);
    store.open();
    expect((await sent).sendStatus).toBe("SEND_OK");
  });

  test("a tab that asks for other settings hears that it did not get them", async () => {
    await begin({ broker: { flushDiskType: "async" } });
    const other = await origin.connect({ broker: { flushDiskType: "sync", syncFlushTimeout: 1 } });
    const ignored: unknown[] = [];
    other.on("configIgnored", (event) => ignored.push(event));
    await until(() => ignored.length === 2);
    expect(ignored).toEqual([{ name: "flushDiskType", asked: "sync", running: "async" }, { name: "syncFlushTimeout", asked: 1, running: 5000 }]);
  });

  test.each([{ flushDiskType: "SYNC_FLUSH" }, { flushDiskType: true }, { syncFlushTimeout: 0 }, { syncFlushTimeout: 1.5 }])("%j is refused", async (broker) => {
    await expect(origin.connect({ broker: broker as never })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: `connect.broker.${Object.keys(broker)[0]}` });
    store ??= new GatedStore(origin.disk);
  });
});
