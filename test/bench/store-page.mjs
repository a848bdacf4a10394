// @ts-check
/** What store.mjs measures inside the page, one function at a time. */
import { bodies, burst, timeOf } from "./page-tools.mjs";
import { ReferenceTab } from "./reference/tab.mjs";

/** Served by the bench's server; a name, because the package may not be built when this file is type-checked. */
const PACKAGE = "/dist/index.js";
/** @type {typeof import("../../src/index.ts")} */
const { connect } = await import(PACKAGE);

const TOPIC = "bench";
/** Long, because a slow machine shall give slow figures and not errors. */
const PRODUCER = { producerGroup: "bench", sendMsgTimeout: 600_000 };
const FILL_BATCH = 500;
/** Messages that are on their way at once while filling. */
const FILL_SLICE = 20_000;
const PULL_MAX = 32;
const POLL_MAX = 1024;
/** How long is sent before the store is made smaller, about as long as afterwards, ms. */
const CALM = 10_000;
const RETAIN_TIMEOUT = 240_000;

/** @typedef {import("../../src/index.ts").TabMQ} TabMQ */
/** @typedef {import("../../src/index.ts").Producer} Producer */

/** @type {Map<string, Promise<{ mq: TabMQ, producer: Producer }>>} */
const open = new Map();
/** @type {ReferenceTab | undefined} */
let reference;

/** @param {string} namespace */
function opened(namespace) {
  let found = open.get(namespace);
  if (found === undefined) {
    // The key is the namespace's for ever; what it is does not matter here.
    const encryptionKey = namespace.startsWith("encrypted") ? new Uint8Array(32).fill(7) : undefined;
    found = connect({ namespace, ...(encryptionKey && { encryptionKey }) }).then(async (mq) => ({ mq, producer: await mq.createProducer(PRODUCER) }));
    open.set(namespace, found);
  }
  return found;
}

