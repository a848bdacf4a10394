import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { MessageExt, SimpleConsumer } from "../../src/index.ts";
import { House, type Tab, until } from "../support/house.ts";

let house: House;
beforeAll(async () => void (house = await House.open()));
afterEach(() => house.closeTabs());
afterAll(() => house.close());

async function tab(namespace: string): Promise<Tab> {
  const opened = await house.tab();
  await opened.connect({ namespace, broker: { defaultTopicQueueNums: 1 } });
  await opened.run(async ({ mq, box }) => {
    box["simple"] = await mq.createSimpleConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
  });
  return opened;
}

/** For twelve hours: whoever gets it within the time of a test has got it because its holder is gone. */
function receive(from: Tab, awaitDuration: number): Promise<string[]> {
  return from.run(async ({ box }, wait) => {
    const messages = await (box["simple"] as SimpleConsumer).receive({ awaitDuration: wait, invisibleDuration: 12 * 3_600_000 });
    box["messages"] = messages;
    return messages.map((message) => `${message.text()} ${message.reconsumeTimes}`).sort();
  }, awaitDuration);
}

function ack(from: Tab): Promise<string[]> {
  return from.run(async ({ box }) => {
    const outcomes = (box["messages"] as MessageExt[]).map((message) => (box["simple"] as SimpleConsumer).ack(message).then(() => "acked", (error: { code: string }) => error.code));
    return Promise.all(outcomes);
  });
}

test("a tab that crashes gives back what it has claimed; one that lives keeps it, and so it does through the death of the worker", async () => {
  const [first, second] = [await tab("pop"), await tab("pop")];
  await first.send("t", ["a", "b"]);
  expect(await receive(first, 5000)).toEqual(["a 0", "b 0"]);
  // Control: it lives.
  expect(await receive(second, 500)).toEqual([]);
  expect(await house.closeWorkers(".js")).toBeGreaterThan(0);
  expect(await receive(second, 1000)).toEqual([]);
  // The new worker knows both: who does not come back to it is taken for dead much later.
  await until(() => second.run(async ({ mq }) => (await mq.admin.consumerConnections("g")).connections.length === 2));
  await first.crash();
  // At once; but where the worker lived in the process that has crashed, its successor waits for who does not come, half a minute.
  let got: string[] = [];
  for (let tries = 0; got.length === 0 && tries < 3; tries++) got = await receive(second, 20_000);
  expect(got).toEqual(["a 1", "b 1"]);
  expect(await ack(second)).toEqual(["acked", "acked"]);
  expect(await second.run(async ({ mq }) => (await mq.admin.consumeStats("g")).diffTotal)).toBe(0);
});
