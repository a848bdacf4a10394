import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { simulate } from "./simulate.ts";

/** Stormy, short, and not the same kind. */
const SEEDS = [4, 8];

describe("a seed is a history", () => {
  test.each(SEEDS)("seed %i: the same in one process twice, entry by entry and event by event", async (seed) => {
    const [one, two] = [await simulate(seed), await simulate(seed)];
    expect(two.history).toEqual(one.history);
    expect(two.hash()).toBe(one.hash());
  });

  test("the same in another process; control: another seed is another history", async () => {
    const here = (await simulate(8)).hash();
    const there = execFileSync(process.execPath, [join(import.meta.dirname, "run.mjs"), "--seed", "8", "--hash"], { encoding: "utf8" }).trim();
    expect(there).toBe(here);
    expect((await simulate(4)).hash()).not.toBe(here);
  });
});
