// @ts-check
/** `npm run test:fuzz -- [--minutes N] [--seed S]`: the fuzz tests with new seeds, for as long as you like. */
import "../support/node-version.mjs";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" }, seed: { type: "string" } } });
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
if (!(minutes > 0) || !Number.isInteger(seed)) {
  console.error("npm run test:fuzz -- [--minutes N] [--seed INTEGER]");
  process.exit(2);
}
// Files that use `fuzz`; the others take their few seconds anyway.
const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".test.ts") && name !== "exhaustion.test.ts").length;
console.log(`Fuzzing for about ${minutes} minutes with seed ${seed}. The same again: npm run test:fuzz -- --minutes ${minutes} --seed ${seed}`);
const { status } = spawnSync(
  process.execPath,
  [join(import.meta.dirname, "../../node_modules/vitest/vitest.mjs"), "run", "--project", "node", "--no-file-parallelism", "test/fuzz"],
  { stdio: "inherit", env: { ...process.env, TABMQ_FUZZ_SECONDS: String((minutes * 60) / files), TABMQ_FUZZ_SEED: String(seed) } },
);
process.exitCode = status ?? 1;
