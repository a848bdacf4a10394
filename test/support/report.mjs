// @ts-check
/** What vitest's JSON says of a run. */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** When more files are red, it is not for want of processor time. */
const MOST_SECOND_TRIES = 3;

/**
 * @param {any} report vitest's JSON, or undefined if it wrote none
 * @param {number} code vitest's exit code
 */
export function count(report, code) {
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

/** What failed and why, a text each. @param {any} report @returns {string[]} */
export function failuresOf(report) {
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
export function slowestOf(report) {
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

/**
 * The failed files, if all of them drive a browser and they are few: those can be red because the machine had too much to do.
 * Whatever else fails is red at once.
 * @param {any} report @returns {string[]}
 */
export function worthSecondTry(report) {
  /** @type {{ name: string, status: string }[]} */
  const files = report?.testResults ?? [];
  const failed = [...new Set(files.filter(({ status }) => status === "failed").map(({ name }) => relative(ROOT, name)))];
  return failed.length <= MOST_SECOND_TRIES && failed.every((file) => /^test\/(tabs|fault|browser)\//.test(file.replaceAll("\\", "/"))) ? failed : [];
}
