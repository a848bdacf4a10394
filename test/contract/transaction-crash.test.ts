/** As crash-enumeration.test.ts, for transactions: a fault, or the death of a tab, at every operation of the store. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { Mover } from "../../src/broker/mover.ts";
import { Offsets } from "../../src/broker/offsets.ts";
import { TransactionService } from "../../src/broker/transactions.ts";
import { ENUMERATION_TIMEOUT, everyFault, everyPair, violationsBetween } from "../support/every-fault.ts";
import { FAULTS } from "../support/faulty-store.ts";
import { deathAt, transactionRun } from "../support/transaction-run.ts";

const TIMEOUT = ENUMERATION_TIMEOUT;

afterEach(() => void vi.restoreAllMocks());

test("without a fault all ends well", { timeout: TIMEOUT }, async () => {
  const { violations, operations } = await transactionRun();
  expect(violations).toEqual([]);
  expect(operations).toBeGreaterThan(20);
});

describe("one fault", () => {
  test.each(FAULTS)("%s", { timeout: TIMEOUT }, async (kind) => {
    expect(await everyFault(transactionRun, kind)).toBeGreaterThan(20);
  });
});

describe("a fault, and another soon after", () => {
  test.each([["crash-done", "crash"], ["done", "full"], ["full", "crash-done"]] as const)("%s, then %s", { timeout: TIMEOUT }, async (first, second) => {
    await everyPair(transactionRun, [first, second], 4, 6);
  });
});

describe("a tab dies", () => {
  test.each(["sender", "other"] as const)("the %s", { timeout: TIMEOUT }, async (tab) => {
    expect(await everyFault(deathAt(tab), "crash")).toBeGreaterThan(20);
  });
});

describe("control: with a protection off, the enumeration is red", () => {
  const seen = (kind: (typeof FAULTS)[number]): Promise<string[]> => violationsBetween(transactionRun, kind, 4, 16);
  /** Those of all brokers, the newest last. */
  const remembered = (): Offsets[] => {
    const all: Offsets[] = [];
    const { restore } = Offsets.prototype;
    vi.spyOn(Offsets.prototype, "restore").mockImplementation(function remember(this: Offsets) {
      all.push(this);
      restore.call(this);
    });
    return all;
  };

  test("the commit and the end of the half message are two steps", { timeout: TIMEOUT }, async () => {
    const offsets = remembered();
    const { moveAll } = Mover.prototype;
    vi.spyOn(Mover.prototype, "moveAll").mockImplementation(async function twice(this: Mover, moves, options) {
      const of = offsets.at(-1)!;
      await moveAll.call(this, moves.map((move) => ({ ...move, finish: null })), options);
      await Promise.all(moves.map(({ finish }) => finish && of.finishByFact(finish)));
    });
    expect(await seen("crash-done")).toEqual(expect.arrayContaining([expect.stringMatching(/^doubled: .* is visible 2 times/)]));
  });

  test("a half message is finished before its commit is durable", { timeout: TIMEOUT }, async () => {
    const offsets = remembered();
    const { moveAll } = Mover.prototype;
    vi.spyOn(Mover.prototype, "moveAll").mockImplementation(function early(this: Mover, moves, options) {
      for (const { finish } of moves) if (finish !== null) void offsets.at(-1)!.finishByFact(finish).catch(() => {});
      return moveAll.call(this, moves, options);
    });
    // The store has no room for the message, and then the host dies.
    const all: string[] = [];
    for (let at = 4; at < 16; at++) all.push(...(await transactionRun([{ at, kind: "full" }, { at: at + 1, kind: "crash-done" }])).violations);
    expect(all).toEqual(expect.arrayContaining([expect.stringMatching(/^lost: /)]));
  });

  test("half messages are where everybody sees them", { timeout: TIMEOUT }, async () => {
    vi.spyOn(TransactionService.prototype, "divert").mockReturnValue(null);
    expect((await transactionRun()).violations).toEqual(expect.arrayContaining([expect.stringMatching(/^phantom: .* was delivered/), expect.stringMatching(/^phantom: rollback was not committed/)]));
  });
});
