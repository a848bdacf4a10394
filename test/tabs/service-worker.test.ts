/** An application's own service worker, woken by `sync` and `push` events, with tabs and without. */
import type { CDPSession, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { PageSide } from "../support/house.ts";
import { type Acked, lost } from "../support/history.ts";
import { House, type Tab, until } from "../support/house.ts";

/** What the event's tag, or the push message, asks for: a namespace, what is to be done, and how often. */
const WORK = `
  const told = (what) => fetch("/told", { method: "POST", body: JSON.stringify(what) });
  let isOver = false;
  addEventListener("message", () => (isOver = true));
  addEventListener("install", (event) => event.waitUntil(skipWaiting()));
  addEventListener("activate", (event) => event.waitUntil(clients.claim()));
  addEventListener("sync", (event) => event.waitUntil(work(event.tag)));
  addEventListener("push", (event) => event.waitUntil(work(event.data.text())));

  const works = {
    // One message after the other; each acknowledgement is told.
    async send(mq, { count, namespace }) {
      const producer = await mq.createProducer({ producerGroup: "sw", sendMsgTimeout: 60_000, retryTimesWhenSendFailed: 20 });
      for (let at = 0; at < count && !isOver; at++) {
        const { msgId, messageQueue, queueOffset } = await producer.send({ topic: "t", body: "sw " + at, tags: "t" });
        await told({ namespace, acked: { producer: "sw", topic: "t", queueId: messageQueue.queueId, queueOffset, msgId, content: "t sw " + at } });
      }
    },
    // What a page has left in its outbox, to the broker, and from there to the server.
    async drain(mq, _, { drained, signal }) {
      const db = await new Promise((resolve, reject) => {
        const request = indexedDB.open("shop", 1);
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
      const outbox = await mq.outbox(db, "outbox");
      await drained(outbox);
      const consumer = await mq.createPushConsumer({
        consumerGroup: "to-server", subscriptions: { orders: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
        messageListener: async (message) => {
          const { ok } = await fetch("/api/orders", { method: "POST", body: JSON.stringify(message.json()), signal });
          if (!ok) throw new Error("not taken");
        },
      });
      await drained(consumer);
      db.close();
    },
    // What a page has sent goes to the server by the outbox for that.
    async http(mq, _, { drained }) {
      const outbox = await mq.createHttpOutbox({ consumerGroup: "sync", topic: "orders", request: () => ({ url: "/api/orders" }) });
      outbox.on("error", (error) => told({ namespace: mq.namespace, failed: String(error) }));
      await drained(outbox);
    },
  };

  async function work(text) {
    isOver = false;
    const [namespace, what, count] = text.split(" ");
    try {
      const host = await inBackground({ namespace, limit: 120_000, broker: { traceEnable: false } }, async (mq, context) => {
        const before = await mq.diagnostics();
        await told({ namespace, begun: what });
        await works[what](mq, { namespace, count: Number(count) }, context);
        const { host, broker } = await mq.diagnostics();
        return { ...host, epoch: broker.epoch, wasHere: before.host.isHere };
      });
      await told({ namespace, done: what, host });
    } catch (error) {
      await told({ namespace, failed: String(error), code: error.code });
    }
  }`;
const MODULE = `import { inBackground } from "/dist/service-worker.js";${WORK}`;
const CLASSIC = `importScripts("/dist/service-worker-classic.js");\nconst { inBackground } = tabmq;${WORK}`;
/** The package for pages, by mistake. */
const MISTAKEN = `import { connect } from "/dist/index.js";
  addEventListener("sync", (event) => event.waitUntil(connect().catch(({ code, message }) => fetch("/told", { method: "POST", body: JSON.stringify({ namespace: event.tag, failed: message, code }) }))));`;

interface Told {
  namespace: string;
  acked?: Acked;
  begun?: string;
  done?: string;
  host?: { kind: string; isHere: boolean; wasHere: boolean; code: string; epoch: number };
  failed?: string;
  code?: string;
}

let house: House;
let told: Told[] = [];
let orders: { id: number }[] = [];
beforeAll(async () => {
  house = await House.open({
    pages: { "/sw.js": MODULE, "/classic/sw.js": CLASSIC, "/classic/": "<!doctype html>", "/mistaken/sw.js": MISTAKEN, "/mistaken/": "<!doctype html>" },
    posts: { "/told": (what) => void told.push(what as Told), "/api/orders": (order) => void orders.push(order as { id: number }) },
  });
});
afterEach(async () => {
  for (const page of house.context.pages()) await page.close();
  told = [];
  orders = [];
});
afterAll(() => house.close());

const of = (namespace: string): Told[] => told.filter((one) => one.namespace === namespace);
const ackedIn = (namespace: string): Acked[] => of(namespace).flatMap(({ acked }) => acked ?? []);

/** The end of the work: done, or failed. */
async function ended(namespace: string): Promise<Told> {
  await until(() => of(namespace).some(({ done, failed }) => done !== undefined || failed !== undefined));
  return of(namespace).find(({ done, failed }) => done !== undefined || failed !== undefined)!;
}

/** The registration, driven from a page that knows nothing of TabMQ. */
class Wakened {
  readonly #page: Page;
  readonly #session: CDPSession;
  #registrationId = "";
  readonly #running = new Set<string>();

  static async register(scope = "/", type: "module" | "classic" = "module"): Promise<Wakened> {
    const page = await house.context.newPage();
    await page.goto(`${house.origin}${scope === "/" ? "/blank" : scope}`);
    const wakened = new Wakened(page, await house.context.newCDPSession(page));
    await wakened.#open(scope, type);
    return wakened;
  }

  private constructor(page: Page, session: CDPSession) {
    this.#page = page;
    this.#session = session;
  }

  async #open(scope: string, type: "module" | "classic"): Promise<void> {
    this.#session.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
      for (const { registrationId, scopeURL } of registrations) if (scopeURL === `${house.origin}${scope}`) this.#registrationId = registrationId;
    });
    this.#session.on("ServiceWorker.workerVersionUpdated", ({ versions }) => {
      for (const { versionId, runningStatus } of versions) {
        if (runningStatus === "running") this.#running.add(versionId);
        else this.#running.delete(versionId);
      }
    });
    await this.#session.send("ServiceWorker.enable");
    await this.#page.evaluate(async (given) => {
      const registration = await navigator.serviceWorker.register(`${given.scope}sw.js`, { type: given.type, scope: given.scope });
      while (registration.active?.state !== "activated") await new Promise((resolve) => setTimeout(resolve, 20));
    }, { scope, type });
    await until(() => this.#registrationId !== "");
  }

  sync(tag: string): Promise<unknown> {
    return this.#session.send("ServiceWorker.dispatchSyncEvent", { origin: house.origin, registrationId: this.#registrationId, tag, lastChance: false });
  }

  push(data: string): Promise<unknown> {
    return this.#session.send("ServiceWorker.deliverPushMessage", { origin: house.origin, registrationId: this.#registrationId, data });
  }

  /** At once, and nothing is told: as a browser does when it has waited long enough. */
  async kill(): Promise<void> {
    for (const versionId of this.#running) await this.#session.send("ServiceWorker.stopWorker", { versionId });
    await until(() => this.#running.size === 0);
  }

  /** Asks it to end what it does. */
  async stop(): Promise<void> {
    await this.#page.evaluate(async () => (await navigator.serviceWorker.ready).active!.postMessage("stop", []));
  }
}

async function tabOf(namespace: string): Promise<Tab> {
  const tab = await house.tab();
  await tab.connect({ namespace });
  return tab;
}

const hostOf = (tab: Tab): Promise<{ kind: string; isHere: boolean; epoch: number }> =>
  tab.run(async ({ mq }) => {
    const { host: { kind, isHere }, broker: { epoch } } = await mq.diagnostics();
    return { kind, isHere, epoch };
  });

describe("no tab is open", () => {
  test.each(["sync", "push"] as const)("%s: what is sent is stored, and the next tab finds it", async (event) => {
    const worker = await Wakened.register();
    await worker[event](`${event} send 20`);
    expect((await ended(event)).host).toMatchObject({ kind: "service", isHere: true, code: "SERVICE_WORKER", epoch: 1 });
    expect(ackedIn(event)).toHaveLength(20);
    const tab = await tabOf(event);
    expect(lost(ackedIn(event), await tab.readAll("t"))).toEqual([]);
    expect(await hostOf(tab)).toEqual({ kind: "shared", isHere: false, epoch: 2 });
  });

  test("the same by importScripts, in a classic service worker", async () => {
    const worker = await Wakened.register("/classic/", "classic");
    await worker.sync("classic send 5");
    expect((await ended("classic")).host).toMatchObject({ kind: "service", isHere: true });
    expect(lost(ackedIn("classic"), await (await tabOf("classic")).readAll("t"))).toEqual([]);
  });

  test("the package for pages says which one a service worker needs", async () => {
    const worker = await Wakened.register("/mistaken/");
    await worker.sync("mistaken");
    expect(await ended("mistaken")).toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT", failed: expect.stringContaining("tabmq/service-worker") as string });
  });

  test("an outbox that a tab has left behind is drained to the server, each order once", async () => {
    const tab = await tabOf("drain");
    await tab.run(async ({ mq }) => {
      // The relay's lock is taken, as by a tab that hangs: what is added is committed, and nothing is relayed.
      void navigator.locks.request("tabmq/drain/outbox/shop/outbox", () => new Promise(() => {}));
      const db = await new Promise<IDBDatabase>((resolve, reject) => {
        const request = indexedDB.open("shop", 1);
        request.onupgradeneeded = () => void request.result.createObjectStore("outbox", { autoIncrement: true });
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error("the database does not open"));
      });
      const outbox: Awaited<ReturnType<PageSide["mq"]["outbox"]>> = await mq.outbox(db, "outbox");
      const tx = db.transaction("outbox", "readwrite");
      for (let id = 0; id < 30; id++) outbox.add(tx, { topic: "orders", body: { id } });
      await new Promise((resolve) => tx.addEventListener("complete", resolve));
    });
    await house.closeTabs();
    await house.restart();
    const worker = await Wakened.register();
    expect(orders).toEqual([]);
    await worker.sync("drain drain");
    expect(await ended("drain")).toMatchObject({ done: "drain", host: { isHere: true } });
    expect(orders.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, id) => id));
    // Nothing is left for the next event, or for a tab.
    told = [];
    await worker.sync("drain drain");
    await ended("drain");
    expect(orders).toHaveLength(30);
    const next = await tabOf("drain");
    expect(await next.run(async ({ mq }) => (await mq.admin.consumeStats("to-server")).diffTotal)).toBe(0);
    expect(await next.readAll("orders")).toHaveLength(30);
  });

  test("an HTTP outbox sends what was stored, each order once", async () => {
    const tab = await tabOf("http");
    await tab.run(async ({ producer }) => {
      for (let id = 0; id < 30; id++) await producer.send({ topic: "orders", body: { id }, messageGroup: `customer ${id % 3}` });
    });
    await house.closeTabs();
    await house.restart();
    const worker = await Wakened.register();
    await worker.push("http http");
    expect(await ended("http")).toMatchObject({ done: "http", host: { isHere: true, wasHere: true } });
    expect(orders.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, id) => id));
    for (const customer of [0, 1, 2]) {
      const ids = orders.map(({ id }) => id).filter((id) => id % 3 === customer);
      expect(ids).toEqual(ids.toSorted((a, b) => a - b));
    }
    told = [];
    await worker.sync("http http");
    await ended("http");
    expect(orders).toHaveLength(30);
  });

  test("it is ended in the middle: nothing acknowledged is lost, and the next event goes on", async () => {
    const worker = await Wakened.register();
    await worker.sync("ended send 1000000");
    await until(() => ackedIn("ended").length > 20);
    await worker.kill();
    const before = ackedIn("ended").length;
    await worker.push("ended send 20");
    await until(() => of("ended").some(({ done }) => done !== undefined));
    const acked = ackedIn("ended");
    expect(acked.length).toBeGreaterThanOrEqual(before + 20);
    expect(of("ended").at(-1)).toMatchObject({ host: { isHere: true, epoch: 2 } });
    const tab = await tabOf("ended");
    expect(lost(acked, await tab.readAll("t"))).toEqual([]);
    expect(await hostOf(tab)).toMatchObject({ kind: "shared", epoch: 3 });
  });
});

