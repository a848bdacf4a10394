/** A group begins anew where an admin says, exactly, whatever its consumers are doing at the time. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { GroupProgress } from "../../src/broker/group-progress.ts";
import { Groups } from "../../src/broker/groups.ts";
import { Offsets } from "../../src/broker/offsets.ts";
import { PopService } from "../../src/broker/pop.ts";
import type { MessageExt, Producer, PushConsumerOptions, TabMQ } from "../../src/index.ts";
import { copyOf } from "../support/memory-disk.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

const QUEUE = { topic: "t", brokerName: "broker-a", queueId: 0 };

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
/** The offsets of each broker that was started. */
let brokers: Offsets[];
beforeEach(async () => {
  brokers = [];
  const { restore } = Offsets.prototype;
  vi.spyOn(Offsets.prototype, "restore").mockImplementation(function remember(this: Offsets) {
    brokers.push(this);
    restore.call(this);
  });
  origin = new NodeOrigin();
  mq = await origin.connect({ broker: { defaultTopicQueueNums: 1 } });
  producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 30_000 });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

async function send(count: number): Promise<void> {
  for (let at = 0; at < count; at++) await producer.send({ topic: "t", body: `${at}` }, { queue: QUEUE });
}

function consume(messageListener: (message: MessageExt) => void | Promise<void>, options: Partial<PushConsumerOptions> = {}) {
  return mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener, ...options });
}

const offsetOf = async (): Promise<number> => (await mq.admin.consumeStats("g")).queues.find(({ topic, queueId }) => topic === "t" && queueId === 0)!.consumerOffset;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("a group that is not at work", () => {
  test("to an offset, to a time, one queue or all, never outside the queue; durable when it is answered", async () => {
    await mq.admin.createTopic({ topic: "t", readQueueNums: 2, writeQueueNums: 2 });
    await send(3);
    await pause(20);
    const timestamp = Date.now();
    await pause(5);
    await send(3);
    const at = async (options: { timestamp?: number; offset?: number; queue?: typeof QUEUE }): Promise<number[]> =>
      (await mq.admin.resetOffset({ group: "g", topic: "t", ...options })).map(({ offset }) => offset);
    expect(await mq.admin.resetOffset({ group: "g", topic: "t", offset: 2, queue: QUEUE })).toEqual([{ ...QUEUE, offset: 2 }]);
    expect(await at({ offset: 99 })).toEqual([6, 0]);
    expect(await at({ timestamp: 0 })).toEqual([0, 0]);
    expect(await at({ timestamp: -1 })).toEqual([6, 0]);
    expect(await at({ timestamp })).toEqual([3, 0]);
    const after = new NodeOrigin(copyOf(origin.disk));
    const seen: string[] = [];
    const next = await after.connect();
    await next.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_LAST_OFFSET", orderly: true, messageListener: (message) => void seen.push(`${message.queueOffset}`) });
    await until(() => seen.length === 3);
    expect(seen).toEqual(["3", "4", "5"]);
    await after.close();
  });

  test("what cannot be is refused", async () => {
    await send(1);
    const { admin } = mq;
    await expect(admin.resetOffset({ group: "g", topic: "none", offset: 0 })).rejects.toMatchObject({ code: "TOPIC_NOT_EXIST" });
    await expect(admin.resetOffset({ group: "g", topic: "t" })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "resetOffset.timestamp" });
    await expect(admin.resetOffset({ group: "g", topic: "t", offset: 0, timestamp: 0 })).rejects.toMatchObject({ code: "INVALID_PARAMETER" });
    await expect(admin.resetOffset({ group: "g", topic: "t", offset: 0, queue: { ...QUEUE, queueId: 1 } })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "queue.queueId" });
    await expect(admin.resetOffset({ group: "g", topic: "t", offset: 0, queue: { ...QUEUE, topic: "u" } })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "resetOffset.queue.topic" });
    await expect(admin.resetOffset({ group: "CID_RMQ_SYS_DLQ", topic: "t", offset: 0 })).rejects.toMatchObject({ code: "NO_PERMISSION" });
  });
});

