/** What waits for its time, as an operator sees it and calls it off, in virtual time. */
import { afterEach, expect, test, vi } from "vitest";
import { FinishedTimers } from "../../src/broker/finished-timers.ts";
import { PendingTimers } from "../../src/broker/pending-timers.ts";
import type { Message, MQError, PendingTimer, Producer, TabMQ } from "../../src/index.ts";
import { parseDelayLevels } from "../../src/model/delay-level.ts";
import type { BrokerSettings } from "../../src/protocol/broker-settings.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { TsTimerIndex } from "../../src/storage/ts-timer-index.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";

const SECOND = 1000;
const MINUTE = 60_000;
const LEVELS = "10s 30s 1m";
afterEach(() => void vi.restoreAllMocks());

class World {
  readonly disk = new MemoryDisk();
  readonly origin = new VirtualOrigin(() => new MemoryStore(this.disk), { memo: null });
  readonly got: string[] = [];
  mq!: TabMQ;
  producer!: Producer;

  get now(): number {
    return this.origin.time.now();
  }

  async open(broker: Partial<BrokerSettings> = {}): Promise<void> {
    this.mq = await this.origin.connect({ broker: { defaultTopicQueueNums: 1, messageDelayLevel: LEVELS, ...broker } });
    this.producer = await this.mq.createProducer({ producerGroup: "p" });
  }

