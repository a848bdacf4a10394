// @ts-check
/** What is measured inside each tab. consume.mjs calls one function at a time, so that TabMQ and the reference take turns. */
import { bodies, burst, timeOf } from "./page-tools.mjs";
import { ReferenceTab } from "./reference/tab.mjs";

/** Served by the bench's server; a name, because the package may not be built when this file is type-checked. */
const PACKAGE = "/dist/index.js";
/** @type {typeof import("../../src/index.ts")} */
const { connect } = await import(PACKAGE);

/** Long, because a slow machine shall give slow figures and not errors. */
const PRODUCER = { producerGroup: "bench", sendMsgTimeout: 60_000 };

const message = bodies(1024);

const mq = await connect({ namespace: "bench" });
const producer = await mq.createProducer(PRODUCER);
const reference = new ReferenceTab();
/** Messages that this tab has been given since the count began, and when the last one came, ms since the epoch. */
const got = { count: 0, last: 0 };
/** @type {import("../../src/index.ts").PushConsumer | null} */
let consumer = null;
/** Called with what comes back to this tab. */
let onAnswer = () => {};

export const bench = {
  /** @param {{}} _options */
  async diagnostics(_options) {
    const { broker, durability } = await mq.diagnostics();
    return { indexer: broker.indexer, durability };
  },

  /** Messages for a consumer to come. @param {{ topic: string, count: number }} options */
  async fill({ topic, count }) {
    await mq.admin.createTopic({ topic, readQueueNums: 8, writeQueueNums: 8 });
    await burst(count, message, (body) => producer.send({ topic, body }));
  },

  /** Joins a group; its listener does nothing. Ms since the epoch. @param {{ topic: string }} options */
  async consume({ topic }) {
    got.count = 0;
    const began = now();
    consumer = await listen(topic, () => taken(1));
    return began;
  },

  /** @param {{}} _options */
  async stop(_options) {
    await consumer?.shutdown();
    consumer = null;
  },

  /** The reference's messages come to this tab. @param {{}} _options */
  async subscribe(_options) {
    await reference.subscribe(() => taken(1));
  },

  /** Sends by the reference; when it began. @param {{ count: number }} options */
  async referenceBurst({ count }) {
    const began = now();
    await burst(count, message, (body) => reference.send(body));
    return began;
  },

  /** @param {{}} _options */
  async reset(_options) {
    got.count = 0;
  },

  /** @param {{}} _options */
  async got(_options) {
    return got;
  },

  /** Sends back what comes: by TabMQ and by the reference. @param {{}} _options */
  async echo(_options) {
    await listen("there", ({ body }) => producer.send({ topic: "back", body }));
    await reference.subscribe(() => {});
    reference.onRelayed = (buffer) => reference.relay(new Uint8Array(buffer));
  },

  /** Waits for what the other tab sends back. @param {{}} _options */
  async expectEchoes(_options) {
    await listen("back", () => onAnswer());
    await reference.subscribe(() => {});
    reference.onRelayed = () => onAnswer();
  },

  /**
   * One way from tab to tab is half of the way there and back, because two tabs have two clocks. A strict put is timed in
   * the reference's worker. In turn, and all rest before each: see page.mjs.
   * @param {{ count: number }} options
   */
  async oneWay({ count }) {
    const times = { tabmq: /** @type {number[]} */ ([]), put: /** @type {number[]} */ ([]), relay: /** @type {number[]} */ ([]) };
    for (let i = 0; i < count; i++) {
      const body = message(i);
      await rest();
      times.tabmq.push((await timeOf(() => answered(() => producer.send({ topic: "there", body })))) / 2);
      await rest();
      times.put.push(...(await reference.barePuts(1)));
      await rest();
      times.relay.push((await timeOf(() => answered(() => reference.relay(body)))) / 2);
    }
    return times;
  },
};

/** @typedef {typeof bench} Bench */

Object.assign(globalThis, { bench });

/** A push consumer as most are. @param {string} topic @param {(message: import("../../src/index.ts").MessageExt) => unknown} messageListener */
function listen(topic, messageListener) {
  return mq.createPushConsumer({ consumerGroup: topic, subscriptions: { [topic]: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: async (given) => void (await messageListener(given)) });
}

/** @param {() => unknown} send @returns {Promise<void>} */
function answered(send) {
  return new Promise((resolve) => {
    onAnswer = resolve;
    send();
  });
}

/** @param {number} count */
function taken(count) {
  got.count += count;
  got.last = now();
}

/** Ms since the epoch, the same in all tabs but for what their processes' clocks differ by: for times of seconds. */
function now() {
  return performance.timeOrigin + performance.now();
}

/** As long as every thread needs to go to sleep: a lone message wakes them, and what the last one left to do is done. */
function rest() {
  return new Promise((resolve) => setTimeout(resolve, 20));
}
