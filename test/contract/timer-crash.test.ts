/** As crash-enumeration.test.ts, for timers that fire and are called off: a fault at every operation of the store. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { FinishedTimers } from "../../src/broker/finished-timers.ts";
import { ENUMERATION_TIMEOUT, everyFault, everyPair, violationsBetween } from "../support/every-fault.ts";
import { FAULTS } from "../support/faulty-store.ts";
import { timerRun } from "../support/timer-run.ts";

const TIMEOUT = ENUMERATION_TIMEOUT;

afterEach(() => void vi.restoreAllMocks());

test("without a fault: some are delivered, some are called off", { timeout: TIMEOUT }, async () => {
  const { violations, operations, delivered, recalled } = await timerRun();
  expect(violations).toEqual([]);
  expect(operations).toBeGreaterThan(20);
  expect(recalled).toBeGreaterThan(2);
  expect(delivered + recalled).toBe(10);
});

describe("one fault", () => {
  test.each(FAULTS)("%s", { timeout: TIMEOUT }, async (kind) => {
    expect(await everyFault(timerRun, kind)).toBeGreaterThan(20);
  });
});

describe("a fault, and another soon after", () => {
  test.each([["crash-done", "crash"], ["done", "full"], ["full", "crash-done"]] as const)("%s, then %s", { timeout: TIMEOUT }, async (first, second) => {
    await everyPair(timerRun, [first, second], 8, 3);
  });
});

describe("control: with a protection off, the enumeration is red", () => {
  const seen = (kind: (typeof FAULTS)[number]): Promise<string[]> => violationsBetween(timerRun, kind, 5, 45);

  test("a start does not know which timers are finished", { timeout: TIMEOUT }, async () => {
    vi.spyOn(FinishedTimers.prototype, "restore").mockImplementation(() => {});
    expect(await seen("crash-done")).toEqual(expect.arrayContaining([expect.stringMatching(/^doubled: /), expect.stringMatching(/^called off, and delivered: /)]));
  });

  test("a start does not read what records finish", { timeout: TIMEOUT }, async () => {
    const { restore, finish } = FinishedTimers.prototype;
    const recovering = new WeakSet<FinishedTimers>();
    vi.spyOn(FinishedTimers.prototype, "restore").mockImplementation(function begins(this: FinishedTimers) {
      recovering.add(this);
      setImmediate(() => recovering.delete(this));
      restore.call(this);
    });
    vi.spyOn(FinishedTimers.prototype, "finish").mockImplementation(function forgets(this: FinishedTimers, offset) {
      if (!recovering.has(this)) finish.call(this, offset);
    });
    expect(await seen("crash-done")).toEqual(expect.arrayContaining([expect.stringMatching(/^doubled: /)]));
  });

  test("calling off is answered before it is durable", { timeout: TIMEOUT }, async () => {
    vi.spyOn(FinishedTimers.prototype, "saved").mockResolvedValue();
    expect(await seen("crash")).toEqual(expect.arrayContaining([expect.stringMatching(/^called off, and delivered: /)]));
  });
});
