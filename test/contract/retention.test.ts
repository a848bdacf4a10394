/** What is kept long enough goes, with all that belongs to it; and nothing else does. */
import { describe, expect, test } from "vitest";
import { type MessageExt, type MessageQueue, MQError, type OffsetMoved, type TabMQ } from "../../src/index.ts";
import type { Memo } from "../../src/client/environment.ts";
import { CLEAN_INTERVAL, QUEUE_PAGE_ENTRIES, ROW_REST } from "../../src/model/limits.ts";
import type { BlockStore, CommitBatch, CommitOutcome, Removal } from "../../src/storage/block-store.ts";
import { TRIM_KEY, type TrimRow } from "../../src/storage/log-trimmer.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { stepsOf } from "../support/every-fault.ts";
import { type Fault, FaultPlan, FAULTS, FaultyStore } from "../support/faulty-store.ts";
import { checkStore } from "../support/store-check.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";
import { copyOf } from "../support/memory-disk.ts";
import { asDamaged } from "../support/sound-stores.ts";

const HOUR = 3_600_000;
const MIB = 1024 * 1024;

type Room = { usage: number; quota: number } | null;

/** Runs in virtual time over a disk, one broker after the other. */
function life<T>(disk: MemoryDisk, work: (mq: TabMQ, origin: VirtualOrigin) => Promise<T>, broker: Record<string, unknown> = {}, room: () => Room = () => null, memo: Memo | null = null): Promise<T> {
  const origin = new VirtualOrigin(() => new MemoryStore(disk), { memo, estimateRoom: () => Promise.resolve(room()) });
  return origin.time.run(
    (async () => {
      const mq = await origin.connect({ broker: { defaultTopicQueueNums: 2, ...broker } });
      const result = await work(mq, origin);
      await mq.close();
      await origin.stopWorker();
      return result;
    })(),
  );
}

/** `count` messages of a size, sent together. */
async function send(mq: TabMQ, count: number, bytes: number, topic = "t"): Promise<void> {
  const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000 });
  await Promise.all(Array.from({ length: count }, (_, at) => producer.send({ topic, body: new Uint8Array(bytes).fill(at) })));
}

async function readAll(mq: TabMQ, topic = "t"): Promise<MessageExt[]> {
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  const all: MessageExt[] = [];
  for (const queue of await pull.fetchQueues(topic)) {
    for (let offset = await mq.admin.minOffset(queue); ; ) {
      const { status, messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 100);
      if (status === "NO_NEW_MSG") break;
      all.push(...messages);
      offset = nextBeginOffset;
    }
  }
  return all;
}

/** Has no room for messages when it is told so. */
class FullStore extends MemoryStore {
  isFull = false;

  override commit(batch: CommitBatch): Promise<CommitOutcome> {
    if (this.isFull && batch.log.length > 0) return Promise.resolve({ status: "rejected", reason: "FULL" });
    return super.commit(batch);
  }
}

const bytesOf = (disk: MemoryDisk): number => [...disk.log.values()].reduce((sum, bytes) => sum + bytes.byteLength, 0);
const offsets = async (mq: TabMQ): Promise<[number, number][]> => (await mq.admin.topicStats("t")).queues.map(({ minOffset, maxOffset }) => [minOffset, maxOffset]);

