/**
 * The last tab goes without waiting for any answer: the worker outlives it (`extendedLifetime`) and writes what it was handed.
 * How soon a worker without that option ends is the browser's affair; here the disk is slower than that.
 */
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { bundle, House, type Tab, until } from "../support/house.ts";

let house: House;
beforeAll(async () => void (house = await House.open({ pages: { "/gated.js": await bundle(join(import.meta.dirname, "../fault/workers/gated-disk.ts")) } })));
afterEach(() => house.closeTabs());
afterAll(() => house.close());

/** Sends in one task and leaves in the same one, for a page that has no worker. */
async function sendAndLeave(tab: Tab, count: number): Promise<void> {
  const work = tab.run(({ producer }, given) => {
    for (let at = 0; at < given; at++) producer.sendOneway({ topic: "t", body: `${at} ${"x".repeat(1000)}` });
    location.assign("/blank");
  }, count);
  // A page that is left gives no answer; what follows shows whether it has done it.
  await work.catch(() => {});
  await until(() => tab.page.evaluate(() => location.pathname === "/blank").catch(() => false));
}

test("the last tab goes in the task in which it sends: all is stored", async () => {
  const tab = await house.tab();
  await tab.connect({ namespace: "last" });
  await tab.createTopic("t", 1);
  await tab.send("t", ["first"]);
  await sendAndLeave(tab, 2000);
  await tab.page.close();
  const next = await house.tab();
  await next.connect({ namespace: "last" });
  await until(async () => (await next.readAll("t")).length >= 2001);
  expect(await next.readAll("t")).toHaveLength(2001);
});

describe("on a slow disk", () => {
  /** The disk waits until the page has gone, and the worker with it if it goes too. Resolves with how many of 100 messages are stored. */
  async function stored(namespace: string, extendedLifetime: boolean): Promise<number> {
    const tab = await house.tab();
    await tab.run(async (side, given) => {
      const worker = (name: string): SharedWorker => new SharedWorker("/gated.js", { name, ...(given.extendedLifetime && { extendedLifetime: true }) });
      side.mq = await side.tabmq.connect({ namespace: given.namespace, worker, broker: { traceEnable: false } });
      await side.mq.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
      side.producer = await side.mq.createProducer({ producerGroup: "p" });
      await side.producer.send({ topic: "t", body: "first" });
      await new Promise<void>((resolve) => {
        const channel = new BroadcastChannel("gate");
        channel.addEventListener("message", () => resolve());
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has no target
        channel.postMessage("shut");
      });
    }, { namespace, extendedLifetime });
    await sendAndLeave(tab, 100);
    const isHosted = (): Promise<boolean> => tab.page.evaluate(async (given) => (await navigator.locks.query()).held!.some(({ name }) => name === `tabmq/${given}/writer`), namespace);
    if (extendedLifetime) {
      // As long as a worker without the option needs to end, and longer.
      for (let look = 0; look < 20; look++) {
        expect(await isHosted()).toBe(true);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } else await until(async () => !(await isHosted()));
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- likewise
    await tab.page.evaluate(() => new BroadcastChannel("gate").postMessage("open"));
    const next = await house.tab();
    // At the same worker, if it lives: it reads nothing that is not written.
    await next.run(async (side, given) => {
      const worker = (name: string): SharedWorker => new SharedWorker("/gated.js", { name, ...(given.extendedLifetime && { extendedLifetime: true }) });
      side.mq = await side.tabmq.connect({ namespace: given.namespace, worker });
    }, { namespace, extendedLifetime });
    const count = async (): Promise<number> => (await next.readAll("t")).length - 1;
    if (extendedLifetime) await until(async () => (await count()) === 100);
    return count();
  }

  test("the worker outlives the page, and writes what it was handed", async () => {
    expect(await stored("outlives", true)).toBe(100);
  });

  test("control: one without the option ends with the page, and nothing of it is written", async () => {
    expect(await stored("ends", false)).toBe(0);
  });
});
