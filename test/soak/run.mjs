// @ts-check
/**
 * `npm run soak -- [--minutes N] [--leak] [--seed S] [--picture FILE.svg]`: ten tabs join, send, consume and leave, in every way
 * there is; afterwards heap, ports, locks, sessions, open calls and the size of the database have to be flat. The curves
 * are drawn to FILE, by default in the folder for temporary files (the one in docs is `--picture docs/soak.svg`). `--leak`
 * forgets connections, memory and rows on purpose: every curve has to be red. A run too short to judge says so, and judges nothing.
 */
import "../support/node-version.mjs";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { launch } from "../support/chromium.mjs";
import { serve } from "../support/serve.mjs";
import { heap, workerSession } from "../support/worker-session.mjs";
import { draw, figure } from "./curves.mjs";
import { judge } from "./trend.mjs";

const ROOT = join(import.meta.dirname, "../..");
const TABS = 10;
const SAMPLE_EVERY = 5000;
/** How long a tab stays, ms. */
const STAY = { least: 4000, most: 15_000 };
const MIB = 2 ** 20;
/** Less than this, and heaps and caches are still filling. */
const JUDGED_FROM = { minutes: 5, samples: 20 };
/** More than the broker's cache of the log holds. */
const FILL_BYTES = 72 * MIB;

