import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { brokerLock, writerLock } from "../../src/protocol/lock-names.ts";
import type { MessageExt } from "../../src/index.ts";
import { systemTimers, type Timers } from "../../src/platform/timers.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
beforeEach(() => void (origin = new NodeOrigin()));
afterEach(() => origin.close());

/** Waits a hundredth as long. */
const hasty: Timers = { after: (delay, run) => systemTimers.after(delay / 100, run) };

describe("one writer", () => {
  test("a second worker waits, writes nothing, and takes over when the first is gone", async () => {
    const first = await origin.connect();
    await first.admin.createTopic({ topic: "t" });
    const second = origin.newHost();
    const waiting = origin.connect({}, { openBroker: () => ({ port: origin.port(second) as never, onError: () => {} }) });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(second.broker).toBeNull();
    expect(origin.disk.state.get("epoch")).toBe(1);
    origin.locks.steal(writerLock("default")).release();
    const mq = await waiting;
    expect((await mq.diagnostics()).broker.epoch).toBe(2);
    expect((await mq.admin.topics()).map(({ topic }) => topic)).toEqual(["t"]);
  });

  test("a client of a worker that only waits is told why", async () => {
    await origin.connect();
    const second = origin.newHost({ timers: hasty });
    const connecting = origin.connect({}, { timers: hasty, openBroker: () => ({ port: origin.port(second) as never, onError: () => {} }) });
    await expect(connecting).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      message: expect.stringContaining("another version of this app is open in another tab"),
    });
  });

  test("a broker is not announced after its own end", async () => {
    // Tasks of their own may come late on a busy machine.
    const busy: Timers = { after: (delay, run) => systemTimers.after(delay === 0 ? 300 : delay, run) };
    const mq = await origin.connect({}, { timers: busy });
    const events: string[] = [];
    mq.on("connected", ({ epoch }) => events.push(`connected ${epoch}`));
    mq.on("disconnected", () => events.push("disconnected"));
    origin.locks.steal(writerLock("default")).release();
    await until(() => events.includes("connected 2"));
    expect(events).toEqual(["connected 1", "disconnected", "connected 2"]);
  });

  test("a stolen lock ends the broker; its clients find the next one", async () => {
    const mq = await origin.connect();
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "t", body: "1" });
    origin.locks.steal(writerLock("default")).release();
    await producer.send({ topic: "t", body: "2" });
    expect((await mq.diagnostics()).broker.epoch).toBe(2);
  });
});

describe("the broker dies", () => {
  /** The worker is gone without a word: its ports are dead and its locks are free. */
  async function kill(incarnation: string): Promise<void> {
    origin.silence();
    origin.host = origin.newHost();
    origin.locks.steal(writerLock("default")).release();
    origin.locks.steal(brokerLock("default", incarnation)).release();
  }

  test("calls in flight settle, consumers go on, nothing acknowledged is lost", async () => {
    const mq = await origin.connect();
    const other = await origin.connect();
    const seen: MessageExt[] = [];
    await other.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: (message) => void seen.push(message) });
    const producer = await mq.createProducer({ producerGroup: "p" });
    const acked: string[] = [];
    const send = async (i: number): Promise<void> => void acked.push((await producer.send({ topic: "t", body: `${i}` })).msgId);
    for (let i = 0; i < 10; i++) await send(i);
    const { incarnation } = (await mq.diagnostics()).broker;
    const inFlight = [10, 11, 12].map(send);
    const stats = mq.admin.topicStats("t");
    await kill(incarnation);
    await Promise.all([...inFlight, stats]);
    for (let i = 13; i < 20; i++) await send(i);
    await until(() => acked.every((id) => seen.some((message) => message.msgId === id)));
    expect((await mq.diagnostics()).broker.epoch).toBe(2);
  });

  test("control: without the broker's lock nobody notices, and the send ends only at its deadline", async () => {
    const { locks } = origin;
    const deaf = await origin.connect({}, {
      locks: { acquire: (name, options) => (name.includes("/broker/") ? new Promise(() => {}) : locks.acquire(name, options)) },
    });
    const producer = await deaf.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "t", body: "1" });
    await kill((await deaf.diagnostics()).broker.incarnation);
    await expect(producer.send({ topic: "t", body: "2" }, { timeout: 300 })).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED", outcome: "unknown" });
  });
});

