import { describe as suite, expect, test } from "vitest";
import { describe } from "./report.ts";
import { SEEDS } from "./seeds.ts";
import { simulate } from "./simulate.ts";

/** How long new seeds are tried, ms of the processor: as many on a busy machine as on an idle one. */
const FRESH = 2_000;

suite("the real broker and the real clients in a simulated world keep their promises", () => {
  let merged = 0;

  test.each(SEEDS.filter(({ isLong = false }) => !isLong || process.env.TABMQ_LONG === "1"))("seed $seed: $about", async ({ seed, plan = (drawn) => drawn }) => {
    const run = await simulate(seed, { plan });
    expect(run.verdicts, describe(run)).toEqual([]);
    merged += run.merges.rows;
  });

  test("rows of the log were merged in these worlds", () => expect(merged).toBeGreaterThan(100));

  test("fresh seeds, as many as there is time for", { timeout: 180_000 }, async () => {
    const first = Math.floor(Math.random() * 1e9);
    const before = process.cpuUsage();
    const used = (): number => {
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    };
    for (let seed = first; seed === first || used() < FRESH; seed++) {
      const run = await simulate(seed);
      expect(run.verdicts, describe(run)).toEqual([]);
    }
  });
});
