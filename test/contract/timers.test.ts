/** Messages with a time of their own, in virtual time: never early, once, in the order in which they are due. */
import { describe, expect, test, vi } from "vitest";
import { FinishedTimers } from "../../src/broker/finished-timers.ts";
import type { Message, SendResult } from "../../src/index.ts";
import type { BrokerSettings } from "../../src/protocol/broker-settings.ts";
import { CommitLog } from "../../src/storage/commit-log.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { TsTimerIndex } from "../../src/storage/ts-timer-index.ts";
import { SHORT } from "../support/effort.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";

const SECOND = 1000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

class World {
  readonly origin: VirtualOrigin;
  /** What came, and when, ms after the start of time and on the wall clock. */
  readonly got: { text: string; at: number; wall: number; msgId: string; properties: Record<string, string> }[] = [];
  send: (message: Omit<Message, "topic">) => Promise<SendResult> = () => Promise.reject(new Error("not open"));
  recall: (handle: string | undefined) => Promise<boolean> = () => Promise.reject(new Error("not open"));
  #jump = 0;
  readonly #elapsed: () => number;

  constructor(disk: MemoryDisk) {
    this.origin = new VirtualOrigin(() => new MemoryStore(disk), { memo: null });
    const { time } = this.origin;
    const now = time.now.bind(time);
    const began = now();
    this.#elapsed = () => now() - began;
    time.now = () => now() + this.#jump;
    time.monotonic = now;
  }

  get wall(): number {
    return this.origin.time.now();
  }

  async open(broker: Partial<BrokerSettings> = {}): Promise<void> {
    const mq = await this.origin.connect({ broker: { defaultTopicQueueNums: 1, ...broker } });
    await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", orderly: true,
      messageListener: (message) => void this.got.push({ text: message.text(), at: this.#elapsed(), wall: this.wall, msgId: message.msgId, properties: message.properties }),
    });
    const producer = await mq.createProducer({ producerGroup: "p" });
    this.send = (message) => producer.send({ topic: "t", ...message });
    this.recall = async (handle) => (await producer.recall(handle!)).recalled;
  }

  /** The wall clock is set. */
  jump(by: number): void {
    this.#jump += by;
  }

  sleep(ms: number): Promise<void> {
    return this.origin.time.sleep(ms);
  }

  get texts(): string[] {
    return this.got.map(({ text }) => text);
  }
}

async function inTime(work: (world: World) => Promise<void>, disk = new MemoryDisk()): Promise<void> {
  const world = new World(disk);
  await world.origin.time.run(work(world));
  world.origin.killAll();
}

test("as many as one row of finished timers has: none comes again at the next start, and none that was called off", () =>
  inTime(async (world) => {
    await world.open();
    const sent = await Promise.all(Array.from({ length: 8193 }, (_, at) => world.send({ body: `${at}`, deliverAfter: at < 8192 ? MINUTE : HOUR })));
    expect(await world.recall(sent[5]!.recallHandle)).toBe(true);
    await world.sleep(2 * MINUTE);
    expect(world.got).toHaveLength(8191);
    await world.origin.stopWorker();
    await world.open();
    await world.sleep(2 * HOUR);
    expect(world.texts).toHaveLength(8192);
    expect(new Set(world.texts).size).toBe(8192);
    expect(world.texts).not.toContain("5");
    expect(await world.recall(sent[5]!.recallHandle)).toBe(true);
  }));

test("each comes at its time, to the ms, and in the order of the times", () =>
  inTime(async (world) => {
    await world.open();
    const began = world.wall;
    await world.send({ body: "c", deliverAt: began + 90 * SECOND });
    await world.send({ body: "a", deliverAfter: 1500 });
    await world.send({ body: "now" });
    await world.send({ body: "b", deliverAt: new Date(began + 60_001) });
    const late = await world.send({ body: "past", deliverAt: began - HOUR });
    expect(late.recallHandle).toBeUndefined();
    await world.send({ body: "none", deliverAfter: 0 });
    await world.sleep(2 * MINUTE);
    expect(world.texts).toEqual(["now", "past", "none", "a", "b", "c"]);
    for (const [index, due] of [began + 1500, began + 60_001, began + 90 * SECOND].entries()) {
      expect(world.got[index + 3]!.wall).toBeGreaterThanOrEqual(due);
      expect(world.got[index + 3]!.wall).toBeLessThanOrEqual(due + 50);
    }
    // Nothing of its way is left.
    for (const { properties } of world.got) expect(properties).toEqual({});
  }));

