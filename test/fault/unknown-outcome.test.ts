/**
 * The device refuses to flush. Chromium aborts the transaction then, and yet what it wrote may be there after the next
 * start: nobody knows what became of the messages in it, and nobody may say so.
 */
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type Acked, lost, type Stored, undelivered } from "../support/history.ts";
import { levelDbLog } from "../support/leveldb.ts";
import { bundle, House, type Tab, type TabConnect, until } from "../support/house.ts";
import { Strace, whyNoStrace } from "../support/strace.ts";

/** The flush of each thread that fails. TABMQ_LONG: `npm run test:fault`. */
const FAILURES = process.env.TABMQ_LONG ? [1, 2, 3, 5, 8, 13] : [2];
const TOPIC = "orders";
const obstacle = whyNoStrace();

let house: House;
afterEach(() => house?.end({ holes: true }));

interface Outcome {
  /** Tags and body, as in a `Stored`. */
  content: string;
  acked: Acked | null;
  code: string;
  outcome: string;
}

/** Three senders, one message after the other, until `settled`. No send is given up by the test. */
function keepSending(tab: Tab, timeout: number): Promise<void> {
  return tab.run(
    async ({ tabmq, mq, box }, given) => {
      const producer = await mq.createProducer({ producerGroup: "senders", sendMsgTimeout: given.timeout, retryTimesWhenSendFailed: 20 });
      const outcomes: Outcome[] = (box.outcomes = []);
      const work = async (sender: number): Promise<void> => {
        for (let at = 0; box.stop !== true; at++) {
          const body = `${sender} ${at}`;
          const content = `t ${body}`;
          try {
            const { msgId, messageQueue, queueOffset } = await producer.send({ topic: given.topic, body, tags: "t" });
            const acked = { producer: `${sender}`, topic: given.topic, queueId: messageQueue.queueId, queueOffset, msgId, content };
            outcomes.push({ content, acked, code: "", outcome: "acked" });
          } catch (error) {
            if (!(error instanceof tabmq.MQError)) throw error;
            outcomes.push({ content, acked: null, code: error.code, outcome: error.outcome });
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
        }
      };
      box.work = Promise.all([0, 1, 2].map(work));
    },
    { timeout, topic: TOPIC },
  );
}

const outcomes = (tab: Tab): Promise<Outcome[]> => tab.run(({ box }) => box.outcomes as Outcome[]);

/** Resolves when every send that was begun has ended. */
function settled(tab: Tab): Promise<Outcome[]> {
  return tab.run(async ({ box }) => {
    box.stop = true;
    await box.work;
    return box.outcomes as Outcome[];
  });
}

interface Run {
  all: Outcome[];
  hits: number;
  /** Of the broker that served when the device was well again; the one before the fault had 1. */
  epoch: number;
  /** What is stored, read after the browser was killed and started again. */
  present: Stored[];
}

interface Fault {
  connect: TabConnect;
  /** Default: flushes fail, with EIO. */
  calls?: string;
  error?: string;
  /** For strace: which of the calls fail. */
  when: string;
  /** Of these files; default all of the browser's. */
  files?: () => string[];
  timeout: number;
  /** The tabs shall go on when it is over. */
  isTransient: boolean;
  /** The device is well again when this holds. */
  until(tab: Tab, strace: Strace): Promise<boolean>;
}

async function failingDevice(fault: Fault): Promise<Run> {
  const { calls = "fsync,fdatasync", error = "EIO" } = fault;
  const [sender, receiver] = [await house.tab(), await house.tab()];
  for (const tab of [sender, receiver]) await tab.connect(fault.connect);
  // The start's filling of LevelDB's log is over: the file that is written to now stays.
  await until(() => sender.page.evaluate(async () => (await indexedDB.databases()).length === 1));
  await sender.createTopic(TOPIC, 1);
  await receiver.consume("workers", TOPIC, "receiver");
  await keepSending(sender, fault.timeout);
  await until(async () => (await outcomes(sender)).length > 10);
  const files = (fault.files?.() ?? []).flatMap((file) => ["-P", file]);
  const strace = await Strace.attach(house.pid, [...files, "-e", `trace=${calls}`, "-e", `inject=${calls}:error=${error}:when=${fault.when}`]);
  await until(() => fault.until(sender, strace));
  const hits = (await strace.detach()).filter(({ result }) => result.includes("INJECTED")).length;
  const before = ackedOf(await outcomes(sender)).length;
  // By themselves: nobody reloads or reconnects.
  if (fault.isTransient) await until(async () => ackedOf(await outcomes(sender)).length >= before + 20);
  const all = await settled(sender);
  if (fault.isTransient) await until(() => undelivered(ackedOf(all), house.history.delivered).length === 0);
  // A broker that takes an abort for a rejection may be of no use any more.
  const epoch = fault.isTransient ? (await sender.run(async ({ mq }) => (await mq.diagnostics()).broker)).epoch : 0;

  await house.kill();
  await house.start();
  const reader = await house.tab();
  await reader.connect(fault.connect);
  const { recovery } = await reader.run(async ({ mq }) => (await mq.diagnostics()).broker);
  expect(recovery).toMatchObject({ loss: "none", damaged: [] });
  return { all, hits, epoch, present: await reader.readAll(TOPIC) };
}

const ackedOf = (all: Outcome[]): Acked[] => all.flatMap(({ acked }) => acked ?? []);

/** Messages of which the sender was told that they are not stored, and which are. */
function deniedYetPresent({ all, present }: Run): string[] {
  const there = new Set(present.map(({ content }) => content));
  return all.filter(({ outcome, content }) => outcome === "rejected" && there.has(content)).map(({ content }) => content);
}

/** A message may be there twice, but under one id. */
function underSeveralIds(messages: Stored[]): string[] {
  const ids = new Map<string, Set<string>>();
  for (const { content, msgId } of messages) ids.set(content, (ids.get(content) ?? new Set()).add(msgId));
  return [...ids].filter(([, all]) => all.size > 1).map(([content]) => content);
}

function expectHonest(run: Run): void {
  expect(lost(ackedOf(run.all), run.present)).toEqual([]);
  expect(deniedYetPresent(run)).toEqual([]);
  expect(underSeveralIds([...run.present, ...house.history.delivered])).toEqual([]);
}

function report(what: string, { all, hits, present }: Run): void {
  const count = (wanted: string): number => all.filter(({ outcome }) => outcome === wanted).length;
  const twice = present.length - new Set(present.map(({ content }) => content)).size;
  const codes = [...new Set(all.map(({ code }) => code))].filter((code) => code !== "").join(", ");
  console.info(`${what}: ${hits} calls failed; ${count("acked")} sends acknowledged, ${count("unknown")} unknown, ${count("rejected")} rejected (${codes}); ${present.length} present, ${twice} of them a second time`);
}

describe.skipIf(obstacle !== undefined)(`fsync fails with EIO${obstacle === undefined ? "" : ` (skipped: ${obstacle})`}`, () => {
  test.each(FAILURES)("once, flush %i of a thread: every send succeeds after the client's retry, none is lost, and a second copy has the same id", async (n) => {
    house = await House.open();
    const run = await failingDevice({ connect: { namespace: "eio" }, when: `${n}`, files: () => [levelDbLog(house.profile)!], timeout: 60_000, isTransient: true, until: (_tab, strace) => Promise.resolve(strace.injected() > 0) });
    report(`EIO at flush ${n}`, run);
    expect(run.hits).toBeGreaterThan(0);
    // It hit: the broker gave up on that store and came back.
    expect(run.epoch).toBeGreaterThan(1);
    expect(run.all.filter(({ outcome }) => outcome !== "acked")).toEqual([]);
    expectHonest(run);
  });

  test("for a while: sends end as unknown or rejected, none is rejected and yet stored, and the tabs go on when it is over", async () => {
    house = await House.open();
    // Sends that were on their way when it began, and sends that came when there was no broker any more.
    const isDoubtful = async (tab: Tab): Promise<boolean> => {
      const all = await outcomes(tab);
      return ["unknown", "rejected"].every((wanted) => all.some(({ outcome }) => outcome === wanted));
    };
    const run = await failingDevice({ connect: { namespace: "eio" }, when: "1+", timeout: 2000, isTransient: true, until: isDoubtful });
    report("EIO for a while", run);
    expect(run.hits).toBeGreaterThan(0);
    expectHonest(run);
  });

  // An abort may also have stored nothing: then such a worker happens to be right.
  test("control: a worker that takes an abort for a rejection denies messages that are stored", { retry: 2 }, async () => {
    house = await House.open({ pages: { "/abort-is-rejected.js": await bundle(join(import.meta.dirname, "workers/abort-is-rejected.ts")) } });
    const isDenied = async (tab: Tab): Promise<boolean> => (await outcomes(tab)).some(({ outcome }) => outcome === "rejected");
    const run = await failingDevice({ connect: { namespace: "eio", worker: "/abort-is-rejected.js" }, when: "1+", timeout: 2000, isTransient: false, until: isDenied });
    report("control", run);
    expect(deniedYetPresent(run)).not.toEqual([]);
  });
});

// The browser refuses long before with its quota; this is another program that fills the disk.
describe.runIf(process.env.TABMQ_LONG && obstacle === undefined)("the disk is full", () => {
  test("writes fail with ENOSPC: every send succeeds after the client's retry when there is room again, and none is lost", async () => {
    house = await House.open();
    const files = (): string[] => [levelDbLog(house.profile)!];
    const run = await failingDevice({ connect: { namespace: "full" }, calls: "write,pwrite64", error: "ENOSPC", when: "1+", files, timeout: 60_000, isTransient: true, until: (_tab, strace) => Promise.resolve(strace.injected() > 0) });
    report("ENOSPC", run);
    expect(run.hits).toBeGreaterThan(0);
    expect(run.epoch).toBeGreaterThan(1);
    expect(run.all.filter(({ outcome }) => outcome !== "acked")).toEqual([]);
    expectHonest(run);
  });

  test("control: a worker that takes the abort for a rejection tells senders so", async () => {
    house = await House.open({ pages: { "/abort-is-rejected.js": await bundle(join(import.meta.dirname, "workers/abort-is-rejected.ts")) } });
    const isDenied = async (tab: Tab): Promise<boolean> => (await outcomes(tab)).some(({ outcome }) => outcome === "rejected");
    const files = (): string[] => [levelDbLog(house.profile)!];
    const run = await failingDevice({ connect: { namespace: "full", worker: "/abort-is-rejected.js" }, calls: "write,pwrite64", error: "ENOSPC", when: "1+", files, timeout: 2000, isTransient: false, until: isDenied });
    report("ENOSPC, control", run);
    expect(run.all.filter(({ outcome }) => outcome !== "acked")).not.toEqual([]);
  });
});
