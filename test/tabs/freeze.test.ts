import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MEMBER_EXPIRY } from "../../src/model/limits.ts";
import { freeze, listenToPorts, refused } from "../support/frozen.ts";
import { type Delivered, deliveredTwice, lost, undelivered } from "../support/history.ts";
import { bundle, House, type Tab, type TabConnect, until } from "../support/house.ts";

let house: House;
beforeAll(async () => {
  house = await House.open({ pages: { "/no-generation.js": await bundle(join(import.meta.dirname, "../fault/workers/no-generation.ts")) } });
});
afterEach(() => house.closeTabs());
afterAll(() => house.close());

const of = <T extends { topic: string }>(list: readonly T[], topic: string): T[] => list.filter((message) => message.topic === topic);

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

/** What a listener that does not come back keeps its tab from taking in. */
const CREDIT = 8;

interface Thawed {
  host: Tab;
  a: Tab;
  /** Messages that the tab had been given when it thawed. */
  received: number;
}

/** A tab freezes with messages in hand, another one consumes them all, the tab thaws and its listeners come back. */
async function thawedWithMessagesInHand(topic: string, connect: TabConnect): Promise<Thawed> {
  const [host, a, b] = [await house.tab(), await house.tab(), await house.tab()];
  await listenToPorts(a);
  for (const [clientId, tab] of Object.entries({ host, a, b })) await tab.connect({ ...connect, namespace: topic, clientId });
  await host.createTopic(topic, 1);
  // All of them before anybody asks for some.
  const acked = await host.send(topic, bodies(5 * CREDIT, "in hand "));
  await a.run(async (side, given) => {
    const back = new Promise<void>((resolve) => (side.box.comeBack = resolve));
    side.consumer = await side.mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { [given.topic]: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      consumeConcurrency: 2, pullThresholdForQueue: given.credit,
      messageListener: () => {
        side.box.isBusy = true;
        return back;
      },
    });
  }, { topic, credit: CREDIT });
  await until(async () => (await a.assignment()).length === 1);
  await b.consume("g", topic, "b");
  await until(() => a.run(({ box }, credit) => box.isBusy === true && (box.received as number) >= credit, CREDIT));
  const thaw = await freeze(a);
  acked.push(...(await host.send(topic, bodies(CREDIT, "while frozen "))));
  await until(() => undelivered(acked, of(house.history.delivered, topic)).length === 0);
  await until(async () => (await behind(host)) === 0);
  await thaw();
  const received = await a.run(({ box }) => box.received as number);
  await a.run(({ box }) => (box.comeBack as () => void)());
  return { host, a, received };
}

const behind = (tab: Tab): Promise<number> => tab.run(async ({ mq }) => (await mq.admin.consumeStats("g")).diffTotal);

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

  test.runIf(process.env.TABMQ_LONG)("thaws with messages in hand: no more than its credit, and what it acknowledges late is refused", { timeout: 240_000 }, async () => {
    const { host, a, received } = await thawedWithMessagesInHand("late", {});
    expect(received).toBe(CREDIT);
    await until(async () => (await refused(a)).includes("STALE_GENERATION"));
    // It is a member again, and nothing has gone back.
    await until(async () => (await a.assignment()).length === 1);
    const after = await host.send("late", bodies(CREDIT, "after "));
    await until(async () => (await behind(host)) === 0);
    expect(await a.run(({ box }) => box.received)).toBe(CREDIT + after.length);
    expect(deliveredTwice(of(house.history.delivered, "late"))).toEqual([]);
  });

  test.runIf(process.env.TABMQ_LONG)("control: a worker that asks neither who acknowledges nor how much is wanted", { timeout: 240_000 }, async () => {
    const { a, received } = await thawedWithMessagesInHand("anyone", { worker: "/no-generation.js" });
    expect(received).toBeGreaterThan(CREDIT);
    // Longer than the refusal above takes to come.
    await new Promise((resolve) => setTimeout(resolve, 5000));
    expect(await refused(a)).toEqual([]);
  });
});

describe("the host's tab, where there is no SharedWorker", () => {
  test("freezes: it has let its worker go, another takes over, and it is a client when it thaws", async () => {
    const [host, other] = [await house.tab(), await house.tab()];
    for (const tab of [host, other]) await tab.connect({ namespace: "frozen-host", host: "dedicated" });
    const acked = await host.send("frozen-host", bodies(20, "before "));
    // The debugger stops the page and not its worker, and fires no event: that is what the browser does before it freezes one.
    await host.run(() => void document.dispatchEvent(new Event("freeze")));
    const thaw = await freeze(host);
    acked.push(...(await other.send("frozen-host", bodies(20, "meanwhile "))));
    const told = (tab: Tab): Promise<{ isHere: boolean; epoch: number }> =>
      tab.run(async ({ mq }) => {
        const { host: { isHere }, broker: { epoch } } = await mq.diagnostics();
        return { isHere, epoch };
      });
    expect((await told(other)).epoch).toBeGreaterThan(1);
    expect((await told(other)).isHere).toBe(true);
    await thaw();
    await host.run(() => void document.dispatchEvent(new Event("resume")));
    acked.push(...(await host.send("frozen-host", bodies(20, "after "))));
    expect(new Set((await Promise.all([host, other].map(told))).map(({ epoch }) => epoch)).size).toBe(1);
    expect(lost(acked, await other.readAll("frozen-host"))).toEqual([]);
  });
});

function twicePlaces(delivered: readonly Delivered[]): Delivered[] {
  const seen = new Set<string>();
  return delivered.filter(({ msgId }) => seen.has(msgId) || !seen.add(msgId));
}
