/** The example application, as built: orders in two tabs, a server that comes and goes, a refusal that somebody mends. */
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accessibilityViolations } from "../support/devtools-house.ts";
import { oneBrowser } from "../support/one-browser.ts";
import { serve } from "../support/serve.mjs";

const FOLDER = fileURLToPath(new URL("../../dist/playground", import.meta.url));
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types tabmq tabmq-playground";

const browser = oneBrowser();
let server: Awaited<ReturnType<typeof serve>>;

beforeEach(async () => {
  server = await serve({ folder: FOLDER, headers: { "/order-pad.html": { "content-security-policy": POLICY } } });
});

afterEach(async () => {
  await browser.closePages();
  await server.close();
  expect(browser.complaints).toEqual([]);
});

async function open(query = "?lang=en"): Promise<Page> {
  const page = await browser.context.newPage();
  await page.goto(`${server.origin}/order-pad.html${query}`);
  await page.locator("button[type=submit]:enabled").waitFor();
  return page;
}

async function take(page: Page, customer: string, quantity: number): Promise<void> {
  await page.getByLabel("Customer").selectOption(customer);
  await page.getByLabel("How many").fill(String(quantity));
  await page.getByRole("button", { name: "Take order" }).click();
}

const weather = (page: Page, name: string): Promise<void> => page.getByRole("radio", { name }).check({ force: true });
const figure = (page: Page, name: string): Promise<string> => page.locator(`[data-figure=${name}]`).innerText();
const states = (page: Page): Promise<string[]> => page.locator("[data-order]").evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset["state"]!).sort());
const isSender = (page: Page): Promise<boolean> => page.locator("[data-sender]").evaluate((tag) => (tag as HTMLElement).dataset["sender"] === "true");

test("orders wait for their server, arrive once and in order, and what it refuses is mended, whichever tab does it", async () => {
  const [one, two] = [await open(), await open()];
  await expect.poll(async () => [await isSender(one), await isSender(two)].sort()).toEqual([false, true]);
  const [sender, other] = (await isSender(one)) ? [one, two] : [two, one];

  await weather(other, "Unreachable");
  await take(other, "Ada", 20);
  await take(other, "Ada", 1);
  await take(sender, "Ben", 2);
  for (const page of [sender, other]) {
    await expect.poll(() => figure(page, "waiting")).toBe("3");
    // Of Ada's only the first is tried; the second waits for it.
    await expect.poll(() => states(page)).toEqual(["trying", "trying", "waiting"]);
  }
  expect(await figure(other, "arrived")).toBe("0");
  expect(await accessibilityViolations(other)).toEqual([]);

  await weather(sender, "Works");
  // Not by "Try now": by the time it is pressed there may be nothing left to try.
  for (const page of [sender, other]) {
    await expect.poll(() => states(page), { timeout: 60_000 }).toEqual(["refused", "sent", "sent"]);
    await expect.poll(() => figure(page, "refused")).toBe("1");
  }
  await other.getByText("HTTP 422: {\"error\":\"at most 12 of one thing\"}").first().waitFor();
  expect(await accessibilityViolations(other)).toEqual([]);

  await other.getByRole("button", { name: "Edit and send again" }).click();
  await other.getByRole("dialog").getByLabel("How many").fill("5");
  await other.getByRole("button", { name: "Send again", exact: true }).click();
  for (const page of [sender, other]) await expect.poll(() => states(page), { timeout: 60_000 }).toEqual(["sent", "sent", "sent"]);
  expect(await figure(other, "arrived")).toBe("3");

  await sender.close();
  await expect.poll(() => isSender(other), { timeout: 60_000 }).toBe(true);
  await other.getByRole("button", { name: "Take ten" }).click();
  await expect.poll(() => figure(other, "sent"), { timeout: 60_000 }).toBe("13");
  await expect.poll(() => figure(other, "waiting")).toBe("0");
  expect(await figure(other, "arrived")).toBe("13");
});

test("it is there in Chinese, and what was thrown away does not come back", async () => {
  const page = await open("?lang=zh");
  await page.getByLabel("数量").fill("99");
  await page.getByRole("button", { name: "记下订单" }).click();
  await page.getByRole("button", { name: "丢弃" }).click();
  await expect.poll(() => states(page)).toEqual([]);
  await page.reload();
  await page.locator("button[type=submit]:enabled").waitFor();
  await expect.poll(() => figure(page, "refused")).toBe("0");
  expect(await states(page)).toEqual([]);
});