test("levels and times of their own in one order", () =>
  inTime(async (world) => {
    await world.open({ messageDelayLevel: "10s 1m" });
    await world.send({ body: "l60", delayTimeLevel: 2 });
    await world.send({ body: "t70", deliverAfter: 70 * SECOND });
    await world.send({ body: "t9", deliverAfter: 9 * SECOND });
    await world.send({ body: "l10", delayTimeLevel: 1 });
    world.origin.killAll();
    world.jump(HOUR);
    await world.open({ messageDelayLevel: "10s 1m" });
    await world.sleep(10 * SECOND);
    expect(world.texts).toEqual(["t9", "l10", "l60", "t70"]);
  }));

test("beyond timerMaxDelay it is refused, by the broker's setting; exactly that is taken", () =>
  inTime(async (world) => {
    await world.open({ timerMaxDelay: HOUR });
    await world.send({ body: "x", deliverAfter: HOUR });
    const refused = { code: "MESSAGE_ILLEGAL", outcome: "rejected" };
    await expect(world.send({ body: "x", deliverAfter: HOUR + 1 })).rejects.toMatchObject(refused);
    await expect(world.send({ body: "x", deliverAt: world.wall + 2 * HOUR })).rejects.toMatchObject(refused);
    expect((await world.origin.connect()).clientId).toBeTruthy();
  }));

describe("what is no time", () => {
  test.each([
    ["deliverAfter", Number.NaN], ["deliverAfter", Number.POSITIVE_INFINITY], ["deliverAfter", "5"], ["deliverAfter", null], ["deliverAfter", new Date()],
    ["deliverAt", Number.NaN], ["deliverAt", new Date(Number.NaN)], ["deliverAt", "2026-01-01"], ["deliverAt", Number.POSITIVE_INFINITY], ["deliverAt", 1e17],
  ])("%s: %s", (field, value) =>
    inTime(async (world) => {
      await world.open();
      await expect(world.send({ body: "x", [field]: value })).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL", field: `message.${field}` });
    }));

  test("a Date that is none is called so", () =>
    inTime(async (world) => {
      await world.open();
      await expect(world.send({ body: "x", deliverAt: new Date(Number.NaN) })).rejects.toThrow("not an invalid Date");
    }));

  test.each([{ deliverAfter: 1, deliverAt: 1 }, { deliverAfter: 1, delayTimeLevel: 1 }, { deliverAt: 1, delayTimeLevel: 1 }])("%j: a message has one time", (both) =>
    inTime(async (world) => {
      await world.open();
      await expect(world.send({ body: "x", ...both })).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL" });
    }));

  test("a level of 0 is none, and a time beside it counts; parts of a ms are waited for; before 1970 is past", () =>
    inTime(async (world) => {
      await world.open();
      await world.send({ body: "later", delayTimeLevel: 0, deliverAfter: 99.5 });
      await world.send({ body: "past", deliverAt: -5 });
      await world.send({ body: "never was", deliverAfter: Number.NEGATIVE_INFINITY });
      await world.sleep(SECOND);
      expect(world.texts).toEqual(["past", "never was", "later"]);
      expect(world.got[2]!.at).toBeGreaterThanOrEqual(100);
    }));
});

describe("clocks", () => {
  test("the clock is set back by an hour: nothing is early, what asks for a time waits for the clock to say so", () =>
    inTime(async (world) => {
      await world.open();
      const at = world.wall + 10 * MINUTE;
      await world.send({ body: "before", deliverAt: at });
      await world.sleep(SECOND);
      world.jump(-HOUR);
      await world.send({ body: "after", deliverAt: world.wall + 5 * MINUTE });
      await world.send({ body: "soon", deliverAfter: 5 * SECOND });
      await world.sleep(3 * HOUR);
      expect(world.texts).toEqual(["soon", "after", "before"]);
      expect(world.got[2]!.wall).toBeGreaterThanOrEqual(at);
    }));

  test("it jumps forward, as when the machine has slept: what is due comes once, in its order, within a minute", () =>
    inTime(async (world) => {
      await world.open();
      for (const minutes of [20, 10, 120, 15]) await world.send({ body: `${minutes}`, deliverAfter: minutes * MINUTE });
      await world.sleep(SECOND);
      world.jump(HOUR);
      await world.sleep(2 * HOUR);
      expect(world.texts).toEqual(["10", "15", "20", "120"]);
      expect(world.got[2]!.at).toBeLessThan(2 * MINUTE);
      expect(world.got[3]!.at).toBeGreaterThanOrEqual(HOUR);
    }));

  test("it is set back while the browser is closed: nothing is early", async () => {
    const disk = new MemoryDisk();
    await inTime(async (world) => {
      await world.open();
      const at = world.wall + MINUTE;
      await world.send({ body: "x", deliverAt: at });
      world.origin.killAll();
      world.jump(-HOUR);
      await world.open();
      await world.sleep(30 * MINUTE);
      expect(world.texts).toEqual([]);
      await world.sleep(HOUR);
      expect(world.texts).toEqual(["x"]);
      expect(world.got[0]!.wall).toBeGreaterThanOrEqual(at);
    }, disk);
  });
});

