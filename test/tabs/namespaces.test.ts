/** Namespaces do not meet, whatever they are called. Against mistakes: a script of the same origin can open each of them. */
import { afterEach, describe, expect, test } from "vitest";
import { House } from "../support/house.ts";

let house: House;
afterEach(() => house.close());

/** Alike in as many ways as legal names can be. */
const ALIKE = ["a", "A", "aa", "a-a", "a_a", "a-", "-a", "shop", "Shop", "shop-writer", "writer", "client", "broker", "__proto__", "constructor", "indexeddb", "memory", "1", "x".repeat(63), "x".repeat(64)];
const ILLEGAL = ["", " ", "a/b", "a/b/c", "..", ".", "a.b", "a%2Fb", "%", "a|b", "a\\b", "ä", "а", "\u202ea", "a\u0000", "a\n", "a ", "x".repeat(65), "\ud800", "tabmq/a"];

describe("namespaces", () => {
  test("that look alike are brokers, logs, groups and databases of their own", async () => {
    house = await House.open();
    const tab = await house.tab();
    const seen = await tab.run(async ({ tabmq }, names) => {
      const found: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
      const incarnations = new Set<string>();
      const all = [];
      for (const namespace of names) {
        const mq = await tabmq.connect({ namespace });
        all.push(mq);
        const list: string[] = (found[namespace] = []);
        await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: (message) => void list.push(message.text()) });
        incarnations.add((await mq.diagnostics()).broker.incarnation);
      }
      for (const mq of all) await (await mq.createProducer({ producerGroup: "p" })).send({ topic: "t", body: mq.namespace });
      while (Object.values(found).some((list) => list.length === 0)) await new Promise((resolve) => setTimeout(resolve, 20));
      // Whatever goes astray arrives now.
      await new Promise((resolve) => setTimeout(resolve, 300));
      const offsets = await Promise.all(all.map(async (mq) => (await mq.admin.topicStats("t")).queues.reduce((sum, queue) => sum + queue.maxOffset, 0)));
      const databases = (await indexedDB.databases()).map(({ name }) => name);
      await Promise.all(all.map((mq) => mq.close()));
      return { found: Object.entries(found), incarnations: incarnations.size, offsets, databases };
    }, ALIKE);
    expect(seen.found).toEqual(expect.arrayContaining(ALIKE.map((name) => [name, [name]])));
    expect(seen.incarnations).toBe(ALIKE.length);
    expect(seen.offsets).toEqual(ALIKE.map(() => 1));
    expect(new Set(seen.databases).size).toBe(ALIKE.length);
  });

  test("whose names could be read in two ways are refused, and leave no database", async () => {
    house = await House.open();
    const tab = await house.tab();
    for (const namespace of ILLEGAL) expect((await tab.tryConnect({ namespace })).code, JSON.stringify(namespace)).toBe("INVALID_PARAMETER");
    expect(await tab.run(async () => (await indexedDB.databases()).length)).toBe(0);
  });

  test("control: tabs of one namespace do meet", async () => {
    house = await House.open();
    const [one, other] = [await house.tab(), await house.tab()];
    await Promise.all([one, other].map((tab) => tab.connect({ namespace: "a" })));
    await one.send("t", ["x"]);
    expect(await other.readAll("t")).toHaveLength(1);
  });
});