  async consume(topic: string): Promise<void> {
    await this.mq.createPushConsumer({ consumerGroup: "g", subscriptions: { [topic]: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: (message) => void this.got.push(message.text()) });
  }

  async send(body: string, when: Partial<Message>, topic = "t"): Promise<string> {
    return (await this.producer.send({ topic, body, ...when })).msgId;
  }

  /** Bodies in the order of the list. */
  async bodies(options: object = {}): Promise<string[]> {
    const timers = await this.mq.admin.pendingTimers(options);
    return Promise.all(timers.map(async ({ msgId }) => (await this.mq.admin.viewMessage(msgId)).text()));
  }

  sleep(ms: number): Promise<void> {
    return this.origin.time.sleep(ms);
  }
}

async function inTime(work: (world: World) => Promise<void>): Promise<void> {
  const world = new World();
  await world.origin.time.run(world.open().then(() => work(world)));
  world.origin.killAll();
}

test("in the order of their times, whatever they wait by, with what they are", () =>
  inTime(async (world) => {
    expect(await world.mq.admin.pendingTimers()).toEqual([]);
    const began = world.now;
    const late = await world.producer.send({ topic: "t", body: "late", tags: "x", keys: ["k1", "k2"], deliverAt: began + 40 * SECOND });
    await world.send("level 2", { delayTimeLevel: 2 });
    await world.send("level 1", { delayTimeLevel: 1 }, "u");
    await world.send("soon", { deliverAfter: 5 * SECOND }, "u");
    await world.send("now", {});
    const timers = await world.mq.admin.pendingTimers();
    expect(await world.bodies()).toEqual(["soon", "level 1", "level 2", "late"]);
    expect(timers[3]).toEqual({
      msgId: late.msgId, topic: "t", tags: "x", keys: ["k1", "k2"], bodySize: 4, bornTimestamp: expect.any(Number), storeTimestamp: expect.any(Number),
      deliverTimestamp: began + 40 * SECOND, recallHandle: late.recallHandle,
    });
    expect(timers[1]).toMatchObject({ topic: "u", delayTimeLevel: 1, keys: [] });
    expect(timers[1]!.deliverTimestamp - timers[1]!.storeTimestamp).toBe(10 * SECOND);
    expect(timers[1]).not.toHaveProperty("recallHandle");
    expect(timers.filter((timer) => "delayTimeLevel" in timer)).toHaveLength(2);
    // They come when they were said to come.
    await world.consume("u");
    await world.sleep(timers[1]!.deliverTimestamp - world.now - 1);
    expect(world.got.sort()).toEqual(["soon"]);
    await world.sleep(SECOND);
    expect(world.got.sort()).toEqual(["level 1", "soon"]);
    expect(await world.bodies()).toEqual(["level 2", "late"]);
  }));

test("by topic, by times, and no more than asked for", () =>
  inTime(async (world) => {
    const began = world.now;
    for (let at = 1; at <= 6; at++) await world.send(`${at}`, { deliverAt: began + at * MINUTE }, at % 2 === 0 ? "even" : "odd");
    await world.send("level", { delayTimeLevel: 3 }, "odd");
    expect(await world.bodies({ topic: "even" })).toEqual(["2", "4", "6"]);
    expect((await world.bodies({ topic: "odd" })).sort()).toEqual(["1", "3", "5", "level"]);
    expect(await world.bodies({ topic: "even", begin: began + 2 * MINUTE + 1 })).toEqual(["4", "6"]);
    expect(await world.bodies({ begin: began + 2 * MINUTE, end: began + 4 * MINUTE })).toEqual(["2", "3", "4"]);
    expect(await world.bodies({ begin: began + 5 * MINUTE, max: 1 })).toEqual(["5"]);
    expect(await world.bodies({ topic: "even", max: 2 })).toEqual(["2", "4"]);
    expect(await world.bodies({ topic: "nobody" })).toEqual([]);
    expect(await world.bodies({ begin: 9, end: 8 })).toEqual([]);
    expect(await world.bodies({ end: began })).toEqual([]);
  }));

/** So many at the same few times that no call sees all of them, in the wheel and in two levels. */
async function crowd(world: World): Promise<PendingTimer[]> {
  const [due, messages] = [world.now + 30 * SECOND, 300];
  const many = (when: object, tags: string, topic = "t"): Message[] => Array.from({ length: messages }, (_, at) => ({ topic, body: `${tags}${at}`, tags, ...when }));
  for (const message of [...many({ deliverAt: due }, "a"), ...many({ deliverAt: due + 1 }, "b", "u"), ...many({ delayTimeLevel: 2 }, "c"), ...many({ delayTimeLevel: 1 }, "d")]) void world.producer.send(message);
  await world.producer.send({ topic: "t", body: "last", tags: "e", delayTimeLevel: 3 });
  return world.mq.admin.pendingTimers({ max: 4000 });
}

const order = ({ deliverTimestamp: due, delayTimeLevel: level = 0 }: PendingTimer): number => due * 10 + level;

test("more than one call looks at: each once, in order", () =>
  inTime(async (world) => {
    const list = vi.spyOn(PendingTimers.prototype, "list");
    const timers = await crowd(world);
    expect(timers).toHaveLength(1201);
    expect(new Set(timers.map(({ msgId }) => msgId)).size).toBe(1201);
    expect(timers.map(order)).toEqual(timers.map(order).sort((a, b) => a - b));
    for (const [tag, count] of Object.entries({ a: 300, b: 300, c: 300, d: 300, e: 1 })) expect(timers.filter(({ tags }) => tags === tag)).toHaveLength(count);
    expect(list.mock.calls.length).toBeGreaterThan(4);
    for (const max of [1, 299, 601, 1200]) expect(await world.mq.admin.pendingTimers({ max })).toEqual(timers.slice(0, max));
    expect(await world.mq.admin.pendingTimers({ max: 4000, topic: "u" })).toEqual(timers.filter(({ topic }) => topic === "u"));
    const { deliverTimestamp: begin } = timers[700]!;
    expect(await world.mq.admin.pendingTimers({ max: 4000, begin })).toEqual(timers.filter(({ deliverTimestamp }) => deliverTimestamp >= begin));
    expect(await world.mq.admin.pendingTimers({ max: 4000, end: begin })).toEqual(timers.filter(({ deliverTimestamp }) => deliverTimestamp <= begin));
  }));

test("the next broker says the same", () =>
  inTime(async (world) => {
    const timers = await crowd(world);
    world.origin.killAll();
    await world.open();
    expect(await world.mq.admin.pendingTimers({ max: 4000 })).toEqual(timers);
  }));

test("control: an index that shows nothing", () =>
  inTime(async (world) => {
    vi.spyOn(TsTimerIndex.prototype, "scan").mockImplementation(() => {});
    await world.send("timer", { deliverAfter: MINUTE });
    await world.send("level", { delayTimeLevel: 1 });
    expect(await world.bodies()).toEqual(["level"]);
  }));

test("retries wait too, for their group's topic; nobody calls them off", () =>
  inTime(async (world) => {
    await world.mq.createPushConsumer({
      consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: () => "RECONSUME_LATER",
    });
    const msgId = await world.send("x", {});
    await world.sleep(SECOND);
    const level = parseDelayLevels(LEVELS).length;
    expect(await world.mq.admin.pendingTimers({ topic: "%RETRY%g" })).toMatchObject([{ msgId, topic: "%RETRY%g", delayTimeLevel: level }]);
    expect(await world.mq.admin.pendingTimers({ topic: "t" })).toEqual([]);
  }));

test("recall: it is never delivered, is on the list no more, and the same again is answered the same", () =>
  inTime(async (world) => {
    await world.consume("t");
    const kept = await world.send("kept", { deliverAfter: MINUTE });
    await world.send("called off", { deliverAfter: MINUTE });
    const timers = await world.mq.admin.pendingTimers();
    expect(timers).toHaveLength(2);
    const handle = timers.find(({ msgId }) => msgId !== kept)!.recallHandle!;
    expect(await world.mq.admin.recall(handle)).toEqual({ recalled: true });
    expect((await world.mq.admin.pendingTimers()).map(({ msgId }) => msgId)).toEqual([kept]);
    expect([await world.mq.admin.recall(handle), await world.producer.recall(handle)]).toEqual([{ recalled: true }, { recalled: true }]);
    await world.sleep(2 * MINUTE);
    expect(world.got).toEqual(["kept"]);
    expect(await world.mq.admin.recall(timers.find(({ msgId }) => msgId === kept)!.recallHandle!)).toEqual({ recalled: false });
    expect(await world.mq.admin.pendingTimers()).toEqual([]);
  }));

test("control: where nobody knows what is finished, it is still on the list", () =>
  inTime(async (world) => {
    await world.send("x", { deliverAfter: MINUTE });
    const [timer] = await world.mq.admin.pendingTimers();
    vi.spyOn(FinishedTimers.prototype, "finish").mockImplementation(() => {});
    await world.mq.admin.recall(timer!.recallHandle!);
    expect(await world.mq.admin.pendingTimers()).toHaveLength(1);
  }));

test("what was deleted with its topic is not there", () =>
  inTime(async (world) => {
    await world.send("timer", { deliverAfter: MINUTE });
    await world.send("level", { delayTimeLevel: 1 });
    await world.send("other", { deliverAfter: MINUTE }, "u");
    await world.send("here", {});
    await world.mq.admin.deleteTopic("t");
    expect((await world.mq.admin.pendingTimers()).map(({ topic }) => topic)).toEqual(["u"]);
  }));

test("who recalls is told in the trace", () =>
  inTime(async (world) => {
    world.origin.killAll();
    await world.origin.time.sleep(SECOND);
    await world.open({ traceEnable: true });
    const msgId = await world.send("x", { deliverAfter: MINUTE });
    const [timer] = await world.mq.admin.pendingTimers({ topic: "t" });
    await world.mq.admin.recall(timer!.recallHandle!);
    const { events } = await world.mq.admin.messageTrace(msgId);
    expect(events.at(-1)).toMatchObject({ type: "RECALL", success: true, group: "CID_RMQ_SYS_ADMIN", clientId: world.mq.clientId });
  }));

test("bad input is refused", () =>
  inTime(async (world) => {
    for (const [options, field] of [
      [{ topic: "" }, "pendingTimers.topic"], [{ topic: "a b" }, "pendingTimers.topic"], [{ begin: -1 }, "pendingTimers.begin"], [{ end: Number.NaN }, "pendingTimers.end"],
      [{ max: 0 }, "pendingTimers.max"], [{ max: 4001 }, "pendingTimers.max"], [{ most: 1 }, "pendingTimers.most"], [null, "pendingTimers"],
    ] as const) {
      await expect(world.mq.admin.pendingTimers(options as never)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field });
    }
    for (const handle of [undefined, "", "x", 7, "dmlydHVhbA", "x".repeat(2000)]) {
      const error = await world.mq.admin.recall(handle as never).catch((thrown: MQError) => thrown);
      expect(error).toMatchObject({ code: "INVALID_PARAMETER", field: "recallHandle" });
    }
  }));
