import { afterEach, describe, expect, test } from "vitest";
import { deliveredTwice, lost, undelivered } from "../support/history.ts";
import { House, until } from "../support/house.ts";

let house: House;
afterEach(() => house.close());

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
});
