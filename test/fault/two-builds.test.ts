import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { lost } from "../support/history.ts";
import { bundle, DIST, House, type Tab, until } from "../support/house.ts";
import { watched } from "../support/watched-worker.ts";

let house: House;
beforeAll(async () => {
  const [built, noLock, noLockNoEpoch, takeOver] = await Promise.all([
    readFile(join(DIST, "worker.js"), "utf8"),
    bundle(join(import.meta.dirname, "workers/no-lock.ts")),
    bundle(join(import.meta.dirname, "workers/no-lock-no-epoch.ts")),
    bundle(join(import.meta.dirname, "workers/take-over.ts")),
  ]);
  const twice = (name: string, script: string): Record<string, string> => ({ [`/${name}-a.js`]: watched(script), [`/${name}-b.js`]: watched(script) });
  house = await House.open({ pages: { "/take-over.js": takeOver, ...twice("worker", built), ...twice("no-lock", noLock), ...twice("no-epoch", noLockNoEpoch) } });
});
afterEach(() => house.closeTabs());
afterAll(() => house.end());

const bodies = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`);

/** One epoch per stretch of the log, none after a later one, none that nobody has taken. */
function interleaved({ rows, epoch }: { rows: number[]; epoch: number }): boolean {
  return rows.some((row, at) => row > epoch || row < (rows[at - 1] ?? 0));
}

/** Two brokers of two builds write in turns. */
async function inTurns(namespace: string, worker: string): Promise<{ a: Tab; violations: string[]; epochs: { rows: number[]; epoch: number } }> {
  const [a, b] = [await house.tab(), await house.tab()];
  await a.connect({ namespace, worker: `/${worker}-a.js` });
  await a.createTopic(namespace, 1);
  const acked = await a.send(namespace, bodies(10, "a0 "));
  await b.connect({ namespace, worker: `/${worker}-b.js` });
  for (let turn = 1; turn <= 4; turn++) {
    acked.push(...(await a.send(namespace, bodies(10, `a${turn} `))));
    acked.push(...(await b.send(namespace, bodies(10, `b${turn} `))));
  }
  const epochs = await a.epochs(namespace);
  // A broker knows only what it wrote itself: a third one reads what is there.
  await Promise.all([a, b].map((tab) => tab.run(({ mq }) => mq.close())));
  await house.closeWorkers(`/${worker}-a.js`);
  await house.closeWorkers(`/${worker}-b.js`);
  const reader = await house.tab();
  await reader.connect({ namespace, worker: "/worker-a.js" });
  return { a, violations: lost(acked, await reader.readAll(namespace)), epochs };
}

describe("two builds of the worker over one namespace", () => {
  test("one serves, also the tabs of the other, whose worker stands back; when it dies one of the two takes over", async () => {
    const [a, b] = [await house.tab(), await house.tab()];
    await a.connect({ namespace: "builds", worker: "/worker-a.js" });
    const acked = await a.send("builds", bodies(50, "first "));
    // Its own worker stands in line; it comes in at the other's door.
    await b.connect({ namespace: "builds", worker: "/worker-b.js" });
    for (let turn = 0; turn < 5; turn++) {
      const [ofA, ofB] = await Promise.all([a.send("builds", bodies(10, `a${turn} `)), b.send("builds", bodies(10, `b${turn} `))]);
      acked.push(...ofA, ...ofB);
    }
    const { rows, epoch } = await a.epochs("builds");
    expect([[...new Set(rows)], epoch]).toEqual([[1], 1]);
    const { host, broker } = await b.run(({ mq }) => mq.diagnostics());
    expect([host.code, broker.epoch, broker.sessions]).toEqual(["ANOTHER_SERVES", 1, 2]);

    expect(await house.closeWorkers("/worker-a.js")).toBe(1);
    const both = await Promise.all([a.send("builds", bodies(50, "a after ")), b.send("builds", bodies(50, "b after "))]);
    acked.push(...both.flat());
    const later = await Promise.all([a, b].map((tab) => tab.run(async ({ mq }) => (await mq.diagnostics()).broker)));
    expect(new Set(later.map(({ incarnation }) => incarnation)).size).toBe(1);
    const epochs = await a.epochs("builds");
    expect(interleaved(epochs)).toBe(false);
    expect([...new Set(epochs.rows)]).toEqual([1, epochs.epoch]);
    expect(lost(acked, await a.readAll("builds"))).toEqual([]);
  });

  test("the writer lock is stolen: the broker stops, and serves again when the lock is free", async () => {
    const [a, thief] = [await house.tab(), await house.tab()];
    await a.connect({ namespace: "stolen", worker: "/worker-a.js" });
    const acked = await a.send("stolen", bodies(20, "before "));
    await thief.run(async ({ box }) => {
      await new Promise<void>((got) => {
        void navigator.locks.request("tabmq/stolen/writer", { steal: true }, () => {
          got();
          return new Promise<void>((release) => (box.release = release));
        });
      });
    });
    await until(async () => {
      const { held = [] } = await thief.run(() => navigator.locks.query());
      return !held.some(({ name }) => name?.startsWith("tabmq/stolen/broker/"));
    });
    const pending = a.send("stolen", bodies(20, "meanwhile "));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await thief.epochs("stolen")).epoch).toBe(1);
    await thief.run(({ box }) => (box.release as () => void)());
    acked.push(...(await pending));
    const epochs = await a.epochs("stolen");
    expect([...new Set(epochs.rows), interleaved(epochs)]).toEqual([1, 2, false]);
    expect(lost(acked, await a.readAll("stolen"))).toEqual([]);
  });

  test("another host has raised the epoch: the next write is fenced and changes nothing", async () => {
    const a = await house.tab();
    await a.connect({ namespace: "raised", worker: "/worker-a.js" });
    const acked = await a.send("raised", bodies(20, "before "));
    const raised = await a.run(
      () =>
        new Promise<unknown>((resolve) => {
          new SharedWorker("/take-over.js", { name: "raised" }).port.onmessage = ({ data }) => resolve(data);
        }),
    );
    expect(raised).toBe(2);
    acked.push(...(await a.send("raised", bodies(20, "after "))));
    const epochs = await a.epochs("raised");
    // 1 was fenced; the broker came back as 3.
    expect([...new Set(epochs.rows), epochs.epoch, interleaved(epochs)]).toEqual([1, 3, 3, false]);
    const present = await a.readAll("raised");
    expect(lost(acked, present)).toEqual([]);
    expect(present).toHaveLength(40);
  });

  test("without the lock, the epoch alone keeps the log whole", async () => {
    const { violations, epochs } = await inTurns("nolock", "no-lock");
    expect(violations).toEqual([]);
    expect(interleaved(epochs)).toBe(false);
  });

  test("control: without lock and epoch, two brokers write over each other", async () => {
    const { violations } = await inTurns("noepoch", "no-epoch");
    expect(violations).not.toEqual([]);
  });
});
