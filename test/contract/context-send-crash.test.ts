/** As crash-enumeration.test.ts, for what listeners send through their context: a fault at every operation of the store. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { Completions } from "../../src/broker/completions.ts";
import { FinishedKeys } from "../../src/broker/finished-keys.ts";
import { ContextSender } from "../../src/client/context-sender.ts";
import { contextSendRun, type Kind } from "../support/context-send-run.ts";
import { SHORT } from "../support/effort.ts";
import { ENUMERATION_TIMEOUT, everyFault, everyPair, violationsBetween } from "../support/every-fault.ts";
import { FAULTS } from "../support/faulty-store.ts";

const TIMEOUT = ENUMERATION_TIMEOUT;
const KINDS: Kind[] = ["concurrent", "orderly", "idempotent"];

afterEach(() => void vi.restoreAllMocks());

test.each(KINDS)("without a fault, %s: all ends well", { timeout: TIMEOUT }, async (kind) => {
  const { violations, operations } = await contextSendRun(kind);
  expect(violations).toEqual([]);
  expect(operations).toBeGreaterThan(20);
});

describe.each(KINDS)("%s, one fault", (kind) => {
  // In short each kind of consumer has its share of the faults.
  const faults = FAULTS.filter((_, at) => !SHORT || at % KINDS.length === KINDS.indexOf(kind));
  test.each(faults)("%s", { timeout: TIMEOUT }, async (fault) => {
    expect(await everyFault((list) => contextSendRun(kind, list), fault)).toBeGreaterThan(20);
  });
});

describe("a fault, and another soon after", () => {
  test.each([["concurrent", "crash-done", "crash"], ["idempotent", "full", "crash-done"]] as const)("%s: %s, then %s", { timeout: TIMEOUT }, async (kind, first, second) => {
    await everyPair((faults) => contextSendRun(kind, faults), [first, second], 8, SHORT ? 6 : 3);
  });
});

describe("control: with a protection off, the enumeration is red", () => {
  test("a start does not read which messages were finished by what was sent for them", { timeout: TIMEOUT }, async () => {
    const { take } = Completions.prototype;
    vi.spyOn(Completions.prototype, "take").mockImplementation(function forgets(this: Completions, completion, position) {
      // Recovery takes it in outside of any call.
      if (new Error().stack!.includes("finishAgain")) return;
      take.call(this, completion, position);
    });
    expect(await violationsBetween((faults) => contextSendRun("orderly", faults), "crash-done", 5, 45)).toEqual(expect.arrayContaining([expect.stringMatching(/^doubled: /)]));
  });

  test("messages count as consumed although what was sent for them was not stored", { timeout: TIMEOUT }, async () => {
    const { finish } = ContextSender.prototype;
    vi.spyOn(ContextSender.prototype, "finish").mockImplementation(async function early(this: ContextSender, options, queue, works, sends) {
      void finish.call(this, options, queue, works, sends).catch(() => {});
      return Promise.resolve({ taken: new Set(works), refusal: null });
    } as typeof finish);
    expect(await violationsBetween((faults) => contextSendRun("orderly", faults), "crash", 5, 45)).toEqual(expect.arrayContaining([expect.stringMatching(/^lost: /)]));
  });

  test("keys are noted when what was sent is durable, and not read again", { timeout: TIMEOUT }, async () => {
    const { add } = FinishedKeys.prototype;
    vi.spyOn(FinishedKeys.prototype, "add").mockImplementation(function forgets(this: FinishedKeys, ...given) {
      if (new Error().stack!.includes("finishAgain")) return true;
      return add.apply(this, given);
    });
    expect(await violationsBetween((faults) => contextSendRun("idempotent", faults), "crash-done", 5, 45)).toEqual(expect.arrayContaining([expect.stringMatching(/^doubled: /)]));
  });
});
