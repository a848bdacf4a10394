import { afterEach, describe, expect, test } from "vitest";
import { deliveredTwice, undelivered } from "../support/history.ts";
import { House, type Tab, until } from "../support/house.ts";

let house: House;
afterEach(() => house.close());

function watchShows(tab: Tab): Promise<void> {
  return tab.run(({ box }) => {
    box.shown = [];
    globalThis.addEventListener("pageshow", (event) => void (box.shown as boolean[]).push((event as PageTransitionEvent).persisted));
  });
}

/** By the page's own script: Playwright's goBack waits for a load that a kept page does not have. */
async function goBack(tab: Tab): Promise<void> {
  await tab.page.evaluate(() => setTimeout(() => history.back(), 0));
  await until(async () => tab.page.evaluate(() => "side" in globalThis).catch(() => false));
}

describe("back-forward cache", () => {
  test("a page that comes back from it consumes and sends again", async () => {
    house = await House.open({ bfcache: true, pages: { "/elsewhere": "<!doctype html><title>elsewhere</title>" } });
    const [other, tab] = [await house.tab(), await house.tab()];
    await other.connect({ namespace: "bf" });
    await tab.connect({ namespace: "bf" });
    await tab.consume("g", "bf", "restored");
    await watchShows(tab);
    const before = await other.send("bf", ["before"]);
    await until(() => undelivered(before, house.history.delivered).length === 0);

    await tab.page.goto(`${house.origin}/elsewhere`);
    // Gone politely: the group is empty at once.
    await until(async () => (await other.run(({ mq }) => mq.admin.consumeStats("g"))).queues.every(({ clientId }) => clientId === undefined));
    const meanwhile = await other.send("bf", ["meanwhile"]);
    await goBack(tab);
    expect(await tab.run(({ box }) => box.shown)).toEqual([true]);

    await until(() => undelivered(meanwhile, house.history.delivered).length === 0);
    const after = await tab.send("bf", ["after"]);
    await until(() => undelivered(after, house.history.delivered).length === 0);
    // The goodbye carried the progress of the moment before.
    expect(deliveredTwice(house.history.delivered)).toEqual([]);
  });

  test("control: a page that keeps a lock is not kept", async () => {
    house = await House.open({ bfcache: true, pages: { "/elsewhere": "<!doctype html><title>elsewhere</title>" } });
    const tab = await house.tab();
    await watchShows(tab);
    await tab.run(() => void navigator.locks.request("kept", () => new Promise(() => {})));
    await tab.page.goto(`${house.origin}/elsewhere`);
    await goBack(tab);
    expect(await tab.run(({ box }) => box.shown)).toBeUndefined();
  });
});
