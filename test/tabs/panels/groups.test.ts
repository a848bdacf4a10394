import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { devtoolsTab, go, openDevtoolsHouse, run } from "../../support/devtools-house.ts";
import type { House } from "../../support/house.ts";

let house: House;
let complaints: string[] = [];

beforeEach(async () => {
  house = await openDevtoolsHouse();
});

afterEach(async () => {
  await house.close();
  expect(complaints.splice(0)).toEqual([]);
});

/** A tab of an application, whose own connection the element is given. */
async function open(path: string, client = "tab-a"): Promise<Page> {
  return (await devtoolsTab(house, path, { namespace: "shop", client, complaints })).chromium;
}

describe("panel: groups", () => {
  test("a group is created and changed as the form says, and is paused by it", async () => {
    const page = await open("/groups");
    await page.getByText("There are no groups yet").waitFor();
    await page.getByRole("button", { name: "Create a group" }).click();
    const dialog = page.getByRole("dialog", { name: "Create a group" });
    await dialog.getByLabel("Name").fill("a b");
    await dialog.getByRole("button", { name: "Create a group" }).click();
    await expect.poll(() => dialog.locator("#group-name-error").innerText()).toContain("may only contain");
    await dialog.getByLabel("Name").fill("billing");
    await dialog.getByLabel("Tries again at most").fill("-1");
    await dialog.getByRole("button", { name: "Create a group" }).click();
    await expect.poll(() => dialog.locator("#group-retries-error").innerText()).toContain("integer");
    expect(await run(page, ({ mq }) => mq.admin.groups())).toEqual([]);
    await dialog.getByLabel("Tries again at most").fill("3");
    await dialog.getByLabel("Its consumers may broadcast").uncheck();
    await dialog.getByRole("button", { name: "Create a group" }).click();
    await page.getByRole("heading", { name: "billing", exact: true }).waitFor();
    expect(await config(page, "billing")).toMatchObject({ consumeEnable: true, consumeBroadcastEnable: false, retryMaxTimes: 3 });

    await page.getByRole("button", { name: "Change" }).click();
    const change = page.getByRole("dialog", { name: "Change the group" });
    await change.getByLabel("It may consume").uncheck();
    await change.getByLabel("Tries again at most").fill("");
    await change.getByRole("button", { name: "Change" }).click();
    await page.getByText("This group is given nothing").waitFor();
    expect(await config(page, "billing")).toMatchObject({ consumeEnable: false, consumeBroadcastEnable: false, retryMaxTimes: null });
  });

  test("members are listed with what they ask for and work on, this tab marked; a difference between them is explained", async () => {
    const expression = `<img src=x onerror="hurt()">`;
    const page = await open("/groups/billing");
    const other = await open("/groups", "tab-b");
    await run(page, async ({ mq, box }, filter) => {
      await mq.admin.createTopic({ topic: "orders", readQueueNums: 4, writeQueueNums: 4 });
      // Its first message keeps the listener busy until the test is over.
      box.consumer = await mq.createPushConsumer({ consumerGroup: "billing", subscriptions: { orders: `paid || ${filter}` }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: () => new Promise<void>((done) => (box.done = done)) });
    }, expression);
    await run(other, async ({ mq, box }, filter) => {
      box.consumer = await mq.createPushConsumer({ consumerGroup: "billing", subscriptions: { orders: `paid || ${filter}` }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: () => {} });
    }, expression);
    await page.bringToFront();
    const members = page.getByRole("table", { name: "Members" });
    await expect.poll(() => members.getByText("This tab").count()).toBe(1);
    await expect.poll(() => members.getByText("tab-b").count()).toBe(1);
    expect(await members.locator("[data-column=subscription] code").first().innerText()).toBe(`paid || ${expression}`);
    expect(await page.locator("img").count()).toBe(0);
    // What is shown is what the broker has assigned.
    const assigned = (): Promise<string[]> => run(page, async ({ mq }) => (await mq.admin.consumerConnections("billing")).connections.map(({ assignment }) => assignment.filter(({ topic }) => topic === "orders").map(({ queueId }) => queueId).join(", ")));
    const shown = (): Promise<string[]> => members.locator("[data-column=assignment] li:has-text('orders') span:last-child").allInnerTexts();
    await expect.poll(async () => (await assigned()).every((queues) => queues !== "")).toBe(true);
    await expect.poll(async () => (await shown()).join("; ") === (await assigned()).join("; ")).toBe(true);
    expect(await page.getByText("The members do not agree").count()).toBe(0);

    await run(page, async ({ mq }) => {
      const producer = await mq.createProducer({ producerGroup: "shop" });
      for (let at = 0; at < 8; at++) await producer.send({ topic: "orders", body: "m", tags: "paid" });
    });
    await expect.poll(() => run(page, ({ box }) => box.done !== undefined)).toBe(true);
    await run(other, async ({ mq, box }) => {
      box.third = await mq.createPushConsumer({ consumerGroup: "billing", subscriptions: { orders: "paid" }, replaceSubscription: true, messageListener: () => {} });
    });
    await page.getByText("The members do not agree.").first().waitFor();
    await page.getByText("A consumer has replaced the group’s subscription").waitFor();
    await run(page, ({ box }) => (box.done as () => void)());
  });

  test("a reset says how many messages are skipped or seen again, and does that", async () => {
    const page = await open("/groups/billing");
    await run(page, async ({ mq }) => {
      await mq.admin.createTopic({ topic: "orders", readQueueNums: 2, writeQueueNums: 2 });
      const producer = await mq.createProducer({ producerGroup: "shop" });
      const to = (queueId: number) => ({ queue: { topic: "orders", brokerName: "broker-a", queueId } });
      for (let at = 0; at < 10; at++) await producer.send({ topic: "orders", body: "m" }, to(at < 7 ? 0 : 1));
      let finish = (): void => {};
      const seen = new Promise<void>((resolve) => (finish = resolve));
      let count = 0;
      const consumer = await mq.createPushConsumer({ consumerGroup: "billing", subscriptions: { orders: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: () => void (++count === 10 && finish()) });
      await seen;
      // What is finished is told to the broker with the end.
      await consumer.shutdown();
    });
    await expect.poll(() => offsets(page)).toEqual([7, 3]);
    const reset = async (): Promise<void> => {
      await dialog.getByRole("button", { name: "Reset", exact: true }).click();
      await dialog.waitFor({ state: "detached" });
    };
    const dialog = page.getByRole("dialog", { name: "Reset offsets" });
    await page.getByRole("button", { name: "Reset offsets" }).click();
    await dialog.getByText("nothing is skipped or seen again").waitFor();
    await dialog.getByLabel("At the earliest").check();
    await dialog.getByText("10 messages will be seen again.").waitFor();
    await dialog.getByLabel("Queue", { exact: true }).selectOption("0");
    await dialog.getByText("7 messages will be seen again.").waitFor();
    expect(await offsets(page)).toEqual([7, 3]);
    await reset();
    expect(await offsets(page)).toEqual([0, 3]);
    await expect.poll(() => page.locator("[data-figure=lag]").innerText()).toBe("7");

    // To one offset: back in one queue, ahead in the other.
    await page.getByRole("button", { name: "Reset offsets" }).click();
    await dialog.getByLabel("At an offset").check();
    await dialog.getByLabel("Offset", { exact: true }).fill("-2");
    await dialog.getByText("An offset is a whole number from 0 on.").waitFor();
    expect(await dialog.getByRole("button", { name: "Reset", exact: true }).isDisabled()).toBe(true);
    await dialog.getByLabel("Offset", { exact: true }).fill("2");
    await dialog.getByText("2 messages will be skipped.").waitFor();
    await dialog.getByText("1 message will be seen again.").waitFor();
    await reset();
    expect(await offsets(page)).toEqual([2, 2]);

    // After everything that is stored: the end.
    await page.getByRole("button", { name: "Reset offsets" }).click();
    await dialog.getByLabel("At a time").check();
    await dialog.getByLabel("Stored at this time or later").fill("2001-01-01T00:00:00");
    await dialog.getByText("4 messages will be seen again.").waitFor();
    await dialog.getByLabel("Stored at this time or later").fill("2222-01-01T00:00:00");
    await dialog.getByText("6 messages will be skipped.").waitFor();
    await reset();
    expect(await offsets(page)).toEqual([7, 3]);
  });

  test("a group with consumers is deleted by name and by force only; whoever looks at it hears that it is gone", async () => {
    const page = await open("/groups/billing");
    const other = await open("/groups/billing", "tab-b");
    await run(page, async ({ mq, box }) => {
      await mq.admin.createTopic({ topic: "orders" });
      box.consumer = await mq.createPushConsumer({ consumerGroup: "billing", subscriptions: { orders: "*" }, messageListener: () => {} });
    });
    await other.bringToFront();
    await other.getByRole("table", { name: "Members" }).waitFor();
    await page.bringToFront();
    await page.getByRole("button", { name: "Delete" }).click();
    const dialog = page.getByRole("dialog", { name: "Delete the group" });
    await dialog.getByText("1 consumer is in it").waitFor();
    expect(await dialog.getByRole("button", { name: "Delete" }).isDisabled()).toBe(true);
    await dialog.getByRole("textbox").fill("billing");
    await dialog.getByRole("button", { name: "Delete" }).click();
    // The broker's own refusal, which names the client.
    await expect.poll(() => dialog.getByRole("alert").innerText()).toContain("tab-a");
    expect(await config(page, "billing")).toBe(null);
    await dialog.getByLabel(/Delete it although/).check();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await page.getByText("There are no groups yet").waitFor();
    expect(await run(page, ({ mq }) => mq.admin.groups())).toEqual([]);
    await other.bringToFront();
    await other.getByText("This group has been deleted meanwhile").waitFor();
  });

  test("the lag is drawn by topic, told to those who cannot see it, and saved as a picture", async () => {
    const page = await open("/groups/billing");
    await run(page, async ({ mq }) => {
      const consumer = await mq.createPushConsumer({ consumerGroup: "billing", subscriptions: { orders: "*", stock: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: () => {} });
      const producer = await mq.createProducer({ producerGroup: "shop" });
      await producer.send({ topic: "orders", body: "m" });
      await producer.send({ topic: "stock", body: "m" });
      await consumer.shutdown();
      for (let at = 0; at < 4; at++) await producer.send({ topic: "orders", body: "m" });
    });
    const waits = await run(page, async ({ mq }) => (await mq.admin.consumeStats("billing")).queues.filter(({ topic }) => topic === "orders").reduce((sum, { diff }) => sum + diff, 0));
    expect(waits).toBeGreaterThanOrEqual(4);
    const chart = page.getByRole("img", { name: /^Lag of billing over time/ });
    await expect.poll(() => chart.getAttribute("aria-label")).toContain(`orders: now ${waits}`);
    await expect.poll(() => chart.locator("canvas").count()).toBe(1);
    await page.getByText("All values as a table").click();
    await expect.poll(() => page.getByRole("table", { name: /^Lag of billing/ }).getByRole("row").count()).toBeGreaterThan(2);
    const [light, ink] = [await groundOf(page), await inkOf(page)];
    await page.getByRole("combobox", { name: "Colours" }).selectOption("Dark");
    await expect.poll(() => inkOf(page)).not.toEqual(ink);
    expect(await groundOf(page)).not.toEqual(light);
  });

  test("300 groups: only the rows in sight exist, with their lag and dead letters", async () => {
    const page = await open("/groups");
    await run(page, async ({ mq }) => {
      await Promise.all(Array.from({ length: 300 }, (_, at) => mq.admin.createGroup({ group: `group-${String(at).padStart(3, "0")}` })));
      const producer = await mq.createProducer({ producerGroup: "shop" });
      await producer.send({ topic: "orders", body: "m" });
      let isDead = false;
      const consumer = await mq.createPushConsumer({ consumerGroup: "group-299", subscriptions: { orders: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", maxReconsumeTimes: 0, messageListener: () => "RECONSUME_LATER" });
      while (!isDead) isDead = (await mq.admin.deadLetters("group-299")).length > 0;
      await consumer.shutdown();
      await producer.send({ topic: "orders", body: "m" });
    });
    await page.getByText("300 groups").waitFor();
    expect(await page.locator("[role=row][data-key]").count()).toBeLessThan(60);
    await page.locator(".scroller").evaluate((scroller) => scroller.scrollTo(0, scroller.scrollHeight));
    const row = page.locator(`[data-key="group-299"]`);
    await expect.poll(() => row.locator("[data-column=lag]").innerText()).toContain("1");
    await expect.poll(() => row.locator("[data-column=dead] a").getAttribute("href")).toBe("#/dead-letters/group-299");
    await expect.poll(() => row.locator("[data-column=topics]").innerText()).toContain("orders");
    await go(page, "/groups?filter=p-01");
    await page.getByText("10 groups").waitFor();
    await page.setViewportSize({ width: 390, height: 844 });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
  });
});

/** Of the picture that is saved: a pixel of its ground, and whether it is all of one colour. */
async function groundOf(page: Page): Promise<number[]> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as picture" }).click()]);
  expect(download.suggestedFilename()).toBe("Lag-of-billing-over-time-by-topic.png");
  const bytes = [...(await readFile(await download.path()))];
  return page.evaluate(async (png) => {
    const bitmap = await createImageBitmap(new Blob([new Uint8Array(png)], { type: "image/png" }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const pen = canvas.getContext("2d")!;
    pen.drawImage(bitmap, 0, 0);
    const { data } = pen.getImageData(0, 0, bitmap.width, bitmap.height);
    const colours = new Set(Array.from({ length: data.length / 4 }, (_, at) => data.subarray(4 * at, 4 * at + 3).join()));
    if (colours.size < 10) throw new Error("the picture is empty");
    return [...data.subarray(0, 3)];
  }, bytes);
}

/** What most of the drawing on the screen itself is drawn with: its grid. */
function inkOf(page: Page): Promise<string> {
  return page.locator(".chart-plot canvas").evaluate((canvas: HTMLCanvasElement) => {
    // A copy: Chromium warns of a canvas that is read again and again.
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true })!;
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    const counts = new Map<string, number>();
    for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) counts.set(data.subarray(at, at + 3).join(), (counts.get(data.subarray(at, at + 3).join()) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1])[0]![0];
  });
}

/** How far the group has come in the topic's queues, as the broker says. */
function offsets(page: Page): Promise<number[]> {
  return run(page, async ({ mq }) => (await mq.admin.consumeStats("billing")).queues.filter(({ topic }) => topic === "orders").map(({ consumerOffset }) => consumerOffset));
}

function config(page: Page, group: string): Promise<object | null> {
  return run(page, async ({ mq }, name) => (await mq.admin.groups()).find((one) => one.group === name)?.config ?? null, group);
}
