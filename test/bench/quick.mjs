// @ts-check
/**
 * `npm run bench:quick`: TabMQ beside a minimal reference, in the same run, in a real Chromium with its profile on disk.
 * Three bars; each is a ratio of medians, because absolute figures say more about the machine than about TabMQ.
 * Exit code 1 when a bar is missed.
 *
 *     node test/bench/quick.mjs [--no-build] [--dist FOLDER] [--only sends,lone,start] [--encrypted] [--json FILE]
 *
 * --dist measures another build (of an older commit, say) and implies --no-build. --encrypted adds what encryption at
 * rest costs; the reference is TabMQ without it.
 */
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { launch } from "../support/chromium.mjs";
import { openHarness, sleep, takeTurns } from "./harness.mjs";
import { figure, median, midmean } from "./stats.mjs";

/** Rounds that count; before them comes one that does not. */
const ROUNDS = 7;
/** Short ones, so that a noisy moment hits TabMQ and the reference alike. */
const LONE_ROUNDS = 21;
/** TabMQ stores its queues when it has rested for a second: not during the next measurement, and before the browser is closed. */
const SETTLE_MS = 1500;
const BURST_MESSAGES = 40_000;
const LONE_SENDS = 60;
const STORED_MESSAGES = 100_000;

const SENDS_BAR = 0.5;
const LONE_BAR = 1.5;
const START_BAR = 3;

/** @typedef {import("./harness.mjs").Result} Result */

const { values: options } = parseArgs({
  options: { "no-build": { type: "boolean" }, dist: { type: "string" }, only: { type: "string" }, encrypted: { type: "boolean", default: false }, json: { type: "string" } },
});
const wanted = new Set(options.only?.split(",") ?? ["sends", "lone", "start"]);

const harness = await openHarness("page.html", options);
const { work, openPage, withPage } = harness;
/** @type {import("./harness.mjs").Caller<import("./page.mjs").Bench>} */
const call = harness.call;
/** @type {Result[]} */
const results = [];
if (wanted.has("sends") || wanted.has("lone")) results.push(...(await measureSends()));
if (wanted.has("start")) results.push(...(await measureStarts()));
await harness.end(results, `medians of ${ROUNDS} rounds (lone sends: ${LONE_ROUNDS})`);

/** Bars 1 and 2: one browser, both sides alive, turn by turn. @returns {Promise<Result[]>} */
async function measureSends() {
  const browser = await launch({ profile: join(work, "sends") });
  try {
    const page = await openPage(browser);
    const { indexer, durability } = await call(page, "open", { isEncrypted: options.encrypted });
    if (indexer !== "wasm" || durability !== "strict") throw new Error(`TabMQ runs with indexer "${indexer}", durability "${durability}"`);
    /** @type {Result[]} */
    const found = [];
    if (wanted.has("sends")) {
      /** @param {"tabmqBurst" | "encryptedBurst"} name */
      const settled = async (name) => {
        const ms = await call(page, name, { count: BURST_MESSAGES });
        await sleep(SETTLE_MS);
        return (BURST_MESSAGES / ms) * 1000;
      };
      /** @typedef {Record<"tabmq" | "reference" | "encrypted", () => Promise<number>>} Senders */
      const senders = /** @type {Senders} */ ({
        tabmq: () => settled("tabmqBurst"),
        reference: async () => (BURST_MESSAGES / (await call(page, "referenceBurst", { count: BURST_MESSAGES }))) * 1000,
        ...(options.encrypted ? { encrypted: () => settled("encryptedBurst") } : {}),
      });
      const { tabmq, reference, encrypted } = await takeTurns("sends", ROUNDS, senders);
      found.push({
        name: "1 KiB sends, none awaited", unit: "msg/s", better: "higher", measured: tabmq, reference, ratio: median(tabmq) / median(reference), bar: SENDS_BAR,
        note: "reference: packed strict ceiling",
      });
      if (options.encrypted) {
        found.push({
          name: "the same, encrypted", unit: "msg/s", better: "higher", measured: encrypted, reference: tabmq, ratio: median(encrypted) / median(tabmq), bar: null,
          note: "reference: TabMQ without encryption",
        });
      }
    }
    if (wanted.has("lone")) {
      /** @typedef {Record<"tabmq" | "put" | "trip" | "minimal" | "encrypted", number[]>} Lone */
      const lone = /** @type {Lone} */ ({ tabmq: [], put: [], trip: [], minimal: [], ...(options.encrypted ? { encrypted: [] } : {}) });
      for (let round = 0; round <= LONE_ROUNDS; round++) {
        const times = await call(page, "lone", { count: LONE_SENDS });
        if (round === 0) continue;
        for (const name of /** @type {(keyof typeof lone)[]} */ (Object.keys(lone))) lone[name].push(midmean(times[name]));
        console.error(`lone: round ${round}: ${Object.entries(lone).map(([name, values]) => `${name} ${figure(values.at(-1) ?? 0)}`).join(", ")}`);
      }
      const { tabmq, put, trip, minimal, encrypted } = lone;
      const reference = put.map((ms, round) => ms + (trip[round] ?? 0));
      found.push({
        name: "1 KiB lone send", unit: "ms", better: "lower", measured: tabmq, reference, ratio: median(tabmq) / (median(put) + median(trip)), bar: LONE_BAR,
        note: `reference: strict put ${figure(median(put))} + port round trip ${figure(median(trip))}`,
      });
      if (options.encrypted) {
        found.push({ name: "the same, encrypted", unit: "ms", better: "lower", measured: encrypted, reference: tabmq, ratio: median(encrypted) / median(tabmq), bar: null, note: "reference: TabMQ without encryption" });
      }
      // What the same two steps cost one after the other, with threads that have to be woken.
      found.push({ name: "the reference's lone send", unit: "ms", better: "lower", measured: minimal, reference, ratio: median(minimal) / (median(put) + median(trip)), bar: null });
    }
    return found;
  } finally {
    await browser.close();
  }
}

