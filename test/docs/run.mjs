// @ts-check
/**
 * `npm run test:docs`: the built site (`npm run docs`) in a real Chromium, as a reader has it: every page opens without a complaint, asks for nothing from
 * elsewhere and links only to what is there, and every live example runs to its end. DOCS_BASE: the path it was built for. Ends with `N passed, N failed`.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "../support/chromium.mjs";
import { serve } from "../support/serve.mjs";

const SITE = fileURLToPath(new URL("../../docs/.vitepress/dist", import.meta.url));
const BASE = process.env.DOCS_BASE ?? "/";
/** A hung example must not hang the run for ever. */
const EXAMPLE_TIMEOUT = 120_000;

const pages = readdirSync(SITE, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".html") && name !== "404.html")
  .map((name) => name.split(sep).join("/"))
  .sort();

const root = mkdtempSync(join(tmpdir(), "tabmq-docs-"));
const place = join(root, "origin", BASE);
mkdirSync(dirname(place), { recursive: true });
symlinkSync(SITE, place.replace(/[\\/]$/, ""), "junction");
const server = await serve({ folder: join(root, "origin") });
const browser = await launch();
let passed = 0;
let failed = 0;

/** @param {string} what @param {string[]} complaints */
function tell(what, complaints) {
  if (complaints.length === 0) return void passed++;
  failed++;
  console.log(`✗ ${what}`);
  for (const complaint of complaints) console.log(`    ${complaint}`);
}

try {
  /** What links point to, by the page that has them. @type {Map<string, Set<string>>} */
  const links = new Map();
  /** @type {Set<string>} */
  const anchors = new Set();
  const page = await browser.context.newPage();
  /** @type {string[]} */
  let complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith("http") && origin !== server.origin) complaints.push(`asks for ${request.url()}`);
  });
  page.on("response", (response) => response.status() >= 400 && complaints.push(`${response.status()} ${response.url()}`));

  for (const name of pages) {
    complaints = [];
    await page.goto(`${server.origin}${BASE}${name}`, { waitUntil: name.startsWith("reference/") ? "load" : "networkidle" });
    const found = await page.evaluate(() => ({
      ids: [...document.querySelectorAll("[id]")].map(({ id }) => id),
      hrefs: [...document.querySelectorAll("a[href]")].map((link) => /** @type {HTMLAnchorElement} */ (link).href),
      width: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    }));
    const here = pathOf(page.url());
    anchors.add(here);
    for (const id of found.ids) anchors.add(`${here}#${id}`);
    links.set(here, new Set(found.hrefs.filter((href) => href.startsWith(`${server.origin}/`)).map(pathOf)));
    if (found.width > 0) complaints.push(`is ${found.width} pixels wider than the window`);
    tell(name, complaints);

    for (const box of await page.locator(".live-example").all()) {
      complaints = [];
      await box.getByRole("button", { name: "Run" }).click();
      const example = await box.getAttribute("data-example");
      await page.waitForSelector(`[data-example="${example}"]:not([data-state="running"])`, { timeout: EXAMPLE_TIMEOUT });
      const state = await box.getAttribute("data-state");
      if (state !== "ended") complaints.push(`${state}: ${await box.locator(".live-log").innerText()}`);
      tell(`example ${example}`, complaints);
    }
  }
  for (const [from, targets] of links) {
    const missing = [];
    // What is no page may be a file.
    for (const target of targets) if (!anchors.has(target) && (target.includes("#") || !(await fetch(server.origin + target)).ok)) missing.push(`nothing is at ${target}`);
    tell(`links of ${from}`, missing);
  }
} finally {
  await browser.close();
  await server.close();
  rmSync(root, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

/** Of a page of the site, with its anchor. @param {string} url */
function pathOf(url) {
  const { pathname, hash } = new URL(url);
  const path = decodeURIComponent(pathname).replace(/\/index(\.html)?$/, "/").replace(/\.html$/, "");
  return path + decodeURIComponent(hash);
}
