/** Cutting the log without a broker around it, so that everything can be asked at every moment of it. */
import { describe, expect, test } from "vitest";
import { QUEUE_PAGE_ENTRIES } from "../../src/model/limits.ts";
import type { DamagedRange } from "../../src/protocol/api.ts";
import type { CommitBatch, CommitOutcome } from "../../src/storage/block-store.ts";
import { CacheBudget } from "../../src/storage/cache-budget.ts";
import { Checkpoint } from "../../src/storage/checkpoint.ts";
import { CommitLog } from "../../src/storage/commit-log.ts";
import { ConsumeQueueStore, entryOf } from "../../src/storage/consume-queue-store.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import { KeyIndex } from "../../src/storage/key-index.ts";
import { scanLog } from "../../src/storage/log-scanner.ts";
import { LogSweeper, SWEPT_KEY } from "../../src/storage/log-sweeper.ts";
import { LogTrimmer, TRIM_KEY } from "../../src/storage/log-trimmer.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { makeBlock } from "../../src/storage/ts-chunks.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { concat, encodeRecord } from "../unit/records.ts";

/** What becomes of a cut: made or not, and what is said of it. */
interface Cut {
  isDone: boolean;
  outcome: CommitOutcome;
}

const COMMITTED: Cut = { isDone: true, outcome: { status: "committed" } };
const FULL: Cut = { isDone: false, outcome: { status: "rejected", reason: "FULL" } };
const FAILED: Cut = { isDone: false, outcome: { status: "unknown", cause: "test" } };
const DONE: Cut = { isDone: true, outcome: { status: "unknown", cause: "test" } };

class CutStore extends MemoryStore {
  next = COMMITTED;
  /** Called when the cut has been made or has failed, before that is told. */
  between: () => Promise<void> = () => Promise.resolve();

  override async commit(batch: CommitBatch): Promise<CommitOutcome> {
    if (!batch.state.some(([key]) => key === TRIM_KEY)) return super.commit(batch);
    const { isDone, outcome } = this.next;
    if (isDone) await super.commit(batch);
    await this.between();
    return outcome;
  }
}

const FRAME = 64;
const FRAMES = 40;
const RECORDS = FRAME * FRAMES;

/** One queue of messages, a frame a row, all of it stored; nothing in memory but what was last. */
async function house(count = FRAMES) {
  const disk = new MemoryDisk();
  const store = new CutStore(disk);
  const epoch = await store.takeOver();
  const indexer = new TsIndexer();
  const damaged: DamagedRange[] = [];
  const budget = new CacheBudget(1);
  const log = new CommitLog(indexer, store, budget, (range) => damaged.push(range));
  const queues = new ConsumeQueueStore(store, budget, () => scanLog(log.rows(log.minPosition), indexer, log.minPosition));
  const keys = new KeyIndex({ store, indexer, budget, scan: (from) => scanLog(log.rowsAt(from), indexer, from) });
  const checkpoint = new Checkpoint(queues, keys);
  const trimmer = new LogTrimmer({ store, log, queues, keys, checkpoint, indexer, epoch });
  const time = { now: 0 };
  const clock = { now: () => time.now, monotonic: () => time.now };
  const sweeper = new LogSweeper({ store, log, trimmer, clock, epoch });
  const queue = queues.open("T", 0);
  keys.reset();
  log.open(0);
  /** Where the frames begin. */
  const frames: number[] = [];
  for (let first = 0; first < count * FRAME; first += FRAME) {
    log.check(concat(Array.from({ length: FRAME }, () => encodeRecord({ topic: "T", body: new Uint8Array(20) }))));
    const appended = log.append({ queueOffset: Float64Array.from({ length: FRAME }, (_, at) => first + at), storeTimestamp: 1000 + first, storeIp: 1, storePort: 1 });
    const chunks = log.seal(epoch);
    expect(await store.commit({ epoch, log: chunks, queue: [], state: [] })).toEqual({ status: "committed" });
    log.committed(chunks);
    for (let at = 0; at < FRAME; at++) queue.publish(first + at, entryOf(appended, at), 1000 + first);
    keys.put(appended.keys);
    frames.push(chunks[0]!.position);
  }
  const { pages, index, committed } = checkpoint.take(log.durablePosition);
  expect(await store.commit({ epoch, log: [], queue: pages, index, state: [] })).toEqual({ status: "committed" });
  committed();
  /** How much of the message at an offset can be read, bytes. */
  const read = async (offset: number): Promise<number> => (await log.read(queue, offset, await queue.read(offset, 1), Int32Array.of(0), 1)).records.byteLength;
  const state = (): unknown => ({ begin: log.minPosition, minOffset: queue.minOffset, messages: trimmer.removed.messages, bytes: trimmer.removed.bytes });
  /** All that is left in the store. */
  const rest = (): { rows: number[]; pages: string[]; swept: unknown } => ({ rows: [...disk.log.keys()], pages: [...disk.queue.keys()], swept: disk.state.get(SWEPT_KEY) });
  return { disk, store, epoch, log, queues, trimmer, sweeper, clock, time, queue, frames, damaged, read, state, rest };
}

