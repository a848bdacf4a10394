// @ts-check
/**
 * `npm run bench:timers`: how late messages come that have a time of their own, and what those that wait take of memory, in a
 * real Chromium with its profile on disk. Exit code 1 when a bar is missed.
 *
 *     node test/bench/timers.mjs [--no-build] [--dist FOLDER] [--pending 1000000] [--json FILE]
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { launch } from "../support/chromium.mjs";
import { openHarness, sleep } from "./harness.mjs";
import { figure } from "./stats.mjs";

const COUNT = 60;
/** TabMQ stores its queues when it has rested for a second. */
const SETTLE_MS = 3000;
/** ms, and bytes. */
const LATE_BAR = 10;
const MEMORY_BAR = 30;

const { values: options } = parseArgs({ options: { "no-build": { type: "boolean" }, dist: { type: "string" }, pending: { type: "string", default: "1000000" }, json: { type: "string" } } });
const pending = Number(options.pending);

const harness = await openHarness("timers.html", options);
/** @type {import("./harness.mjs").Caller<import("./timers-page.mjs").Bench>} */
const call = harness.call;
/** @type {import("./harness.mjs").Result[]} */
const results = [];

const browser = await launch({ profile: join(harness.work, "timers") });
try {
  const page = await harness.openPage(browser);
  const { indexer, durability } = await call(page, "diagnostics", {});
  if (indexer !== "wasm" || durability !== "strict") throw new Error(`TabMQ runs with indexer "${indexer}", durability "${durability}"`);
  const idle = await call(page, "lateness", { count: COUNT });
  results.push(lateness("how late a message comes, of an idle broker", idle, LATE_BAR));
  const before = (await call(page, "diagnostics", {})).timers;
  const rate = await call(page, "fill", { count: pending });
  await sleep(SETTLE_MS);
  const after = (await call(page, "diagnostics", {})).timers;
  if (after.pending < pending) throw new Error(`${after.pending} of ${pending} timers wait`);
  results.push({ name: "memory of a timer that waits", unit: "bytes", better: "lower", judged: "absolute", measured: [(after.indexBytes - before.indexBytes) / pending], reference: [], bar: MEMORY_BAR, note: `${figure(pending)} of them; stored at ${figure(rate)} a second` });
  results.push(lateness("how late, beside all these", await call(page, "lateness", { count: COUNT }), null));
} finally {
  await browser.close();
}
await harness.end(results, `medians of ${COUNT} messages`);

/** @param {string} name @param {{ late: number[], stored: number[] }} times @param {number | null} bar @returns {import("./harness.mjs").Result} */
function lateness(name, { late, stored }, bar) {
  return { name, unit: "ms", better: "lower", judged: "absolute", measured: late, reference: stored, bar, note: "at the listener; as reference when it was stored in its topic" };
}