describe("a group that is at work", () => {
  /** Six are consumed and two are in the listener's hands when it is reset to `offset`; they finish late. Returns what is given from then on. */
  async function resetTo(offset: number, options: Partial<PushConsumerOptions> = {}): Promise<{ given: number[]; offset: number }> {
    await send(10);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const seen: number[] = [];
    const consumer = await consume(async ({ queueOffset }) => {
      seen.push(queueOffset);
      if (queueOffset >= 6 && seen.filter((one) => one === queueOffset).length === 1) await held;
    }, { consumeConcurrency: 2, ...options });
    consumer.on("error", () => {});
    await until(async () => seen.includes(6) && (await offsetOf()) === 6);
    const before = seen.length;
    await mq.admin.resetOffset({ group: "g", topic: "t", offset });
    // They finish after the reset, before or after their consumer has heard of it.
    await pause(offset % 2 === 0 ? 0 : 100);
    release();
    await until(async () => (await offsetOf()) === 10);
    await pause(50);
    return { given: seen.slice(before), offset: await offsetOf() };
  }

  test.each([[3, false], [4, false], [3, true], [4, true]])("back to %i, orderly %s: all from there is given again, once, and what finishes late moves nothing", async (to, orderly) => {
    const { given } = await resetTo(to, { orderly });
    expect(given.toSorted((a, b) => a - b)).toEqual([3, 4, 5, 6, 7, 8, 9].filter((offset) => offset >= to));
    if (orderly) expect(given).toEqual(given.toSorted((a, b) => a - b));
  });

  test("ahead to 9: what lies between is left out, and what finishes late does not take it back", async () => {
    expect(await resetTo(9)).toEqual({ given: [9], offset: 10 });
  });

  test("control: a broker that does not tell the members is overruled by what they report", async () => {
    vi.spyOn(Offsets.prototype, "resets").mockReturnValue(0);
    vi.spyOn(Groups.prototype, "reset").mockImplementation((group, topic, queueId, offset) => brokers.at(-1)!.reset(group, topic, queueId, offset));
    origin = new NodeOrigin();
    mq = await origin.connect({ broker: { defaultTopicQueueNums: 1 } });
    producer = await mq.createProducer({ producerGroup: "p" });
    const { given } = await resetTo(3);
    expect(given).not.toContain(3);
  });

  test("control: a broker that takes progress from before the reset is moved on by what finishes late", async () => {
    vi.spyOn(GroupProgress.prototype, "commit").mockImplementation(function credulous(this: GroupProgress, group, queue) {
      brokers.at(-1)!.commit(group.name, queue.topic, queue.queueId, queue.commitOffset, queue.commitOffset);
    });
    await send(10);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    await consume(async ({ queueOffset }) => (queueOffset === 6 ? held : undefined), { orderly: true });
    await until(async () => (await offsetOf()) === 6);
    await mq.admin.resetOffset({ group: "g", topic: "t", offset: 3 });
    await pause(100);
    const during = await offsetOf();
    release();
    expect(during).not.toBe(3);
  });

  test("a listener that is still at it holds its queue, and the offset is where the admin has put it", async () => {
    await send(10);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const seen: number[] = [];
    await consume(async ({ queueOffset }) => {
      seen.push(queueOffset);
      if (seen.length === 7) await held;
    }, { orderly: true });
    await until(async () => (await offsetOf()) === 6);
    await mq.admin.resetOffset({ group: "g", topic: "t", offset: 3 });
    await pause(100);
    expect(await offsetOf()).toBe(3);
    expect(seen).toHaveLength(7);
    release();
    await until(async () => (await offsetOf()) === 10);
    expect(seen.slice(7)).toEqual([3, 4, 5, 6, 7, 8, 9]);
  });

  test("what was sent back is given again too; a failure from before the reset makes no copy", async () => {
    await send(3);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const seen: string[] = [];
    const consumer = await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      messageListener: async ({ queueOffset }) => {
        seen.push(`${queueOffset}`);
        if (seen.filter((one) => one === `${queueOffset}`).length > 1) return;
        if (queueOffset === 0) await held;
        // 1 is sent back at once, behind 0; 0 fails when it is too late.
        if (queueOffset < 2) return "RECONSUME_LATER";
      },
    });
    consumer.on("error", () => {});
    await until(async () => (await mq.admin.topics()).some(({ topic }) => topic === "%RETRY%g"));
    await pause(50);
    await mq.admin.resetOffset({ group: "g", topic: "t", offset: 0 });
    release();
    await until(async () => (await offsetOf()) === 3);
    expect(seen.slice(3).toSorted()).toEqual(["0", "1", "2"]);
    expect((await mq.admin.topicStats("SCHEDULE_TOPIC_XXXX")).queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0)).toBe(1);
  });

  test("pull consumers, who share and who have picked: they go on at the new offset", async () => {
    await send(6);
    const shared = await mq.createPullConsumer({ consumerGroup: "g", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", autoCommit: false });
    shared.subscribe("t");
    const picked = await mq.createPullConsumer({ consumerGroup: "h", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    await picked.assign([QUEUE]);
    for (const [pull, group] of [[shared, "g"], [picked, "h"]] as const) {
      expect((await pull.poll({ max: 4 })).map(({ queueOffset }) => queueOffset)).toEqual([0, 1, 2, 3]);
      await pull.commit();
      await mq.admin.resetOffset({ group, topic: "t", offset: 1 });
      const again: number[] = [];
      while (!again.includes(5) || !again.includes(1)) again.push(...(await pull.poll({ max: 10, timeout: 200 })).map(({ queueOffset }) => queueOffset));
      // What was on its way to the application when the admin said so may still come first.
      expect(again.slice(again.indexOf(1))).toEqual([1, 2, 3, 4, 5]);
      await pull.commit();
      expect((await mq.admin.consumeStats(group)).queues.find(({ topic }) => topic === "t")!.consumerOffset).toBe(6);
    }
  });
});

describe("simple consumers", () => {
  const texts = (messages: MessageExt[]): string[] => messages.map((message) => message.text());
  const consumer = () => mq.createSimpleConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });

  /** Five messages in hand of which three are finished; then the group begins at the first one again. What it is given then. */
  async function begunAnew(finished: number[]): Promise<string[]> {
    await send(5);
    const simple = await consumer();
    const messages = await simple.receive({ awaitDuration: 0 });
    for (const at of finished) await simple.ack(messages[at]!);
    await mq.admin.resetOffset({ group: "g", topic: "t", offset: 0 });
    const late = simple.ack(messages[3]!);
    await expect(late).rejects.toMatchObject({ code: "INVALID_RECEIPT_HANDLE" });
    return texts(await simple.receive({ awaitDuration: 0 }));
  }

  const ALL = ["0", "1", "2", "3", "4"];

  test("what is in hand is void: an acknowledgement from before does not take the reset back", async () => {
    expect(await begunAnew([0, 1, 2])).toEqual(ALL);
    expect(await offsetOf()).toBe(0);
  });

  test("to where the group stands already: what it has finished behind that is given again too", async () => {
    expect(await begunAnew([1, 2, 4])).toEqual(ALL);
  });

  test("control: where nobody tells who keeps the claims, an acknowledgement takes the reset back", async () => {
    vi.spyOn(PopService.prototype, "reset").mockImplementation(() => {});
    await expect(begunAnew([0, 1, 2])).rejects.toThrow();
    expect(await offsetOf()).toBe(4);
  });

  test("who waits is given what is there again at once, and the next broker knows of no claim", async () => {
    await send(3);
    const simple = await consumer();
    for (const message of await simple.receive({ awaitDuration: 0 })) await simple.ack(message);
    const waiting = simple.receive({ awaitDuration: 60_000 });
    await pause(20);
    await mq.admin.resetOffset({ group: "g", topic: "t", offset: 1 });
    expect(texts(await waiting)).toEqual(["1", "2"]);
    await mq.admin.resetOffset({ group: "g", topic: "t", offset: 0 });
    const after = new NodeOrigin(copyOf(origin.disk));
    const next = await (await after.connect()).createSimpleConsumer({ consumerGroup: "g", subscriptions: { t: "*" } });
    expect(texts(await next.receive({ awaitDuration: 0 }))).toEqual(["0", "1", "2"]);
    await after.close();
  });
});

