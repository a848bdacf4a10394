// @ts-check
/**
 * `npm run test:bundlers`: the packed package installed into small applications, built by their tools, opened in two tabs each.
 * Arguments: names of applications; all by default. Prints a table; exit code 1 when a row is not as it is expected.
 * The tools are no dependencies of this repository: they are installed into a temporary folder, for as long as this runs.
 */
import "../support/node-version.mjs";
import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "../support/serve.mjs";
import { MATRIX } from "./matrix.mjs";
import { story } from "./story.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const ROOT = join(HERE, "../..");
const STEP_TIMEOUT = 300_000;

/** @typedef {{ tool: string, version: string, mode: string, ok: boolean, host: string, bytes: string, told: string }} Line */

const wanted = new Set(process.argv.slice(2));
const isWanted = (/** @type {string} */ app) => wanted.size === 0 || wanted.has(app);
const temporary = await mkdtemp(join(tmpdir(), "tabmq-bundlers-"));
/** @type {Line[]} */
const lines = [];
try {
  const packed = JSON.parse(await npm(["pack", "--json", "--ignore-scripts", "--pack-destination", temporary], ROOT));
  const tarball = join(temporary, packed[0].filename);
  console.log(`${packed[0].filename}: ${kilobytes(packed[0].size)} packed, ${kilobytes(packed[0].unpackedSize)} unpacked, ${packed[0].files.length} files`);

  for (const app of new Set(["node", ...MATRIX.map((row) => row.app)])) {
    if (!isWanted(app)) continue;
    const folder = join(temporary, app);
    await cp(join(HERE, app), folder, { recursive: true });
    for (const file of ["app.js", "main.js"]) await cp(join(HERE, file), join(folder, file));
    await npm(["install", "--no-audit", "--no-fund", "--no-package-lock", tarball], folder);
    if (app === "node") lines.push(await inNode(folder));
    for (const row of MATRIX.filter((one) => one.app === app)) lines.push(await inBrowser(row, folder));
  }
  if (isWanted("script")) lines.push(await control(join(temporary, "script")));
} finally {
  await rm(temporary, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
print(lines);
const failed = lines.filter(({ ok }) => !ok).length;
console.log(`${lines.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 && lines.length > 0 ? 0 : 1;

/** @param {string} folder @returns {Promise<Line>} */
async function inNode(folder) {
  const line = { tool: "node", version: process.versions.node, mode: "import, require", host: "", bytes: "" };
  try {
    await command(folder, ["check.mjs"]);
    return { ...line, ok: true, told: "connect is refused with UNSUPPORTED_ENVIRONMENT" };
  } catch (error) {
    return { ...line, ok: false, told: message(error) };
  }
}

/** @param {import("./matrix.mjs").Row} row @param {string} folder @returns {Promise<Line>} */
async function inBrowser(row, folder) {
  const version = row.tool === undefined ? "" : JSON.parse(await readFile(join(folder, "node_modules", row.tool, "package.json"), "utf8")).version;
  const line = { tool: row.tool ?? row.app, version, mode: row.mode };
  /** @type {(() => unknown)[]} */
  const closers = [];
  try {
    for (const build of row.build ?? []) await command(folder, build);
    const origin = await open(row, folder, closers);
    if (row.serverSays !== undefined) {
      const html = await (await fetch(origin)).text();
      if (!html.includes(row.serverSays)) throw new Error(`the server has not rendered ${row.serverSays}`);
    }
    if (row.copiesWorker) await command(folder, ["node_modules/tabmq/src/bin/copy-worker.js", row.folder ?? "."]);
    const { host, pageBytes } = await story(`${origin}/`, row.copiesWorker ? { worker: "/tabmq-worker.js" } : {});
    const ok = host === row.host;
    return { ...line, ok, host, bytes: kilobytes(pageBytes), told: ok ? row.why : `expected ${row.host} (${row.why})` };
  } catch (error) {
    return { ...line, ok: false, host: "", bytes: "", told: message(error) };
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/**
 * Serves a row's application, and tells where.
 * @param {import("./matrix.mjs").Row} row @param {string} folder @param {(() => unknown)[]} closers
 */
async function open(row, folder, closers) {
  if (row.server !== undefined) {
    const port = String(await freePort());
    closers.push(start(folder, row.server.map((part) => (part === "PORT" ? port : part))));
    const origin = `http://127.0.0.1:${port}`;
    await answers(origin);
    return origin;
  }
  if (row.library !== undefined) {
    const cdn = await serve({ dist: join(folder, "node_modules/tabmq/dist"), headers: { "/dist/": { "access-control-allow-origin": "*" } } });
    closers.push(() => cdn.close());
    const html = await readFile(join(HERE, row.app, "index.html"), "utf8");
    await writeFile(join(folder, "index.html"), html.replace("TABMQ_URL", row.library.replace("CDN", cdn.origin)));
  }
  const served = await serve({ folder: join(folder, row.folder ?? ".") });
  closers.push(() => served.close());
  return served.origin;
}

/** What the matrix asserts has to be able to fail: two tabs that do not share a broker are found out. @param {string} folder @returns {Promise<Line>} */
async function control(folder) {
  const line = { tool: "script", version: "", mode: "control: two namespaces", bytes: "" };
  const served = await serve({ folder });
  try {
    const { host } = await story(`${served.origin}/`, { namespaces: ["one", "other"] });
    return { ...line, ok: false, host, told: "two brokers were taken for one" };
  } catch (error) {
    const ok = message(error).includes("each tab has a broker of its own");
    return { ...line, ok, host: "", told: ok ? "found out" : message(error) };
  } finally {
    await served.close();
  }
}

/** Runs a script to its end. @param {string} folder @param {string[]} args @returns {Promise<string>} what it said */
function command(folder, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: folder, env: environment(), timeout: STEP_TIMEOUT, stdio: ["ignore", "pipe", "pipe"] });
    let [said, complained] = ["", ""];
    child.stdout.on("data", (data) => (said += data));
    child.stderr.on("data", (data) => (complained += data));
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve(said) : reject(new Error(`${args.join(" ")} ended with ${code}: ${(complained + said).slice(-2000)}`))));
  });
}

