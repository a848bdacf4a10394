/** How trace is gathered and sent: in bounded memory, and nobody waits for it. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { BrokerGone } from "../../src/client/channel.ts";
import type { Connection } from "../../src/client/connection.ts";
import { Tracer } from "../../src/client/tracer.ts";
import { MQError } from "../../src/model/errors.ts";
import * as limits from "../../src/model/limits.ts";
import type { MessageExt } from "../../src/model/message.ts";
import { decodeRecords } from "../../src/model/record-codec.ts";
import { Events } from "../../src/platform/events.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { openFrame } from "../../src/protocol/frame.ts";

const { MAX_TRACE_BURST, TRACE_RATE, MAX_TRACE_WAITING, TRACE_BATCH_RECORDS, TRACE_DELAY, TRACE_FRAME_RECORDS, TRACE_INTERVAL } = limits;

/** A connection as a tracer sees it. */
class Fake {
  readonly options = { clientId: "tab" };
  readonly lifecycle = new Events<{ open: null; lost: null; hide: null }>();
  serving = { settings: { traceEnable: true as boolean | undefined } };
  isOpen = true;
  readonly frames: MessageExt[][] = [];
  /** What becomes of the next frames. */
  answer: () => Promise<{ refused: unknown[] }> = async () => ({ refused: [] });
  readonly environment = {
    random: systemRandom,
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    timers: { after: (ms: number, run: () => void) => ((timer) => () => clearTimeout(timer))(setTimeout(run, ms)) },
  };

  async callOnce(method: string, [frame]: [unknown]): Promise<unknown> {
    if (method === "route") return {};
    this.frames.push(decodeRecords(openFrame(frame).records, "broker"));
    return this.answer();
  }

  get records(): string[] {
    return this.frames.flat().flatMap((message) => message.text().split("\u0002").slice(0, -1));
  }
}

let fake: Fake;
let tracer: Tracer;
beforeEach(() => {
  vi.useFakeTimers();
  fake = new Fake();
  tracer = new Tracer(fake as unknown as Connection);
  return () => void vi.useRealTimers();
});

const message = (at: number, topic = "t"): MessageExt => ({ topic, msgId: at.toString(16).toUpperCase().padStart(32, "0") }) as MessageExt;
function consume(count: number, from = 0): void {
  for (let at = 0; at < count; at++) tracer.ended(tracer.began("g", [message(from + at)], 0)!, { returnType: "SUCCESS" });
}
const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test("the first goes soon, what follows together a second later, and then nothing stands", async () => {
  consume(1);
  await wait(TRACE_DELAY);
  expect(fake.records).toHaveLength(1);
  consume(100);
  await wait(TRACE_INTERVAL - TRACE_DELAY);
  expect(fake.records).toHaveLength(1);
  await wait(TRACE_DELAY);
  expect(fake.records).toHaveLength(101);
  expect(fake.frames).toHaveLength(2);
  expect(fake.frames[1]!.map(({ keys }) => keys.length)).toEqual([TRACE_BATCH_RECORDS, 100 - TRACE_BATCH_RECORDS]);
  await wait(TRACE_DELAY);
  expect(vi.getTimerCount()).toBe(0);
});

test("many do not wait; one frame is on its way at a time", async () => {
  let answer = (): void => {};
  fake.answer = () => new Promise((resolve) => (answer = () => resolve({ refused: [] })));
  consume(TRACE_FRAME_RECORDS);
  await wait(0);
  consume(3 * TRACE_FRAME_RECORDS);
  await wait(0);
  expect(fake.frames).toHaveLength(1);
  for (let frame = 1; frame <= 4; frame++) {
    expect(fake.frames).toHaveLength(frame);
    answer();
    await wait(0);
  }
  expect(fake.records).toHaveLength(4 * TRACE_FRAME_RECORDS);
});

describe("bounded", () => {
  test("a broker that does not answer: so many wait, the rest is dropped and counted", async () => {
    fake.answer = () => new Promise(() => {});
    consume(TRACE_FRAME_RECORDS);
    await wait(0);
    consume(MAX_TRACE_WAITING + 500);
    expect(tracer.counts).toEqual({ written: 0, dropped: 500 });
  });

  test("messages that nobody gives back are told as begun, and not kept", async () => {
    for (let at = 0; at < MAX_TRACE_WAITING + 7; at++) tracer.began("g", [message(at)], 0);
    expect(tracer.counts.dropped).toBe(7);
    await wait(10 * TRACE_INTERVAL);
    expect(fake.records).toHaveLength(MAX_TRACE_WAITING);
    expect(fake.records.every((record) => record.startsWith("SubBefore"))).toBe(true);
  });

  test("no broker for long: no timer stands, and with the next one it goes on", async () => {
    fake.isOpen = false;
    consume(10);
    await wait(60_000);
    expect([vi.getTimerCount(), fake.frames.length]).toEqual([0, 0]);
    fake.isOpen = true;
    fake.lifecycle.emit("open", null);
    await wait(TRACE_DELAY);
    expect(fake.records).toHaveLength(10);
  });
});

