/** An origin whose page holds the built element, under a policy as strict as a user's. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";
import { House, type HouseOptions, type Tab, until } from "./house.ts";

/** No inline script, no inline style, nothing from elsewhere. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'";
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>devtools</title><script type="module" src="/devtools.js"></script><body></body></html>`;
/** `?namespace=…#/panel`. With `key` the application connects itself, encrypted, and gives its client to the element. */
const SCRIPT = `
import * as tabmq from "/dist/index.js";
import "/dist/devtools.js";
globalThis.side = { tabmq, box: {} };
const query = new URLSearchParams(location.search);
const element = document.createElement("tabmq-devtools");
element.setAttribute("lang", "en");
element.setAttribute("namespace", query.get("namespace"));
element.setAttribute("path", location.hash.slice(1));
element.addEventListener("navigate", ({ detail }) => history.replaceState(null, "", "#" + detail.path));
const key = query.get("key");
if (key !== null) element.client = side.mq = await tabmq.connect({ namespace: query.get("namespace"), encryptionKey: new TextEncoder().encode(key) });
document.body.append(element);
`;

export function openDevtoolsHouse(options: HouseOptions = {}): Promise<House> {
  return House.open({
    ...options,
    pages: { "/devtools": PAGE, "/devtools.js": SCRIPT, "/favicon.ico": "", ...options.pages },
    headers: { "/devtools": { "content-security-policy": POLICY }, ...options.headers },
  });
}

/** The element, at a panel. Whatever its page complains about is added to `complaints`. */
export async function devtoolsTab(house: House, path: string, { namespace = "n", key, complaints }: { namespace?: string; key?: string; complaints: string[] }): Promise<Tab> {
  const tab = await house.tab(`/devtools?${new URLSearchParams({ namespace, ...(key === undefined ? {} : { key }) }).toString()}#${path}`);
  tab.chromium.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  tab.chromium.on("pageerror", (error) => complaints.push(String(error)));
  tab.chromium.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  if (key !== undefined) await until(() => tab.run(({ mq }) => mq !== undefined));
  return tab;
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
