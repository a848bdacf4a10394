import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { lost } from "../support/history.ts";
import { House, type Tab, until } from "../support/house.ts";

let house: House;
beforeAll(async () => void (house = await House.open()));
afterEach(() => house.closeTabs());
afterAll(() => house.end());

const bodies = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`);
const epochOf = (tab: Tab): Promise<number> => tab.run(async ({ mq }) => (await mq.diagnostics()).broker.epoch);

/** Opens the database in the page, as a script of another age would, and keeps it: `version` undefined = as it is. */
function openDatabase(tab: Tab, namespace: string, version?: number): Promise<string> {
  return tab.run(
    ({ box }, given) =>
      new Promise<string>((resolve) => {
        const request = indexedDB.open(`tabmq/${given.namespace}`, given.version);
        request.onsuccess = () => {
          // Without a listener for versionchange: stubborn.
          box.db = request.result;
          resolve("open");
        };
        request.onblocked = () => resolve("blocked");
        request.onerror = () => resolve(request.error?.name ?? "error");
        request.onupgradeneeded = () => request.transaction?.abort();
      }),
    { namespace, version },
  );
}

describe("the database's connection", () => {
  test("is closed because another one wants to upgrade: the broker lets it, and is back on a connection of its own", async () => {
    const [a, other] = [await house.tab(), await house.tab()];
    await a.connect({ namespace: "upgrade" });
    const acked = await a.send("upgrade", bodies(20, "before "));
    // Its upgrade is aborted, so the version stays; not one was blocked by us.
    expect(await openDatabase(other, "upgrade", 2)).toBe("AbortError");
    acked.push(...(await a.send("upgrade", bodies(20, "after "))));
    expect(await epochOf(a)).toBe(2);
    expect(lost(acked, await a.readAll("upgrade"))).toEqual([]);
  });

  test("is closed by force, with the database: the loss is told at once, and sending goes on", async () => {
    const tab = await house.tab();
    await tab.connect({ namespace: "forced" });
    const before = await tab.send("forced", bodies(20, "before "));
    await tab.run(({ box, mq }) => void mq.on("loss", (event) => (box.loss = event)));
    // Until the checkpoint is written: then nothing is left to write.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const session = await tab.chromium.context().newCDPSession(tab.chromium);
    await session.send("IndexedDB.deleteDatabase", { securityOrigin: house.origin, databaseName: "tabmq/forced" });
    // Before anything is written: a broker that is not told would only find out then, and one that nobody asks never.
    await until(() => tab.run(({ box }) => box.loss !== undefined));
    expect(await tab.run(({ box }) => (box.loss as { loss: string }).loss)).toBe("total");
    const after = await tab.send("forced", bodies(20, "after "));
    const present = await tab.readAll("forced");
    expect(lost(after, present)).toEqual([]);
    // Control of the check: what was deleted is found missing.
    expect(lost(before, present)).toHaveLength(20);
    const newest = Math.max(...before.map(({ queueOffset }) => queueOffset));
    expect(after.every(({ queueOffset }) => queueOffset > newest)).toBe(true);
  });

  test("is not needed by us alone: an old tab that keeps its own open, whatever is asked of it, is in nobody's way", async () => {
    const [a, stubborn] = [await house.tab(), await house.tab()];
    await a.connect({ namespace: "stubborn" });
    const acked = await a.send("stubborn", bodies(20, "before "));
    expect(await openDatabase(stubborn, "stubborn")).toBe("open");
    await a.run(({ mq }) => mq.close());
    await house.closeWorkers("/dist/worker.js");
    const b = await house.tab();
    await b.connect({ namespace: "stubborn" });
    acked.push(...(await b.send("stubborn", bodies(20, "after "))));
    expect(lost(acked, await b.readAll("stubborn"))).toEqual([]);
    // Control: a higher version of the schema would have been blocked by it.
    await b.run(({ mq }) => mq.close());
    await house.closeWorkers("/dist/worker.js");
    expect(await openDatabase(b, "stubborn", 2)).toBe("blocked");
  });
});
