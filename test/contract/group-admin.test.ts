/** createGroup and deleteGroup: what an admin says of a group holds at once, and a group that is deleted leaves nothing behind. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { MQError, TabMQ } from "../../src/index.ts";
import { Deletions } from "../../src/storage/deletions.ts";
import { copyOf } from "../support/memory-disk.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let mq: TabMQ;
const LEVELS = "1ms 1ms 60ms 60ms";
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ broker: { messageDelayLevel: LEVELS, defaultTopicQueueNums: 1, traceEnable: false } });
  await mq.admin.createTopic({ topic: "t" });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

const send = async (...bodies: string[]): Promise<void> => {
  const producer = await mq.createProducer({ producerGroup: "p" });
  for (const body of bodies) await producer.send({ topic: "t", body });
  await producer.shutdown();
};
const rowsOf = (group: string): string[] => [...origin.disk.state.keys()].filter((key) => new RegExp(`^(offset|reset|done|claim|finished|group)/${group}(/|$)|^topic/%(RETRY|DLQ)%${group}$`).test(key));
const fails = () => "RECONSUME_LATER" as const;

describe("createGroup", () => {
  test("retryMaxTimes is the most, whatever a consumer says", async () => {
    await mq.admin.createGroup({ group: "g", retryMaxTimes: 1 });
    const tries: number[] = [];
    await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, maxReconsumeTimes: 16, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      messageListener: (message) => (tries.push(message.reconsumeTimes), "RECONSUME_LATER"),
    });
    await send("x");
    await until(async () => (await mq.admin.deadLetters("g")).length === 1);
    expect(tries).toEqual([0, 1]);
    expect((await mq.admin.groups()).find(({ group }) => group === "g")?.config).toEqual({ group: "g", consumeEnable: true, consumeBroadcastEnable: true, retryMaxTimes: 1 });
  });

  test("consumeEnable is taken and given back while it consumes; the next broker knows it too", async () => {
    const got: string[] = [];
    const errors: MQError[] = [];
    const consumer = await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: (message) => void got.push(message.text()) });
    consumer.on("error", (error) => errors.push(error));
    const simple = await mq.createSimpleConsumer({ consumerGroup: "s", subscriptions: { t: "*" } });
    await send("1");
    await until(() => got.length === 1);
    await mq.admin.createGroup({ group: "g", consumeEnable: false });
    await mq.admin.createGroup({ group: "s", consumeEnable: false });
    await until(() => consumer.assignment().length === 0 && errors.length > 0);
    expect(errors[0]).toMatchObject({ code: "NO_PERMISSION", field: "consumerGroup" });
    await expect(simple.receive({ max: 1, invisibleDuration: 1000, awaitDuration: 50 })).rejects.toMatchObject({ code: "NO_PERMISSION" });
    await send("2");
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(got).toEqual(["1"]);
    const other = new NodeOrigin(copyOf(origin.disk));
    expect((await (await other.connect()).admin.groups()).find(({ group }) => group === "g")?.config?.consumeEnable).toBe(false);
    await other.close();
    await mq.admin.createGroup({ group: "g", consumeEnable: true });
    await until(() => got.length === 2);
  });

  test("consumeBroadcastEnable and autoCreateSubscriptionGroup refuse who may not join", async () => {
    await mq.admin.createGroup({ group: "g", consumeBroadcastEnable: false });
    const join = (consumerGroup: string, messageModel: "CLUSTERING" | "BROADCASTING" = "CLUSTERING"): Promise<unknown> =>
      mq.createPushConsumer({ consumerGroup, subscriptions: { t: "*" }, messageModel, messageListener: () => {} });
    await expect(join("g", "BROADCASTING")).rejects.toMatchObject({ code: "NO_PERMISSION", field: "messageModel" });
    await mq.admin.updateBrokerConfig({ autoCreateSubscriptionGroup: false });
    await expect(join("unknown")).rejects.toMatchObject({ code: "SUBSCRIPTION_GROUP_NOT_EXIST", field: "consumerGroup" });
    await join("g");
    await mq.admin.updateBrokerConfig({ autoCreateSubscriptionGroup: true });
    await join("unknown");
  });

  test.each([[{ group: "CID_RMQ_SYS_X" }, "NO_PERMISSION"], [{ group: "a b" }, "INVALID_PARAMETER"], [{ group: "g", retryMaxTimes: -1 }, "INVALID_PARAMETER"], [{ group: "g", more: 1 }, "INVALID_PARAMETER"]])("%j is refused", async (spec, code) => {
    await expect(mq.admin.createGroup(spec)).rejects.toMatchObject({ code });
  });
});

describe("deleteGroup", () => {
  /** A group with everything: an offset behind, a message that is tried again, a dead letter, a finished key. */
  async function busy(): Promise<void> {
    const consumer = await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, maxReconsumeTimes: 0, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: fails,
    });
    await send("dead");
    await until(async () => (await mq.admin.deadLetters("g")).length === 1);
    await consumer.shutdown();
    const again = await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, idempotent: { key: (message) => message.text(), window: 60_000 },
      messageListener: (message) => (message.text() === "fails" ? "RECONSUME_LATER" : "CONSUME_SUCCESS"),
    });
    await send("fine", "fails");
    await until(() => rowsOf("g").some((row) => row.startsWith("finished/")) && [...origin.disk.state.keys()].includes("topic/SCHEDULE_TOPIC_XXXX"));
    await again.shutdown();
    await mq.admin.resetOffset({ group: "g", topic: "t", offset: 1 });
    await mq.admin.createGroup({ group: "g" });
  }

  test.each([["with a checkpoint", false], ["without one", true]] as const)("leaves nothing behind, at the next broker neither, %s; one of the same name is new", async (_how, withoutCheckpoint) => {
    await busy();
    expect(rowsOf("g").length).toBeGreaterThan(5);
    await mq.admin.deleteGroup("g");
    expect(rowsOf("g")).toEqual([]);
    // The broker's own group of what waits is there as soon as something was due.
    const isThere = async (tab: TabMQ): Promise<boolean> => (await tab.admin.groups()).some(({ group }) => group === "g");
    expect(await isThere(mq)).toBe(false);
    expect(await mq.admin.deadLetters("g")).toEqual([]);
    expect(await mq.admin.deleteGroup("g")).toEqual({ messages: 0 });
    await expect(mq.admin.deleteGroup("never")).rejects.toMatchObject({ code: "SUBSCRIPTION_GROUP_NOT_EXIST" });
    const disk = copyOf(origin.disk);
    if (withoutCheckpoint) {
      disk.state.delete("checkpoint");
      disk.queue.clear();
      disk.index.clear();
    }
    const other = new NodeOrigin(disk);
    const next = await other.connect({ broker: { messageDelayLevel: LEVELS } });
    expect(await isThere(next)).toBe(false);
    const got: string[] = [];
    await next.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: (message) => void got.push(`${message.text()} ${message.reconsumeTimes}`) });
    await until(() => got.length >= 3);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(got.toSorted()).toEqual(["dead 0", "fails 0", "fine 0"]);
    expect(await next.admin.deadLetters("g")).toEqual([]);
    await other.close();
  });

  test("control: where a replay does not ask, the deleted group is said to have finished what it had failed at", async () => {
    vi.spyOn(Deletions.prototype, "coversGroup").mockReturnValue(false);
    await busy();
    await mq.admin.deleteGroup("g");
    const disk = copyOf(origin.disk);
    disk.state.delete("checkpoint");
    disk.queue.clear();
    disk.index.clear();
    const other = new NodeOrigin(disk);
    const next = await other.connect();
    await next.admin.createTopic({ topic: "other" });
    expect([...disk.state.keys()].filter((key) => key.startsWith("done/g/"))).toEqual(["done/g/t"]);
    await other.close();
  });

  test.each([["nothing", false], ["control: where a replay does not ask, all of it", true]] as const)("of what it had finished by what it sent, a replay takes in %s", async (_what, isControl) => {
    if (isControl) vi.spyOn(Deletions.prototype, "coversGroup").mockReturnValue(false);
    const consume = (tab: TabMQ, got: string[]) =>
      tab.createPushConsumer({
        consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", idempotent: { key: (message) => message.text(), window: 60_000 },
        messageListener: (message, context) => {
          got.push(message.text());
          context.send({ topic: "out", body: message.text() });
        },
      });
    await send("a", "b");
    const before: string[] = [];
    const consumer = await consume(mq, before);
    await until(() => before.length === 2);
    await consumer.shutdown();
    await mq.admin.deleteGroup("g");
    const disk = copyOf(origin.disk);
    disk.state.delete("checkpoint");
    disk.queue.clear();
    disk.index.clear();
    const other = new NodeOrigin(disk);
    const next = await other.connect();
    await next.admin.createTopic({ topic: "other" });
    expect([...disk.state.keys()].filter((key) => /^(done|finished)\/g\//.test(key)).sort()).toEqual(isControl ? ["done/g/t", "finished/g/0"] : []);
    if (!isControl) {
      const got: string[] = [];
      await consume(next, got);
      await until(() => got.length === 2);
    }
    await other.close();
  });

  test("with consumers in it only by force; they are named, told, and get nothing more", async () => {
    const got: string[] = [];
    const errors: MQError[] = [];
    const consumer = await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: (message) => void got.push(message.text()) });
    consumer.on("error", (error) => errors.push(error));
    const simple = await mq.createSimpleConsumer({ consumerGroup: "s", subscriptions: { t: "*" } });
    await send("1");
    await until(() => got.length === 1);
    const refusal = { code: "ILLEGAL_OPERATION", field: "group", message: expect.stringContaining(`"${mq.clientId}"`) as string };
    await expect(mq.admin.deleteGroup("g")).rejects.toMatchObject(refusal);
    await expect(mq.admin.deleteGroup("s")).rejects.toMatchObject(refusal);
    await mq.admin.deleteGroup("g", { force: true });
    await mq.admin.deleteGroup("s", { force: true });
    await until(() => errors.some(({ code }) => code === "SUBSCRIPTION_GROUP_NOT_EXIST"));
    await expect(simple.receive({ max: 1, invisibleDuration: 1000, awaitDuration: 50 })).rejects.toMatchObject({ code: "SUBSCRIPTION_GROUP_NOT_EXIST" });
    await send("2");
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(got).toEqual(["1"]);
    expect([...rowsOf("g"), ...rowsOf("s")]).toEqual([]);
    await consumer.shutdown();
    await simple.shutdown();
    expect(await mq.admin.groups()).toEqual([]);
  });

  test.each([[["CID_RMQ_SYS_SCHEDULE"], "NO_PERMISSION"], [["a b"], "INVALID_PARAMETER"], [["g", { force: 1 }], "INVALID_PARAMETER"]] as const)("%j is refused", async (args, code) => {
    await expect(mq.admin.deleteGroup(...(args as unknown as [string]))).rejects.toMatchObject({ code });
  });
});
