import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { bundle, House, type Tab, type TabConnect, until } from "../support/house.ts";

const MIB = 2 ** 20;
/** More than a start's filling of LevelDB's log needs. */
const QUOTA = 16 * MIB;
const WAITING = 400;

let house: House;
afterEach(() => house.end({ holes: true }));

/** What the browser lets this origin store, as long as the tab is open. */
async function limit(tab: Tab, quotaSize: number): Promise<void> {
  const session = await tab.chromium.context().newCDPSession(tab.chromium);
  await session.send("Storage.overrideQuotaForOrigin", { origin: house.origin, quotaSize });
}

async function begin(options: TabConnect): Promise<Tab> {
  const tab = await house.tab();
  await limit(tab, QUOTA);
  await tab.connect({ namespace: "full", ...options });
  await tab.createTopic("orders", 1);
  await tab.send("orders", Array.from({ length: WAITING }, (_, at) => `order ${at}`));
  // The reserve is made behind the first messages.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  return tab;
}

/** Sends large messages and then small ones until none fits, and goes on trying until the page is gone. */
function fillUp(tab: Tab): Promise<string[]> {
  return tab.run(async ({ producer, box }) => {
    const refused: string[] = [];
    const send = async (bytes: number): Promise<boolean> => {
      const body = crypto.getRandomValues(new Uint8Array(bytes));
      return producer.send({ topic: "ballast", body }).then(() => true, (error: { code: string; outcome: string }) => (refused.push(`${error.code} ${error.outcome}`), false));
    };
    for (const bytes of [50_000, 1000, 1]) for (let inARow = 0; inARow < 3; ) inARow = (await send(bytes)) ? 0 : inARow + 1;
    void (async () => {
      for (box.isTrying = true; box.isTrying === true; await new Promise((resolve) => setTimeout(resolve, 10))) await send(100);
    })();
    return refused;
  });
}

/** Consumes all orders; how many came. */
function consume(tab: Tab): Promise<number> {
  return tab.run(async ({ mq }, count) => {
    const got = new Set<string>();
    let isDone = (): void => {};
    const done = new Promise<void>((resolve) => (isDone = resolve));
    const consumer = await mq.createPushConsumer({
      consumerGroup: "eager", subscriptions: { orders: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      messageListener: ({ msgId }) => (got.add(msgId).size === count ? isDone() : undefined),
    });
    await done;
    await consumer.shutdown();
    return got.size;
  }, WAITING);
}

const behind = (tab: Tab): Promise<number> => tab.run(async ({ mq }) => (await mq.admin.consumeStats("eager")).diffTotal);

/** Bytes of this origin, when a database has been opened. */
function usage(tab: Tab): Promise<number> {
  return tab.run(async () => {
    await new Promise<void>((resolve) => (indexedDB.open("tabmq/full").onsuccess = ({ target }) => ((target as IDBOpenDBRequest).result.close(), resolve())));
    return (await navigator.storage.estimate()).usage ?? 0;
  });
}

/** After LevelDB has tidied up what the process before it left. */
async function settledUsage(tab: Tab): Promise<number> {
  let last = -1;
  for (let same = 0; same < 6; ) {
    const now = await usage(tab);
    same = now === last ? same + 1 : 0;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return last;
}

/** How far the group is in the database itself. */
function writtenOffset(tab: Tab): Promise<number> {
  return tab.run(async () => {
    const result = <T>(request: IDBRequest<T>): Promise<T> => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const db = await result(indexedDB.open("tabmq/full"));
    const row = (await result(db.transaction("state").objectStore("state").get("offset/eager/orders"))) as Record<string, number> | undefined;
    db.close();
    return row?.[0] ?? 0;
  });
}

/** Killed, so that nothing is written at the end; the next browser has the same limit. */
async function killAndReopen(options: TabConnect): Promise<Tab> {
  const tab = await killAndStart();
  await limit(tab, QUOTA);
  await tab.connect({ namespace: "full", ...options });
  return tab;
}

async function killAndStart(): Promise<Tab> {
  await house.kill();
  await house.start();
  return house.tab();
}

test("the quota is used up: sends are refused, consumers go on, and their offsets survive a SIGKILL", async () => {
  house = await House.open();
  const tab = await begin({});
  expect(new Set(await fillUp(tab))).toEqual(new Set(["STORAGE_FULL rejected"]));
  expect(await consume(tab)).toBe(WAITING);
  await until(async () => (await writtenOffset(tab)) === WAITING);
  const next = await killAndReopen({});
  expect(await behind(next)).toBe(0);
});

test("control: without the reserve the offsets are lost", async () => {
  house = await House.open({ pages: { "/no-reserve.js": await bundle(join(import.meta.dirname, "workers/no-reserve.ts")) } });
  const options = { worker: "/no-reserve.js" };
  const tab = await begin(options);
  await fillUp(tab);
  expect(await consume(tab)).toBe(WAITING);
  // As long as the offsets above take at most.
  await new Promise((resolve) => setTimeout(resolve, 5000));
  expect(await writtenOffset(tab)).toBeLessThan(WAITING);
});

test("with room again, sends are taken by the same broker", async () => {
  house = await House.open();
  const tab = await begin({});
  await fillUp(tab);
  await consume(tab);
  await until(async () => (await writtenOffset(tab)) === WAITING);
  const epoch = await tab.run(async ({ mq }) => (await mq.diagnostics()).broker.epoch);
  await limit(tab, 8 * QUOTA);
  await until(() => tab.run(({ producer }) => producer.send({ topic: "orders", body: "room" }).then(() => true, () => false)));
  expect(await tab.run(async ({ mq }) => (await mq.diagnostics()).broker.epoch)).toBe(epoch);
  expect((await tab.readAll("orders")).at(-1)!.content).toContain("room");
});

test.each<[string, TabConnect, string]>([
  ["the reserve is there", {}, "connected"],
  // TABMQ_LONG: `npm run test:fault`. It takes 20 s to be refused.
  ...(process.env.TABMQ_LONG ? [["control: it is not", { worker: "/no-reserve.js" }, "STORAGE_UNAVAILABLE"] as [string, TabConnect, string]] : []),
])("a broker starts on a store that is over its quota, and consumers go on: %s", async (_, options, expected) => {
  house = await House.open({ pages: { "/no-reserve.js": await bundle(join(import.meta.dirname, "workers/no-reserve.ts")) } });
  await begin(options);
  const tab = await killAndStart();
  // Somewhat less than there is: the browser refuses every write.
  await limit(tab, Math.max(1, (await settledUsage(tab)) - 100 * 1024));
  expect(await tab.tryConnect({ namespace: "full", ...options })).toMatchObject({ code: expected });
  if (expected === "connected") expect(await consume(tab)).toBe(WAITING);
});