const UNTOUCHED = { begin: 0, minOffset: 0, messages: 0, bytes: 0 };
const behind = (frames: number[], count: number): unknown => ({ begin: frames[count]!, minOffset: count * FRAME, messages: count * FRAME, bytes: frames[count]! });

describe("a cut", () => {
  test("moves everything at once, after its transaction", async () => {
    const { store, trimmer, frames, state, read, damaged } = await house();
    let seen: unknown;
    store.between = async () => void (seen = state());
    expect(await trimmer.trim(frames[20]!)).toBe(true);
    expect(seen).toEqual(UNTOUCHED);
    expect(state()).toEqual(behind(frames, 20));
    expect(await read(20 * FRAME)).toBeGreaterThan(0);
    expect(damaged).toEqual([]);
  });

  test.each([["there is no room", FULL], ["it is not known, and was not made", FAILED]])("that fails moves nothing: %s; the next one counts all", async (_what, cut) => {
    const { store, trimmer, frames, state, read, damaged, disk } = await house();
    store.next = cut;
    for (const count of [10, 20, 30]) expect(await trimmer.trim(frames[count]!)).toBe(false);
    expect(state()).toEqual(UNTOUCHED);
    for (let offset = 0; offset < RECORDS; offset += FRAME) expect(await read(offset)).toBeGreaterThan(0);
    store.next = COMMITTED;
    expect(await trimmer.trim(frames[20]!)).toBe(true);
    expect(state()).toEqual(behind(frames, 20));
    expect(disk.log.size).toBe(FRAMES);
    expect(damaged).toEqual([]);
  });

  test("that was made and reported as failed is made", async () => {
    const { store, trimmer, frames, state } = await house();
    store.next = DONE;
    expect(await trimmer.trim(frames[20]!)).toBe(true);
    expect(state()).toEqual(behind(frames, 20));
  });

  test("that was made, reported as failed, and could not be looked for, is found before the next one", async () => {
    const { store, trimmer, frames, state } = await house();
    store.next = DONE;
    const look = store.readState.bind(store);
    store.readState = () => Promise.reject(new Error("test"));
    await expect(trimmer.trim(frames[20]!)).rejects.toThrow("test");
    expect(state()).toEqual(UNTOUCHED);
    store.readState = look;
    store.next = COMMITTED;
    expect(await trimmer.trim(frames[30]!)).toBe(true);
    expect(state()).toEqual(behind(frames, 30));
  });

  test("of rows that were merged meanwhile is not made: the log begins with a row", async () => {
    const { store, trimmer, frames, state, read, log, epoch, damaged } = await house();
    const border = (await trimmer.border(frames[20]! - 1))!;
    expect(border.position).toBe(frames[20]);
    const merged = await log.rewrite(async () => {
      const rows = await store.readLog(frames[19]!, 2);
      const block = makeBlock(rows.map(({ bytes }) => bytes.subarray(CHUNK_HEADER_BYTES)), epoch, frames[19]!);
      return store.commit({ epoch, remove: { log: [frames[19]!, frames[21]!] }, log: [block], queue: [], state: [] });
    });
    expect(merged).toEqual({ status: "committed" });
    expect(await trimmer.trim(border.position)).toBe(false);
    expect(state()).toEqual(UNTOUCHED);
    expect(await read(20 * FRAME)).toBeGreaterThan(0);
    expect(await trimmer.trim((await trimmer.border(frames[20]! - 1))!.position)).toBe(true);
    expect(state()).toEqual(behind(frames, 21));
    expect(damaged).toEqual([]);
  });

  test("ends although a queue page has to be made again from the log for it", async () => {
    const { trimmer, frames, state, disk, queues } = await house();
    disk.queue.delete(`T/0/${Math.floor((20 * FRAME) / QUEUE_PAGE_ENTRIES)}`);
    expect(await trimmer.trim(frames[20]!)).toBe(true);
    expect(state()).toEqual(behind(frames, 20));
    expect(queues.rebuilt).toBe(1);
  });
});

