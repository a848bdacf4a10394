import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Stored } from "../support/history.ts";
import { bundle, House, type Tab, until } from "../support/house.ts";

let house: House;
beforeAll(async () => {
  house = await House.open({ pages: { "/no-crc.js": await bundle(join(import.meta.dirname, "workers/no-crc.ts")) } });
  await sixRows();
});
afterEach(() => house.closeTabs());
afterAll(() => house.close());

interface Edit {
  namespace: string;
  /** Number of the log row in which to change a byte of the payload's middle. */
  flipLog?: number;
  /** Two log rows whose contents change places. */
  swapLog?: [number, number];
  dropLog?: number;
  /** This row keeps its first ten bytes only. */
  cutLog?: number;
  /** Change a byte in these pages of queue 0, or in all of all queues. */
  flipPages?: number[] | "all";
  dropPages?: boolean;
  dropCheckpoint?: boolean;
}

/** Changes what is stored, past the broker, which must not be running. Returns the positions of the log's rows. */
function change(tab: Tab, edit: Edit): Promise<number[]> {
  return tab.run(async (_side, { namespace, flipLog, swapLog, dropLog, cutLog, flipPages = [], dropPages, dropCheckpoint }) => {
    const result = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error("failed"));
      });
    const db = await result(indexedDB.open(`tabmq/${namespace}`));
    const tx = db.transaction(["log", "queue", "state"], "readwrite", { durability: "strict" });
    const [log, queue, state] = ["log", "queue", "state"].map((name) => tx.objectStore(name)) as [IDBObjectStore, IDBObjectStore, IDBObjectStore];
    const [keys, rows] = await Promise.all([result(log.getAllKeys()), result<Uint8Array[]>(log.getAll())]);
    const flip = (bytes: Uint8Array): Uint8Array => {
      const copy = bytes.slice();
      copy[copy.length >>> 1]! ^= 0x20;
      return copy;
    };
    if (flipLog !== undefined) log.put(flip(rows[flipLog]!), keys[flipLog]);
    if (cutLog !== undefined) log.put(rows[cutLog]!.slice(0, 10), keys[cutLog]);
    if (swapLog !== undefined) {
      const [a, b] = swapLog;
      log.put(rows[a], keys[b]);
      log.put(rows[b], keys[a]);
    }
    if (dropLog !== undefined) log.delete(keys[dropLog]!);
    for (const key of await result(queue.getAllKeys())) {
      const [, queueId, page] = key as [string, number, number];
      if (flipPages === "all" || (queueId === 0 && flipPages.includes(page))) queue.put(flip(await result<Uint8Array>(queue.get(key))), key);
      if (dropPages) queue.delete(key);
    }
    if (dropCheckpoint) state.delete("checkpoint");
    await new Promise((done) => (tx.oncomplete = done));
    db.close();
    return keys as number[];
  }, edit);
}

/** One for each test that damages something. */
const DAMAGED = ["behind", "credulous", "replay-changed", "replay-missing", "replay-exchanged", "tail", "stump"];

/** Six messages, each in a log row of its own, in one queue; then the browser is started again. */
async function sixRows(): Promise<void> {
  await Promise.all(DAMAGED.map(async (namespace) => {
    const tab = await house.tab();
    await tab.connect({ namespace });
    await tab.createTopic(namespace, 1);
    for (let at = 0; at < 6; at++) await tab.send(namespace, [`message ${at} ${"x".repeat(200)}`]);
    await checkpoint(tab, namespace);
  }));
  await house.closeTabs();
  await house.restart();
}

/** Waits for the checkpoint behind all that is stored. */
async function checkpoint(tab: Tab, namespace: string): Promise<void> {
  await until(() =>
    tab.run(async ({ mq }, given) => {
      const { position } = (await mq.diagnostics()).broker;
      const db = await new Promise<IDBDatabase>((resolve) => {
        const request = indexedDB.open(`tabmq/${given}`);
        request.onsuccess = () => resolve(request.result);
      });
      const row = await new Promise<{ position: number } | undefined>((resolve) => {
        const request = db.transaction("state").objectStore("state").get("checkpoint");
        request.onsuccess = () => resolve(request.result as { position: number } | undefined);
      });
      db.close();
      return row?.position === position;
    }, namespace),
  );
}

const contents = (stored: Stored[]): string[] => stored.map(({ content }) => content.slice(0, "t message 0".length));

