/** Firefox as it is released, behind the engines' seam: puppeteer over WebDriver BiDi. */
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { answerOf, callExpression, type EngineBrowser, type LaunchOptions, SourcePage } from "./engine.ts";
import { findFirefox } from "./find.mjs";

/** Longer than any test: the tests have limits of their own. */
const PROTOCOL_TIMEOUT = 600_000;

export async function launchFirefox({ profile, bfcache }: LaunchOptions): Promise<FirefoxBrowser> {
  const executablePath = findFirefox();
  if (executablePath === undefined) throw new Error("There is no Firefox here; TABMQ_FIREFOX may name one.");
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    userDataDir: profile,
    headless: true,
    protocolTimeout: PROTOCOL_TIMEOUT,
    // A crash on purpose is reported to nobody.
    env: { ...process.env, MOZ_CRASHREPORTER_DISABLE: "1" },
    extraPrefsFirefox: bfcache ? { "fission.bfcacheInParent": true, "browser.sessionhistory.max_total_viewers": 4 } : {},
  });
  return new FirefoxBrowser(browser);
}

class FirefoxBrowser implements EngineBrowser {
  readonly isEphemeral = false;
  readonly #browser: Browser;
  readonly #ended: Promise<void>;
  readonly #pages = new Set<FirefoxPage>();
  #isRunning = true;

  constructor(browser: Browser) {
    this.#browser = browser;
    this.#ended = new Promise((ended) => browser.process()!.once("exit", () => ended()));
    void this.#ended.then(() => (this.#isRunning = false));
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

  async kill(): Promise<void> {
    const pid = this.#browser.process()!.pid!;
    // Puppeteer starts the browser as the leader of a process group of its own. On Windows the rest ends with it.
    if (this.#isRunning) process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
    await this.#ended;
  }

  async close(): Promise<void> {
    if (this.#isRunning) await this.#browser.close();
    await this.#ended;
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

  async crash(): Promise<void> {
    const closed = new Promise<void>((gone) => this.#page.once("close", () => gone()));
    // Firefox's own page for the purpose. It takes its process along, and never loads.
    this.#page.goto("about:crashcontent").catch(() => {});
    await closed;
  }
}
