/** The policies that SECURITY.md prints (the recipe shows the same section), served as they stand there: everything works under them, and nothing is reported. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { engineName } from "../support/engines/engine.ts";
import { House, type Tab } from "../support/house.ts";

const SECTION = /## Content-Security-Policy\n([^]+?)\n## /.exec(readFileSync(join(import.meta.dirname, "../../SECURITY.md"), "utf8"))![1]!;

/** A line of the recipe, by the word before it. */
function printed(name: string): string {
  const [, policy] = new RegExp(`^${name}: (.+)$`, "m").exec(SECTION) ?? [];
  if (policy === undefined) throw new Error(`SECURITY.md prints no policy for "${name}"`);
  return policy;
}

/** What the test's page needs itself: it tells the test what it does. */
const APP = "connect-src 'self'; base-uri 'none'; form-action 'none'";
const PAGE = `<!doctype html><meta charset="utf-8"><script type="module" src="/watch.js"></script><script type="module" src="/page.js"></script><body></body>`;
const WATCH = `globalThis.caught = [];
document.addEventListener("securitypolicyviolation", (event) => caught.push(event.effectiveDirective + " " + event.blockedURI));`;
const DEVTOOLS = `import * as tabmq from "/dist/index.js";
import "/dist/devtools.js";
const element = document.createElement("tabmq-devtools");
element.setAttribute("namespace", "csp");
document.body.append(element);
globalThis.side = { tabmq, box: { element } };`;
const SERVICE_WORKER = `import { connect } from "/dist/service-worker.js";
addEventListener("message", (event) => event.waitUntil(work(event.data).then((answer) => event.source.postMessage(answer), (error) => event.source.postMessage(String(error)))));
async function work(namespace) {
  const mq = await connect({ namespace, broker: { traceEnable: false } });
  const producer = await mq.createProducer({ producerGroup: "sw" });
  await producer.send({ topic: "t", body: "from the service worker" });
  await fetch("/blank");
  const { host, broker } = await mq.diagnostics();
  await mq.close();
  return host.kind + " " + broker.indexer;
}`;

let house: House;
let reports: string[];
let headers: Record<string, Record<string, string>>;
afterEach(() => house.close());

/** Whatever a policy catches is reported, in workers too. */
const header = (policy: string): Record<string, string> => ({ "content-security-policy": `${policy}; report-uri /caught` });

interface Policies {
  page?: string;
  worker?: string;
}

/** Every response has the page's policy but those that have one of their own. */
function serve({ page = printed("page"), worker = printed("worker") }: Policies): void {
  Object.assign(headers, { "/": header(`${page}; ${APP}`), "/dist/worker.js": header(worker), "/sw.js": header(printed("service-worker")) });
}

async function open(policies: Policies, pages: Record<string, string> = {}): Promise<void> {
  reports = [];
  headers = {};
  serve(policies);
  house = await House.open({
    headers,
    pages: { "/": PAGE, "/watch.js": WATCH, "/sw.js": SERVICE_WORKER, "/devtools": PAGE.replace("/page.js", "/devtools.js"), "/devtools.js": DEVTOOLS, ...pages },
    posts: { "/caught": (body) => void reports.push(...[described(body)].filter(isOurs)) },
  });
}

function described(body: unknown): string {
  const { "csp-report": report } = body as { "csp-report": Record<string, string> };
  return `${report["effective-directive"] ?? report["violated-directive"]} ${report["blocked-uri"]}`;
}

/** Firefox asks for the page's icon, which is the browser's wish and not ours. */
const isOurs = (violation: string): boolean => !violation.endsWith("/favicon.ico");
const caught = async (tab: Tab): Promise<string[]> => (await tab.page.evaluate(() => (globalThis as unknown as { caught: string[] }).caught)).filter(isOurs);
const indexer = (tab: Tab): Promise<string> => tab.run(async ({ mq }) => (await mq.diagnostics()).broker.indexer);
const contents = async (tab: Tab): Promise<string[]> => (await tab.readAll("t")).map(({ content }) => content).sort();