describe("maxStoreBytes", () => {
  test("a store that had no room is not called full any more when something was removed, until it refuses again", async () => {
    const store = new FullStore(new MemoryDisk());
    const origin = new VirtualOrigin(() => store, { memo: null });
    const work = async (): Promise<void> => {
      const mq = await origin.connect({ broker: { defaultTopicQueueNums: 2 } });
      const isFull = async (): Promise<boolean> => (await mq.diagnostics()).broker.storageFull;
      await send(mq, 4000, 2000);
      store.isFull = true;
      await expect(send(mq, 1, 10)).rejects.toMatchObject({ code: "STORAGE_FULL" });
      await origin.time.sleep(ROW_REST + 2 * CLEAN_INTERVAL);
      expect(await isFull()).toBe(true);
      await mq.admin.updateBrokerConfig({ maxStoreBytes: 4 * MIB });
      await origin.time.sleep(CLEAN_INTERVAL);
      expect((await mq.diagnostics()).broker.retention.removedMessages).toBeGreaterThan(1000);
      expect(await isFull()).toBe(false);
      await expect(send(mq, 1, 10)).rejects.toMatchObject({ code: "STORAGE_FULL" });
      expect(await isFull()).toBe(true);
      await mq.close();
      await origin.stopWorker();
    };
    await origin.time.run(work());
  });

  test("the oldest blocks go; what is left is whole, counted, and still there after a restart", async () => {
    const disk = new MemoryDisk();
    const [expected, range] = await life(disk, async (mq, origin) => {
      await send(mq, 4000, 2000);
      await origin.time.sleep(ROW_REST + CLEAN_INTERVAL);
      const { retention, damaged } = (await mq.diagnostics()).broker;
      const left = await readAll(mq);
      expect(bytesOf(disk)).toBeLessThan(4.1 * MIB);
      expect(bytesOf(disk)).toBeGreaterThan(2 * MIB);
      expect(retention.removedMessages).toBe(4000 - left.length);
      expect(retention.removedBytes).toBe(retention.minPosition);
      expect(damaged).toEqual([]);
      return [left.map(({ msgId }) => msgId), await offsets(mq)];
    }, { maxStoreBytes: 4 * MIB });
    expect(checkStore(disk)).toEqual([]);
    await life(disk, async (mq) => {
      expect(await offsets(mq)).toEqual(range);
      expect((await readAll(mq)).map(({ msgId }) => msgId)).toEqual(expected);
      expect((await mq.diagnostics()).broker.recovery.damaged).toEqual([]);
    });
  });

  test("it holds while messages keep coming, for any number of rounds", async () => {
    const disk = new MemoryDisk();
    await life(disk, async (mq, origin) => {
      await origin.time.sleep(ROW_REST);
      for (let round = 0; round < 10; round++) {
        await send(mq, 1000, 2000);
        await origin.time.sleep(1500);
        expect(bytesOf(disk)).toBeLessThan(5.5 * MIB);
      }
      const left = await readAll(mq);
      const [first, second] = await offsets(mq);
      expect(left.length).toBe(first![1] - first![0] + (second![1] - second![0]));
    }, { maxStoreBytes: 3 * MIB });
  });

  test("without checkpoint and pages all is made again from what is left; no offset and no position goes back", async () => {
    const disk = new MemoryDisk();
    const [expected, range] = await life(disk, async (mq, origin) => {
      await send(mq, 4000, 2000);
      // This topic's messages will all be gone.
      await mq.admin.createTopic({ topic: "gone", readQueueNums: 1, writeQueueNums: 1 });
      await origin.time.sleep(ROW_REST + CLEAN_INTERVAL);
      return [(await readAll(mq)).map(({ msgId }) => msgId), await offsets(mq)];
    }, { maxStoreBytes: 4 * MIB });
    disk.state.delete("checkpoint");
    disk.queue.clear();
    await life(disk, async (mq, origin) => {
      expect(await offsets(mq)).toEqual(range);
      expect((await readAll(mq)).map(({ msgId }) => msgId)).toEqual(expected);
      expect((await mq.diagnostics()).broker.recovery.damaged).toEqual([]);
      await origin.time.sleep(2000);
    });
  });

  test("a queue of which nothing is left goes on where it was", async () => {
    const disk = new MemoryDisk();
    await life(disk, async (mq, origin) => {
      await send(mq, 100, 100, "old");
      await send(mq, 4000, 2000);
      await origin.time.sleep(ROW_REST + CLEAN_INTERVAL);
    }, { maxStoreBytes: 4 * MIB });
    for (const loseCheckpoint of [false, true]) {
      if (loseCheckpoint) disk.state.delete("checkpoint");
      await life(disk, async (mq) => {
        const { queues } = await mq.admin.topicStats("old");
        expect(queues.map(({ minOffset, maxOffset }) => [minOffset, maxOffset])).toEqual([[50, 50], [50, 50]]);
        expect(await readAll(mq, "old")).toEqual([]);
      });
    }
  });

  test("consumers that are behind go on at the first message that is left, and hear of it", async () => {
    const disk = new MemoryDisk();
    await life(disk, async (mq) => {
      const consumer = await mq.createPushConsumer({ consumerGroup: "g", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", subscriptions: { t: "*" }, messageListener: () => {} });
      await consumer.shutdown();
    });
    await life(disk, async (mq, origin) => {
      await send(mq, 4000, 2000);
      await origin.time.sleep(ROW_REST + CLEAN_INTERVAL);
      const [first, second] = await offsets(mq);
      const moves: OffsetMoved[] = [];
      const got: MessageExt[] = [];
      const consumer = await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: (message) => void got.push(message) });
      consumer.on("offsetMoved", (move) => moves.push(move));
      const left = (await readAll(mq)).length;
      while (got.length < left) await origin.time.sleep(100);
      expect(moves.map(({ queue, from, to }) => [queue.queueId, from, to]).sort()).toEqual([[0, 0, first![0]], [1, 0, second![0]]]);
      const pull = await mq.createPullConsumer({ consumerGroup: "p" });
      const [queue] = (await pull.fetchQueues("t")) as [MessageQueue];
      expect(await pull.pull(queue, "*", 0, 1)).toMatchObject({ status: "OFFSET_ILLEGAL", nextBeginOffset: first![0] });
    }, { maxStoreBytes: 4 * MIB });
  });

  test("whoever reads what is being deleted hears of it", async () => {
    const disk = new MemoryDisk();
    await life(disk, async (mq) => {
      const consumer = await mq.createPushConsumer({ consumerGroup: "g", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", subscriptions: { t: "*" }, messageListener: () => {} });
      await consumer.shutdown();
      await send(mq, 4000, 2000);
    });
    /** Runs when the first rows have gone, before the broker hears of it. */
    let between: (() => Promise<void>) | null = null;
    class Slow extends MemoryStore {
      override async commit(batch: CommitBatch): Promise<CommitOutcome> {
        const outcome = await super.commit(batch);
        const run = batch.remove?.log === undefined || batch.log.length > 0 ? null : between;
        if (run !== null) between = null;
        await run?.();
        return outcome;
      }
    }
    const origin = new VirtualOrigin(() => new Slow(disk), { memo: null });
    await origin.time.run(
      (async () => {
        const mq = await origin.connect({ broker: { maxStoreBytes: 4 * MIB } });
        const pull = await mq.createPullConsumer({ consumerGroup: "p" });
        const [queue] = (await pull.fetchQueues("t")) as [MessageQueue];
        const moves: OffsetMoved[] = [];
        const got: MessageExt[] = [];
        let pulling: ReturnType<typeof pull.pull> | undefined;
        between = async () => {
          pulling = pull.pull(queue, "*", 0, 10);
          const consumer = await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: (message) => void got.push(message) });
          consumer.on("offsetMoved", (move) => moves.push(move));
          await origin.time.sleep(100);
        };
        await origin.time.sleep(ROW_REST + CLEAN_INTERVAL);
        expect(between).toBeNull();
        expect(await pulling).toMatchObject({ status: "OFFSET_ILLEGAL", messages: [] });
        for (const { queueId, queueOffset } of [0, 1].map((id) => got.find((message) => message.queueId === id)!)) {
          expect(queueOffset).toBeGreaterThan(0);
          // Every message before the first one has been said to be gone.
          let next = 0;
          for (const move of moves) if (move.queue.queueId === queueId && move.from === next) next = move.to;
          expect(next).toBe(queueOffset);
        }
        expect((await mq.diagnostics()).broker.damaged).toEqual([]);
        await mq.close();
        await origin.stopWorker();
      })(),
    );
  });

  test("may be changed while the broker runs, and stays changed", async () => {
    const disk = new MemoryDisk();
    await life(disk, async (mq, origin) => {
      await send(mq, 4000, 2000);
      await origin.time.sleep(ROW_REST + CLEAN_INTERVAL);
      expect(bytesOf(disk)).toBeGreaterThan(8 * MIB);
      expect(await mq.admin.updateBrokerConfig({ maxStoreBytes: 2 * MIB })).toMatchObject({ maxStoreBytes: 2 * MIB });
      await origin.time.sleep(1000);
      expect(bytesOf(disk)).toBeLessThan(2.1 * MIB);
      await expect(mq.admin.updateBrokerConfig({ maxStoreBytes: 1 })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "updateBrokerConfig.maxStoreBytes" });
      await expect(mq.admin.updateBrokerConfig({ deleteWhen: "25" })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "updateBrokerConfig.deleteWhen" });
    });
    await life(disk, async (mq) => expect((await mq.diagnostics()).settings).toMatchObject({ maxStoreBytes: 2 * MIB }));
  });
});

