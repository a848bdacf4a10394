import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { oneBrowser } from "../support/one-browser.ts";
import { serve } from "../support/serve.mjs";

const FOLDER = fileURLToPath(new URL("../../dist/playground", import.meta.url));

/** No inline script, no inline style, nothing from elsewhere: the page has to work under a policy as strict as a user's. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'";

const browser = oneBrowser();
let server: Awaited<ReturnType<typeof serve>>;

beforeEach(async () => {
  server = await serve({ folder: FOLDER, headers: { "/": { "content-security-policy": POLICY } } });
});

afterEach(async () => {
  await browser.closePages();
  await server.close();
  expect(browser.complaints).toEqual([]);
});

describe("playground", () => {
  test("Back and Forward lead to what was looked at, also to the very place the page was opened at", async () => {
    const page = await open();
    await page.goto(`${server.origin}/?again#/topics`);
    const list = page.getByRole("heading", { name: "Topics", exact: true });
    const topic = page.getByRole("heading", { name: "orders", exact: true });
    await page.getByRole("link", { name: "orders", exact: true }).click();
    await topic.waitFor();
    await page.goBack();
    await list.waitFor();
    expect(new URL(page.url()).hash).toBe("#/topics");
    await page.goForward();
    await topic.waitFor();
    // Typed into the address.
    await page.evaluate(() => void (location.hash = "/topics"));
    await list.waitFor();
    expect(await page.evaluate(() => document.documentElement.scrollHeight - document.documentElement.clientHeight), "a short page needs no scroll bar").toBe(0);
  });

  test("a JSON message with tag and keys is sent and received with the keyboard alone", async () => {
    const page = await open();
    await page.keyboard.press("/");
    expect(await focused(page)).toBe("topic");
    await page.keyboard.type("orders");
    await tabTo(page, "body");
    await write(page, '{"order": 7, "paid": true}');
    await tabTo(page, "tags");
    await write(page, "paid");
    await tabTo(page, "keys");
    await write(page, "order-7 customer-3");
    await page.keyboard.press("Control+Enter");

    const queue = await page.locator("[data-result=queue]").innerText();
    expect(await page.locator("[data-result=offset]").innerText()).toBe("0");
    expect(await page.locator("[data-result=msgId]").innerText()).toMatch(/^[0-9A-F]{32}$/);
    await expect.poll(() => total(page, "consumer")).toBe(1);
    expect(await total(page, "max")).toBe(1);
    expect(await total(page, "backlog")).toBe(0);
    expect(await page.locator(`tr[data-queue="${queue}"] [data-figure=max]`).textContent()).toContain("1");

    const row = page.getByRole("table", { name: /Received/ }).getByRole("row").nth(1);
    await row.waitFor();
    const cells = (await row.getByRole("cell").allInnerTexts()).slice(1, 6);
    expect(cells).toEqual(["This tab", `${queue}:0`, "paid", "order-7 customer-3", '{"order":7,"paid":true}']);
    await expect.poll(() => figure(page, "own")).toBe(1);
    await expect.poll(() => page.title()).toContain("1 received");

    // The message itself, from its place in the queue.
    await page.locator(`tr[data-queue="${queue}"] .chip`).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByText("customer-3").waitFor();
    await page.keyboard.press("Escape");
    await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
  });

  test("a second tab takes half of the queues, and every message goes to one of the two", async () => {
    const page = await open();
    const [second] = await Promise.all([browser.context.waitForEvent("page"), page.getByRole("button", { name: "Open another tab" }).click()]);
    await expect.poll(() => second.url()).toContain("#/live/orders?group=workers");
    await expect.poll(() => ownedQueues(second)).toBe(2);
    // Only a visible tab asks the broker how things stand.
    await page.bringToFront();
    await expect.poll(() => ownedQueues(page)).toBe(2);

    await page.getByRole("radio", { name: "100", exact: true }).check({ force: true });
    await page.getByRole("button", { name: "Send 100" }).click();
    await expect.poll(() => total(page, "consumer"), { timeout: 15_000 }).toBe(100);
    expect(await total(page, "max")).toBe(100);
    expect(await total(page, "backlog")).toBe(0);

    await expect.poll(async () => (await figure(page, "own")) + (await figure(second, "own"))).toBe(100);
    expect(await figure(page, "own")).toBe(50);
    await expect.poll(() => figure(page, "others")).toBe(50);
    await expect.poll(() => figure(second, "others")).toBe(50);
    // A tab that leaves gives its queues back.
    await second.close();
    await expect.poll(() => ownedQueues(page)).toBe(4);
  });

  test("a suspended consumer lets the backlog pile up, and a resumed one works it off", async () => {
    const page = await open();
    await page.getByRole("button", { name: "Suspend" }).click();
    await page.getByRole("button", { name: "Resume" }).waitFor();
    await page.getByRole("radio", { name: "10", exact: true }).check({ force: true });
    await page.getByRole("button", { name: "Send 10" }).click();
    await expect.poll(() => total(page, "backlog")).toBe(10);
    await expect.poll(() => page.title()).toContain("10 waiting");
    expect(await figure(page, "own")).toBe(0);
    await page.getByRole("button", { name: "Resume" }).click();
    await expect.poll(() => total(page, "backlog")).toBe(0);
    await expect.poll(() => figure(page, "own")).toBe(10);
  });

  test("markup in a message stays text", async () => {
    const page = await open();
    const markup = "<img src=x onerror=\"alert('body')\"><b>bold</b>";
    await page.getByRole("radio", { name: "Text", exact: true }).check({ force: true });
    await page.getByLabel("Body", { exact: true }).fill(markup);
    await page.getByLabel("Tag", { exact: true }).fill("<i>tag</i>");
    await page.getByLabel("Keys").fill("<u>key</u>");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    const row = page.getByRole("table", { name: /Received/ }).getByRole("row").nth(1);
    await expect.poll(() => row.locator(".feed-body").textContent()).toBe(markup);
    expect(await row.locator(".feed-tag").textContent()).toBe("<i>tag</i>");
    await row.getByRole("button").click();
    await expect.poll(() => page.getByRole("dialog").locator("pre").textContent()).toBe(markup);
    expect(await page.locator("img, b, i, u").count()).toBe(0);
  });

  test("what cannot be sent is explained at its field, and nothing is sent", async () => {
    const page = await open();
    await page.getByLabel("Body", { exact: true }).fill('{ "order": 1, ');
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await expect.poll(() => page.locator("#body-error").innerText()).toContain("not valid JSON");
    await expect.poll(() => focused(page)).toBe("body");
    expect(await page.getByLabel("Body", { exact: true }).getAttribute("aria-invalid")).toBe("true");

    await page.getByLabel("Body", { exact: true }).fill("{}");
    await page.getByLabel("Tag", { exact: true }).fill("a||b");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator("#tags-error").innerText()).toContain("one tag");
    await expect.poll(() => focused(page)).toBe("tags");

    await page.getByLabel("Topic", { exact: true }).fill("no spaces please");
    await page.keyboard.press("Control+Enter");
    await expect.poll(() => page.locator("#topic-error").innerText()).toContain("may only contain");
    await expect.poll(() => focused(page)).toBe("topic");
    expect(await total(page, "max")).toBe(0);
    expect(await figure(page, "own")).toBe(0);
  });

  test("the page is called by its panel; a menu that is longer than a phone is wide shows on which side there is more", async () => {
    const page = await open();
    const more = (): Promise<string | null> => page.getByRole("navigation").getAttribute("data-more");
    expect(await more()).toBe("");
    await page.getByRole("link", { name: "Topics" }).click();
    await expect.poll(() => page.title()).toBe("Topics – TabMQ playground");
    await page.setViewportSize({ width: 390, height: 844 });
    await page.getByRole("link", { name: "Live map" }).click();
    await expect.poll(more).toBe("end");
    await page.getByRole("link", { name: "Bench" }).click();
    await expect.poll(more).toBe("start");
    await expect.poll(() => page.title()).toBe("Bench – TabMQ playground");
    // Who comes by an address sees where that is.
    await page.goto(`${server.origin}/#/broker`);
    await page.reload();
    await expect.poll(() => page.getByRole("link", { name: "Broker", exact: true }).evaluate((link) => link.getBoundingClientRect().right <= innerWidth)).toBe(true);
  });

  test("a long topic with 40 queues fits a phone", async () => {
    const page = await open();
    await page.setViewportSize({ width: 390, height: 844 });
    await page.getByLabel("Topic", { exact: true }).fill("t".repeat(127));
    await page.keyboard.press("Enter");
    await page.getByLabel("Queues", { exact: true }).fill("40");
    await page.getByRole("button", { name: "Create the topic" }).click();
    await expect.poll(() => page.locator("tr[data-queue]").count()).toBe(40);
    await page.getByRole("button", { name: "Start a consumer in this tab" }).click();
    await expect.poll(() => ownedQueues(page)).toBe(40);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
  });
});

/** The page, with its consumer at work. */
async function open(): Promise<Page> {
  const page = await browser.context.newPage();
  await page.goto(server.origin);
  await expect.poll(() => ownedQueues(page)).toBe(4);
  return page;
}

