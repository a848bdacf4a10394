/** As crash-enumeration.test.ts, for messages on their way through retries: a fault at every operation of the store. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { Mover } from "../../src/broker/mover.ts";
import { Offsets } from "../../src/broker/offsets.ts";
import { ENUMERATION_TIMEOUT, everyFault, everyPair, violationsBetween } from "../support/every-fault.ts";
import { FAULTS } from "../support/faulty-store.ts";
import { retryRun } from "../support/retry-run.ts";

const TIMEOUT = ENUMERATION_TIMEOUT;

afterEach(() => void vi.restoreAllMocks());

test("without a fault: all ends well, and copies are made early in the run", { timeout: TIMEOUT }, async () => {
  const { violations, operations, firstCopy } = await retryRun();
  expect(violations).toEqual([]);
  expect(operations).toBeGreaterThan(20);
  expect(firstCopy).toBeLessThan(operations / 2);
});

describe("one fault", () => {
  test.each(FAULTS)("%s", { timeout: TIMEOUT }, async (kind) => {
    expect(await everyFault(retryRun, kind)).toBeGreaterThan(20);
  });
});

describe("a fault, and another soon after", () => {
  test.each([["crash-done", "crash"], ["done", "full"], ["full", "crash-done"]] as const)("%s, then %s", { timeout: TIMEOUT }, async (first, second) => {
    await everyPair(retryRun, [first, second], 8, 3);
  });
});

describe("control: with a protection off, the enumeration is red", () => {
  const seen = (kind: (typeof FAULTS)[number]): Promise<string[]> => violationsBetween(retryRun, kind, 5, 45);

  test("a start does not read what records finish", { timeout: TIMEOUT }, async () => {
    const { restore, finish } = Offsets.prototype;
    const recovering = new WeakSet<Offsets>();
    vi.spyOn(Offsets.prototype, "restore").mockImplementation(function begins(this: Offsets) {
      recovering.add(this);
      setImmediate(() => recovering.delete(this));
      restore.call(this);
    });
    vi.spyOn(Offsets.prototype, "finish").mockImplementation(function forgets(this: Offsets, ...args) {
      if (!recovering.has(this)) finish.apply(this, args);
    });
    expect(await seen("crash-done")).toEqual(expect.arrayContaining([expect.stringMatching(/^doubled: /)]));
  });

  test("a message is finished before its copy is durable", { timeout: TIMEOUT }, async () => {
    const { moveAll } = Mover.prototype;
    const constructed: { offsets: Offsets }[] = [];
    const { restore } = Offsets.prototype;
    vi.spyOn(Offsets.prototype, "restore").mockImplementation(function remember(this: Offsets) {
      constructed.push({ offsets: this });
      restore.call(this);
    });
    vi.spyOn(Mover.prototype, "moveAll").mockImplementation(function early(this: Mover, moves) {
      for (const move of moves) constructed.at(-1)!.offsets.finish(move.finish!, Number.MAX_SAFE_INTEGER - 1);
      return moveAll.call(this, moves);
    });
    expect(await seen("full")).toEqual(expect.arrayContaining([expect.stringMatching(/^lost: /)]));
  });
});