describe("a tab is open", () => {
  test("the service worker comes in at its door: one host, one epoch", async () => {
    const tab = await tabOf("door");
    const worker = await Wakened.register();
    await worker.sync("door send 20");
    expect((await ended("door")).host).toMatchObject({ kind: "shared", isHere: false, wasHere: false, code: "ANOTHER_SERVES", epoch: 1 });
    await tab.send("t", ["from the tab"]);
    expect(lost(ackedIn("door"), await tab.readAll("t"))).toEqual([]);
    const { rows, epoch } = await tab.epochs("door");
    expect([[...new Set(rows)], epoch]).toEqual([[1], 1]);
  });

  test("a tab that opens gets the broker from the service worker, which goes on sending", async () => {
    const worker = await Wakened.register();
    await worker.sync("way send 1000000");
    await until(() => ackedIn("way").length > 20);
    const tab = await tabOf("way");
    expect(await hostOf(tab)).toEqual({ kind: "shared", isHere: false, epoch: 2 });
    const before = ackedIn("way").length;
    await tab.send("t", ["from the tab"]);
    await until(() => ackedIn("way").length > before + 20);
    await worker.stop();
    expect((await ended("way")).host).toMatchObject({ kind: "shared", isHere: false, wasHere: true, epoch: 2 });
    expect(lost(ackedIn("way"), await tab.readAll("t"))).toEqual([]);
    // Nobody wrote beside the other: the epochs of the rows only rise.
    const { rows, epoch } = await tab.epochs("way");
    expect([[...new Set(rows)], rows, epoch]).toEqual([[1, 2], rows.toSorted((a, b) => a - b), 2]);
  });

  test("the last tab is closed while the service worker sends: it goes on by itself", async () => {
    const tab = await tabOf("alone");
    const worker = await Wakened.register();
    await worker.sync("alone send 1000000");
    await until(() => ackedIn("alone").length > 20);
    await tab.page.close();
    await house.closeWorkers("/dist/worker.js");
    const before = ackedIn("alone").length;
    await until(() => ackedIn("alone").length > before + 20);
    await worker.stop();
    expect((await ended("alone")).host).toMatchObject({ kind: "service", isHere: true, wasHere: false, epoch: 2 });
    expect(lost(ackedIn("alone"), await (await tabOf("alone")).readAll("t"))).toEqual([]);
  });
});
