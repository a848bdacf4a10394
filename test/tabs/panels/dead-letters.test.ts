/** The panel of dead letters: read, given to their group again, changed, thrown away. */
import type { Page } from "playwright-core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accessibilityViolations, devtoolsTab, openDevtoolsHouse } from "../../support/devtools-house.ts";
import type { House, Tab } from "../../support/house.ts";

const MARKUP = `<img src=x onerror="alert('owned')">`;

let house: House;
let app: Tab;
let page: Page;
let complaints: string[] = [];
/** Five letters of group "billing", which takes everything as soon as it is mended. */
beforeEach(async () => {
  house = await openDevtoolsHouse();
  app = await house.tab();
  await app.connect({ namespace: "n" });
  await app.run(async ({ mq, producer, box }, markup) => {
    const taken: string[] = [];
    Object.assign(box, { taken, isMended: false });
    await mq.createPushConsumer({ consumerGroup: "billing", subscriptions: { orders: "*" }, maxReconsumeTimes: 0, messageListener: (message) => {
      if (box.isMended !== true) throw new Error(markup);
      taken.push(message.text());
    } });
    for (let at = 0; at < 5; at++) await producer.send({ topic: "orders", body: `${markup} ${at}`, keys: `order-${at}`, tags: "paid" });
  }, MARKUP);
  await expect.poll(async () => (await letters()).length, { timeout: 60_000 }).toBe(5);
  await app.run(({ box }) => void (box.isMended = true));
  page = (await devtoolsTab(house, "/dead-letters", { complaints })).chromium;
});
afterEach(async () => {
  await house.close();
  expect(complaints.splice(0)).toEqual([]);
});

/** By their keys, the oldest first. */
const letters = (): Promise<string[]> => app.run(async ({ mq }) => (await mq.admin.deadLetters("billing")).map(({ keys }) => keys[0]!));
const taken = (): Promise<string[]> => app.run(({ box }) => [...(box.taken as string[])].sort());
const rows = (): Promise<number> => page.getByRole("table", { name: "Dead letters" }).getByRole("row").count().then((count) => count - 1);

