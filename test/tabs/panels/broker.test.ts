/** The panel of the broker: its log out, gone and in again, its settings, and what the browser promises. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterEach, expect, test } from "vitest";
import { accessibilityViolations, devtoolsTab, go, openDevtoolsHouse } from "../../support/devtools-house.ts";
import type { House, Tab } from "../../support/house.ts";

const COUNT = 200;

let house: House;
let complaints: string[] = [];
afterEach(async () => {
  await house.close();
  expect(complaints.splice(0)).toEqual([]);
});

/** The panel, and a tab of the application beside it with messages in topic "orders", of which group "billing" has read some. */
async function open(): Promise<{ app: Tab; page: Page }> {
  house = await openDevtoolsHouse();
  const app = await house.tab();
  await app.connect({ namespace: "n" });
  await app.send("orders", Array.from({ length: COUNT }, (_, at) => `<img src=x onerror=alert(${at})>`));
  await app.run(async ({ mq }) => {
    const pull = await mq.createPullConsumer({ consumerGroup: "billing", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    pull.subscribe("orders");
    while ((await pull.poll({ max: 50 })).length === 0);
    await pull.commit();
    await pull.shutdown();
  });
  const page = (await devtoolsTab(house, "/broker", { complaints })).chromium;
  return { app, page };
}

const behind = (app: Tab): Promise<number> => app.run(async ({ mq }) => (await mq.admin.consumeStats("billing")).diffTotal);

async function destroy(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Destroy the namespace" }).click();
  const dialog = page.getByRole("dialog", { name: "Destroy n?" });
  const deed = dialog.getByRole("button", { name: "Destroy everything" });
  await dialog.getByText("1 other client is connected").waitFor();
  await dialog.getByRole("textbox").fill("N");
  expect(await deed.isDisabled()).toBe(true);
  await dialog.getByRole("textbox").fill("n");
  await deed.click();
  await page.getByRole("heading", { name: "The connection is over" }).waitFor();
}

test("what was exported and destroyed is the same after its import; a changed file is refused", async () => {
  const { app, page } = await open();
  // The picker is a window of the browser's own.
  await page.evaluate("delete globalThis.showSaveFilePicker; delete Window.prototype.showSaveFilePicker");
  const [before, lag] = [await app.readAll("orders"), await behind(app)];
  expect(before).toHaveLength(COUNT);
  expect(lag).toBeLessThan(COUNT);
  await page.getByText("Only into an empty namespace.").waitFor();

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export to a file" }).click()]);
  expect(download.suggestedFilename()).toMatch(/^n-\d{4}-\d\d-\d\dT[\d-]+\.tabmq$/);
  await page.getByText(`Exported ${COUNT} messages`).first().waitFor();
  const file = join(house.profile, "whole.tabmq");
  await download.saveAs(file);

  await destroy(page);
  expect(await app.run(({ mq }) => mq.admin.topics().catch((error: { code: string }) => error.code))).toBe("CLOSED");
  await page.getByRole("button", { name: "Connect again" }).click();
  const transfer = page.locator("[data-transfer=import]");
  const importFile = async (path: string): Promise<void> => {
    await page.getByLabel("Exported log").setInputFiles(path);
    await transfer.getByRole("button", { name: "Import", exact: true }).click();
  };

  const bytes = await readFile(file);
  bytes[Math.floor(bytes.byteLength / 2)]! ^= 1;
  await writeFile(join(house.profile, "changed.tabmq"), bytes);
  await importFile(join(house.profile, "changed.tabmq"));
  await transfer.getByRole("alert").getByText("the file was changed or cut off").waitFor();
  await app.connect({ namespace: "n" });
  expect(await app.run(async ({ mq }) => (await mq.admin.topics()).length)).toBe(0);
  // What of it is stored is not of the log that is wanted.
  await transfer.getByText("A part of a log is stored here").waitFor();
  await destroy(page);
  await page.getByRole("button", { name: "Connect again" }).click();

  await importFile(file);
  await transfer.getByText(`Imported ${COUNT} messages; topics: 1.`).waitFor();
  await app.connect({ namespace: "n" });
  expect(await app.readAll("orders")).toEqual(before);
  expect(await behind(app)).toBe(lag);
  expect(await page.locator("img").count()).toBe(0);
});

test("with another connection every panel asks, reads and sends by that one", async () => {
  const { page } = await open();
  const look = async (): Promise<void> => {
    await page.getByRole("navigation").getByRole("link", { name: "Messages", exact: true }).click();
    await page.getByLabel("Topic").fill("orders");
    await page.getByRole("button", { name: "Look" }).click();
  };
  await look();
  await page.getByText(`of ${COUNT} messages.`).waitFor();
  await page.getByRole("link", { name: "Broker", exact: true }).click();
  await destroy(page);
  await page.getByRole("button", { name: "Connect again" }).click();
  await page.getByRole("link", { name: "Topics", exact: true }).click();
  await page.getByRole("button", { name: "Create a topic" }).first().click();
  await page.getByRole("dialog").getByLabel("Name").fill("orders");
  await page.getByRole("dialog").getByRole("button", { name: "Create a topic" }).click();
  await page.getByRole("button", { name: "Send a message" }).click();
  await page.locator("[data-result=msgId]").waitFor();
  await look();
  await page.getByText("1 message.").waitFor();
  expect(await page.getByRole("alert").count()).toBe(0);
});

test("an export into a file that was picked can be cancelled, and the file is given up; another tab destroys the namespace", async () => {
  const { app, page } = await open();
  await page.evaluate(() => {
    const sink = (): WritableStream => new WritableStream({
      // A disk that gets done when it is told.
      write: () => new Promise((resolve) => addEventListener("disk", () => resolve(), { once: true })),
      abort: () => void document.documentElement.setAttribute("data-aborted", ""),
    });
    Object.assign(globalThis, { showSaveFilePicker: async () => ({ createWritable: async () => sink() }) });
  });
  await page.getByRole("button", { name: "Export to a file" }).click();
  const transfer = page.locator("[data-transfer=export]");
  await transfer.getByRole("progressbar").waitFor();
  await transfer.getByRole("button", { name: "Cancel the export" }).click();
  await page.evaluate("dispatchEvent(new Event('disk'))");
  await transfer.getByText("The export was cancelled.").waitFor();
  await expect.poll(() => page.locator("html").getAttribute("data-aborted")).toBe("");
  // Who closes the picker has not asked for anything.
  await page.evaluate(() => void Object.assign(globalThis, { showSaveFilePicker: () => Promise.reject(new DOMException("", "AbortError")) }));
  await transfer.getByRole("button", { name: "Export to a file" }).click();
  await expect.poll(() => transfer.getAttribute("data-state")).toBe("idle");

  await app.run(({ mq }) => mq.admin.destroy());
  await page.getByRole("alert").getByText(`The namespace "n" was destroyed`).waitFor();
});

test("a setting is changed where it stands, by the keyboard; what cannot be is explained at its field", async () => {
  const { app, page } = await open();
  const running = (): Promise<number[]> => app.run(async ({ mq }) => {
    const { fileReservedTime, syncFlushTimeout } = (await mq.diagnostics()).settings;
    return [fileReservedTime / 3_600_000, syncFlushTimeout];
  });
  // A setting that there is not, or that cannot be changed, is named.
  for (const name of ["fileReservedTim", "maxMessageSize"]) {
    await go(page, `/broker?setting=${name}`);
    await page.getByRole("alert").getByText(`setting=${name}`).waitFor();
  }
  await go(page, "/broker");
  await page.getByRole("button", { name: "Change fileReservedTime" }).press("Enter");
  await expect.poll(() => page.evaluate("location.hash")).toBe("#/broker?setting=fileReservedTime");
  const row = page.locator("[data-setting=fileReservedTime]");
  expect(await row.getByLabel("New value").inputValue()).toBe("3");
  await row.getByLabel("Unit").selectOption("h");
  await row.getByLabel("New value").fill("100");
  await row.getByLabel("New value").press("Enter");
  await row.getByText("100 h").waitFor();
  await row.getByText("Default: 3 d").waitFor();
  expect(await running()).toEqual([100, 5000]);
  // 1.1 * 3,600,000 is no integer for a computer.
  await page.getByRole("button", { name: "Change fileReservedTime" }).press("Enter");
  await row.getByLabel("Unit").selectOption("h");
  await row.getByLabel("New value").fill("1.1");
  await row.getByLabel("New value").press("Enter");
  await expect.poll(running).toEqual([1.1, 5000]);

  await page.getByRole("button", { name: "Change syncFlushTimeout" }).click();
  const other = page.locator("[data-setting=syncFlushTimeout]");
  expect(await accessibilityViolations(page)).toEqual([]);
  for (const [text, reason] of [["-1", "Must be an integer from 1 to 2147483647, not -1000 (ms)."], ["", "A number is needed here."], ["soon", "A number is needed here."]] as const) {
    await other.getByLabel("New value").fill(text);
    await other.getByRole("button", { name: "Save" }).click();
    await expect.poll(() => other.getByRole("alert").innerText()).toBe(reason);
    expect(await other.getByLabel("New value").getAttribute("aria-invalid")).toBe("true");
  }
  await other.getByLabel("New value").press("Escape");
  await expect.poll(() => page.evaluate("location.hash")).toBe("#/broker");
  expect(await page.evaluate("document.querySelector('tabmq-devtools').shadowRoot.activeElement.ariaLabel")).toBe("Change syncFlushTimeout");
  expect(await running()).toEqual([1.1, 5000]);
  // Somebody else's change is seen too.
  await app.run(async ({ mq }) => void (await mq.admin.updateBrokerConfig({ syncFlushTimeout: 7000 })));
  await other.getByText("7 s").waitFor();
});

test("the browser is asked to keep the data; a long namespace fits a phone", async () => {
  house = await openDevtoolsHouse();
  const { chromium: page } = await devtoolsTab(house, "/broker", { namespace: "n".repeat(64), complaints });
  await page.setViewportSize({ width: 390, height: 844 });
  const box = page.locator("[data-persisted]");
  await box.waitFor();
  expect(await box.getAttribute("data-persisted")).toBe("no");
  const session = await page.context().newCDPSession(page);
  await session.send("Browser.grantPermissions", { origin: house.origin, permissions: ["durableStorage"] });
  await box.getByRole("button", { name: "Ask the browser to keep it" }).click();
  await expect.poll(() => box.getAttribute("data-persisted")).toBe("yes");
  expect(await page.evaluate(() => navigator.storage.persisted())).toBe(true);
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
});
