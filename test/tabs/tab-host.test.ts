/** Tabs of a browser without SharedWorker: one of them hosts the broker, and when it goes another one does. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { HostDiagnostics } from "../../src/index.ts";
import { deliveredTwice, lost, undelivered } from "../support/history.ts";
import { bundle, DIST, House, type Tab, type TabConnect, until } from "../support/house.ts";

/** As in browsers that have none: taken away before the library is there. */
const WITHOUT = `<!doctype html><meta charset="utf-8"><script>delete globalThis.SharedWorker</script><script type="module" src="/page.js"></script>`;
/** Keeps the workers that it starts. */
const KEEPING = WITHOUT.replace("</script>", "; globalThis.made = []; globalThis.Worker = class extends Worker { constructor(...given) { super(...given); made.push(this); } };</script>");
/** Whatever worker it asks for is not there. */
const BROKEN = WITHOUT.replace("</script>", "; globalThis.Worker = class extends Worker { constructor() { super('/not-there.js'); } };</script>");
const NO_DATABASE = `<!doctype html><meta charset="utf-8"><script>
  Object.defineProperty(globalThis, "indexedDB", { value: null });
  globalThis.warnings = []; console.warn = (text) => globalThis.warnings.push(text);
</script><script type="module" src="/page.js"></script>`;
const REFUSING = `IDBFactory.prototype.open = () => { throw new DOMException("A mutation operation was attempted on a database that did not allow mutations.", "InvalidStateError"); };\n`;

let house: House;
beforeAll(async () => {
  const [built, lawless] = await Promise.all([readFile(join(DIST, "worker.js"), "utf8"), bundle(join(import.meta.dirname, "../fault/workers/no-lock-no-epoch.ts"))]);
  house = await House.open({ pages: { "/without": WITHOUT, "/keeping": KEEPING, "/broken": BROKEN, "/no-database": NO_DATABASE, "/refusing.js": REFUSING + built, "/lawless.js": lawless } });
});
afterEach(() => house.closeTabs());
afterAll(() => house.close());

