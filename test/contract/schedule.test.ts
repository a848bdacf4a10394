/** Messages that wait for their time, in virtual time: never early, once, in the order in which they are due. */
import { expect, test } from "vitest";
import { systemTimers } from "../../src/platform/timers.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";

const SECOND = 1000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A message's text is the level at which its group wants it again. */
class World {
  readonly origin: VirtualOrigin;
  /** What came again, and when, ms after the start of time. */
  readonly again: { text: string; at: number }[] = [];
  send: (...bodies: string[]) => Promise<unknown> = () => Promise.resolve();
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

  async open(messageDelayLevel: string): Promise<void> {
    const mq = await this.origin.connect({ broker: { defaultTopicQueueNums: 1, messageDelayLevel } });
    await mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      messageListener: (message, context) => {
        if (message.reconsumeTimes > 0) return void this.again.push({ text: message.text(), at: this.#elapsed() });
        context.delayLevelWhenNextConsume = Number(message.text().split(" ")[0]);
        return "RECONSUME_LATER";
      },
    });
    const producer = await mq.createProducer({ producerGroup: "p" });
    this.send = (...bodies) => producer.send(bodies.map((body) => ({ topic: "t", body })));
  }

  /** The wall clock is set. */
  jump(by: number): void {
    this.#jump += by;
  }

  expectAgain(expected: [text: string, due: number][], lateness = SECOND): void {
    expect(this.again.map(({ text }) => text)).toEqual(expected.map(([text]) => text));
    for (const [at, [text, due]] of expected.entries()) {
      expect(this.again[at]!.at, text).toBeGreaterThanOrEqual(due);
      expect(this.again[at]!.at, text).toBeLessThan(due + lateness);
    }
  }
}

async function inTime(work: (world: World) => Promise<void>, disk = new MemoryDisk()): Promise<void> {
  const world = new World(disk);
  await world.origin.time.run(work(world));
  world.origin.killAll();
}

test("each level has its delay; what is due first comes first, whatever its level", () =>
  inTime(async (world) => {
    await world.open("10s 1m 5m");
    await world.send("3 a", "1 b", "2 c");
    await world.origin.time.sleep(4 * MINUTE + 55 * SECOND);
    await world.send("1 d", "2 e");
    await world.origin.time.sleep(10 * MINUTE);
    world.expectAgain([["1 b", 10 * SECOND], ["2 c", MINUTE], ["3 a", 5 * MINUTE], ["1 d", 5 * MINUTE + 5 * SECOND], ["2 e", 5 * MINUTE + 55 * SECOND]]);
  }));

test("the clock is set back by an hour: nothing is early, and nothing an hour late", () =>
  inTime(async (world) => {
    await world.open("10s 1m");
    await world.send("1 a", "2 b");
    await world.origin.time.sleep(5 * SECOND);
    world.jump(-HOUR);
    await world.send("1 c");
    await world.origin.time.sleep(2 * MINUTE);
    world.expectAgain([["1 a", 10 * SECOND], ["1 c", 15 * SECOND], ["2 b", MINUTE]]);
  }));

test("the clock jumps forward, as when the machine has slept: what is due comes once, in its order, within a minute", () =>
  inTime(async (world) => {
    await world.open("10m 20m 2h");
    await world.send("2 a", "1 b", "3 c", "1 d");
    await world.origin.time.sleep(SECOND);
    world.jump(HOUR);
    await world.origin.time.sleep(2 * HOUR);
    expect(world.again.map(({ text }) => text)).toEqual(["1 b", "1 d", "2 a", "3 c"]);
    expect(world.again[2]!.at).toBeLessThan(2 * MINUTE);
    expect(world.again[3]!.at).toBeGreaterThanOrEqual(HOUR);
  }));

test("a thousand at once, of two levels: all, once, in order", () =>
  inTime(async (world) => {
    await world.open("10s 11s");
    const many = (level: number): string[] => Array.from({ length: 500 }, (_, at) => `${level} ${at}`);
    await world.send(...many(1));
    await world.send(...many(2));
    await world.origin.time.sleep(MINUTE);
    expect(world.again.filter(({ text }) => text.startsWith("1 ")).map(({ text }) => text).sort()).toEqual(many(1).sort());
    expect(new Set(world.again.map(({ text }) => text)).size).toBe(1000);
    expect(world.again).toHaveLength(1000);
    const last = Math.max(...world.again.filter(({ text }) => text.startsWith("1 ")).map(({ at }) => at));
    expect(Math.min(...world.again.filter(({ text }) => text.startsWith("2 ")).map(({ at }) => at))).toBeGreaterThanOrEqual(11 * SECOND);
    expect(last).toBeLessThan(20 * SECOND);
  }));

test("what came due while nobody was there comes once at the next start", async () => {
  const disk = new MemoryDisk();
  await inTime(async (world) => {
    await world.open("10s");
    await world.send("1 a", "1 b");
    await world.origin.time.sleep(2 * SECOND);
    world.origin.killAll();
    world.jump(HOUR);
    await world.open("10s");
    await world.origin.time.sleep(5 * SECOND);
    world.expectAgain([["1 a", SECOND], ["1 b", SECOND]], 10 * SECOND);
  }, disk);
});

test("nothing waits: no timer stands", async () => {
  const origin = new NodeOrigin();
  let standing = 0;
  origin.host = origin.newHost({
    timers: {
      after: (delay, run) => {
        // The schedule's longest; nobody else takes so long.
        if (delay === MINUTE) standing++;
        return systemTimers.after(delay, run);
      },
    },
  });
  try {
    const mq = await origin.connect({ broker: { messageDelayLevel: "2h" } });
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "t", body: "x" });
    expect(standing).toBe(0);
    await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: () => null });
    await until(() => standing > 0);
  } finally {
    await origin.close();
  }
});
