import { afterEach, describe, expect, test } from "vitest";
import { connect, MessageSelector, type MQError, type TabMQ } from "../../src/index.ts";
import { LOOPING, TAGGED_A } from "../support/wasm-filters.ts";

let mq: TabMQ;
let next = 0;
afterEach(() => mq.close());

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function receive(selector: MessageSelector): Promise<{ seen: string[]; errors: MQError[] }> {
  mq = await connect({ namespace: `filters-${Date.now()}-${next++}`, host: "memory", broker: { defaultTopicQueueNums: 1, enableWasmFilter: true } });
  const producer = await mq.createProducer({ producerGroup: "p" });
  await producer.send({ topic: "t", body: "1", tags: "b", properties: { amount: "101", region: "us" } });
  await producer.send({ topic: "t", body: "2", tags: "a", properties: { amount: "102", region: "eu" } });
  const seen: string[] = [];
  const errors: MQError[] = [];
  const consumer = await mq.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: selector, u: "*" }, messageListener: (message) => void seen.push(message.text()), consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
  });
  consumer.on("error", (error) => errors.push(error));
  await producer.send({ topic: "u", body: "last" });
  await until(() => seen.includes("last"));
  return { seen, errors };
}

describe("filters, over a real SharedWorker", () => {
  test("SQL92", async () => {
    const { seen } = await receive(MessageSelector.bySql("amount > 100 AND region = 'eu' AND TAGS IN ('a', 'b')"));
    expect(seen.sort()).toEqual(["2", "last"]);
  });

  test("WebAssembly", async () => {
    const { seen, errors } = await receive(MessageSelector.byWasm(TAGGED_A));
    expect([seen.sort(), errors]).toEqual([["2", "last"], []]);
  });

  test("WebAssembly that never ends: the broker goes on", async () => {
    const { seen, errors } = await receive(MessageSelector.byWasm(LOOPING));
    await until(() => errors.length > 0);
    expect(errors[0]).toMatchObject({ code: "FILTER_FAILED" });
    expect(seen).toEqual(["last"]);
    expect((await mq.diagnostics()).broker.sessions).toBe(1);
  });
});
