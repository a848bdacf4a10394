import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { transformWithOxc } from "vite";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { SHORT } from "../../support/effort.ts";
import { oneBrowser } from "../../support/one-browser.ts";
import { serve } from "../../support/serve.mjs";

const FOLDER = fileURLToPath(new URL("../../../dist/playground", import.meta.url));

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Longer than any story takes in its fast form, on a machine with much else to do, ms. */
const STORY = 100_000;

/** The iframes and the Worker of the stage have to do with the page's own scripts, and under Trusted Types. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; " +
  "require-trusted-types-for 'script'; trusted-types tabmq tabmq-playground";

/** A page of another build: nothing in common with the playground but the origin. */
const SURVEY = {
  "/survey": '<!doctype html><script type="module" src="/survey.js"></script>',
  "/survey.js": 'import * as tabmq from "/dist/index.js"; Object.assign(globalThis, { tabmq }); document.title = "ready";',
};

/** What another page finds in a namespace, through the built package. */
interface Survey {
  topics: Record<string, { stored: number; msgIds: number; keys: string[] }>;
  groups: Record<string, { behind: number; dead: number }>;
  timers: number;
  halves: number;
  epoch: number;
}

let server: Awaited<ReturnType<typeof serve>>;
const browser = oneBrowser();

beforeAll(async () => {
  server = await serve({ folder: FOLDER, headers: { "/": { "content-security-policy": POLICY } }, pages: SURVEY });
});

afterEach(() => browser.closePages());
afterAll(() => server.close());

async function begin(page: Page, name: string, query = "pace=fast"): Promise<void> {
  await page.goto(`${server.origin}/#/scenarios/${name}?${query}`);
  await page.getByRole("button", { name: "Play" }).click();
}

function phaseOf(page: Page): Promise<string | null> {
  return page.locator("[data-phase]").getAttribute("data-phase");
}

/** Serious ones, by axe: which rule, and where. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const found = await page.evaluate<{ id: string; impact: string; nodes: { target: unknown }[] }[]>("axe.run().then(({ violations }) => violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map(({ target }) => ({ target })) })))");
  return found.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${JSON.stringify(nodes)}`);
}

/** Plays it, and gives what its check list says: every line has to be good. */
async function play(name: string, query = "pace=fast"): Promise<{ page: Page; found: Record<string, string> }> {
  const page = await browser.context.newPage();
  await begin(page, name, query);
  await expect.poll(() => phaseOf(page), { timeout: STORY }).not.toMatch(/preparing|playing/);
  expect(await page.locator("[data-phase]").innerText()).toContain("As promised.");
  const lines = await page.locator("[data-check]").all();
  const found: Record<string, string> = {};
  for (const line of lines) {
    const key = (await line.getAttribute("data-check"))!;
    expect([key, await line.getAttribute("data-good")]).toEqual([key, "true"]);
    found[key] = (await line.getAttribute("data-actual"))!;
  }
  expect(await page.locator("[data-step]:not(.done)").count()).toBe(0);
  expect(browser.complaints).toEqual([]);
  return { page, found };
}

async function survey(namespace: string): Promise<Survey> {
  const page = await browser.context.newPage();
  await page.goto(`${server.origin}/survey`);
  await expect.poll(() => page.title()).toBe("ready");
  return page.evaluate(async (name) => {
    const { connect } = (globalThis as unknown as { tabmq: typeof import("../../../src/index.ts") }).tabmq;
    const mq = await connect({ namespace: name });
    const reader = await mq.createPullConsumer({ consumerGroup: "survey" });
    const seen: Survey = { topics: {}, groups: {}, timers: 0, halves: 0, epoch: 0 };
    for (const { topic } of await mq.admin.topics()) {
      if (/^(RMQ_|rmq_|SCHEDULE|TRANS|%)/.test(topic)) continue;
      const { queues } = await mq.admin.topicStats(topic);
      const messages = [];
      for (const queue of queues) {
        let at = queue.minOffset;
        while (at < queue.maxOffset) {
          const { messages: some, nextBeginOffset } = await reader.pull({ topic, brokerName: queue.brokerName, queueId: queue.queueId }, "*", at, 1000);
          messages.push(...some);
          at = nextBeginOffset;
        }
      }
      seen.topics[topic] = { stored: messages.length, msgIds: new Set(messages.map(({ msgId }) => msgId)).size, keys: messages.flatMap(({ keys }) => keys) };
    }
    for (const { group } of await mq.admin.groups()) {
      seen.groups[group] = { behind: (await mq.admin.consumeStats(group)).diffTotal, dead: (await mq.admin.deadLetters(group)).length };
    }
    const { broker } = await mq.diagnostics();
    await mq.close();
    return { ...seen, timers: broker.timers.pending, halves: broker.transactions.pending, epoch: broker.epoch };
  }, namespace);
}

