/** As retry-crash.test.ts, for idempotent consumers: a fault at every operation of the store. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { FinishedKeys } from "../../src/broker/finished-keys.ts";
import { Idempotence } from "../../src/client/idempotence.ts";
import { ENUMERATION_TIMEOUT, everyFault, everyPair } from "../support/every-fault.ts";
import { FAULTS } from "../support/faulty-store.ts";
import { idempotentRun } from "../support/idempotent-run.ts";

const TIMEOUT = ENUMERATION_TIMEOUT;

afterEach(() => void vi.restoreAllMocks());

test.each([false, true])("without a fault: each key once, however often it is sent (orderly: %s)", { timeout: TIMEOUT }, async (orderly) => {
  const { violations, operations, firstKey, calls, messages } = await idempotentRun([], orderly);
  expect(violations).toEqual([]);
  expect(operations).toBeGreaterThan(20);
  expect(firstKey).toBeLessThan(operations / 2);
  expect(messages).toBe(98);
  // 24 keys, three of them in vain at first; the first browser's end may cost what was in hand.
  expect(calls).toBeGreaterThanOrEqual(27);
  expect(calls).toBeLessThanOrEqual(32);
});

describe.each([false, true])("one fault (orderly: %s)", (orderly) => {
  test.each(FAULTS)("%s", { timeout: TIMEOUT }, async (kind) => {
    expect(await everyFault((faults) => idempotentRun(faults, orderly), kind)).toBeGreaterThan(20);
  });
});

describe("a fault, and another soon after", () => {
  test.each([["crash-done", "crash"], ["done", "full"], ["full", "crash-done"]] as const)("%s, then %s", { timeout: TIMEOUT }, async (first, second) => {
    await everyPair(idempotentRun, [first, second], 8, 3);
  });
});

describe("control: with a protection off, the enumeration is red", () => {
  /** Whether one of the runs ends so; it need not go on then. */
  async function isSeen(violation: RegExp): Promise<boolean> {
    for (let at = 5; at <= 45; at++) {
      for (const kind of ["crash", "crash-done"] as const) {
        if ((await idempotentRun([{ at, kind }])).violations.some((text) => violation.test(text))) return true;
      }
    }
    return false;
  }

  test("keys are written a commit after their offsets", { timeout: TIMEOUT }, async () => {
    const { add } = FinishedKeys.prototype;
    let late: Parameters<typeof add> | null = null;
    vi.spyOn(FinishedKeys.prototype, "add").mockImplementation(function afterwards(this: FinishedKeys, ...given) {
      const before = late;
      late = given;
      return before === null ? true : add.apply(this, before);
    });
    expect(await isSeen(/^without its key: /)).toBe(true);
  });

  test("the next broker does not read them", { timeout: TIMEOUT }, async () => {
    vi.spyOn(FinishedKeys.prototype, "restore").mockReturnValue();
    expect(await isSeen(/^again: .* stored that it is finished/)).toBe(true);
  });

  test("the tab forgets what it has finished when the broker dies", { timeout: TIMEOUT }, async () => {
    const { forget } = Idempotence.prototype;
    vi.spyOn(Idempotence.prototype, "forget").mockImplementation(function forgets(this: Idempotence) {
      this.report();
      this.kept(Number.MAX_SAFE_INTEGER);
      forget.call(this);
    });
    expect(await isSeen(/^again: .* by the tab that has finished it/)).toBe(true);
  });
});
