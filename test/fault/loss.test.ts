/** The browser loses its database, in whole or at its end, and says nothing: the note in local storage tells (docs/decisions/0008-loss-witness.md). */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Acked, undelivered } from "../support/history.ts";
import { levelDbLog } from "../support/leveldb.ts";
import { House, type Tab, until } from "../support/house.ts";

let house: House;
beforeEach(async () => void (house = await House.open()));
afterEach(() => house.end());

const NAMESPACE = "loss";
const TOPIC = "orders";

interface Mark {
  epoch: number;
  position: number;
  groups: string[];
}

interface Life {
  acked: Acked[];
  mark: Mark;
  /** Where in LevelDB's log, bytes, the messages begin: behind their topic, and behind whatever the start has left there. */
  begin: number;
}

const brokerOf = (tab: Tab) => tab.run(async ({ mq }) => (await mq.diagnostics()).broker);

async function connected(): Promise<Tab> {
  const tab = await house.tab();
  await tab.connect({ namespace: NAMESPACE });
  return tab;
}

/** A group has consumed 60 messages, the note knows of all, and the browser is closed. */
async function lived(): Promise<Life> {
  const tab = await connected();
  // The start's filling of LevelDB's log is over: what comes now is in the log that stays.
  await until(() => tab.page.evaluate(async () => (await indexedDB.databases()).length === 1));
  await tab.createTopic(TOPIC, 1);
  await tab.consume("workers", TOPIC, "before");
  const behindTopic = { log: log(), size: statSync(log()).size };
  const acked: Acked[] = [];
  for (let at = 0; at < 60; at++) acked.push(...(await tab.send(TOPIC, [`message ${at} ${"x".repeat(1000)}`])));
  await until(() => undelivered(acked, house.history.delivered).length === 0);
  const { durablePosition } = await brokerOf(tab);
  let mark: Mark | undefined;
  await until(async () => {
    const note = await tab.page.evaluate((key) => localStorage.getItem(key), `tabmq/${NAMESPACE}/witness`);
    mark = note === null ? undefined : (JSON.parse(note) as Mark);
    return mark?.position === durablePosition && mark.groups.includes("workers");
  });
  await house.stop();
  return { acked, mark: mark!, begin: behindTopic.log === log() ? behindTopic.size : 0 };
}

function log(): string {
  const file = levelDbLog(house.profile);
  if (file === undefined) throw new Error("this browser does not keep IndexedDB in LevelDB");
  return file;
}

function flipBit(): void {
  const bytes = readFileSync(log());
  bytes[bytes.length >>> 1]! ^= 0x10;
  writeFileSync(log(), bytes);
}

/** The one file in LevelDB's folder whose name begins so. */
function onlyFile(beginning: string): string {
  const folder = join(log(), "..");
  const [found, ...more] = readdirSync(folder).filter((name) => name.startsWith(beginning));
  if (found === undefined || more.length > 0) throw new Error(`not one file ${beginning} in ${folder}`);
  return join(folder, found);
}

function deleteFolder(): void {
  rmSync(join(log(), ".."), { recursive: true });
}

function forgetNote(): void {
  const folder = join(house.profile, "Default", "Local Storage");
  expect(readdirSync(folder)).not.toEqual([]);
  rmSync(folder, { recursive: true });
}

/** TABMQ_LONG: `npm run test:fault`. */
const OTHER_DAMAGE: [string, () => void, string][] = process.env.TABMQ_LONG
  ? [
      ["its folder is deleted", deleteFolder, "total"],
      ["CURRENT holds garbage", () => writeFileSync(onlyFile("CURRENT"), randomBytes(16)), "total"],
      // To LevelDB a log of zeroes is an empty one: what was in the files before it is there.
      ["LevelDB's log is zeroes", () => writeFileSync(log(), new Uint8Array(statSync(log()).size)), "tail"],
    ]
  : [];

const bodies = (group: string): string[] => house.history.delivered.filter(({ consumer }) => consumer === group).map(({ content }) => content.slice(2).replace(/ x+$/, ""));

/** "first" is sent before the group is back, "second" after. What does it get? */
async function comeBack(tab: Tab): Promise<{ offset: number; got: string[] }> {
  await tab.createTopic(TOPIC, 1);
  const [first] = await tab.send(TOPIC, ["first"]);
  await tab.consume("workers", TOPIC, "after", "CONSUME_FROM_LAST_OFFSET");
  const second = await tab.send(TOPIC, ["second"]);
  await until(() => undelivered(second, house.history.delivered).length === 0);
  return { offset: first!.queueOffset, got: bodies("after") };
}

