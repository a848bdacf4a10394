/**
 * An origin with the built package in a real browser: a static server, a browser on a profile of its own, tabs.
 * The page holds the library and nothing else; what happens there is told to a History in this process at once,
 * so that it outlives the page.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import type { ConnectOptions, ConsumeFromWhere, Producer, PushConsumer, TabMQ } from "../../src/index.ts";
import { temporaryProfile } from "./chromium.mjs";
import { ChromiumBrowser, ChromiumPage } from "./engines/chromium.ts";
import { type EngineBrowser, engineName, type EnginePage, launcher } from "./engines/engine.ts";
import { findingsIn } from "./house-stores.ts";
import { type Acked, type Delivered, History, type Report, type Stored } from "./history.ts";
import { serve } from "./serve.mjs";
import type { Finding } from "./store-check.ts";
import { askWorkers } from "./watched-worker.ts";

/** The built package. TABMQ_DIST: another build than the repository's own. */
export const DIST = process.env.TABMQ_DIST ?? join(import.meta.dirname, "../../dist");

/** What the functions that run in a page get. */
export interface PageSide {
  tabmq: typeof import("../../src/index.ts");
  mq: TabMQ;
  producer: Producer;
  consumer: PushConsumer;
  /** Whatever a test wants to keep in the page. */
  box: Record<string, unknown>;
  report(report: Report): Promise<void>;
}

const PAGE = `<!doctype html><meta charset="utf-8"><title>house</title><script type="module" src="/page.js"></script>`;
const PAGE_SCRIPT = `import * as tabmq from "/dist/index.js";
globalThis.side = { tabmq, box: {}, report: async (report) => void (await fetch("/report", { method: "POST", body: JSON.stringify(report) })) };`;

export interface HouseOptions {
  /** More pages and scripts, by path. */
  pages?: Record<string, string>;
  headers?: Record<string, Record<string, string>>;
  /** More that pages may post to, by path. */
  posts?: Record<string, (body: unknown) => unknown>;
  /** Who answers what pages ask at a path, as it likes. */
  routes?: Record<string, (request: IncomingMessage, response: ServerResponse) => void>;
  bfcache?: boolean;
}

export class House {
  readonly history = new History();
  readonly #profile = temporaryProfile();
  readonly #options: HouseOptions;
  #isClosed = false;
  #server!: Awaited<ReturnType<typeof serve>>;
  #browser!: EngineBrowser;

