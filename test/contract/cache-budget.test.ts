/** What a broker keeps in memory for reading stays within one number, however much is stored and whatever is read. */
import { expect, test } from "vitest";
import { keyHash } from "../../src/model/index-key.ts";
import { CACHE_BYTES, QUEUE_PAGE_ENTRIES } from "../../src/model/limits.ts";
import { CacheBudget } from "../../src/storage/cache-budget.ts";
import { Checkpoint } from "../../src/storage/checkpoint.ts";
import { CommitLog } from "../../src/storage/commit-log.ts";
import { ENTRY_BYTES, entryPosition } from "../../src/storage/consume-queue.ts";
import { ConsumeQueueStore, entryOf } from "../../src/storage/consume-queue-store.ts";
import { KeyIndex } from "../../src/storage/key-index.ts";
import { scanLog } from "../../src/storage/log-scanner.ts";
import { MemoryStore } from "../../src/storage/memory-store.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { NodeOrigin } from "../support/node-broker.ts";
import { concat, encodeRecord, plainCrc32 } from "../unit/records.ts";

const RECORDS = 20_480;
const FRAME = 512;
const PAGES = RECORDS / QUEUE_PAGE_ENTRIES;
const BODY = new Uint8Array(400);
const BODY_CRC = plainCrc32(BODY);

/** A store that can be made to answer nothing: what is read then was in memory. */
class SilentStore extends MemoryStore {
  isSilent = false;

  override readLog(...given: Parameters<MemoryStore["readLog"]>): ReturnType<MemoryStore["readLog"]> {
    return this.#unless(() => super.readLog(...given));
  }

  override floorLog(position: number): Promise<number | undefined> {
    return this.#unless(() => super.floorLog(position));
  }

  override readPages(...given: Parameters<MemoryStore["readPages"]>): ReturnType<MemoryStore["readPages"]> {
    return this.#unless(() => super.readPages(...given));
  }

  #unless<T>(read: () => Promise<T>): Promise<T> {
    return this.isSilent ? Promise.reject(new Error("silent")) : read();
  }
}

/** Stores one queue of messages with a key each and reads all of it, in every way; says how much memory that takes and has kept. */
async function readThrough(budgets: { log: CacheBudget; queues: CacheBudget; keys: CacheBudget }): Promise<{ most: number; held: number }> {
  const indexer = new TsIndexer();
  const store = new SilentStore();
  const epoch = await store.takeOver();
  const log = new CommitLog(indexer, store, budgets.log, () => {});
  const scan = (from: number) => scanLog(log.rowsAt(from), indexer, from);
  const queues = new ConsumeQueueStore(store, budgets.queues, () => scan(0));
  const keys = new KeyIndex({ store, indexer, budget: budgets.keys, scan, maxEntries: 3000 });
  const checkpoint = new Checkpoint(queues, keys);
  const queue = queues.open("T", 0);
  keys.reset();
  log.open(0);

  let most = 0;
  const look = (): void => void (most = Math.max(most, [...new Set(Object.values(budgets))].reduce((sum, budget) => sum + budget.bytes, 0)));
  for (let first = 0; first < RECORDS; first += FRAME) {
    log.check(concat(Array.from({ length: FRAME }, (_, at) => encodeRecord({ topic: "T", body: BODY, bodyCrc: BODY_CRC, properties: `KEYS\u0001k${first + at}\u0002` }))));
    const appended = log.append({ queueOffset: Float64Array.from({ length: FRAME }, (_, at) => first + at), storeTimestamp: 1000 + first, storeIp: 1, storePort: 1 });
    const chunks = log.seal(epoch);
    expect(await store.commit({ epoch, log: chunks, queue: [], state: [] })).toEqual({ status: "committed" });
    log.committed(chunks);
    for (let at = 0; at < FRAME; at++) queue.publish(first + at, entryOf(appended, at), 1000 + first);
    keys.put(appended.keys);
    look();
  }
  const { pages, index, committed } = checkpoint.take(log.durablePosition);
  await store.commit({ epoch, log: [], queue: pages, index, state: [] });
  committed();

  const positions: number[] = [];
  for (let offset = 0; offset < RECORDS; ) {
    const entries = await queue.read(offset, QUEUE_PAGE_ENTRIES);
    const count = entries.byteLength / ENTRY_BYTES;
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
    for (let at = 0; at < count; at++) positions.push(entryPosition(view, at * ENTRY_BYTES));
    const { records } = await log.read(queue, offset, entries, Int32Array.from({ length: count }, (_, at) => at), Number.POSITIVE_INFINITY);
    expect(records.byteLength).toBeGreaterThan(count * 500);
    const key = `k${offset}`;
    const found = await keys.find({ text: keyHash(key), key: keyHash(`T#${key}`), begin: 0, end: Number.MAX_SAFE_INTEGER, before: Number.MAX_SAFE_INTEGER, max: 1 });
    expect(found.positions).toEqual([positions[offset]]);
    offset += count;
    look();
  }

  // Not by the account: by what is there.
  store.isSilent = true;
  let held = 0;
  for (const position of positions) held += (await log.readRecord(position).catch(() => null))?.byteLength ?? 0;
  for (let page = 0; page < PAGES - 1; page++) held += (await queues.load(queue.pageKey(page)).catch(() => undefined))?.byteLength ?? 0;
  return { most, held };
}

/** Room for what is read ahead, and a fifth of what is stored. */
const LIMIT = 2 * 1024 * 1024;

test("the log, the queues and the key index keep no more together than the budget, and about as much", { timeout: 60_000 }, async () => {
  const budget = new CacheBudget(LIMIT);
  const { most, held } = await readThrough({ log: budget, queues: budget, keys: budget });
  expect(most).toBeLessThanOrEqual(LIMIT);
  expect(held).toBeLessThanOrEqual(LIMIT);
  expect(held).toBeGreaterThan(LIMIT / 2);
});

test("control: with a budget each, they keep more", { timeout: 60_000 }, async () => {
  const { most, held } = await readThrough({ log: new CacheBudget(LIMIT), queues: new CacheBudget(LIMIT), keys: new CacheBudget(LIMIT) });
  expect(most).toBeGreaterThan(LIMIT);
  expect(held).toBeGreaterThan(LIMIT);
});

test("a broker's diagnostics say how much that is", { timeout: 60_000 }, async () => {
  const origin = new NodeOrigin();
  const mq = await origin.connect({ broker: { defaultTopicQueueNums: 1 } });
  const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000 });
  expect((await mq.diagnostics()).broker.cacheBytes).toBe(0);
  await producer.send({ topic: "t", body: new Uint8Array(1000) });
  const first = (await mq.diagnostics()).broker.cacheBytes;
  expect(first).toBeGreaterThan(1000);
  expect(first).toBeLessThan(3000);
  for (let sent = 0; sent < 1.25 * CACHE_BYTES; sent += 4_000_000) {
    await producer.send({ topic: "t", body: new Uint8Array(4_000_000) });
    expect((await mq.diagnostics()).broker.cacheBytes).toBeLessThanOrEqual(CACHE_BYTES);
  }
  expect((await mq.diagnostics()).broker.cacheBytes).toBeGreaterThan(0.95 * CACHE_BYTES);
  await origin.close();
});
