// @ts-check
/**
 * `npm run bench:consume`: messages from tab to tab beside a minimal reference, in the same run, in a real Chromium with
 * its profile on disk. Two bars; each is a ratio of medians. Exit code 1 when one is missed.
 *
 *     node test/bench/consume.mjs [--no-build] [--dist FOLDER] [--only rate,latency] [--json FILE]
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { launch } from "../support/chromium.mjs";
import { openHarness, sleep, takeTurns } from "./harness.mjs";
import { figure, median, midmean } from "./stats.mjs";

const ROUNDS = 7;
const MESSAGES = 60_000;
/** Short ones, so that a noisy moment hits TabMQ and the reference alike. */
const LATENCY_ROUNDS = 21;
const LATENCY_SENDS = 30;
/** TabMQ stores its queues when it has rested for a second. */
const SETTLE_MS = 1500;

const RATE_BAR = 0.4;
const LATENCY_BAR = 2;

/** @typedef {import("./harness.mjs").Result} Result */
/** @typedef {import("./harness.mjs").Page} Page */

const { values: options } = parseArgs({ options: { "no-build": { type: "boolean" }, dist: { type: "string" }, only: { type: "string" }, json: { type: "string" } } });
const wanted = new Set(options.only?.split(",") ?? ["rate", "latency"]);

const harness = await openHarness("consume.html", options);
/** @type {import("./harness.mjs").Caller<import("./consume-page.mjs").Bench>} */
const call = harness.call;
/** @type {Result[]} */
const results = [];
if (wanted.has("latency")) results.push(await withTabs("latency", 2, measureLatency));
if (wanted.has("rate")) results.push(await withTabs("rate", 3, measureRate));
await harness.end(results, `medians of ${ROUNDS} rounds (latency: ${LATENCY_ROUNDS})`);

/** @param {Page[]} tabs @returns {Promise<Result>} */
async function measureLatency([here, there]) {
  if (here === undefined || there === undefined) throw new Error("two tabs");
  await call(there, "echo", {});
  await call(here, "expectEchoes", {});
  /** @type {Record<"tabmq" | "put" | "relay", number[]>} */
  const rounds = { tabmq: [], put: [], relay: [] };
  for (let round = 0; round <= LATENCY_ROUNDS; round++) {
    const times = await call(here, "oneWay", { count: LATENCY_SENDS });
    if (round === 0) continue;
    for (const name of /** @type {const} */ (["tabmq", "put", "relay"])) rounds[name].push(midmean(times[name]));
    console.error(`latency: round ${round}: ${Object.entries(rounds).map(([name, values]) => `${name} ${figure(values.at(-1) ?? 0)}`).join(", ")}`);
  }
  const { tabmq, put, relay } = rounds;
  return {
    name: "1 KiB from tab to tab", unit: "ms", better: "lower", measured: tabmq, reference: put.map((ms, round) => ms + (relay[round] ?? 0)), ratio: median(tabmq) / (median(put) + median(relay)), bar: LATENCY_BAR,
    note: `half of the way there and back; reference: strict put ${figure(median(put))} + relay ${figure(median(relay))}`,
  };
}

/** A group of two tabs, and a third that sends. @param {Page[]} tabs @returns {Promise<Result>} */
async function measureRate([sender, ...group]) {
  if (sender === undefined) throw new Error("three tabs");
  const all = (/** @type {"subscribe" | "reset" | "stop"} */ name) => Promise.all(group.map((tab) => call(tab, name, {})));
  /** Until the group has all of them; messages a second since `began`. @param {number} began */
  const rateSince = async (began) => {
    for (;;) {
      const got = await Promise.all(group.map((tab) => call(tab, "got", {})));
      const count = got.reduce((sum, one) => sum + one.count, 0);
      if (count > MESSAGES) throw new Error(`${count} messages for ${MESSAGES}`);
      if (count === MESSAGES) return (MESSAGES / (Math.max(...got.map(({ last }) => last)) - began)) * 1000;
      await sleep(50);
    }
  };
  await all("subscribe");
  let round = 0;
  const { tabmq, reference } = await takeTurns("rate", ROUNDS, {
    tabmq: async () => {
      const topic = `rate-${round++}`;
      await call(sender, "fill", { topic, count: MESSAGES });
      await sleep(SETTLE_MS);
      const began = await Promise.all(group.map((tab) => call(tab, "consume", { topic })));
      const rate = await rateSince(Math.min(...began));
      await all("stop");
      await sleep(SETTLE_MS);
      return rate;
    },
    reference: async () => {
      await all("reset");
      const began = await call(sender, "referenceBurst", { count: MESSAGES });
      return rateSince(began);
    },
  });
  return {
    name: "1 KiB messages consumed by a group of two tabs", unit: "msg/s", better: "higher", measured: tabmq, reference, bar: RATE_BAR,
    note: "stored before, read, listened to and acknowledged; from the first tab's joining to the last message. Reference: packed, stored strictly and pushed to the two tabs in turn",
  };
}

/** @param {string} profile @param {number} count @param {(tabs: Page[]) => Promise<Result>} measure */
async function withTabs(profile, count, measure) {
  const browser = await launch({ profile: join(harness.work, profile) });
  try {
    /** @type {Page[]} */
    const tabs = [];
    for (let tab = 0; tab < count; tab++) tabs.push(await harness.openPage(browser));
    for (const tab of tabs) {
      const { indexer, durability } = await call(tab, "diagnostics", {});
      if (indexer !== "wasm" || durability !== "strict") throw new Error(`TabMQ runs with indexer "${indexer}", durability "${durability}"`);
    }
    return await measure(tabs);
  } finally {
    await browser.close();
  }
}
