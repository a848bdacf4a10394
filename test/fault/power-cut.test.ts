/**
 * A power cut at any instant: the browser is killed, and its files are cut back to what the device had been told to
 * keep. A kill alone cannot tell a flushed commit from one that is not: the operating system survives it.
 */
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type Acked, disordered, gaps, lost } from "../support/history.ts";
import { bundle, House, type TabConnect, until } from "../support/house.ts";
import { firstOffsets, load, numberOf } from "../support/load.ts";
import { type CutFile, PowerCut } from "../support/power-cut.ts";
import { whyNoStrace } from "../support/strace.ts";

/** TABMQ_LONG: `npm run test:fault`. */
const CUTS = process.env.TABMQ_LONG ? 20 : 2;
const obstacle = whyNoStrace();

let house: House;
let power: PowerCut;
afterEach(() => house?.end());

async function begin(pages: Record<string, string> = {}): Promise<void> {
  house = await House.open({ pages });
  await trace();
}

async function trace(): Promise<void> {
  for (;;) {
    const prepared = await PowerCut.prepare(house.pid, house.profile);
    if (prepared !== null) return void (power = prepared);
    await house.kill();
    await house.start();
  }
}

interface Cut {
  acked: Acked[];
  files: CutFile[];
}

/** Three tabs send until the power fails; then the browser starts again, and is traced again before it opens anything. */
async function cutUnderLoad(round: number, connect: TabConnect, delay: number): Promise<Cut> {
  const before = house.history.acked.length;
  const tabs = [await house.tab(), await house.tab(), await house.tab()] as const;
  for (const tab of tabs) await tab.connect(connect);
  await load(tabs[0], `r${round}a`, 1, 4);
  await load(tabs[1], `r${round}b`, 16, 2);
  await load(tabs[2], `r${round}c`, 1, 1);
  await until(() => house.history.acked.length > before);
  await new Promise((resolve) => setTimeout(resolve, delay));
  await house.kill();
  const files = await power.cut();
  await house.start();
  await trace();
  return { acked: house.history.acked.slice(before), files };
}

async function cutAgainAndAgain(): Promise<void> {
  await begin();
  const connect = { namespace: "power" };
  let bytes = 0;
  let lastEpoch = 1;
  for (let round = 0; round < CUTS; round++) {
    const { acked, files } = await cutUnderLoad(round, connect, 100 + ((round * 7) % 20) * 60);
    bytes += files.reduce((sum, { had, kept }) => sum + had - kept, 0);
    const tab = await house.tab();
    await tab.connect(connect);
    const { recovery, epoch } = await tab.run(async ({ mq }) => (await mq.diagnostics()).broker);
    expect(recovery).toMatchObject({ loss: "none", damaged: [] });
    expect(epoch).toBeGreaterThan(lastEpoch);
    lastEpoch = epoch;
    expect(lost(acked, await tab.readAll("load", firstOffsets(acked)))).toEqual([]);
    expect(disordered(acked, numberOf)).toEqual([]);
    await house.closeTabs();
  }
  const { acked } = house.history;
  const tab = await house.tab();
  await tab.connect(connect);
  const present = await tab.readAll("load");
  expect(lost(acked, present)).toEqual([]);
  expect(gaps(present)).toEqual([]);
  console.info(`${CUTS} power cuts took ${bytes} bytes that were not flushed: ${acked.length} acknowledged, ${present.length} present`);
}

describe.skipIf(obstacle !== undefined)(`a power cut${obstacle === undefined ? "" : ` (skipped: ${obstacle})`}`, () => {
  test("under load, again and again: every acknowledged message is there, as sent, in order, and no loss is reported", cutAgainAndAgain, CUTS * 30_000 + 60_000);

  test("control: a worker that does not ask for the flush loses acknowledged messages", async () => {
    await begin({ "/relaxed.js": await bundle(join(import.meta.dirname, "workers/relaxed.ts")) });
    const connect = { namespace: "power", worker: "/relaxed.js" };
    // Long enough for the reserve, which is written behind the first messages, to be over.
    const { acked, files } = await cutUnderLoad(0, connect, 5000);
    const tab = await house.tab();
    await tab.connect(connect);
    await tab.createTopic("load", 4).catch(() => {});
    const violations = lost(acked, await tab.readAll("load"));
    console.info(`relaxed, 1 power cut: ${violations.length} of ${acked.length} acknowledged lost; ${files.map(({ path, had, kept }) => `${path.split("/").at(-1)} ${had} -> ${kept}`).join(", ")}`);
    expect(acked.length).toBeGreaterThan(0);
    expect(violations).not.toEqual([]);
  });

  test("flushDiskType async: what the operating system had is gone; the next start says so, and no offset is used twice", { timeout: 300_000 }, async () => {
    // Now and then LevelDB has flushed all of it just before: then nothing is lost, and there is nothing to see.
    for (let attempt = 0, taken = 0; taken === 0; attempt++) {
      expect(attempt).toBeLessThan(5);
      taken = await cutAsync();
      await house.end();
    }
  });
});

/** Returns how many messages the cut has taken of which the tabs knew. */
async function cutAsync(): Promise<number> {
  await begin();
  const connect: TabConnect = { namespace: "power", broker: { flushDiskType: "async" } };
  const sender = await house.tab();
  await sender.connect(connect);
  await load(sender, "async", 1, 4);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const remembered = [...house.history.acked];
  // What tabs remember is noted once a second.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const memory = await sender.run(() => ({ ...localStorage }));
  await house.kill();
  await power.cut();
  await house.start();
  const acked = [...house.history.acked];
  const tab = await house.tab();
  // The browser writes that in its own time; here it had.
  await tab.run((_, items) => Object.assign(localStorage, items), memory);
  await tab.connect(connect);
  const { broker, durability } = await tab.run(({ mq }) => mq.diagnostics());
  expect(durability).toBe("relaxed");
  await tab.createTopic("load", 4).catch(() => {});
  // What came later may be gone without anybody knowing of it.
  const taken = lost(remembered, await tab.readAll("load"));
  if (taken.length > 0) expect(["tail", "total"]).toContain(broker.recovery.loss);
  // Where nobody knows that the end is gone, its offsets are given again.
  const known = taken.length > 0 ? acked : remembered;
  for (const queueId of [0, 1, 2, 3]) {
    const [after] = await tab.send("load", ["after"], queueId);
    const used = known.filter((message) => message.queueId === queueId).map(({ queueOffset }) => queueOffset);
    expect(after!.queueOffset).toBeGreaterThan(Math.max(-1, ...used));
  }
  return taken.length;
}
