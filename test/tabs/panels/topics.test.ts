import type { Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { devtoolsTab, go, openDevtoolsHouse, run } from "../../support/devtools-house.ts";
import type { House } from "../../support/house.ts";
import { MARKUP } from "../../support/markup.ts";

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

describe("panel: topics", () => {
  test("a topic is created as the form says; what the broker refuses stands at its field, and changes nothing", async () => {
    const page = await open("/topics");
    await page.getByText("There are no topics yet").waitFor();
    await page.getByRole("button", { name: "Create a topic" }).click();
    const dialog = page.getByRole("dialog", { name: "Create a topic" });
    const create = dialog.getByRole("button", { name: "Create a topic" });
    await dialog.getByLabel("Name").fill("no spaces please");
    await create.click();
    await expect.poll(() => dialog.locator("#topic-name-error").innerText()).toContain("may only contain");
    await expect.poll(() => focused(page)).toBe("topic-name");

    await dialog.getByLabel("Name").fill("orders");
    for (const [text, reason] of [["", "A number is needed here."], ["0", "Must be an integer from 1 to 128, not 0."]] as const) {
      await dialog.getByLabel("Queues to read").fill(text);
      await create.click();
      await expect.poll(() => dialog.locator("#topic-read-error").innerText()).toBe(reason);
    }
    await dialog.getByLabel("Queues to write").fill("9");
    await dialog.getByLabel("Queues to read").fill("8");
    await create.click();
    await expect.poll(() => dialog.locator("#topic-write-error").innerText()).toBe("At most 8, as many as are read: nobody would get what is in the others.");
    expect(await dialog.locator("#topic-name-error").innerText()).toBe("");
    expect(await run(page, async ({ mq }) => (await mq.admin.topics()).length)).toBe(0);

    await dialog.getByLabel("Queues to write").fill("6");
    await dialog.getByLabel("Permission").selectOption("Read only");
    await dialog.getByLabel("Message type").selectOption("FIFO");
    await create.click();
    await page.getByRole("heading", { name: "orders", exact: true }).waitFor();
    expect(await run(page, ({ mq }) => mq.admin.topics())).toMatchObject([{ topic: "orders", readQueueNums: 8, writeQueueNums: 6, perm: 4, messageType: "FIFO" }]);
    await expect.poll(() => page.locator("[data-figure=perm]").innerText()).toBe("Read only");

    // The same name once more would change the topic: the form does not.
    await go(page, "/topics");
    await page.getByRole("button", { name: "Create a topic" }).click();
    await dialog.getByLabel("Name").fill("orders");
    await create.click();
    await expect.poll(() => dialog.locator("#topic-name-error").innerText()).toContain("already");
    expect(await run(page, ({ mq }) => mq.admin.topics())).toMatchObject([{ perm: 4, messageType: "FIFO" }]);
  });

  test("a message is stored as the form has it, and what cannot be sent is not", async () => {
    const page = await open("/topics/orders");
    await run(page, ({ mq }) => mq.admin.createTopic({ topic: "orders" }).then(() => {}));
    await page.getByRole("heading", { name: "Send a message" }).waitFor();
    const send = page.getByRole("button", { name: "Send a message" });
    await page.getByLabel("Body", { exact: true }).fill('{ "order": 1, ');
    await send.click();
    await expect.poll(() => page.locator("#send-body-error").innerText()).toContain("not valid JSON");
    await expect.poll(() => focused(page)).toBe("send-body");
    await page.getByLabel("Body", { exact: true }).fill('{ "order": 7 }');
    await page.getByLabel("Properties").fill("colour=red=ish\nwhat");
    await send.click();
    await expect.poll(() => page.locator("#send-properties-error").innerText()).toContain("Line 2");
    await page.getByLabel("Properties").fill("colour=red=ish\n\nsize = 3");
    await page.getByLabel("Tag", { exact: true }).fill("a||b");
    await send.click();
    await expect.poll(() => page.locator("#send-tags-error").innerText()).toContain("one tag");
    expect(await stored(page, "orders")).toBe(0);

    await page.getByLabel("Tag", { exact: true }).fill("paid");
    await page.getByLabel("Keys").fill("order-7 customer-3");
    await page.getByLabel("Message group").fill("customer-3");
    await page.getByLabel("Keys").press("Control+Enter");
    const msgId = await page.locator("[data-result=msgId]").innerText();
    const message = await run(page, async ({ mq }, id) => {
      const found = await mq.admin.viewMessage(id);
      return { body: found.json(), kind: found.bodyKind, tags: found.tags, keys: found.keys, properties: found.properties, group: found.messageGroup };
    }, msgId);
    expect(message).toMatchObject({ body: { order: 7 }, kind: "json", tags: "paid", keys: ["order-7", "customer-3"], properties: { colour: "red=ish", size: "3" }, group: "customer-3" });
    expect(await page.getByRole("link", { name: msgId }).getAttribute("href")).toBe(`#/messages/${msgId}`);
    await expect.poll(() => page.locator("[data-figure=messages]").innerText()).toBe("1");

    // What waits for its time is not in the topic yet.
    await page.getByLabel("When").selectOption("After a time that you choose");
    await page.getByLabel("After how many seconds").fill("3600");
    await page.getByLabel("Message group").fill("");
    await send.click();
    await page.getByText("It waits for its time.").waitFor();
    expect(await stored(page, "orders")).toBe(1);
    expect((await run(page, ({ mq }) => mq.diagnostics())).broker.timers.pending).toBe(1);
  });

  test("markup in a body, and a body of 5 MB, do no harm", async () => {
    const page = await open("/topics/orders");
    await run(page, ({ mq }) => mq.admin.createTopic({ topic: "orders" }).then(() => {}));
    await page.getByRole("radio", { name: "Text" }).check({ force: true });
    for (const body of MARKUP.slice(0, 3)) {
      await page.getByLabel("Body", { exact: true }).fill(body);
      await page.getByLabel("Properties").fill(`html=${body}`);
      const before = await stored(page, "orders");
      await page.getByRole("button", { name: "Send a message" }).click();
      await expect.poll(() => stored(page, "orders")).toBe(before + 1);
      await expect.poll(async () => run(page, async ({ mq }, id) => (await mq.admin.viewMessage(id)).text(), await page.locator("[data-result=msgId]").innerText())).toBe(body);
    }
    await page.getByLabel("Body", { exact: true }).fill("<b>".repeat(5_000_000 / 3));
    await page.getByRole("button", { name: "Send a message" }).click();
    await expect.poll(() => page.locator("#send-body-error").innerText()).toContain("the limit is 4194304");
    expect(await stored(page, "orders")).toBe(3);
    expect(await page.locator("img, b, svg[onload]").count()).toBe(0);
  });

  test("a topic is changed, and deleted only by its name; whoever looks at it hears that it is gone", async () => {
    const page = await open("/topics/orders");
    await run(page, async ({ mq, box }) => {
      await mq.admin.createTopic({ topic: "orders", readQueueNums: 4, writeQueueNums: 4 });
      const producer = await mq.createProducer({ producerGroup: "shop" });
      for (let at = 0; at < 3; at++) await producer.send({ topic: "orders", body: "m" });
      box.consumer = await mq.createPushConsumer({ consumerGroup: "billing", subscriptions: { orders: "*" }, messageListener: () => {} });
    });
    const groups = page.getByRole("table", { name: "Groups" });
    await groups.getByRole("link", { name: "billing" }).waitFor();
    await page.getByRole("button", { name: "Change" }).click();
    const change = page.getByRole("dialog", { name: "Change the topic" });
    await change.getByLabel("Queues to read").fill("6");
    await change.getByLabel("Permission").selectOption("Read only");
    await change.getByRole("button", { name: "Change" }).click();
    await expect.poll(() => page.locator("[data-figure=perm]").innerText()).toBe("Read only");
    expect(await run(page, ({ mq }) => mq.admin.topics().then((all) => all.find(({ topic }) => topic === "orders")))).toMatchObject({ readQueueNums: 6, writeQueueNums: 4, perm: 4 });
    await expect.poll(() => page.getByRole("table", { name: "Queues" }).getByRole("row").count()).toBe(7);

    const other = await open("/topics/orders", "tab-b");
    await other.locator("[data-figure=messages]").getByText("3").waitFor();
    await page.bringToFront();
    await page.getByRole("button", { name: "Delete" }).click();
    const sure = page.getByRole("dialog", { name: "Delete the topic" });
    await expect.poll(() => sure.innerText()).toContain("3 messages");
    await expect.poll(() => sure.innerText()).toContain("billing");
    expect(await sure.getByRole("button", { name: "Delete" }).isDisabled()).toBe(true);
    await sure.getByRole("textbox").fill("order");
    expect(await sure.getByRole("button", { name: "Delete" }).isDisabled()).toBe(true);
    await sure.getByRole("textbox").fill("orders");
    await sure.getByRole("button", { name: "Delete" }).click();
    await expect.poll(() => run(page, async ({ mq }) => (await mq.admin.topics()).some(({ topic }) => topic === "orders"))).toBe(false);
    await page.getByRole("heading", { name: "Topics" }).waitFor();
    await other.bringToFront();
    await other.getByText("This topic has been deleted meanwhile").waitFor();
    // A topic that never was is told apart from one that was deleted.
    await go(other, "/topics/never");
    await other.getByText("There is no topic with this name").waitFor();
  });

  test("of 1,000 topics only the rows in sight exist and are asked about; the broker's own are shown when asked for", async () => {
    const page = await open("/topics");
    await run(page, async ({ mq }) => {
      const names = Array.from({ length: 1000 }, (_, at) => `topic-${String(at).padStart(4, "0")}`);
      await Promise.all(names.map((topic) => mq.admin.createTopic({ topic, readQueueNums: 1, writeQueueNums: 1 })));
      const producer = await mq.createProducer({ producerGroup: "shop" });
      for (const topic of ["topic-0999", "topic-0999", "topic-0000"]) await producer.send({ topic, body: "m" });
      await producer.send({ topic: "topic-0000", body: "later", delayTimeLevel: 18 });
    });
    await page.getByText("1,000 topics").waitFor();
    const row = (name: string) => page.locator(`[data-key="${name}"]`);
    await expect.poll(() => row("topic-0000").locator("[data-column=messages]").innerText()).toContain("1");
    expect(await page.locator("[role=row][data-key]").count()).toBeLessThan(60);
    await page.locator(".scroller").evaluate((scroller) => scroller.scrollTo(0, scroller.scrollHeight));
    await expect.poll(() => row("topic-0999").locator("[data-column=messages]").innerText()).toContain("2");
    await expect.poll(() => row("topic-0999").locator("[data-column=minute]").innerText()).toContain("2");
    expect(await row("topic-0000").count()).toBe(0);

    await page.getByRole("searchbox", { name: "Filter" }).fill("c-000");
    await page.getByText("10 topics").waitFor();
    await page.getByRole("searchbox", { name: "Filter" }).fill("SCHEDULE");
    await page.getByText("Nothing matches “SCHEDULE”.").waitFor();
    await page.getByLabel("System topics").check();
    await row("SCHEDULE_TOPIC_XXXX").getByRole("link").click();
    await page.getByText("A topic of the broker’s own").waitFor();
    // What the broker would refuse is not offered.
    expect(await page.getByRole("button", { name: "Delete" }).count()).toBe(0);
    await page.setViewportSize({ width: 390, height: 844 });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
  });
});

/** Messages that can be read of the topic, as the broker says. */
function stored(page: Page, topic: string): Promise<number> {
  return run(page, async ({ mq }, name) => (await mq.admin.topicStats(name)).queues.reduce((sum, { minOffset, maxOffset }) => sum + maxOffset - minOffset, 0), topic);
}

function focused(page: Page): Promise<string> {
  return page.evaluate<string>("document.activeElement.shadowRoot?.activeElement?.id ?? ''");
}