const { values: options } = parseArgs({
  options: { minutes: { type: "string", default: "30" }, leak: { type: "boolean", default: false }, seed: { type: "string" }, picture: { type: "string" } },
});
const minutes = Number(options.minutes);
if (!(minutes > 0)) throw new Error("--minutes N, more than 0");
if (!existsSync(join(ROOT, "dist/index.js"))) throw new Error("there is no dist/: run `npm run build` first");
const picture = resolve(options.picture ?? join(tmpdir(), "tabmq-soak.svg"));
const seed = Number(options.seed ?? Date.now() % 2 ** 31);
let state = seed;
const random = () => ((state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32);

const pages = {
  "/": `<!doctype html><meta charset="utf-8"><title>soak</title><script type="module" src="/page.js"></script>`,
  "/page.js": await readFile(join(import.meta.dirname, "page.mjs"), "utf8"),
};
const server = await serve({ pages });
const browser = await launch();
const { context } = browser;
const began = Date.now();
const isOver = () => Date.now() - began > minutes * 60_000;
const count = { joins: 0, leaves: { politely: 0, closed: 0, reloaded: 0 } };
/** @type {string[]} */
const troubles = [];

/** @param {import("playwright-core").Page} page @param {string} name @param {unknown} [argument] @returns {Promise<any>} */
const call = (page, name, argument) => page.evaluate(([what, given]) => /** @type {any} */ (globalThis)[what](given), /** @type {const} */ ([name, argument]));

async function openTab() {
  const page = await context.newPage();
  await page.goto(server.origin);
  await page.waitForFunction("'look' in globalThis");
  return page;
}

/** One of the ten: whoever leaves is followed by the next. */
async function place() {
  while (!isOver()) {
    const page = await openTab();
    // A tab that cannot connect is told of at the end, and the next one tries.
    await live(page).catch((error) => troubles.push(String(error).split("\n")[0] ?? ""));
    await page.close();
  }
}

/** From joining to leaving, with reloads in between. @param {import("playwright-core").Page} page */
async function live(page) {
  for (let stays = true; stays; ) {
    await call(page, "begin");
    count.joins++;
    await sleep(STAY.least + random() * (STAY.most - STAY.least));
    const tally = await call(page, "tally");
    troubles.push(...tally.troubles);
    const way = random();
    stays = way < 0.3 && !isOver();
    if (stays) {
      count.leaves.reloaded++;
      await page.reload();
      await page.waitForFunction("'look' in globalThis");
    } else if (way < 0.65) {
      count.leaves.politely++;
      await call(page, "end");
    } else count.leaves.closed++;
  }
}

/** Ports that live in the worker, after a collection of garbage. @param {import("../support/worker-session.mjs").Session} worker */
async function livePorts(worker) {
  const { result: prototype } = await worker("Runtime.evaluate", { expression: "MessagePort.prototype", objectGroup: "soak" });
  const { objects } = await worker("Runtime.queryObjects", { prototypeObjectId: prototype.objectId, objectGroup: "soak" });
  const { result } = await worker("Runtime.callFunctionOn", { objectId: objects.objectId, functionDeclaration: "function () { return this.length; }", returnByValue: true });
  await worker("Runtime.releaseObjectGroup", { objectGroup: "soak" });
  return result.value;
}

const observer = await openTab();
await call(observer, "observe");
await call(observer, "fill", FILL_BYTES);
const worker = await workerSession(context, "/soak/");
const observerSession = await context.newCDPSession(observer);

/** @type {{ minute: number, workerHeap: number, workerBytes: number, observerHeap: number, ports: number, locks: number, sessions: number, calls: number, usagePerByte: number }[]} */
const samples = [];

async function sample() {
  const [ports, look] = [await livePorts(worker), await call(observer, "look")];
  const [inWorker, inObserver] = [await heap(worker), await heap((method, params) => observerSession.send(method, params))];
  if (look.damaged > 0 || look.epoch !== 1) troubles.push(`epoch ${look.epoch}, ${look.damaged} rows damaged`);
  samples.push({
    minute: (Date.now() - began) / 60_000,
    workerHeap: inWorker.usedSize / MIB,
    workerBytes: (inWorker.backingStorageSize ?? 0) / MIB,
    observerHeap: inObserver.usedSize / MIB,
    ports,
    locks: look.locks,
    sessions: look.sessions,
    calls: look.calls,
    usagePerByte: look.usage / look.position,
  });
  const { minute, ...rest } = /** @type {(typeof samples)[number]} */ (samples.at(-1));
  console.log(`${minute.toFixed(1)} min`, Object.entries(rest).map(([name, value]) => `${name} ${figure(value)}`).join("  "));
}

async function watch() {
  while (!isOver()) {
    await sleep(SAMPLE_EVERY);
    if (options.leak) {
      for (let more = 0; more < 3; more++) await call(observer, "leak");
      await worker("Runtime.evaluate", { expression: "(self.leaked ??= []).push(Array.from({ length: 30_000 }, Math.random), new Uint8Array(2 ** 20))" });
    }
    if (!isOver()) await sample();
  }
}

console.log(`${TABS} tabs for ${minutes} minutes, seed ${seed}${options.leak ? ", leaking on purpose" : ""}; Chromium ${context.browser()?.version()}`);
let stored = 0;
try {
  await Promise.all([watch(), ...Array.from({ length: TABS }, async (_, at) => sleep(at * 300).then(place))]);
  stored = await call(observer, "drain");
} finally {
  await browser.close();
  await server.close();
}

/** @type {[name: string, unit: string, key: Exclude<keyof (typeof samples)[number], "minute">, tolerance: { absolute: number, relative: number }][]} */
const CURVES = [
  ["Heap of the broker's worker", "MiB", "workerHeap", { absolute: 1, relative: 0.1 }],
  ["Bytes outside that heap (caches, WebAssembly)", "MiB", "workerBytes", { absolute: 4, relative: 0.05 }],
  ["Heap of a tab that stays", "MiB", "observerHeap", { absolute: 0.5, relative: 0.1 }],
  ["Ports in the worker", "ports", "ports", { absolute: 2, relative: 0 }],
  ["Web Locks, held and awaited", "locks", "locks", { absolute: 3, relative: 0 }],
  ["Sessions of the broker", "sessions", "sessions", { absolute: 1, relative: 0 }],
  ["Open calls", "calls", "calls", { absolute: 3, relative: 0 }],
  ["Database, bytes for each byte of the log", "", "usagePerByte", { absolute: 0, relative: 0.1 }],
];
const xs = samples.map(({ minute }) => minute);
const curves = CURVES.map(([name, unit, key, tolerance]) => {
  const values = samples.map((one) => one[key]);
  return { name, unit, values, verdict: judge(xs, values, tolerance) };
});
const { politely, closed, reloaded } = count.leaves;
const title = `TabMQ, ${figure(minutes)} minutes of ${TABS} tabs coming and going${options.leak ? ", leaking on purpose" : ""}`;
const subtitle = `${count.joins} connections (left: ${politely} politely, ${closed} closed, ${reloaded} reloaded), ${stored} messages sent and consumed; ${samples.length} samples. Tinted: the judged half.`;
const isJudged = minutes >= JUDGED_FROM.minutes && samples.length >= JUDGED_FROM.samples;
await writeFile(picture, draw({ title, subtitle, minutes: xs, curves, isJudged }));

console.log(`\n${title}\n${subtitle}\n`);
for (const { name, unit, verdict } of curves) {
  const { isFlat, drift, allowed, median } = verdict;
  console.log(`${isJudged ? (isFlat ? "✓" : "✗") : "-"} ${name}: median ${figure(median)} ${unit}, drift ${figure(drift)}, allowed ${figure(allowed)}`);
}
if (!isJudged) console.log(`\nToo short to judge: ${samples.length} samples in ${figure(minutes)} minutes; from ${JUDGED_FROM.minutes} minutes on the curves have to be flat.`);
for (const trouble of new Set(troubles)) console.log(`✗ ${trouble}`);
console.log(`\nPicture: ${picture}`);
process.exitCode = troubles.length === 0 && (!isJudged || curves.every(({ verdict }) => verdict.isFlat)) ? 0 : 1;
