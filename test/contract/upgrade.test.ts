/** Two versions of this library that speak different ranges of the protocol: who meets whom, and what they are told. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { TabMQ } from "../../src/index.ts";
import type { PortLike } from "../../src/protocol/guarded-endpoint.ts";
import { MemoryDisk, type MemoryStore } from "../../src/storage/memory-store.ts";
import { NodeOrigin } from "../support/node-broker.ts";
import type { TabOrigin } from "../support/tab-origin.ts";

const API = "../../src/protocol/api.ts";

let origins: NodeOrigin[] = [];
beforeEach(() => void (origins = []));
afterEach(async () => {
  await Promise.all(origins.map((origin) => origin.close()));
  vi.doUnmock(API);
  vi.resetModules();
});

/** An origin whose page and worker are of a version that speaks these protocols. */
async function version(range: [number, number]): Promise<NodeOrigin> {
  vi.resetModules();
  vi.doMock(API, async (actual) => ({ ...(await actual<object>()), PROTOCOL_RANGE: range, PROTOCOL_VERSION: range[1] }));
  const { NodeOrigin: Version } = (await import("../support/node-broker.ts")) as { NodeOrigin: typeof NodeOrigin };
  const made = new Version();
  origins.push(made);
  return made;
}

/** A page of the one version at a worker of the other. */
function meet(page: NodeOrigin, worker: NodeOrigin): Promise<TabMQ> {
  return page.connect({}, { locks: worker.locks, openBroker: () => ({ port: worker.port() as unknown as PortLike, onError: () => {} }) });
}

describe("a page and a worker of different versions", () => {
  test.each([
    ["an old page at a new worker", [1, 1], [2, 3], "This broker speaks protocol 2 to 3, the client 1 to 1."],
    ["a new page at an old worker", [2, 3], [1, 1], "This broker speaks protocol 1 to 1, the client 2 to 3."],
  ] as const)("%s is told UPGRADE_REQUIRED, at once, and the worker goes on with its own", async (_what, page, worker, message) => {
    const [theirs, ours] = [await version([...page]), await version([...worker])];
    const began = performance.now();
    await expect(meet(theirs, ours)).rejects.toMatchObject({ code: "UPGRADE_REQUIRED", outcome: "rejected", message: expect.stringContaining(message) as string });
    // Long before `connect` gives up: it does not ask again and again.
    expect(performance.now() - began).toBeLessThan(5000);
    // Not even a broker was started for it.
    expect([ours.host.broker, ours.disk.state.size]).toEqual([null, 0]);

    const own = await ours.connect();
    const producer = await own.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "t", body: "before" });
    await expect(meet(theirs, ours)).rejects.toMatchObject({ code: "UPGRADE_REQUIRED" });
    await producer.send({ topic: "t", body: "after" });
    expect((await own.diagnostics()).broker).toMatchObject({ epoch: 1, sessions: 1 });
  });

  test.each([
    ["an old page at a new worker", [1, 1], [1, 2]],
    ["a new page at an old worker", [1, 2], [1, 1]],
  ] as const)("control: %s is served when both know a protocol", async (_what, page, worker) => {
    const [theirs, ours] = [await version([...page]), await version([...worker])];
    const mq = await meet(theirs, ours);
    const producer = await mq.createProducer({ producerGroup: "p" });
    expect((await producer.send({ topic: "t", body: "both know protocol 1" })).queueOffset).toBe(0);
    expect(await mq.admin.topics()).toHaveLength(1);
  });
});

/** The same origin in virtual time, with tabs and workers of versions that speak these protocols, over one disk. */
async function versions(...ranges: [number, number][]): Promise<TabOrigin[]> {
  const disk = new MemoryDisk();
  const made: TabOrigin[] = [];
  for (const range of ranges) {
    vi.resetModules();
    vi.doMock(API, async (actual) => ({ ...(await actual<object>()), PROTOCOL_RANGE: range, PROTOCOL_VERSION: range[1] }));
    const { TabOrigin: Version } = (await import("../support/tab-origin.ts")) as { TabOrigin: typeof TabOrigin };
    const { MemoryStore: Store } = (await import("../../src/storage/memory-store.ts")) as { MemoryStore: typeof MemoryStore };
    made.push(new Version(() => new Store(disk), made[0]));
  }
  return made;
}

