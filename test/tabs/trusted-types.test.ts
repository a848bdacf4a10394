/** Everything under the strictest policy a page can have: nothing it forbids is even tried, and no message becomes markup. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import type { BrowserContext, Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Launched, launch } from "../support/chromium.mjs";
import { House, type Tab } from "../support/house.ts";
import { MARKUP } from "../support/markup.ts";
import { serve } from "../support/serve.mjs";

const STRICT = "default-src 'none'; connect-src 'self'; style-src 'self'; img-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'";
const WITH_WASM = "script-src 'self' 'wasm-unsafe-eval'";
const WITHOUT_WASM = "script-src 'self'";

interface Report {
  "document-uri": string;
  "violated-directive": string;
  "blocked-uri": string;
}

/** Where browsers send what a policy has caught, in pages and in workers. */
let reports: Report[];
let reportServer: ReturnType<typeof createServer>;
let closers: (() => Promise<unknown>)[];

beforeEach(async () => {
  reports = [];
  closers = [];
  reportServer = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += String(part)));
    request.on("end", () => {
      if (request.method === "POST") reports.push((JSON.parse(body) as { "csp-report": Report })["csp-report"]);
      response.setHeader("access-control-allow-origin", "*").end();
    });
  });
  await new Promise<void>((listening) => reportServer.listen(0, "127.0.0.1", listening));
});

afterEach(async () => {
  for (const close of closers.reverse()) await close();
  await new Promise((closed) => reportServer.close(closed));
});

function policy(...parts: string[]): Record<string, string> {
  const { port } = reportServer.address() as AddressInfo;
  return { "content-security-policy": [STRICT, ...parts, `report-uri http://127.0.0.1:${port}/`].join("; ") };
}

async function open(headers: Record<string, Record<string, string>>, pages: Record<string, string> = {}): Promise<House> {
  const house = await House.open({ headers, pages });
  closers.push(() => house.close());
  // In every page, before its own scripts: what the policy catches, and whether anything was executed.
  await watch(house.context);
  return house;
}

/** Marks pages so that `caught` can tell. */
async function watch(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    const page = globalThis as unknown as { caught: string[]; hurt: () => void };
    page.caught = [];
    page.hurt = () => void page.caught.push("a message was executed");
    document.addEventListener("securitypolicyviolation", (event) => page.caught.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
  });
}

function caught(page: Page): Promise<string[]> {
  return page.evaluate(() => (globalThis as unknown as { caught: string[] }).caught);
}

/** Sends what is hostile in every place that takes text, consumes it, and says which indexer the broker had. */
async function session(tab: Tab): Promise<string> {
  await tab.connect({ namespace: "strict" });
  await tab.consume("g", "strict", "a");
  return tab.run(async ({ mq, producer, tabmq }, markup) => {
    const texts = markup.map((text) => text.replaceAll("||", ""));
    for (const text of texts) await producer.send({ topic: "strict", body: text, tags: text, keys: text, properties: { [text]: text }, messageGroup: text.slice(0, 64) });
    const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
    const seen: string[] = [];
    for (const queue of await pull.fetchQueues("strict")) {
      for (const message of (await pull.pull(queue, "*", 0, 1000)).messages) if (message.text() === message.tags && message.properties[message.text()] === message.text()) seen.push(message.text());
    }
    if (seen.sort().join("\n") !== texts.sort().join("\n")) throw new Error(`came back otherwise: ${seen.length} of ${texts.length}`);
    for (const text of texts) await mq.admin.createTopic({ topic: text }).then(() => Promise.reject(new Error(`topic ${text}`)), (error: unknown) => { if (!(error instanceof tabmq.MQError)) throw error; });
    return (await mq.diagnostics()).broker.indexer;
  }, MARKUP);
}

