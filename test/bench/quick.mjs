// @ts-check
/**
 * `npm run bench:quick`: TabMQ beside a minimal reference, in the same run, in a real Chromium with its profile on disk.
 * Three bars; each is a ratio of medians, because absolute figures say more about the machine than about TabMQ.
 * Exit code 1 when a bar is missed.
 *
 *     node test/bench/quick.mjs [--no-build] [--dist FOLDER] [--only sends,lone,start] [--encrypted] [--json FILE]
 *
 * --dist measures another build (of an older commit, say) and implies --no-build. --encrypted adds what encryption at
 * rest costs; the reference is TabMQ without it.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch } from "../support/chromium.mjs";
import { serve } from "../support/serve.mjs";
import { figure, median, midmean, table } from "./stats.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const HERE = fileURLToPath(new URL(".", import.meta.url));

/** Rounds that count; before them comes one that does not. */
const ROUNDS = 7;
/** Short ones, so that a noisy moment hits TabMQ and the reference alike. */
const LONE_ROUNDS = 21;
/** TabMQ stores its queues when it has rested for a second: not during the next measurement, and before the browser is closed. */
const SETTLE_MS = 1500;
const BURST_MESSAGES = 40_000;
const LONE_SENDS = 60;
const STORED_MESSAGES = 100_000;

const SENDS_BAR = 0.5;
const LONE_BAR = 1.5;
const START_BAR = 3;

/** The share of all processors that others may use before the figures are called unreliable. */
const MAX_BUSY = 0.2;

/** @typedef {import("./page.mjs").Bench} Bench */
/** @typedef {{ name: string, unit: string, better: "higher" | "lower", measured: number[], reference: number[], ratio: number, bar: number | null, note?: string }} Result */

const { values: options } = parseArgs({
  options: { "no-build": { type: "boolean" }, dist: { type: "string" }, only: { type: "string" }, encrypted: { type: "boolean", default: false }, json: { type: "string" } },
});
const wanted = new Set(options.only?.split(",") ?? ["sends", "lone", "start"]);