describe("what losses have left out", () => {
  /** Two losses, each of what came after `keep`, and a megabyte before, between and after them. */
  async function lost(broker: Record<string, unknown>): Promise<{ disk: MemoryDisk; note: Memo; expected: string[] }> {
    let disk = new MemoryDisk();
    let text: string | null = null;
    const note: Memo = { read: () => text, write: (next) => void (text = next) };
    const expected: string[] = [];
    for (let turn = 0; turn < 3; turn++) {
      let kept = disk;
      await life(disk, async (mq, origin) => {
        await send(mq, 500, 2000);
        await origin.time.sleep(2000);
        expected.splice(0, expected.length, ...(await readAll(mq)).map(({ msgId }) => msgId));
        if (turn === 2) return;
        kept = copyOf(disk);
        await send(mq, 10, 2000);
        await origin.time.sleep(2000);
      }, broker, () => null, note);
      disk = kept;
    }
    return { disk, note, expected };
  }

  test("are no bytes of the log: nothing goes that there is room for, and no more than that", async () => {
    const { disk, note, expected } = await lost({});
    expect(expected).toHaveLength(1500);
    const seen = await life(disk, async (mq, origin) => {
      await origin.time.sleep(ROW_REST + CLEAN_INTERVAL);
      const before = (await mq.diagnostics()).broker;
      expect([before.retention.removedBytes, before.recovery.damaged]).toEqual([0, []]);
      expect((await readAll(mq)).map(({ msgId }) => msgId).sort()).toEqual(expected.toSorted());
      // Half of the oldest third goes.
      await mq.admin.updateBrokerConfig({ maxStoreBytes: Math.ceil(2.6 * MIB) });
      await origin.time.sleep(CLEAN_INTERVAL);
      return { ...(await mq.diagnostics()).broker.retention, left: (await readAll(mq)).length };
    }, { maxStoreBytes: 16 * MIB }, () => null, note);
    expect(seen.removedBytes).toBeGreaterThan(0.4 * MIB);
    expect(seen.removedBytes).toBeLessThan(MIB);
    expect(seen.left).toBeGreaterThan(1000);
    expect(seen.left).toBe(1500 - seen.removedMessages);
  });
});

