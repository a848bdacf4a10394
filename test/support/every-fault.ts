import { expect } from "vitest";
import { SHORT } from "./effort.ts";
import { type Fault, FAULTS } from "./faulty-store.ts";

type FaultKind = (typeof FAULTS)[number];
export type FaultyRun = (faults: Fault[]) => Promise<{ violations: string[]; operations: number }>;

const FULL = process.env.TABMQ_FULL === "1";
/** ms; TABMQ_FULL=1 takes every pair of faults. */
export const ENUMERATION_TIMEOUT = FULL ? 3_600_000 : 300_000;

/** Every operation from `from` on, or in short every third, each kind of fault beginning at another. */
export function stepsOf(kind: FaultKind, from = 1): { from: number; step: number } {
  return SHORT ? { from: from + (FAULTS.indexOf(kind) % 3), step: 3 } : { from, step: 1 };
}

/** A fault at the first operation, the second, and so on, until the run ends before it. Returns at which that was. */
export async function everyFault(run: FaultyRun, kind: FaultKind): Promise<number> {
  const { from, step } = stepsOf(kind);
  for (let at = from; ; at += step) {
    const { violations, operations } = await run([{ at, kind }]);
    expect(violations, `${kind} at operation ${at}`).toEqual([]);
    if (operations < at) return at;
  }
}

/** A fault, and another soon after it, from operation `from` on. */
export async function everyPair(run: FaultyRun, [first, second]: readonly [FaultKind, FaultKind], from: number, step: number): Promise<void> {
  const { operations } = await run([]);
  for (let at = from; at <= operations; at += FULL ? 1 : SHORT ? 2 * step : step) {
    for (let later = 1; later <= 9; later += FULL ? 1 : 4) {
      const faults = [{ at, kind: first }, { at: at + later, kind: second }];
      expect((await run(faults)).violations, JSON.stringify(faults)).toEqual([]);
    }
  }
}

/** What is violated by a fault at one of these operations. */
export async function violationsBetween(run: FaultyRun, kind: FaultKind, from: number, to: number): Promise<string[]> {
  const all: string[] = [];
  for (let at = from; at <= to; at++) all.push(...(await run([{ at, kind }])).violations);
  return all;
}
