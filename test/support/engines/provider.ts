/** A provider for vitest's browser mode that opens its pages in an engine of ours. */
import { playwright } from "@vitest/browser-playwright";
import type { BrowserProvider, BrowserProviderOption } from "vitest/node";
import { type EngineBrowser, type EngineName, type EnginePage, launcher } from "./engine.ts";

export function engineProvider(name: EngineName): BrowserProviderOption {
  // Only the pages come from elsewhere; the server behind them is the same.
  return { ...playwright(), name: "engine", supportedBrowser: [name], providerFactory: () => new EngineProvider(name) };
}

class EngineProvider implements BrowserProvider {
  readonly name = "engine";
  readonly supportsParallelism = false;
  readonly #engine: EngineName;
  readonly #pages = new Map<string, EnginePage>();
  #browser: Promise<EngineBrowser> | undefined;

  constructor(name: EngineName) {
    this.#engine = name;
  }

  getCommandsContext(): Record<string, unknown> {
    return {};
  }

  async openPage(sessionId: string, url: string): Promise<void> {
    const browser = await (this.#browser ??= this.#launch());
    await this.#pages.get(sessionId)?.close();
    const page = await browser.newPage();
    this.#pages.set(sessionId, page);
    await page.goto(url);
  }

  /** With what only it needs: every project loads the configuration, and so this file. */
  async #launch(): Promise<EngineBrowser> {
    const [launch, { temporaryProfile }] = await Promise.all([launcher(this.#engine), import("../chromium.mjs")]);
    return launch({ profile: temporaryProfile(), bfcache: false });
  }

  async close(): Promise<void> {
    this.#pages.clear();
    await (await this.#browser)?.close();
  }
}
