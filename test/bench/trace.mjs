// @ts-check
/**
 * `npm run bench:trace`: what trace costs. The same with it and without it, in turn, in a real Chromium with its profile
 * on disk. Each bar is the median of the rounds' ratios, of which both sides follow each other. Exit code 1 when one is missed.
 *
 *     node test/bench/trace.mjs [--no-build] [--dist FOLDER] [--only send,both,consume] [--json FILE]
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { launch } from "../support/chromium.mjs";
import { openHarness, sleep, takeTurns } from "./harness.mjs";
import { figure, median } from "./stats.mjs";

/** Many short ones, so that a noisy moment hits both alike. */
const ROUNDS = 21;
const MESSAGES = 15_000;
/** TabMQ stores its queues when it has rested for a second. */
const SETTLE_MS = 1500;

/** Of the throughput without it. */
const BAR = 0.9;

/** @typedef {import("./harness.mjs").Result} Result */
/** @typedef {import("./harness.mjs").Page} Page */
/** @typedef {import("./trace-page.mjs").Which} Which */

const { values: options } = parseArgs({ options: { "no-build": { type: "boolean" }, dist: { type: "string" }, only: { type: "string" }, json: { type: "string" } } });
const wanted = new Set(options.only?.split(",") ?? ["send", "both", "consume"]);

const harness = await openHarness("trace.html", options);
/** @type {import("./harness.mjs").Caller<import("./trace-page.mjs").Bench>} */
const call = harness.call;
/** @type {Result[]} */
const results = [];
if (wanted.has("send")) results.push(await withTabs("send", 1, measureSend));
if (wanted.has("both")) results.push(await withTabs("both", 2, measureBoth));
if (wanted.has("consume")) results.push(...(await withTabs("consume", 2, measureConsume)));
await harness.end(results, `medians of ${ROUNDS} rounds`);

/** @param {Page[]} tabs @returns {Promise<Result>} */
async function measureSend([sender]) {
  if (sender === undefined) throw new Error("one tab");
  const { on, off } = await inTurn("send", async (which, topic) => {
    await call(sender, "createTopic", { which, topic });
    return call(sender, "send", { which, topic, count: MESSAGES });
  });
  return { name: "send 1 KiB, nobody consumes", unit: "msg/s", better: "higher", measured: on, reference: off, ratio: pairwise(on, off), bar: BAR, note: "with trace, and without as the reference" };
}

/** @param {Page[]} tabs @returns {Promise<Result>} */
async function measureBoth([sender, receiver]) {
  if (sender === undefined || receiver === undefined) throw new Error("two tabs");
  const { on, off } = await inTurn("both", async (which, topic) => {
    await call(sender, "createTopic", { which, topic });
    await call(receiver, "consume", { which, topic });
    const rate = await call(sender, "send", { which, topic, count: MESSAGES });
    await untilGot(receiver);
    await call(receiver, "stop", {});
    return rate;
  });
  return { name: "send 1 KiB while another tab consumes it", unit: "msg/s", better: "higher", measured: on, reference: off, ratio: pairwise(on, off), bar: BAR };
}

/** @param {Page[]} tabs @returns {Promise<Result[]>} */
async function measureConsume([sender, receiver]) {
  if (sender === undefined || receiver === undefined) throw new Error("two tabs");
  /** @type {Record<Which, number[]>} */
  const grown = { on: [], off: [] };
  const { on, off } = await inTurn("consume", async (which, topic) => {
    await call(sender, "createTopic", { which, topic });
    await call(sender, "send", { which, topic, count: MESSAGES });
    await sleep(SETTLE_MS);
    const before = await call(sender, "diagnostics", { which });
    const began = await call(receiver, "consume", { which, topic });
    const last = await untilGot(receiver);
    await call(receiver, "stop", {});
    await sleep(SETTLE_MS);
    grown[which].push(((await call(sender, "diagnostics", { which })).position - before.position) / MESSAGES);
    return (MESSAGES / (last - began)) * 1000;
  });
  const { trace } = await call(receiver, "diagnostics", { which: "on" });
  return [
    { name: "consume a backlog of 1 KiB messages", unit: "msg/s", better: "higher", measured: on, reference: off, ratio: pairwise(on, off), bar: null },
    { name: "the log's growth for each message consumed", unit: "bytes", better: "lower", judged: "absolute", measured: grown.on, reference: grown.off, bar: null, note: `${figure(trace.dropped)} of ${figure(trace.written + trace.dropped)} trace records dropped; without trace ${figure(median(grown.off))}` },
  ];
}

/** @param {number[]} measured @param {number[]} reference */
function pairwise(measured, reference) {
  return median(measured.map((value, round) => value / (reference[round] ?? value)));
}

/** @param {string} title @param {(which: Which, topic: string) => Promise<number>} measure */
function inTurn(title, measure) {
  let round = 0;
  const next = (/** @type {Which} */ which) => async () => {
    const rate = await measure(which, `${title}-${round++}`);
    await sleep(SETTLE_MS);
    return rate;
  };
  return takeTurns(title, ROUNDS, { on: next("on"), off: next("off") });
}

/** When the last one came. @param {Page} receiver */
async function untilGot(receiver) {
  for (;;) {
    const { count, last } = await call(receiver, "got", {});
    if (count > MESSAGES) throw new Error(`${count} messages for ${MESSAGES}`);
    if (count === MESSAGES) return last;
    await sleep(20);
  }
}

/** @template T @param {string} profile @param {number} count @param {(tabs: Page[]) => Promise<T>} measure @returns {Promise<T>} */
async function withTabs(profile, count, measure) {
  const browser = await launch({ profile: join(harness.work, profile) });
  try {
    /** @type {Page[]} */
    const tabs = [];
    for (let tab = 0; tab < count; tab++) tabs.push(await harness.openPage(browser));
    for (const which of /** @type {const} */ (["on", "off"])) {
      for (const tab of tabs) {
        const { indexer, durability, traceEnable } = await call(tab, "diagnostics", { which });
        if (indexer !== "wasm" || durability !== "strict" || traceEnable !== (which === "on")) throw new Error(`TabMQ runs with indexer "${indexer}", durability "${durability}", traceEnable ${traceEnable}`);
      }
    }
    return await measure(tabs);
  } finally {
    await browser.close();
  }
}
