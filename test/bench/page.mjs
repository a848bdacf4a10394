// @ts-check
/** What is measured inside the page. quick.mjs calls one function at a time, so that TabMQ and the reference take turns. */
import { bodies, burst, timeOf } from "./page-tools.mjs";
import { ReferenceTab } from "./reference/tab.mjs";

/** Served by the bench's server; a name, because the package may not be built when this file is type-checked. */
const PACKAGE = "/dist/index.js";
/** @type {typeof import("../../src/index.ts")} */
const { connect } = await import(PACKAGE);

const TOPIC = "bench";
/** Long, because a slow machine shall give slow figures and not errors. */
const PRODUCER = { producerGroup: "bench", sendMsgTimeout: 60_000 };
/** Messages that are sent before any of them is awaited while filling. */
const FILL_SLICE = 20_000;

const message = bodies(1024);

/** @type {import("../../src/index.ts").Producer} */
let producer;
/** In a namespace that is encrypted; null = not asked for. @type {import("../../src/index.ts").Producer | null} */
let encrypted = null;
/** @type {ReferenceTab} */
let reference;

export const bench = {
  /** All sides ready and warm enough to have answered once. @param {{ isEncrypted: boolean }} options */
  async open({ isEncrypted }) {
    const mq = await connect({ namespace: "bench" });
    producer = await mq.createProducer(PRODUCER);
    if (isEncrypted) {
      const encryptionKey = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
      encrypted = await (await connect({ namespace: "bench-encrypted", encryptionKey })).createProducer(PRODUCER);
      await encrypted.send({ topic: TOPIC, body: message(0) });
    }
    reference = new ReferenceTab();
    await Promise.all([producer.send({ topic: TOPIC, body: message(0) }), reference.send(message(0))]);
    const { broker, durability } = await mq.diagnostics();
    return { indexer: broker.indexer, durability };
  },

  /** Time of `count` sends in a loop, none awaited before the next, until all are answered, ms. @param {{ count: number }} options */
  async tabmqBurst({ count }) {
    return burst(count, message, (body) => producer.send({ topic: TOPIC, body }));
  },

  /** The same, encrypted. @param {{ count: number }} options */
  async encryptedBurst({ count }) {
    return burst(count, message, sendEncrypted);
  },

  /** The same by the reference. @param {{ count: number }} options */
  async referenceBurst({ count }) {
    return burst(count, message, (body) => reference.send(body));
  },

  /**
   * Lone operations, each awaited, in turn: a send, a bare strict put (timed in the reference's worker), a port round
   * trip, a send by the reference. In turn and not in blocks, because a thread that was just busy answers sooner than
   * one that slept, and a lone send meets threads that slept. For the same reason all rest before each: the reference's
   * worker does three of the four, and would otherwise be met awake. The time of each, ms.
   * @param {{ count: number }} options
   */
  async lone({ count }) {
    const times = { tabmq: /** @type {number[]} */ ([]), put: /** @type {number[]} */ ([]), encrypted: /** @type {number[]} */ ([]), trip: /** @type {number[]} */ ([]), minimal: /** @type {number[]} */ ([]) };
    for (let i = 0; i < count; i++) {
      const body = message(i);
      await rest();
      times.tabmq.push(await timeOf(() => producer.send({ topic: TOPIC, body })));
      if (encrypted !== null) await rest();
      if (encrypted !== null) times.encrypted.push(await timeOf(() => sendEncrypted(body)));
      await rest();
      times.put.push(...(await reference.barePuts(1)));
      await rest();
      times.trip.push(await timeOf(() => reference.roundTrip(body)));
      await rest();
      times.minimal.push(await timeOf(() => reference.send(body)));
    }
    return times;
  },

  /** From `connect()` to the first answered send, ms. @param {{ namespace: string }} options */
  async start({ namespace }) {
    const began = performance.now();
    const mq = await connect({ namespace });
    const first = await mq.createProducer(PRODUCER);
    await first.send({ topic: TOPIC, body: message(0) });
    const ms = performance.now() - began;
    const { broker } = await mq.diagnostics();
    const { replayed, tookMs } = broker.recovery;
    const stats = await mq.admin.topicStats(TOPIC);
    return { ms, replayed, recoveryMs: tookMs, stored: stats.queues.reduce((sum, queue) => sum + queue.maxOffset - queue.minOffset, 0) };
  },

  /** Stores `count` messages. @param {{ namespace: string, count: number }} options */
  async fill({ namespace, count }) {
    const mq = await connect({ namespace });
    const filler = await mq.createProducer(PRODUCER);
    for (let left = count; left > 0; left -= FILL_SLICE) {
      await burst(Math.min(left, FILL_SLICE), message, (body) => filler.send({ topic: TOPIC, body }));
    }
  },
};

/** @typedef {typeof bench} Bench */

Object.assign(globalThis, { bench });

/** @param {Uint8Array} body */
function sendEncrypted(body) {
  if (encrypted === null) throw new Error("open was not asked for an encrypted namespace");
  return encrypted.send({ topic: TOPIC, body });
}

/** As long as every thread needs to go to sleep: a lone operation wakes them. */
function rest() {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