const bodies = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`);
const of = <T extends { topic: string }>(list: readonly T[], topic: string): T[] => list.filter((message) => message.topic === topic);

interface Told extends HostDiagnostics {
  worker: string;
  epoch: number;
  sessions: number;
}

function hostOf(tab: Tab): Promise<Told> {
  return tab.run(async ({ mq }) => {
    const { host, broker: { worker, epoch, sessions } } = await mq.diagnostics();
    return { ...host, worker, epoch, sessions };
  });
}

async function tabs(count: number, options: TabConnect): Promise<Tab[]> {
  const opened: Tab[] = [];
  for (let at = 0; at < count; at++) {
    const tab = await house.tab("/without");
    await tab.connect(options);
    opened.push(tab);
  }
  return opened;
}

/** Sends one message after the other until it is told to stop, and notes the longest time from one acknowledgement to the next, ms. */
function sendOn(tab: Tab, topic: string): Promise<void> {
  return tab.run(({ box, producer, report }, given) => {
    const work = async (): Promise<void> => {
      box.longest = 0;
      let last = performance.now();
      for (let next = 0; box.stop !== true; next++) {
        const { msgId, messageQueue, queueOffset } = await producer.send({ topic: given, body: `${next}`, tags: "t" }, { timeout: 60_000 });
        const now = performance.now();
        box.longest = Math.max(box.longest as number, now - last);
        last = now;
        await report({ kind: "acked", messages: [{ producer: "s", topic: given, queueId: messageQueue.queueId, queueOffset, msgId, content: `t ${next}` }] });
      }
    };
    box.done = work();
  }, topic);
}

describe("tabs without a SharedWorker", () => {
  test("share: one hosts, all send and consume, each is told where and why", async () => {
    const [a, b, c] = (await tabs(3, { namespace: "share" })) as [Tab, Tab, Tab];
    const told = await Promise.all([a, b, c].map(hostOf));
    expect(told.map(({ isHere }) => isHere)).toEqual([true, false, false]);
    expect(told[1]).toMatchObject({ kind: "dedicated", worker: "dedicated", code: "NO_SHARED_WORKER", epoch: 1, sessions: 3 });
    expect(told[1]!.reason).toMatch(/no SharedWorker/);
    await c.consume("g", "share", "c");
    const acked = [...(await a.send("share", bodies(50, "a"))), ...(await b.send("share", bodies(50, "b"))), ...(await b.send("share", ["x".repeat(400_000)]))];
    await until(() => undelivered(acked, of(house.history.delivered, "share")).length === 0);
    expect(deliveredTwice(of(house.history.delivered, "share"))).toEqual([]);
    expect(lost(acked, await b.readAll("share"))).toEqual([]);
  });

  test.each([
    ["is closed", (tab: Tab) => tab.page.close()],
    ["crashes", (tab: Tab) => tab.crash()],
    ["is reloaded", async (tab: Tab) => void (await tab.page.reload())],
  ])("the host's tab %s while others send: another takes over, calls settle, nothing acknowledged is lost", async (how, end) => {
    const namespace = how.replaceAll(" ", "-");
    const [host, sender, consumer] = (await tabs(3, { namespace })) as [Tab, Tab, Tab];
    await consumer.consume("g", namespace, "c");
    await sendOn(sender, namespace);
    const acked = (): typeof house.history.acked => of(house.history.acked, namespace);
    await until(() => acked().length > 20);
    await end(host);
    const before = acked().length;
    await until(() => acked().length > before + 20);
    const longest = await sender.run(({ box }) => box.longest as number);
    console.info(`the host's tab ${how}: ${Math.round(longest)} ms from one acknowledgement to the next`);
    if (process.env.TABMQ_LONG) expect(longest).toBeLessThan(1000);
    await sender.run(({ box }) => {
      box.stop = true;
      return box.done as Promise<void>;
    });
    await until(() => undelivered(acked(), of(house.history.delivered, namespace)).length === 0);
    const present = await consumer.readAll(namespace);
    expect(lost(acked(), present)).toEqual([]);
    // Sent again, and stored once.
    expect(new Set(present.map(({ msgId }) => msgId)).size).toBe(present.length);
    const told = await Promise.all([sender, consumer].map(hostOf));
    expect(told.map(({ epoch }) => epoch)).toEqual([2, 2]);
    expect(told.filter(({ isHere }) => isHere)).toHaveLength(1);
    const { rows, epoch } = await consumer.epochs(namespace);
    expect([[...new Set(rows)], epoch]).toEqual([[1, 2], 2]);
  });

  test("the host's worker dies, its tab does not: a new worker takes over, calls settle, nothing acknowledged is lost", async () => {
    const host = await house.tab("/keeping");
    await host.connect({ namespace: "worker" });
    const [sender] = (await tabs(1, { namespace: "worker" })) as [Tab];
    const acked = await sender.send("worker", bodies(10, "before "));
    // As when its memory is used up: nobody is told.
    await host.run(() => (globalThis as unknown as { made: Worker[] }).made.at(-1)!.terminate());
    acked.push(...(await sender.send("worker", bodies(10, "after "))), ...(await host.send("worker", bodies(10, "host "))));
    expect(lost(acked, await sender.readAll("worker"))).toEqual([]);
    const told = await Promise.all([host, sender].map(hostOf));
    expect(told).toMatchObject([{ epoch: 2, sessions: 2 }, { epoch: 2, sessions: 2 }]);
    expect(told.filter(({ isHere }) => isHere)).toHaveLength(1);
  });

  test("a namespace that the host's tab destroys is no more for the others either", async () => {
    const [host, b, c] = (await tabs(3, { namespace: "destroyed" })) as [Tab, Tab, Tab];
    await b.send("destroyed", ["x"]);
    await host.run(({ mq }) => mq.admin.destroy());
    const late = (tab: Tab): Promise<string> => tab.run(({ producer }) => producer.send({ topic: "destroyed", body: "late" }).then(() => "sent", (error: { message: string }) => error.message));
    expect(await Promise.all([b, c].map(late))).toEqual([expect.stringContaining("was destroyed"), expect.stringContaining("was destroyed")]);
  });

  test("a connection that is closed in the host's tab hands over", async () => {
    const [host, other] = (await tabs(2, { namespace: "handed" })) as [Tab, Tab];
    const acked = await other.send("handed", bodies(20, "before "));
    await host.run(({ mq }) => mq.close());
    acked.push(...(await other.send("handed", bodies(20, "after "))));
    expect(await hostOf(other)).toMatchObject({ isHere: true, epoch: 2, sessions: 1 });
    expect(lost(acked, await other.readAll("handed"))).toEqual([]);
  });

  test("host: \"dedicated\" is the same where there is a SharedWorker", async () => {
    const [a, b] = [await house.tab(), await house.tab()];
    for (const tab of [a, b]) await tab.connect({ namespace: "asked", host: "dedicated" });
    const acked = await b.send("asked", bodies(10, ""));
    expect([await hostOf(a), await hostOf(b)]).toMatchObject([{ isHere: true, code: "ASKED_FOR", kind: "dedicated" }, { isHere: false, code: "ASKED_FOR", sessions: 2 }]);
    expect(lost(acked, await a.readAll("asked"))).toEqual([]);
  });

  test("beside a SharedWorker that serves, the tab comes in at its door", async () => {
    const [shared, without] = [await house.tab(), await house.tab("/without")];
    await shared.connect({ namespace: "mixed" });
    await without.connect({ namespace: "mixed" });
    const acked = await without.send("mixed", bodies(10, ""));
    expect(lost(acked, await shared.readAll("mixed"))).toEqual([]);
    expect(await hostOf(without)).toMatchObject({ kind: "shared", code: "ANOTHER_SERVES", isHere: false, epoch: 1, sessions: 2 });
  });

  test("so does one that can start no worker; it is refused where nobody serves", async () => {
    const [shared, broken] = [await house.tab(), await house.tab("/broken")];
    expect(await broken.tryConnect({ namespace: "broken" })).toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT", message: expect.stringContaining("failed to start") as string });
    await shared.connect({ namespace: "broken" });
    await broken.connect({ namespace: "broken" });
    const acked = await broken.send("broken", bodies(10, ""));
    expect(lost(acked, await shared.readAll("broken"))).toEqual([]);
    expect(await hostOf(broken)).toMatchObject({ kind: "shared", code: "ANOTHER_SERVES", isHere: false, epoch: 1, sessions: 2 });
  });

  test("host: \"shared\" is refused, and says what is missing", async () => {
    const tab = await house.tab("/without");
    expect(await tab.tryConnect({ namespace: "no", host: "shared" })).toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT", message: expect.stringContaining("SharedWorker") as string });
  });

  test("twenty connections come and go, and leave no lock behind", async () => {
    const tab = await house.tab("/without");
    for (let at = 0; at < 20; at++) {
      await tab.connect({ namespace: "cycles" });
      await tab.run(({ mq }) => mq.close());
    }
    await until(() => tab.run(async () => {
      const { held = [], pending = [] } = await navigator.locks.query();
      return ![...held, ...pending].some(({ name }) => name?.startsWith("tabmq/cycles/"));
    }));
  });
});