describe("broadcasting", () => {
  test("a group whose clients keep their offsets themselves cannot be reset here; it begins at a time as others do", async () => {
    await send(3);
    await pause(20);
    const consumeTimestamp = Date.now();
    await pause(5);
    await send(2);
    const seen: number[] = [];
    await consume(({ queueOffset }) => void seen.push(queueOffset), { messageModel: "BROADCASTING", consumeFromWhere: "CONSUME_FROM_TIMESTAMP", consumeTimestamp, orderly: true });
    await until(() => seen.length === 2);
    expect(seen).toEqual([3, 4]);
    await expect(mq.admin.resetOffset({ group: "g", topic: "t", offset: 0 })).rejects.toMatchObject({ code: "UNSUPPORTED", field: "group" });
  });

  test("orderly: what fails rests and is tried again; at its last try it is left out, which is told, and is no dead letter", async () => {
    await send(2);
    const seen: string[] = [];
    const errors: string[] = [];
    const consumer = await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageModel: "BROADCASTING", orderly: true, maxReconsumeTimes: 1, suspendCurrentQueueTime: 10,
      messageListener: (message, { attempt }) => {
        seen.push(`${message.text()} ${attempt}`);
        return message.text() === "0" ? "RECONSUME_LATER" : undefined;
      },
    });
    consumer.on("error", ({ message }) => errors.push(message));
    await until(() => seen.length === 3);
    expect(seen).toEqual(["0 1", "0 2", "1 1"]);
    expect(errors).toEqual([expect.stringContaining("once too often")]);
    expect(await mq.admin.deadLetters("g")).toEqual([]);
  });
});
