import { describe as suite, expect, test, vi } from "vitest";
import { withMutant } from "./mutant.ts";
import { SEEDS } from "./seeds.ts";

vi.setConfig({ testTimeout: 180_000 });

const bites = SEEDS.flatMap(({ without, plan = (drawn) => drawn, ...seed }) => (without === undefined ? [] : [{ ...seed, ...without, plan }]));

suite("a seed that is kept for a protection is red without it", () => {
  test.each(bites)("seed $seed: $about: $verdict", async ({ seed, plan, mutation, verdict }) => {
    const { verdicts } = await withMutant(...mutation, ({ simulate }) => simulate(seed, { plan }));
    expect(verdicts.map(({ kind }) => kind)).toContain(verdict);
  });
});
