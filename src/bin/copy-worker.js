#!/usr/bin/env node
// @ts-check
/**
 * `npx tabmq-copy-worker FOLDER`: puts the broker's script into a folder that the application's server serves, as
 * tabmq-worker.js, for tool chains that do not find a worker by themselves, and for pages that load the library from another
 * origin. Says how to name it to `connect`. Exit code 1 when nothing was copied.
 */
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const FILE = "tabmq-worker.js";
const USAGE = `Usage: tabmq-copy-worker FOLDER
Copies TabMQ's worker to FOLDER/${FILE}. FOLDER: what your server serves as it is, such as public/ or static/; made if it is not there.`;

const [given, ...more] = process.argv.slice(2);
if (given === "--help" || given === "-h") console.log(USAGE);
else if (given === undefined || given.startsWith("-") || more.length > 0) fail(USAGE);
else await copy(given);

/** @param {string} folder */
async function copy(folder) {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() === false) return fail(`${folder} is not a folder. Name the folder; the file in it will be ${FILE}.`);
  const target = join(folder, FILE);
  let script;
  try {
    script = await readFile(new URL("../../dist/worker.js", import.meta.url), "utf8");
  } catch {
    return fail(`The package has no ${fileURLToPath(new URL("../../dist/worker.js", import.meta.url))}. Install tabmq again; in its own repository, run npm run build first.`);
  }
  try {
    // A new project has none yet. That it was made is told, because a name may be mistyped.
    if (found === undefined) await mkdir(folder, { recursive: true });
    // Its source map stays in the package.
    await writeFile(target, script.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n"));
  } catch (error) {
    return fail(`${target} cannot be written: ${error instanceof Error ? error.message : error}`);
  }
  const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
  if (found === undefined) console.log(`There was no folder ${folder}: ${resolve(folder)} is new.`);
  console.log(`${target} is TabMQ ${version}'s worker. Copy it again after every update of tabmq, best in your build script.
In your application, if the folder is served at /:
  connect({
    worker: (name, kind) =>
      kind === "shared" ? new SharedWorker("/${FILE}", { name, extendedLifetime: true }) : new Worker("/${FILE}", { name }),
  })
In TypeScript: { name, extendedLifetime: true } as WorkerOptions.`);
}

/** @param {string} message */
function fail(message) {
  console.error(message);
  process.exitCode = 1;
}
