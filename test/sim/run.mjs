// @ts-check
/**
 * `npm run test:sim -- --minutes 60 [--seed N] [--jobs J]`: simulates one seed after the other and tells what it finds;
 * `--seeds 70` as many as that. `--seed N` alone replays that seed; with `--events T` it prints every event from virtual ms T on,
 * with `--hash` nothing but what the history comes to. `--rebalance`: instead, fifty members that join and leave one group;
 * `--consumers`: groups of all kinds, simple ones, with SQL92 filters, broadcasting, moved by resetOffset;
 * `--delivery`: timers and recalls, transactions, consume-transform-produce.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "vite";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const { values } = parseArgs({
  options: {
    minutes: { type: "string" },
    seed: { type: "string" },
    seeds: { type: "string", default: "1" },
    jobs: { type: "string", default: "1" },
    events: { type: "string" },
    hash: { type: "boolean", default: false },
    rebalance: { type: "boolean", default: false },
    consumers: { type: "boolean", default: false },
    delivery: { type: "boolean", default: false },
  },
});

const jobs = Number(values.jobs);
const firstSeed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
// Of what is no number nothing would ever be the end, or every seed the same world.
const areNumbers = [firstSeed, Number(values.seeds), jobs].every((value) => Number.isSafeInteger(value) && value >= 0) && jobs > 0 && Number(values.minutes ?? 0) >= 0 && Number(values.events ?? 0) >= 0;
if (!areNumbers) {
  console.error("npm run test:sim -- [--minutes N] [--seed INTEGER] [--seeds INTEGER] [--jobs INTEGER] [--events MS] [--hash] [--rebalance] [--consumers] [--delivery]");
  process.exit(2);
}
const CLI = values.rebalance ? "rebalance-cli" : values.consumers ? "consumption-cli" : values.delivery ? "delivery-cli" : "cli";

// comlink says goodbye when the collector finds a proxy, at moments that no seed decides; and keeps every endpoint until then, so of
// thousands of worlds that end in the middle of everything all would be kept.
const BANNER = "delete globalThis.FinalizationRegistry;";

const folder = await mkdtemp(join(tmpdir(), "tabmq-sim-"));
try {
  await build({
    configFile: false,
    root: ROOT,
    logLevel: "error",
    publicDir: false,
    ssr: { noExternal: true },
    build: {
      ssr: join(ROOT, `test/sim/${CLI}.ts`), outDir: folder, target: "node20", minify: false, sourcemap: "inline",
      // A browser's worker as text: nobody here loads it.
      rolldownOptions: { external: "virtual:worker-source", output: { banner: BANNER } },
    },
  });
  const codes = await Promise.all(Array.from({ length: jobs }, (_, job) => run(firstSeed + job, jobs)));
  process.exitCode = codes.some((code) => code !== 0) ? 1 : 0;
} finally {
  await rm(folder, { recursive: true, force: true });
}

/**
 * @param {number} first
 * @param {number} step
 * @returns {Promise<number>}
 */
function run(first, step) {
  const args = [String(first), String(step), values.seeds, values.minutes ?? "", values.events ?? "", values.hash ? "hash" : ""];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ["--enable-source-maps", join(folder, `${CLI}.js`), ...args], { stdio: "inherit" });
    child.on("close", (code) => resolve(code ?? 1));
  });
}
