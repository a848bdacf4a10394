// @ts-check
/**
 * `npm run bench:playground`: how smoothly the live map is drawn while another tab sends and a third one consumes. Frames
 * are counted by requestAnimationFrame in a real Chromium; headless, it draws in software, on the processors that the broker
 * and the other tabs use as well. Beside it: the same page at rest, and the same load while it shows a panel that draws
 * nothing, which is what the machine leaves over. Exit code 1 when the bar is missed.
 *
 *     node test/bench/playground-fps.mjs [--no-build] [--rate 5000] [--seconds 10] [--headed] [--json FILE]
 */
import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch } from "../support/chromium.mjs";
import { serve } from "../support/serve.mjs";
import { sleep } from "./harness.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PLAYGROUND = join(ROOT, "dist/playground");
/** Frames a second. */
const BAR = 50;
const WARM_UP_MS = 2000;

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {{ name: string, fps: number, p50: number, p95: number, worst: number, late: number, sent: number, consumed: number, dots: string }} Row */

const { values: options } = parseArgs({
  options: {
    "no-build": { type: "boolean", default: false }, rate: { type: "string", default: "5000" }, seconds: { type: "string", default: "10" },
    headed: { type: "boolean", default: false }, json: { type: "string" },
  },
});
const [rate, seconds] = [Number(options.rate), Number(options.seconds)];

if (!options["no-build"] && spawnSync("npm", ["run", "build"], { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] }).status !== 0) process.exit(1);
const worker = readdirSync(join(PLAYGROUND, "assets")).find((name) => name.startsWith("worker-"));
if (worker === undefined) throw new Error("dist/playground has no worker: run `npm run build`");

/** Tabs of an application that uses the page's broker. A worker beats the time: timers of a tab in the background do not. */
const APPLICATION = `<!doctype html><title>application</title><script type="module">
  import { connect } from "/dist/index.js";
  const worker = (name) => new SharedWorker("/assets/${worker}", { name, type: "module", extendedLifetime: true });
  const mq = await connect({ worker });
  const body = "x".repeat(256);
  globalThis.state = { sent: 0, consumed: 0 };
  globalThis.send = async (rate) => {
    const producer = await mq.createProducer({ producerGroup: "application" });
    const beat = new Worker(URL.createObjectURL(new Blob(["setInterval(() => postMessage(0), 20)"])));
    let at = performance.now();
    let due = 0;
    let underway = 0;
    beat.onmessage = () => {
      const now = performance.now();
      due = Math.min(due + ((now - at) / 1000) * rate, rate);
      at = now;
      for (; due >= 1 && underway < 20000; due--) {
        underway++;
        producer.send({ topic: "orders", body, tags: "created" }).then(() => (state.sent++, underway--));
      }
    };
    globalThis.stop = () => beat.terminate();
  };
  globalThis.consume = () => mq.createPushConsumer({
    consumerGroup: "workers", subscriptions: { orders: "*" }, maxReconsumeTimes: 3,
    messageListener: () => void state.consumed++,
  });
  globalThis.isReady = true;
</script>`;

const server = await serve({ folder: PLAYGROUND, pages: { "/application": APPLICATION } });
const browser = await launch({ headless: !options.headed });
try {
  const { context } = browser;
  const map = await context.newPage();
  await map.setViewportSize({ width: 1440, height: 900 });
  await map.goto(`${server.origin}/#/live/orders?group=workers`);
  await map.getByRole("button", { name: "Stop", exact: true }).click();
  await map.getByRole("button", { name: "Start a consumer in this tab" }).waitFor();
  const [sender, consumer] = [await application(), await application()];
  await map.bringToFront();

  /** @type {Row[]} */
  const rows = [];
  rows.push(await sample("the map, at rest"));
  await consumer.evaluate("consume()");
  await sender.evaluate(`send(${rate})`);
  await map.getByRole("link", { name: "Bench" }).click();
  await sleep(WARM_UP_MS);
  rows.push(await sample(`a panel that draws nothing, ${rate} msg/s`));
  await map.getByRole("link", { name: "Live map" }).click();
  await sleep(WARM_UP_MS);
  rows.push(await sample(`the map, ${rate} msg/s`));
  const judged = rows.at(-1);
  await map.getByRole("button", { name: "Start consumer" }).click();
  await sleep(WARM_UP_MS);
  rows.push(await sample("the same, and a consumer of its own"));
  await sender.evaluate("stop()");
  console.log(`\nChromium ${context.browser()?.version()}, ${options.headed ? "with a window" : "headless"}, 1440 × 900, ${seconds} s each\n`);
  console.table(Object.fromEntries(rows.map(({ name, ...figures }) => [name, figures])));
  console.log(`bar: ${BAR} frames a second with ${rate} msg/s: ${judged !== undefined && judged.fps >= BAR ? "held" : "missed"}`);
  if (options.json) writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
  process.exitCode = judged !== undefined && judged.fps >= BAR ? 0 : 1;

  async function application() {
    const page = await context.newPage();
    page.on("pageerror", (error) => console.error(`application: ${error.message}`));
    await page.goto(`${server.origin}/application`);
    await page.waitForFunction("globalThis.isReady");
    return page;
  }

  /** @param {string} name @returns {Promise<Row>} */
  async function sample(name) {
    const before = await counts();
    const deltas = /** @type {number[]} */ (await map.evaluate(`new Promise((resolve) => {
      const deltas = [];
      const end = performance.now() + ${seconds * 1000};
      let last;
      requestAnimationFrame(function frame(now) {
        if (last !== undefined) deltas.push(now - last);
        last = now;
        if (now < end) requestAnimationFrame(frame);
        else resolve(deltas);
      });
    })`));
    const dots = await map.locator(".legend").allInnerTexts();
    const after = await counts();
    const sorted = deltas.toSorted((a, b) => a - b);
    const total = deltas.reduce((sum, delta) => sum + delta, 0);
    /** @param {number} share */
    const at = (share) => round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN);
    return {
      name, fps: round((deltas.length / total) * 1000), p50: at(0.5), p95: at(0.95), worst: at(1), late: deltas.filter((delta) => delta > 1000 / BAR).length,
      sent: Math.round((after.sent - before.sent) / (total / 1000)), consumed: Math.round((after.consumed - before.consumed) / (total / 1000)), dots: dots.join(""),
    };
  }

  async function counts() {
    const [sent, consumed] = await Promise.all([sender.evaluate("state.sent"), consumer.evaluate("state.consumed")]);
    return { sent: Number(sent), consumed: Number(consumed) };
  }
} finally {
  await browser.close();
  await server.close();
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}
