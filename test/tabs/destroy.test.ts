/** Two tabs, and one of them destroys the namespace: the database and the notes about it are gone, both tabs hear it, and nothing is missed afterwards. */
import { afterEach, expect, test } from "vitest";
import { House } from "../support/house.ts";

let house: House;
afterEach(() => house.end());

test("destroy, with another tab connected", async () => {
  house = await House.open();
  const [one, other] = [await house.tab(), await house.tab()];
  for (const tab of [one, other]) await tab.connect({ namespace: "n" });
  await one.send("t", ["1", "2", "3"]);
  await other.consume("g", "t", "c");
  await other.send("t", ["4"]);
  const left = async (): Promise<string[]> =>
    one.run(async () => {
      const databases = (await indexedDB.databases()).map(({ name }) => `database ${name}`);
      const notes = Object.keys(localStorage).map((key) => `note ${key}`);
      return [...databases, ...notes].filter((name) => name.includes("tabmq/n") && !name.includes("generation"));
    });
  // The note comes within a second.
  await new Promise((resolve) => setTimeout(resolve, 1200));
  expect(await left()).toEqual(expect.arrayContaining(["database tabmq/n", "note tabmq/n/witness"]));

  const heard = other.run(async ({ mq, consumer, tabmq }) => {
    const error = await new Promise<unknown>((resolve) => consumer.on("error", resolve));
    const call = await mq.admin.topics().catch((reason: unknown) => reason);
    return [error, call].map((reason) => (reason instanceof tabmq.MQError ? reason.code : String(reason)));
  });
  await one.run(({ mq }) => mq.admin.destroy());
  expect(await heard).toEqual(["CLOSED", "CLOSED"]);
  // Whoever has heard of it writes nothing down any more.
  await new Promise((resolve) => setTimeout(resolve, 1200));
  expect(await left()).toEqual([]);

  for (const tab of [one, other]) {
    await tab.connect({ namespace: "n" });
    const seen = await tab.run(async ({ mq }) => [(await mq.diagnostics()).broker.recovery.loss, (await mq.admin.topics()).length, (await mq.admin.groups()).length]);
    expect(seen).toEqual(["none", 0, 0]);
  }
  await one.send("t", ["new"]);
  expect(await other.readAll("t")).toHaveLength(1);
});
