/** Firefox as it is released, behind the engines' seam: puppeteer over WebDriver BiDi. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { answerOf, callExpression, type EngineBrowser, type LaunchOptions, SourcePage } from "./engine.ts";
import { findFirefox } from "./find.mjs";
import { ProcessGroup } from "./process-group.ts";

/** Longer than any test, ms: the tests have limits of their own. */
const PROTOCOL_TIMEOUT = 600_000;

/** What a browser under test must not do: greet, update itself, call home, or ask what to do about its last crash. Firefox adds its own for automation. */
const PREFERENCES = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.safebrowsing.update.enabled": false,
  "browser.sessionstore.resume_from_crash": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.page": 0,
  "datareporting.policy.dataSubmissionEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "toolkit.startup.max_resumed_crashes": -1,
  "toolkit.telemetry.reportingpolicy.firstRun": false,
};

/** Started by us and not by puppeteer, which copies preferences about while a killed browser's profile is used again. */
export async function launchFirefox({ profile }: LaunchOptions): Promise<FirefoxBrowser> {
  const path = findFirefox();
  if (path === undefined) throw new Error("There is no Firefox here; TABMQ_FIREFOX may name one.");
  await writeFile(join(profile, "user.js"), Object.entries(PREFERENCES).map((entry) => `user_pref(${JSON.stringify(entry).slice(1, -1)});\n`).join(""));
  // A crash on purpose is reported to nobody.
  const env = { ...process.env, MOZ_CRASHREPORTER_DISABLE: "1" };
  const group = new ProcessGroup(path, ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port=0", "about:blank"], { env, stdio: ["ignore", "ignore", "pipe"] });
  try {
    const browserWSEndpoint = `${await endpoint(group)}/session`;
    return new FirefoxBrowser(group, await puppeteer.connect({ browserWSEndpoint, protocol: "webDriverBiDi", protocolTimeout: PROTOCOL_TIMEOUT }));
  } catch (error) {
    await group.end("SIGKILL");
    throw error;
  }
}

/** Firefox finds a free port itself, and tells it. */
async function endpoint(group: ProcessGroup): Promise<string> {
  for await (const line of createInterface(group.leader.stderr!)) {
    const told = /^WebDriver BiDi listening on (ws:\S+)$/.exec(line)?.[1];
    if (told === undefined) continue;
    group.leader.stderr!.resume();
    return told;
  }
  throw new Error("Firefox does not start");
}

class FirefoxBrowser implements EngineBrowser {
  readonly isEphemeral = false;
  readonly #group: ProcessGroup;
  readonly #browser: Browser;
  readonly #pages = new Set<FirefoxPage>();

  constructor(group: ProcessGroup, browser: Browser) {
    this.#group = group;
    this.#browser = browser;
  }

  async newPage(): Promise<FirefoxPage> {
    const page = await this.#browser.newPage();
    const opened = new FirefoxPage(page);
    this.#pages.add(opened);
    page.once("close", () => this.#pages.delete(opened));
    return opened;
  }

  pages(): FirefoxPage[] {
    return [...this.#pages];
  }

  kill(): Promise<void> {
    return this.#group.end("SIGKILL");
  }

  async close(): Promise<void> {
    await this.#browser.close().catch(() => {});
    await this.#group.ended;
  }
}

class FirefoxPage extends SourcePage {
  readonly #page: Page;

  constructor(page: Page) {
    super();
    this.#page = page;
  }

  goto(url: string): Promise<unknown> {
    return this.#page.goto(url);
  }

  reload(): Promise<unknown> {
    return this.#page.reload();
  }

  async call(source: string, arg: unknown): Promise<unknown> {
    return answerOf(await this.#page.evaluate(callExpression(source, arg)));
  }

  close(): Promise<void> {
    return this.#page.close();
  }

  crash(): Promise<void> {
    return Promise.reject(new Error("WebDriver BiDi has no command that ends a page's process"));
  }
}
