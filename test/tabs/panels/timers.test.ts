/** The panel of timers: what waits for its time, in the order of the times, and what is called off. */
import { afterEach, expect, test } from "vitest";
import { accessibilityViolations, devtoolsTab, openDevtoolsHouse } from "../../support/devtools-house.ts";
import type { House } from "../../support/house.ts";

let house: House;
let complaints: string[] = [];
afterEach(async () => {
  await house.close();
  expect(complaints.splice(0)).toEqual([]);
});

test("what waits is listed with the soonest first; a recalled message is gone for good, one with a delay level cannot be", async () => {
  house = await openDevtoolsHouse();
  const app = await house.tab();
  await app.connect({ namespace: "n" });
  const page = (await devtoolsTab(house, "/timers", { complaints })).chromium;
  await page.getByText("No message waits for its time").waitFor();
  const ids = await app.run(async ({ producer }) => {
    const messages = [
      { topic: "mail", body: "tomorrow", deliverAfter: 86_400_000, keys: "<b>late</b>" },
      { topic: "mail", body: "soon", deliverAfter: 625_000, tags: "<i>tag</i>" },
      { topic: "orders", body: "level", delayTimeLevel: 16 },
    ];
    const sent: string[] = [];
    for (const message of messages) sent.push((await producer.send(message)).msgId);
    return sent;
  });
  const table = page.getByRole("table", { name: "Timers" });
  await expect.poll(() => table.locator("[data-column=due] a").evaluateAll((links) => links.map((link) => link.getAttribute("title")))).toEqual([ids[1], ids[2], ids[0]]);
  expect(await table.getByRole("row").nth(1).innerText()).toMatch(/10 min\s+mail\s+its own time\s+<i>tag<\/i>/);
  expect(await table.getByRole("row").nth(2).innerText()).toMatch(/orders\s+delay level 16[^]*not possible/);
  expect(await accessibilityViolations(page)).toEqual([]);
  // Half a window, or twice the size of letters: no column vanishes, and the page is no wider.
  await page.setViewportSize({ width: 720, height: 900 });
  await expect.poll(() => page.evaluate("document.documentElement.scrollWidth")).toBe(720);
  expect((await table.locator("[data-column=topic]").first().boundingBox())!.width).toBeGreaterThan(50);
  expect(await accessibilityViolations(page)).toEqual([]);
  await page.setViewportSize({ width: 1440, height: 900 });

  const waiting = (): Promise<string[]> => app.run(async ({ mq }) => (await mq.admin.pendingTimers()).map(({ msgId }) => msgId));
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "Recall" }).first().click();
  await dialog.getByText("It is not delivered to mail on").waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  expect(await waiting()).toHaveLength(3);
  await page.getByRole("button", { name: "Recall" }).first().click();
  await dialog.getByRole("button", { name: "Recall", exact: true }).click();
  await page.getByText(`Message ${ids[1]} is recalled`).waitFor();
  expect(await waiting()).toEqual([ids[2], ids[0]]);
  await expect.poll(() => table.getByRole("row").count()).toBe(3);

  await page.getByLabel("Topic").fill("orders");
  await page.getByRole("button", { name: "Filter" }).click();
  await expect.poll(() => table.getByRole("row").count()).toBe(2);
  expect(page.url()).toContain("topic=orders");
  await page.getByLabel("Topic").fill("a b");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.getByRole("alert").getByText('Asking the broker failed: The topic "a b" may only contain').waitFor();
});

test("in a long list moved sideways the recall stays in sight, and the columns' names go along", async () => {
  house = await openDevtoolsHouse();
  const app = await house.tab();
  await app.connect({ namespace: "n" });
  await app.run(async ({ producer }) => {
    await Promise.all(Array.from({ length: 70 }, (_, at) => producer.send({ topic: "mail", body: "later", deliverAfter: 86_400_000 + at * 1000 })));
  });
  const page = (await devtoolsTab(house, "/timers", { complaints })).chromium;
  await page.setViewportSize({ width: 720, height: 900 });
  const rows = page.locator(".scroller");
  await rows.waitFor();
  const left = async (place: string): Promise<number> => (await page.locator(place).first().boundingBox())!.x;
  for (const moved of [0, 120]) {
    await rows.evaluate((element, by) => void (element.scrollLeft = by), moved);
    await expect.poll(() => left(".th").then(Math.round)).toBe(Math.round((await left(".table")) - moved));
    expect(await left(".td")).toBeCloseTo(await left(".th"), 0);
    const recall = (await page.getByRole("button", { name: "Recall" }).first().boundingBox())!;
    expect(recall.x + recall.width).toBeLessThan(720 - 16);
    if (moved === 0) expect(await accessibilityViolations(page)).toEqual([]);
  }
});
