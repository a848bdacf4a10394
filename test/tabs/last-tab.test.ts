/**
 * The last tab goes without waiting for any answer: the worker outlives it (`extendedLifetime`) and writes what it was handed.
 * No control: a worker without that option wrote all of it too, in four rounds of four; Chromium ends it a moment after the page.
 * What happens to a page that hands nothing over is shown in test/contract/page-goes.test.ts.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { House, until } from "../support/house.ts";

const COUNT = 2000;
let house: House;
beforeAll(async () => void (house = await House.open()));
afterAll(() => house.close());

test("the last tab goes in the task in which it sends: all is stored", async () => {
  const tab = await house.tab();
  await tab.connect({ namespace: "last" });
  await tab.createTopic("t", 1);
  await tab.send("t", ["first"]);
  await tab.run(({ producer }, count) => {
    for (let at = 0; at < count; at++) producer.sendOneway({ topic: "t", body: `${at} ${"x".repeat(1000)}` });
    location.assign("/blank");
  }, COUNT);
  await until(() => tab.page.evaluate(() => location.pathname === "/blank").catch(() => false));
  await tab.page.close();
  const next = await house.tab();
  await next.connect({ namespace: "last" });
  await expect.poll(async () => (await next.readAll("t")).length).toBe(COUNT + 1);
});
