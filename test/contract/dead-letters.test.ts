import { afterEach, beforeEach, expect, test } from "vitest";
import type { MessageExt, Producer, TabMQ } from "../../src/index.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let mq: TabMQ;
let producer: Producer;
beforeEach(async () => {
  origin = new NodeOrigin();
  mq = await origin.connect({ broker: { defaultTopicQueueNums: 1, messageDelayLevel: "1ms" } });
  producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 30_000 });
});
afterEach(() => origin.close());

/** Ten messages that group g has given up on; what comes later it consumes. */
async function give(): Promise<{ ids: string[]; seen: MessageExt[] }> {
  const seen: MessageExt[] = [];
  let isWell = false;
  const it = await mq.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "*" }, maxReconsumeTimes: 0, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
    messageListener: (message) => {
      if (!isWell) throw new Error(`no ${message.text()}`);
      seen.push(message);
    },
  });
  it.on("error", () => {});
  const ids: string[] = [];
  for (let i = 0; i < 10; i++) ids.push((await producer.send({ topic: "t", body: `${i}`, properties: { i: `${i}` } })).msgId);
  await until(async () => (await mq.admin.deadLetters("g")).length === 10);
  isWell = true;
  return { ids, seen };
}

test("deadLetters: the oldest first, with where they come from and why they are dead", async () => {
  expect(await mq.admin.deadLetters("g")).toEqual([]);
  const { ids } = await give();
  const letters = await mq.admin.deadLetters("g");
  expect(letters.map(({ msgId }) => msgId)).toEqual(ids);
  expect(letters[3]).toMatchObject({ topic: "%DLQ%g", reconsumeTimes: 1, properties: { i: "3", DLQ_ORIGIN_TOPIC: "t", DLQ_ERROR: "no 3" } });
  expect(letters[3]!.text()).toBe("3");
  expect(await mq.admin.deadLetters("g", { max: 4 })).toHaveLength(4);
  expect(await mq.admin.deadLetters("other")).toEqual([]);
});

test("resendDeadLetters: to their group alone, as if never tried, and they are dead letters no more", async () => {
  const { ids, seen } = await give();
  const others: string[] = [];
  await mq.createPushConsumer({ consumerGroup: "h", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: (message) => void others.push(message.text()) });
  await until(() => others.length === 10);
  const chosen = [ids[2]!, ids[7]!];
  expect(await mq.admin.resendDeadLetters({ group: "g", msgIds: [...chosen, "nobody"] })).toEqual({
    resent: chosen,
    failed: [{ msgId: "nobody", error: expect.objectContaining({ code: "NO_MESSAGE" }) }],
  });
  await until(() => seen.length === 2);
  expect(seen.map(({ msgId, topic, reconsumeTimes }) => ({ msgId, topic, reconsumeTimes }))).toEqual(chosen.map((msgId) => ({ msgId, topic: "t", reconsumeTimes: 0 })));
  expect({ ...seen[0]!.properties }).toEqual({ i: "2" });
  expect((await mq.admin.deadLetters("g")).map(({ msgId }) => msgId)).toEqual(ids.filter((id) => !chosen.includes(id)));
  const [all, again] = await Promise.all([mq.admin.resendDeadLetters({ group: "g" }), mq.admin.resendDeadLetters({ group: "g" })]);
  expect(all.resent).toHaveLength(8);
  // Both may have found them; the broker has sent each once.
  expect(again.failed).toEqual([]);
  await until(() => seen.length === 10);
  await until(async () => (await mq.admin.consumeStats("g")).diffTotal === 0);
  expect(new Set(seen.map(({ msgId }) => msgId)).size).toBe(10);
  expect(seen).toHaveLength(10);
  expect(await mq.admin.deadLetters("g")).toEqual([]);
  expect(others).toHaveLength(10);
});

test("what was sent again stays so in the next broker, and in an import", async () => {
  const { ids } = await give();
  await mq.admin.resendDeadLetters({ group: "g", msgIds: [ids[4]!] });
  const left = ids.filter((id) => id !== ids[4]);
  await mq.close();
  const next = new NodeOrigin(origin.disk);
  const other = new NodeOrigin();
  try {
    const there = await next.connect();
    expect((await there.admin.deadLetters("g")).map(({ msgId }) => msgId)).toEqual(left);
    const copy = await other.connect();
    await copy.admin.importLog(there.admin.exportLog());
    expect((await copy.admin.deadLetters("g")).map(({ msgId }) => msgId)).toEqual(left);
  } finally {
    await Promise.all([next.close(), other.close()]);
  }
});
