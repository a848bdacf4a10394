/** Each case against a real broker: a consumer of the group joins, and what it is given first counts. */
import { afterEach, describe, expect, test } from "vitest";
import type { ConsumeFromWhere } from "../../src/index.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { STORED_QUEUE, storedQueue } from "../support/stored-queue.ts";
import table from "./data/consume_from_where.json" with { type: "json" };

type Row = (typeof table.cases)[number];

const NAMES = ["CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP"];

/** Why a row does not hold here; null = it does. */
function deviation({ input: { consumeFromWhere, topic, storedOffset, minOffset, firstMessageInMemory } }: Row): string | null {
  if (!NAMES.includes(consumeFromWhere)) return "a name that RocketMQ has deprecated is refused";
  if (storedOffset !== null) return null;
  // What failed is never left out: test/contract/retry.test.ts.
  if (topic.startsWith("%RETRY%")) return consumeFromWhere === "CONSUME_FROM_TIMESTAMP" ? "a retry topic is consumed from its first message" : null;
  return firstMessageInMemory && minOffset <= 0 && consumeFromWhere !== "CONSUME_FROM_FIRST_OFFSET" ? "it is exact for a young topic too" : null;
}

let origin: NodeOrigin;
afterEach(() => origin.close());

/** The offset of the first message that the group is given. */
async function firstGiven({ consumeFromWhere, topic, storedOffset, minOffset, maxOffset, searchOffsetForConsumeTimestamp: found = 0 }: Row["input"]): Promise<number> {
  origin = await storedQueue(Array.from({ length: maxOffset }, (_, at) => 1000 + at), minOffset, topic);
  if (storedOffset !== null) origin.disk.state.set(`offset/g/${topic}`, { 0: storedOffset });
  const mq = await origin.connect();
  const seen: number[] = [];
  await mq.createPushConsumer({
    consumerGroup: "g", subscriptions: { [topic.startsWith("%RETRY%") ? "other" : topic]: "*" }, consumeFromWhere: consumeFromWhere as ConsumeFromWhere, consumeTimestamp: 1000 + found, orderly: true,
    messageListener: ({ queueOffset }) => void seen.push(queueOffset),
  });
  const producer = await mq.createProducer({ producerGroup: "p" });
  await producer.send({ topic, body: "the next" }, { queue: { ...STORED_QUEUE, topic } });
  await until(() => seen.length > 0);
  return seen[0]!;
}

describe("consume_from_where", () => {
  for (const row of table.cases) {
    const { id, input, expected, note = "" } = row;
    const why = deviation(row);
    if (why !== null) test.skip(`row ${id} ${note}: ${why}`, () => {});
    else test(`row ${id} ${input.consumeFromWhere} ${note}`, async () => expect(await firstGiven(input)).toBe(expected.firstPullAfterCorrection));
  }

  test("exact for a young topic: LAST begins at the end, TIMESTAMP at its time", async () => {
    const young = { topic: "T", storedOffset: null, minOffset: 0, maxOffset: 10, firstMessageInMemory: true, searchOffsetForConsumeTimestamp: 7 };
    expect(await firstGiven({ ...young, consumeFromWhere: "CONSUME_FROM_LAST_OFFSET" })).toBe(10);
    await origin.close();
    expect(await firstGiven({ ...young, consumeFromWhere: "CONSUME_FROM_TIMESTAMP" })).toBe(7);
  });

  test("a deprecated name is refused", async () => {
    origin = new NodeOrigin();
    const mq = await origin.connect();
    const wrong = mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_MIN_OFFSET" as ConsumeFromWhere, messageListener: () => {} });
    await expect(wrong).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "pushConsumer.consumeFromWhere" });
  });

  test("consumeTimestamp is half an hour ago unless given", async () => {
    const now = Date.now();
    origin = await storedQueue([now - 3_600_000, now - 31 * 60_000, now - 29 * 60_000, now - 1000]);
    const mq = await origin.connect();
    const seen: number[] = [];
    await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_TIMESTAMP", messageListener: ({ queueOffset }) => void seen.push(queueOffset),
    });
    await until(() => seen.length === 2);
    expect(seen).toEqual([2, 3]);
  });
});