/** Starts a server. Returns what ends it. @param {string} folder @param {string[]} args */
function start(folder, args) {
  const child = spawn(process.execPath, args, { cwd: folder, env: environment(), stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("close", resolve));
  return () => {
    child.kill();
    return ended;
  };
}

/** npm as it runs this script, by its JavaScript: its name alone needs a shell on Windows. @param {string[]} args @param {string} folder */
async function npm(args, folder) {
  const script = process.env.npm_execpath ?? join(process.execPath, "../../lib/node_modules/npm/bin/npm-cli.js");
  return command(folder, [script, "--loglevel=error", ...args]);
}

function environment() {
  return { ...process.env, NEXT_TELEMETRY_DISABLED: "1", CI: "1" };
}

/** @param {string} origin */
async function answers(origin) {
  for (const end = Date.now() + 60_000; ; ) {
    if (await fetch(origin).then((response) => response.ok, () => false)) return;
    if (Date.now() > end) throw new Error(`nothing answers at ${origin}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

/** @param {Line[]} all */
function print(all) {
  const head = { tool: "bundler", version: "version", mode: "mode", ok: "ok", host: "host", bytes: "page", told: "why" };
  const rows = [head, ...all.map((line) => ({ ...line, ok: line.ok ? "✓" : "✗" }))];
  const columns = /** @type {const} */ (["tool", "version", "mode", "ok", "host", "bytes"]);
  const width = Object.fromEntries(columns.map((column) => [column, Math.max(...rows.map((row) => row[column].length))]));
  for (const row of rows) console.log(`${columns.map((column) => row[column].padEnd(width[column] ?? 0)).join("  ")}  ${row.told}`);
  console.log("host: the kind of worker that the one broker runs in; page: the scripts that a tab loads, gzip, without the worker");
}

/** @param {number} bytes */
function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

/** @param {unknown} error */
function message(error) {
  return error instanceof Error ? error.message : String(error);
}