async function seen(mq: TabMQ): Promise<{ protocol: number; epoch: number; sessions: number; isHere: boolean }> {
  const { protocol, host: { isHere }, broker: { epoch, sessions } } = await mq.diagnostics();
  return { protocol, epoch, sessions, isHere };
}

const sendTo = async (mq: TabMQ, bodies: string[]): Promise<string[]> => {
  const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000, retryTimesWhenSendFailed: 20 });
  return Promise.all(bodies.map(async (body) => (await producer.send({ topic: "t", body })).msgId));
};

const bodies = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`);

/** What consumers of the topic's only group get. */
async function consume(mq: TabMQ, got: string[]): Promise<void> {
  await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: ({ msgId }) => void got.push(msgId) });
}

describe("tabs of two versions at the same time", () => {
  test("the later one's worker takes over, without a word lost; the earlier tab goes on, in the language that both know", async () => {
    const [old, next] = (await versions([1, 1], [1, 2])) as [TabOrigin, TabOrigin];
    await old.time.run((async () => {
      const before = await old.connect();
      const got: string[] = [];
      await consume(before, got);
      const acked = await sendTo(before, bodies(20, "before "));
      // On their way when the other one comes.
      const meanwhile = sendTo(before, bodies(200, "meanwhile "));
      const after = await next.connect();
      acked.push(...(await meanwhile), ...(await sendTo(after, bodies(20, "new "))), ...(await sendTo(before, bodies(20, "old "))));
      expect(await seen(after)).toEqual({ protocol: 2, epoch: 2, sessions: 2, isHere: true });
      expect(await seen(before)).toEqual({ protocol: 1, epoch: 2, sessions: 2, isHere: false });
      await old.time.sleep(20_000);
      expect(got.toSorted()).toEqual(acked.toSorted());
      expect(old.serving).toEqual([]);
      // The later one goes: who is left serves again.
      next.killTab(after);
      acked.push(...(await sendTo(before, bodies(5, "alone "))));
      expect(await seen(before)).toEqual({ protocol: 1, epoch: 3, sessions: 1, isHere: true });
      await old.time.sleep(5000);
      expect(got.toSorted()).toEqual(acked.toSorted());
    })());
  });

  test("an earlier tab that comes later leaves the host where it is", async () => {
    const [old, next] = (await versions([1, 1], [1, 2])) as [TabOrigin, TabOrigin];
    await old.time.run((async () => {
      const newer = await next.connect();
      const older = await old.connect();
      await sendTo(older, bodies(10, "old "));
      await old.time.sleep(20_000);
      expect(await seen(older)).toEqual({ protocol: 1, epoch: 1, sessions: 2, isHere: false });
      expect(await seen(newer)).toMatchObject({ protocol: 2, epoch: 1, isHere: true });
      // Its own worker has gone: nobody asks it.
      expect(old.living).toEqual([]);
    })());
  });

  test("control: of two of the same version neither gives way", async () => {
    const [one, other] = (await versions([1, 2], [1, 2])) as [TabOrigin, TabOrigin];
    await one.time.run((async () => {
      const first = await one.connect();
      const second = await other.connect();
      await one.time.sleep(10_000);
      expect([await seen(first), await seen(second)]).toMatchObject([{ epoch: 1, isHere: true }, { epoch: 1, isHere: false }]);
    })());
  });

  test("with no language in common the earlier tab is told UPGRADE_REQUIRED, also in calls that wait, and loses nothing that was acknowledged", async () => {
    const [old, next] = (await versions([1, 1], [2, 3])) as [TabOrigin, TabOrigin];
    await old.time.run((async () => {
      const before = await old.connect();
      const acked = await sendTo(before, bodies(20, "before "));
      const after = await next.connect();
      expect(await seen(after)).toMatchObject({ protocol: 3, epoch: 2, isHere: true });
      const began = old.time.monotonic();
      await expect(before.admin.topics()).rejects.toMatchObject({ code: "UPGRADE_REQUIRED", message: expect.stringContaining("Reload") as string });
      // Not after the call's deadline.
      expect(old.time.monotonic() - began).toBeLessThan(5000);
      await expect(old.connect()).rejects.toMatchObject({ code: "UPGRADE_REQUIRED" });
      const got: string[] = [];
      await after.createPushConsumer({ consumerGroup: "g", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", subscriptions: { t: "*" }, messageListener: ({ msgId }) => void got.push(msgId) });
      await old.time.sleep(5000);
      expect(got.toSorted()).toEqual(acked.toSorted());
    })());
  });
});