describe("successes of which there are too many", () => {
  const fail = (at: number) => tracer.ended(tracer.began("g", [message(at)], 0)!, { returnType: "FAILED", reason: "no" });
  /** Tells so many, with time to send them in between. */
  async function work(count: number): Promise<void> {
    for (let done = 0; done < count; done += 1000) {
      consume(Math.min(1000, count - done));
      await wait(0);
    }
  }

  test("are left out and counted; failures never are", async () => {
    await work(MAX_TRACE_BURST + 300);
    for (let at = 0; at < 50; at++) fail(at);
    await wait(2 * TRACE_INTERVAL);
    const told = fake.records.map((record) => record.split("\u0001")[4]);
    expect([told.filter((success) => success === "true").length, told.filter((success) => success === "false").length]).toEqual([MAX_TRACE_BURST, 50]);
    expect(tracer.counts).toEqual({ written: MAX_TRACE_BURST + 50, dropped: 300 });
  });

  test("a rest earns as many as its seconds, up to a limit", async () => {
    await work(MAX_TRACE_BURST);
    await wait(500);
    await work(TRACE_RATE);
    expect(tracer.counts.dropped).toBe(TRACE_RATE / 2);
    await wait(3_600_000);
    await work(MAX_TRACE_BURST + 1);
    expect(tracer.counts.dropped).toBe(TRACE_RATE / 2 + 1);
  });

  test("of a batch each by itself", async () => {
    await work(MAX_TRACE_BURST);
    const batch = tracer.began("g", [message(1), message(2)], 0)!;
    tracer.ended(batch, { returnType: "SUCCESS", isConsumed: (at) => at === 0 });
    await wait(2 * TRACE_INTERVAL);
    expect(fake.records.at(-1)!.split("\u0001").slice(2, 5)).toEqual([message(2).msgId, "0", "false"]);
    expect(tracer.counts.dropped).toBe(1);
  });
});

describe("nobody fails by it", () => {
  test.each([
    ["refuses all", () => Promise.reject(new MQError("STORAGE_FULL", "no room"))],
    ["refuses a message", async () => ({ refused: [{ index: 0, error: {} }] })],
  ])("a broker that %s: dropped, counted, and not tried again and again", async (_what, answer) => {
    fake.answer = answer;
    consume(5);
    await wait(10 * TRACE_INTERVAL);
    expect(fake.frames).toHaveLength(1);
    expect(tracer.counts).toEqual({ written: 0, dropped: 5 });
  });

  test("a broker that dies: what was on its way goes to the next one", async () => {
    fake.answer = () => Promise.reject(new BrokerGone());
    consume(5);
    await wait(TRACE_DELAY);
    fake.lifecycle.emit("lost", null);
    fake.answer = async () => ({ refused: [] });
    fake.lifecycle.emit("open", null);
    await wait(2 * TRACE_INTERVAL);
    expect(fake.records).toHaveLength(10);
    expect(tracer.counts).toEqual({ written: 5, dropped: 0 });
  });

  test("a broker that does not answer: neither flush nor close waits for ever", async () => {
    fake.answer = () => new Promise(() => {});
    consume(5);
    const over = Promise.all([tracer.flush(), tracer.close()]);
    await wait(1000);
    await over;
    expect(vi.getTimerCount()).toBe(0);
  });
});

test("a page that goes away says at once what it has to say", async () => {
  consume(1);
  await wait(TRACE_DELAY);
  consume(1);
  tracer.began("g", [message(77)], 0);
  fake.lifecycle.emit("hide", null);
  expect(fake.records.map((record) => record.split("\u0001")[0])).toEqual(["SubAfter", "SubAfter", "SubBefore"]);
});

test("trace itself is not traced, and nothing is where the broker does not want it or does not know of it", async () => {
  expect(tracer.began("g", [message(1, "RMQ_SYS_TRACE_TOPIC")], 0)).toBeNull();
  for (const traceEnable of [false, undefined]) {
    fake.serving = { settings: { traceEnable } };
    fake.lifecycle.emit("open", null);
    expect(tracer.began("g", [message(1)], 0)).toBeNull();
    tracer.producer("p", "0".repeat(20));
    tracer.recall({ group: "p", topic: "t", msgId: message(1).msgId, success: true });
    tracer.endTransaction({ group: "p", topic: "t", msgId: message(1).msgId, transactionId: "", state: "COMMIT", fromCheck: false });
    await wait(TRACE_INTERVAL);
    expect([fake.frames.length, vi.getTimerCount()]).toEqual([0, 0]);
  }
});

test("decisions and recalls", async () => {
  tracer.recall({ group: "p", topic: "t", msgId: message(1).msgId, success: true });
  tracer.endTransaction({ group: "p", topic: "t", msgId: message(2).msgId, transactionId: message(2).msgId, state: "ROLLBACK", fromCheck: true });
  await wait(TRACE_DELAY);
  expect(fake.frames[0]![0]!.keys).toEqual([message(1).msgId, message(2).msgId]);
  expect(fake.records.map((record) => record.split("\u0001")[0])).toEqual(["Recall", "EndTransaction"]);
});
