import { expect } from "vitest";
import { type Fault, FAULTS } from "./faulty-store.ts";

type FaultKind = (typeof FAULTS)[number];
export type FaultyRun = (faults: Fault[]) => Promise<{ violations: string[]; operations: number }>;

const FULL = process.env.TABMQ_FULL === "1";
/** ms; TABMQ_FULL=1 takes every pair of faults. */
export const ENUMERATION_TIMEOUT = FULL ? 3_600_000 : 300_000;

/** A fault at the first operation, the second, and so on, until the run ends before it. Returns how many runs that were. */
export async function everyFault(run: FaultyRun, kind: FaultKind): Promise<number> {
  for (let at = 1; ; at++) {
    const { violations, operations } = await run([{ at, kind }]);
    expect(violations, `${kind} at operation ${at}`).toEqual([]);
    if (operations < at) return at;
  }
}

/** A fault, and another soon after it, from operation `from` on. */
export async function everyPair(run: FaultyRun, [first, second]: readonly [FaultKind, FaultKind], from: number, step: number): Promise<void> {
  const { operations } = await run([]);
  for (let at = from; at <= operations; at += FULL ? 1 : step) {
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
