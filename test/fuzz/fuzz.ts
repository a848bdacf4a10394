import fc from "fast-check";
import { test } from "vitest";

/**
 * A property under fast-check. In `npm test`: a fixed seed and a fixed number of runs, so that a red test stays red.
 * `npm run test:fuzz -- --minutes N` sets the variables: other seeds, and as many runs as fit the time.
 */
const SECONDS = Number(process.env.TABMQ_FUZZ_SECONDS ?? 0);
const SEED = Number(process.env.TABMQ_FUZZ_SEED ?? 20_261_121);
const PATH = process.env.TABMQ_FUZZ_PATH;
export const IS_LONG = SECONDS > 0;

/** Properties of this file: they share its time. */
let properties = 0;

export function fuzz<T>(name: string, arbitrary: fc.Arbitrary<T>, runs: number, check: (value: T) => void | Promise<void>): void {
  properties++;
  test(name, { timeout: 300_000 + 4000 * SECONDS }, async () => {
    const limit = IS_LONG ? { numRuns: 2 ** 31 - 1, interruptAfterTimeLimit: (SECONDS * 1000) / properties } : { numRuns: runs };
    const replay = PATH === undefined ? {} : { path: PATH };
    const result = await fc.check(fc.asyncProperty(arbitrary, async (value) => void (await check(value))), { seed: SEED, ...limit, ...replay });
    if (IS_LONG) console.log(`${name}: ${result.numRuns} runs, seed ${SEED}`);
    if (!result.failed) return;
    const again = `Replay: TABMQ_FUZZ_SEED=${result.seed} TABMQ_FUZZ_PATH=${result.counterexamplePath} npx vitest run --project node test/fuzz -t ${JSON.stringify(name)}`;
    throw new Error(`${fc.defaultReportMessage(result)}\n${again}`, { cause: result.errorInstance });
  });
}

/** `count` values from the same seed, for controls that run the same attack without its protection. */
export function samples<T>(arbitrary: fc.Arbitrary<T>, count: number): T[] {
  return fc.sample(arbitrary, { seed: SEED, numRuns: count });
}
