import { afterEach, describe, expect, test } from "vitest";
import { deliveredTwice, undelivered } from "../support/history.ts";
import { House, type HouseOptions, type Tab, until } from "../support/house.ts";

let house: House;
afterEach(() => house.close());

const options = (caching: string): HouseOptions => ({
  bfcache: true,
  pages: { "/elsewhere": "<!doctype html><title>elsewhere</title>" },
  headers: { "/": { "cache-control": caching } },
});

function watchShows(tab: Tab): Promise<void> {
  return tab.run(({ box }) => {
    box.shown = [];
    globalThis.addEventListener("pageshow", (event) => void (box.shown as boolean[]).push((event as PageTransitionEvent).persisted));
  });
}

/** By the page's own script: drivers wait for a load that a kept page does not have. It may be gone before it has answered. */
async function goBack(tab: Tab): Promise<void> {
  await tab.page.evaluate(() => void setTimeout(() => history.back(), 100)).catch(() => {});
  await until(async () => tab.page.evaluate(() => "side" in globalThis).catch(() => false));
}

describe("back-forward cache", () => {
  test.each(["no-cache", "no-store"])("a page with %s that comes back from it consumes and sends again", async (caching) => {
    house = await House.open(options(caching));
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

  test("the page whose worker is the host, where there is no SharedWorker: another takes over, and it is kept and comes back", async () => {
    house = await House.open(options("no-cache"));
    const [host, other] = [await house.tab(), await house.tab()];
    await host.connect({ namespace: "bfhost", host: "dedicated" });
    await other.connect({ namespace: "bfhost", host: "dedicated" });
    await other.consume("g", "bfhost", "other");
    await watchShows(host);
    const acked = await host.send("bfhost", ["before"]);
    await host.page.goto(`${house.origin}/elsewhere`);
    acked.push(...(await other.send("bfhost", ["meanwhile"])));
    const isHere = (tab: Tab): Promise<boolean> => tab.run(async ({ mq }) => (await mq.diagnostics()).host.isHere);
    expect(await isHere(other)).toBe(true);
    await goBack(host);
    expect(await host.run(({ box }) => box.shown)).toEqual([true]);
    acked.push(...(await host.send("bfhost", ["after"])));
    expect(await isHere(host)).toBe(false);
    await until(() => undelivered(acked, house.history.delivered).length === 0);
  });

  test("control: a page with no-store that keeps a lock is not kept", async () => {
    house = await House.open(options("no-store"));
    const tab = await house.tab();
    await watchShows(tab);
    await tab.run(() => void navigator.locks.request("kept", () => new Promise(() => {})));
    await tab.page.goto(`${house.origin}/elsewhere`);
    await goBack(tab);
    expect(await tab.run(({ box }) => box.shown)).toBeUndefined();
  });
});
