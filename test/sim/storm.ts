import { expect } from "vitest";
import type { VerdictKind } from "./checkers.ts";
import type { Plan } from "./plan.ts";
import { describe } from "./report.ts";
import { type Run, simulate, type SimulationOptions } from "./simulate.ts";

/** How many seeds a fault may hide from. */
const SEEDS = 40;

/** Short and busy, and disturbed in one way only. */
export const storm = (changes: Partial<Plan>) => (plan: Plan): Plan => ({
  ...plan,
  pace: "hectic", duration: 8_000, gap: 150, tabs: 4, builds: 1,
  topics: [{ topic: "t1", queues: 4 }],
  groups: [{ group: "all", kind: "push", subscriptions: { t1: "*" } }],
  commitFails: 0, commitMisreported: 0, readFails: 0, listenerFails: 0, maxReconsumeTimes: 3,
  work: 100, diskLatency: 10, messageLatency: 1, weight: 50, seekers: false, disturbances: {},
  ...changes,
});

/** Tries seeds until one is red with the verdict, a `likely` one first, which saves time; returns that run. */
export async function firstRedRun(expected: VerdictKind | readonly VerdictKind[], options: SimulationOptions, likely = 1, live = simulate): Promise<Run> {
  const seen = new Set<VerdictKind>();
  for (const seed of new Set([likely, ...Array.from({ length: SEEDS }, (_, at) => at + 1)])) {
    const run = await live(seed, options);
    for (const { kind } of run.verdicts) seen.add(kind);
    if ([expected].flat().every((wanted) => run.verdicts.some(({ kind }) => kind === wanted))) return run;
  }
  throw new Error(`no seed up to ${SEEDS} shows "${[expected].flat().join(", ")}"; seen: ${[...seen].join(", ") || "nothing"}`);
}

/** The same; returns its seed. */
export async function firstRed(...search: Parameters<typeof firstRedRun>): Promise<number> {
  return (await firstRedRun(...search)).seed;
}

export async function expectGreen(seed: number, options: SimulationOptions): Promise<void> {
  const run = await simulate(seed, options);
  expect(run.verdicts, describe(run)).toEqual([]);
}
