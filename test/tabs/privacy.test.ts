import type { BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { House, type PageSide } from "../support/house.ts";

let house: House;
beforeAll(async () => void (house = await House.open()));
afterAll(() => house.close());

interface Told {
  durability: string;
  persisted: boolean | undefined;
  storage: string;
  topics: string[];
}

/** Sends one message in a page of its own and asks what keeps it. */
async function ask(context: BrowserContext, body: string): Promise<Told> {
  const page = await context.newPage();
  await page.goto(`${house.origin}/`);
  const told = await page.evaluate(async (text) => {
    const { side } = globalThis as unknown as { side: PageSide };
    const mq = await side.tabmq.connect({ namespace: "private", broker: { traceEnable: false } });
    const before = (await mq.admin.topics()).map(({ topic }) => topic);
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send({ topic: text, body: text });
    const { durability, persisted, broker } = await mq.diagnostics();
    await mq.close();
    return { durability, persisted, storage: broker.storage, topics: before };
  }, body);
  await page.close();
  return told;
}

describe("what the browser promises about the data", () => {
  test("a private window works, sees nothing of the others, and nothing of it stays", async () => {
    await ask(house.context, "normal");
    const incognito = await house.context.browser()!.newContext();
    const first = await ask(incognito, "secret");
    expect(first).toEqual({ durability: "strict", persisted: false, storage: "indexeddb", topics: [] });
    // Within one private session it is kept like anywhere else.
    expect((await ask(incognito, "again")).topics).toEqual(["secret"]);
    await incognito.close();
    const next = await house.context.browser()!.newContext();
    expect((await ask(next, "later")).topics).toEqual([]);
    await next.close();
    expect((await ask(house.context, "normal")).topics).toEqual(["normal"]);
  });

  test("diagnostics says whether the browser has promised to keep the data", async () => {
    expect((await ask(house.context, "asked")).persisted).toBe(false);
    const page = await house.context.newPage();
    await page.goto(`${house.origin}/`);
    expect(await page.evaluate(() => navigator.storage.persist())).toBe(false);
    expect((await ask(house.context, "refused")).persisted).toBe(false);
    const session = await house.context.browser()!.newBrowserCDPSession();
    await session.send("Browser.grantPermissions", { origin: house.origin, permissions: ["durableStorage"] });
    expect(await page.evaluate(() => navigator.storage.persist())).toBe(true);
    expect((await ask(house.context, "granted")).persisted).toBe(true);
    await session.detach();
  });
});