// A build of its own: `npm run build`'s dist/ holds more, and stays as it is.
const BUILT = join(ROOT, "node_modules/.cache/tabmq/bench-dist");
if (!options["no-build"] && !options.dist) build();
const busy = await othersShare();
if (busy > MAX_BUSY) console.error(`Other programs use ${Math.round(busy * 100)} % of the processors: what follows says little.`);
// Beside the checkout and not in the system's folder for temporary files, which may be in memory.
mkdirSync(join(ROOT, "node_modules/.cache/tabmq"), { recursive: true });
const work = mkdtempSync(join(ROOT, "node_modules/.cache/tabmq/bench-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(130));

const server = await serve({
  folder: HERE,
  dist: options.dist ?? BUILT,
  // The clock of an isolated page ticks every 5 us; otherwise, and in a SharedWorker always, every 100 us.
  headers: { "/": { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" } },
});
/** @type {Result[]} */
const results = [];
let version = "";
try {
  if (wanted.has("sends") || wanted.has("lone")) results.push(...(await measureSends()));
  if (wanted.has("start")) results.push(...(await measureStarts()));
} finally {
  await server.close();
}
report();

/** Bars 1 and 2: one browser, both sides alive, turn by turn. @returns {Promise<Result[]>} */
async function measureSends() {
  const browser = await launch({ profile: join(work, "sends") });
  try {
    const page = await openPage(browser);
    const { indexer, durability } = await call(page, "open", { isEncrypted: options.encrypted });
    if (indexer !== "wasm" || durability !== "strict") throw new Error(`TabMQ runs with indexer "${indexer}", durability "${durability}"`);
    /** @type {Result[]} */
    const found = [];
    if (wanted.has("sends")) {
      /** @param {"tabmqBurst" | "encryptedBurst"} name */
      const settled = async (name) => {
        const ms = await call(page, name, { count: BURST_MESSAGES });
        await sleep(SETTLE_MS);
        return (BURST_MESSAGES / ms) * 1000;
      };
      /** @typedef {Record<"tabmq" | "reference" | "encrypted", () => Promise<number>>} Senders */
      const senders = /** @type {Senders} */ ({
        tabmq: () => settled("tabmqBurst"),
        reference: async () => (BURST_MESSAGES / (await call(page, "referenceBurst", { count: BURST_MESSAGES }))) * 1000,
        ...(options.encrypted ? { encrypted: () => settled("encryptedBurst") } : {}),
      });
      const { tabmq, reference, encrypted } = await takeTurns("sends", ROUNDS, senders);
      found.push({
        name: "1 KiB sends, none awaited", unit: "msg/s", better: "higher", measured: tabmq, reference, ratio: median(tabmq) / median(reference), bar: SENDS_BAR,
        note: "reference: packed strict ceiling",
      });
      if (options.encrypted) {
        found.push({
          name: "the same, encrypted", unit: "msg/s", better: "higher", measured: encrypted, reference: tabmq, ratio: median(encrypted) / median(tabmq), bar: null,
          note: "reference: TabMQ without encryption",
        });
      }
    }
    if (wanted.has("lone")) {
      /** @typedef {Record<"tabmq" | "put" | "trip" | "minimal" | "encrypted", number[]>} Lone */
      const lone = /** @type {Lone} */ ({ tabmq: [], put: [], trip: [], minimal: [], ...(options.encrypted ? { encrypted: [] } : {}) });
      for (let round = 0; round <= LONE_ROUNDS; round++) {
        const times = await call(page, "lone", { count: LONE_SENDS });
        if (round === 0) continue;
        for (const name of /** @type {(keyof typeof lone)[]} */ (Object.keys(lone))) lone[name].push(midmean(times[name]));
        console.error(`lone: round ${round}: ${Object.entries(lone).map(([name, values]) => `${name} ${figure(values.at(-1) ?? 0)}`).join(", ")}`);
      }
      const { tabmq, put, trip, minimal, encrypted } = lone;
      const reference = put.map((ms, round) => ms + (trip[round] ?? 0));
      found.push({
        name: "1 KiB lone send", unit: "ms", better: "lower", measured: tabmq, reference, ratio: median(tabmq) / (median(put) + median(trip)), bar: LONE_BAR,
        note: `reference: strict put ${figure(median(put))} + port round trip ${figure(median(trip))}`,
      });
      if (options.encrypted) {
        found.push({ name: "the same, encrypted", unit: "ms", better: "lower", measured: encrypted, reference: tabmq, ratio: median(encrypted) / median(tabmq), bar: null, note: "reference: TabMQ without encryption" });
      }
      // What the same two steps cost one after the other, with threads that have to be woken.
      found.push({ name: "the reference's lone send", unit: "ms", better: "lower", measured: minimal, reference, ratio: median(minimal) / (median(put) + median(trip)), bar: null });
    }
    return found;
  } finally {
    await browser.close();
  }
}

/** Bar 3: a new browser for every start, because a worker may outlive its page. @returns {Promise<Result[]>} */
async function measureStarts() {
  const [profile, killed, crashed] = [join(work, "starts"), join(work, "killed"), join(work, "crashed")];
  const fill = { namespace: "stored", count: STORED_MESSAGES };
  console.error(`start: storing ${STORED_MESSAGES} messages, twice`);
  await withPage(profile, async (page) => {
    await call(page, "fill", fill);
    await sleep(SETTLE_MS);
  });
  await withPage(killed, async (page, browser) => {
    await call(page, "fill", fill);
    await browser.kill();
  });

  /** @param {string} folder @param {string} namespace @param {number} least */
  const start = (folder, namespace, least) =>
    withPage(folder, async (page) => {
      // The browser has its own starting to do.
      await sleep(500);
      const { ms, stored, replayed, recoveryMs } = await call(page, "start", { namespace });
      if (stored <= least) throw new Error(`${namespace}: ${stored} messages after the start, more than ${least} expected`);
      replays[folder] = { replayed, recoveryMs };
      await sleep(SETTLE_MS);
      return ms;
    });
  /** @type {Record<string, { replayed: number, recoveryMs: number }>} */
  const replays = {};
  let empties = 0;
  const { stored, afterKill, empty } = await takeTurns("start", ROUNDS, {
    stored: () => start(profile, "stored", STORED_MESSAGES),
    empty: () => start(profile, `empty-${empties++}`, 0),
    afterKill: () => {
      // Each time the state that the kill left, not the one that the last start has tidied up.
      rmSync(crashed, { recursive: true, force: true });
      cpSync(killed, crashed, { recursive: true, verbatimSymlinks: true });
      return start(crashed, "stored", STORED_MESSAGES);
    },
  });
  const common = { unit: "ms", better: /** @type {const} */ ("lower"), reference: empty };
  const note = `reference: namespace never used; after a kill ${replays[crashed]?.replayed} messages replayed in ${replays[crashed]?.recoveryMs} ms`;
  return [
    { ...common, name: "start with 100,000 stored", measured: stored, ratio: median(stored) / median(empty), bar: START_BAR },
    { ...common, name: "the same after SIGKILL", measured: afterKill, ratio: median(afterKill) / median(empty), bar: null, note },
  ];
}

/**
 * Runs all contestants once to warm up, then round by round, in an order that turns.
 * @template {string} Name
 * @param {string} title
 * @param {number} rounds
 * @param {Record<Name, () => Promise<number>>} contestants
 * @returns {Promise<Record<Name, number[]>>}
 */
async function takeTurns(title, rounds, contestants) {
  const names = /** @type {Name[]} */ (Object.keys(contestants));
  const measured = /** @type {Record<Name, number[]>} */ (/** @type {unknown} */ (Object.fromEntries(names.map((name) => [name, []]))));
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = /** @type {Name} */ (names[(turn + round) % names.length]);
      const value = await contestants[name]();
      if (round > 0) measured[name].push(value);
    }
    const shown = names.map((name) => (round > 0 ? `${name} ${figure(measured[name].at(-1) ?? 0)}` : name));
    console.error(`${title}: ${round > 0 ? `round ${round}` : "warm-up"}: ${shown.join(", ")}`);
  }
  return measured;
}

/**
 * @template T
 * @param {string} profile
 * @param {(page: import("playwright-core").Page, browser: import("../support/chromium.mjs").Launched) => Promise<T>} act
 */
async function withPage(profile, act) {
  const browser = await launch({ profile });
  try {
    return await act(await openPage(browser), browser);
  } finally {
    await browser.close();
  }
}

/** @param {import("../support/chromium.mjs").Launched} browser */
async function openPage({ context }) {
  version = context.browser()?.version() ?? "";
  const page = context.pages()[0] ?? (await context.newPage());
  page.on("console", (message) => console.error(`page: ${message.text()}`));
  page.on("pageerror", (error) => console.error(`page: ${error.message}`));
  await page.goto(`${server.origin}/page.html`);
  await page.waitForFunction("globalThis.bench !== undefined && crossOriginIsolated");
  return page;
}

/**
 * Calls a function of page.mjs in the page.
 * @template {keyof Bench} Name
 * @param {import("playwright-core").Page} page
 * @param {Name} name
 * @param {Parameters<Bench[Name]>[0]} argument
 * @returns {Promise<Awaited<ReturnType<Bench[Name]>>>}
 */
function call(page, name, argument) {
  return page.evaluate(([chosen, given]) => /** @type {any} */ (globalThis).bench[/** @type {string} */ (chosen)](given), [name, argument]);
}

function build() {
  for (const mode of ["lib", "worker"]) {
    const vite = join(ROOT, "node_modules/vite/bin/vite.js");
    const { status } = spawnSync(process.execPath, [vite, "build", "--mode", mode, "--outDir", BUILT, "--logLevel", "warn"], { cwd: ROOT, stdio: "inherit" });
    if (status !== 0 || !existsSync(join(BUILT, mode === "lib" ? "index.js" : "worker.js"))) {
      console.error(`vite build --mode ${mode} failed`);
      process.exit(1);
    }
  }
}

/** How busy the processors are, 0 to 1, before anything is measured. */
async function othersShare() {
  const times = () => cpus().map(({ times: { idle, ...rest } }) => ({ idle, all: idle + Object.values(rest).reduce((sum, ms) => sum + ms, 0) }));
  const before = times();
  await sleep(2000);
  const shares = times().map(({ idle, all }, at) => 1 - (idle - (before[at]?.idle ?? 0)) / Math.max(1, all - (before[at]?.all ?? 0)));
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

function report() {
  /** @param {Result} result */
  const passes = ({ ratio, bar, better }) => bar === null || (better === "higher" ? ratio >= bar : ratio <= bar);
  const rows = results.map((result) => [
    result.name, figure(median(result.measured)), figure(median(result.reference)), result.unit, result.ratio.toFixed(2),
    result.bar === null ? "-" : `${result.better === "higher" ? ">=" : "<="} ${result.bar}`,
    result.bar === null ? "-" : passes(result) ? "PASS" : "FAIL",
  ]);
  console.log(`\nChromium ${version}, medians of ${ROUNDS} rounds (lone sends: ${LONE_ROUNDS}); processors ${Math.round(busy * 100)} % busy before\n`);
  console.log(table([["", "measured", "reference", "unit", "ratio", "bar", ""], ...rows]));
  console.log("");
  for (const { name, measured, reference, note } of results) {
    console.log(`${name}${note ? ` (${note})` : ""}`);
    console.log(`  measured   ${measured.map(figure).join("  ")}`);
    console.log(`  reference  ${reference.map(figure).join("  ")}`);
  }
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ chromium: version, busy, results: results.map((result) => ({ ...result, pass: passes(result) })) }, null, 2)}\n`);
  process.exitCode = results.every(passes) ? 0 : 1;
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
