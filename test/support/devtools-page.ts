/** An application that embeds the built element, under a policy as strict as a user's; each of its pages is a tab with a connection of its own. */
import type { BrowserContext, Page } from "playwright-core";
import type { MessageListener, TabMQ } from "../../src/index.ts";
import { type Launched, launch } from "./chromium.mjs";
import { until } from "./house.ts";
import { serve } from "./serve.mjs";

const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types tabmq";
const PAGE = `<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>app</title><link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/app.css"><script type="module" src="/app.js"></script>`;
/** What is shown is what the element is given: the application's own connection. */
const SCRIPT = `import * as tabmq from "/dist/index.js";
import "/dist/devtools.js";
const mq = await tabmq.connect({ namespace: "shop", clientId: new URLSearchParams(location.search).get("client") });
const devtools = document.createElement("tabmq-devtools");
devtools.client = mq;
devtools.setAttribute("path", location.hash.slice(1));
devtools.setAttribute("lang", "en");
devtools.addEventListener("navigate", ({ detail }) => devtools.setAttribute("path", detail.path));
globalThis.side = { mq, tabmq, devtools, box: {} };
document.body.append(devtools);`;

/** What functions that run in a page find. */
export interface AppSide {
  mq: TabMQ;
  tabmq: typeof import("../../src/index.ts");
  devtools: HTMLElement;
  /** Whatever a test wants to keep in the page. */
  box: Record<string, unknown> & { listener?: MessageListener };
}

export class DevtoolsPage {
  /** Whatever a console, a page or a dialog complains about. */
  readonly complaints: string[] = [];
  readonly #server: Awaited<ReturnType<typeof serve>>;
  readonly #browser: Launched;

  static async open(): Promise<DevtoolsPage> {
    const pages = { "/": PAGE, "/app.js": SCRIPT, "/app.css": "body { margin: 0 }", "/icon.svg": `<svg xmlns="http://www.w3.org/2000/svg"/>` };
    return new DevtoolsPage(await serve({ pages, headers: { "/": { "content-security-policy": POLICY } } }), await launch());
  }

  private constructor(server: Awaited<ReturnType<typeof serve>>, browser: Launched) {
    this.#server = server;
    this.#browser = browser;
    this.context.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.complaints.push(message.text());
    });
    this.context.on("weberror", (error) => this.complaints.push(String(error.error())));
    this.context.on("dialog", (dialog) => {
      this.complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  get context(): BrowserContext {
    return this.#browser.context;
  }

  /** A tab whose element is at this path. */
  async tab(path: string, client = "tab-a"): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(`${this.#server.origin}/?client=${client}#${path}`);
    // Not waitForFunction: the page's policy lets nobody evaluate text inside it.
    await until(() => page.evaluate<boolean>("globalThis.side !== undefined"));
    return page;
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.#server.close();
  }
}

/** Runs a function in the page. It must not refer to anything outside itself. */
export function run<Result>(page: Page, work: (side: AppSide) => Result | Promise<Result>): Promise<Result>;
export function run<Result, Arg>(page: Page, work: (side: AppSide, arg: Arg) => Result | Promise<Result>, arg: Arg): Promise<Result>;
export function run(page: Page, work: unknown, arg?: unknown): Promise<unknown> {
  return page.evaluate(`(${String(work)})(globalThis.side, ${JSON.stringify(arg)})`);
}

/** The element goes to another path. */
export async function go(page: Page, path: string): Promise<void> {
  await run(page, ({ devtools }, to) => devtools.setAttribute("path", to), path);
}