describe("the next start", () => {
  test("what came due while nobody was there comes once, in due order; the rest at its time", () =>
    inTime(async (world) => {
      await world.open();
      for (const minutes of [50, 10, 180, 30, 20]) await world.send({ body: `${minutes}`, deliverAfter: minutes * MINUTE });
      await world.sleep(12 * MINUTE);
      world.origin.killAll();
      world.jump(HOUR);
      await world.open();
      await world.sleep(MINUTE);
      expect(world.texts).toEqual(["10", "20", "30", "50"]);
      world.origin.killAll();
      await world.open();
      await world.sleep(3 * HOUR);
      expect(world.texts).toEqual(["10", "20", "30", "50", "180"]);
    }));

  test("reads no messages to know what waits", () =>
    inTime(async (world) => {
      await world.open();
      for (let index = 0; index < 50; index++) await world.send({ body: "x".repeat(1000), deliverAfter: HOUR + index });
      await world.sleep(10 * SECOND);
      world.origin.killAll();
      const spies = [vi.spyOn(CommitLog.prototype, "readInto"), vi.spyOn(CommitLog.prototype, "readRecord")];
      await world.open();
      await world.sleep(10 * MINUTE);
      for (const spy of spies) expect(spy).not.toHaveBeenCalled();
      await world.sleep(HOUR);
      expect(spies[0]).toHaveBeenCalled();
      for (const spy of spies) spy.mockRestore();
      expect(world.got).toHaveLength(50);
    }));

  test("control: one that has forgotten which were delivered delivers them twice", () =>
    inTime(async (world) => {
      await world.open();
      await world.send({ body: "a", deliverAfter: SECOND });
      await world.sleep(10 * SECOND);
      world.origin.killAll();
      const spy = vi.spyOn(FinishedTimers.prototype, "restore").mockImplementation(() => {});
      await world.open();
      await world.sleep(MINUTE);
      spy.mockRestore();
      expect(world.texts).toEqual(["a", "a"]);
    }));
});

describe("recall", () => {
  test("is true when the message never comes, also under later brokers, and the same again", () =>
    inTime(async (world) => {
      await world.open();
      const [kept, gone] = [await world.send({ body: "kept", deliverAfter: MINUTE }), await world.send({ body: "gone", deliverAfter: MINUTE })];
      expect(kept.recallHandle).not.toBe(gone.recallHandle);
      expect(await world.recall(gone.recallHandle)).toBe(true);
      world.origin.killAll();
      await world.open();
      expect(await world.recall(gone.recallHandle)).toBe(true);
      await world.sleep(2 * MINUTE);
      expect(world.texts).toEqual(["kept"]);
      // Its time has passed, and still it has not come.
      expect(await world.recall(gone.recallHandle)).toBe(true);
      expect(await world.recall(kept.recallHandle)).toBe(false);
    }));

  test("control: what only memory knows is delivered by the next broker", () =>
    inTime(async (world) => {
      await world.open();
      const { recallHandle } = await world.send({ body: "x", deliverAfter: MINUTE });
      const spies = [vi.spyOn(FinishedTimers.prototype, "saved").mockResolvedValue(), vi.spyOn(FinishedTimers.prototype, "finish").mockImplementation(() => {})];
      expect(await world.recall(recallHandle)).toBe(true);
      for (const spy of spies) spy.mockRestore();
      world.origin.killAll();
      await world.open();
      await world.sleep(2 * MINUTE);
      expect(world.texts).toEqual(["x"]);
    }));

  test("of what is no handle, or of another broker, is refused; of what nobody knows it is false", () =>
    inTime(async (world) => {
      await world.open();
      const { recallHandle } = await world.send({ body: "x", deliverAfter: MINUTE });
      const [, topic, , due, msgId] = atob(recallHandle!.replaceAll("-", "+").replaceAll("_", "/")).split(" ");
      const encode = (...parts: (string | undefined)[]): string => btoa(parts.join(" ")).replaceAll("=", "");
      for (const bad of [undefined, "", "x", "v1", encode("v2", topic, "broker-a", due, msgId), encode("v1", topic, "broker-a", msgId), encode("v1", topic, "broker-b", due, msgId), encode("v1", topic, "broker-a", "9".repeat(16), msgId), "ä".repeat(2000), 7, {}]) {
        await expect(world.recall(bad as string)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "recallHandle" });
      }
      expect(await world.recall(encode("v1", topic, "broker-a", due, "F".repeat(32)))).toBe(false);
      expect(await world.recall(encode("v1", "other", "broker-a", due, msgId))).toBe(false);
      expect(await world.recall(encode("v1", topic, "broker-a", `${Number(due) + 1}`, msgId))).toBe(false);
      expect(await world.recall(encode("v1", topic, "broker-a", due, msgId))).toBe(true);
    }));

  test("races with deliveries, at every ms around the time: what is told is what happens", () =>
    inTime(async (world) => {
      await world.open();
      const told = new Map<string, boolean>();
      for (let offset = -20; offset <= 20; offset++) {
        for (let copy = 0; copy < 3; copy++) {
          const text = `${offset}/${copy}`;
          const { recallHandle } = await world.send({ body: text, deliverAfter: 100 });
          void world.sleep(100 + offset - copy).then(async () => told.set(text, await world.recall(recallHandle)));
        }
        await world.sleep(200);
      }
      await world.sleep(MINUTE);
      expect(told.size).toBe(123);
      const kept = [...told].filter(([, recalled]) => !recalled).map(([text]) => text);
      expect(world.texts.toSorted()).toEqual(kept.toSorted());
      // Both sides of the race have been seen.
      expect(kept.length).toBeGreaterThan(10);
      expect(kept.length).toBeLessThan(113);
    }));
});

