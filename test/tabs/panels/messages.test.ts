/** The panel of messages: found by key, id and time, looked at whole, sent again. */
import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accessibilityViolations, devtoolsTab, go, openDevtoolsHouse } from "../../support/devtools-house.ts";
import type { House, Tab } from "../../support/house.ts";

const MARKUP = `<img src=x onerror="alert('owned')"><b>bold</b>`;

let house: House;
let app: Tab;
let complaints: string[] = [];
beforeEach(async () => {
  house = await openDevtoolsHouse();
  app = await house.tab();
  await app.connect({ namespace: "n", broker: { traceEnable: true, messageDelayLevel: "1ms 1ms 1ms 10m" } });
});
afterEach(async () => {
  await house.close();
  expect(complaints.splice(0)).toEqual([]);
});

const open = async (path: string): Promise<Page> => (await devtoolsTab(house, path, { complaints })).chromium;

/** The bodies of the rows in sight. */
const bodies = (page: Page): Promise<string[]> => page.getByRole("table", { name: "Messages found" }).locator(".row-body").allInnerTexts();

test("a topic's newest messages come first over all queues; a key, a time and an id find theirs", async () => {
  const sent = await app.run(async ({ producer }) => {
    const results = [];
    for (let at = 0; at < 130; at++) results.push(await producer.send({ topic: "orders", body: `m${at}`, keys: `order-${at % 10}` }));
    return results.map(({ msgId, offsetMsgId }) => ({ msgId, offsetMsgId }));
  });
  const times = await app.run(async ({ mq }, ids) => Promise.all(ids.map(async (id) => (await mq.admin.viewMessage(id)).storeTimestamp)), sent.map(({ msgId }) => msgId));
  const page = await open("/messages");
  await page.getByRole("link", { name: "orders", exact: true }).click();
  await page.getByText("100 of 130 messages.").waitFor();
  expect((await bodies(page)).slice(0, 3)).toEqual(["m129", "m128", "m127"]);
  await page.getByRole("button", { name: "Show older ones" }).click();
  await page.getByText("130 of 130 messages.").waitFor();
  await app.run(async ({ producer }) => void (await producer.send({ topic: "orders", body: "late" })));
  await page.getByRole("button", { name: "Show 1 newer" }).click();
  await expect.poll(async () => (await bodies(page))[0]).toBe("late");

  await page.getByLabel("Key or message id").fill("order-7");
  await page.getByRole("button", { name: "Look", exact: true }).click();
  await expect.poll(() => bodies(page)).toEqual(Array.from({ length: 13 }, (_, at) => `m${127 - 10 * at}`));
  expect(page.url()).toContain("key=order-7");

  // Nothing is found: it says whether that is the key, the time, or the topic.
  for (const [question, answer] of [["topic=orders&key=order-77", "No message with the key “order-77”"], ["topic=orders&key=order-7&end=1000", "No message with the key “order-7” was stored in this time"], ["topic=nowhere&key=order-7", "There is no topic with this name"]] as const) {
    await go(page, `/messages?${question}`);
    await page.getByText(answer, { exact: true }).waitFor();
  }

  // By time, from the address: both ends belong to it.
  const [from, to] = [times[40]!, times[43]!];
  const expected = times.flatMap((time, at) => (time >= from && time <= to ? [`m${at}`] : []));
  const timed = await open(`/messages?topic=orders&begin=${from}&end=${to}`);
  await expect.poll(async () => (await bodies(timed)).sort()).toEqual(expected.sort());

  // What is no time is named, and the rest of the question counts; so is a view of the body that there is not.
  const notice = timed.getByRole("alert");
  await go(timed, `/messages?topic=orders&key=order-7&begin=abc&end=`);
  await expect.poll(() => notice.allInnerTexts()).toEqual(["The address says begin=abc: that cannot be read, and is passed over."]);
  await expect.poll(async () => (await bodies(timed)).length).toBe(13);
  await go(timed, `/messages?topic=orders&key=order-7&begin=0&end=yesterday`);
  await expect.poll(() => notice.allInnerTexts()).toEqual(["The address says end=yesterday: that cannot be read, and is passed over."]);
  await go(timed, `/messages/${sent[7]!.msgId}?body=morse`);
  await expect.poll(() => notice.allInnerTexts()).toEqual(["The address says body=morse: that cannot be read, and is passed over."]);
  await go(timed, `/messages/${sent[7]!.msgId}?body=hex`);
  await expect.poll(() => notice.count()).toBe(0);

  for (const id of [sent[7]!.msgId, sent[7]!.offsetMsgId]) {
    await page.getByRole("link", { name: "Messages", exact: true }).click();
    await page.getByLabel("Key or message id").fill(id.toLowerCase());
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: sent[7]!.msgId }).waitFor();
    expect(await page.getByRole("region", { name: "Body" }).locator("pre").first().textContent()).toBe("m7");
  }
  const missing = await open(`/messages/${"F".repeat(32)}`);
  await missing.getByText("There is no message with this id.").waitFor();
  await missing.getByText("messages are kept for 3 d").waitFor();
});

