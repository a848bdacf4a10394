// @ts-check
/**
 * `npm run check:size`, second half: what a first visit of the playground loads, gzip, each part beside its limit and its goal.
 * (The first half is size-limit, for the package: .size-limit.json.) Exit code 1 above a limit, which is what it weighs today and a
 * little: it shall not grow unseen. A goal that is not reached yet is said so.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));

const page = scriptsOf("playground/index.html");
const [worker] = assets("worker").filter((file) => !file.includes("worker-inline"));
// Of this name there is a small one too: the map's list of clients.
const late = assets("clients").sort((a, b) => weigh([b]) - weigh([a]))[0];
const [live] = assets("LivePanel");
if (worker === undefined || late === undefined || live === undefined || page.length === 0) throw new Error("dist/playground is not as it is expected: is it built?");
const panel = behind(live, page);
const library = behind(late, [...page, ...panel]);

/** @type {{ name: string, bytes: number, limit: number, goal?: number }[]} KiB */
const parts = [
  { name: "the page, before any panel", bytes: weigh(page), limit: 46 },
  { name: "its first panel, the live map", bytes: weigh(panel), limit: 25 },
  { name: "what sends and consumes", bytes: weigh(library), limit: 66 },
  { name: "the broker, with the indexer", bytes: weigh([worker]), limit: 100 },
  { name: "a first visit: all of these", bytes: weigh([...page, ...panel, ...library, worker]), limit: 233, goal: 120 },
];

let isOver = false;
for (const { name, bytes, limit, goal } of parts) {
  const weight = bytes / 1024;
  const reached = goal === undefined ? "" : weight <= goal ? `, goal ${goal} KiB reached` : `, goal ${goal} KiB missed by ${(weight - goal).toFixed(1)} KiB`;
  console.log(`${weight > limit ? "✗" : "✓"} ${name.padEnd(30)} ${weight.toFixed(1).padStart(6)} KiB, limit ${limit} KiB${reached}`);
  isOver ||= weight > limit;
}
process.exitCode = isOver ? 1 : 0;

/** Built files of a name. @param {string} name */
function assets(name) {
  return readdirSync(join(DIST, "playground/assets")).filter((file) => file.startsWith(`${name}-`) && file.endsWith(".js")).map((file) => `playground/assets/${file}`);
}

/** A file that is loaded later, with what it imports and is not there yet. @param {string} file @param {string[]} there */
function behind(file, there) {
  const found = new Set(there);
  follow(file, found);
  return [...found].slice(there.length);
}

/** A page with the scripts and styles it names, and all that those import before they run. @param {string} html */
function scriptsOf(html) {
  const text = readFileSync(join(DIST, html), "utf8");
  const named = [...text.matchAll(/(?:src|href)="\.\/(assets\/[^"]+)"/g)].map(([, file]) => join(dirname(html), file ?? ""));
  const found = new Set([html]);
  for (const file of named) follow(file, found);
  return [...found];
}

/** @param {string} file @param {Set<string>} found */
function follow(file, found) {
  if (found.has(file) || !existsSync(join(DIST, file))) return;
  found.add(file);
  if (!file.endsWith(".js")) return;
  const code = readFileSync(join(DIST, file), "utf8");
  for (const [, imported] of code.matchAll(/(?:^|[;\n}])\s*(?:import|export)\s*(?:[\w$*{},\s]*?from\s*)?["'`](\.\/[^"'`]+)["'`]/g)) {
    follow(relative(DIST, join(DIST, dirname(file), imported ?? "")), found);
  }
}

/** @param {string[]} files */
function weigh(files) {
  return files.reduce((sum, file) => sum + gzipSync(readFileSync(join(DIST, file))).byteLength, 0);
}