test("nothing is due: no timer stands but the one for the first", () =>
  inTime(async (world) => {
    await world.open();
    await world.send({ body: "x", deliverAfter: 10 * HOUR });
    await world.sleep(MINUTE);
    let asked = 0;
    const { time } = world.origin;
    const after = time.after.bind(time);
    time.after = (delay, run) => {
      // The look at the wall clock.
      if (delay > 50 * SECOND && delay <= MINUTE) asked++;
      return after(delay, run);
    };
    await world.sleep(HOUR);
    expect(asked).toBeLessThanOrEqual(61);
  }));

describe("very many, in no order", () => {
  const COUNT = SHORT ? 2000 : 100_000;

  /** Due within ten minutes, sent as they come to mind; the broker dies in the middle. What was delivered, in the order of the log. */
  async function deliveredOf(count: number): Promise<{ due: number; at: number }[]> {
    const found: { due: number; at: number }[] = [];
    await inTime(async (world) => {
      const { origin } = world;
      const connect = () => origin.connect({ broker: { defaultTopicQueueNums: 1 } });
      const producer = await (await connect()).createProducer({ producerGroup: "p", sendMsgTimeout: 600_000 });
      const began = world.wall;
      let random = 7;
      await Promise.all(Array.from({ length: count }, () => {
        const due = began + MINUTE + ((random = (random * 48_271) % 0x7fffffff) % (10 * MINUTE));
        return producer.send({ topic: "t", body: `${due}`, deliverAt: due });
      }));
      await world.sleep(5 * MINUTE);
      origin.killAll();
      const mq = await connect();
      expect((await mq.diagnostics()).broker.timers.pending).toBeLessThan(count);
      await world.sleep(15 * MINUTE);
      expect((await mq.diagnostics()).broker.timers.pending).toBe(0);
      const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
      const [queue] = await pull.fetchQueues("t");
      for (let offset = 0; ; ) {
        const { messages, nextBeginOffset, status } = await pull.pull(queue!, "*", offset, 1024);
        if (status === "NO_NEW_MSG") break;
        found.push(...messages.map((message) => ({ due: Number(message.text()), at: message.storeTimestamp })));
        offset = nextBeginOffset;
      }
    });
    return found;
  }

  const isSorted = (found: { due: number }[]): boolean => found.every(({ due }, index) => index === 0 || found[index - 1]!.due <= due);

  test("each comes once, none early, in the order of their times", { timeout: 300_000 }, async () => {
    const found = await deliveredOf(COUNT);
    expect(found).toHaveLength(COUNT);
    expect(found.filter(({ due, at }) => at < due)).toEqual([]);
    expect(isSorted(found)).toBe(true);
  });

  test("control: an index in disorder is seen", async () => {
    const { take } = TsTimerIndex.prototype;
    const spy = vi.spyOn(TsTimerIndex.prototype, "take").mockImplementation(function disordered(this: TsTimerIndex, now, max) {
      return take.call(this, now + MINUTE, max).map((timer) => ({ ...timer, due: 0 }));
    });
    const found = await deliveredOf(500);
    spy.mockRestore();
    expect(found.some(({ due, at }) => at < due)).toBe(true);
  });
});
