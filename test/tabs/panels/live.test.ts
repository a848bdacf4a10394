import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { oneBrowser } from "../../support/one-browser.ts";
import { serve } from "../../support/serve.mjs";

const FOLDER = fileURLToPath(new URL("../../../dist/playground", import.meta.url));
const WORKER = readdirSync(`${FOLDER}/assets`).find((name) => name.startsWith("worker-"))!;
const MARKUP = `<img src=x onerror="alert('in')">`;

/** A tab of an application, at the page's broker. */
const APPLICATION = `<!doctype html><title>application</title><link rel="icon" href="/favicon.svg"><script type="module">
  import { connect } from "/dist/index.js";
  globalThis.mq = await connect({ worker: (name) => new SharedWorker("/assets/${WORKER}", { name, type: "module", extendedLifetime: true }) });
</script>`;
/** An application with the element in it, and a broker of its own. */
const EMBEDDING = `<!doctype html><title>embedding</title><link rel="icon" href="/favicon.svg"><body></body><script type="module">
  import { connect } from "/dist/index.js";
  import "/dist/devtools.js";
  globalThis.mq = await connect({ namespace: "embedding" });
  await mq.admin.createTopic({ topic: "invoices", readQueueNums: 3, writeQueueNums: 3 });
  await mq.createPushConsumer({ consumerGroup: "billing", subscriptions: { invoices: "*" }, messageListener: () => {} });
  const element = Object.assign(document.createElement("tabmq-devtools"), { client: mq });
  element.setAttribute("path", "/map/invoices");
  document.body.append(element);
</script>`;

const browser = oneBrowser();
let server: Awaited<ReturnType<typeof serve>>;

beforeEach(async () => {
  server = await serve({ folder: FOLDER, pages: { "/application": APPLICATION, "/embedding": EMBEDDING } });
});

afterEach(async () => {
  await browser.closePages();
  await server.close();
  expect(browser.complaints).toEqual([]);
});

