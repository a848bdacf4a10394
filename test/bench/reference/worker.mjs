// @ts-check
/**
 * The reference's SharedWorker: concatenates what has gathered, up to 1 MiB, and puts it as one value in one strict
 * transaction with an explicit commit, one transaction in flight. `complete` answers all of it with one message a
 * port and pushes the same buffers to the subscribed ports, which take turns.
 */

const COMMIT_BYTES = 1024 * 1024;

/** @typedef {{ port: MessagePort, bytes: Uint8Array }} Gathered */

/** @type {Gathered[]} */
let gathered = [];
/** @type {MessagePort[]} */
const subscribed = [];
/** Buffers that were pushed. */
let pushed = 0;
let key = 0;
let running = false;

const db = open();

globalThis.addEventListener("connect", (event) => {
  const [port] = /** @type {MessageEvent} */ (event).ports;
  if (port) port.onmessage = ({ data }) => void receive(port, data);
});

/**
 * @param {MessagePort} port
 * @param {{ name?: string, count?: number, buffer?: ArrayBuffer, bytes?: number }} data
 */
async function receive(port, { name, count = 0, buffer, bytes }) {
  if (name === undefined && buffer) {
    gathered.push({ port, bytes: new Uint8Array(buffer, 0, bytes) });
    if (!running) void commitLoop();
  } else if (name === "echo" && buffer) {
    port.postMessage({ result: buffer }, [buffer]);
  } else if (name === "relay") {
    for (const other of subscribed) if (other !== port) other.postMessage({ relayed: buffer }, []);
  } else if (name === "barePuts") {
    port.postMessage({ result: await barePuts(count) });
  } else if (name === "subscribe") {
    subscribed.push(port);
    port.postMessage({ result: null });
  }
}

async function commitLoop() {
  running = true;
  while (gathered.length > 0) {
    const batch = take();
    const value = new Uint8Array(batch.reduce((sum, { bytes }) => sum + bytes.byteLength, 0));
    let end = 0;
    for (const { bytes } of batch) {
      value.set(bytes, end);
      end += bytes.byteLength;
    }
    await put(await db, value);
    answer(batch);
  }
  running = false;
}

/** What fits into one commit; at least one buffer. */
function take() {
  let bytes = gathered[0]?.bytes.byteLength ?? 0;
  let count = 1;
  for (let next = gathered[count]; next && bytes + next.bytes.byteLength <= COMMIT_BYTES; next = gathered[++count]) bytes += next.bytes.byteLength;
  return gathered.splice(0, count);
}

/** @param {Gathered[]} batch */
function answer(batch) {
  /** @type {Map<MessagePort, number>} */
  const counts = new Map();
  for (const { port } of batch) counts.set(port, (counts.get(port) ?? 0) + 1);
  for (const [port, count] of counts) port.postMessage(count);
  if (subscribed.length === 0) return;
  for (const { bytes } of batch) subscribed[pushed++ % subscribed.length]?.postMessage({ buffer: bytes.buffer, bytes: bytes.byteLength }, [bytes.buffer]);
}

/** @param {number} count */
async function barePuts(count) {
  const database = await db;
  const value = crypto.getRandomValues(new Uint8Array(1024));
  /** @type {number[]} */
  const times = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await put(database, value);
    times.push(performance.now() - began);
  }
  return times;
}

/**
 * @param {IDBDatabase} database
 * @param {Uint8Array} value
 * @returns {Promise<void>}
 */
function put(database, value) {
  return new Promise((resolve, reject) => {
    const tx = database.transaction("log", "readwrite", { durability: "strict" });
    tx.objectStore("log").put(value, key++);
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error);
    tx.commit();
  });
}

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("reference", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("log");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