/** Bar 3: a new browser for every start, because a worker may outlive its page. @returns {Promise<Result[]>} */
async function measureStarts() {
  const [profile, killed, crashed] = [join(work, "starts"), join(work, "killed"), join(work, "crashed")];
  const fill = { namespace: "stored", count: STORED_MESSAGES };
  console.error(`start: storing ${STORED_MESSAGES} messages, twice`);
  await withPage(profile, async (page) => {
    await call(page, "fill", fill);
    await sleep(SETTLE_MS);
  });
  await withPage(killed, async (page, browser) => {
    await call(page, "fill", fill);
    await browser.kill();
  });

  /** @param {string} folder @param {string} namespace @param {number} least */
  const start = (folder, namespace, least) =>
    withPage(folder, async (page) => {
      // The browser has its own starting to do.
      await sleep(500);
      const { ms, stored, replayed, recoveryMs } = await call(page, "start", { namespace });
      if (stored <= least) throw new Error(`${namespace}: ${stored} messages after the start, more than ${least} expected`);
      replays[folder] = { replayed, recoveryMs };
      await sleep(SETTLE_MS);
      return ms;
    });
  /** @type {Record<string, { replayed: number, recoveryMs: number }>} */
  const replays = {};
  let empties = 0;
  const { stored, afterKill, empty } = await takeTurns("start", ROUNDS, {
    stored: () => start(profile, "stored", STORED_MESSAGES),
    empty: () => start(profile, `empty-${empties++}`, 0),
    afterKill: () => {
      // Each time the state that the kill left, not the one that the last start has tidied up.
      rmSync(crashed, { recursive: true, force: true });
      cpSync(killed, crashed, { recursive: true, verbatimSymlinks: true });
      return start(crashed, "stored", STORED_MESSAGES);
    },
  });
  const common = { unit: "ms", better: /** @type {const} */ ("lower"), reference: empty };
  const note = `reference: namespace never used; after a kill ${replays[crashed]?.replayed} messages replayed in ${replays[crashed]?.recoveryMs} ms`;
  return [
    { ...common, name: "start with 100,000 stored", measured: stored, ratio: median(stored) / median(empty), bar: START_BAR },
    { ...common, name: "the same after SIGKILL", measured: afterKill, ratio: median(afterKill) / median(empty), bar: null, note },
  ];
}
