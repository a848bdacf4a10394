// @ts-check
/** What is measured inside each tab: the same with trace and without, in two namespaces. trace.mjs calls one function at a time. */
import { bodies, burst } from "./page-tools.mjs";

/** Served by the bench's server; a name, because the package may not be built when this file is type-checked. */
const PACKAGE = "/dist/index.js";
/** @type {typeof import("../../src/index.ts")} */
const { connect } = await import(PACKAGE);

/** @typedef {"on" | "off"} Which */

const message = bodies(1024);
const tabs = { on: await connect({ namespace: "on" }), off: await connect({ namespace: "off", broker: { traceEnable: false } }) };
const producers = {
  // Long, because a slow machine shall give slow figures and not errors.
  on: await tabs.on.createProducer({ producerGroup: "bench", sendMsgTimeout: 60_000 }),
  off: await tabs.off.createProducer({ producerGroup: "bench", sendMsgTimeout: 60_000 }),
};
/** Messages that this tab has been given since the count began, and when the last one came, ms since the epoch. */
const got = { count: 0, last: 0 };
/** @type {import("../../src/index.ts").PushConsumer | null} */
let consumer = null;

export const bench = {
  /** @param {{ which: Which }} options */
  async diagnostics({ which }) {
    const { broker, durability, settings, trace } = await tabs[which].diagnostics();
    return { indexer: broker.indexer, durability, traceEnable: settings.traceEnable, position: broker.durablePosition, trace };
  },

  /** @param {{ which: Which, topic: string }} options */
  async createTopic({ which, topic }) {
    await tabs[which].admin.createTopic({ topic, readQueueNums: 8, writeQueueNums: 8 });
  },

  /** Messages a second, until all are acknowledged. @param {{ which: Which, topic: string, count: number }} options */
  async send({ which, topic, count }) {
    const ms = await burst(count, message, (body) => producers[which].send({ topic, body }));
    return (count / ms) * 1000;
  },

  /** Joins a group; its listener does nothing. Ms since the epoch. @param {{ which: Which, topic: string }} options */
  async consume({ which, topic }) {
    got.count = 0;
    const began = now();
    const messageListener = async () => void ((got.count += 1), (got.last = now()));
    consumer = await tabs[which].createPushConsumer({ consumerGroup: topic, subscriptions: { [topic]: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener });
    return began;
  },

  /** @param {{}} _options */
  async stop(_options) {
    await consumer?.shutdown();
    consumer = null;
  },

  /** @param {{}} _options */
  async got(_options) {
    return got;
  },
};

/** @typedef {typeof bench} Bench */

Object.assign(globalThis, { bench });

/** Ms since the epoch. */
function now() {
  return performance.timeOrigin + performance.now();
}
