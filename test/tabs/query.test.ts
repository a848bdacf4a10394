import { afterEach, expect, test } from "vitest";
import { House, type Tab, until } from "../support/house.ts";

let house: House;
afterEach(() => house.close());

/** Bodies that a query finds, the newest first. */
function query(tab: Tab, key: string, max?: number): Promise<string[]> {
  return tab.run(async ({ mq }, given) => (await mq.admin.queryMessages({ topic: "orders", ...given })).map((message) => message.text()), { key, ...(max === undefined ? {} : { max }) });
}

/** How many rows of the key index are on disk. */
function rowsOnDisk(tab: Tab): Promise<number> {
  return tab.run(
    () =>
      new Promise<number>((resolve, reject) => {
        const opening = indexedDB.open("tabmq/shop");
        opening.onerror = () => reject(new Error(String(opening.error)));
        opening.onsuccess = () => {
          const db = opening.result;
          const counting = db.transaction("index").objectStore("index").count();
          counting.onsuccess = () => {
            db.close();
            resolve(counting.result);
          };
        };
      }),
  );
}

test("messages are found by key and id: from another tab, after the browser was closed, and when the index is gone", async () => {
  house = await House.open();
  const first = await house.tab();
  await first.connect({ namespace: "shop" });
  // Some 110,000 keys: a sealed segment of the index, and an open one.
  const sent = await first.run(async ({ producer }) => {
    const results = [];
    for (let at = 0; at < 22; at++) {
      const keys = Array.from({ length: 5000 }, (_, key) => (at * 5000 + key).toString(36));
      results.push(await producer.send({ topic: "orders", body: `m${at}`, keys: [...keys, "all"] }));
    }
    return results.map(({ msgId, offsetMsgId }) => ({ msgId, offsetMsgId }));
  });
  const all = sent.map((_, at) => `m${at}`).reverse();

  const check = async (tab: Tab): Promise<void> => {
    expect(await query(tab, "all", 64)).toEqual(all);
    for (const at of [0, 7, 21]) {
      expect(await query(tab, (at * 5000 + 4321).toString(36))).toEqual([`m${at}`]);
      const bodies = await tab.run(async ({ mq }, { msgId, offsetMsgId }) => [(await mq.admin.viewMessage(msgId)).text(), (await mq.admin.viewMessage(offsetMsgId)).text()], sent[at]!);
      expect(bodies).toEqual([`m${at}`, `m${at}`]);
    }
    expect(await query(tab, "nobody")).toEqual([]);
    expect(await tab.run(({ mq, tabmq }) => mq.admin.viewMessage("F".repeat(32)).then(() => "found", (error: unknown) => (error instanceof tabmq.MQError ? error.code : String(error))))).toBe("NO_MESSAGE");
  };
  await check(first);
  const second = await house.tab();
  await second.connect({ namespace: "shop" });
  await check(second);
  // 64 pages of the sealed segment, and those of the open one.
  await until(async () => (await rowsOnDisk(second)) >= 64 + 40);

  await house.closeTabs();
  await house.restart();
  const third = await house.tab();
  await third.connect({ namespace: "shop" });
  await check(third);

  await third.run(
    () =>
      new Promise<void>((resolve, reject) => {
        const opening = indexedDB.open("tabmq/shop");
        opening.onsuccess = () => {
          const tx = opening.result.transaction("index", "readwrite");
          tx.objectStore("index").clear();
          tx.onabort = () => reject(new Error(String(tx.error)));
          tx.oncomplete = () => {
            opening.result.close();
            resolve();
          };
        };
      }),
  );
  await house.closeTabs();
  await house.restart();
  const last = await house.tab();
  await last.connect({ namespace: "shop" });
  await check(last);
});
