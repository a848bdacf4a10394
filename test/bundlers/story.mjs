// @ts-check
/** What is asked of every application of the matrix, in two real tabs: both connect at once, one sends, the other receives, one broker writes. */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { launch } from "../support/chromium.mjs";

const BODIES = ["one", "two", "three", "four", "five"];
const PATIENCE = 60_000;

/** @typedef {{ host: "shared" | "dedicated", pageBytes: number }} Outcome */

/**
 * @param {string} url of the application's page
 * @param {object} [options]
 * @param {string} [options.worker] the copied worker's URL
 * @param {[string, string]} [options.namespaces] of the two tabs
 * @returns {Promise<Outcome>} AssertionError when the tabs do not share one broker
 */
export async function story(url, { worker, namespaces = ["matrix", "matrix"] } = {}) {
  const browser = await launch();
  try {
    const a = await browser.context.newPage();
    const b = await browser.context.newPage();
    const loaded = weighScripts(a);
    for (const page of [a, b]) {
      await page.goto(url);
      await page.waitForFunction(() => "app" in globalThis, undefined, { timeout: PATIENCE });
    }
    const opened = await Promise.all([a, b].map((page, at) => run(page, (app, [name, script]) => app.open(name, script), [namespaces[at], worker])));
    assert.deepEqual(opened.map(({ code }) => code), ["connected", "connected"], `connect was refused: ${JSON.stringify(opened)}`);

    const [first, second] = await Promise.all([a, b].map((page) => run(page, (app) => app.diagnostics())));
    assert.deepEqual([second.broker.incarnation, second.broker.epoch], [first.broker.incarnation, first.broker.epoch], "each tab has a broker of its own");
    assert.equal(first.broker.durability, "strict");
    await run(b, (app) => app.consume("story"));
    await run(a, (app, bodies) => app.send("story", bodies), BODIES);
    await b.waitForFunction((count) => /** @type {any} */ (globalThis).app.seen().length >= count, BODIES.length, { timeout: PATIENCE });
    const seen = await run(b, (app) => app.seen());
    // Of four queues, in which order they come is not said.
    assert.deepEqual(seen.toSorted(), BODIES.toSorted());
    await assertOneWriter(a, namespaces[0], first.broker.epoch);
    return { host: await hostKind(browser.context, [a, b]), pageBytes: await loaded() };
  } finally {
    await browser.close();
  }
}

/**
 * Runs a function in the page with its application.
 * @param {import("playwright-core").Page} page
 * @param {(app: any, arg: any) => unknown} work
 * @param {unknown} [arg]
 * @returns {Promise<any>}
 */
function run(page, work, arg) {
  return page.evaluate(([source, given]) => new Function(`return (${source})`)()(/** @type {any} */ (globalThis).app, given), /** @type {const} */ ([String(work), arg]));
}

/**
 * One holds the writer lock, and all that is in the log is of the epoch of the one that both tabs know.
 * @param {import("playwright-core").Page} page
 * @param {string} namespace
 * @param {number} epoch
 */
async function assertOneWriter(page, namespace, epoch) {
  const { writers, epochs } = await page.evaluate(async (name) => {
    const { held = [] } = await navigator.locks.query();
    /** @type {IDBDatabase} */
    const db = await new Promise((resolve, reject) => {
      const request = indexedDB.open(`tabmq/${name}`);
      request.addEventListener("success", () => resolve(request.result));
      request.addEventListener("error", () => reject(request.error));
    });
    /** @type {Uint8Array[]} */
    const rows = await new Promise((resolve) => {
      const request = db.transaction("log").objectStore("log").getAll();
      request.addEventListener("success", () => resolve(request.result));
    });
    db.close();
    return {
      writers: held.filter((lock) => lock.name === `tabmq/${name}/writer`).length,
      epochs: [...new Set(rows.map((row) => Number(new DataView(row.buffer, row.byteOffset).getBigUint64(8))))],
    };
  }, namespace);
  assert.deepEqual({ writers, epochs }, { writers: 1, epochs: [epoch] }, "more than one has written");
}

/**
 * In which worker the broker is, as the browser sees it.
 * @param {import("playwright-core").BrowserContext} context
 * @param {import("playwright-core").Page[]} pages
 */
async function hostKind(context, pages) {
  const browser = context.browser();
  assert.ok(browser);
  const session = await browser.newBrowserCDPSession();
  const { targetInfos } = await session.send("Target.getTargets");
  await session.detach();
  const shared = targetInfos.filter(({ type }) => type === "shared_worker").length;
  const dedicated = pages.reduce((sum, page) => sum + page.workers().length, 0);
  assert.equal(shared + dedicated, 1, `${shared} shared and ${dedicated} dedicated workers run, instead of one`);
  return shared === 1 ? "shared" : "dedicated";
}

/**
 * The scripts that a page loads, gzip, as long as it lives; no worker's.
 * @param {import("playwright-core").Page} page
 * @returns {() => Promise<number>}
 */
function weighScripts(page) {
  /** @type {Promise<number>[]} */
  const weights = [];
  page.on("response", (response) => {
    if (response.request().resourceType() === "script") weights.push(response.body().then((body) => gzipSync(body).byteLength, () => 0));
  });
  return async () => (await Promise.all(weights)).reduce((sum, weight) => sum + weight, 0);
}
