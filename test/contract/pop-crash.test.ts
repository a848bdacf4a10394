/** As crash-enumeration.test.ts, for simple consumers: a fault at every operation of the store. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { PopQueue } from "../../src/broker/pop-queue.ts";
import { DurableState } from "../../src/storage/durable-state.ts";
import { FAULTS } from "../support/faulty-store.ts";
import { popRun } from "../support/pop-run.ts";

const FULL = process.env.TABMQ_FULL === "1";
const TIMEOUT = FULL ? 3_600_000 : 300_000;

afterEach(() => void vi.restoreAllMocks());

test("without a fault: all ends well, and what is not acknowledged comes again", { timeout: TIMEOUT }, async () => {
  const { violations, operations, again } = await popRun();
  expect(violations).toEqual([]);
  expect(operations).toBeGreaterThan(20);
  expect(again).toBeGreaterThanOrEqual(5);
});

describe("one fault", () => {
  test.each(FAULTS)("%s", { timeout: TIMEOUT }, async (kind) => {
    for (let at = 1; ; at++) {
      const { violations, operations } = await popRun([{ at, kind }]);
      expect(violations, `${kind} at operation ${at}`).toEqual([]);
      if (operations < at) break;
    }
  });
});

describe("a crash, and another soon after", () => {
  test.each([["crash-done", "crash"], ["done", "crash-done"], ["crash", "crash-done"]] as const)("%s, then %s", { timeout: TIMEOUT }, async (first, second) => {
    const { operations } = await popRun();
    for (let at = 4; at <= operations; at += FULL ? 1 : 4) {
      for (let later = 1; later <= 9; later += FULL ? 1 : 4) {
        const faults = [{ at, kind: first }, { at: at + later, kind: second }];
        expect((await popRun(faults)).violations, JSON.stringify(faults)).toEqual([]);
      }
    }
  });
});

describe("control: with a protection off, the enumeration is red", () => {
  async function seen(kind: (typeof FAULTS)[number]): Promise<string[]> {
    const all: string[] = [];
    for (let at = 8; at <= 60; at++) all.push(...(await popRun([{ at, kind }])).violations);
    return all;
  }
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
