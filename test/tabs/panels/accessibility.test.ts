import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SHORT } from "../../support/effort.ts";
import { oneBrowser } from "../../support/one-browser.ts";
import { serve } from "../../support/serve.mjs";

const FOLDER = fileURLToPath(new URL("../../../dist/playground", import.meta.url));
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

const DESK = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
/** Each width, theme and language comes in the first two, and each with each in all of them. */
const LOOKS = [
  { viewport: DESK, theme: "light", language: "en" }, { viewport: PHONE, theme: "dark", language: "zh" },
  { viewport: DESK, theme: "dark", language: "zh" }, { viewport: PHONE, theme: "light", language: "zh" }, { viewport: PHONE, theme: "dark", language: "en" },
  { viewport: DESK, theme: "light", language: "zh" }, { viewport: DESK, theme: "dark", language: "en" }, { viewport: PHONE, theme: "light", language: "en" },
] as const;
type Look = Pick<(typeof LOOKS)[number], "theme" | "language">;
const USUAL: Look = { theme: "light", language: "en" };

const browser = oneBrowser();
let server: Awaited<ReturnType<typeof serve>>;
let page: Page;

beforeEach(async () => {
  server = await serve({ folder: FOLDER, pages: { "/fill": `<link rel="icon" href="data:,"><script type="module">import * as tabmq from "/dist/index.js"; Object.assign(globalThis, { tabmq });</script>` } });
  page = await browser.context.newPage();
});

afterEach(async () => {
  await browser.closePages();
  await server.close();
});

describe("every panel", () => {
  for (const { viewport, ...look } of LOOKS.slice(0, SHORT ? 2 : undefined)) {
    test(`has no serious violation: ${viewport.width}, ${look.theme}, ${look.language}`, async () => {
      const places = await fill();
      await page.setViewportSize(viewport);
      await open(look);
      const panels = await panelPaths();
      // The menu is the list: a panel that is added is judged too.
      expect(panels.length).toBeGreaterThanOrEqual(11);
      const found: string[] = [];
      for (const path of [...panels, ...places]) {
        await visit(path);
        found.push(...(await violations()).map((violation) => `${path}: ${violation}`));
        if (await isTooWide()) found.push(`${path}: scrolls sideways`);
      }
      expect(found).toEqual([]);
    });
  }

  test("control: what a serious violation is, and a page too wide, is found inside the element", async () => {
    await open(USUAL);
    await visit("/bench");
    expect(await violations()).toEqual([]);
    await page.evaluate(() => {
      const main = document.querySelector("tabmq-playground")!.shadowRoot!.querySelector("main")!;
      const button = document.createElement("button");
      const pale = document.createElement("p");
      pale.textContent = "hardly to be read";
      pale.style.color = "#ddd";
      pale.style.background = "#fff";
      pale.style.width = "3000px";
      main.append(button, pale);
    });
    const found = await violations();
    expect(found.some((violation) => violation.startsWith("button-name"))).toBe(true);
    expect(found.some((violation) => violation.startsWith("color-contrast"))).toBe(true);
    expect(await isTooWide()).toBe(true);
  });
});

describe("the keyboard", () => {
  test("reaches every panel by Tab and Enter, and its controls by Tab from there", async () => {
    await open(USUAL);
    const panels = await panelPaths();
    for (const path of panels) {
      await tabUntil(({ href }) => href === `#${path}`, path);
      await page.keyboard.press("Enter");
      await settled();
      expect(await currentPath()).toBe(path);
    }
    for (const path of panels) {
      // As somebody who has just come there.
      await page.goto("about:blank");
      await open(USUAL, path);
      const wanted = await controls();
      await tabUntil(({ isSkip }) => isSkip, "skip");
      await page.keyboard.press("Enter");
      expect((await focused()).isPanel).toBe(true);
      const reached = new Set<string>();
      for (let presses = 0; presses < 150; presses++) {
        await page.keyboard.press("Tab");
        const now = await focused();
        if (!now.isInPanel) break;
        expect(now.isVisible, `${path}: ${now.what} shows that it has the focus`).toBe(true);
        reached.add(now.what);
      }
      // What has come or gone meanwhile, because the broker has answered, is not asked for.
      const still = new Set(await controls());
      expect(wanted.filter((what) => still.has(what) && !reached.has(what)), path).toEqual([]);
    }
  });

  test("control: what only a mouse can reach is noticed", async () => {
    await open(USUAL, "/bench");
    await page.evaluate(() => {
      const button = document.createElement("button");
      button.tabIndex = -1;
      button.textContent = "mouse only";
      document.querySelector("tabmq-playground")!.shadowRoot!.querySelector("main")!.append(button);
    });
    expect(await controls()).toContain("button mouse only");
    await tabUntil(({ isSkip }) => isSkip, "skip");
    await page.keyboard.press("Enter");
    const reached = new Set<string>();
    for (let presses = 0; presses < 50; presses++) {
      await page.keyboard.press("Tab");
      const now = await focused();
      if (!now.isInPanel) break;
      reached.add(now.what);
    }
    expect(reached.size).toBeGreaterThan(0);
    expect(reached).not.toContain("button mouse only");
  });
});