describe("the database is lost between two runs", () => {
  test.each([
    ["one bit of LevelDB's log is flipped", flipBit, "total"],
    ...OTHER_DAMAGE,
  ])("%s: the start reports the loss, and nothing is used again", async (_what, damage, loss) => {
    const { acked, mark } = await lived();
    damage();
    await house.start();
    const tab = await connected();
    const { recovery, epoch } = await brokerOf(tab);
    expect(recovery).toMatchObject({ loss, lastKnownPosition: mark.position });
    expect(epoch).toBeGreaterThan(mark.epoch);
    const { offset, got } = await comeBack(tab);
    expect(offset).toBeGreaterThan(Math.max(...acked.map(({ queueOffset }) => queueOffset)));
    expect(got).toEqual(["first", "second"]);

    // It is reported once.
    await until(async () => (await tab.run(({ mq }) => mq.admin.consumeStats("workers"))).diffTotal === 0);
    await house.closeTabs();
    await house.restart();
    expect((await brokerOf(await connected())).recovery.loss).toBe("none");
  });

  test.runIf(process.env.TABMQ_LONG)("its MANIFEST is missing: Chromium opens it no more, and every start says so; cleared by the user, it is a loss like any other", async () => {
    const { acked, mark } = await lived();
    rmSync(onlyFile("MANIFEST"));
    await house.start();
    const tab = await house.tab();
    for (let turn = 0; turn < 2; turn++) expect(await tab.tryConnect({ namespace: NAMESPACE })).toMatchObject({ code: "STORAGE_UNAVAILABLE" });
    const session = await tab.chromium.context().newCDPSession(tab.chromium);
    await session.send("Storage.clearDataForOrigin", { origin: house.origin, storageTypes: "indexeddb" });
    await tab.connect({ namespace: NAMESPACE });
    expect((await brokerOf(tab)).recovery).toMatchObject({ loss: "total", lastKnownPosition: mark.position });
    const { offset, got } = await comeBack(tab);
    expect(offset).toBeGreaterThan(Math.max(...acked.map(({ queueOffset }) => queueOffset)));
    expect(got).toEqual(["first", "second"]);
  });

  test("without damage nothing is reported, and the group goes on where it was", async () => {
    const { acked, mark } = await lived();
    await house.start();
    const tab = await connected();
    expect((await brokerOf(tab)).recovery).toMatchObject({ loss: "none", lastKnownPosition: mark.position });
    const { offset, got } = await comeBack(tab);
    expect(offset).toBe(acked.length);
    expect(got).toEqual(["first", "second"]);
  });

  test.each([
    ["the second half of the messages in", 0.5],
    // More than the checkpoint, which may be the last that was written.
    ...(process.env.TABMQ_LONG ? [["the last 8000 bytes of", 8000] as const] : []),
  ] as const)("%s LevelDB's log are cut off: the start says that the end is lost; what is left is delivered", async (_what, cut) => {
    const { acked, mark, begin } = await lived();
    const { size } = statSync(log());
    truncateSync(log(), cut < 1 ? Math.floor(begin + (size - begin) * cut) : size - cut);
    await house.start();
    const tab = await connected();
    const { recovery, epoch, damaged } = await brokerOf(tab);
    expect(recovery).toMatchObject({ loss: "tail", lastKnownPosition: mark.position });
    const left = await tab.readAll(TOPIC);
    console.info(`${cut < 1 ? `${cut * 100} %` : `${cut} bytes`} of ${size - begin} bytes behind the first ${begin} cut: ${left.length} of ${acked.length} messages left`);
    expect(damaged).toEqual([]);
    expect(epoch).toBeGreaterThan(mark.epoch);
    expect(left.length).toBeLessThan(acked.length);
    expect(left).toEqual(acked.slice(0, left.length).map(({ producer: _producer, ...stored }) => stored));
    const [next] = await tab.send(TOPIC, ["next"]);
    expect(next!.queueOffset).toBeGreaterThan(Math.max(...acked.map(({ queueOffset }) => queueOffset)));
    await tab.consume("second", TOPIC, "second");
    await until(() => bodies("second").length === left.length + 1);
    expect(bodies("second")).toEqual([...left.map((_, at) => `message ${at}`), "next"]);
    // The gap is no backlog of the group that had consumed before.
    expect((await tab.run(({ mq }) => mq.admin.consumeStats("workers"))).diffTotal).toBeLessThanOrEqual(left.length + 1);
  });

  test("control: without the note nothing is reported, offsets are used twice, and the group misses what was sent before it was back", async () => {
    const { acked } = await lived();
    flipBit();
    forgetNote();
    await house.start();
    const tab = await connected();
    const { recovery, epoch } = await brokerOf(tab);
    expect(recovery).toMatchObject({ loss: "none", lastKnownPosition: null });
    expect(epoch).toBe(1);
    const { offset, got } = await comeBack(tab);
    expect(acked.map(({ queueOffset }) => queueOffset)).toContain(offset);
    expect(got).toEqual(["second"]);
  });
});

