import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { oneBrowser } from "../../support/one-browser.ts";
import { serve } from "../../support/serve.mjs";

const FOLDER = fileURLToPath(new URL("../../../dist/playground", import.meta.url));
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; require-trusted-types-for 'script'; trusted-types tabmq tabmq-playground";

const browser = oneBrowser();
let server: Awaited<ReturnType<typeof serve>>;

beforeEach(async () => {
  server = await serve({ folder: FOLDER, headers: { "/": { "content-security-policy": POLICY } } });
  await browser.context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: server.origin });
});

afterEach(async () => {
  await browser.closePages();
  await server.close();
  expect(browser.complaints).toEqual([]);
});

describe("bench panel", () => {
  test("measures both sides, shows them, hands them out, and leaves nothing", async () => {
    const page = await open();
    await page.getByRole("button", { name: "Measure", exact: true }).click();
    // Control: while it runs, what must be gone afterwards is there, TabMQ's and the raw writer's.
    await expect.poll(async () => (await stored(page)).databases.length).toBe(2);
    expect((await stored(page)).notes).not.toEqual([]);

    const results = page.getByRole("table", { name: "Results" });
    await results.waitFor({ timeout: 90_000 });
    expect(await stored(page)).toEqual({ databases: [], notes: [] });
    expect(await results.getByRole("rowheader").allInnerTexts()).toHaveLength(7);

    await page.getByRole("button", { name: "Copy as JSON" }).click();
    const report = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
    expect(report).toMatchObject({ browser: expect.stringMatching(/^Chromium \d+, /), durability: "strict", indexer: "wasm", rounds: 1, cores: expect.any(Number) });
    for (const name of ["sends100", "sends1024", "consume"]) {
      for (const side of ["tabmq", "ceiling"]) expect(report.rates[name][side].median, `${name} ${side}`).toBeGreaterThan(0);
    }
    for (const name of ["lone", "trip"]) {
      for (const side of ["tabmq", "ceiling"]) {
        const { p50, p99, samples } = report.times[name][side];
        expect(p50, `${name} ${side}`).toBeGreaterThan(0);
        expect(p99, `${name} ${side}`).toBeGreaterThanOrEqual(p50);
        expect(samples).toBe(40);
      }
    }

    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as picture" }).click()]);
    expect(download.suggestedFilename()).toMatch(/^tabmq-bench-\d{4}-\d\d-\d\d\.png$/);
    const picture = await readFile(await download.path());
    expect(picture.subarray(0, 8).toString("latin1")).toBe("\x89PNG\r\n\x1a\n");
    // IHDR: as wide as it is drawn for every screen.
    expect(picture.readUInt32BE(16)).toBe(2160);

    // Somewhere else and back: the results are still there.
    await page.getByRole("link", { name: "Topics" }).click();
    await page.getByRole("link", { name: "Bench" }).click();
    await results.waitFor();
  });

  test("waits while the tab is hidden, and leaves nothing when it is stopped", async () => {
    const page = await open();
    await page.getByRole("button", { name: "Measure", exact: true }).click();
    await expect.poll(async () => (await stored(page)).databases.length).toBe(2);
    await hide(page, true);
    await page.getByText("waiting for this tab").waitFor();
    await hide(page, false);
    await page.getByText(/Warming up: (?!waiting)/).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Measure", exact: true }).waitFor();
    expect(await stored(page)).toEqual({ databases: [], notes: [] });
    expect(await page.getByRole("table", { name: "Results" }).count()).toBe(0);
  });

  test("stopped at once it measures nothing, and tells of nothing but the end", async () => {
    const page = await open();
    const said = await page.evaluate(async () => {
      const root = document.querySelector("tabmq-playground")!.shadowRoot!;
      const heard: string[] = [];
      const button = (name: string): HTMLElement | undefined => [...root.querySelectorAll("button")].find(({ textContent }) => textContent === name);
      const ended = new Promise<void>((resolve) => {
        let isStopped = false;
        new MutationObserver(() => {
          const text = root.querySelector(".progress")?.textContent;
          if (typeof text === "string" && heard.at(-1) !== text) heard.push(text);
          if (isStopped && button("Measure") !== undefined) resolve();
          if (isStopped || button("Stop") === undefined) return;
          isStopped = true;
          button("Stop")!.click();
        }).observe(root, { subtree: true, childList: true, characterData: true });
      });
      button("Measure")!.click();
      await ended;
      return heard;
    });
    expect(said).toEqual(["Starting a broker", "Deleting what was stored"]);
    expect(await stored(page)).toEqual({ databases: [], notes: [] });
  });

  test("what a closed page has left is removed by the next visit", async () => {
    const other = await browser.context.newPage();
    await other.goto(`${server.origin}/#/topics`);
    const page = await open();
    await page.getByRole("button", { name: "Measure", exact: true }).click();
    await expect.poll(async () => (await stored(page)).databases.length).toBe(2);
    await page.close();
    expect((await stored(other)).notes).not.toEqual([]);
    const next = await open();
    await expect.poll(() => stored(next)).toEqual({ databases: [], notes: [] });
  });

  test("a panel that is left is gone, with its radio buttons", async () => {
    const page = await open();
    const devtools = await page.context().newCDPSession(page);
    const nodes = async (): Promise<number> => {
      await devtools.send("HeapProfiler.collectGarbage");
      return (await devtools.send("Memory.getDOMCounters")).nodes;
    };
    const comeAndGo = async (times: number): Promise<void> => {
      for (let time = 0; time < times; time++) {
        await page.getByRole("link", { name: "Timers" }).click();
        await page.getByRole("heading", { name: "Timers" }).waitFor();
        await page.getByRole("link", { name: "Bench" }).click();
        await page.getByRole("button", { name: "Measure", exact: true }).waitFor();
      }
    };
    await comeAndGo(2);
    const before = await nodes();
    await comeAndGo(6);
    await expect.poll(nodes).toBeLessThan(before + 60);
  });
});

async function open(): Promise<Page> {
  const page = await browser.context.newPage();
  await page.goto(`${server.origin}/?lang=en#/bench?rounds=1`);
  await page.getByRole("button", { name: "Measure", exact: true }).waitFor();
  return page;
}

function stored(page: Page): Promise<{ databases: string[]; notes: string[] }> {
  return page.evaluate(async () => {
    const databases = (await indexedDB.databases()).map(({ name = "" }) => name).filter((name) => name.includes("bench-"));
    return { databases, notes: Object.keys(localStorage).filter((key) => key.includes("bench-")) };
  });
}

/** Chromium without a screen shows every page; a page asks `document.hidden` and listens. */
function hide(page: Page, isHidden: boolean): Promise<void> {
  return page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { configurable: true, value });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
}
