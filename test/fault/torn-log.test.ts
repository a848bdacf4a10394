/**
 * Chromium's own log, cut by a kill: what LevelDB makes of it, and what is done against that (src/storage/leveldb-log.ts).
 * A kill hits the place between the two writes of a record in about one of a hundred; here it always does.
 */
import { appendFileSync, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { lost, type Acked } from "../support/history.ts";
import { levelDbLog } from "../support/leveldb.ts";
import { bundle, House, type Tab, type TabConnect, until } from "../support/house.ts";

let house: House;
afterEach(() => house.end());

const LOG_BLOCK = 32 * 1024;
const RECORD_HEADER = 7;

/** Appends the header of a LevelDB record, as a process does that is killed before it has written what belongs behind. Returns the file. */
function tear(profile: string): string {
  const file = levelDbLog(profile);
  if (file === undefined) throw new Error("this browser does not keep IndexedDB in LevelDB");
  const left = LOG_BLOCK - (statSync(file).size % LOG_BLOCK);
  const header = Buffer.from([0xde, 0xad, 0xbe, 0xef, 0x4f, 0x00, 0x01]);
  appendFileSync(file, left < RECORD_HEADER ? Buffer.concat([Buffer.alloc(left), header]) : header);
  return file;
}

async function connected(connect: TabConnect): Promise<Tab> {
  const tab = await house.tab();
  await tab.connect(connect);
  return tab;
}

interface Outcome {
  acked: Acked[];
  tab: Tab;
}

/** Kill with a torn log, start, send, kill, start. */
async function twoKills(connect: TabConnect, beforeSecond: (file: string) => Promise<void>): Promise<Outcome> {
  const first = await connected(connect);
  await first.createTopic("t", 1);
  const acked = await first.send("t", ["one", "two", "three"]);
  await house.kill();
  const file = tear(house.profile);

  await house.start();
  const second = await connected(connect);
  expect(lost(acked, await second.readAll("t"))).toEqual([]);
  acked.push(...(await second.send("t", ["four", "five", "six"])));
  await beforeSecond(file);
  await house.kill();

  await house.start();
  const tab = await connected(connect);
  return { acked, tab };
}

describe("kill -9 in the middle of a write to LevelDB's log", () => {
  test("the start after it leaves that log behind: all that was acknowledged before and after is there", async () => {
    house = await House.open();
    const { acked, tab } = await twoKills({ namespace: "torn" }, (file) => until(() => !existsSync(file)));
    const { epoch, recovery } = await tab.run(async ({ mq }) => (await mq.diagnostics()).broker);
    expect(epoch).toBe(3);
    expect(recovery.loss).toBe("none");
    expect(lost(acked, await tab.readAll("t"))).toEqual([]);
    // The database that is deleted for it does not stay.
    await until(() => tab.page.evaluate(async () => (await indexedDB.databases()).every(({ name }) => name === "tabmq/torn")));
  });

  test("control: who keeps the log loses the whole database at the second start", async () => {
    house = await House.open({ pages: { "/keep-log.js": await bundle(join(import.meta.dirname, "workers/keep-log.ts")) } });
    const { acked, tab } = await twoKills({ namespace: "torn", worker: "/keep-log.js" }, () => Promise.resolve());
    await tab.createTopic("t", 1);
    expect(lost(acked, await tab.readAll("t"))).toHaveLength(acked.length);
  });
});
