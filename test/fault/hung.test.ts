/** A worker in an endless loop: it keeps its locks, and swallows what is sent to it (docs/decisions/0007-hung-host.md). */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lost, undelivered } from "../support/history.ts";
import { engineName } from "../support/engines/engine.ts";
import { bundle, DIST, House, type Tab, until } from "../support/house.ts";

/** Comes to nothing else for `data` ms. Loops would take the processors from all other tests: in npm test it waits for an answer instead, and hangs as well. */
const HANG = process.env.TABMQ_LONG
  ? `for (const end = performance.now() + data; performance.now() < end; );`
  : `const request = new XMLHttpRequest(); request.open("POST", "/late", false); request.send(data);`;
/** Before a worker's own code: hangs when it is told to. */
const HANGS = `new BroadcastChannel("hang/" + self.name).onmessage = ({ data }) => { ${HANG} };\n`;

let house: House;
beforeAll(async () => {
  const variant = (name: string): Promise<string> => bundle(join(import.meta.dirname, `workers/${name}.ts`));
  const [built, noSteal, slowDisk] = await Promise.all([readFile(join(DIST, "worker.js"), "utf8"), variant("no-steal"), variant("slow-disk")]);
  house = await House.open({
    pages: { "/hangs.js": HANGS + built, "/no-steal.js": HANGS + noSteal, "/slow-disk.js": slowDisk, "/other-build.js": built },
    posts: { "/late": (ms) => sleep(Number(ms), null, { ref: false }) },
  });
});
afterAll(() => house.close());

const of = <T extends { topic: string }>(list: readonly T[], topic: string): T[] => list.filter((message) => message.topic === topic);

/** Hangs the namespace's worker of the first generation. */
function hang(tab: Tab, namespace: string, ms: number): Promise<void> {
  return tab.run((_side, given) => {
    const { postMessage } = BroadcastChannel.prototype;
    postMessage.call(new BroadcastChannel(`hang/tabmq/1/${given.namespace}/indexeddb/xl1`), given.ms);
  }, { namespace, ms });
}

const epochOf = (tab: Tab): Promise<number> => tab.run(async ({ mq }) => (await mq.diagnostics()).broker.epoch);
const generation = (tab: Tab, namespace: string): Promise<string | null> => tab.run((_side, given) => localStorage.getItem(`tabmq/${given}/generation`), namespace);

/** One message after the other, told of when acknowledged. Errors that are no unknown outcome are kept. */
function sendOn(tab: Tab, topic: string): Promise<void> {
  return tab.run(({ box, producer, report }, given) => {
    const work = async (): Promise<void> => {
      for (let next = 0; box.stop !== true; next++) {
        const { msgId, messageQueue, queueOffset } = await producer.send({ topic: given, body: `${next}`, tags: "t" }, { timeout: 90_000 });
        await report({ kind: "acked", messages: [{ producer: "s", topic: given, queueId: messageQueue.queueId, queueOffset, msgId, content: `t ${next}` }] });
      }
    };
    box.done = work();
  }, topic);
}

// Each waits for most of its time: together they take as long as the longest.
// In npm test in one engine only: the host is found out by Web Locks and timers, which test/browser holds to their contract in each.
const isRun = engineName() === "chromium" || process.env.TABMQ_LONG !== undefined;
(isRun ? describe.concurrent : describe.skip)("a hung worker", () => {
  test("is replaced within half a minute; what wakes up later is fenced; nothing acknowledged is lost", async () => {
    const namespace = "hung";
    const [sender, consumer] = [await house.tab(), await house.tab()];
    for (const tab of [sender, consumer]) await tab.connect({ namespace, worker: "/hangs.js" });
    await consumer.consume("g", namespace, "c");
    await sendOn(sender, namespace);
    const acked = (): typeof house.history.acked => of(house.history.acked, namespace);
    await until(() => acked().length > 20);

    const hungFor = process.env.TABMQ_LONG ? 60_000 : 35_000;
    const began = Date.now();
    await hang(consumer, namespace, hungFor);
    await until(() => Date.now() - began > 2_000);
    const before = acked().length;
    // A tab that comes now, as after a reload.
    const late = await house.tab();
    expect((await late.tryConnect({ namespace, worker: "/hangs.js" })).code).toBe("connected");
    await until(() => acked().length > before);
    const servedAfter = Date.now() - began;
    console.info(`hung broker: the next one acknowledges after ${servedAfter} ms`);
    expect(servedAfter).toBeLessThan(hungFor);
    expect([await epochOf(sender), await epochOf(consumer), await epochOf(late), await generation(late, namespace)]).toEqual([2, 2, 2, "1"]);

    await until(() => Date.now() - began > hungFor + 3_000);
    await sender.run(({ box }) => void (box.stop = true));
    await sender.run(({ box }) => box.done as Promise<void>);
    // The old one is awake, has nothing to say, and does not get in the way.
    const { rows, epoch } = await sender.epochs(namespace);
    expect([epoch, [...new Set(rows)]]).toEqual([2, [1, 2]]);
    expect(rows).toEqual(rows.toSorted((a, b) => a - b));
    expect(lost(acked(), await late.readAll(namespace))).toEqual([]);
    await until(() => undelivered(acked(), house.history.delivered).length === 0);
  });

  test("control: when nobody takes its place, no call is served", async () => {
    const namespace = "patient";
    const tab = await house.tab();
    await tab.connect({ namespace, worker: "/no-steal.js" });
    await tab.send(namespace, ["before"]);
    await hang(tab, namespace, 120_000);
    const sent = tab.run(({ producer }, topic) => producer.send({ topic, body: "x" }, { timeout: 40_000 }).then(() => "sent", (error: { code: string; outcome: string }) => [error.code, error.outcome]), namespace);
    expect(await sent).toEqual(["DEADLINE_EXCEEDED", "unknown"]);
    expect(await generation(tab, namespace)).toBeNull();
  });

  test("is not what a slow disk makes of it, nor a frozen tab: the host keeps its place although another build waits for it", async () => {
    const namespace = "slow";
    const [tab, frozen, other] = [await house.tab(), await house.tab(), await house.tab()];
    await tab.connect({ namespace, worker: "/slow-disk.js" });
    await frozen.connect({ namespace, worker: "/slow-disk.js" });
    const cdp = await frozen.chromium.context().newCDPSession(frozen.chromium);
    await cdp.send("Page.setWebLifecycleState", { state: "frozen" });
    const sent = tab.run(({ producer }, topic) => producer.send({ topic, body: "x" }, { timeout: 90_000 }).then(() => "sent"), namespace);
    // Its build's worker knocks for ten seconds and more; its own limit says that somebody else is the host.
    expect((await other.tryConnect({ namespace, worker: "/other-build.js" })).code).toBe("DEADLINE_EXCEEDED");
    expect((await other.tryConnect({ namespace, worker: "/other-build.js" })).code).toBe("DEADLINE_EXCEEDED");
    await cdp.send("Page.setWebLifecycleState", { state: "active" });
    expect(await sent).toBe("sent");
    expect([await epochOf(tab), await epochOf(frozen), await generation(tab, namespace)]).toEqual([1, 1, null]);
  });
});
