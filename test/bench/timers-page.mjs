// @ts-check
/** What is measured inside the tab. timers.mjs calls one function at a time. */
/** Served by the bench's server; a name, because the package may not be built when this file is type-checked. */
const PACKAGE = "/dist/index.js";
/** @type {typeof import("../../src/index.ts")} */
const { connect } = await import(PACKAGE);

const mq = await connect({ namespace: "timers" });
const producer = await mq.createProducer({ producerGroup: "bench", sendMsgTimeout: 60_000 });
/** How late each message came to the listener, and was stored, ms. @type {number[]} */
const late = [];
/** @type {number[]} */
const stored = [];
await mq.createPushConsumer({
  consumerGroup: "bench", subscriptions: { late: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
  messageListener: async (message) => {
    const due = Number(message.properties["due"]);
    late.push(Date.now() - due);
    stored.push(message.storeTimestamp - due);
  },
});

/** Messages that are on their way together. */
const STEP = 20_000;

export const bench = {
  /** @param {{}} _options */
  async diagnostics(_options) {
    const { broker, durability } = await mq.diagnostics();
    return { indexer: broker.indexer, durability, timers: broker.timers };
  },

  /** Each alone, while nothing else happens. @param {{ count: number }} options */
  async lateness({ count }) {
    late.length = stored.length = 0;
    for (let at = 0; at < count; at++) {
      const due = Date.now() + 200 + Math.floor(Math.random() * 100);
      await producer.send({ topic: "late", body: "x", deliverAt: due, properties: { due: `${due}` } });
      while (late.length <= at) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { late, stored };
  },

  /** Timers that are due in the next days, in no order. Messages a second. @param {{ count: number }} options */
  async fill({ count }) {
    const began = performance.now();
    for (let sent = 0; sent < count; sent += STEP) {
      const some = Array.from({ length: Math.min(STEP, count - sent) }, () => producer.send({ topic: "pending", body: "x", deliverAfter: 86_400_000 + Math.floor(Math.random() * 86_400_000) }));
      await Promise.all(some);
    }
    return (count / (performance.now() - began)) * 1000;
  },
};

/** @typedef {typeof bench} Bench */
Object.assign(globalThis, { bench });
