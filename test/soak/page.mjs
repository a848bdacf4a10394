// @ts-check
/** What runs in the tabs: served as the page's script, beside the built package. */
// @ts-expect-error -- the server has it there
// oxlint-disable-next-line import/no-absolute-path
import { connect } from "/dist/index.js";

const BATCH = 20;
const BODY_BYTES = 1000;
const EVERY = 1000;

/** @type {any} */
let mq;
let [sent, consumed] = [0, 0];
/** @type {string[]} */
const troubles = [];

/** Connects, sends a batch a second, consumes. */
async function begin() {
  mq = await connect({ namespace: "soak" });
  const producer = await mq.createProducer({ producerGroup: "soak", sendMsgTimeout: 20_000 });
  await mq.createPushConsumer({ consumerGroup: "soak", subscriptions: { soak: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: () => void consumed++ });
  let isLeaving = false;
  const timer = setInterval(() => {
    const batch = Array.from({ length: BATCH }, () => ({ topic: "soak", body: crypto.getRandomValues(new Uint8Array(BODY_BYTES)), tags: "t", keys: `k${sent}` }));
    producer.send(batch).then(
      () => (sent += BATCH),
      (/** @type {Error} */ error) => isLeaving || troubles.push(error.message),
    );
  }, EVERY);
  Object.assign(globalThis, {
    end: async () => {
      isLeaving = true;
      clearInterval(timer);
      await mq.close();
    },
  });
}

/** Fills the broker's caches, so that they do not look like a leak. @param {number} bytes */
async function fill(bytes) {
  const body = new Uint8Array(50_000);
  const producer = await mq.createProducer({ producerGroup: "filler", sendMsgTimeout: 60_000 });
  for (let done = 0; done < bytes; ) {
    const sends = Array.from({ length: 40 }, () => producer.send({ topic: "filler", body: crypto.getRandomValues(body) }));
    await Promise.all(sends);
    done += 40 * body.length;
  }
  await producer.shutdown();
}

/** Only looks on. */
async function observe() {
  mq = await connect({ namespace: "soak" });
  await mq.admin.createTopic({ topic: "soak" });
}

async function look() {
  const [{ broker }, locks, { usage = 0 }] = await Promise.all([mq.diagnostics(), navigator.locks.query(), navigator.storage.estimate()]);
  const { sessions, calls, position, epoch, damaged } = broker;
  return { sessions, calls, position, epoch, damaged: damaged.length, locks: (locks.held ?? []).length + (locks.pending ?? []).length, usage };
}

/** Works off what is left. */
async function drain() {
  await mq.createPushConsumer({ consumerGroup: "soak", subscriptions: { soak: "*" }, messageListener: () => void consumed++ });
  let diffTotal = 1;
  while (diffTotal > 0) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    ({ diffTotal } = await mq.admin.consumeStats("soak"));
  }
  const { queues } = await mq.admin.topicStats("soak");
  return queues.reduce((/** @type {number} */ sum, /** @type {{ maxOffset: number }} */ queue) => sum + queue.maxOffset, 0);
}

/** @type {number[][]} */
const kept = [];

/** What `--leak` does: memory that is kept, rows that nobody ever deletes, a connection with a consumer that nobody ever closes. */
async function leak() {
  kept.push(Array.from({ length: 20_000 }, Math.random));
  await new Promise((resolve, reject) => {
    const request = indexedDB.open("forgotten");
    request.onupgradeneeded = () => request.result.createObjectStore("rows", { autoIncrement: true });
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const transaction = request.result.transaction("rows", "readwrite");
      for (let row = 0; row < 16; row++) transaction.objectStore("rows").add(crypto.getRandomValues(new Uint8Array(60_000)));
      transaction.oncomplete = () => (request.result.close(), resolve(undefined));
      transaction.onerror = () => reject(transaction.error);
    };
  });
  const forgotten = await connect({ namespace: "soak" });
  await forgotten.createPushConsumer({ consumerGroup: `forgotten-${Math.random().toString(36).slice(2)}`, subscriptions: { quiet: "*" }, messageListener: () => {} });
}

Object.assign(globalThis, { begin, fill, observe, look, drain, leak, tally: () => ({ sent, consumed, troubles }) });