describe("a fault while the log is trimmed", () => {
  /** A broker that trims, with a fault at its N-th operation; returns how many operations there were. */
  async function trimWith(disk: MemoryDisk, faults: Fault[], broken: (store: BlockStore) => BlockStore = (store) => store): Promise<number> {
    const plan = new FaultPlan(faults);
    const origin: VirtualOrigin = new VirtualOrigin(() => new FaultyStore(broken(new MemoryStore(disk)), plan), { memo: null });
    plan.onCrash = () => origin.killWorker();
    await origin.time.run(
      (async () => {
        const mq = await origin.connect({ broker: { maxStoreBytes: 2 * MIB } });
        await origin.time.sleep(ROW_REST + 3 * CLEAN_INTERVAL);
        // Whoever goes without a word leaves the log as it is.
        void mq.close().catch(() => {});
        await origin.time.sleep(100);
        origin.killAll();
      })(),
    );
    return plan.operations.length;
  }

  async function full(): Promise<{ disk: MemoryDisk; ids: string[] }> {
    const disk = new MemoryDisk();
    const ids = await life(disk, async (mq, origin) => {
      await send(mq, 4500, 900);
      await origin.time.sleep(2000);
      return (await readAll(mq)).map(({ msgId }) => msgId);
    });
    return { disk, ids };
  }

  /** What breaks a promise. */
  async function judge(disk: MemoryDisk, ids: string[]): Promise<string[]> {
    const findings = checkStore(disk).map(({ code, where }) => `${code} ${where}`);
    const left = await life(disk, async (mq) => {
      const { recovery, retention } = (await mq.diagnostics()).broker;
      if (recovery.damaged.length > 0) findings.push(`damaged ${JSON.stringify(recovery.damaged)}`);
      const all = await readAll(mq);
      if (retention.removedMessages !== ids.length - all.length) findings.push(`counted ${retention.removedMessages} removed messages, ${ids.length - all.length} are`);
      return all;
    });
    for (const queueId of [0, 1]) {
      const found = left.filter((message) => message.queueId === queueId).map(({ msgId }) => msgId);
      const expected = ids.slice(queueId * (ids.length / 2), (queueId + 1) * (ids.length / 2)).slice(-found.length);
      if (JSON.stringify(found) !== JSON.stringify(expected) || found.length < 200) findings.push(`queue ${queueId}: ${found.length} messages, not the newest`);
    }
    return findings;
  }

  test.each(FAULTS)("%s", { timeout: 120_000 }, async (kind) => {
    const { disk, ids } = await full();
    const { from, step } = stepsOf(kind);
    for (let at = from, operations = at; at <= operations; at += step) {
      const copy = copyOf(disk);
      operations = await trimWith(copy, [{ at, kind }]);
      expect(await judge(copy, ids), `${kind} at ${at}`).toEqual([]);
      expect(bytesOf(copy)).toBeLessThan(2.1 * MIB);
      expect(operations).toBeLessThan(60);
    }
  });

  test("a crash, and another of the next host", { timeout: 120_000 }, async () => {
    const { disk, ids } = await full();
    let operations = 1;
    for (let first = 2; first <= operations; first += 5) {
      const once = copyOf(disk);
      operations = await trimWith(once, [{ at: first, kind: "crash-done" }]);
      for (let second = 1 + (first % 3); second <= 30; second += 7) {
        const twice = copyOf(once);
        await trimWith(twice, [{ at: second, kind: second % 2 === 0 ? "crash" : "crash-done" }]);
        await trimWith(twice, []);
        expect(await judge(twice, ids), `crash at ${first} and at ${second}`).toEqual([]);
        expect(bytesOf(twice)).toBeLessThan(2.1 * MIB);
      }
    }
  });

  const isCut = ({ state }: CommitBatch): boolean => state.some(([key]) => key === TRIM_KEY);
  /** What the cut gives up goes in a transaction before it. */
  const before = (removal: (row: TrimRow) => Removal) => (batch: CommitBatch): CommitBatch[] =>
    isCut(batch) ? [{ ...batch, remove: removal(new Map(batch.state).get(TRIM_KEY) as TrimRow), state: [] }, batch] : [batch];

  test.each<[string, (batch: CommitBatch) => CommitBatch[], RegExp]>([
    ["the rows go before it is noted where the log begins", before(({ position }) => ({ log: [0, position] })), /LOG_GAP|damaged/],
    [
      "the pages go before it is noted where the queues begin",
      before(({ queues }) => ({ queue: queues.map(([topic, queueId, begin]) => ({ topic, queueId, pages: [0, Math.floor(begin / QUEUE_PAGE_ENTRIES)] })) })),
      /PAGE_MISSING/,
    ],
    ["a row too many goes", (batch) => [batch.remove?.log === undefined || batch.log.length > 0 ? batch : { ...batch, remove: { log: [batch.remove.log[0], batch.remove.log[1] + 1] } }], /LOG_GAP|damaged/],
  ])("control: %s", { timeout: 120_000 }, async (_what, spoil, expected) => {
    const { disk, ids } = await full();
    const seen: string[] = [];
    for (let at = 1; at <= 45 && !seen.some((finding) => expected.test(finding)); at++) {
      const copy = asDamaged(copyOf(disk), "a cut is not one transaction", "the crash may come before it, or after");
      const plan = new FaultPlan([{ at, kind: "crash", persistent: true }]);
      await trimWith(copy, [], (store) => {
        const faulty = new FaultyStore(store, plan);
        const { commit } = faulty;
        faulty.commit = async (batch) => {
          let outcome: CommitOutcome = { status: "committed" };
          for (const part of spoil(batch)) outcome = await commit.call(faulty, part);
          return outcome;
        };
        return faulty;
      }).catch(() => {});
      seen.push(...(await judge(copy, ids)));
    }
    expect(seen).toEqual(expect.arrayContaining([expect.stringMatching(expected)]));
  });
});

