import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { House, type PageSide, type Tab, until } from "../support/house.ts";

let house: House;
beforeAll(async () => void (house = await House.open()));
afterEach(() => house.closeTabs());
afterAll(() => house.close());

/** A tab with the application's database open, and its outbox. */
async function open(): Promise<Tab> {
  const tab = await house.tab();
  await tab.connect({ namespace: "shop", broker: { defaultTopicQueueNums: 1 } });
  await tab.run(async ({ mq, box }) => {
    const db = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open("app", 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("orders", { keyPath: "id" });
        request.result.createObjectStore("outbox", { autoIncrement: true });
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("the database does not open"));
    });
    Object.assign(box, { db, outbox: await mq.outbox(db, "outbox") });
  });
  return tab;
}

/** Orders with their messages, each in a transaction of its own; resolves with the msgIds when all are complete. */
function order(tab: Tab, ids: string[]): Promise<string[]> {
  return tab.run(({ box }, given) => {
    const { db, outbox } = box as { db: IDBDatabase; outbox: Awaited<ReturnType<PageSide["mq"]["outbox"]>> };
    return Promise.all(given.map((id) => new Promise<string>((resolve, reject) => {
      const tx = db.transaction(["orders", "outbox"], "readwrite", { durability: "strict" });
      tx.objectStore("orders").put({ id });
      const msgId = outbox.add(tx, { topic: "orders", body: id });
      tx.oncomplete = () => resolve(msgId);
      tx.onabort = () => reject(tx.error ?? new Error("aborted"));
    })));
  }, ids);
}

const pending = (tab: Tab): Promise<number> => tab.run(({ box }) => (box["outbox"] as { pending(): Promise<number> }).pending());

test("the tab that relays is killed between send and delete: the next one goes on, and every message is stored once", async () => {
  const relaying = await open();
  // What it cannot delete it keeps sending.
  await relaying.run(({ box }) => {
    box["deletes"] = 0;
    IDBObjectStore.prototype.delete = () => {
      box["deletes"] = (box["deletes"] as number) + 1;
      throw new Error("not now");
    };
  });
  const other = await open();
  const first = await order(relaying, ["1", "2", "3"]);
  await until(() => relaying.run(({ box }) => (box["deletes"] as number) > 0));
  expect(await pending(other)).toBe(3);
  const second = await order(other, ["4", "5"]);
  await relaying.crash();
  await until(async () => (await pending(other)) === 0);
  expect((await other.readAll("orders")).map(({ msgId, content }) => [msgId, content.split(" ")[1]])).toEqual([...first, ...second].map((msgId, at) => [msgId, `${at + 1}`]));
});

test("a page with an outbox can be left, and what it has not sent goes out when it is there again", async () => {
  const tab = await open();
  await order(tab, ["6"]);
  await until(async () => (await pending(tab)) === 0);
  // It hung at pagehide, and the navigation with it.
  await tab.page.goto(`${house.origin}/blank`);
  const again = await open();
  await order(again, ["7"]);
  await until(async () => (await pending(again)) === 0);
  expect((await again.readAll("orders")).map(({ content }) => content.split(" ")[1])).toEqual(expect.arrayContaining(["6", "7"]));
});
