import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MEMBER_EXPIRY } from "../../src/model/limits.ts";
import { type Delivered, deliveredTwice, lost, undelivered } from "../support/history.ts";
import { House, type Tab, until } from "../support/house.ts";

let house: House;
beforeAll(async () => void (house = await House.open()));
afterEach(() => house.closeTabs());
afterAll(() => house.close());

const of = <T extends { topic: string }>(list: readonly T[], topic: string): T[] => list.filter((message) => message.topic === topic);

/**
 * A page that runs no timers, handlers and promises, and keeps its locks. By the debugger, because Chromium does not
 * freeze a page that Playwright holds to be visible (`Page.setWebLifecycleState`). Returns how to thaw it.
 */
async function freeze(tab: Tab): Promise<() => Promise<void>> {
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

/** Two tabs share four queues, a third one watches. */
async function shared(topic: string): Promise<{ host: Tab; a: Tab; b: Tab }> {
  const [host, a, b] = [await house.tab(), await house.tab(), await house.tab()];
  for (const [clientId, tab] of Object.entries({ host, a, b })) await tab.connect({ namespace: topic, clientId });
  await host.createTopic(topic, 4);
  await a.consume("g", topic, "a");
  await b.consume("g", topic, "b");
  await until(async () => (await Promise.all([a, b].map((tab) => tab.assignment()))).every((queues) => queues.length === 2));
  return { host, a, b };
}

const bodies = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`);

describe("a consumer's tab", () => {
  test("crashes: its queues are another's at once, not after the time that a silent member has", async () => {
    const { host, a, b } = await shared("crashed");
    await a.crash();
    const began = performance.now();
    await until(async () => (await b.assignment()).length === 4, 5);
    const tookMs = performance.now() - began;
    console.log(`crashed consumer: its queues are another's after ${Math.round(tookMs)} ms`);
    const acked = await host.send("crashed", bodies(40, "after "));
    await until(() => undelivered(acked, of(house.history.delivered, "crashed")).length === 0);
    expect(tookMs).toBeLessThan(MEMBER_EXPIRY / 2);
  });

  // Half a minute of waiting.
  test.runIf(process.env.TABMQ_LONG)("freezes: others get its queues when it has been silent for long, and it is back by itself when it thaws", { timeout: 240_000 }, async () => {
    const { host, a, b } = await shared("frozen");
    const before = await host.send("frozen", bodies(40, "before "));
    await until(() => undelivered(before, of(house.history.delivered, "frozen")).length === 0);
    const thaw = await freeze(a);
    const began = performance.now();
    const meanwhile = await host.send("frozen", bodies(40, "meanwhile "));
    await until(() => undelivered(meanwhile, of(house.history.delivered, "frozen")).length === 0);
    const tookMs = performance.now() - began;
    console.log(`frozen consumer: its messages are another's after ${Math.round(tookMs)} ms`);
    expect(await b.assignment()).toHaveLength(4);
    // The broker had its eyes on it, and the frozen page was no reason to think the worker hung.
    expect((await host.run(async ({ mq }) => (await mq.diagnostics()).broker)).epoch).toBe(1);
    await thaw();
    await until(async () => (await Promise.all([a, b].map((tab) => tab.assignment()))).every((queues) => queues.length === 2));
    const after = await host.send("frozen", bodies(40, "after "));
    await until(() => undelivered(after, of(house.history.delivered, "frozen")).length === 0);
    await until(async () => (await host.run(({ mq }) => mq.admin.consumeStats("g"))).diffTotal === 0);
    expect(lost([...before, ...meanwhile, ...after], await host.readAll("frozen"))).toEqual([]);
    // What came twice is the same message under the same id, and was in the frozen tab's hands.
    const all = of(house.history.delivered, "frozen");
    const twice = deliveredTwice(all);
    console.log(`frozen consumer: ${twice.length} of ${all.length} deliveries were second ones`);
    const sent = new Set(meanwhile.map(({ msgId }) => msgId));
    expect(twicePlaces(all).every(({ msgId }) => sent.has(msgId))).toBe(true);
    expect(tookMs).toBeGreaterThan(MEMBER_EXPIRY / 2);
  });
});

function twicePlaces(delivered: readonly Delivered[]): Delivered[] {
  const seen = new Set<string>();
  return delivered.filter(({ msgId }) => seen.has(msgId) || !seen.add(msgId));
}