describe("fileReservedTime", () => {
  test("messages go when they, and all before them, are old enough; the newest block stays", async () => {
    const disk = new MemoryDisk();
    await life(disk, async (mq, origin) => {
      for (let hour = 0; hour < 4; hour++) {
        await send(mq, 600, 30_000);
        await origin.time.sleep(HOUR);
      }
      const ages = (await readAll(mq)).map(({ storeTimestamp }) => (origin.time.now() - storeTimestamp) / HOUR);
      // The first hour's 18 MB are more than 3 hours old; a segment of 16 MiB of them has gone.
      expect(ages.filter((age) => age > 3.9).length).toBeLessThan(100);
      expect(ages.filter((age) => age < 3.9)).toHaveLength(1800);
      await origin.time.sleep(6 * HOUR);
      const left = await readAll(mq);
      expect(left.length).toBeLessThan(700);
      expect(left.length).toBeGreaterThan(0);
    }, { fileReservedTime: 3 * HOUR });
  }, 60_000);

  test("also of a log that is shorter than a segment: by blocks", async () => {
    const disk = new MemoryDisk();
    await life(disk, async (mq, origin) => {
      await send(mq, 400, 30_000);
      await origin.time.sleep(2 * HOUR);
      await send(mq, 100, 30_000);
      expect(await readAll(mq)).toHaveLength(500);
      await origin.time.sleep(1.5 * HOUR);
      const left = await readAll(mq);
      expect(left.filter(({ storeTimestamp }) => origin.time.now() - storeTimestamp < 2 * HOUR)).toHaveLength(100);
      // 12 MB are old enough; a block or two of them have the younger ones behind them.
      expect(left.length).toBeLessThan(100 + 80);
    }, { fileReservedTime: 3 * HOUR });
  }, 60_000);

  test("only at the hours of deleteWhen, unless room runs short", async () => {
    const disk = new MemoryDisk();
    let room: Room = { usage: 10, quota: 100 };
    await life(disk, async (mq, origin) => {
      await send(mq, 600, 30_000);
      await send(mq, 600, 30_000);
      const now = new Date(origin.time.now()).getHours();
      await mq.admin.updateBrokerConfig({ fileReservedTime: 60_000, deleteWhen: `${(now + 2) % 24}` });
      await origin.time.sleep(0.5 * HOUR);
      expect((await mq.diagnostics()).broker.retention.removedBytes).toBe(0);
      await origin.time.sleep(2 * HOUR);
      const { removedBytes } = (await mq.diagnostics()).broker.retention;
      expect(removedBytes).toBeGreaterThan(16 * MIB);
      await origin.time.sleep(3 * HOUR);
      await send(mq, 1200, 30_000);
      await origin.time.sleep(HOUR);
      expect((await mq.diagnostics()).broker.retention.removedBytes).toBe(removedBytes);
      room = { usage: 80, quota: 100 };
      await origin.time.sleep(2 * CLEAN_INTERVAL);
      expect((await mq.diagnostics()).broker.retention.removedBytes).toBeGreaterThan(removedBytes);
    }, {}, () => room);
  }, 60_000);
});