describe("sessions", () => {
  test("twenty tabs at once are all served by one broker", async () => {
    const tabs = await Promise.all(Array.from({ length: 20 }, () => origin.connect()));
    const epochs = await Promise.all(tabs.map(async (tab) => (await tab.diagnostics()).broker.epoch));
    expect(new Set(epochs)).toEqual(new Set([1]));
    expect((await tabs[0]!.diagnostics()).broker.sessions).toBe(20);
  });

  test("a client that closes or dies leaves no session behind", async () => {
    const mq = await origin.connect();
    const other = await origin.connect();
    await other.close();
    expect((await mq.diagnostics()).broker.sessions).toBe(1);
    expect([...Array(100).keys()].some((i) => origin.locks.isHeld(`tabmq/default/client/${i}`))).toBe(false);
  });

  test("a client id is unique", async () => {
    const one = await origin.connect({ clientId: "me" });
    await expect(origin.connect({ clientId: "me" })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "connect.clientId" });
    await one.close();
    await origin.connect({ clientId: "me" });
  });

  test("settings of a later client that differ are reported, not taken", async () => {
    await origin.connect({ broker: { defaultTopicQueueNums: 2 } });
    const mq = await origin.connect();
    expect((await mq.diagnostics()).settings.defaultTopicQueueNums).toBe(2);
    const differing = await origin.connect({ broker: { defaultTopicQueueNums: 8 } });
    const ignored = new Promise((resolve) => differing.on("configIgnored", resolve));
    expect(await ignored).toEqual({ name: "defaultTopicQueueNums", asked: 8, running: 2 });
    const { settings, ignored: told, protocol } = await differing.diagnostics();
    expect(settings.defaultTopicQueueNums).toBe(2);
    expect(told).toEqual([await ignored]);
    expect((await mq.diagnostics()).ignored).toEqual([]);
    expect(protocol).toBe(1);
  });

  test("settings that somebody has changed are told to everybody", async () => {
    const [mq, other] = [await origin.connect({ broker: { enableWasmFilter: true } }), await origin.connect()];
    await mq.admin.updateBrokerConfig({ defaultTopicQueueNums: 3 });
    expect((await other.diagnostics()).settings).toMatchObject({ defaultTopicQueueNums: 3, enableWasmFilter: false });
    // This one each tab has for itself.
    expect((await mq.diagnostics()).settings).toMatchObject({ defaultTopicQueueNums: 3, enableWasmFilter: true });
  });

  test("one worker serves one namespace", async () => {
    await origin.connect({ namespace: "a" });
    await expect(origin.connect({ namespace: "b" })).rejects.toMatchObject({ code: "INVALID_PARAMETER" });
  });

  test("connect can be aborted", async () => {
    const abort = new AbortController();
    const connecting = origin.connect({ signal: abort.signal }, { openBroker: () => ({ port: new MessageChannel().port1 as never, onError: () => {} }) });
    abort.abort();
    await expect(connecting).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("a page that is hidden leaves, and is back when it is shown", async () => {
    const page = new EventTarget();
    const on = (event: string) => (listener: () => void) => {
      page.addEventListener(event, listener);
      return () => page.removeEventListener(event, listener);
    };
    const watcher = await origin.connect();
    const mq = await origin.connect({}, { page: { onHide: on("hide"), onShow: on("show") } });
    const seen: string[] = [];
    const consumer = await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: (message) => void seen.push(message.text()) });
    const producer = await watcher.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "t", body: "1" });
    await until(() => seen.length === 1);
    page.dispatchEvent(new Event("hide"));
    await until(async () => (await watcher.diagnostics()).broker.sessions === 1);
    await until(() => consumer.assignment().length === 0);
    await producer.send({ topic: "t", body: "2" });
    page.dispatchEvent(new Event("show"));
    await until(() => seen.length === 2);
    expect(seen).toEqual(["1", "2"]);
  });
});
