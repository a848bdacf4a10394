/** What has become of a message, for each group. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Offsets } from "../../src/broker/offsets.ts";
import { MessageSelector, type Producer, type PushConsumerOptions, type TabMQ } from "../../src/index.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ broker: { defaultTopicQueueNums: 1, messageDelayLevel: "1ms 10m 10m 10m" } });
  producer = await mq.createProducer({ producerGroup: "p" });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

function consume(consumerGroup: string, messageListener: NonNullable<PushConsumerOptions["messageListener"]>, subscription: string | MessageSelector = "*") {
  return mq.createPushConsumer({ consumerGroup, subscriptions: { t: subscription }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener });
}

const tracks = async (msgId: string): Promise<Record<string, string>> =>
  Object.fromEntries((await mq.admin.messageTrack(msgId)).map(({ group, trackType }) => [group, trackType]));

test("each group by itself: consumed, not yet, filtered, nobody there, in retry, dead", async () => {
  await consume("consumed", () => {});
  (await consume("suspended", () => {})).suspend();
  await consume("tags", () => {}, "other || another");
  await consume("sql", () => {}, MessageSelector.bySql("price > 5"));
  await consume("matches", () => {}, MessageSelector.bySql("price > 0"));
  await (await consume("gone", () => {})).shutdown();
  await consume("failing", () => "RECONSUME_LATER");
  await consume("hopeless", (_message, context) => {
    context.delayLevelWhenNextConsume = -1;
    return null;
  });
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await consume("busy", () => held);
  const { msgId } = await producer.send({ topic: "t", body: "x", tags: "tag", properties: { price: "1" } });
  const expected = {
    busy: "NOT_CONSUMED_YET", consumed: "CONSUMED", failing: "IN_RETRY", gone: "NOT_ONLINE", hopeless: "DEAD", matches: "CONSUMED", sql: "FILTERED", suspended: "NOT_CONSUMED_YET", tags: "FILTERED",
  };
  await until(async () => {
    const { consumed, failing, hopeless, matches } = await tracks(msgId);
    return consumed === "CONSUMED" && failing === "IN_RETRY" && hopeless === "DEAD" && matches === "CONSUMED";
  });
  expect(await tracks(msgId)).toEqual(expected);
  release();
  await until(async () => (await tracks(msgId))["busy"] === "CONSUMED");
});

test("simple consumers are at work too: in hand it is not consumed yet, and what their filter leaves out is filtered", async () => {
  const simple = (consumerGroup: string, filter: string) => mq.createSimpleConsumer({ consumerGroup, subscriptions: { t: filter }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
  const [takes, refuses, left] = [await simple("takes", "tag"), await simple("refuses", "other"), await simple("left", "*")];
  const { msgId } = await producer.send({ topic: "t", body: "x", tags: "tag" });
  const [message] = await takes.receive({ awaitDuration: 0 });
  await refuses.receive({ awaitDuration: 0 });
  await left.shutdown();
  expect(await tracks(msgId)).toEqual({ takes: "NOT_CONSUMED_YET", refuses: "FILTERED", left: "NOT_ONLINE" });
  await takes.ack(message!);
  expect(await tracks(msgId)).toMatchObject({ takes: "CONSUMED" });
});

test("a retry that succeeds, a dead letter that is sent again, an offset that is reset", async () => {
  let isBroken = true;
  const consumer = await consume("g", (_message, context) => {
    context.delayLevelWhenNextConsume = isBroken ? -1 : 1;
    return isBroken ? "RECONSUME_LATER" : undefined;
  });
  const { msgId } = await producer.send({ topic: "t", body: "x" });
  const other = await producer.send({ topic: "t", body: "y" });
  await until(async () => (await tracks(msgId))["g"] === "DEAD" && (await tracks(other.msgId))["g"] === "DEAD");
  consumer.suspend();
  await mq.admin.resendDeadLetters({ group: "g", msgIds: [msgId] });
  expect([await tracks(msgId), await tracks(other.msgId)]).toEqual([{ g: "IN_RETRY" }, { g: "DEAD" }]);
  isBroken = false;
  consumer.resume();
  await until(async () => (await tracks(msgId))["g"] === "CONSUMED");
  await consumer.shutdown();
  await mq.admin.resetOffset({ group: "g", topic: "t", offset: 0 });
  expect(await tracks(msgId)).toEqual({ g: "NOT_ONLINE" });
});

test("an id that nobody has is refused", async () => {
  await producer.send({ topic: "t", body: "x" });
  await expect(mq.admin.messageTrack("0".repeat(32))).rejects.toMatchObject({ code: "NO_MESSAGE" });
});

test("control: where it is not known what a copy finishes, a message in retry seems not consumed", async () => {
  await consume("failing", () => "RECONSUME_LATER");
  vi.spyOn(Offsets.prototype, "isDone").mockReturnValue(false);
  const { msgId } = await producer.send({ topic: "t", body: "x" });
  await until(async () => (await mq.admin.topics()).some(({ topic }) => topic === "%RETRY%failing"));
  expect(await tracks(msgId)).toEqual({ failing: "NOT_CONSUMED_YET" });
});

test("what the broker itself has put into the topic: when its time came, or its transaction was committed", async () => {
  await consume("g", () => {});
  const { msgId: delayed } = await producer.send({ topic: "t", body: "later", delayTimeLevel: 1 });
  const { msgId: timed } = await producer.send({ topic: "t", body: "later", deliverAfter: 1 });
  const shop = await mq.createTransactionProducer({ producerGroup: "shop", executeLocalTransaction: () => "COMMIT", checkLocalTransaction: () => "UNKNOWN" });
  const { msgId: committed } = await shop.sendMessageInTransaction({ topic: "t", body: "paid" });
  for (const msgId of [delayed, timed, committed]) await until(async () => (await tracks(msgId).catch(() => ({ g: "" })))["g"] === "CONSUMED");
});