/** A broker that has seen some life: lists that are not empty, and what can be looked at in each. */
async function fill(): Promise<string[]> {
  const other = await browser.context.newPage();
  await other.goto(`${server.origin}/fill`);
  const msgId = await other.evaluate(async () => {
    const mq = await (globalThis as unknown as { tabmq: typeof import("../../../src/index.ts") }).tabmq.connect({ namespace: "default" });
    const producer = await mq.createProducer({ producerGroup: "checkout" });
    const receipt = await producer.send({ topic: "orders", body: { order: 7 }, tags: "paid", keys: ["o-7", "c-3"], properties: { amount: "12" } });
    await producer.send({ topic: "t".repeat(127), body: "text ".repeat(500) });
    await producer.send({ topic: "mail", body: "later", deliverAfter: 3_600_000 });
    let isDead: () => void;
    const dead = new Promise<void>((resolve) => (isDead = resolve));
    await mq.createPushConsumer({
      consumerGroup: "billing", subscriptions: { orders: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", maxReconsumeTimes: 0,
      messageListener: async () => {
        setTimeout(isDead, 100);
        throw new Error("no such customer");
      },
    });
    await dead;
    const checkout = await mq.createTransactionProducer({ producerGroup: "payments", executeLocalTransaction: async () => "UNKNOWN" as const, checkLocalTransaction: async () => "UNKNOWN" as const });
    await checkout.sendMessageInTransaction({ topic: "orders", body: "in doubt" }, null);
    await mq.close();
    return receipt.msgId;
  });
  await other.close();
  return ["/topics/orders", `/topics/${"t".repeat(127)}`, "/groups/billing", "/messages?topic=orders", `/messages/${msgId}`, "/dead-letters/billing", "/live/orders"];
}

async function open({ theme, language }: Look, path = "/"): Promise<void> {
  await page.addInitScript((settings) => localStorage.setItem("tabmq-devtools/settings", settings), JSON.stringify({ theme, language }));
  await page.goto(`${server.origin}/#${path}`);
  await page.locator("tabmq-playground .phase.connected").waitFor();
  await page.locator(`tabmq-playground .frame[lang="${language === "zh" ? "zh-Hans" : "en"}"]`).waitFor();
  await settled();
}

/** As somebody clicks, or follows an address: the page is not loaded anew. */
async function visit(path: string): Promise<void> {
  const link = page.locator(`nav a[href="#${path}"]`);
  if ((await link.count()) > 0) await link.click();
  else await page.evaluate((hash) => void (location.hash = hash), path);
  await settled();
}

/** The panel is there, and what it asks the broker first is answered. */
async function settled(): Promise<void> {
  await page.locator("main").getByRole("heading", { level: 2 }).first().waitFor();
  await expect.poll(() => page.locator("main > p.quiet[role=status]").count()).toBe(0);
  await page.waitForFunction(() => document.querySelector("tabmq-playground")!.shadowRoot!.getAnimations().every(({ playState }) => playState !== "running"));
}

function panelPaths(): Promise<string[]> {
  return page.locator("nav a").evaluateAll((links) => links.map((link) => link.getAttribute("href")!.slice(1)));
}

async function currentPath(): Promise<string> {
  return (await page.locator(`nav a[aria-current="page"]`).getAttribute("href"))!.slice(1);
}

/** Serious and critical ones: the rule and where. */
async function violations(): Promise<string[]> {
  // Not by a script element, which the page's own policy would forbid.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(AXE);
  const results = await page.evaluate(
    (values) => (globalThis as unknown as { axe: { run(options: object): Promise<AxeResults> } }).axe.run({ runOnly: { type: "tag", values }, resultTypes: ["violations"] }),
    RULES,
  );
  return results.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} ${target.flat().join(" ")} ${failureSummary?.split("\n")[1]?.trim()}`));
}

function isTooWide(): Promise<boolean> {
  return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}

interface Focus {
  what: string;
  href: string | null;
  isSkip: boolean;
  isPanel: boolean;
  isInPanel: boolean;
  /** It has an outline, or what stands for it has. */
  isVisible: boolean;
}

function focused(): Promise<Focus> {
  return page.evaluate(() => {
    const root = document.querySelector("tabmq-playground")!.shadowRoot!;
    const element = root.activeElement;
    const panel = root.querySelector("#panel")!;
    if (element === null) return { what: "nothing", href: null, isSkip: false, isPanel: false, isInPanel: false, isVisible: false };
    // A radio button is drawn by what follows it; of a date the browser marks the part that has the focus.
    const outlined = element.matches("input[type^=date]") || [element, element.nextElementSibling].some((one) => one !== null && getComputedStyle(one).outlineStyle !== "none");
    return {
      what: `${element.localName} ${element.getAttribute("aria-label") ?? (element as HTMLInputElement).labels?.[0]?.textContent ?? element.textContent}`,
      href: element.getAttribute("href"), isSkip: element.classList.contains("skip"), isPanel: element === panel, isInPanel: element !== panel && panel.contains(element), isVisible: outlined,
    };
  });
}

/** What can be operated in the panel, one of each group of radio buttons. */
function controls(): Promise<string[]> {
  return page.evaluate(() => {
    const panel = document.querySelector("tabmq-playground")!.shadowRoot!.querySelector("#panel")!;
    const all = [...panel.querySelectorAll<HTMLElement>("a[href], button, input, select, textarea, summary")];
    const able = all.filter((one) => one.checkVisibility() && !one.matches(":disabled") && !(one instanceof HTMLInputElement && one.type === "radio" && !one.checked));
    return able.map((one) => `${one.localName} ${one.getAttribute("aria-label") ?? (one as HTMLInputElement).labels?.[0]?.textContent ?? one.textContent}`);
  });
}

async function tabUntil(found: (focus: Focus) => boolean, what: string): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press("Tab");
    if (found(await focused())) return;
  }
  throw new Error(`Tab does not come to ${what}`);
}
