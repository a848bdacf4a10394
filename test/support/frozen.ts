import type { Tab } from "./house.ts";

/**
 * A page that runs no timers, handlers and promises, and keeps its locks. By the debugger, because Chromium does not
 * freeze a page that Playwright holds to be visible (`Page.setWebLifecycleState`). Returns how to thaw it.
 */
export async function freeze(tab: Tab): Promise<() => Promise<void>> {
  const session = await tab.chromium.context().newCDPSession(tab.chromium);
  await session.send("Debugger.enable");
  const paused = new Promise((resolve) => session.once("Debugger.paused", resolve));
  await session.send("Debugger.pause");
  tab.page.evaluate(() => 0).catch(() => {});
  await paused;
  return async () => {
    await session.send("Debugger.resume");
    await session.send("Debugger.disable");
  };
}

/** Counts in the page what the broker gives it, and notes what the broker refuses: the library keeps both to itself. */
export function listenToPorts(tab: Tab): Promise<void> {
  return tab.run(({ box }) => {
    const refused: string[] = (box.refused = []);
    box.received = 0;
    const listen = ({ data }: MessageEvent<{ value?: { ok?: boolean; error?: { code: string }; value?: { records?: Uint8Array } } }>): void => {
      const answer = data.value;
      if (answer?.ok === false) refused.push(answer.error!.code);
      const records = answer?.value?.records;
      if (!(records instanceof Uint8Array)) return;
      const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
      // A record begins with its length.
      for (let at = 0; at < records.byteLength; at += view.getInt32(at)) box.received = (box.received as number) + 1;
    };
    const Real = SharedWorker;
    globalThis.SharedWorker = class extends Real {
      constructor(url: string | URL, options?: string | WorkerOptions) {
        super(url, options);
        this.port.addEventListener("message", listen as (event: Event) => void);
      }
    };
  });
}

/** Codes of what the broker has refused; for a page that is listened to. */
export const refused = (tab: Tab): Promise<string[]> => tab.run(({ box }) => box.refused as string[]);