const numbers = (count: number, prefix: string, from = 0): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at + from}`);
const sorted = (keys: string[]): string[] => keys.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));

/** What is copied for a page of one's own, as that page's bundler would leave it. */
async function copied(page: Page): Promise<string> {
  await browser.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("button", { name: "Copy for a page of my own" }).click();
  await page.getByText("Copied.", { exact: true }).first().waitFor();
  const { code } = await transformWithOxc(await page.evaluate(() => navigator.clipboard.readText()), "story.ts");
  return code.replaceAll('"tabmq"', '"/dist/index.js"');
}

describe("scenarios", () => {
  test("peak shaving: a burst is stored at once and consumed later, each message once", async () => {
    const { found } = await play("peak-shaving");
    expect(found).toEqual({ stored: "100", backlog: "100", once: "100", left: "0" });
    const { topics, groups } = await survey("scenario-peak-shaving");
    expect(topics.orders).toMatchObject({ stored: 100, msgIds: 100 });
    expect(sorted(topics.orders!.keys)).toEqual(numbers(100, "o-"));
    expect(groups.warehouse).toEqual({ behind: 0, dead: 0 });
  });

  test("consumer groups: two groups get everything, two tabs of one share it", async () => {
    const { found } = await play("consumer-groups");
    expect(found).toEqual({ stored: "40", shared: "2", billing: "40", mailing: "40", both: "2" });
    const { topics, groups } = await survey("scenario-consumer-groups");
    expect(topics.orders).toMatchObject({ stored: 40, msgIds: 40 });
    expect(groups).toEqual({ billing: { behind: 0, dead: 0 }, mailing: { behind: 0, dead: 0 } });
  });

  test("order: within each customer, and over the whole audit, with a failure in between", async () => {
    const { found } = await play("order");
    expect(found).toEqual({ stored: "80", partial: "0", global: "0", tabs: "2" });
    const { topics, groups } = await survey("scenario-order");
    expect(topics.audit!.keys).toEqual(numbers(40, ""));
    for (const who of ["ann", "bob", "eva", "mia"]) expect(topics.moves!.keys.filter((key) => key.startsWith(who))).toEqual(numbers(10, `${who}-`));
    expect(groups.bank).toEqual({ behind: 0, dead: 0 });
  });

  test("retry to dead letter, and resent: everything is charged, no letter is left", async () => {
    const { page, found } = await play("retry-and-resend");
    expect(found).toEqual({ retried: "2", dead: "1", track: "DEAD", resent: "1", left: "0", charged: "8" });
    expect(await page.locator(".story-log").innerText()).toContain("the card reader is broken");
    expect(await page.locator('[data-topic="%DLQ%billing"] .cell').count()).toBe(0);
    expect(await page.locator('[data-topic="orders"] .cell.done').count()).toBe(8);
    const { topics, groups } = await survey("scenario-retry-and-resend");
    expect(topics.orders!.keys.length).toBe(8);
    expect(groups.billing).toEqual({ behind: 0, dead: 0 });
  });

  test("order time-out: what was recalled never comes, the rest once and not early", async () => {
    const { found } = await play("order-timeout");
    expect(found).toMatchObject({ both: "0", left: "0" });
    expect(Number(found.early)).toBeGreaterThanOrEqual(0);
    // Every second order is called off, as far as that is in time.
    const recalled = Number(found.recalled);
    expect(recalled).toBeGreaterThanOrEqual(1);
    expect(recalled).toBeLessThanOrEqual(4);
    const { topics, timers } = await survey("scenario-order-timeout");
    expect(topics.unpaid!.stored).toBe(8 - recalled);
    expect(new Set(topics.unpaid!.keys).size).toBe(8 - recalled);
    expect(topics.unpaid!.keys).toEqual(expect.arrayContaining(["o-2", "o-4", "o-6", "o-8"]));
    expect(timers).toBe(0);
  });

  test("transaction: a crash before COMMIT is decided by another tab, a rollback is never seen", async () => {
    const { found } = await play("transaction");
    expect(found).toMatchObject({ half: "1", hidden: "0", visible: "1", packed: "o-1", left: "0" });
    const { topics, halves, groups } = await survey("scenario-transaction");
    expect(topics.orders).toEqual({ stored: 1, msgIds: 1, keys: ["o-1"] });
    expect(halves).toBe(0);
    expect(groups.warehouse).toEqual({ behind: 0, dead: 0 });
  });

  test("broadcasting: every screen gets everything, the one that was away as well", async () => {
    const { found } = await play("broadcasting");
    expect(found).toEqual({ stored: "12", screens: "3", missed: "6", each: "12", twice: "0" });
    const { topics } = await survey("scenario-broadcasting");
    expect(sorted(topics.prices!.keys)).toEqual(numbers(12, "p-"));
  });

  test("SQL filter: each group gets what fits, and nothing else", async () => {
    const { found } = await play("sql-filter");
    // Orders 0 to 39, region by the remainder of 3, amount 37 times the number, modulo 200.
    const orders = Array.from({ length: 40 }, (_, order) => ({ region: order % 3, amount: (order * 37) % 200 }));
    expect(Number(found.large)).toBe(orders.filter(({ region, amount }) => region === 0 && amount > 100).length);
    expect(Number(found.west)).toBe(orders.filter(({ region, amount }) => region < 2 && amount >= 20 && amount <= 60).length);
    const { topics, groups } = await survey("scenario-sql-filter");
    expect(topics.orders!.stored).toBe(40);
    expect(found).toMatchObject({ all: "40", track: "FILTERED" });
    expect(Object.keys(groups)).toEqual(["all", "large", "west"]);
    expect(groups.all).toEqual({ behind: 0, dead: 0 });
  });

  test("exactly once: doubled payments and a crash, one receipt each", async () => {
    await play("exactly-once");
    const { topics, groups } = await survey("scenario-exactly-once");
    expect(topics.payments!.stored).toBe(48);
    expect(sorted(topics.receipts!.keys)).toEqual(numbers(24, "pay-"));
    expect(groups.till).toEqual({ behind: 0, dead: 0 });
  });

  test("backlog: three tabs catch up with what nobody was there for", async () => {
    const { found } = await play("backlog");
    expect(found).toEqual({ stored: "400", peak: "300", left: "0", once: "400", workers: "3" });
    const { topics, groups } = await survey("scenario-backlog");
    expect(topics.pictures).toMatchObject({ stored: 400, msgIds: 400 });
    expect(groups.resize).toEqual({ behind: 0, dead: 0 });
  });

  test("kill the broker: what was acknowledged is there, once, and consumed", async () => {
    const { found } = await play("kill-the-broker", "pace=fast&kills=3");
    expect(found).toEqual({ deaths: "3", acknowledged: "60", lost: "0", twice: "0", packed: "60" });
    const { topics, groups, epoch } = await survey("scenario-kill-the-broker");
    expect(topics.orders).toMatchObject({ stored: 60, msgIds: 60 });
    expect(sorted(topics.orders!.keys)).toEqual(numbers(60, "o-"));
    expect(groups.packers).toEqual({ behind: 0, dead: 0 });
    expect(epoch).toBeGreaterThan(3);
  });

  test("replay: from a moment on, and nothing from before", async () => {
    const { found } = await play("replay");
    expect(found).toEqual({ stored: "24", skipped: "12", replayed: "12", total: "30", left: "0" });
    const { topics, groups } = await survey("scenario-replay");
    expect(topics.sales!.stored).toBe(24);
    expect(groups.report).toEqual({ behind: 0, dead: 0 });
  });

  test("control: where the page's clock is slow, messages seem to come early, and the list says so", async () => {
    const page = await browser.context.newPage();
    await page.addInitScript(() => {
      const [now, start] = [Date.now, Date.now()];
      Date.now = () => start + (now() - start) / 4;
    });
    await begin(page, "order-timeout");
    await expect.poll(() => phaseOf(page), { timeout: STORY }).toBe("over");
    expect(await page.locator("[data-phase]").innerText()).toContain("Not as promised.");
    expect(await page.locator('[data-check="early"]').getAttribute("data-good")).toBe("false");
  });

  test("who reads Chinese is told what happened in Chinese; the code stays as it is", async () => {
    const page = await browser.context.newPage();
    await page.addInitScript(() => Object.defineProperty(navigator, "language", { get: () => "zh-CN" }));
    await page.goto(`${server.origin}/#/scenarios/retry-and-resend?pace=fast`);
    await page.getByRole("button", { name: "播放", exact: true }).click();
    await expect.poll(() => phaseOf(page), { timeout: STORY }).toBe("over");
    const said = await page.locator(".story-log li > span:last-child").allInnerTexts();
    expect(said).toContain("o-2，第 1 次消费：失败");
    for (const line of said) expect(line).toMatch(/\p{Script=Han}/u);
    expect(await page.locator(".story-code").first().textContent()).toContain("stage.log(\"till\")`${order}, try ${attempt}: fails`");
    // Lines that are there already are said anew in the language that is chosen.
    await page.locator("tabmq-playground").evaluate((element) => element.setAttribute("lang", "en"));
    await expect.poll(() => page.locator(".story-log li > span:last-child").allInnerTexts()).toContain("o-2, try 1: fails");
    expect(browser.complaints).toEqual([]);
  });

  test("stopped, a story leaves nobody behind, and the next play begins with nothing; two pages do not play at once", async () => {
    const page = await browser.context.newPage();
    await begin(page, "peak-shaving", "messages=1000&workers=1");
    await expect.poll(() => page.locator("[data-step=drain][aria-current]").count()).toBe(1);
    expect(await page.locator("iframe").count()).toBe(2);
    const other = await browser.context.newPage();
    await begin(other, "peak-shaving");
    await expect.poll(() => other.locator("[data-phase]").innerText()).toContain("in another tab");

    await page.getByRole("button", { name: "Stop" }).click();
    await expect.poll(() => phaseOf(page)).toBe("stopped");
    await expect.poll(() => page.locator("iframe").count()).toBe(0);
    await page.getByRole("radio", { name: "100", exact: true }).check({ force: true });
    expect(page.url()).toContain("messages=100");
    await page.getByRole("radio", { name: "8", exact: true }).check({ force: true });
    await page.getByRole("button", { name: "Play again" }).click();
    await expect.poll(() => phaseOf(page), { timeout: STORY }).toBe("over");
    expect(await page.locator('[data-check="stored"]').getAttribute("data-actual")).toBe("100");
    expect(browser.complaints).toEqual([]);
  });

  // One with a crash and settings of the broker, one with more of the library, one with parameters and many tabs; and the others.
  const stories = ["transaction", "sql-filter", "consumer-groups", "peak-shaving", "order", "retry-and-resend", "order-timeout", "broadcasting", "exactly-once", "backlog", "replay"];
  for (const name of SHORT ? stories.slice(0, 3) : stories) {
    test(`the code of ${name}, copied with its stage, plays in a page of one's own`, async () => {
      const page = await browser.context.newPage();
      await page.goto(`${server.origin}/#/scenarios/${name}?pace=fast`);
      await expect.poll(() => page.locator(".story-code").first().textContent()).toContain("run(stage");
      const own = await serve({ pages: { "/": '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body></body><script type="module" src="/story.js"></script>', "/story.js": await copied(page) } });
      try {
        const app = await browser.context.newPage();
        await app.goto(own.origin);
        await expect.poll(() => app.locator("body").innerText(), { timeout: STORY }).toContain("The story is over.");
        const said = await app.locator("body").innerText();
        expect(said).toContain("✓ ");
        expect(said).not.toContain("✗ ");
        expect(browser.complaints).toEqual([]);
      } finally {
        await own.close();
      }
    });
  }

  test("what of a story's address cannot be read is named, and what there is instead is played", async () => {
    const page = await browser.context.newPage();
    await page.goto(`${server.origin}/#/scenarios/order?messages=81&pace=slow`);
    await expect.poll(() => page.getByRole("alert").innerText()).toBe("The address says pace=slow&messages=81: that cannot be read, and is passed over.");
    expect(await page.getByRole("radio", { name: "80", exact: true }).isChecked()).toBe(true);
    await page.goto(`${server.origin}/#/scenarios/order?messages=200&pace=fast`);
    await expect.poll(() => page.getByRole("alert").count()).toBe(0);
    expect(browser.complaints).toEqual([]);
  });

  test("the gallery leads to every story; a story shows its own code, and nothing that axe objects to", async () => {
    const page = await browser.context.newPage();
    await page.goto(`${server.origin}/#/scenarios`);
    const cards = page.locator(".story-card");
    await expect.poll(() => cards.count()).toBe(12);
    expect(await violations(page)).toEqual([]);
    await cards.nth(10).focus();
    await page.keyboard.press("Enter");
    await expect.poll(() => page.url()).toContain("#/scenarios/kill-the-broker");
    const code = readFileSync(fileURLToPath(new URL("../../../src/playground/panels/scenarios/scenarios/kill-the-broker.ts", import.meta.url)), "utf8");
    await expect.poll(() => page.locator(".story-code").first().textContent()).toBe(code.replace(/import type \{ Stage \}.*\n/, "").replace(/"[./]+index.ts"/, '"tabmq"').replace(/stage: Stage<[^>]*>/, "stage").trim());
    await browser.context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    await page.getByText("Copied.", { exact: true }).first().waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(await page.locator(".story-code").first().textContent());
    // Everything it names an application has, or is handed.
    await page.goto(`${server.origin}/#/scenarios/transaction`);
    await expect.poll(() => page.locator(".story-code").first().textContent()).toMatch(/^import type \{ MessageExt \} from "tabmq";[^]*run\(stage\): Promise/);
    expect(await page.locator(".story-code").first().textContent()).not.toContain("Stage");
    await page.goto(`${server.origin}/#/scenarios/kill-the-broker`);
    await page.setViewportSize({ width: 390, height: 844 });
    for (const { name } of [{ name: "kill-the-broker" }, { name: "sql-filter" }]) {
      await begin(page, name);
      await expect.poll(() => phaseOf(page), { timeout: STORY }).toBe("over");
      expect(await violations(page)).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    }
  });
});