describe("the database is lost while tabs are open", () => {
  const name = `tabmq/${NAMESPACE}`;
  test.each([
    ["the user clears it", async (tab: Tab) => {
      const session = await tab.chromium.context().newCDPSession(tab.chromium);
      await session.send("Storage.clearDataForOrigin", { origin: house.origin, storageTypes: "indexeddb" });
    }],
    ["DevTools delete it", async (tab: Tab) => {
      const session = await tab.chromium.context().newCDPSession(tab.chromium);
      await session.send("IndexedDB.enable");
      await session.send("IndexedDB.deleteDatabase", { securityOrigin: house.origin, databaseName: name });
    }],
    ["a page deletes it", (tab: Tab) =>
      tab.page.evaluate(
        (given) =>
          new Promise<void>((resolve, reject) => {
            const request = indexedDB.deleteDatabase(given);
            request.onsuccess = () => resolve();
            request.onerror = () => reject(request.error ?? new Error("not deleted"));
          }),
        name,
      )],
  ])("%s: every tab hears of it, and producers and consumers go on by themselves", async (_what, lose) => {
    const [sender, receiver] = [await connected(), await connected()];
    await sender.createTopic(TOPIC, 1);
    await receiver.consume("workers", TOPIC, "before", "CONSUME_FROM_LAST_OFFSET");
    const before = await sender.send(TOPIC, Array.from({ length: 20 }, (_, at) => `message ${at}`));
    await until(() => undelivered(before, house.history.delivered).length === 0);
    const mark = await brokerOf(sender);
    for (const tab of [sender, receiver]) await tab.run(({ mq, box }) => void mq.on("loss", (event) => void ((box.losses ??= []) as unknown[]).push(event)));

    // One message after the other, without end, through the loss.
    await sender.run(({ box, producer, report }, topic) => {
      const work = async (): Promise<number> => {
        let sent = 0;
        for (; box.stop !== true; sent++) {
          const body = `during ${sent}`;
          const { msgId, messageQueue, queueOffset } = await producer.send({ topic, body, tags: "t" });
          await report({ kind: "acked", messages: [{ producer: "house", topic, queueId: messageQueue.queueId, queueOffset, msgId, content: `t ${body}` }] });
        }
        return sent;
      };
      box.work = work();
    }, TOPIC);
    await until(() => house.history.acked.length > before.length);
    await lose(receiver);
    const fresh = (): Acked[] => house.history.acked.filter(({ queueOffset }) => queueOffset > 1e6);
    await until(() => fresh().length >= 20);
    const sent = await sender.run(({ box }) => {
      box.stop = true;
      return box.work as Promise<number>;
    });

    expect(sent).toBe(house.history.acked.length - before.length);
    await until(() => undelivered(fresh(), house.history.delivered).length === 0);
    for (const tab of [sender, receiver]) {
      await until(() => tab.run(({ box }) => Array.isArray(box.losses)));
      expect(await tab.run(({ box }) => box.losses)).toMatchObject([{ loss: "total" }]);
    }
    const { recovery, epoch } = await brokerOf(sender);
    expect(recovery.loss).toBe("total");
    expect(recovery.lastKnownPosition).toBeGreaterThanOrEqual(mark.durablePosition);
    expect(epoch).toBeGreaterThan(mark.epoch);
    // Nothing that was acknowledged before stands where something stands now.
    const old = house.history.acked.filter(({ queueOffset }) => queueOffset <= 1e6);
    expect(new Set(old.map(({ queueOffset }) => queueOffset)).size).toBe(old.length);
  });
});
