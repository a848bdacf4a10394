/** As crash-enumeration.test.ts, for a topic and a group that are deleted and queues that are taken away: a fault at every operation of the store. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { Deletions } from "../../src/storage/deletions.ts";
import { deletionRun } from "../support/deletion-run.ts";
import { ENUMERATION_TIMEOUT, everyFault, everyPair, violationsBetween } from "../support/every-fault.ts";
import { FAULTS } from "../support/faulty-store.ts";
import { asAllDamaged } from "../support/sound-stores.ts";

const TIMEOUT = ENUMERATION_TIMEOUT;

afterEach(() => void vi.restoreAllMocks());

test("without a fault: all is done", { timeout: TIMEOUT }, async () => {
  const { violations, operations } = await deletionRun();
  expect(violations).toEqual([]);
  expect(operations).toBeGreaterThan(20);
});

describe("one fault", () => {
  test.each(FAULTS)("%s", { timeout: TIMEOUT }, async (kind) => {
    expect(await everyFault(deletionRun, kind)).toBeGreaterThan(20);
  });
});

describe("a fault, and another soon after", () => {
  test.each([["crash-done", "crash"], ["full", "crash-done"]] as const)("%s, then %s", { timeout: TIMEOUT }, async (first, second) => {
    await everyPair(deletionRun, [first, second], 14, 4);
  });
});

describe("control: with a protection off, the enumeration is red", () => {
  test("nothing is noted", { timeout: TIMEOUT }, async () => {
    asAllDamaged("offsets of the deleted topic are used again");
    vi.spyOn(Deletions.prototype, "deleteTopic").mockImplementation(() => {});
    expect((await deletionRun()).violations).toEqual(expect.arrayContaining([expect.stringMatching(/^came back/)]));
  });

  test("the note is written after the rest", { timeout: TIMEOUT }, async () => {
    const { deleteTopic } = Deletions.prototype;
    vi.spyOn(Deletions.prototype, "deleteTopic").mockImplementation(function late(this: Deletions, topic, queues, position) {
      const dropped = [...queues];
      const later = (turns: number): void => void setImmediate(() => (turns === 0 ? deleteTopic.call(this, topic, dropped, position) : later(turns - 1)));
      // In a commit of its own, behind the one with everything else.
      later(40);
    });
    expect(await violationsBetween(deletionRun, "crash-done", 16, 20)).toEqual(expect.arrayContaining([expect.stringMatching(/half deleted/)]));
  });

  test("offsets begin anew", { timeout: TIMEOUT }, async () => {
    asAllDamaged("what the deletion gave up is left");
    vi.spyOn(Deletions.prototype, "begin").mockReturnValue(0);
    expect((await deletionRun()).violations).toEqual(expect.arrayContaining([expect.stringMatching(/^offset used twice|OFFSET_REUSED|came back/)]));
  });
});
