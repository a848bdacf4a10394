// @ts-check
/**
 * `npm test`: everything, on a laptop as on a bare machine.
 * Finds a Chromium (or installs one) and the other engines that are there, checks types, lints, builds (tests use dist), checks the package, what nobody uses, and the weight, runs every vitest project.
 * Ends with `N passed, N failed`. Arguments go to vitest, and then nothing is shortened: `npm test -- --project node`.
 */
import "./support/node-version.mjs";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { count, failuresOf, slowestOf, worthSecondTry } from "./support/report.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** A hung browser must not hang the run for ever. */
const TEST_TIMEOUT = 45 * 60_000;

/** @type {{ name: string, passed: number, failed: number, skipped: number }[]} */
const results = [];
/** What failed and why, told once more where nobody has to look for it. @type {string[]} */
const failures = [];
/** What was red beside the others and green by itself. @type {string[]} */
const unsteady = [];
/** What took longest, because the whole must stay short. @type {string[]} */
const slowest = [];

const { findChromium, noBrowser } = await import("./support/browser.mjs");
const browser = await findChromium({ install: true });
if (!browser) {
  console.error(noBrowser());
  console.log("0 passed, 1 failed");
  process.exit(1);
}
process.env.TABMQ_CHROMIUM = browser.path;
// Enumerations take samples here, and what another of its kind says in less time is left out: test/support/effort.ts.
if (process.argv.length === 2) process.env.TABMQ_SHORT = "1";
console.log(`Browser: ${browser.path} (${browser.version})`);
const { missing } = await import("./support/engines/find.mjs");
for (const { engine, reason } of missing()) console.log(reason === undefined ? `Also: ${engine}` : `Not in ${engine}: ${reason}`);

for (const script of ["typecheck", "lint", "build", "check:package", "check:unused", "check:size"]) {
  heading(script);
  const passed = (await npmRun(script)) === 0;
  results.push({ name: script, passed: Number(passed), failed: Number(!passed), skipped: 0 });
}
heading("tests");
results.push(await vitest(process.argv.slice(2)));

if (failures.length > 0) {
  heading("failed");
  for (const failure of failures) console.log(failure);
}
if (unsteady.length > 0) {
  heading("unsteady: red beside the others, green by itself");
  for (const failure of unsteady) console.log(failure);
}
if (slowest.length > 0) {
  heading("the slowest files");
  for (const line of slowest) console.log(line);
}
heading("summary");
for (const { name, passed, failed, skipped } of results) {
  console.log(`${failed ? "✗" : "✓"} ${name}: ${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
}
const total = (/** @type {"passed" | "failed"} */ key) => results.reduce((sum, result) => sum + result[key], 0);
console.log(`${total("passed")} passed, ${total("failed")} failed`);
process.exitCode = total("failed") ? 1 : 0;

/**
 * A file that drives a browser and was red beside all the others is run once more, by itself. Green then, it is not a failure, but is told: it leans on time, or has found a race.
 * @param {string[]} args
 */
async function vitest(args) {
  const { code, report } = await vitestRun(args);
  slowest.push(...slowestOf(report));
  const suspects = worthSecondTry(report);
  const first = { name: "tests", ...count(report, code) };
  if (suspects.length > 0) {
    heading(`once more, by themselves: ${suspects.join(", ")}`);
    const second = await vitestRun([...args, ...suspects]);
    const { passed, failed } = count(second.report, second.code);
    if (failed === 0 && passed > 0) {
      unsteady.push(...failuresOf(report));
      return { ...first, passed: first.passed + first.failed, failed: 0 };
    }
  }
  failures.push(...failuresOf(report));
  return first;
}

/**
 * @param {string[]} args
 * @returns {Promise<{ code: number, report: any }>} its exit code and its JSON, undefined if it wrote none
 */
async function vitestRun(args) {
  const folder = await mkdtemp(join(tmpdir(), "tabmq-test-"));
  try {
    const file = join(folder, "results.json");
    const reporters = ["--reporter=default", "--reporter=json", `--reporter=${join(ROOT, "test/support/engines/table.ts")}`, `--outputFile.json=${file}`];
    const code = await node([join(ROOT, "node_modules/vitest/vitest.mjs"), "run", ...reporters, ...args]);
    return { code, report: await readFile(file, "utf8").then(JSON.parse, () => undefined) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @param {string} script */
function npmRun(script) {
  // npm_execpath is npm's own JavaScript: starting `npm` by name needs a shell on Windows.
  const npm = process.env.npm_execpath;
  if (npm?.endsWith(".js")) return node([npm, "run", "--silent", script]);
  return start("npm", ["run", "--silent", script], process.platform === "win32");
}

/** @param {string[]} args */
function node(args) {
  return start(process.execPath, args, false);
}

/**
 * @param {string} file
 * @param {string[]} args
 * @param {boolean} shell
 * @returns {Promise<number>} the exit code
 */
function start(file, args, shell) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: ROOT, stdio: "inherit", shell, timeout: TEST_TIMEOUT });
    child.on("error", (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.on("close", (code) => resolve(code ?? 1));
  });
}

/** @param {string} text */
function heading(text) {
  console.log(`\n── ${text} ──`);
}