describe("who reads", () => {
  /** What is found of a message that is being given up, while that is on its way. */
  async function readBetween(cut: Cut): Promise<{ bytes: number; damaged: DamagedRange[]; minOffset: number }> {
    const { store, trimmer, frames, read, damaged, queue } = await house();
    let bytes = 0;
    store.next = cut;
    // Its queue page stays, because it holds the queue's new beginning too.
    store.between = async () => void (bytes = await read(18 * FRAME));
    await trimmer.trim(frames[20]!);
    return { bytes, damaged, minOffset: queue.minOffset };
  }

  test.each([["made", COMMITTED, 20 * FRAME], ["made and reported as failed", DONE, 20 * FRAME], ["no room", FULL, 0], ["failed", FAILED, 0]])(
    "while the cut is made finds what is still there: %s",
    async (_what, cut, begin) => {
      const { bytes, damaged, minOffset } = await readBetween(cut);
      expect(bytes).toBeGreaterThan(0);
      expect([damaged, minOffset]).toEqual([[], begin]);
    },
  );

  test("what has been swept away finds nothing and calls it no damage", async () => {
    const { trimmer, sweeper, frames, read, damaged } = await house();
    await trimmer.trim(frames[20]!);
    expect(await sweeper.sweep(() => false)).toBe(true);
    expect([await read(18 * FRAME), damaged]).toEqual([0, []]);
  });

  test("control: it is damage where the log does not know its begin", async () => {
    const { trimmer, sweeper, frames, read, damaged, log } = await house();
    await trimmer.trim(frames[20]!);
    await sweeper.sweep(() => false);
    log.minPosition = 0;
    expect([await read(18 * FRAME), damaged]).toMatchObject([0, [{ reason: "MISSING" }]]);
  });
});

