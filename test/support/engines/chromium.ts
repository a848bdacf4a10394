/** Chromium behind the engines' seam, and what only its protocol can do. */
import type { BrowserContext, CDPSession, Page } from "playwright-core";
import { type Launched, launch } from "../chromium.mjs";
import { answerOf, callExpression, type EngineBrowser, type LaunchOptions, SourcePage } from "./engine.ts";

export async function launchChromium(options: LaunchOptions): Promise<ChromiumBrowser> {
  return new ChromiumBrowser(await launch(options));
}

export class ChromiumBrowser implements EngineBrowser {
  readonly isEphemeral = false;
  readonly #launched: Launched;
  readonly #pages = new Set<ChromiumPage>();

  constructor(launched: Launched) {
    this.#launched = launched;
  }

  get context(): BrowserContext {
    return this.#launched.context;
  }

  /** Of the browser process. */
  get pid(): number {
    return this.#launched.pid;
  }

  async newPage(): Promise<ChromiumPage> {
    const page = await this.context.newPage();
    const opened = new ChromiumPage(page);
    this.#pages.add(opened);
    page.once("close", () => this.#pages.delete(opened));
    return opened;
  }

  pages(): ChromiumPage[] {
    return [...this.#pages];
  }

  kill(): Promise<void> {
    return this.#launched.kill();
  }

  close(): Promise<void> {
    return this.#launched.close();
  }

  /** Ends the shared workers whose script's URL ends so, as a crash would: nobody is told. Returns how many. */
  async closeWorkers(urlEnd: string): Promise<number> {
    const session = await this.#session();
    const { targetInfos } = await session.send("Target.getTargets");
    const workers = targetInfos.filter(({ type, url }) => type === "shared_worker" && url.endsWith(urlEnd));
    for (const { targetId } of workers) await session.send("Target.closeTarget", { targetId });
    await session.detach();
    return workers.length;
  }

  /** Looks into a shared worker, found by the ends of its script's URL and the beginning of its name. Not for workers that shall die. */
  async insideWorker(urlEnd: string, name: string): Promise<{ evaluate(expression: string): Promise<unknown>; detach(): Promise<void> }> {
    const session = await this.#session();
    const { targetInfos } = await session.send("Target.getTargets");
    const worker = targetInfos.find(({ type, url, title }) => type === "shared_worker" && url.endsWith(urlEnd) && title.startsWith(name));
    if (worker === undefined) throw new Error(`there is no worker ${urlEnd} "${name}"`);
    const { sessionId } = await session.send("Target.attachToTarget", { targetId: worker.targetId, flatten: false });
    let next = 0;
    return {
      evaluate(expression) {
        const id = next++;
        const answer = new Promise<unknown>((resolve) => {
          session.on("Target.receivedMessageFromTarget", ({ message }) => {
            const data = JSON.parse(message) as { id?: number; result?: { result: { value: unknown } } };
            if (data.id === id) resolve(data.result?.result.value);
          });
        });
        const message = JSON.stringify({ id, method: "Runtime.evaluate", params: { expression, returnByValue: true } });
        return session.send("Target.sendMessageToTarget", { sessionId, message }).then(() => answer);
      },
      detach: () => session.detach(),
    };
  }

  #session(): Promise<CDPSession> {
    return this.context.browser()!.newBrowserCDPSession();
  }
}

export class ChromiumPage extends SourcePage {
  readonly page: Page;

  constructor(page: Page) {
    super();
    this.page = page;
  }

  goto(url: string): Promise<unknown> {
    return this.page.goto(url);
  }

  reload(): Promise<unknown> {
    return this.page.reload();
  }

  async call(source: string, arg: unknown): Promise<unknown> {
    return answerOf(await this.page.evaluate(callExpression(source, arg)));
  }

  close(): Promise<void> {
    return this.page.close();
  }

  async crash(): Promise<void> {
    const session = await this.page.context().newCDPSession(this.page);
    const crashed = this.page.waitForEvent("crash");
    // A page that has crashed does not answer any more.
    session.send("Page.crash").catch(() => {});
    await crashed;
  }
}