function ownedQueues(page: Page): Promise<number> {
  return page.locator("tr[data-queue] .owner-cell").getByText("This tab").count();
}

/** A column of the queues' table, added up. */
async function total(page: Page, name: "max" | "consumer" | "backlog"): Promise<number> {
  const cells = page.locator(name === "backlog" ? "tr[data-queue] .backlog-number" : `tr[data-queue] [data-figure=${name}]`);
  return (await cells.allInnerTexts()).reduce((sum, text) => sum + numberIn(text), 0);
}

async function figure(page: Page, name: "own" | "others"): Promise<number> {
  return numberIn((await page.locator(`[data-figure=${name}]`).textContent()) ?? "");
}

function numberIn(text: string): number {
  return Number(text.replaceAll(/[^0-9]/g, "") || Number.NaN);
}

function focused(page: Page): Promise<string> {
  return page.evaluate<string>("document.activeElement.shadowRoot?.activeElement?.id ?? ''");
}

async function tabTo(page: Page, id: string): Promise<void> {
  for (let step = 0; step < 3 && (await focused(page)) !== id; step++) await page.keyboard.press("Tab");
  expect(await focused(page)).toBe(id);
}

/** In place of what the focused field holds. */
async function write(page: Page, text: string): Promise<void> {
  await page.keyboard.press("Control+A");
  await page.keyboard.type(text);
}