describe.each(["shared", "dedicated"] as const)("the recipe, with a %s worker", (host) => {
  test("with WebAssembly and without: each reads what the other has written, and nothing is caught but the one attempt", async () => {
    await open({});
    const sent: string[] = [];
    for (const [name, expected] of [["worker", "wasm"], ["worker-without-wasm", "typescript"], ["worker", "wasm"]] as const) {
      serve({ worker: printed(name) });
      const tab = await house.tab();
      await tab.connect({ namespace: "csp", host });
      expect(await indexer(tab)).toBe(expected);
      if (sent.length === 0) await tab.createTopic("t", 2);
      expect(await contents(tab)).toEqual(sent.map((body) => `t ${body}`).sort());
      const bodies = ["a", "b", "c"].map((body) => `${body}${sent.length}`);
      await tab.send("t", bodies);
      sent.push(...bodies);
      expect(await caught(tab)).toEqual([]);
      await house.closeTabs();
      await house.restart();
    }
    // Control too: what a worker's policy catches does come here. WebKit refuses the attempt and reports nothing.
    await expect.poll(() => reports).toEqual(engineName() === "webkit" ? [] : [expect.stringContaining("wasm-eval")]);
  });
});

test("the element under it: styled, and nothing is caught", async () => {
  await open({});
  const tab = await house.tab("/devtools");
  await expect.poll(() => tab.page.evaluate(() => document.querySelector("tabmq-devtools")?.shadowRoot?.querySelectorAll("button, a").length ?? 0)).toBeGreaterThan(3);
  const display = (): Promise<string> => tab.page.evaluate(() => getComputedStyle(document.querySelector("tabmq-devtools")!).display);
  await expect.poll(display).not.toBe("inline");
  expect(await caught(tab)).toEqual([]);
  expect(reports).toEqual([]);
});

test("with nonces and strict-dynamic", async () => {
  const nonce = PAGE.replaceAll("<script", `<script nonce="n0nce"`);
  await open({ page: printed("page").replace("script-src 'self'", "script-src 'nonce-n0nce' 'strict-dynamic'") }, { "/": nonce });
  for (const host of ["shared", "dedicated"] as const) {
    const tab = await house.tab();
    await tab.connect({ namespace: host, host });
    expect(await indexer(tab)).toBe("wasm");
    expect(await caught(tab)).toEqual([]);
  }
  expect(reports).toEqual([]);
});

test.runIf(engineName() === "chromium")("a service worker under its own", async () => {
  // Whoever registers it under Trusted Types needs a policy of their own for that.
  await open({ page: printed("page").replace("trusted-types tabmq", "trusted-types tabmq app") });
  const tab = await house.tab();
  const answer = await tab.run(async () => {
    const { trustedTypes } = globalThis as unknown as { trustedTypes: { createPolicy(name: string, rules: object): { createScriptURL(url: string): string } } };
    const url = trustedTypes.createPolicy("app", { createScriptURL: (script: string) => script }).createScriptURL("/sw.js");
    const { serviceWorker } = navigator;
    const { installing, active } = await serviceWorker.register(url, { type: "module" });
    const answered = new Promise<string>((resolve) => serviceWorker.addEventListener("message", ({ data }) => resolve(String(data))));
    serviceWorker.startMessages();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has no target
    (installing ?? active)!.postMessage("sw");
    return answered;
  });
  expect(answer).toBe("service wasm");
  expect(await caught(tab)).toEqual([]);
  expect(reports).toEqual([]);
});

describe("too strict", () => {
  test.each([
    ["worker-src 'none'", (page: string) => page.replace("worker-src 'self'", "worker-src 'none'"), /worker-src 'self'/],
    ["scripts of another origin only", (page: string) => page.replace("worker-src 'self'", "worker-src https://cdn.example"), /worker-src 'self'/],
  ])("%s: connect says which directive", async (_name, stricter, advice) => {
    await open({ page: stricter(printed("page")) });
    for (const host of ["auto", "shared", "dedicated"] as const) {
      const tab = await house.tab();
      const { code, message } = await tab.tryConnect({ namespace: "strict", host });
      expect(code).toBe("UNSUPPORTED_ENVIRONMENT");
      expect(message).toMatch(advice);
      // The control: the page's own violations are seen.
      await expect.poll(() => caught(tab)).not.toEqual([]);
    }
    await expect.poll(() => reports.some((report) => report.startsWith("worker-src"))).toBe(true);
  });
});