export const bench = {
  /** @param {{ namespace: string }} options */
  async open({ namespace }) {
    const { mq } = await opened(namespace);
    const { broker, durability } = await mq.diagnostics();
    return { indexer: broker.indexer, durability };
  },

  /** @param {{ count: number, size: number }} options */
  async referenceBurst({ count, size }) {
    const tab = (reference ??= new ReferenceTab());
    return burst(count, bodies(size), (body) => tab.send(body));
  },

  /** @param {{ namespace: string, count: number, size: number }} options */
  async sendBurst({ namespace, count, size }) {
    const { producer } = await opened(namespace);
    return burst(count, bodies(size), (body) => producer.send({ topic: TOPIC, body }));
  },

  /**
   * Stores messages in batches, each with a key of its own; stops early when the log is `bytes` long.
   * @param {{ namespace: string, count: number, size: number, bytes?: number }} options
   */
  async fill({ namespace, count, size, bytes = Number.POSITIVE_INFINITY }) {
    const { mq, producer } = await opened(namespace);
    const body = bodies(size);
    let done = 0;
    while (done < count && (await logBytes(mq)) < bytes) {
      const batches = [];
      for (const end = Math.min(count, done + FILL_SLICE); done < end; done += FILL_BATCH) {
        batches.push(producer.send(Array.from({ length: FILL_BATCH }, (_, at) => ({ topic: TOPIC, body: body(done + at), keys: keyOf(done + at) }))));
      }
      await Promise.all(batches);
    }
    return done;
  },

  /** From `connect()` to the first answered pull, ms. Of a namespace never used the answer is that there is no such topic. @param {{ namespace: string }} options */
  async firstPull({ namespace }) {
    const began = performance.now();
    const mq = await connect({ namespace });
    const consumer = await mq.createPullConsumer({ consumerGroup: "bench" });
    const found = await consumer.pull({ topic: TOPIC, brokerName: "broker-a", queueId: 0 }, "*", 0, PULL_MAX).then(({ messages }) => messages.length, (error) => {
      if (error.code !== "TOPIC_NOT_EXIST") throw error;
      return 0;
    });
    const ms = performance.now() - began;
    const { broker } = await mq.diagnostics();
    return { ms, found, replayed: broker.recovery.replayed, recoveryMs: broker.recovery.tookMs };
  },

  /** Time to consume `count` messages from the first on, ms. @param {{ namespace: string, count: number, group: string }} options */
  async consume({ namespace, count, group }) {
    const { mq } = await opened(namespace);
    const consumer = await mq.createPullConsumer({ consumerGroup: group, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", pullBatchSize: POLL_MAX });
    consumer.subscribe(TOPIC);
    const began = performance.now();
    for (let got = 0; got < count; ) {
      const messages = await consumer.poll({ max: POLL_MAX, timeout: 10_000 });
      if (messages.length === 0) throw new Error(`nothing came after ${got} messages`);
      got += messages.length;
    }
    const ms = performance.now() - began;
    await consumer.shutdown();
    return ms;
  },

  /** Time to `get` all rows of the log, one after the other, without a broker, ms. @param {{ namespace: string }} options */
  async rawGets({ namespace }) {
    const db = await database(namespace);
    const keys = await result(db.transaction("log").objectStore("log").getAllKeys());
    const store = db.transaction("log").objectStore("log");
    let bytes = 0;
    const ms = await timeOf(async () => {
      for (const key of keys) bytes += (await result(store.get(key))).byteLength;
    });
    db.close();
    return { ms, bytes, rows: keys.length };
  },

  /** The store's own way from its rows to records, in this page, without port and tab. @param {{ namespace: string }} options */
  async storeRead({ namespace }) {
    const insides = "/dist/store-read.js";
    /** @type {typeof import("./store-read.ts")} */
    const { readBack } = await import(insides);
    return readBack({ namespace, topic: TOPIC });
  },

  /** Keys of the log store. @param {{ namespace: string }} options */
  async logRows({ namespace }) {
    const db = await database(namespace);
    const rows = await result(db.transaction("log").objectStore("log").count());
    db.close();
    return rows;
  },

  /**
   * What the platform's own delete of the log's oldest rows takes: they are copied, bare, into a database of their own, and `delete(range)`
   * takes them away in transactions of about `stepBytes`, each awaited before the next. With the longest one, ms.
   * @param {{ namespace: string, bytes: number, stepBytes: number }} options
   */
  async bareDeletes({ namespace, bytes, stepBytes }) {
    const name = "bare-deletes";
    await result(indexedDB.deleteDatabase(name));
    const request = indexedDB.open(name);
    request.onupgradeneeded = () => request.result.createObjectStore("log");
    const [from, to] = await Promise.all([database(namespace), result(request)]);
    const keys = /** @type {number[]} */ (await result(from.transaction("log").objectStore("log").getAllKeys()));
    const begin = /** @type {number} */ (keys[0]);
    const gone = keys.filter((key) => key < begin + bytes);
    let copied = 0;
    for (let at = 0; at < gone.length; at += 16) {
      const range = IDBKeyRange.bound(gone[at], gone[Math.min(gone.length, at + 16) - 1]);
      const values = await result(from.transaction("log").objectStore("log").getAll(range));
      const tx = to.transaction("log", "readwrite", { durability: "strict" });
      for (const [index, value] of values.entries()) {
        copied += value.byteLength;
        tx.objectStore("log").put(value, gone[at + index]);
      }
      await completed(tx);
    }
    from.close();
    await sleep(1000);
    let longest = 0;
    const ms = await timeOf(async () => {
      for (let at = 0; at < gone.length; ) {
        const first = /** @type {number} */ (gone[at]);
        while (at < gone.length && /** @type {number} */ (gone[at]) < first + stepBytes) at++;
        const tx = to.transaction("log", "readwrite", { durability: "relaxed" });
        tx.objectStore("log").delete(IDBKeyRange.bound(first, gone[at - 1]));
        longest = Math.max(longest, await timeOf(() => completed(tx)));
      }
    });
    to.close();
    await result(indexedDB.deleteDatabase(name));
    return { ms, longest, rows: gone.length, bytes: copied };
  },

  /** Sends, each awaited before the next: each is a commit of its own. @param {{ namespace: string, count: number, size: number }} options */
  async sendLone({ namespace, count, size }) {
    const { producer } = await opened(namespace);
    const body = bodies(size);
    return timeOf(async () => {
      for (let at = 0; at < count; at++) await producer.send({ topic: TOPIC, body: body(at) });
    });
  },

  /** Whether this build has what a row needs. @param {{ namespace: string, method: string }} options */
  async can({ namespace, method }) {
    const { mq } = await opened(namespace);
    return typeof /** @type {any} */ (mq.admin)[method] === "function";
  },

  /** Times of lookups by random keys, and of a bare `get` of a random row in turn with each, ms. @param {{ namespace: string, among: number, count: number }} options */
  async queries({ namespace, among, count }) {
    const { mq } = await opened(namespace);
    const db = await database(namespace);
    const rows = await result(db.transaction("log").objectStore("log").getAllKeys());
    const times = { query: /** @type {number[]} */ ([]), get: /** @type {number[]} */ ([]) };
    for (let at = 0; at < count; at++) {
      const key = keyOf(Math.floor(Math.random() * among));
      let found = /** @type {{ keys: string[] }[]} */ ([]);
      times.query.push(await timeOf(async () => (found = await /** @type {any} */ (mq.admin).queryMessages({ topic: TOPIC, key }))));
      if (found.length !== 1 || !found[0]?.keys.includes(key)) throw new Error(`${found.length} messages for the key ${key}`);
      const row = /** @type {number} */ (rows[Math.floor(Math.random() * rows.length)]);
      times.get.push(await timeOf(() => result(db.transaction("log").objectStore("log").get(row))));
    }
    db.close();
    return times;
  },

  /**
   * Sends one by one; in the middle the store's limit becomes smaller. Goes on until the rows are gone from IndexedDB too, and a second more.
   * @param {{ namespace: string, size: number, maxStoreBytes: number }} options
   */
  async retain({ namespace, size, maxStoreBytes }) {
    const { mq, producer } = await opened(namespace);
    const db = await database(namespace);
    const body = bodies(size);
    const removed = async () => (await mq.diagnostics()).broker.retention;
    let first = 0;
    // From where the last look ended: Chromium passes by what is deleted one by one.
    const firstRow = async () => (first = Number((await result(db.transaction("log").objectStore("log").openKeyCursor(IDBKeyRange.lowerBound(first))))?.key));
    const goal = (await removed()).removedBytes + (await logBytes(mq)) - maxStoreBytes;
    const sends = { isOver: false, calm: /** @type {number[]} */ ([]), during: /** @type {number[]} */ ([]) };
    let times = sends.calm;
    const sending = (async () => {
      for (let at = 0; !sends.isOver; at++) times.push(await timeOf(() => producer.send({ topic: TOPIC, body: body(at) })));
    })();
    await sleep(CALM);
    times = sends.during;
    const began = performance.now();
    /** @param {() => Promise<boolean>} isDone @param {number} every */
    const until = async (isDone, every) => {
      while (!(await isDone())) {
        if (performance.now() - began > RETAIN_TIMEOUT) throw new Error("half of the store is still there after minutes");
        await sleep(every);
      }
      return performance.now() - began;
    };
    await mq.admin.updateBrokerConfig({ maxStoreBytes });
    const ms = await until(async () => (await removed()).removedBytes >= goal, 10);
    const { minPosition } = await removed();
    const deleted = await until(async () => (await firstRow()) >= minPosition, 50);
    await sleep(1000);
    sends.isOver = true;
    await sending;
    await mq.admin.updateBrokerConfig({ maxStoreBytes: 0 });
    db.close();
    return { ms, deleted, calm: spread(sends.calm), during: spread(sends.during) };
  },
};

/** @typedef {typeof bench} Bench */

Object.assign(globalThis, { bench });

/** From its begin to its end. @param {TabMQ} mq */
async function logBytes(mq) {
  const { broker } = await mq.diagnostics();
  return broker.position - broker.retention.minPosition;
}

/** @param {number[]} times */
function spread(times) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (/** @type {number} */ share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), longest: at(1) };
}

/** @param {number} at */
function keyOf(at) {
  return `key-${at}`;
}

/** @param {string} namespace @returns {Promise<IDBDatabase>} */
function database(namespace) {
  return result(indexedDB.open(`tabmq/${namespace}`));
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBTransaction} tx @returns {Promise<void>} */
function completed(tx) {
  return new Promise((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error);
    tx.commit();
  });
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
