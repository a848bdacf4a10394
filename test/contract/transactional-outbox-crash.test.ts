/** The relay of an application's outbox dies at each of its steps, with the browser or by the worker's death alone. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { Resends } from "../../src/broker/resends.ts";
import { OutboxRows } from "../../src/client/outbox-rows.ts";
import { ENUMERATION_TIMEOUT } from "../support/every-fault.ts";
import { outboxRun } from "../support/outbox-run.ts";

afterEach(() => void vi.restoreAllMocks());

test("without a death: all is sent", { timeout: ENUMERATION_TIMEOUT }, async () => {
  const { violations, steps } = await outboxRun();
  expect(violations).toEqual([]);
  expect(steps).toBeGreaterThan(20);
});

describe.each(["browser", "worker"] as const)("the %s", (who) => {
  test("dies at every step", { timeout: ENUMERATION_TIMEOUT }, async () => {
    let ran = 0;
    for (let at = 1; ; at++, ran++) {
      const { violations, steps } = await outboxRun({ at, who });
      expect(violations, `at step ${at}`).toEqual([]);
      if (steps < at) break;
    }
    expect(ran).toBeGreaterThan(20);
  });
});

describe("control", () => {
  const seen = async (): Promise<string[]> => {
    const all: string[] = [];
    for (let at = 1; at <= 45; at++) all.push(...(await outboxRun({ at, who: "browser" })).violations);
    return all;
  };

  test("not looked for, what was sent is stored twice", { timeout: ENUMERATION_TIMEOUT }, async () => {
    vi.spyOn(Resends.prototype, "find").mockResolvedValue([]);
    expect(await seen()).toEqual(expect.arrayContaining([expect.stringMatching(/^doubled: /)]));
  });

  test("deleted before it is sent, it is lost", { timeout: ENUMERATION_TIMEOUT }, async () => {
    const { read } = OutboxRows.prototype;
    vi.spyOn(OutboxRows.prototype, "read").mockImplementation(async function early(this: OutboxRows, ...given) {
      const found = await read.apply(this, given);
      if (found.rows.length > 0) await this.change({ gone: found.rows.map(({ key }) => key) });
      return found;
    });
    expect(await seen()).toEqual(expect.arrayContaining([expect.stringMatching(/^lost: /)]));
  });
});
