/** deleteTopic: nothing of the topic is left to anybody, whatever happens afterwards, and no offset is used again. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { MQError, PullConsumer, TabMQ } from "../../src/index.ts";
import { QueueReader } from "../../src/broker/queue-reader.ts";
import { isSystemTopic } from "../../src/index.ts";
import { Deletions } from "../../src/storage/deletions.ts";
import { QUEUE_PAGE_ENTRIES } from "../../src/model/limits.ts";
import { copyOf } from "../support/memory-disk.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { asDamaged } from "../support/sound-stores.ts";

const queue = (queueId: number, topic = "t") => ({ topic, brokerName: "broker-a", queueId });
const LEVELS = "1ms 1ms 500ms 500ms";

const origins: NodeOrigin[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const origin of origins.splice(0)) await origin.close();
});

function newOrigin(disk?: NodeOrigin["disk"]): NodeOrigin {
  const origin = new NodeOrigin(disk);
  origins.push(origin);
  return origin;
}

async function send(mq: TabMQ, bodies: string[], extra: object = {}, topic = "t"): Promise<string[]> {
  const producer = await mq.createProducer({ producerGroup: "p" });
  const sent = await Promise.all(bodies.map((body) => producer.send({ topic, body, keys: "key", ...extra }, { queue: queue(0, topic) })));
  await producer.shutdown();
  return sent.map(({ msgId }) => msgId);
}

async function textsOf(mq: TabMQ, topic = "t"): Promise<string[]> {
  const pull: PullConsumer = await mq.createPullConsumer({ consumerGroup: "reader" });
  const { minOffset, messages } = await pull.pull(queue(0, topic), "*", 0, 32).then(async (first) => (first.status === "OFFSET_ILLEGAL" ? pull.pull(queue(0, topic), "*", first.nextBeginOffset, 32) : first));
  await pull.shutdown();
  expect(minOffset).toBeGreaterThanOrEqual(0);
  return messages.map((message) => message.text());
}

/** The broker ends without a word, and another one starts from what is stored. `withoutCheckpoint`: it reads the whole log. */
async function restarted(origin: NodeOrigin, { withoutCheckpoint = false } = {}): Promise<TabMQ> {
  const disk = copyOf(origin.disk);
  if (withoutCheckpoint) for (const key of ["checkpoint"]) disk.state.delete(key);
  if (withoutCheckpoint) {
    disk.queue.clear();
    disk.index.clear();
  }
  return newOrigin(disk).connect({ broker: { messageDelayLevel: LEVELS } });
}