  static async open(options: HouseOptions = {}): Promise<House> {
    const house = new House(options);
    const { pages = {}, headers = {}, posts = {}, routes = {} } = options;
    house.#server = await serve({
      pages: { "/": PAGE, "/page.js": PAGE_SCRIPT, "/blank": "<!doctype html>", ...pages },
      headers,
      dist: DIST,
      routes,
      posts: { "/report": (report) => house.history.add(report as Report), ...posts },
    });
    await house.start();
    return house;
  }

  private constructor(options: HouseOptions) {
    this.#options = options;
  }

  get origin(): string {
    return this.#server.origin;
  }

  /** The folder with the browser's data. */
  get profile(): string {
    return this.#profile;
  }

  /** Of the browser process. */
  get pid(): number {
    return this.#chromium().pid;
  }

  /** Playwright's, of Chromium. */
  get context(): BrowserContext {
    return this.#chromium().context;
  }

  #chromium(): ChromiumBrowser {
    if (!(this.#browser instanceof ChromiumBrowser)) throw new Error("Only Chromium has this: the test belongs into engines/cannot.ts.");
    return this.#browser;
  }

  /** The browser, on the profile as it was left. */
  async start(): Promise<void> {
    const launch = await launcher(engineName());
    this.#browser = await launch({ profile: this.#profile, bfcache: this.#options.bfcache ?? false });
  }

  /** SIGKILL to all of the browser; the profile stays. */
  kill(): Promise<void> {
    return this.#browser.kill();
  }

  /** Orderly; the profile stays. */
  stop(): Promise<void> {
    return this.#browser.close();
  }

  /** The browser closed and started again: no worker runs, what was stored is there. */
  async restart(): Promise<void> {
    // Where the data would end with the browser, only the pages are closed, and with the last one the workers.
    if (this.#browser.isEphemeral) return this.#endWorkers();
    await this.#browser.close();
    await this.start();
  }

  async #endWorkers(): Promise<void> {
    await this.closeTabs();
    const page = await this.#blankPage();
    await until(() => page.evaluate(async () => (await navigator.locks.query()).held!.length === 0));
    await page.close();
  }

  async tab(path = "/"): Promise<Tab> {
    const page = await this.#browser.newPage();
    await page.goto(`${this.origin}${path}`);
    if (!(await page.evaluate(() => "side" in globalThis))) throw new Error("the page could not load /dist/index.js: is the package built?");
    return new Tab(page);
  }

  async closeTabs(): Promise<void> {
    await Promise.all(this.#browser.pages().map((page) => page.close()));
  }

  /** What the checker says of every database of brokers, by its name. `holes`: some had no room. */
  async findings(options: { holes?: boolean } = {}): Promise<Map<string, Finding[]>> {
    const page = await this.#blankPage();
    const found = await findingsIn(page, options);
    await page.close();
    return found;
  }

  /** Closes it, and what is left in the browser is sound. */
  async end(options: { holes?: boolean } = {}): Promise<void> {
    if (this.#isClosed) return;
    try {
      const faults = [...(await this.findings(options))].flatMap(([name, findings]) => findings.slice(0, 3).map(({ code, where }) => `${name}: ${code} ${where}`));
      if (faults.length > 0) throw new Error(`The test leaves a store that is not sound: ${faults.join("; ")}`);
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#browser.close();
    await this.#server.close();
  }

  /**
   * Ends the shared workers whose script's URL ends so, as a crash would: nobody is told. Returns how many.
   * Except in Chromium, their scripts have to be `watched`; so for `insideWorker`.
   */
  async closeWorkers(urlEnd: string): Promise<number> {
    if (this.#browser instanceof ChromiumBrowser) return this.#browser.closeWorkers(urlEnd);
    const page = await this.#blankPage();
    const closed = await askWorkers(page, urlEnd, "", "setTimeout(() => self.close(), 0), true", 2000);
    await page.close();
    return closed.length;
  }

  /** Looks into a shared worker, found by the ends of its script's URL and the beginning of its name. */
  async insideWorker(urlEnd: string, name: string): ReturnType<ChromiumBrowser["insideWorker"]> {
    if (this.#browser instanceof ChromiumBrowser) return this.#browser.insideWorker(urlEnd, name);
    const page = await this.#blankPage();
    return {
      evaluate: async (expression) => (await askWorkers(page, urlEnd, name, expression, 60_000))[0],
      detach: () => page.close(),
    };
  }

  async #blankPage(): Promise<EnginePage> {
    const page = await this.#browser.newPage();
    await page.goto(`${this.origin}/blank`);
    return page;
  }
}

export interface TabConnect extends Omit<ConnectOptions, "worker" | "signal"> {
  /** URL of the worker's script, instead of the built one. */
  worker?: string;
}

export class Tab {
  readonly page: EnginePage;

  /** Playwright's, in Chromium. */
  get chromium(): Page {
    if (!(this.page instanceof ChromiumPage)) throw new Error("Only Chromium has this: the test belongs into engines/cannot.ts.");
    return this.page.page;
  }

  constructor(page: EnginePage) {
    this.page = page;
  }

  /** Runs a function in the page. It must not refer to anything outside itself. */
  async run<Result>(work: (side: PageSide) => Result | Promise<Result>): Promise<Result>;
  async run<Result, Arg>(work: (side: PageSide, arg: Arg) => Result | Promise<Result>, arg: Arg): Promise<Result>;
  async run(work: unknown, arg?: unknown): Promise<unknown> {
    return this.page.call(`(arg) => (${String(work)})(globalThis.side, arg)`, arg);
  }

  /** Connects and makes a producer. */
  async connect(options: TabConnect = {}): Promise<void> {
    const outcome = await this.tryConnect(options);
    if (outcome.code !== "connected") throw new Error(`${outcome.code}: ${outcome.message}`);
  }

  /** As `connect`, and tells the code of the error that `connect` rejects with, and after how many ms. */
  tryConnect(options: TabConnect): Promise<{ code: string; message: string; tookMs: number }> {
    return this.run(async (side, { worker, ...rest }) => {
      const began = performance.now();
      const outcome = (code: string, message = ""): { code: string; message: string; tookMs: number } => ({ code, message, tookMs: performance.now() - began });
      const own = worker === undefined ? {} : { worker: (name: string) => new SharedWorker(worker, { name }) };
      try {
        // Most tests know by number what is in their log; those that are about trace ask for it.
        side.mq = await side.tabmq.connect({ ...rest, broker: { traceEnable: false, ...rest.broker }, ...own });
      } catch (error) {
        return outcome(error instanceof side.tabmq.MQError ? error.code : "no MQError", String(error));
      }
      side.producer = await side.mq.createProducer({ producerGroup: "house", sendMsgTimeout: 20_000, retryTimesWhenSendFailed: 20 });
      return outcome("connected");
    }, options);
  }

  /** Sends each body as one message, all at once; resolves when all are acknowledged. */
  send(topic: string, bodies: string[], queueId?: number): Promise<Acked[]> {
    return this.run(
      async ({ producer, report }, given) => {
        const to = given.queueId === undefined ? {} : { queue: { topic: given.topic, brokerName: "broker-a", queueId: given.queueId } };
        const messages = await Promise.all(
          given.bodies.map(async (body) => {
            const { msgId, messageQueue, queueOffset } = await producer.send({ topic: given.topic, body, tags: "t" }, to);
            return { producer: "house", topic: given.topic, queueId: messageQueue.queueId, queueOffset, msgId, content: `t ${body}` };
          }),
        );
        await report({ kind: "acked", messages });
        return messages;
      },
      { topic, bodies, queueId },
    );
  }

  /** A push consumer that reports what it gets, from the topic's first message on, or as told. */
  consume(group: string, topic: string, name: string, where: ConsumeFromWhere = "CONSUME_FROM_FIRST_OFFSET"): Promise<void> {
    return this.run(
      async (side, given) => {
        side.consumer = await side.mq.createPushConsumer({
          consumerGroup: given.group,
          subscriptions: { [given.topic]: "*" },
          consumeFromWhere: given.where,
          consumeMessageBatchMaxSize: 32,
          batchListener: async (batch) => {
            const messages = batch.map((message): Delivered => {
              const { topic: from, queueId, queueOffset, msgId, tags } = message;
              return { consumer: given.name, topic: from, queueId, queueOffset, msgId, content: `${tags} ${message.text()}` };
            });
            await side.report({ kind: "delivered", messages });
          },
        });
      },
      { group, topic, name, where },
    );
  }

  /** The queue ids this tab's consumer works on. */
  assignment(): Promise<number[]> {
    return this.run(({ consumer }) => consumer.assignment().map(({ queueId }) => queueId));
  }

  createTopic(topic: string, queues: number): Promise<void> {
    const spec = { topic, readQueueNums: queues, writeQueueNums: queues };
    return this.run(async ({ mq }, given) => void (await mq.admin.createTopic(given)), spec);
  }

  /** What is stored of a topic, read queue by queue on nobody's account. `from`: the first offset by queue; default all. */
  readAll(topic: string, from: Record<number, number> = {}): Promise<Stored[]> {
    return this.run(async ({ mq }, given) => {
      const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
      const all: Stored[] = [];
      for (const queue of await pull.fetchQueues(given.topic)) {
        for (let offset = given.from[queue.queueId] ?? 0; ; ) {
          const { status, messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 1024);
          for (const message of messages) {
            const { queueId, queueOffset, msgId, tags } = message;
            all.push({ topic: given.topic, queueId, queueOffset, msgId, content: `${tags} ${message.text()}` });
          }
          if (status === "NO_NEW_MSG") break;
          offset = nextBeginOffset;
        }
      }
      await pull.shutdown();
      return all;
    }, { topic, from });
  }

  /** Which epochs wrote the log, row by row in the order of positions, and the epoch row itself: read from IndexedDB, past the broker. */
  epochs(namespace: string): Promise<{ rows: number[]; epoch: number }> {
    return this.run(async (_side, given) => {
      const db = await new Promise<IDBDatabase>((resolve, reject) => {
        const request = indexedDB.open(`tabmq/${given}`);
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error("the database does not open"));
      });
      const read = <T>(request: IDBRequest<T>): Promise<T> =>
        new Promise((resolve, reject) => {
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error ?? new Error("the read failed"));
        });
      try {
        const tx = db.transaction(["log", "state"]);
        const [rows, epoch] = await Promise.all([
          read<Uint8Array[]>(tx.objectStore("log").getAll()),
          read<number>(tx.objectStore("state").get("epoch")),
        ]);
        return { epoch, rows: rows.map((row) => Number(new DataView(row.buffer, row.byteOffset).getBigUint64(8))) };
      } finally {
        db.close();
      }
    }, namespace);
  }

  /** Kills the page's process. */
  crash(): Promise<void> {
    return this.page.crash();
  }
}

/** Less than the tests' timeout, in milliseconds: the runner would end the test without a word about what it waited for. */
const PATIENCE = 100_000;

/** Resolves when `condition` holds. */
export async function until(condition: () => boolean | Promise<boolean>, every = 20): Promise<void> {
  const begun = Date.now();
  while (!(await condition())) {
    if (Date.now() - begun > PATIENCE) throw new Error(`waited ${PATIENCE / 1000} s in vain until ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

/** A worker's script, bundled from a file of the tests. */
export async function bundle(entry: string): Promise<string> {
  const { build } = await import("vite");
  const built = await build({
    configFile: false,
    logLevel: "error",
    publicDir: false,
    build: { target: "es2022", write: false, minify: false, lib: { entry, formats: ["iife"], name: "worker", fileName: () => "worker.js" } },
  });
  const [result] = Array.isArray(built) ? built : [built];
  const chunk = result && "output" in result ? result.output[0] : undefined;
  if (chunk === undefined) throw new Error(`${entry} gave no bundle`);
  return chunk.code;
}