describe("who may write", () => {
  /** How many workers have ended up as host at the same time: the epochs of two tabs' brokers, and rows of the log. */
  async function inTurns(namespace: string, worker?: string): Promise<{ violations: string[]; epochs: number[] }> {
    const [a, b] = [await house.tab("/without"), await house.tab("/without")];
    const connect = (tab: Tab): Promise<void> =>
      tab.run(async (side, given) => {
        const own = given.worker === undefined ? {} : { worker: () => new Worker(given.worker!) };
        // Alone in its own eyes: no seat is taken, and nobody is at the door.
        if (given.worker !== undefined) {
          const request = navigator.locks.request.bind(navigator.locks) as (name: string, options: unknown, work: unknown) => Promise<unknown>;
          navigator.locks.request = ((name: string, options: unknown, work: unknown) => request(name.includes("/seat/") ? `${name}/${Math.random()}` : name, options, work)) as typeof navigator.locks.request;
        }
        side.mq = await side.tabmq.connect({ namespace: given.namespace, broker: { traceEnable: false }, ...own });
        side.producer = await side.mq.createProducer({ producerGroup: "house", sendMsgTimeout: 20_000, retryTimesWhenSendFailed: 20 });
      }, { namespace, worker });
    await connect(a);
    await a.createTopic(namespace, 1);
    const acked = await a.send(namespace, bodies(10, "a0 "));
    await connect(b);
    for (let turn = 1; turn <= 4; turn++) {
      acked.push(...(await a.send(namespace, bodies(10, `a${turn} `))), ...(await b.send(namespace, bodies(10, `b${turn} `))));
    }
    const epochs = await Promise.all([a, b].map(async (tab) => (await hostOf(tab)).epoch));
    await house.closeTabs();
    const [reader] = (await tabs(1, { namespace })) as [Tab];
    return { violations: lost(acked, await reader.readAll(namespace)), epochs };
  }

  test("one worker, whoever asks", async () => {
    expect(await inTurns("one")).toEqual({ violations: [], epochs: [1, 1] });
  });

  test("control: without seat, lock and epoch two brokers write over each other", async () => {
    const { violations } = await inTurns("two", "/lawless.js");
    expect(violations).not.toEqual([]);
  });
});

describe("no IndexedDB", () => {
  test("the page has none: the broker keeps everything in memory, and says so loudly", async () => {
    const [a, b] = [await house.tab("/no-database"), await house.tab("/no-database")];
    for (const tab of [a, b]) await tab.connect({ namespace: "none" });
    await a.send("none", ["in memory"]);
    expect((await b.readAll("none")).map(({ content }) => content)).toEqual(["t in memory"]);
    const told = await b.run(async ({ mq }) => ({ ...(await mq.diagnostics()), warnings: (globalThis as unknown as { warnings: string[] }).warnings }));
    expect(told).toMatchObject({ durability: "memory", host: { kind: "memory", code: "INDEXEDDB_UNAVAILABLE" }, broker: { storage: "memory" } });
    expect(told.host.reason).toMatch(/kept in memory only/);
    expect(told.warnings).toEqual([expect.stringContaining(told.host.reason)]);
  });

  test("the worker is refused one: likewise; who asked for a stored one is refused", async () => {
    const tab = await house.tab();
    await tab.connect({ namespace: "refused", worker: "/refusing.js" });
    expect(await hostOf(tab)).toMatchObject({ kind: "memory", code: "INDEXEDDB_UNAVAILABLE", reason: expect.stringContaining("did not allow mutations") as string });
    const strict = await house.tab();
    expect((await strict.tryConnect({ namespace: "refused", worker: "/refusing.js", host: "shared" })).code).toBe("STORAGE_UNAVAILABLE");
  });
});
