import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { deliveredTwice, lost, undelivered } from "../support/history.ts";
import { bundle, House, until } from "../support/house.ts";

let house: House;
const worker = (name: string): Promise<string> => bundle(join(import.meta.dirname, `../fault/workers/${name}.ts`));
afterEach(() => house.end());

const bodies = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`);

describe("all tabs closed, browser closed, all opened again", () => {
  test("offsets are remembered, and a group that was behind gets what waits for it", async () => {
    house = await House.open();
    const first = await house.tab();
    await first.connect({ namespace: "shop" });
    await first.createTopic("orders", 4);
    await first.consume("eager", "orders", "eager1");
    // A group that has been there and left.
    await first.run(async ({ mq }) => {
      const pull = await mq.createPullConsumer({ consumerGroup: "behind", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
      pull.subscribe("orders");
      await pull.poll({ timeout: 0 });
      await pull.shutdown();
    });
    const before = await first.send("orders", bodies(200, "before "));
    await until(() => undelivered(before, house.history.delivered).length === 0);
    await until(async () => (await first.run(({ mq }) => mq.admin.consumeStats("eager"))).diffTotal === 0);
    // Lazily written offsets have been, when a message sent after them is acknowledged.
    await new Promise((resolve) => setTimeout(resolve, 200));
    await house.closeTabs();
    await house.restart();

    const second = await house.tab();
    await second.connect({ namespace: "shop" });
    expect(lost(before, await second.readAll("orders"))).toEqual([]);
    const stats = await second.run(({ mq }) => Promise.all(["eager", "behind"].map((group) => mq.admin.consumeStats(group))));
    expect(stats.map(({ diffTotal }) => diffTotal)).toEqual([0, 200]);
    await second.consume("eager", "orders", "eager2");
    const after = await second.send("orders", bodies(50, "after "));
    await until(() => undelivered(after, house.history.delivered).length === 0);
    expect(deliveredTwice(house.history.delivered)).toEqual([]);

    const third = await house.tab();
    await third.connect({ namespace: "shop" });
    await third.consume("behind", "orders", "behind");
    const got = (): typeof house.history.delivered => house.history.delivered.filter(({ consumer }) => consumer === "behind");
    await until(() => undelivered([...before, ...after], got()).length === 0);
    expect(got()).toHaveLength(250);
  });

  test("the last tab is closed right after the acknowledgement", async () => {
    house = await House.open();
    for (let round = 0; round < 3; round++) {
      const tab = await house.tab();
      await tab.connect({ namespace: "shop" });
      await tab.send("orders", bodies(20, `${round}/`));
      await tab.page.close();
      await house.restart();
    }
    const tab = await house.tab();
    await tab.connect({ namespace: "shop" });
    expect(lost(house.history.acked, await tab.readAll("orders"))).toEqual([]);
    expect(house.history.acked).toHaveLength(60);
  });

  // TABMQ_LONG: `npm run test:fault`.
  test.runIf(process.env.TABMQ_LONG)("control: a worker that keeps offsets in memory alone delivers everything again", async () => {
    house = await House.open({ pages: { "/no-offsets.js": await worker("no-offsets") } });
    const connect = { namespace: "shop", worker: "/no-offsets.js" };
    const first = await house.tab();
    await first.connect(connect);
    await first.createTopic("orders", 1);
    await first.consume("eager", "orders", "eager1");
    const before = await first.send("orders", bodies(20, "before "));
    await until(async () => (await first.run(({ mq }) => mq.admin.consumeStats("eager"))).diffTotal === 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await house.closeTabs();
    await house.restart();
    const second = await house.tab();
    await second.connect(connect);
    expect(lost(before, await second.readAll("orders"))).toEqual([]);
    await second.consume("eager", "orders", "eager2");
    await until(() => deliveredTwice(house.history.delivered).length === before.length);
  });

  test.runIf(process.env.TABMQ_LONG)("control: a worker that answers before its commit is complete loses what the last tab sent", async () => {
    house = await House.open({ pages: { "/early-ack.js": await worker("early-ack") } });
    const connect = { namespace: "shop", worker: "/early-ack.js" };
    const tab = await house.tab();
    await tab.connect(connect);
    await tab.createTopic("orders", 1);
    await tab.send("orders", ["long before"]);
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const acked = await tab.send("orders", bodies(20, "just before "));
    await tab.page.close();
    await house.restart();
    const next = await house.tab();
    await next.connect(connect);
    const present = await next.readAll("orders");
    expect(present).toHaveLength(1);
    expect(lost(acked, present)).toHaveLength(20);
  });
});
