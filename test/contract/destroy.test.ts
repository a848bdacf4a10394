/** destroy: the namespace is no more, for everybody, and whoever connects anew finds an empty one in which nothing was lost. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MQError, type TabMQ } from "../../src/index.ts";
import { Witness } from "../../src/client/witness.ts";
import { systemTimers } from "../../src/platform/timers.ts";
import { MemoryStore } from "../../src/storage/memory-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
beforeEach(() => void (origin = new NodeOrigin()));
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

const CLOSED = { code: "CLOSED", field: "namespace" };

async function used(): Promise<TabMQ> {
  const mq = await origin.connect();
  const producer = await mq.createProducer({ producerGroup: "p" });
  await producer.send({ topic: "t", body: "x" });
  await mq.admin.resetOffset({ group: "g", topic: "t", offset: 1 });
  // The tab has noted how far the store had come.
  await until(() => origin.memo.text !== null);
  return mq;
}

test("it is empty afterwards, offsets begin anew, and no loss is reported", async () => {
  const mq = await used();
  await mq.admin.destroy();
  expect([origin.disk.log.size, origin.disk.state.size, origin.disk.queue.size, origin.disk.index.size]).toEqual([0, 0, 0, 0]);
  await expect(mq.admin.topics()).rejects.toMatchObject(CLOSED);
  await mq.close();
  const losses: unknown[] = [];
  const next = await origin.connect();
  next.on("loss", (loss) => losses.push(loss));
  const { recovery, epoch } = (await next.diagnostics()).broker;
  expect([recovery.loss, recovery.lastKnownPosition, epoch]).toEqual(["none", null, 1]);
  expect(await next.admin.topics()).toEqual([]);
  expect(await next.admin.groups()).toEqual([]);
  const sent = await (await next.createProducer({ producerGroup: "p" })).send({ topic: "t", body: "new" });
  expect(sent.queueOffset).toBe(0);
  expect(losses).toEqual([]);
});

test("control: without forgetting what was noted, the next broker reports a loss", async () => {
  vi.spyOn(Witness.prototype, "forget").mockImplementation(() => {});
  const mq = await used();
  await mq.admin.destroy();
  const next = await origin.connect();
  expect((await next.diagnostics()).broker.recovery.loss).toBe("total");
});

test("every other client hears it: calls, sends and consumers end with CLOSED, and none of them brings the namespace back", async () => {
  const mq = await used();
  const other = await origin.connect();
  const idle = await origin.connect();
  const reasons: string[] = [];
  idle.on("disconnected", ({ reason }) => reasons.push(reason));
  const producer = await other.createProducer({ producerGroup: "p" });
  await producer.send({ topic: "t", body: "y" });
  const errors: MQError[] = [];
  const consumer = await other.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: () => {} });
  consumer.on("error", (error) => errors.push(error));
  const simple = await idle.createSimpleConsumer({ consumerGroup: "s", subscriptions: { t: "*" } });
  const received = simple.receive({ max: 1, invisibleDuration: 1000, awaitDuration: 10_000 });
  const isRefused = expect(received).rejects.toMatchObject({ code: "CLOSED" });

  await mq.admin.destroy();
  await expect(producer.send({ topic: "t", body: "late" })).rejects.toMatchObject(CLOSED);
  await expect(idle.admin.topics()).rejects.toMatchObject(CLOSED);
  await isRefused;
  await until(() => errors.some(({ code }) => code === "CLOSED"));
  await until(() => reasons.some((reason) => reason.includes("destroyed")));
  await Promise.all([other.close(), idle.close(), mq.close()]);
  expect(origin.disk.state.size).toBe(0);
  const next = await origin.connect();
  expect((await next.diagnostics()).broker.recovery.loss).toBe("none");
  expect(await next.admin.topics()).toEqual([]);
});

test("the last that every connection tells is its end, once, with the reason; also of one that is closed later", async () => {
  const [mq, other, closed] = [await used(), await origin.connect(), await origin.connect()];
  const told = new Map([mq, other, closed].map((one) => [one, [] as string[]]));
  for (const [one, events] of told) {
    one.on("disconnected", () => events.push("disconnected"));
    one.on("closed", ({ error: { code, field } }) => events.push(`closed ${code} ${field}`));
  }
  await closed.close();
  await until(() => told.get(closed)!.length === 2);
  await mq.admin.destroy();
  await until(() => [...told.values()].every((events) => events.at(-1)?.startsWith("closed") === true));
  await Promise.all([mq.close(), other.close()]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(told.get(closed)).toEqual(["disconnected", "closed CLOSED undefined"]);
  for (const one of [mq, other]) expect(told.get(one)).toEqual(["disconnected", "closed CLOSED namespace"]);
});

test("who asks for the end when it is over is told it, unless they stop listening", async () => {
  const mq = await origin.connect();
  await mq.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const told: string[] = [];
  mq.on("closed", ({ error }) => told.push(error.code));
  mq.on("closed", () => told.push("not wanted"))();
  mq.on("disconnected", () => told.push("disconnected"));
  expect(told).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(told).toEqual(["CLOSED"]);
});

test("two at the same time, and a memory host", async () => {
  const [one, two] = [await used(), await origin.connect()];
  await Promise.all([one.admin.destroy(), two.admin.destroy()]);
  const memory = new NodeOrigin();
  const mq = await memory.connect({ host: "memory" });
  await mq.admin.createTopic({ topic: "t" });
  await mq.admin.destroy();
  const next = await memory.connect({ host: "memory" });
  memory.makeStore = () => new MemoryStore();
  expect(await next.admin.topics()).toEqual([]);
  await memory.close();
});

test("who comes while it goes belongs to the new one, whatever becomes of that one's broker", async () => {
  let newcomer: Promise<TabMQ> | undefined;
  origin.host = origin.newHost({
    heldLocks: async () => {
      const held = () => origin.locks.names().filter((name) => origin.locks.isHeld(name));
      const before = held().length;
      // The tab that destroys may die before it has forgotten what was noted.
      const memo = { text: origin.memo.text, read: () => memo.text, write: (text: string) => void (memo.text = text) };
      newcomer ??= origin.connect({}, { memo });
      await until(() => held().length > before);
      return held();
    },
  });
  await (await used()).admin.destroy();
  const next = await newcomer!;
  const producer = await next.createProducer({ producerGroup: "p" });
  await producer.send({ topic: "t", body: "one" });
  origin.host.broker!.destroy(new MQError("STORAGE_UNAVAILABLE", "The disk hiccups."));
  await producer.send({ topic: "t", body: "two" });
  expect((await next.diagnostics()).broker.epoch).toBe(2);
});

test("a newcomer that has nothing to hear holds nobody up", async () => {
  const held = () => origin.locks.names().filter((name) => origin.locks.isHeld(name));
  let newcomer: Promise<TabMQ> | undefined;
  origin.host = origin.newHost({
    // Nobody's patience ends: what resolves has heard of it.
    timers: { ...systemTimers, after: (ms, run) => (ms === 1500 ? () => {} : systemTimers.after(ms, run)) },
    heldLocks: async () => {
      const before = held().length;
      newcomer ??= origin.connect({}, { memo: null });
      await until(() => held().length > before);
      return held();
    },
  });
  await (await used()).admin.destroy();
  expect((await (await newcomer!).diagnostics()).broker.epoch).toBe(1);
});

test("a browser that does not tell its locks: it is destroyed all the same, and who is connected hears it", async () => {
  origin.host = origin.newHost({ heldLocks: () => Promise.reject(new Error("no query")) });
  const [mq, other] = [await used(), await origin.connect()];
  const codes: string[] = [];
  other.on("closed", ({ error: { code } }) => codes.push(code));
  await mq.admin.destroy();
  await until(() => codes.length > 0);
  expect([codes, origin.disk.log.size]).toEqual([["CLOSED"], 0]);
});

test("a store that cannot be deleted stays as it is, and says so", async () => {
  const mq = await used();
  const { destroy } = MemoryStore.prototype;
  vi.spyOn(MemoryStore.prototype, "destroy").mockRejectedValueOnce(new Error("in use")).mockImplementation(function really(this: MemoryStore) {
    return destroy.call(this);
  });
  await expect(mq.admin.destroy()).rejects.toMatchObject({ code: "INTERNAL_ERROR" });
  expect((await mq.admin.topics()).map(({ topic }) => topic)).toContain("t");
  await mq.admin.destroy();
  expect(origin.disk.log.size).toBe(0);
});
