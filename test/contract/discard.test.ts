/** Dead letters that nobody is to be given any more. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { DeadLetters } from "../../src/broker/dead-letters.ts";
import { DoneOffsets } from "../../src/broker/done-offsets.ts";
import { Mover } from "../../src/broker/mover.ts";
import type { MQError, Producer, PushConsumer, TabMQ } from "../../src/index.ts";
import { GatedStore } from "../support/gated-store.ts";
import { copyOf } from "../support/memory-disk.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
let store: GatedStore;
let mq: TabMQ;
let producer: Producer;
let consumer: PushConsumer;
let isWell: boolean;
let seen: string[];
/** Of four messages that group g has given up on. */
let ids: string[];
beforeEach(async () => {
  origin = new NodeOrigin();
  origin.makeStore = () => (store = new GatedStore(origin.disk));
  mq = await origin.connect({ clientId: "tab-1", broker: { traceEnable: true, defaultTopicQueueNums: 1 } });
  producer = await mq.createProducer({ producerGroup: "p" });
  [isWell, seen, ids] = [false, [], []];
  consumer = await mq.createPushConsumer({
    consumerGroup: "g", subscriptions: { t: "*" }, maxReconsumeTimes: 0, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
    messageListener: (message) => {
      if (!isWell) throw new Error("no");
      seen.push(message.msgId);
    },
  });
  consumer.on("error", () => {});
  for (let i = 0; i < 4; i++) ids.push((await producer.send({ topic: "t", body: `${i}` })).msgId);
  await until(async () => (await letters()).length === 4);
  isWell = true;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await origin.close();
});

const letters = async (at = mq): Promise<string[]> => (await at.admin.deadLetters("g")).map(({ msgId }) => msgId);
const discard = (msgIds: string[], at = mq) => at.admin.discardDeadLetters({ group: "g", msgIds });
const track = async (msgId: string, at = mq): Promise<string> => (await at.admin.messageTrack(msgId))[0]!.trackType;
const counted = async (at = mq): Promise<number> => (await at.admin.consumeStats("g")).discarded;
/** Past the listing, as a call does that has listed before. */
const broker = (): DeadLetters => origin.host.broker!.deadLetters;

test("they are no dead letters any more, nobody is given them, and it is told who has done so", async () => {
  expect(await counted()).toBe(0);
  const chosen = [ids[1]!, ids[2]!];
  expect(await discard([...chosen, "nobody"])).toEqual({ discarded: chosen, failed: [{ msgId: "nobody", error: expect.objectContaining({ code: "NO_MESSAGE" }) }] });
  expect(await letters()).toEqual([ids[0], ids[3]]);
  expect(await counted()).toBe(2);
  expect([await track(ids[1]!), await track(ids[3]!)]).toEqual(["DISCARDED", "DEAD"]);
  const { events } = await mq.admin.messageTrace(ids[1]!);
  expect(events.at(-1)).toEqual({ type: "DISCARD", time: expect.any(Number), group: "g", clientId: "tab-1" });
  expect((await mq.admin.resendDeadLetters({ group: "g" })).resent).toEqual([ids[0], ids[3]]);
  await until(() => seen.length === 2);
  expect(await mq.admin.discardDeadLetters({ group: "g" })).toEqual({ discarded: [], failed: [] });
  expect([seen.sort(), await counted()]).toEqual([[ids[0], ids[3]].sort(), 2]);
  // The record itself stays for whoever looks for it.
  expect((await mq.admin.viewMessage(ids[1]!)).text()).toBe("1");
});

test("all of them: none is left, and the group may go on", async () => {
  expect((await mq.admin.discardDeadLetters({ group: "g" })).discarded).toEqual(ids);
  expect([await letters(), await counted()]).toEqual([[], 4]);
  isWell = false;
  const { msgId } = await producer.send({ topic: "t", body: "x" });
  await until(async () => (await letters()).includes(msgId));
  expect([await letters(), await counted()]).toEqual([[msgId], 4]);
});

/** Of the disk as it is now: as a crash leaves it. */
async function afterCrash<T>(look: (there: TabMQ) => Promise<T>): Promise<T> {
  const next = new NodeOrigin(copyOf(origin.disk));
  try {
    return await look(await next.connect());
  } finally {
    await next.close();
  }
}

const state = async (there: TabMQ): Promise<unknown> => [await letters(there), await counted(there), await track(ids[1]!, there)];

test("so it is after a crash, and in an import", async () => {
  await discard([ids[1]!]);
  const left = [ids[0], ids[2], ids[3]];
  expect(await afterCrash(state)).toEqual([left, 1, "DISCARDED"]);
  const other = new NodeOrigin();
  try {
    const copy = await other.connect();
    await copy.admin.importLog(mq.admin.exportLog());
    expect(await state(copy)).toEqual([left, 1, "DISCARDED"]);
  } finally {
    await other.close();
  }
});