test("markup stays text in every field; a body of 4 MB is there at once, piece by piece, and whole as a file", async () => {
  const { evil, large } = await app.run(async ({ producer }, markup) => {
    const { msgId } = await producer.send({ topic: "orders", body: markup, tags: "<i>tag</i>", keys: "<u>key</u>", properties: { "<s>name</s>": markup } });
    const { msgId: other } = await producer.send({ topic: "orders", body: `{"big": 12345678901234567890, "lines": ["${"x".repeat(4_000_000)}"]}` });
    return { evil: msgId, large: other };
  }, MARKUP);
  const page = await open("/messages?topic=orders");
  await expect.poll(async () => (await bodies(page))[1]).toBe(MARKUP);
  const one = await open(`/messages/${evil}`);
  await one.getByRole("heading", { name: evil }).waitFor();
  expect(await one.locator(".body pre").textContent()).toBe(MARKUP);
  await one.getByText("<s>name</s>").waitFor();
  expect(await one.locator("img, b, i, u, s").count()).toBe(0);
  await one.getByRole("radio", { name: "Hex" }).check({ force: true });
  await expect.poll(() => one.locator(".body pre").textContent()).toContain("00000000  3c 69 6d 67 20 73 72 63 3d 78 20 6f 6e 65 72 72  <img src=x onerr");
  await expect.poll(() => one.url()).toContain("body=hex");
  expect(await accessibilityViolations(one)).toEqual([]);

  const big = await open(`/messages/${large}?body=json`);
  // What JavaScript would round stays as it is.
  await big.getByText('"big": 12345678901234567890,').waitFor();
  await big.getByText("The first 65,536 of 4,000,058 characters.").waitFor();
  await big.getByRole("button", { name: "Show more" }).click();
  await big.getByText("The first 262,144 of 4,000,058 characters.").waitFor();
  const [download] = await Promise.all([big.waitForEvent("download"), big.getByRole("button", { name: "Save as file" }).click()]);
  expect(download.suggestedFilename()).toBe(`${large}.txt`);
  expect((await readFile(await download.path())).byteLength).toBe(4_000_044);
});

test("a message's life and what became of it; sent again, changed, it is another message", async () => {
  await app.run(async ({ mq }) => {
    await mq.createPushConsumer({ consumerGroup: "billing", subscriptions: { orders: "*" }, maxReconsumeTimes: 1, messageListener: (message) => {
      if (message.text().includes("bad")) throw new Error("out of paper");
    } });
  });
  const msgId = await app.run(async ({ producer }) => (await producer.send({ topic: "orders", body: { is: "bad", n: 7 }, tags: "paid", keys: ["order-7"], properties: { region: "north" }, messageGroup: "customer-3" })).msgId);
  const page = await open(`/messages/${msgId}`);
  const events = (): Promise<string[]> => page.locator("[data-event]").evaluateAll((items) => items.map((item) => item.getAttribute("data-event")!));
  await expect.poll(events, { timeout: 60_000 }).toEqual(["SEND", "STORE", "DELIVER", "CONSUME", "RETRY", "STORE", "DELIVER", "CONSUME", "DEAD_LETTER"]);
  expect(await page.locator("[data-event=CONSUME]").first().innerText()).toMatch(/Try 1[^]*billing[^]*EXCEPTION[^]*out of paper/);
  await expect.poll(() => page.getByRole("table", { name: "What became of it, by group" }).innerText()).toMatch(/billing[^]*Dead letter/);

  await page.getByRole("button", { name: "Send again" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Body").fill("{ not JSON");
  await dialog.getByRole("button", { name: "Send as a new message" }).click();
  await dialog.getByText("not valid JSON").waitFor();
  await dialog.getByLabel("Body").fill('{"is": "good", "n": 7}');
  await dialog.getByRole("button", { name: "Send as a new message" }).click();
  const link = page.locator(".outcome.good a");
  const again = await link.innerText();
  expect(again).not.toBe(msgId);
  const found = await app.run(async ({ mq }, id) => {
    const { bodyKind, tags, keys, properties, messageGroup, topic, ...message } = await mq.admin.viewMessage(id);
    return { bodyKind, tags, keys, properties: { ...properties }, messageGroup, topic, text: new TextDecoder().decode(message.body) };
  }, again);
  expect(found).toEqual({ topic: "orders", bodyKind: "json", text: '{"is":"good","n":7}', tags: "paid", keys: ["order-7"], properties: { region: "north" }, messageGroup: "customer-3" });
  await link.click();
  await page.getByRole("heading", { name: again }).waitFor();
  await expect.poll(() => page.getByRole("table", { name: "What became of it, by group" }).innerText(), { timeout: 60_000 }).toMatch(/billing[^]*Consumed/);
});
