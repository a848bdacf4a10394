// @ts-check
/**
 * `npm test`: everything, on a laptop as on a bare machine.
 * Finds a Chromium (or installs one) and the other engines that are there, checks types, lints, builds (tests use dist), checks the package and its weight, runs every vitest project.
 * Ends with `N passed, N failed`. Arguments go to vitest, and then nothing is shortened: `npm test -- --project node`.
 */
import "./support/node-version.mjs";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** A hung browser must not hang the run for ever. */
const TEST_TIMEOUT = 45 * 60_000;

/** @type {{ name: string, passed: number, failed: number, skipped: number }[]} */
const results = [];
/** What failed and why, told once more where nobody has to look for it. @type {string[]} */
const failures = [];
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

for (const script of ["typecheck", "lint", "build", "check:package", "check:size"]) {
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

/** @param {string[]} args */
async function vitest(args) {
  const folder = await mkdtemp(join(tmpdir(), "tabmq-test-"));
  try {
    const file = join(folder, "results.json");
    const reporters = ["--reporter=default", "--reporter=json", `--reporter=${join(ROOT, "test/support/engines/table.ts")}`, `--outputFile.json=${file}`];
    const code = await node([join(ROOT, "node_modules/vitest/vitest.mjs"), "run", ...reporters, ...args]);
    const report = await readFile(file, "utf8").then(JSON.parse, () => undefined);
    failures.push(...failuresOf(report));
    slowest.push(...slowestOf(report));
    return { name: "tests", ...count(report, code) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * @param {any} report vitest's JSON, or undefined if it wrote none
 * @param {number} code vitest's exit code
 */
function count(report, code) {
  const passed = report?.numPassedTests ?? 0;
  const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
  /** @type {{ status: string, assertionResults: { status: string }[] }[]} */
  const files = report?.testResults ?? [];
  // A file that cannot be loaded fails without a failed test in it.
  const brokenFiles = files.filter((file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed")).length;
  const failed = (report?.numFailedTests ?? 0) + brokenFiles;
  // A crash, an unhandled error and a run without tests are failures that no test shows.
  const unseen = failed === 0 && (code !== 0 || passed === 0);
  return { passed, failed: failed + Number(unseen), skipped };
}

/** @param {any} report @returns {string[]} */
function failuresOf(report) {
  /** @type {{ name: string, message: string, status: string, assertionResults: { status: string, fullName: string, failureMessages: string[] }[] }[]} */
  const files = report?.testResults ?? [];
  return files.flatMap(({ name, message, status, assertionResults }) => {
    const file = relative(ROOT, name);
    const failed = assertionResults.filter((test) => test.status === "failed");
    if (failed.length === 0) return status === "failed" ? [`${file}\n${excerpt(message)}`] : [];
    return failed.map((test) => `${file} > ${test.fullName}\n${excerpt(test.failureMessages.join("\n"))}`);
  });
}

/** @param {any} report @returns {string[]} */
function slowestOf(report) {
  /** @type {{ name: string, startTime: number, endTime: number }[]} */
  const files = report?.testResults ?? [];
  return files
    .map(({ name, startTime, endTime }) => ({ name: relative(ROOT, name), seconds: (endTime - startTime) / 1000 }))
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, 30)
    .map(({ name, seconds }) => `${seconds.toFixed(0).padStart(5)} s  ${name}`);
}

/** @param {string} text */
function excerpt(text) {
  return text.split("\n").slice(0, 12).map((line) => `    ${line.slice(0, 300)}`).join("\n");
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