describe("the library under Trusted Types and default-src 'none'", () => {
  test("works, with WebAssembly, without a violation in page or worker", async () => {
    const house = await open({ "/": policy(WITH_WASM, "trusted-types tabmq") });
    const tab = await house.tab();
    expect(await session(tab)).toBe("wasm");
    // A worker of its own for each namespace, by the same policy.
    await tab.connect({ namespace: "another" });
    expect(await caught(tab.chromium)).toEqual([]);
    expect(reports).toEqual([]);
  });

  test("works with the TypeScript indexer where WebAssembly is forbidden; that it asked is all that is reported", async () => {
    const house = await open({ "/": policy(WITHOUT_WASM, "trusted-types tabmq") });
    const tab = await house.tab();
    expect(await session(tab)).toBe("typescript");
    expect(await caught(tab.chromium)).toEqual([]);
    // Of the worker, and so also the control that a worker's violations are reported at all.
    await expect.poll(() => reports.map((report) => report["blocked-uri"])).toEqual(["wasm-eval"]);
  });

  test.each([
    ["another policy is allowed", "trusted-types other"],
    ["no policy is allowed", "trusted-types 'none'"],
  ])("%s: connect says at once what to add", async (_name, directive) => {
    const house = await open({ "/": policy(WITH_WASM, directive) });
    const tab = await house.tab();
    const { code, message, tookMs } = await tab.tryConnect({ namespace: "strict" });
    expect(code).toBe("UNSUPPORTED_ENVIRONMENT");
    expect(message).toMatch(/"tabmq" to trusted-types/);
    expect(tookMs).toBeLessThan(8000);
    // The control for `caught` and for the reports.
    expect(await caught(tab.chromium)).not.toEqual([]);
    await expect.poll(() => reports.length).toBeGreaterThan(0);
  });

  test("a page that only restricts the names of policies, or has a default policy, is served", async () => {
    const names = policy(WITH_WASM, "trusted-types other")["content-security-policy"]!.replace("; require-trusted-types-for 'script'", "");
    const house = await open({ "/": { "content-security-policy": names } });
    expect((await (await house.tab()).tryConnect({ namespace: "names" })).code).toBe("connected");
    const second = await open({ "/": policy(WITH_WASM, "trusted-types default") });
    const tab = await second.tab();
    await tab.page.evaluate(() => {
      const { trustedTypes } = globalThis as unknown as { trustedTypes: { createPolicy(name: string, rules: object): void } };
      trustedTypes.createPolicy("default", { createScriptURL: (url: string) => url });
    });
    expect((await tab.tryConnect({ namespace: "names" })).code).toBe("connected");
  });

  test("connect leaves SharedWorker as it was, and lends its policy to nobody", async () => {
    const house = await open({ "/": policy(WITH_WASM, "trusted-types tabmq") });
    const tab = await house.tab();
    await tab.connect({ namespace: "strict" });
    const left = await tab.run(() => {
      const refused = (work: () => unknown): boolean => {
        try {
          work();
          return false;
        } catch {
          return true;
        }
      };
      const { trustedTypes } = globalThis as unknown as { trustedTypes: { createPolicy(name: string, rules: object): void } };
      return {
        native: /native code/.test(String(SharedWorker)),
        worker: refused(() => new SharedWorker("/dist/worker.js", "plain text is refused still")),
        name: refused(() => trustedTypes.createPolicy("tabmq", {})),
      };
    });
    expect(left).toEqual({ native: true, worker: true, name: true });
  });

  test("control: a page that writes a message as markup is caught", async () => {
    const house = await open({ "/": policy(WITH_WASM, "trusted-types tabmq") });
    const tab = await house.tab();
    await tab.connect({ namespace: "strict" });
    const threw = await tab.page.evaluate(() => {
      try {
        document.body.innerHTML = "<img src=x onerror=hurt()>";
        return false;
      } catch {
        return true;
      }
    });
    expect(threw).toBe(true);
    expect((await caught(tab.chromium)).join()).toContain("require-trusted-types-for");
    await expect.poll(() => reports.length).toBe(1);
  });

  test("control: without a policy that markup is executed, and the test would see it", async () => {
    const house = await open({});
    const tab = await house.tab();
    await tab.page.evaluate((markup) => void (document.body.innerHTML = markup), MARKUP[0]!);
    await expect.poll(() => caught(tab.chromium)).toEqual(["a message was executed"]);
  });
});

describe("the playground under Trusted Types and default-src 'none'", () => {
  let browser: Launched;
  const complaints: string[] = [];

  test("a whole session with hostile messages: no violation, no markup, no script", async () => {
    const folder = fileURLToPath(new URL("../../dist/playground", import.meta.url));
    const server = await serve({ folder, headers: { "/": policy(WITH_WASM, "manifest-src 'self'", "trusted-types tabmq tabmq-playground") } });
    closers.push(() => server.close());
    browser = await launch();
    closers.push(() => browser.close());
    await watch(browser.context);
    browser.context.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    browser.context.on("weberror", (error) => complaints.push(String(error.error())));
    browser.context.on("dialog", (dialog) => (complaints.push(dialog.message()), void dialog.dismiss()));
    const page = await browser.context.newPage();
    await page.goto(server.origin);
    await expect.poll(() => page.locator("tr[data-queue] .owner-cell").getByText("This tab").count()).toBe(4);
    const elements = (): Promise<number> => page.locator("img, script:not([type=module]), iframe, svg [onload], base, meta[http-equiv], math, details, form[action*=evil], a[href^='javascript']").count();
    const [before, title] = [await elements(), await page.title()];
    expect(title).not.toContain("<");

    await page.getByRole("radio", { name: "Text", exact: true }).check({ force: true });
    for (const markup of MARKUP) {
      await page.getByLabel("Body", { exact: true }).fill(markup);
      await page.getByLabel("Tag", { exact: true }).fill(markup.replaceAll("||", "").trim());
      await page.getByLabel("Keys").fill(markup);
      await page.getByRole("button", { name: "Send", exact: true }).click();
      const row = page.getByRole("table", { name: /Received/ }).getByRole("row").nth(1);
      await expect.poll(() => row.locator(".feed-body").textContent()).toBe(markup);
    }
    // Every one of them is opened and read.
    const rows = page.getByRole("table", { name: /Received/ }).getByRole("row");
    expect(await rows.count()).toBeGreaterThan(10);
    for (let at = 1; at <= 10; at++) {
      await rows.nth(at).getByRole("button").first().click();
      await page.getByRole("dialog").locator("pre").waitFor();
      await page.keyboard.press("Escape");
      await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
    }
    // Hostile names are told apart from good ones; the address bar is a way in too.
    await page.getByLabel("Topic", { exact: true }).fill(MARKUP[0]!);
    await page.keyboard.press("Control+Enter");
    await page.locator("#topic-error").waitFor();
    const linked = await browser.context.newPage();
    for (const [at, markup] of MARKUP.entries()) await linked.goto(`${server.origin}/?namespace=${at % 2 ? encodeURIComponent(markup) : "default"}#/live/${encodeURIComponent(markup)}?group=${encodeURIComponent(markup)}`);
    await linked.waitForTimeout(300);
    expect(await caught(linked)).toEqual([]);

    expect(await elements()).toBe(before);
    expect(await caught(page)).toEqual([]);
    expect(complaints).toEqual([]);
    expect(reports).toEqual([]);
  });
});