describe("the browser's quota", () => {
  test("far over it goes what is too much, and not all there is", async () => {
    const disk = new MemoryDisk();
    let usage = 0;
    await life(disk, async (mq, origin) => {
      await send(mq, 1300, 30_000);
      await origin.time.sleep(ROW_REST + CLEAN_INTERVAL);
      // By more than ten segments.
      usage = 113 * MIB;
      await origin.time.sleep(2 * CLEAN_INTERVAL);
      const { removedBytes } = (await mq.diagnostics()).broker.retention;
      expect(removedBytes / MIB).toBeGreaterThanOrEqual(28);
      expect(removedBytes / MIB).toBeLessThan(30);
      expect(bytesOf(disk) / MIB).toBeGreaterThan(7);
    }, { maxStoreBytes: 40 * MIB }, () => ({ usage, quota: 100 * MIB }));
  }, 60_000);

  test("above 85 % the oldest goes whatever its age, until the estimate should be below; above 90 % sends are refused", async () => {
    const disk = new MemoryDisk();
    let usage = 0;
    await life(disk, async (mq, origin) => {
      await send(mq, 2000, 30_000);
      await origin.time.sleep(ROW_REST + CLEAN_INTERVAL);
      const before = bytesOf(disk);
      usage = 88 * MIB;
      await origin.time.sleep(CLEAN_INTERVAL);
      const { removedBytes } = (await mq.diagnostics()).broker.retention;
      expect(removedBytes).toBeGreaterThanOrEqual(3 * MIB);
      expect(removedBytes).toBeLessThan(5 * MIB);
      // The estimate does not show it yet: nothing more goes.
      await origin.time.sleep(5 * CLEAN_INTERVAL);
      expect((await mq.diagnostics()).broker.retention.removedBytes).toBe(removedBytes);
      expect(bytesOf(disk)).toBeLessThan(before);

      // Somebody else uses it all; the log gives what it has, but for its end.
      usage = 400 * MIB;
      await origin.time.sleep(5 * CLEAN_INTERVAL);
      const producer = await mq.createProducer({ producerGroup: "p" });
      const refused = await producer.send({ topic: "t", body: "x" }).catch((error: unknown) => error as MQError);
      expect(refused).toMatchObject({ code: "STORAGE_FULL", outcome: "rejected" });
      // Reading and acknowledging goes on.
      expect((await readAll(mq)).length).toBeGreaterThan(0);
      usage = 20 * MIB;
      await origin.time.sleep(2 * CLEAN_INTERVAL);
      await producer.send({ topic: "t", body: "x" });
    }, {}, () => ({ usage, quota: 100 * MIB }));
  }, 60_000);
});
