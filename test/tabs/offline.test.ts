import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Launched, launch, temporaryProfile } from "../support/chromium.mjs";
import { serve } from "../support/serve.mjs";

const BUILT = fileURLToPath(new URL("../../dist/playground", import.meta.url));
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; require-trusted-types-for 'script'; trusted-types tabmq tabmq-playground";
const HEADERS = { "/": { "content-security-policy": POLICY } };

let folder: string;
let server: Awaited<ReturnType<typeof serve>>;
let browser: Launched;
const profile = temporaryProfile();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tabmq-site-"));
  await cp(BUILT, folder, { recursive: true });
  server = await serve({ folder, headers: HEADERS });
  browser = await launch({ profile });
});

afterEach(async () => {
  await browser.close();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

describe("the page without a network", () => {
  test("after one visit everything is there: the page, every panel, both languages, the broker", async () => {
    const first = await open();
    await inControl(first);
    await browser.close();
    await server.close();
    // A new browser: no worker and no page is left that could have been loaded before.
    browser = await launch({ profile });
    await browser.context.setOffline(true);
    const page = await open();
    await page.getByText("Connected", { exact: true }).waitFor();

    const links = page.getByRole("navigation").getByRole("link");
    expect(await links.count()).toBeGreaterThan(9);
    for (const link of await links.all()) {
      await link.click();
      const name = await link.innerText();
      await page.getByRole("main").getByRole("heading", { level: 2 }).first().waitFor();
      expect(await page.getByText("This panel has failed").count(), name).toBe(0);
    }
    // The last one is the bench: messages are sent, and have been consumed when it comes to lone ones.
    await page.getByRole("button", { name: "Measure", exact: true }).click();
    await page.getByText(/: (lone sends|from send to listener)/).waitFor({ timeout: 60_000 });
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Measure", exact: true }).waitFor();

    await page.getByRole("combobox", { name: "Language" }).selectOption("zh");
    await page.getByRole("link", { name: "主题" }).waitFor();
    expect(await page.evaluate(() => fetch("./not-built.js").then(({ status }) => status, () => "no network"))).toBe("no network");
  });

  test("a new build serves who comes next; an open tab goes on with what it is made of", async () => {
    const old = await open();
    await inControl(old);
    const version = await scriptOf(old);
    await secondBuild();
    const takenOver = old.evaluate(() => new Promise<void>((resolve) => navigator.serviceWorker.addEventListener("controllerchange", () => resolve())));
    const visit = await open();
    expect(await scriptOf(visit)).toBe(version);
    await takenOver;
    await visit.reload();
    await expect.poll(() => scriptOf(visit)).not.toBe(version);
    await visit.getByRole("link", { name: "Topics" }).click();
    await visit.getByRole("main").getByRole("heading", { name: "Topics" }).waitFor();

    // The server has forgotten this panel's file.
    await old.getByRole("link", { name: "Groups" }).click();
    await old.getByRole("main").getByRole("heading", { name: "Groups" }).waitFor();
    expect(await scriptOf(old)).toBe(version);
  });

  test("control: without the service worker a new build takes an open tab's panels away", async () => {
    await browser.context.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, "serviceWorker"));
    const old = await open();
    await secondBuild();
    await old.getByRole("link", { name: "Groups" }).click();
    await old.getByText("This panel has failed").waitFor();
  });

  test("a build that was put up in part is not taken", async () => {
    const page = await open();
    await inControl(page);
    const version = await scriptOf(page);
    await secondBuild();
    await rm(join(folder, "favicon.svg"));
    const state = await page.evaluate(async () => {
      const registration = await navigator.serviceWorker.ready;
      const found = new Promise<ServiceWorker>((resolve) => registration.addEventListener("updatefound", () => resolve(registration.installing!)));
      void registration.update();
      const worker = await found;
      return new Promise((resolve) => worker.addEventListener("statechange", () => resolve(worker.state)));
    });
    expect(state).toBe("redundant");
    await page.reload();
    expect(await scriptOf(page)).toBe(version);
    expect(await page.evaluate(() => caches.keys())).toHaveLength(1);
  });

  test("can be installed", async () => {
    const page = await open();
    await inControl(page);
    const session = await browser.context.newCDPSession(page);
    const { errors } = await session.send("Page.getAppManifest");
    expect(errors).toEqual([]);
    await expect.poll(async () => (await session.send("Page.getInstallabilityErrors")).installabilityErrors.map(({ errorId }) => errorId)).toEqual([]);
  });
});

async function open(): Promise<Page> {
  const page = await browser.context.newPage();
  await page.goto(`${server.origin}/#/topics`);
  await page.getByRole("main").getByRole("heading", { level: 2 }).first().waitFor();
  return page;
}

async function inControl(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
    while (navigator.serviceWorker.controller === null) await new Promise((resolve) => setTimeout(resolve, 20));
  });
}

function scriptOf(page: Page): Promise<string | null> {
  return page.locator("head > script[src]").getAttribute("src");
}

/** What another build of the page is to its visitors: other names for the same scripts, the old ones gone, another service worker. */
async function secondBuild(): Promise<void> {
  const assets = (await readdir(join(folder, "assets"))).filter((file) => /^(index|GroupsPanel)-.*\.js$/.test(file));
  const renamed = new Map(assets.map((file) => [file, file.replace(/-[\w-]{8}\.js$/, "-SECOND00.js")]));
  for (const [from, to] of renamed) await rename(join(folder, "assets", from), join(folder, "assets", to));
  for (const file of await readdir(folder, { recursive: true })) {
    if (!/\.(js|html)$/.test(file)) continue;
    const text = await readFile(join(folder, file), "utf8");
    const changed = [...renamed].reduce((all, [from, to]) => all.replaceAll(from, to), text);
    await writeFile(join(folder, file), file === "sw.js" ? changed.replace(/"([0-9a-f]{12})"/, '"5ec04db41100"') : changed);
  }
}