describe("the live map", () => {
  test("a rebalance is seen, told and read aloud when a tab opens, and when it closes", async () => {
    const page = await open();
    expect(await shares(page)).toEqual([4]);
    const [second] = await Promise.all([browser.context.waitForEvent("page"), page.getByRole("button", { name: "Open another tab" }).click()]);
    await expect.poll(() => shares(second)).toEqual([2, 2]);
    await page.bringToFront();

    await expect.poll(() => shares(page)).toEqual([2, 2]);
    const note = page.locator(".rebalance[data-moved='2']");
    await expect.poll(() => note.innerText()).toMatch(/2 queues changed hands.*This tab\s+2 queues\s+[0-9a-f]{4}\s+2 queues/s);
    await expect.poll(() => page.locator("p[aria-live]").textContent()).toMatch(/Rebalance: 2 queues changed hands\. .*This tab: 2 queues/);
    await expect.poll(() => page.locator("[data-member]").count()).toBe(2);
    await expect.poll(() => page.locator("[data-member]", { hasText: "This tab" }).innerText()).toMatch(/This tab\s+Queues \d, \d/);
    const before = await note.innerText();

    await second.close();
    await expect.poll(() => shares(page)).toEqual([4]);
    await expect.poll(() => note.innerText()).toMatch(/This tab\s+4 queues$/);
    expect(await note.innerText()).not.toBe(before);
    await expect.poll(() => page.locator("[data-member]").count()).toBe(1);
  });

  test("messages travel over it; who wants no motion sees the figures alone", async () => {
    const page = await open();
    await page.evaluate(`(() => {
      const pen = document.querySelector("tabmq-playground").shadowRoot.querySelector("canvas").getContext("2d");
      globalThis.drawn = 0;
      const arc = pen.arc;
      pen.arc = (...all) => (globalThis.drawn++, arc.apply(pen, all));
    })()`);
    const send = async (): Promise<number> => {
      const before = await page.evaluate<number>("drawn");
      const target = (await figure(page, "own")) + 10;
      await page.getByRole("button", { name: "Send 10" }).click();
      await expect.poll(() => figure(page, "own")).toBe(target);
      await expect.poll(() => figure(page, "total-backlog")).toBe(0);
      await expect.poll(() => isStill(page)).toBe(true);
      return (await page.evaluate<number>("drawn")) - before;
    };
    await page.getByRole("radio", { name: "10", exact: true }).check({ force: true });
    // How many pictures there are of each dot is the machine's affair.
    expect(await send()).toBeGreaterThan(0);
    await page.emulateMedia({ reducedMotion: "reduce" });
    expect(await send()).toBe(0);
    await page.emulateMedia({ reducedMotion: "no-preference" });
    expect(await send()).toBeGreaterThan(0);
    // What has arrived is not left on the map.
    expect(await page.evaluate(`(() => {
      const canvas = document.querySelector("tabmq-playground").shadowRoot.querySelector("canvas");
      return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.every((value) => value === 0);
    })()`)).toBe(true);
  });

  test("what a consumer fails at comes by the retry lane again and ends among the dead letters", async () => {
    const page = await open();
    const application = await openApplication();
    await page.bringToFront();
    for (const place of ["delayed", "retry", "dead"]) await expect.poll(() => figure(page, place)).toBe(0);
    // What is shown for a second only is noted in the page: who asks from outside may come too late.
    await page.evaluate(`(() => {
      const root = document.querySelector("tabmq-playground").shadowRoot;
      globalThis.delayed = new Set();
      new MutationObserver(() => delayed.add(root.querySelector("[data-figure=delayed]")?.textContent.trim())).observe(root, { childList: true, characterData: true, subtree: true });
    })()`);
    await page.getByLabel("Fails").selectOption("every message");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await expect.poll(() => figure(page, "dead"), { timeout: 60_000 }).toBe(1);
    expect(await page.evaluate("[...delayed]")).toContain("1");
    await expect.poll(() => page.locator("[data-place=retry]").innerText()).toContain("3 came here so far");
    await expect.poll(async () => [await figure(page, "delayed"), await figure(page, "retry")]).toEqual([0, 0]);
    // Four tries, of which the last three were retries; the message's own queue has none of it any more.
    await expect.poll(() => page.locator(".feed .failed-mark").count()).toBe(4);
    await expect.poll(async () => (await page.locator(".feed .attempt").allInnerTexts()).map((text) => text.trim())).toEqual(["try 4", "try 3", "try 2"]);
    await expect.poll(() => figure(page, "total-backlog")).toBe(0);
    expect(await application.evaluate(`mq.admin.deadLetters("workers").then((letters) => letters.map(({ keys }) => keys[0]))`)).toEqual(["order-1"]);
    // Sent again, it is none any more.
    await page.getByLabel("Fails").selectOption("never");
    await application.evaluate(`mq.admin.resendDeadLetters({ group: "workers" })`);
    await expect.poll(() => figure(page, "dead")).toBe(0);
    await expect.poll(() => page.locator("[data-place=retry]").innerText()).toContain("4 came here so far");
  });

  test("a stream goes on until it is stopped, and while another panel is shown the consumer lives on", async () => {
    const page = await open();
    const application = await openApplication();
    await page.bringToFront();
    await page.getByLabel("Messages a second").selectOption("100 per second");
    await page.getByRole("button", { name: "Start stream" }).click();
    await expect.poll(() => figure(page, "own")).toBeGreaterThan(20);
    await page.getByRole("button", { name: "Stop stream" }).click();
    await page.getByRole("button", { name: "Start stream" }).waitFor();
    // The last of it may still be on its way to the disk.
    const stored = (): Promise<number> => application.evaluate<number>(`mq.admin.topicStats("orders").then(({ queues }) => queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0))`);
    let sent = 0;
    await expect.poll(async () => {
      const before = sent;
      sent = await stored();
      return sent === before && (await figure(page, "own")) === sent;
    }, { interval: 1000, timeout: 30_000 }).toBe(true);
    await expect.poll(() => figure(page, "total-backlog")).toBe(0);

    await page.getByRole("link", { name: "Topics" }).click();
    await application.evaluate(`mq.createProducer({ producerGroup: "p" }).then((producer) => Promise.all([1, 2, 3].map((n) => producer.send({ topic: "orders", body: String(n) }))))`);
    await expect.poll(() => application.evaluate(`mq.admin.consumeStats("workers").then(({ diffTotal }) => diffTotal)`)).toBe(0);
    await page.getByRole("link", { name: "Live map" }).click();
    await expect.poll(() => figure(page, "own")).toBe(sent + 3);
    await expect.poll(() => shares(page)).toEqual([4]);
  });

  test("between phone and desk the newest messages and a received body have room, and no heading of the queues lies over the next", async () => {
    const page = await open();
    await page.getByRole("button", { name: "Send", exact: true }).click();
    const body = page.locator("td.feed-body");
    await body.waitFor();
    for (const width of [650, 801, 861, 961, 1030, 1190, 1290, 1330]) {
      await page.setViewportSize({ width, height: 900 });
      await expect.poll(async () => (await body.boundingBox())!.width, { message: `at ${width}` }).toBeGreaterThan(90);
      expect((await page.locator(".lanes thead .tape-cell").boundingBox())!.width, `at ${width}`).toBeGreaterThan(90);
      expect(await page.locator(".lanes thead th").evaluateAll((cells) => cells.filter((cell) => getComputedStyle(cell).overflowX === "visible" && cell.scrollWidth > cell.clientWidth).map(({ textContent }) => textContent)), `at ${width}`).toEqual([]);
    }
  });

  test("an address with an illegal name says so until another is chosen; SQL in the place of tags is noticed", async () => {
    const page = await open();
    const notice = page.getByRole("alert").filter({ hasText: "You see the topic orders and the group workers." });
    for (const path of ["/live/a%20b", "/live/orders?group=a%20b"]) {
      await page.evaluate((hash) => void (location.hash = hash), path);
      await notice.getByText(/The (topic|group) "a b" may only contain/).waitFor();
      expect(new URL(page.url()).hash).toBe(`#${path}`);
    }
    await page.getByRole("combobox", { name: "Topic" }).press("Enter");
    await notice.waitFor({ state: "detached" });
    await expect.poll(() => new URL(page.url()).hash).toBe("#/live/orders?group=workers");

    await page.getByText("Start another consumer").click();
    const expression = page.getByLabel("Tag expression");
    const hint = page.getByText("This looks like SQL");
    for (const [text, isSql] of [["amount > 1", 1], ["created || paid", 0], ["region IS NOT NULL", 1], ["island", 0]] as const) {
      await expression.fill(text);
      await expect.poll(() => hint.count()).toBe(isSql);
    }
  });

  test("markup in whatever another tab sends or says stays text, and a huge body is shown in part", async () => {
    const page = await open();
    const application = await openApplication();
    await page.bringToFront();
    await application.evaluate(`(async () => {
      const markup = ${JSON.stringify(MARKUP)};
      const names = Object.fromEntries(["clientId", "group", "topic", "tags", "keys", "body"].map((name) => [name, markup]));
      const numbers = Object.fromEntries(["queueId", "queueOffset", "attempt", "bodyBytes", "bornAt", "receivedAt", "failed"].map((name) => [name, 1]));
      new BroadcastChannel("tabmq-playground/2/default").postMessage([{ ...names, ...numbers }]);
    })()`);
    const row = page.getByRole("table", { name: /Received/ }).getByRole("row").nth(1);
    await expect.poll(() => row.locator(".feed-body").textContent()).toBe(MARKUP);
    expect(await row.locator(".feed-tab").textContent()).toBe(MARKUP);

    await application.evaluate(`mq.createProducer({ producerGroup: "p" }).then((producer) => producer.send({
      topic: "orders", body: ${JSON.stringify(MARKUP)} + "x".repeat(4_000_000), tags: ${JSON.stringify(MARKUP)}, keys: ["k", ${JSON.stringify(MARKUP.replaceAll(" ", ""))}], properties: { note: ${JSON.stringify(MARKUP)} },
    }))`);
    await expect.poll(() => figure(page, "own")).toBe(1);
    await row.getByRole("button").click();
    const body = page.getByRole("dialog").locator("pre");
    await expect.poll(async () => (await body.textContent())?.length).toBe(20_001);
    expect(await body.textContent()).toContain(`${MARKUP}xxx`);
    expect(await page.getByRole("dialog").innerText()).toContain(`note = ${MARKUP}`);
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
  });

  test("while there is no connection yet nothing is said to have failed; one that is over takes its consumers with it", async () => {
    // Somebody holds the namespace who lets nobody in.
    const holder = await browser.context.newPage();
    await holder.goto(`${server.origin}/embedding`);
    await holder.evaluate(
      () => new Promise<void>((resolve) => {
        // In the end it is taken away from it, as from a host that hangs.
        navigator.locks.request("tabmq/held/writer", () => (resolve(), new Promise(() => {}))).catch(() => {});
      }),
    );
    const waiting = await browser.context.newPage();
    await waiting.goto(`${server.origin}/?namespace=held`);
    // First what it may be, then what the client has found out; and it goes on by itself when the way is free.
    await waiting.getByText("There is no broker yet").waitFor();
    await waiting.getByRole("alert").getByText("another TabMQ worker holds its writer lock").waitFor();
    await waiting.getByText("It is tried again and again").waitFor();
    await holder.close();
    await waiting.locator(".phase.connected").waitFor({ timeout: 60_000 });
    await waiting.getByRole("heading", { name: "Received" }).waitFor();
    expect(await waiting.getByRole("alert").count()).toBe(0);
    await waiting.close();

    const page = await open();
    const other = await openApplication();
    expect(await page.getByRole("button", { name: "Stop", exact: true }).count()).toBe(1);
    await other.evaluate("mq.admin.destroy()");
    await page.bringToFront();
    await page.getByRole("button", { name: "Connect again" }).click();
    await page.getByRole("button", { name: "Create the topic" }).click();
    await page.getByText("Nobody in group workers reads this topic").waitFor();
    expect(await page.getByRole("button", { name: "Stop", exact: true }).count()).toBe(0);
    await page.getByRole("button", { name: "Start a consumer in this tab" }).click();
    await expect.poll(() => shares(page)).toEqual([4]);
  });

  test("the page that embeds it may change its language and colours; what there is not is the usual one, and nothing of it is kept", async () => {
    const page = await browser.context.newPage();
    await page.goto(`${server.origin}/embedding`);
    const ask = (attributes: Record<string, string>): Promise<void> =>
      page.evaluate((wanted) => Object.entries(wanted).forEach(([name, value]) => document.querySelector("tabmq-devtools")!.setAttribute(name, value)), attributes);
    const frame = page.locator(".frame");
    await page.getByRole("link", { name: "Topics" }).waitFor();
    await ask({ lang: "zh-CN", theme: "dark" });
    await page.getByRole("link", { name: "主题" }).waitFor();
    expect([await page.getByLabel("语言").inputValue(), await frame.getAttribute("data-theme")]).toEqual(["zh", "dark"]);
    await ask({ lang: "de", theme: "purple" });
    await page.getByRole("link", { name: "Topics" }).waitFor();
    expect([await page.getByLabel("Language").inputValue(), await frame.getAttribute("data-theme")]).toEqual(["en", "auto"]);
    expect(await page.evaluate(`localStorage.getItem("tabmq-devtools/settings")`)).toBeNull();
  });

  test("nothing is inherited from the page around it, but that it hides the element", async () => {
    const page = await browser.context.newPage();
    await page.goto(`${server.origin}/embedding`);
    const link = page.getByRole("link", { name: "Topics" });
    await link.waitFor();
    const looks = (inside: boolean): Promise<unknown[]> =>
      page.evaluate((isInside) => {
        const element = document.querySelector("tabmq-devtools")!;
        const { direction, textTransform, letterSpacing, wordSpacing, textIndent, whiteSpace } = getComputedStyle(isInside ? element.shadowRoot!.querySelector(".stage")! : element);
        return [direction, textTransform, letterSpacing, wordSpacing, textIndent, whiteSpace];
      }, inside);
    const before = await looks(true);
    const own = (css: string): Promise<void> => page.evaluate((text) => void (document.body.style.cssText = text), css);
    await own("direction: rtl; text-transform: uppercase; letter-spacing: 9px; word-spacing: 20px; text-indent: 40px; white-space: nowrap");
    // Control: the element itself has it all.
    expect(await looks(false)).toEqual(["rtl", "uppercase", "9px", "20px", "40px", "nowrap"]);
    expect(await looks(true)).toEqual(before);
    expect(before.slice(0, 3)).toEqual(["ltr", "none", "normal"]);
    await own("visibility: hidden");
    await link.waitFor({ state: "hidden" });
  });

  test("an element whose height the page has given fills it and scrolls inside; nothing of it lies over the page", async () => {
    const page = await browser.context.newPage();
    await page.goto(`${server.origin}/embedding`);
    await page.getByRole("link", { name: "Broker" }).click();
    const heights = (height: string): Promise<{ element: number; frame: number; content: number; page: number }> =>
      page.evaluate((given) => {
        const element = document.querySelector<HTMLElement>("tabmq-devtools")!;
        element.style.height = given;
        return { element: element.clientHeight, frame: element.shadowRoot!.querySelector<HTMLElement>(".frame")!.offsetHeight, content: element.scrollHeight, page: document.documentElement.scrollHeight };
      }, height);
    // Control: without a height of its own it is as high as what is in it, and the page scrolls.
    await expect.poll(async () => (await heights("auto")).page).toBeGreaterThan(1500);
    const low = await heights("400px");
    expect(low).toMatchObject({ element: 400, page: await page.evaluate("innerHeight") });
    expect(low.content).toBeGreaterThan(1500);
    const high = await heights("5000px");
    expect(high).toMatchObject({ element: 5000, frame: 5000, content: 5000 });
  });

  test("an element that is moved within its page goes on; one that is taken out begins anew where it is put in", async () => {
    const page = await browser.context.newPage();
    await page.goto(`${server.origin}/embedding`);
    await page.getByRole("link", { name: "Topics" }).click();
    await page.getByRole("searchbox", { name: "Filter" }).fill("inv");
    await page.evaluate("document.body.appendChild(document.createElement('div')).append(document.querySelector('tabmq-devtools'))");
    await page.waitForTimeout(500);
    expect(await page.getByRole("searchbox", { name: "Filter" }).inputValue()).toBe("inv");
    expect(await page.locator(".tbody .tr").count()).toBe(1);
    await page.evaluate(`(async () => {
      const element = document.querySelector("tabmq-devtools");
      element.remove();
      await new Promise((resolve) => setTimeout(resolve, 50));
      document.body.append(element);
    })()`);
    await expect.poll(() => shares(page)).toEqual([3]);
  });

  test("a panel that could not be loaded is loaded again without the page around it", async () => {
    const page = await browser.context.newPage();
    await page.goto(`${server.origin}/embedding`);
    await page.getByRole("link", { name: "Topics" }).waitFor();
    await page.evaluate(`(() => {
      globalThis.attempts = 0;
      const load = () => (attempts++ === 0 ? Promise.reject(new Error("no network")) : Promise.resolve({ default: () => "here it is", texts: [] }));
      class Unlucky extends customElements.get("tabmq-devtools") {
        get panels() { return [{ id: "topics", title: "topics.nav", section: "see", load }]; }
      }
      customElements.define("unlucky-devtools", Unlucky);
      document.querySelector("tabmq-devtools").replaceWith(Object.assign(new Unlucky(), { client: mq }));
    })()`);
    await page.getByRole("alert").getByText("no network").waitFor();
    await page.getByRole("button", { name: "Show it again" }).click();
    await page.getByText("here it is").waitFor();
    // A page that had been loaded anew would not know.
    expect(await page.evaluate("attempts")).toBe(2);
  });

  test("in an application it shows the application's topic, group and consumer", async () => {
    const page = await browser.context.newPage();
    await page.goto(`${server.origin}/embedding`);
    await expect.poll(() => shares(page)).toEqual([3]);
    expect(await page.getByLabel("Group", { exact: true }).inputValue()).toBe("billing");
    await page.evaluate(`mq.createProducer({ producerGroup: "p" }).then((producer) => Promise.all([1, 2, 3].map((n) => producer.send({ topic: "invoices", body: String(n) }))))`);
    await expect.poll(() => page.locator("tr[data-queue] [data-figure=consumer]").allInnerTexts()).toEqual(["1", "1", "1"]);
    // Names of any length are cut, and the page is not wider for them.
    await page.evaluate(`mq.createPushConsumer({ consumerGroup: "g".repeat(120), subscriptions: { invoices: "*" }, messageListener: () => {} })`);
    await page.locator(".other-groups .other").waitFor();
    for (const width of [1440, 1000, 390]) {
      await page.setViewportSize({ width, height: 900 });
      await expect.poll(() => page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
    }
    await page.evaluate(`document.querySelector("tabmq-devtools").setAttribute("path", "/map/a%20b")`);
    await page.getByText('The topic "a b" may only contain').waitFor();
    await page.getByLabel("Topic", { exact: true }).selectOption("invoices");
    await page.locator("tr[data-queue] .chip").first().click();
    await page.getByRole("dialog").getByRole("link", { name: "Everything about this message" }).waitFor();
    expect(await page.title()).toBe("embedding");
  });
});

async function open(): Promise<Page> {
  const page = await browser.context.newPage();
  await page.goto(server.origin);
  await expect.poll(() => shares(page)).toEqual([4]);
  return page;
}

async function openApplication(): Promise<Page> {
  const page = await browser.context.newPage();
  await page.goto(`${server.origin}/application`);
  await page.waitForFunction("globalThis.mq");
  return page;
}

/** How many lines lead from queues to each consumer, by its colour. */
async function shares(page: Page): Promise<number[]> {
  const colours = await page.locator(".wire.own").evaluateAll((lines) => lines.map((line) => line.getAttribute("style") ?? ""));
  const counts = new Map<string, number>();
  for (const colour of colours) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  return [...counts.values()];
}

/** Whether nothing was drawn for longer than a dot and its next round take, although there was time to draw. */
function isStill(page: Page): Promise<boolean> {
  return page.evaluate<boolean>(`(async () => {
    const [before, began] = [drawn, performance.now()];
    for (let frames = 0; drawn === before && (frames < 10 || performance.now() - began < 1500); frames++) await new Promise(requestAnimationFrame);
    return drawn === before;
  })()`);
}

async function figure(page: Page, name: string): Promise<number> {
  const text = (await page.locator(`[data-figure="${name}"]`).textContent()) ?? "";
  return Number(text.replaceAll(/[^0-9]/g, "") || Number.NaN);
}
