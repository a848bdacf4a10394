/** As crash-enumeration.test.ts, for simple consumers: a fault at every operation of the store. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { PopQueue } from "../../src/broker/pop-queue.ts";
import { DurableState } from "../../src/storage/durable-state.ts";
import { ENUMERATION_TIMEOUT, everyFault, everyPair, violationsBetween } from "../support/every-fault.ts";
import { type Fault, FAULTS } from "../support/faulty-store.ts";
import { FaultyOrigin } from "../support/faulty-origin.ts";
import { popRun } from "../support/pop-run.ts";

const TIMEOUT = ENUMERATION_TIMEOUT;

afterEach(() => void vi.restoreAllMocks());

test("without a fault: all ends well, and what is not acknowledged comes again", { timeout: TIMEOUT }, async () => {
  const { violations, operations, again } = await popRun();
  expect(violations).toEqual([]);
  expect(operations).toBeGreaterThan(20);
  expect(again).toBeGreaterThanOrEqual(5);
});

test("a broker that has stored an acknowledgement dies before it answers, and the claim ends meanwhile: what the next one refuses is in doubt", async () => {
  const faults: Fault[] = [];
  const origin = new FaultyOrigin(faults);
  // Its tab hears of the death later.
  origin.plan.onCrash = () => void origin.time.after(60, () => origin.killWorker());
  await origin.time.run((async () => {
    const mq = await origin.connect({ broker: { defaultTopicQueueNums: 1 } });
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send([{ topic: "t", body: "x" }, { topic: "t", body: "y" }]);
    const it = await mq.createSimpleConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    const [x, y] = await it.receive({ invisibleDuration: 30 });
    faults.push({ at: origin.plan.operations.length + 1, kind: "crash-done" });
    await expect(it.ack(x!)).rejects.toMatchObject({ code: "INVALID_RECEIPT_HANDLE", outcome: "unknown" });
    // It was done. The other one was never in doubt.
    await expect(it.ack(y!)).rejects.toMatchObject({ code: "INVALID_RECEIPT_HANDLE", outcome: "rejected" });
    expect((await it.receive()).map((message) => message.text())).toEqual(["y"]);
  })());
  origin.killAll();
});

describe("one fault", () => {
  test.each(FAULTS)("%s", { timeout: TIMEOUT }, async (kind) => {
    await everyFault(popRun, kind);
  });
});

describe("a crash, and another soon after", () => {
  test.each([["crash-done", "crash"], ["done", "crash-done"], ["crash", "crash-done"]] as const)("%s, then %s", { timeout: TIMEOUT }, async (first, second) => {
    await everyPair(popRun, [first, second], 4, 4);
  });
});

describe("control: with a protection off, the enumeration is red", () => {
  const seen = (kind: (typeof FAULTS)[number]): Promise<string[]> => violationsBetween(popRun, kind, 8, 60);
  const { set, save } = DurableState.prototype;

  test("claims are not stored", { timeout: TIMEOUT }, async () => {
    vi.spyOn(DurableState.prototype, "save").mockImplementation(function forgets(this: DurableState, key, value) {
      return key.startsWith("claim/") ? save.call(this, "config", {}) : save.call(this, key, value);
    });
    vi.spyOn(DurableState.prototype, "set").mockImplementation(function forgets(this: DurableState, key, value) {
      if (!key.startsWith("claim/")) set.call(this, key, value);
    });
    expect(await seen("crash-done")).toEqual(expect.arrayContaining([expect.stringMatching(/^double claim: /)]));
  });

  test("calls are answered before what they do is durable", { timeout: TIMEOUT }, async () => {
    vi.spyOn(DurableState.prototype, "save").mockImplementation(function hurries(this: DurableState, key, value) {
      if (!key.startsWith("claim/")) return save.call(this, key, value);
      set.call(this, key, value);
      return Promise.resolve();
    });
    const violations = await seen("crash");
    expect(violations).toEqual(expect.arrayContaining([expect.stringMatching(/^acknowledged and given again: /), expect.stringMatching(/^double claim: /)]));
  });

  test("a messageGroup holds nothing back", async () => {
    vi.spyOn(PopQueue.prototype, "free").mockImplementation(function all(this: PopQueue) {
      return [...this.all()].filter(({ claim, isDying }) => claim === null && !isDying);
    });
    expect((await popRun()).violations).toEqual(expect.arrayContaining([expect.stringMatching(/^out of order: /)]));
  });

  test("what was given too often is dropped", async () => {
    const { takeBack } = PopQueue.prototype;
    vi.spyOn(PopQueue.prototype, "takeBack").mockImplementation(function drops(this: PopQueue, entry) {
      takeBack.call(this, entry);
      if (entry.reconsumeTimes > 2) this.finish(entry);
    });
    expect((await popRun()).violations).toEqual(expect.arrayContaining([expect.stringMatching(/^lost: /)]));
  });
});
