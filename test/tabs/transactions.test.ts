import { afterAll, beforeAll, expect, test } from "vitest";
import { House, type Tab, until } from "../support/house.ts";

let house: House;
beforeAll(async () => void (house = await House.open()));
afterAll(() => house.close());

/** A tab of the producer group. What its local transactions have written is told to the test at once, and outlives the tab. */
async function member(answer: "COMMIT" | "UNKNOWN"): Promise<Tab> {
  const tab = await house.tab();
  await tab.connect({ namespace: "transactions", broker: { defaultTopicQueueNums: 1, transactionTimeout: 300, transactionCheckInterval: 400 } });
  await tab.run(async (side, given) => {
    side.box.checks = [];
    side.box.transactions = await side.mq.createTransactionProducer({
      producerGroup: "pg",
      executeLocalTransaction: () => {
        side.box.isExecuting = true;
        return new Promise(() => {});
      },
      checkLocalTransaction: (message) => {
        (side.box.checks as string[]).push(message.text());
        return given;
      },
    });
  }, answer);
  return tab;
}

test("the tab that sent it is closed before it has decided: another tab of its group is asked, and the message is there once", async () => {
  // On a slow machine it may be asked itself before it is closed.
  const sender = await member("UNKNOWN");
  const other = await member("COMMIT");
  await other.consume("g", "t", "other");
  await sender.run((side) => {
    const producer = side.box.transactions as Awaited<ReturnType<typeof side.mq.createTransactionProducer>>;
    void producer.sendMessageInTransaction({ topic: "t", body: "x", tags: "t" });
  });
  await until(() => sender.run(({ box }) => box.isExecuting === true));
  expect(house.history.delivered).toEqual([]);
  await sender.page.close();
  await until(() => house.history.delivered.length > 0);
  expect(house.history.delivered.map(({ content }) => content)).toEqual(["t x"]);
  expect(await other.run(({ box }) => box.checks)).toEqual(["x"]);
  expect(await other.run(async ({ mq }) => (await mq.diagnostics()).broker.transactions.pending)).toBe(0);
  expect((await other.readAll("t")).length).toBe(1);
});