test("letters are counted and read; those selected are given to their group again, the others are discarded", async () => {
  await expect.poll(() => page.getByRole("row", { name: /billing/ }).innerText()).toMatch(/billing\s+5/);
  await page.getByRole("link", { name: "billing" }).click();
  await expect.poll(rows).toBe(5);
  expect(await page.locator(".reason").first().innerText()).toBe(MARKUP);
  expect(await page.locator("img").count()).toBe(0);
  expect(await accessibilityViolations(page)).toEqual([]);

  for (const at of [1, 3]) await page.getByRole("row").nth(at + 1).getByRole("checkbox").check();
  await page.getByRole("button", { name: "Resend 2" }).click();
  await page.getByText("2 dead letters were given to their group again.").waitFor();
  await expect.poll(taken).toEqual([`${MARKUP} 1`, `${MARKUP} 3`]);
  expect(await letters()).toEqual(["order-0", "order-2", "order-4"]);
  await expect.poll(rows).toBe(3);

  await page.getByRole("row").nth(1).getByRole("checkbox").check();
  await page.getByRole("button", { name: "Discard 1" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  expect(await letters()).toHaveLength(3);
  await page.getByRole("button", { name: "Discard 1" }).click();
  await dialog.getByRole("button", { name: "Discard 1" }).click();
  await page.getByText("1 dead letter was discarded.").first().waitFor();
  expect(await letters()).toEqual(["order-2", "order-4"]);

  // All of them only for who types the group's name; and nobody is given what was discarded.
  await page.getByRole("button", { name: "Discard all" }).click();
  const deed = dialog.getByRole("button", { name: "Discard all" });
  expect(await deed.isDisabled()).toBe(true);
  await dialog.getByRole("textbox").fill("billing");
  await deed.click();
  await page.getByText("This group has no dead letters").waitFor();
  expect(await letters()).toEqual([]);
  expect(await app.run(async ({ mq }) => (await mq.admin.consumeStats("billing")).discarded)).toBe(3);
  expect(await taken()).toEqual([`${MARKUP} 1`, `${MARKUP} 3`]);
});

test("a letter that two tabs have edited is sent once, and who comes second is told that nothing was sent", async () => {
  const pages = [page, (await devtoolsTab(house, "/dead-letters/billing", { complaints })).chromium];
  await page.getByRole("link", { name: "billing" }).click();
  for (const [at, one] of pages.entries()) {
    await one.bringToFront();
    await one.getByRole("button", { name: "Edit, resend" }).first().click();
    await one.getByRole("dialog").getByLabel("Body").fill(`mended ${at}`);
  }
  await Promise.all(pages.map((one) => one.getByRole("button", { name: "Send, and discard the letter" }).click()));
  const told = async (text: string): Promise<number> => (await Promise.all(pages.map((one) => one.getByText(text).count()))).reduce((sum, count) => sum + count);
  await expect.poll(() => told("The dead letter is discarded.")).toBe(1);
  await expect.poll(() => told("Nothing was sent: somebody else has sent this letter again or discarded it meanwhile.")).toBe(1);
  expect(await letters()).toEqual(["order-1", "order-2", "order-3", "order-4"]);
  const stored = await app.run(async ({ mq }) => (await mq.admin.queryMessages({ topic: "orders", key: "order-0" })).map((message) => message.text()));
  expect(stored.filter((text) => text.startsWith("mended"))).toHaveLength(1);
});

test("that there is no such group is said, and not that it has no letters; a group that has none is there", async () => {
  await app.run(async ({ mq }) => void (await mq.admin.createGroup({ group: "mailing" })));
  const visit = (group: string): Promise<void> => page.locator("tabmq-devtools").evaluate((element, path) => element.setAttribute("path", path), `/dead-letters/${group}`);
  await visit("bilinlg");
  await page.getByText("There is no group with this name").waitFor();
  expect(await page.getByText("This group has no dead letters").count()).toBe(0);
  await visit("mailing");
  await page.getByText("This group has no dead letters").waitFor();
  expect(await page.getByText("There is no group with this name").count()).toBe(0);
});

test("an edited letter that waits for another tab's turn is not sent once its dialog is closed", async () => {
  await page.getByRole("link", { name: "billing" }).click();
  await expect.poll(rows).toBe(5);
  const lines = (): Promise<[held: number, waiting: number]> => app.run(async () => {
    const { held = [], pending = [] } = await navigator.locks.query();
    const turns = (locks: LockInfo[]): number => locks.filter(({ name }) => name?.startsWith("tabmq-devtools/") === true).length;
    return [turns(held), turns(pending)];
  });
  await app.run(async ({ mq, box }) => {
    const { offsetMsgId } = (await mq.admin.deadLetters("billing"))[0]!;
    await new Promise<void>((begun) => void navigator.locks.request(`tabmq-devtools/n/${offsetMsgId}`, () => {
      begun();
      return new Promise<void>((end) => (box.end = end));
    }));
  });
  await page.getByRole("button", { name: "Edit, resend" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Send, and discard the letter" }).click();
  await expect.poll(lines).toEqual([1, 1]);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect.poll(lines).toEqual([1, 0]);
  await app.run(({ box }) => (box.end as () => void)());
  await expect.poll(lines).toEqual([0, 0]);
  expect(await letters()).toHaveLength(5);
  expect(await taken()).toEqual([]);
});

test("what another tab does is seen; an edited letter is a new message for all groups, and the letter is gone", async () => {
  await page.getByRole("link", { name: "billing" }).click();
  await expect.poll(rows).toBe(5);
  await app.run(async ({ mq }) => void (await mq.admin.resendDeadLetters({ group: "billing", msgIds: [(await mq.admin.deadLetters("billing"))[0]!.msgId] })));
  await expect.poll(rows).toBe(4);

  await page.getByRole("button", { name: "Edit, resend" }).first().click();
  const dialog = page.getByRole("dialog");
  expect(await dialog.getByLabel("Topic").inputValue()).toBe("orders");
  await dialog.getByText("all groups there get it, not only billing").waitFor();
  // A topic that cannot be: nothing is sent, and the letter stays.
  await dialog.getByLabel("Topic").fill("no spaces please");
  await dialog.getByRole("button", { name: "Send, and discard the letter" }).click();
  await dialog.getByText("may only contain").waitFor();
  expect(await letters()).toHaveLength(4);
  await dialog.getByLabel("Topic").fill("orders");
  await dialog.getByLabel("Body").fill("mended");
  await dialog.getByRole("button", { name: "Send, and discard the letter" }).click();
  await page.getByText("The dead letter is discarded.").waitFor();
  await expect.poll(taken).toContain("mended");
  expect(await letters()).toEqual(["order-2", "order-3", "order-4"]);
  const found = await app.run(async ({ mq }) => (await mq.admin.queryMessages({ topic: "orders", key: "order-1" })).map((message) => [message.text(), message.tags, Object.keys(message.properties)]));
  expect(found[0]).toEqual(["mended", "paid", []]);
});
