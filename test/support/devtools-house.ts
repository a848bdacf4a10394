/** An origin whose page holds the built element, under a policy as strict as a user's. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";
import { House, type HouseOptions, type PageSide, type Tab, until } from "./house.ts";

/** What the functions that run in a page find. */
export type DevtoolsSide = Pick<PageSide, "tabmq" | "mq" | "box"> & { devtools: HTMLElement };

/** No inline script, no inline style, nothing from elsewhere. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types tabmq";
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>devtools</title><script type="module" src="/devtools.js"></script><body></body></html>`;
/** `?namespace=…#/panel`. With `client` (its id) or `key` the application connects itself, with a key encrypted, and gives its client to the element. */
const SCRIPT = `
import * as tabmq from "/dist/index.js";
import "/dist/devtools.js";
globalThis.side = { tabmq, box: {} };
const query = new URLSearchParams(location.search);
const element = document.createElement("tabmq-devtools");
element.setAttribute("lang", "en");
element.setAttribute("namespace", query.get("namespace"));
element.setAttribute("path", location.hash.slice(1));
element.addEventListener("navigate", ({ detail }) => {
  element.setAttribute("path", detail.path);
  history.replaceState(null, "", "#" + detail.path);
});
side.devtools = element;
const [key, clientId] = [query.get("key"), query.get("client")];
if (key !== null || clientId !== null) {
  const own = { ...(key !== null && { encryptionKey: new TextEncoder().encode(key) }), ...(clientId !== null && { clientId }) };
  element.client = side.mq = await tabmq.connect({ namespace: query.get("namespace"), ...own });
}
document.body.append(element);
`;

export function openDevtoolsHouse(options: HouseOptions = {}): Promise<House> {
  return House.open({
    ...options,
    pages: { "/devtools": PAGE, "/devtools.js": SCRIPT, "/favicon.ico": "", ...options.pages },
    headers: { "/devtools": { "content-security-policy": POLICY }, ...options.headers },
  });
}

interface DevtoolsTabOptions {
  complaints: string[];
  namespace?: string;
  /** The application's own connection is encrypted with it. */
  key?: string;
  /** The application's own connection is called so. */
  client?: string;
}

/** The element, at a panel. Whatever its page complains about is added to `complaints`. */
export async function devtoolsTab(house: House, path: string, { complaints, namespace = "n", ...own }: DevtoolsTabOptions): Promise<Tab> {
  const tab = await house.tab(`/devtools?${new URLSearchParams({ namespace, ...own }).toString()}#${path}`);
  tab.chromium.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  tab.chromium.on("pageerror", (error) => complaints.push(String(error)));
  tab.chromium.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  if (Object.keys(own).length > 0) await until(() => tab.run(({ mq }) => mq !== undefined));
  return tab;
}

/** Runs a function in such a page, as `Tab.run` does. */
export function run<Result>(page: Page, work: (side: DevtoolsSide) => Result | Promise<Result>): Promise<Result>;
export function run<Result, Arg>(page: Page, work: (side: DevtoolsSide, arg: Arg) => Result | Promise<Result>, arg: Arg): Promise<Result>;
export function run(page: Page, work: unknown, arg?: unknown): Promise<unknown> {
  return page.evaluate(`(${String(work)})(globalThis.side, ${JSON.stringify(arg)})`);
}

/** The element goes to another path. */
export async function go(page: Page, path: string): Promise<void> {
  await run(page, ({ devtools }, to) => devtools.setAttribute("path", to), path);
}

/** What axe-core calls serious or critical; [] = nothing. */
export async function accessibilityViolations(page: Page, themes: readonly ("light" | "dark")[] = ["light", "dark"]): Promise<string[]> {
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
  const found: string[] = [];
  for (const colorScheme of themes) {
    await page.emulateMedia({ colorScheme });
    found.push(...(await page.evaluate(async () => {
      const { violations } = await (globalThis as unknown as { axe: typeof import("axe-core") }).axe.run(document);
      return violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
    })));
  }
  return found;
}