describe("damaged bytes in the store", () => {
  test("a damaged block behind the checkpoint is reported when it is read, and skipped", async () => {
    const tab = await house.tab();
    const positions = await change(tab, { namespace: "behind", flipLog: 2 });
    await tab.connect({ namespace: "behind" });
    await tab.consume("g", "behind", "c");
    await until(async () => (await tab.run(({ mq }) => mq.admin.consumeStats("g"))).diffTotal === 0);
    const got = house.history.delivered.filter(({ topic }) => topic === "behind");
    expect(contents(got)).toEqual(["t message 0", "t message 1", "t message 3", "t message 4", "t message 5"]);
    const { damaged, recovery } = await tab.run(async ({ mq }) => (await mq.diagnostics()).broker);
    expect(recovery.replayed).toBe(0);
    expect(damaged).toMatchObject([{ position: positions[2], reason: "BAD_CRC" }]);
    // Control of the checker that other tests end with: it finds this, and nothing where nothing is wrong.
    const findings = await house.findings();
    expect(findings.get("tabmq/behind")!.map(({ code }) => code)).toContain("CHUNK_DAMAGED");
    expect(findings.get("tabmq/tail")).toEqual([]);
  });

  test("control: a worker that does not check delivers the damaged message", async () => {
    const tab = await house.tab();
    await change(tab, { namespace: "credulous", flipLog: 2 });
    await tab.connect({ namespace: "credulous", worker: "/no-crc.js" });
    const present = await tab.readAll("credulous");
    expect(present).toHaveLength(6);
    expect(present.filter(({ content }) => content !== `t ${content.slice(2, 11)} ${"x".repeat(200)}`)).toHaveLength(1);
  });

  test.each([
    ["changed", { flipLog: 2 }, ["BAD_CRC"], [0, 1, 3, 4, 5]],
    ["missing", { dropLog: 2 }, ["MISSING"], [0, 1, 3, 4, 5]],
    ["exchanged for another", { swapLog: [2, 4] as [number, number] }, ["BAD_POSITION", "BAD_POSITION"], [0, 1, 3, 5]],
  ])("a block %s without a checkpoint is reported by recovery and skipped, and its offset is not used again", async (name, damage, reasons, left) => {
    const namespace = `replay-${name.split(" ")[0]}`;
    const tab = await house.tab();
    const positions = await change(tab, { namespace, ...damage, dropCheckpoint: true, dropPages: true });
    await tab.connect({ namespace });
    const { recovery, damaged } = await tab.run(async ({ mq }) => (await mq.diagnostics()).broker);
    expect(recovery.damaged.map(({ reason }) => reason)).toEqual(reasons);
    expect(recovery.damaged[0]).toMatchObject({ position: positions[2] });
    expect(damaged).toEqual(recovery.damaged);
    expect(recovery.replayed).toBe(left.length);
    const present = await tab.readAll(namespace);
    expect(contents(present)).toEqual(left.map((at) => `t message ${at}`));
    expect(present.map(({ queueOffset }) => queueOffset)).toEqual(left);
    const [next] = await tab.send(namespace, ["next"]);
    expect(next!.queueOffset).toBeGreaterThanOrEqual(6);
  });

  test("a damaged last block: no offset or position of it is given again", async () => {
    const tab = await house.tab();
    const positions = await change(tab, { namespace: "tail", flipLog: 5, dropCheckpoint: true, dropPages: true });
    await tab.connect({ namespace: "tail" });
    const [next] = await tab.send("tail", ["next"]);
    expect(next!.queueOffset).toBeGreaterThanOrEqual(6);
    const rows = await change(tab, { namespace: "tail" });
    expect(rows.length).toBe(7);
    expect(rows.slice(0, 6)).toEqual(positions);
  });

  test("a last block of which little is left is reported too, and the log goes on", async () => {
    const tab = await house.tab();
    const positions = await change(tab, { namespace: "stump", cutLog: 5, dropCheckpoint: true, dropPages: true });
    await tab.connect({ namespace: "stump" });
    const { recovery } = await tab.run(async ({ mq }) => (await mq.diagnostics()).broker);
    expect(recovery.damaged).toMatchObject([{ position: positions[5], reason: "TRUNCATED" }]);
    await tab.send("stump", ["next"]);
    expect(contents(await tab.readAll("stump"))).toEqual(["t message 0", "t message 1", "t message 2", "t message 3", "t message 4", "t next"]);
  });

  test("checkpoint and queue pages are lost or damaged: everything is rebuilt, and equal", async () => {
    let tab = await house.tab();
    await tab.connect({ namespace: "rebuild" });
    await tab.createTopic("rebuild", 2);
    // More than two pages of 1024 entries in queue 0, a part of one in queue 1.
    await tab.send("rebuild", Array.from({ length: 2500 }, (_, at) => `message ${at}`), 0);
    await tab.send("rebuild", Array.from({ length: 100 }, (_, at) => `other ${at}`), 1);
    const before = await tab.readAll("rebuild");
    expect(before).toHaveLength(2600);
    const damages: (Omit<Edit, "namespace"> & { isReplayed: boolean })[] = [
      { flipPages: [0], isReplayed: false },
      { flipPages: "all", isReplayed: true },
      { dropPages: true, isReplayed: true },
      { dropPages: true, dropCheckpoint: true, isReplayed: true },
    ];
    for (const { isReplayed, ...damage } of damages) {
      await checkpoint(tab, "rebuild");
      await house.closeTabs();
      await house.restart();
      tab = await house.tab();
      await change(tab, { namespace: "rebuild", ...damage });
      await tab.connect({ namespace: "rebuild" });
      expect(await tab.readAll("rebuild")).toEqual(before);
      const { recovery, damaged } = await tab.run(async ({ mq }) => (await mq.diagnostics()).broker);
      expect([recovery.replayed, damaged]).toEqual([isReplayed ? before.length : 0, []]);
      // Something to write, so that the next checkpoint has a reason.
      before.push(...(await tab.send("rebuild", ["one more"], 1)).map(({ producer: _producer, ...stored }) => stored));
    }
  });
});