test("control: where it is only remembered, a crash brings it back", async () => {
  vi.spyOn(DoneOffsets.prototype, "addFact").mockResolvedValue();
  expect((await discard([ids[1]!])).discarded).toEqual([ids[1]]);
  expect(await afterCrash(state)).toEqual([ids, 0, "DEAD"]);
});

test("answered when it is durable, and not before", async () => {
  store.shut();
  let isAnswered = false;
  const answered = discard([ids[0]!]).then(() => (isAnswered = true));
  await until(async () => (await letters()).length === 3);
  expect(isAnswered).toBe(false);
  store.open();
  await answered;
});

test("may be repeated, also at the same time: it is counted once", async () => {
  const request = { group: "g", queueOffsets: [0, 1] };
  expect(await Promise.all([broker().discard(request), broker().discard(request)])).toEqual([{ refused: [] }, { refused: [] }]);
  expect(await broker().discard(request)).toEqual({ refused: [] });
  expect(await counted()).toBe(2);
});

const NO_MESSAGE = { refused: [{ queueOffset: 0, error: expect.objectContaining({ code: "NO_MESSAGE" }) }] };

test("what is sent again at the same time is not discarded, and the other way round", async () => {
  const request = { group: "g", queueOffsets: [0] };
  store.shut();
  const sent = broker().resend(request);
  await until(() => store.batches.at(-1)!.log.length > 0);
  const late = broker().discard(request);
  store.open();
  expect(await Promise.all([sent, late])).toEqual([{ refused: [] }, NO_MESSAGE]);
  await until(() => seen.length === 1);
  expect(await counted()).toBe(0);
  const other = { group: "g", queueOffsets: [1] };
  const [discarded, refused] = await Promise.all([broker().discard(other), broker().resend(other)]);
  expect([discarded.refused.length, refused.refused.length].sort()).toEqual([0, 1]);
  expect(await counted()).toBe(refused.refused.length);
  expect(await broker().discard({ group: "g", queueOffsets: [2] })).toEqual({ refused: [] });
  expect(await broker().resend({ group: "g", queueOffsets: [2] })).toEqual({ refused: [{ queueOffset: 2, error: expect.objectContaining({ code: "NO_MESSAGE", message: expect.stringContaining("discarded") }) }] });
});

test("control: not waited for, what is being sent again is discarded too", async () => {
  vi.spyOn(Mover.prototype, "settled").mockResolvedValue();
  const request = { group: "g", queueOffsets: [0] };
  store.shut();
  const sent = broker().resend(request);
  await until(() => store.batches.at(-1)!.log.length > 0);
  const late = broker().discard(request);
  await until(() => broker().discarded("g") === 1);
  store.open();
  expect(await Promise.all([sent, late])).toEqual([{ refused: [] }, { refused: [] }]);
});

test("what is no dead letter is refused, and so is bad input", async () => {
  expect(await broker().discard({ group: "g", queueOffsets: [4] })).toMatchObject({ refused: [{ queueOffset: 4, error: { code: "NO_MESSAGE" } }] });
  expect(await discard(["x"])).toMatchObject({ discarded: [], failed: [{ msgId: "x", error: { code: "NO_MESSAGE" } }] });
  expect(await mq.admin.discardDeadLetters({ group: "nobody" })).toEqual({ discarded: [], failed: [] });
  const bad: [unknown, string][] = [
    [undefined, "discardDeadLetters"], [{}, "discardDeadLetters.group"], [{ group: "" }, "discardDeadLetters.group"], [{ group: "a b" }, "discardDeadLetters.group"],
    [{ group: "g", msgIds: "x" }, "discardDeadLetters.msgIds"], [{ group: "g", msgIds: [""] }, "discardDeadLetters.msgIds[0]"], [{ group: "g", msgIds: [7] }, "discardDeadLetters.msgIds[0]"],
    [{ group: "g", msgIds: Array.from({ length: 10_001 }, () => "x") }, "discardDeadLetters.msgIds"], [{ group: "g", ids: [] }, "discardDeadLetters.ids"],
  ];
  for (const [options, field] of bad) {
    const error = await mq.admin.discardDeadLetters(options as never).catch((thrown: MQError) => thrown);
    expect(error).toMatchObject({ code: "INVALID_PARAMETER", field });
  }
  expect(await letters()).toEqual(ids);
});

test("with its group, what was discarded is forgotten", async () => {
  await discard([ids[1]!]);
  await consumer.shutdown();
  await mq.admin.deleteGroup("g");
  expect([await letters(), await counted()]).toEqual([[], 0]);
});
