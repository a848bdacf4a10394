import { afterEach, describe, expect, test } from "vitest";
import { TimeSearch } from "../../src/broker/time-search.ts";
import type { Admin } from "../../src/index.ts";
import { CACHE_BYTES, MAX_SCANNED_ENTRIES } from "../../src/model/limits.ts";
import { CacheBudget } from "../../src/storage/cache-budget.ts";
import type { CommitLog } from "../../src/storage/commit-log.ts";
import { ENTRY_BYTES } from "../../src/storage/consume-queue.ts";
import { ConsumeQueueStore } from "../../src/storage/consume-queue-store.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { NodeOrigin } from "../support/node-broker.ts";
import { STORED_QUEUE, storedQueue } from "../support/stored-queue.ts";
import { asDamaged } from "../support/sound-stores.ts";

let origin: NodeOrigin;
afterEach(() => origin.close());

const both = async (admin: Admin, timestamp: number): Promise<[lower: number, upper: number]> =>
  [await admin.searchOffset(STORED_QUEUE, timestamp, "LOWER"), await admin.searchOffset(STORED_QUEUE, timestamp, "UPPER")];

test("a queue that nobody knows is at 0; what is no queue, time or boundary is refused", async () => {
  origin = await storedQueue([100]);
  const { admin } = await origin.connect();
  expect(await admin.searchOffset({ ...STORED_QUEUE, queueId: 5 }, 100)).toBe(0);
  expect(await admin.searchOffset({ ...STORED_QUEUE, topic: "none" }, 100, "UPPER")).toBe(0);
  expect(await both(admin, -1)).toEqual([0, 0]);
  await expect(admin.searchOffset({ ...STORED_QUEUE, brokerName: "b" }, 0)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "queue.brokerName" });
  await expect(admin.searchOffset(STORED_QUEUE, Number.NaN)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "timestamp" });
  await expect(admin.searchOffset(STORED_QUEUE, 0, "NEAREST" as "LOWER")).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "boundary" });
});

test("seekToTimestamp goes on at the first message of that time", async () => {
  origin = await storedQueue([100, 200, 300]);
  const pull = await (await origin.connect()).createPullConsumer({ consumerGroup: "g" });
  await pull.assign([STORED_QUEUE]);
  await pull.seekToTimestamp(STORED_QUEUE, 150);
  expect((await pull.poll()).map((message) => message.text())).toEqual(["1", "2"]);
  await pull.seekToTimestamp(STORED_QUEUE, 301);
  expect(await pull.poll({ timeout: 20 })).toEqual([]);
  await expect(pull.seekToTimestamp(STORED_QUEUE, 1.5)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "seekToTimestamp.timestamp" });
});

describe("holes", () => {
  /** Damages the stored record of an offset, so that nobody can tell its time: each message has a row of its own. */
  async function damaged(times: number[], offsets: number[]): Promise<Admin> {
    const healthy = await storedQueue(times);
    await healthy.close();
    const rows = [...healthy.disk.log.keys()].sort((a, b) => a - b);
    asDamaged(healthy.disk, "rows are damaged");
    for (const offset of offsets) healthy.disk.log.get(rows[offset]!)![CHUNK_HEADER_BYTES + 60]! ^= 1;
    origin = new NodeOrigin(healthy.disk);
    return (await origin.connect()).admin;
  }

  test.each([
    { holes: [2], lower: 3, upper: 1 },
    { holes: [1, 2, 3], lower: 4, upper: 0 },
    { holes: [3, 4], lower: 5, upper: 2 },
    { holes: [0, 1, 2], lower: 3, upper: 0 },
    { holes: [0, 1, 2, 3, 4], lower: 5, upper: 0 },
  ])("without the messages at $holes", async ({ holes, lower, upper }) => {
    const admin = await damaged([100, 200, 300, 400, 500], holes);
    expect(await both(admin, 301 - (holes.includes(2) ? 1 : 0))).toEqual([lower, upper]);
  });

  test("a run of holes longer than one look: the answer is early, never past a message", async () => {
    origin = new NodeOrigin();
    const queues = new ConsumeQueueStore(new MemoryStore(), new CacheBudget(CACHE_BYTES), async function* () {});
    const queue = queues.open("t", 0);
    const entry = (position: number, size: number): Uint8Array => {
      const bytes = new Uint8Array(ENTRY_BYTES);
      new DataView(bytes.buffer).setInt32(4, position);
      new DataView(bytes.buffer).setInt32(8, size);
      return bytes;
    };
    const far = 3 * MAX_SCANNED_ENTRIES;
    queue.publish(0, entry(100, 1), 0);
    for (let at = 1; at < far; at += 1000) queue.publish(at, entry(0, 0), 0);
    queue.publish(far, entry(900, 1), 0);
    // A log in which a record's time is its position.
    const log = { storeTime: (position: number) => Promise.resolve(position) } as unknown as CommitLog;
    const search = new TimeSearch(queues, log);
    const lower = await search.search({ topic: "t", queueId: 0, timestamp: 500, boundary: "LOWER" });
    expect(lower).toBeGreaterThan(0);
    expect(lower).toBeLessThanOrEqual(far);
    expect(await search.search({ topic: "t", queueId: 0, timestamp: 500, boundary: "UPPER" })).toBe(0);
  });
});

test("reads few rows of many, one at a time", async () => {
  const disk = new MemoryDisk();
  const reads: number[] = [];
  class CountingStore extends MemoryStore {
    override readLog(position: number, count: number): ReturnType<MemoryStore["readLog"]> {
      reads.push(count);
      return super.readLog(position, count);
    }
  }
  const time = { now: 0 };
  const fill = new NodeOrigin(disk);
  fill.host = fill.newHost({ clock: { now: () => time.now, monotonic: () => performance.now() } });
  const writing = await fill.connect();
  await writing.admin.createTopic({ topic: "t", readQueueNums: 1, writeQueueNums: 1 });
  const producer = await writing.createProducer({ producerGroup: "p" });
  for (time.now = 0; time.now < 500; time.now++) await producer.send({ topic: "t", body: new Uint8Array(5000) });
  await writing.close();
  await fill.host.broker!.close();
  await fill.close();
  expect(disk.log.size).toBe(500);

  origin = new NodeOrigin(disk);
  origin.makeStore = () => new CountingStore(disk);
  const { admin } = await origin.connect();
  for (const timestamp of [123, 0, 499]) {
    reads.length = 0;
    expect(await both(admin, timestamp)).toEqual([timestamp, timestamp]);
    // log2(500) for each of the two searches; the control is 500, a search that reads on.
    expect(reads.length).toBeLessThanOrEqual(18);
    expect(new Set(reads)).toEqual(new Set([1]));
  }
});
