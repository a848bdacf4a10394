import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { deliveredTwice, undelivered } from "../support/history.ts";
import { House, until } from "../support/house.ts";

let house: House;
beforeAll(async () => void (house = await House.open()));
afterEach(() => house.closeTabs());
afterAll(() => house.close());

const bodies = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`);
const of = <T extends { topic: string }>(list: readonly T[], topic: string): T[] => list.filter((message) => message.topic === topic);

describe("tabs over one broker", () => {
  test("what one tab sends, another consumes, exactly as it was sent", async () => {
    const [a, b] = [await house.tab(), await house.tab()];
    await Promise.all([a.connect({ namespace: "two" }), b.connect({ namespace: "two" })]);
    await b.consume("g", "two", "b");
    const acked = await a.send("two", bodies(50, "tea ☕ "));
    await until(() => of(house.history.delivered, "two").length >= 50);
    const seen = of(house.history.delivered, "two").map(({ consumer: _consumer, ...message }) => ({ ...message, producer: "house" }));
    expect(seen.toSorted((x, y) => x.msgId.localeCompare(y.msgId))).toEqual(acked.toSorted((x, y) => x.msgId.localeCompare(y.msgId)));
  });

  test("five tabs share ten queues evenly; a closed tab's queues go to the others, and nothing is lost or doubled", async () => {
    const tabs = await Promise.all(Array.from({ length: 5 }, () => house.tab()));
    await Promise.all(tabs.map((tab) => tab.connect({ namespace: "five" })));
    await tabs[0]!.createTopic("five", 10);
    for (const [at, tab] of tabs.entries()) await tab.consume("g", "five", `tab${at}`);
    const shares = async (): Promise<number[][]> => Promise.all(tabs.map((tab) => tab.assignment()));
    await until(async () => (await shares()).every((queues) => queues.length === 2));
    expect((await shares()).flat().sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await tabs[0]!.send("five", bodies(300, "before "));
    await until(() => of(house.history.delivered, "five").length >= 300);

    const closed = tabs.length - 1;
    await tabs.pop()!.page.close();
    const closedAt = Date.now();
    await until(async () => (await shares()).flat().length === 10);
    const tookMs = Date.now() - closedAt;
    const acked = await tabs[0]!.send("five", bodies(300, "after "));
    await until(() => undelivered(acked, house.history.delivered).length === 0);
    expect((await shares()).flat().sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    // What the closed tab had in hand may come again; what the others had may not.
    expect(deliveredTwice(of(house.history.delivered, "five").filter(({ consumer }) => consumer !== `tab${closed}`))).toEqual([]);
    // Not the 30 s after which a silent member is given up: its lock told.
    expect(tookMs).toBeLessThan(10_000);
  });

  test("twelve tabs that connect in the same instant are all served, by one broker", async () => {
    const tabs = await Promise.all(Array.from({ length: 12 }, () => house.tab()));
    await Promise.all(tabs.map((tab) => tab.connect({ namespace: "twelve" })));
    await Promise.all(tabs.map((tab, at) => tab.send("twelve", bodies(10, `tab ${at} `))));
    const seen = await Promise.all(tabs.map((tab) => tab.run(async ({ mq }) => (await mq.diagnostics()).broker)));
    expect(new Set(seen.map(({ incarnation }) => incarnation)).size).toBe(1);
    expect(new Set(seen.map(({ epoch }) => epoch))).toEqual(new Set([1]));
    const { rows, epoch } = await tabs[0]!.epochs("twelve");
    expect([...new Set(rows), epoch]).toEqual([1, 1]);
    expect(await tabs[0]!.readAll("twelve")).toHaveLength(120);
  });
});
