// @ts-check
/** What the benches share: a build, a server, a browser with its profile on disk, turns, and a table of verdicts. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "../support/chromium.mjs";
import { serve } from "../support/serve.mjs";
import { figure, median, table } from "./stats.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const HERE = fileURLToPath(new URL(".", import.meta.url));
/** A build of its own: `npm run build`'s dist/ holds more, and stays as it is. */
const BUILT = join(ROOT, "node_modules/.cache/tabmq/bench-dist");

/** The share of all processors that others may use before the figures are called unreliable. */
const MAX_BUSY = 0.2;

/**
 * One row. What is judged is the medians' ratio, their difference, the median of the rounds' differences, or the measured one alone.
 * @typedef {object} Result
 * @property {string} name
 * @property {string} unit
 * @property {"higher" | "lower"} better
 * @property {number[]} measured
 * @property {number[]} reference
 * @property {"ratio" | "difference" | "round by round" | "absolute"} [judged] default ratio
 * @property {number | null} bar null = only shown
 * @property {number} [ratio] where it is not that of the medians
 * @property {string} [note]
 */

/** @typedef {{ "no-build"?: boolean | undefined, dist?: string | undefined, json?: string | undefined, keep?: string | undefined }} Options */
/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("../support/chromium.mjs").Launched} Launched */

/**
 * Calls a function of what the page has as `bench`.
 * @template {Record<string, (argument: any) => Promise<any>>} Bench
 * @typedef {<Name extends keyof Bench>(page: Page, name: Name, argument: Parameters<Bench[Name]>[0]) => Promise<Awaited<ReturnType<Bench[Name]>>>} Caller
 */

/**
 * @param {string} html the page, in this folder
 * @param {Options} options
 */
export async function openHarness(html, options) {
  if (!options["no-build"] && !options.dist) build(html === "store.html" ? ["lib", "worker", "bench"] : ["lib", "worker"]);
  const busy = await othersShare();
  if (busy > MAX_BUSY) console.error(`Other programs use ${Math.round(busy * 100)} % of the processors: what follows says little.`);
  const work = options.keep ?? temporaryFolder();
  mkdirSync(work, { recursive: true });
  // Kept profiles belong to an origin, and so to a port.
  const portFile = join(work, "port");
  const server = await serve({
    folder: HERE,
    dist: options.dist ?? BUILT,
    port: existsSync(portFile) ? Number(readFileSync(portFile, "utf8")) : 0,
    // The clock of an isolated page ticks every 5 us; otherwise, and in a SharedWorker always, every 100 us.
    headers: { "/": { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" } },
  });
  writeFileSync(portFile, String(server.port));
  let version = "";

  /** In a tab of its own. @param {Launched} browser @returns {Promise<Page>} */
  async function openPage({ context }) {
    version = context.browser()?.version() ?? "";
    const page = context.pages().find((open) => open.url() === "about:blank") ?? (await context.newPage());
    page.on("console", (message) => console.error(`page: ${message.text()}`));
    page.on("pageerror", (error) => console.error(`page: ${error.message}`));
    await page.goto(`${server.origin}/${html}`);
    await page.waitForFunction("globalThis.bench !== undefined && crossOriginIsolated");
    return page;
  }

  return {
    /** For profiles. */
    work,
    openPage,

    /**
     * A new browser for every `act`.
     * @template T
     * @param {string} profile
     * @param {(page: Page, browser: Launched) => Promise<T>} act
     */
    async withPage(profile, act) {
      const browser = await launch({ profile });
      try {
        return await act(await openPage(browser), browser);
      } finally {
        await browser.close();
      }
    },

    /** Give it the type `Caller<…>` of the page's functions. @param {Page} page @param {any} name @param {any} argument @returns {Promise<any>} */
    call(page, name, argument) {
      return page.evaluate(([chosen, given]) => /** @type {any} */ (globalThis).bench[/** @type {string} */ (chosen)](given), [name, argument]);
    },

    /** Prints the table; exit code 1 when a bar is missed. @param {Result[]} results @param {string} rounds @param {string[]} [skipped] */
    async end(results, rounds, skipped = []) {
      await server.close();
      console.log(`\nChromium ${version}, ${rounds}; processors ${Math.round(busy * 100)} % busy before\n`);
      report(results, skipped);
      if (options.json) {
        const judged = results.map((result) => ({ ...result, value: valueOf(result), pass: passes(result) }));
        writeFileSync(options.json, `${JSON.stringify({ chromium: version, busy, results: judged, skipped }, null, 2)}\n`);
      }
      process.exitCode = results.every(passes) ? 0 : 1;
    },
  };
}

/**
 * Runs all contestants once to warm up, then round by round, in an order that turns.
 * @template {string} Name
 * @param {string} title
 * @param {number} rounds
 * @param {Record<Name, () => Promise<number>>} contestants
 * @returns {Promise<Record<Name, number[]>>}
 */
export async function takeTurns(title, rounds, contestants) {
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

/** @param {number} ms */
export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** @param {Result} result */
function valueOf({ judged = "ratio", measured, reference, ratio }) {
  if (judged === "absolute") return median(measured);
  if (judged === "difference") return median(measured) - median(reference);
  if (judged === "round by round") return median(measured.map((value, round) => value - (reference[round] ?? Number.NaN)));
  return ratio ?? median(measured) / median(reference);
}

/** @param {Result} result */
function passes(result) {
  if (result.bar === null) return true;
  return result.better === "higher" ? valueOf(result) >= result.bar : valueOf(result) <= result.bar;
}

/** @param {Result[]} results @param {string[]} skipped */
function report(results, skipped) {
  const rows = results.map((result) => {
    const { name, unit, better, measured, reference, judged = "ratio", bar } = result;
    const value = valueOf(result);
    const shown = judged === "ratio" ? value.toFixed(2) : `${judged !== "absolute" && value >= 0 ? "+" : ""}${figure(value)}`;
    return [
      name, figure(median(measured)), reference.length === 0 ? "-" : figure(median(reference)), unit, shown,
      bar === null ? "-" : `${better === "higher" ? ">=" : "<="} ${bar}`,
      bar === null ? "-" : passes(result) ? "PASS" : "FAIL",
    ];
  });
  console.log(table([["", "measured", "reference", "unit", "judged", "bar", ""], ...rows]));
  console.log("");
  for (const { name, measured, reference, note } of results) {
    console.log(`${name}${note ? ` (${note})` : ""}`);
    console.log(`  measured   ${measured.map(figure).join("  ")}`);
    if (reference.length > 0) console.log(`  reference  ${reference.map(figure).join("  ")}`);
  }
  for (const line of skipped) console.log(`SKIPPED  ${line}`);
}

/** Beside the checkout and not in the system's folder for temporary files, which may be in memory. */
function temporaryFolder() {
  mkdirSync(join(ROOT, "node_modules/.cache/tabmq"), { recursive: true });
  const folder = mkdtempSync(join(ROOT, "node_modules/.cache/tabmq/bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(130));
  return folder;
}

/** @param {string[]} modes of vite.config.ts */
function build(modes) {
  for (const mode of modes) {
    const vite = join(ROOT, "node_modules/vite/bin/vite.js");
    const { status } = spawnSync(process.execPath, [vite, "build", "--mode", mode, "--outDir", BUILT, "--logLevel", "warn"], { cwd: ROOT, stdio: "inherit" });
    if (status !== 0 || !existsSync(join(BUILT, { lib: "index.js", worker: "worker.js" }[mode] ?? "store-read.js"))) {
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
