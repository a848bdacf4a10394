/** One Chromium for all tests of a file, because starting one takes longer than many of them. What keeps them apart, where they have to be, is the origin: a server of its own for each, and serve.mjs gives no port twice. */
import type { BrowserContext } from "playwright-core";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { type Launched, launch } from "./chromium.mjs";
import { onComplaint } from "./complaints.ts";

export interface OneBrowser {
  readonly context: BrowserContext;
  /** Whatever a console, a page or a dialog has complained about in this test. */
  readonly complaints: string[];
  /** At the end of a test, before its server goes. */
  closePages(): Promise<void>;
}

/** Call at the top of a file. */
export function oneBrowser(): OneBrowser {
  let browser: Launched;
  const complaints: string[] = [];
  beforeAll(async () => {
    browser = await launch();
    onComplaint(browser.context, (text) => complaints.push(text));
  });
  beforeEach(() => void complaints.splice(0));
  afterAll(() => browser.close());
  return {
    complaints,
    get context() {
      return browser.context;
    },
    async closePages() {
      // The first is Chromium's own: without any page it might end.
      for (const page of browser.context.pages().slice(1)) await page.close();
    },
  };
}
