// @ts-check
/**
 * `npm run test:fault [-- FILE…]`: every test that kills, freezes, damages or fills something, in its long form, in
 * Chromium; and the kills of the whole browser in Firefox too, where it is installed. FILE: only these. Options go to vitest.
 */
import "../support/node-version.mjs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { missing } from "../support/engines/find.mjs";

const ROOT = join(import.meta.dirname, "../..");
/** What test/tabs has of it; its other files have no long form. */
const TABS = ["crash", "tab-host", "consumers-under-load", "freeze", "reopen", "privacy", "cycles"].map((name) => `test/tabs/${name}.test.ts`);
const RUNS = [
  { engine: "chromium", project: "tabs", files: ["test/fault", ...TABS] },
  { engine: "firefox", project: "tabs:firefox", files: ["test/fault/sigkill.test.ts"] },
];

const given = process.argv.slice(2);
// "test/fault/loss" is a file; "-t" and "reads", its value, are not.
const isFile = (/** @type {string} */ argument) => argument.startsWith("test/");
const chosen = given.filter(isFile);
const options = given.filter((argument) => !isFile(argument));

/** @type {string[]} */
const told = [];
for (const { engine, project, files } of RUNS) {
  const reason = missing().find((one) => one.engine === engine)?.reason;
  if (reason !== undefined) {
    told.push(`- ${engine}: left out, ${reason}`);
    continue;
  }
  const wanted = chosen.length === 0 ? files : engine === "chromium" ? chosen : files.filter((file) => chosen.some((part) => file.includes(part)));
  if (wanted.length === 0) continue;
  console.log(`\n── ${engine} ──`);
  const args = [join(ROOT, "node_modules/vitest/vitest.mjs"), "run", "--mode", "long", "--project", project, ...options, ...wanted];
  const { status, error } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: "inherit" });
  const isGood = error === undefined && status === 0;
  if (!isGood) process.exitCode = 1;
  told.push(`${isGood ? "✓" : "✗"} ${engine}`);
}
console.log(`\n${told.join("\n")}`);
