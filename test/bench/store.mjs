// @ts-check
/**
 * `npm run bench:store`: what a store of millions costs, each figure beside its reference in the same run, in a real
 * Chromium with its profile on disk. Exit code 1 when a bar is missed.
 *
 *     node test/bench/store.mjs [--no-build] [--dist FOLDER] [--only NAME,…] [--json FILE] [--lone N] [--big N] [--keep FOLDER]
 *
 * Names: packed, append, start, read, query, heap, lone, retention, encrypted. All together take about twenty minutes and 10 GB.
 * --lone and --big take fewer than 100,000 lone sends and 10,000,000 stored messages, for a quick look; --keep leaves
 * the filled profiles in a folder for the next run, --dist measures another build and implies --no-build.
 */
import { cpSync, existsSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { heap, wasmBytes, workerSession } from "../support/worker-session.mjs";
import { openHarness, sleep, takeTurns } from "./harness.mjs";
import { figure } from "./stats.mjs";

const ROUNDS = 7;
const READ_ROUNDS = 5;
/** TabMQ stores its queues when it has rested for a second: not during the next measurement, and before the browser is closed. */
const SETTLE_MS = 1500;
const KIB = 1024;
const MIB = KIB * KIB;

const PACKED_MESSAGES = 40_000;
const LONE_MESSAGES = 300;
const SMALL_BODY = 100;
const APPEND_MESSAGES = 100_000;
const STORED_MESSAGES = 1_000_000;
const READ_MESSAGES = 150_000;
const QUERIES = 50;
const RETAINED_BYTES = 1024 * MIB;
const RETAIN_ROUNDS = 3;
const BARE_STEP_BYTES = 8 * MIB;
/** As in src/model/limits.ts. */
const ROW_REST = 15_000;
/** How long the log must keep its number of rows until merging counts as finished, ms. */
const MERGED_AFTER = 10_000;
/** Of a message with a body of 100 bytes, on disk, roughly; the second figure is the room that compaction takes for a while. */
const SMALL_ON_DISK = 300;
const DISK_SLACK = 2 * 1024 * MIB;

const BARS = { packed: 0.7, append: 0.9, startClean: 100, startKilled: 300, read: 0.7, query: 20, heap: 128, rows: 400, retention: 1000, retentionSend: 50 };

/** @typedef {import("./harness.mjs").Result} Result */

const { values: options } = parseArgs({
  options: {
    "no-build": { type: "boolean" }, dist: { type: "string" }, only: { type: "string" }, json: { type: "string" }, keep: { type: "string" },
    lone: { type: "string", default: "100000" }, big: { type: "string", default: "10000000" },
  },
});
const loneSends = Number(options.lone);
const bigMessages = Number(options.big);

/** @type {Record<string, () => Promise<Result[]>>} */
const ROWS = { packed, append, start, read, query, heap: heapOfBroker, lone, retention, encrypted };
const wanted = options.only?.split(",") ?? Object.keys(ROWS);
for (const name of wanted) if (!(name in ROWS)) throw new Error(`--only ${name}: there are ${Object.keys(ROWS).join(", ")}`);

const harness = await openHarness("store.html", options);
const { work, withPage } = harness;
/** @type {import("./harness.mjs").Caller<import("./store-page.mjs").Bench>} */
const call = harness.call;
/** @type {string[]} */
const skipped = [];
/** @type {Result[]} */
const results = [];
for (const name of wanted) results.push(...(await /** @type {() => Promise<Result[]>} */ (ROWS[name])()));
await harness.end(results, `medians of ${ROUNDS} rounds (read-back: ${READ_ROUNDS})`, skipped);

/** Appending 1 KiB messages, none awaited, beside the least a packed, strict broker can do. @returns {Promise<Result[]>} */
async function packed() {
  return withPage(join(work, "packed"), async (page) => {
    const { indexer, durability } = await call(page, "open", { namespace: "packed" });
    if (indexer !== "wasm" || durability !== "strict") throw new Error(`TabMQ runs with indexer "${indexer}", durability "${durability}"`);
    const { tabmq, reference } = await takeTurns("packed", ROUNDS, {
      tabmq: async () => {
        const ms = await call(page, "sendBurst", { namespace: "packed", count: PACKED_MESSAGES, size: KIB });
        await sleep(SETTLE_MS);
        return (PACKED_MESSAGES / ms) * 1000;
      },
      reference: async () => (PACKED_MESSAGES / (await call(page, "referenceBurst", { count: PACKED_MESSAGES, size: KIB }))) * 1000,
    });
    return [{ name: "packed append, 1 KiB, strict", unit: "msg/s", better: "higher", measured: tabmq, reference, bar: BARS.packed, note: "reference: packed strict ceiling" }];
  });
}

/** What encryption at rest costs, beside a namespace without it: packed, lone, and read again. @returns {Promise<Result[]>} */
async function encrypted() {
  return withPage(join(work, "encrypted"), async (page) => {
    let groups = 0;
    /** @param {string} namespace @param {string} kind */
    const rate = async (namespace, kind) => {
      const [count, ms] =
        kind === "packed" ? [PACKED_MESSAGES, await call(page, "sendBurst", { namespace, count: PACKED_MESSAGES, size: KIB })]
        : kind === "lone" ? [LONE_MESSAGES, await call(page, "sendLone", { namespace, count: LONE_MESSAGES, size: KIB })]
        : [PACKED_MESSAGES, await call(page, "consume", { namespace, count: PACKED_MESSAGES, group: `reader-${groups++}` })];
      await sleep(SETTLE_MS);
      return (count / ms) * 1000;
    };
    /** @type {Result[]} */
    const rows = [];
    for (const kind of ["packed", "lone", "read"]) {
      const { measured, reference } = await takeTurns(`encrypted, ${kind}`, ROUNDS, { measured: () => rate("encrypted", kind), reference: () => rate("plain", kind) });
      rows.push({ name: `encrypted at rest: ${kind}`, unit: "msg/s", better: "higher", measured, reference, bar: null, note: "1 KiB; reference: a namespace that is not encrypted" });
    }
    return rows;
  });
}

/** Appending to a full store and to an empty one, in one browser. @returns {Promise<Result[]>} */
async function append() {
  const profile = await bigProfile();
  return withPage(profile, async (page) => {
    /** @param {string} namespace */
    const rate = async (namespace) => {
      const ms = await call(page, "sendBurst", { namespace, count: APPEND_MESSAGES, size: SMALL_BODY });
      await sleep(SETTLE_MS);
      return (APPEND_MESSAGES / ms) * 1000;
    };
    const { big, empty } = await takeTurns("append", ROUNDS, { big: () => rate("big"), empty: () => rate(`empty-${process.pid}`) });
    return [{ name: `append at ${millions(bigMessages)} stored`, unit: "msg/s", better: "higher", measured: big, reference: empty, bar: BARS.append, note: "100-byte bodies; reference: an empty store" }];
  });
}

/** A new browser for every start, because a worker may outlive its page. @returns {Promise<Result[]>} */
async function start() {
  const killed = join(work, "killed");
  const crashed = join(work, "crashed");
  const fill = { namespace: "stored", count: STORED_MESSAGES, size: SMALL_BODY };
  const profile = await filled("clean", async (page) => void (await call(page, "fill", fill)), STORED_MESSAGES * SMALL_ON_DISK * 3);
  if (!existsSync(`${killed}.filled`)) {
    rmSync(killed, { recursive: true, force: true });
    console.error(`killed: storing ${millions(STORED_MESSAGES)} messages`);
    await withPage(killed, async (page, browser) => {
      await call(page, "fill", fill);
      await browser.kill();
    });
    writeFileSync(`${killed}.filled`, "");
  }
  /** @type {Record<string, { replayed: number, recoveryMs: number }>} */
  const recovered = {};
  /** @param {string} folder @param {string} namespace @param {number} least */
  const pull = (folder, namespace, least) =>
    withPage(folder, async (page) => {
      // The browser has its own starting to do.
      await sleep(500);
      const { ms, found, replayed, recoveryMs } = await call(page, "firstPull", { namespace });
      if (found < least) throw new Error(`${namespace}: the first pull found ${found} messages`);
      recovered[folder] = { replayed, recoveryMs };
      await sleep(SETTLE_MS);
      return ms;
    });
  let empties = 0;
  const { clean, empty, afterKill } = await takeTurns("start", ROUNDS, {
    clean: () => pull(profile, "stored", 1),
    empty: () => pull(profile, `empty-${process.pid}-${empties++}`, 0),
    afterKill: () => {
      // Each time the state that the kill left, not the one that the last start has tidied up.
      rmSync(crashed, { recursive: true, force: true });
      cpSync(killed, crashed, { recursive: true, verbatimSymlinks: true });
      return pull(crashed, "stored", 1);
    },
  });
  rmSync(crashed, { recursive: true, force: true });
  const common = { unit: "ms", better: /** @type {const} */ ("lower"), reference: empty, judged: /** @type {const} */ ("difference") };
  /** @param {string} folder */
  const note = (folder) => `reference: a namespace never used; ${recovered[folder]?.replayed} messages replayed in ${recovered[folder]?.recoveryMs} ms`;
  return [
    { ...common, name: `start to first pull, ${millions(STORED_MESSAGES)} stored`, measured: clean, bar: BARS.startClean, note: note(profile) },
    { ...common, name: "the same after SIGKILL", measured: afterKill, bar: BARS.startKilled, note: note(crashed) },
  ];
}

/** A backlog read by a consumer and by `get`, each in a browser of its own, so that nothing is cached but by the system. @returns {Promise<Result[]>} */
async function read() {
  const profile = await filled("reads", async (page) => void (await call(page, "fill", { namespace: "reads", count: READ_MESSAGES, size: KIB })), READ_MESSAGES * KIB * 2);
  let groups = 0;
  let note = "";
  const { store, consumer, gets } = await takeTurns("read", READ_ROUNDS, {
    store: () =>
      withPage(profile, async (page) => {
        await sleep(SETTLE_MS);
        const { ms, count } = await call(page, "storeRead", { namespace: "reads" });
        if (count !== READ_MESSAGES) throw new Error(`the store gave ${count} messages`);
        return (READ_MESSAGES / ms) * 1000;
      }),
    consumer: () =>
      withPage(profile, async (page) => {
        await call(page, "open", { namespace: "reads" });
        await sleep(SETTLE_MS);
        const ms = await call(page, "consume", { namespace: "reads", count: READ_MESSAGES, group: `reader-${process.pid}-${groups++}` });
        await sleep(SETTLE_MS);
        return (READ_MESSAGES / ms) * 1000;
      }),
    gets: () =>
      withPage(profile, async (page) => {
        await sleep(SETTLE_MS);
        const { ms, bytes, rows } = await call(page, "rawGets", { namespace: "reads" });
        note = `reference: get of the same ${figure(rows)} rows, one by one, ${figure(bytes / MIB)} MiB`;
        return (READ_MESSAGES / ms) * 1000;
      }),
  });
  const common = { unit: "msg/s", better: /** @type {const} */ ("higher"), reference: gets };
  return [
    { ...common, name: "sequential read-back, 1 KiB", measured: store, bar: BARS.read, note: `queue pages, rows, checksums, records, frames; in a page, without a port; ${note}` },
    { ...common, name: "the same, all the way into a tab", measured: consumer, bar: null, note: "through the worker's port to decoded messages" },
  ];
}

/** @returns {Promise<Result[]>} */
async function query() {
  const name = `queryMessages by key among ${millions(STORED_MESSAGES)}`;
  if (!(await has("queryMessages", name))) return [];
  const profile = await filled("keyed", async (page) => void (await call(page, "fill", { namespace: "keyed", count: STORED_MESSAGES, size: SMALL_BODY })), STORED_MESSAGES * SMALL_ON_DISK * 2);
  return withPage(profile, async (page) => {
    const times = await call(page, "queries", { namespace: "keyed", among: STORED_MESSAGES, count: QUERIES });
    return [{ name, unit: "ms", better: "lower", measured: times.query, reference: times.get, judged: "absolute", bar: BARS.query, note: "reference: a bare get of a random row" }];
  });
}

/** @returns {Promise<Result[]>} */
async function heapOfBroker() {
  const profile = await bigProfile();
  /** @param {string} namespace @param {boolean} works */
  const measure = (namespace, works) =>
    withPage(profile, async (page, { context }) => {
      await call(page, "open", { namespace });
      if (works) {
        // What a broker at work holds: its caches are full, its log has grown.
        await call(page, "consume", { namespace, count: Math.min(400_000, bigMessages), group: `waiting-${process.pid}` });
        await call(page, "sendBurst", { namespace, count: APPEND_MESSAGES, size: SMALL_BODY });
        await sleep(SETTLE_MS);
      }
      const worker = await workerSession(context, `/${namespace}`);
      const { usedSize, backingStorageSize = 0 } = await heap(worker);
      const wasm = await wasmBytes(worker);
      return { total: (usedSize + backingStorageSize + wasm) / MIB, note: `objects ${figure(usedSize / MIB)}, buffers ${figure(backingStorageSize / MIB)}, WebAssembly ${figure(wasm / MIB)} MiB` };
    });
  const fresh = await measure("big", false);
  const big = await measure("big", true);
  const empty = await measure(`empty-${process.pid}`, false);
  console.error(`heap: ${figure(big.total)} MiB (${big.note}); fresh ${figure(fresh.total)} MiB; of an empty store ${figure(empty.total)} MiB`);
  const common = { unit: "MiB", better: /** @type {const} */ ("lower"), reference: [empty.total], judged: /** @type {const} */ ("absolute"), bar: BARS.heap };
  return [
    { ...common, name: `broker's memory, ${millions(bigMessages)} waiting`, measured: [big.total], note: `${big.note}; after reading 400,000 and appending 100,000; reference: an empty store` },
    { ...common, name: "the same, just started", measured: [fresh.total], note: fresh.note },
  ];
}

/** @returns {Promise<Result[]>} */
async function lone() {
  const bar = Math.max(1, Math.ceil((BARS.rows * loneSends) / 100_000));
  return withPage(join(work, "lone"), async (page) => {
    const namespace = `lone-${process.pid}`;
    const ms = await call(page, "sendLone", { namespace, count: loneSends, size: SMALL_BODY });
    console.error(`lone: ${loneSends} sends in ${figure(ms / 1000)} s`);
    let rows = await call(page, "logRows", { namespace });
    for (let since = Date.now(); Date.now() - since < MERGED_AFTER; await sleep(500)) {
      const now = await call(page, "logRows", { namespace });
      if (now !== rows) since = Date.now();
      rows = now;
    }
    const scaled = loneSends === 100_000 ? "" : `; the bar of ${BARS.rows} for 100,000, scaled`;
    return [{ name: `rows after ${figure(loneSends)} lone sends`, unit: "rows", better: "lower", measured: [rows], reference: [loneSends], judged: "absolute", bar, note: `${figure(ms / loneSends)} ms a send; reference: one row a send${scaled}` }];
  });
}

/** @returns {Promise<Result[]>} */
async function retention() {
  const name = "retention of half of 1 GiB";
  if (!(await has("updateBrokerConfig", name))) return [];
  room(RETAINED_BYTES * 3);
  return withPage(join(work, "retained"), async (page) => {
    const namespace = `retained-${process.pid}`;
    const rounds = [];
    for (let round = 1; round <= RETAIN_ROUNDS; round++) {
      await call(page, "fill", { namespace, count: 2_000_000, size: KIB, bytes: RETAINED_BYTES });
      // Nothing is removed in a broker's first seconds.
      await sleep(round === 1 ? ROW_REST : SETTLE_MS);
      // The same rows without a broker, all at once and in steps as large as what a commit may wait for.
      const bare = await call(page, "bareDeletes", { namespace, bytes: RETAINED_BYTES / 2, stepBytes: RETAINED_BYTES });
      const steps = await call(page, "bareDeletes", { namespace, bytes: RETAINED_BYTES / 2, stepBytes: BARE_STEP_BYTES });
      const { ms, deleted, calm, during } = await call(page, "retain", { namespace, size: KIB, maxStoreBytes: RETAINED_BYTES / 2 });
      rounds.push({ ms, deleted, calm: calm.longest, during: during.longest, bare: steps.ms });
      const shown = [calm, during].map(({ count, p50, p99, longest }) => `${count} sends, p50 ${figure(p50)}, p99 ${figure(p99)}, longest ${figure(longest)} ms`);
      console.error(`retention: round ${round}: a bare delete of these ${bare.rows} rows ${figure(bare.ms)} ms, in steps of ${BARE_STEP_BYTES / MIB} MiB ${figure(steps.ms)} ms, the longest ${figure(steps.longest)} ms`);
      console.error(`retention: round ${round}: ${figure(ms)} ms, rows gone after ${figure(deleted)} ms; before: ${shown[0]}; meanwhile: ${shown[1]}`);
    }
    const common = { unit: "ms", better: /** @type {const} */ ("lower"), judged: /** @type {const} */ ("absolute") };
    return [
      { ...common, name, measured: rounds.map(({ ms }) => ms), reference: [], bar: BARS.retention, note: `${RETAIN_ROUNDS} rounds; from updateBrokerConfig({ maxStoreBytes }) to the log's and the queues' new begin` },
      { ...common, name: "the same, until no row of it is left", measured: rounds.map(({ deleted }) => deleted), reference: rounds.map(({ bare }) => bare), bar: BARS.retention, note: `looked at in IndexedDB, beside sends; reference: a bare delete(range) of the same rows in steps of ${BARE_STEP_BYTES / MIB} MiB, nobody sending` },
      {
        ...common, name: "longest send meanwhile", judged: "round by round", measured: rounds.map(({ during }) => during), reference: rounds.map(({ calm }) => calm), bar: BARS.retentionSend,
        note: `of each round, until the rows are gone; reference: the 10 s before; the longest of all ${figure(Math.max(...rounds.map(({ during }) => during)))} ms`,
      },
    ];
  });
}

function bigProfile() {
  return filled("big", async (page) => void (await call(page, "fill", { namespace: "big", count: bigMessages, size: SMALL_BODY })), bigMessages * SMALL_ON_DISK);
}

/** A profile that is filled once. @param {string} name @param {(page: import("playwright-core").Page) => Promise<void>} fill @param {number} bytes that it will take */
async function filled(name, fill, bytes) {
  const profile = join(work, name);
  const done = `${profile}.filled`;
  if (existsSync(done)) return profile;
  room(bytes);
  rmSync(profile, { recursive: true, force: true });
  console.error(`${name}: filling`);
  const began = Date.now();
  await withPage(profile, async (page) => {
    await fill(page);
    await sleep(SETTLE_MS);
  });
  console.error(`${name}: filled in ${figure((Date.now() - began) / 1000)} s`);
  writeFileSync(done, "");
  return profile;
}

/** @param {number} bytes */
function room(bytes) {
  const { bavail, bsize } = statfsSync(work);
  if (bavail * bsize < bytes + DISK_SLACK) throw new Error(`this needs ${figure((bytes + DISK_SLACK) / MIB)} MiB on disk; there are ${figure((bavail * bsize) / MIB)}`);
}

/** @param {string} method of `mq.admin` @param {string} name of the row */
function has(method, name) {
  return withPage(join(work, "can"), async (page) => {
    const can = await call(page, "can", { namespace: "can", method });
    if (!can) skipped.push(`${name}: this build has no mq.admin.${method}`);
    return can;
  });
}

/** @param {number} count */
function millions(count) {
  return count >= 1e6 ? `${figure(count / 1e6).replace(/\.?0+$/, "")} M` : figure(count);
}