describe("a topic that is deleted", () => {
  test("is gone: routes, stats, offsets, keys and ids; and one of the same name is empty and uses no offset again", async () => {
    const origin = newOrigin();
    const mq = await origin.connect();
    await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
    await mq.admin.createTopic({ topic: "other", readQueueNums: 1, writeQueueNums: 1 });
    const [id] = await send(mq, ["a", "b", "c"]);
    await send(mq, ["kept"], {}, "other");
    await mq.admin.resetOffset({ group: "g", topic: "t", offset: 2 });
    expect(await mq.admin.queryMessages({ topic: "t", key: "key" })).toHaveLength(3);

    expect(await mq.admin.deleteTopic("t")).toEqual({ messages: 3 });
    expect((await mq.admin.topics()).map(({ topic }) => topic)).not.toContain("t");
    await expect(mq.admin.topicStats("t")).rejects.toMatchObject({ code: "TOPIC_NOT_EXIST" });
    await expect(mq.admin.topicRoute("t")).rejects.toMatchObject({ code: "TOPIC_NOT_EXIST" });
    expect((await mq.admin.consumeStats("g")).queues).toEqual([]);
    expect(await mq.admin.groups()).toEqual([]);
    expect(await mq.admin.queryMessages({ topic: "t", key: "key" })).toEqual([]);
    await expect(mq.admin.viewMessage(id!)).rejects.toMatchObject({ code: "NO_MESSAGE" });
    await expect(mq.admin.messageTrack(id!)).rejects.toMatchObject({ code: "NO_MESSAGE" });
    // What was asked twice is done once; what has never been is not there.
    expect(await mq.admin.deleteTopic("t")).toEqual({ messages: 0 });
    await expect(mq.admin.deleteTopic("never")).rejects.toMatchObject({ code: "TOPIC_NOT_EXIST", field: "topic" });

    await send(mq, ["new"]);
    expect(await textsOf(mq)).toEqual(["new"]);
    expect(await mq.admin.minOffset(queue(0))).toBe(QUEUE_PAGE_ENTRIES);
    expect((await mq.admin.queryMessages({ topic: "t", key: "key" })).map((message) => message.text())).toEqual(["new"]);
    expect(await textsOf(mq, "other")).toEqual(["kept"]);
    expect([...origin.disk.state.keys()].filter((key) => /^(offset|reset|done|claim)\/g\//.test(key))).toEqual([]);
  });

  test.each([["with a checkpoint", false], ["without one", true]] as const)("does not come back with the next broker, %s", async (_how, withoutCheckpoint) => {
    const origin = newOrigin();
    const mq = await origin.connect();
    await send(mq, ["a", "b"]);
    await send(mq, ["kept"], {}, "other");
    await mq.admin.resetOffset({ group: "g", topic: "t", offset: 1 });
    await mq.admin.deleteTopic("t");
    const next = await restarted(origin, { withoutCheckpoint });
    expect((await next.admin.topics()).map(({ topic }) => topic)).toEqual(["other"]);
    expect(await next.admin.groups()).toEqual([]);
    expect(await next.admin.queryMessages({ topic: "t", key: "key" })).toEqual([]);
    await send(next, ["new"]);
    const last = await restarted(origins.at(-1)!, { withoutCheckpoint });
    expect(await textsOf(last)).toEqual(["new"]);
    expect(await textsOf(last, "other")).toEqual(["kept"]);
    expect(await last.admin.maxOffset(queue(0))).toBe(QUEUE_PAGE_ENTRIES + 1);
    expect((await last.diagnostics()).broker.recovery.damaged).toEqual([]);
  });

  test("control: without the note, the next broker shows it again", async () => {
    vi.spyOn(Deletions.prototype, "deleteTopic").mockImplementation(() => {});
    const origin = newOrigin();
    const mq = await origin.connect();
    await send(mq, ["a", "b"]);
    await mq.admin.deleteTopic("t");
    const next = await restarted(origin);
    expect((await next.admin.topics()).map(({ topic }) => topic)).toEqual(["t"]);
    asDamaged(origin.disk, "records are left of a topic that nothing tells was deleted");
  });

  test("system topics, and those of groups, are not deleted", async () => {
    const mq = await newOrigin().connect();
    for (const topic of ["%RETRY%g", "%DLQ%g", "SCHEDULE_TOPIC_XXXX", "TBW102"]) await expect(mq.admin.deleteTopic(topic)).rejects.toMatchObject({ code: "NO_PERMISSION" });
  });

  test.each([["do not", false], ["control: without the rule for copies, they do", true]] as const)("its messages that wait for their time, or are tried again, come by a detour: %s", async (_how, isControl) => {
    if (isControl) vi.spyOn(Deletions.prototype, "voids").mockReturnValue(false);
    const origin = newOrigin();
    const mq = await origin.connect({ broker: { messageDelayLevel: LEVELS } });
    await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
    const got: string[] = [];
    const consumer = await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*", other: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      messageListener: (message) => {
        got.push(`${message.text()} ${message.reconsumeTimes}`);
        if (message.text() === "fails") return "RECONSUME_LATER";
        return "CONSUME_SUCCESS";
      },
    });
    const errors: MQError[] = [];
    consumer.on("error", (error) => errors.push(error));
    await send(mq, ["late"], { delayTimeLevel: 3 });
    await send(mq, ["fails"]);
    await send(mq, ["late other"], { delayTimeLevel: 3 }, "other");
    await until(() => got.includes("fails 0"));
    // Its retry is stored.
    await until(async () => (await mq.admin.topics()).some(({ topic }) => topic === "SCHEDULE_TOPIC_XXXX"));
    await mq.admin.deleteTopic("t");
    await until(() => got.includes("late other 0"));
    await send(mq, ["new"]);
    await until(() => got.includes("new 0"));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(got.filter((text) => text === "late 0")).toEqual(isControl ? ["late 0"] : []);
    expect(got.filter((text) => text.startsWith("fails"))).toHaveLength(isControl ? got.filter((text) => text.startsWith("fails")).length : 1);
    expect(got.includes("fails 1")).toBe(isControl);
    expect(errors.map(({ code }) => code)).toContain("TOPIC_NOT_EXIST");
    expect(consumer.assignment().map(({ topic }) => topic)).toContain("t");
  });

  const times = [["a level", { delayTimeLevel: 1 }], ["a timer", { deliverAfter: 30 }]] as const;
  test.each(times.flatMap(([name, time]) => [[`by ${name}`, time, false], [`control: by ${name} that is not looked at again`, time, true]] as const))("is not made again by what was read before: %s", async (_how, time, isControl) => {
    if (isControl) vi.spyOn(Deletions.prototype, "voids").mockReturnValue(false);
    const mq = await newOrigin().connect({ broker: { messageDelayLevel: "30ms", traceEnable: false } });
    await mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
    const sentAt = Date.now();
    let goOn: (() => void) | undefined;
    const read = QueueReader.prototype.read;
    vi.spyOn(QueueReader.prototype, "read").mockImplementation(async function (this: QueueReader, of, ...rest) {
      const found = await read.call(this, of, ...rest);
      if (goOn === undefined && isSystemTopic(of.topic) && found.count > 0 && Date.now() >= sentAt + 30) await new Promise<void>((resolve) => (goOn = resolve));
      return found;
    });
    await send(mq, ["late"], time);
    await until(() => goOn !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 40));
    await mq.admin.deleteTopic("t");
    goOn!();
    await send(mq, ["late other"], time, "other");
    await until(async () => (await textsOf(mq, "other")).length === 1);
    expect((await mq.admin.topics()).some(({ topic }) => topic === "t")).toBe(isControl);
    await send(mq, ["new"]);
    expect(await textsOf(mq)).toEqual(isControl ? ["late", "new"] : ["new"]);
  });

  test("is left behind by an export", async () => {
    const mq = await newOrigin().connect({ broker: { messageDelayLevel: "1ms 1ms 1h", traceEnable: false } });
    await send(mq, ["gone"]);
    await send(mq, ["late"], { delayTimeLevel: 3 });
    await send(mq, ["kept"], {}, "other");
    await mq.admin.deleteTopic("t");
    await send(mq, ["new"]);
    const target = await newOrigin().connect();
    await expect(target.admin.importLog(mq.admin.exportLog())).resolves.toMatchObject({ imported: 2 });
    expect(await textsOf(target)).toEqual(["new"]);
    expect(await textsOf(target, "other")).toEqual(["kept"]);
    expect(await target.admin.queryMessages({ topic: "t", key: "key" })).toHaveLength(1);
  });

  test("takes the claims of simple consumers along, and tells who waits", async () => {
    const origin = newOrigin();
    const mq = await origin.connect();
    await send(mq, ["a", "b"]);
    const simple = await mq.createSimpleConsumer({ consumerGroup: "s", subscriptions: { t: "*" } });
    await mq.admin.resetOffset({ group: "s", topic: "t", offset: 0 });
    const [message] = await simple.receive({ max: 1, invisibleDuration: 60_000, awaitDuration: 1000 });
    await mq.admin.deleteTopic("t");
    await expect(simple.ack(message!)).rejects.toMatchObject({ code: "INVALID_RECEIPT_HANDLE" });
    await expect(simple.receive({ max: 1, invisibleDuration: 1000, awaitDuration: 500 })).rejects.toMatchObject({ code: "TOPIC_NOT_EXIST" });
    expect([...origin.disk.state.keys()].filter((key) => key.startsWith("claim/"))).toEqual([]);
    await send(mq, ["new"]);
    const again = await simple.receive({ max: 8, invisibleDuration: 60_000, awaitDuration: 1000 });
    expect(again.map((one) => one.text())).toEqual(["new"]);
    await Promise.all(again.map((one) => simple.ack(one)));
  });

  test("its pages go, those of another of the same name do not", async () => {
    const origin = newOrigin();
    const mq = await origin.connect({ broker: { defaultTopicQueueNums: 1 } });
    await send(mq, Array.from({ length: QUEUE_PAGE_ENTRIES + 10 }, (_, at) => `${at}`));
    await until(() => [...origin.disk.queue.keys()].includes("t/0/0"));
    await mq.admin.deleteTopic("t");
    await send(mq, ["new"]);
    await until(() => [...origin.disk.queue.keys()].every((key) => !/^t\/0\/[01]$/.test(key)));
    expect(await textsOf(mq)).toEqual(["new"]);
    const next = await restarted(origin);
    expect(await textsOf(next)).toEqual(["new"]);
  });
});