describe("what a cut has given up", () => {
  const gone = (frames: number[], count: number): unknown => ({ rows: frames.slice(count), pages: ["T/0/0", "T/0/1", "T/0/2"].slice(Math.floor((count * FRAME) / QUEUE_PAGE_ENTRIES)), swept: frames[count] });

  /** Counts what each transaction removes. */
  function watch(store: MemoryStore, disk: MemoryDisk, onRemoved: (rows: number) => void = () => {}): { rows: number; durability: unknown; isNoted: boolean }[] {
    const steps: { rows: number; durability: unknown; isNoted: boolean }[] = [];
    const { commit } = store;
    store.commit = async (batch) => {
      const before = disk.log.size;
      const outcome = await commit.call(store, batch);
      onRemoved(before - disk.log.size);
      if (batch.remove?.log !== undefined) steps.push({ rows: before - disk.log.size, durability: batch.durability, isNoted: batch.state.length > 0 });
      return outcome;
    };
    return steps;
  }

  test("goes in small steps that do not wait for the device; the last one notes it", async () => {
    const { disk, store, trimmer, sweeper, frames, rest } = await house();
    const steps = watch(store, disk);
    await trimmer.trim(frames[38]!);
    expect(steps).toEqual([]);
    expect(await sweeper.sweep(() => false)).toBe(true);
    expect(rest()).toEqual(gone(frames, 38));
    expect(steps).toEqual([{ rows: 32, durability: "relaxed", isNoted: false }, { rows: 6, durability: "relaxed", isNoted: true }]);
    // Nothing is left to do.
    expect(await sweeper.sweep(() => false)).toBe(true);
    expect(steps).toHaveLength(2);
  });

  /** The first step is a guess. */
  test.each([["no time", 0, [32, 64, 94]], ["1 ms", 1, [32, 25, 25, 25, 25, 25, 25, 8]], ["5 ms", 5, [32, ...Array.from({ length: 9 }, () => 16), 14]]])(
    "goes in steps that take no longer than a commit may wait, where a row takes %s", async (_what, rowTime, expected) => {
      const { disk, store, trimmer, sweeper, time, frames } = await house(200);
      const steps = watch(store, disk, (rows) => (time.now += rows * rowTime));
      await trimmer.trim(frames[190]!);
      expect(await sweeper.sweep(() => false)).toBe(true);
      expect(steps.map(({ rows }) => rows)).toEqual(expected);
    },
  );

  test("is looked for often enough: no step takes all that was not looked up", async () => {
    const { disk, store, trimmer, sweeper, frames } = await house(1000);
    const steps = watch(store, disk);
    await trimmer.trim(frames[990]!);
    expect(await sweeper.sweep(() => false)).toBe(true);
    expect(steps.map(({ rows }) => rows)).toEqual([32, 64, 128, 256, 256, 254]);
  });

  test("goes from where it was once before: nothing is looked at twice", async () => {
    const { disk, store, trimmer, sweeper, frames, rest } = await house();
    for (const count of [10, 20, 36]) {
      await trimmer.trim(frames[count]!);
      const steps = watch(store, disk);
      expect(await sweeper.sweep(() => false)).toBe(true);
      expect(rest()).toEqual(gone(frames, count));
      expect(steps).toHaveLength(1);
    }
  });

  test.each([["somebody reads the whole log", false], ["it is told to stop", true]])("stays while %s, and goes later", async (_what, isStopped) => {
    const { trimmer, sweeper, frames, rest, log } = await house();
    await trimmer.trim(frames[36]!);
    const walk = log.rows(frames[36]!);
    if (!isStopped) await walk.next();
    expect(await sweeper.sweep(() => isStopped)).toBe(false);
    expect(rest()).toMatchObject({ rows: frames, swept: undefined });
    await walk.return(undefined);
    expect(await sweeper.sweep(() => false)).toBe(true);
    expect(rest()).toEqual(gone(frames, 36));
  });

  test.each([["failed", FAILED], ["done and reported as failed", DONE], ["full", FULL]])("goes although a step has %s", async (_what, { isDone, outcome }) => {
    for (let failing = 1; failing <= 3; failing++) {
      const { store, trimmer, sweeper, frames, rest } = await house();
      await trimmer.trim(frames[38]!);
      const { commit } = store;
      let step = 0;
      store.commit = async (batch) => {
        if (++step !== failing) return commit.call(store, batch);
        if (isDone) await commit.call(store, batch);
        return outcome;
      };
      expect(await sweeper.sweep(() => false)).toBe(false);
      expect(await sweeper.sweep(() => false)).toBe(true);
      expect(rest()).toEqual(gone(frames, 38));
    }
  });

  test("is left to the next host by one that dies", async () => {
    const { store, trimmer, sweeper, clock, frames, rest, log } = await house();
    for (const count of [2, 38]) {
      await trimmer.trim(frames[count]!);
      let steps = 0;
      await sweeper.sweep(() => count === 38 && steps++ === 2);
    }
    expect(rest()).toMatchObject({ rows: frames.slice(2 + 32), swept: frames[2] });
    const next = new LogSweeper({ store, log, trimmer, clock, epoch: await store.takeOver() });
    next.restore(frames[2]);
    expect(await next.sweep(() => false)).toBe(true);
    expect(rest()).toEqual(gone(frames, 38));
  });
});
