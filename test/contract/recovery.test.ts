import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Broker } from "../../src/broker/broker.ts";
import type { MessageExt, TabMQ } from "../../src/index.ts";
import { MAX_DAMAGE_REPORTS } from "../../src/model/limits.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { systemTimers } from "../../src/platform/timers.ts";
import { DEFAULT_BROKER_SETTINGS } from "../../src/protocol/broker-settings.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";
import { copyOf } from "../support/memory-disk.ts";
import { asDamaged } from "../support/sound-stores.ts";

let origins: NodeOrigin[] = [];
beforeEach(() => void (origins = []));
afterEach(() => Promise.all(origins.map((origin) => origin.close())));

/** A browser with this disk, started anew. */
function start(disk: MemoryDisk): NodeOrigin {
  const origin = new NodeOrigin(disk);
  origins.push(origin);
  return origin;
}

async function fill(mq: TabMQ, count: number, bytes = 100): Promise<string[]> {
  const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 30_000 });
  const results = await Promise.all(
    Array.from({ length: count }, (_, i) => producer.send({ topic: `t${i % 3}`, body: new Uint8Array(bytes).fill(i), tags: `tag${i % 5}` })),
  );
  return results.map((result) => result.msgId);
}

async function readAll(mq: TabMQ): Promise<MessageExt[]> {
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  const all: MessageExt[] = [];
  for (const { topic } of await mq.admin.topics()) {
    for (const queue of await pull.fetchQueues(topic)) {
      for (let offset = await mq.admin.minOffset(queue); ; ) {
        const result = await pull.pull(queue, "*", offset, 100);
        all.push(...result.messages);
        offset = result.nextBeginOffset;
        if (result.status === "NO_NEW_MSG") break;
      }
    }
  }
  return all;
}

const summary = (messages: MessageExt[]): unknown[] =>
  messages.map((m) => [m.topic, m.queueId, m.queueOffset, m.commitLogOffset, m.msgId, m.tags, m.body.length]);

describe("queue pages that are whole, but not the ones that were stored", () => {
  const position = (disk: MemoryDisk): number => (disk.state.get("checkpoint") as { position: number } | undefined)?.position ?? 0;

  /** Two checkpoints' worth of messages, and the pages as the first one left them. */
  async function grown(): Promise<{ disk: MemoryDisk; older: Map<string, Uint8Array>; expected: unknown[] }> {
    const disk = new MemoryDisk();
    const mq = await start(disk).connect();
    await fill(mq, 60);
    await until(() => position(disk) > 0);
    const older = copyOf(disk).queue;
    const before = position(disk);
    await fill(mq, 60);
    await until(() => position(disk) > before);
    return { disk: copyOf(disk), older, expected: summary(await readAll(mq)) };
  }

  test("an older state of them is not taken for the whole of them", async () => {
    const { disk, older, expected } = await grown();
    for (const [name, bytes] of older) disk.queue.set(name, bytes);
    asDamaged(disk, "its pages are older than its checkpoint");
    expect(summary(await readAll(await start(disk).connect()))).toEqual(expected);
  });

  test("another queue's page is not this queue's", async () => {
    const { disk, expected } = await grown();
    const pages = [...disk.queue.entries()];
    for (const [at, [name]] of pages.entries()) disk.queue.set(name, pages[(at + 1) % pages.length]![1]);
    asDamaged(disk, "every page stands in another's place");
    expect(summary(await readAll(await start(disk).connect()))).toEqual(expected);
  });
});

describe("start-up", () => {
  test("everything acknowledged is there after a stop without goodbye", async () => {
    const disk = new MemoryDisk();
    const ids = await fill(await start(disk).connect(), 500);
    const mq = await start(copyOf(disk)).connect();
    expect((await readAll(mq)).map((message) => message.msgId).sort()).toEqual(ids.sort());
    expect((await mq.diagnostics()).broker.recovery).toMatchObject({ replayed: 500, damaged: [] });
  });

  test("the queues made from a checkpoint are those made from the log", async () => {
    const disk = new MemoryDisk();
    const mq = await start(disk).connect();
    await fill(mq, 6000, 1000);
    const expected = summary(await readAll(mq));
    expect(disk.state.has("checkpoint")).toBe(true);

    const fast = await start(copyOf(disk)).connect();
    const replayed = (await fast.diagnostics()).broker.recovery.replayed;
    expect(replayed).toBeLessThan(6000);
    expect(summary(await readAll(fast))).toEqual(expected);

    const bare = copyOf(disk);
    bare.queue.clear();
    bare.index.clear();
    bare.state.delete("checkpoint");
    const slow = await start(bare).connect();
    expect((await slow.diagnostics()).broker.recovery.replayed).toBe(6000);
    expect(summary(await readAll(slow))).toEqual(expected);
  });

  test("lost and damaged queue pages are made again from the log", async () => {
    const disk = new MemoryDisk();
    const mq = await start(disk).connect({ broker: { defaultTopicQueueNums: 1 } });
    await fill(mq, 9000, 600);
    const expected = summary(await readAll(mq));
    const pages = [...disk.queue.keys()];
    expect(pages.length).toBeGreaterThan(5);
    for (const page of pages) {
      const damaged = asDamaged(copyOf(disk), `${page} is damaged, then gone`, "the last page of a queue has all of them made again");
      damaged.queue.get(page)![40]! ^= 1;
      expect(summary(await readAll(await start(damaged).connect()))).toEqual(expected);
      damaged.queue.delete(page);
      expect(summary(await readAll(await start(damaged).connect()))).toEqual(expected);
    }
  });

  describe("pages made again are counted", () => {
    /** Eight pages of one queue, the last a short one, and as many of the key index, which has all ids; all of them stored. */
    async function stored(): Promise<MemoryDisk> {
      const disk = new MemoryDisk();
      const mq = await start(disk).connect({ broker: { defaultTopicQueueNums: 1 } });
      const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 30_000 });
      await Promise.all(Array.from({ length: 7500 }, (_, at) => producer.send({ topic: "t", body: `m${at}`, ...(at < 10 && { keys: `k${at}` }) })));
      const { durablePosition } = (await mq.diagnostics()).broker;
      await until(() => (disk.state.get("checkpoint") as { position: number } | undefined)?.position === durablePosition);
      expect(disk.queue.size).toBe(8);
      return copyOf(disk);
    }

    const rebuilt = async (mq: TabMQ): Promise<number> => (await mq.diagnostics()).broker.recovery.rebuilt;
    /** Records replayed; pages made again at the start, and when everything has been read. */
    async function counts(disk: MemoryDisk): Promise<[replayed: number, atStart: number, later: number]> {
      const mq = await start(disk).connect();
      const atStart = await rebuilt(mq);
      expect(await readAll(mq)).toHaveLength(7500);
      expect(await mq.admin.queryMessages({ topic: "t", key: "k7" })).toHaveLength(1);
      const { replayed, damaged, rebuilt: later } = (await mq.diagnostics()).broker.recovery;
      expect(damaged).toEqual([]);
      return [replayed, atStart, later];
    }

    test("none at a clean start; one that is read later, then; with the last page all are made again", { timeout: 60_000 }, async () => {
      const disk = await stored();
      const change = (spoil: (copy: MemoryDisk) => void): MemoryDisk => {
        const copy = copyOf(disk);
        spoil(copy);
        return asDamaged(copy, "pages are damaged or gone");
      };
      expect(await counts(copyOf(disk))).toEqual([0, 0, 0]);
      expect(await counts(change(({ queue }) => queue.delete("t/0/3")))).toEqual([0, 0, 1]);
      expect(await counts(change(({ queue }) => (queue.get("t/0/3")![40]! ^= 1)))).toEqual([0, 0, 1]);
      expect(await counts(change(({ queue }) => [0, 1, 2].forEach((page) => queue.delete(`t/0/${page}`))))).toEqual([0, 0, 3]);
      expect(await counts(change(({ queue }) => queue.delete("t/0/7")))).toEqual([7500, 8, 8]);
      expect(await counts(change(({ queue }) => (queue.get("t/0/7")![40]! ^= 1)))).toEqual([7500, 8, 8]);
      expect(await counts(change(({ index }) => index.clear()))).toEqual([0, 8, 8]);
    });

    test("readers of a page that is gone make it once", async () => {
      const disk = await stored();
      asDamaged(disk, "a page is gone").queue.delete("t/0/3");
      const mq = await start(disk).connect();
      const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
      const results = await Promise.all(Array.from({ length: 5 }, () => pull.pull({ topic: "t", brokerName: "broker-a", queueId: 0 }, "*", 3500, 1)));
      expect(results.map(({ messages }) => messages[0]!.text())).toEqual(Array.from({ length: 5 }, () => "m3500"));
      expect(await rebuilt(mq)).toBe(1);
    });

    test("without a checkpoint nobody knows of pages: all is replayed", async () => {
      const disk = await stored();
      asDamaged(disk, "its checkpoint is gone").state.delete("checkpoint");
      const { recovery } = (await (await start(disk).connect()).diagnostics()).broker;
      expect(recovery).toMatchObject({ replayed: 7500, rebuilt: 0 });
    });
  });

  test("a damaged chunk is reported and skipped; everything else is delivered; its offsets are not used again", async () => {
    const disk = new MemoryDisk();
    const first = await start(disk).connect();
    const producer = await first.createProducer({ producerGroup: "p" });
    const queue = { topic: "t", brokerName: "broker-a", queueId: 0 };
    for (let i = 0; i < 10; i++) await producer.send({ topic: "t", body: `m${i}` }, { queue });
    const rows = [...disk.log.keys()];
    expect(rows).toHaveLength(10);
    for (const victim of [0, 4, 9]) {
      const damaged = asDamaged(copyOf(disk), "a row is damaged");
      damaged.log.get(rows[victim]!)![CHUNK_HEADER_BYTES + 95]! ^= 0x10;
      const mq = await start(damaged).connect();
      const texts = (await readAll(mq)).map((message) => message.text());
      expect(texts).toEqual(Array.from({ length: 10 }, (_, i) => `m${i}`).filter((_, i) => i !== victim));
      expect((await mq.diagnostics()).broker.damaged).toMatchObject([{ position: rows[victim], reason: "BAD_CRC" }]);
      const again = await mq.createProducer({ producerGroup: "p" });
      const { queueOffset } = await again.send({ topic: "t", body: "new" }, { queue });
      expect(queueOffset).toBeGreaterThanOrEqual(10);
    }
  });

  test("a chunk damaged behind a running broker's back is never delivered", async () => {
    const disk = new MemoryDisk();
    const ids = await fill(await start(disk).connect(), 50);
    const copy = asDamaged(copyOf(disk), "a row is damaged");
    const mq = await start(copy).connect();
    const [row] = [...copy.log.keys()].slice(-1);
    copy.log.get(row!)![60]! ^= 0x80;
    const seen = (await readAll(mq)).map((message) => message.msgId);
    expect(seen.length).toBeLessThan(50);
    expect(ids).toEqual(expect.arrayContaining(seen));
    expect((await mq.diagnostics()).broker.damaged).toHaveLength(1);
  });

  test("swapped chunks are detected by their own position", async () => {
    const disk = new MemoryDisk();
    const mq = await start(disk).connect();
    const producer = await mq.createProducer({ producerGroup: "p" });
    for (let i = 0; i < 4; i++) await producer.send({ topic: "t", body: `m${i}` }, { queue: { topic: "t", brokerName: "broker-a", queueId: 0 } });
    const swapped = asDamaged(copyOf(disk), "two rows are swapped");
    const [, b, c] = [...swapped.log.keys()];
    const [left, right] = [swapped.log.get(b!)!, swapped.log.get(c!)!];
    swapped.log.set(b!, right).set(c!, left);
    const again = await start(swapped).connect();
    expect((await readAll(again)).map((message) => message.text())).toEqual(["m0", "m3"]);
    expect((await again.diagnostics()).broker.damaged.map(({ reason }) => reason)).toEqual(["BAD_POSITION", "BAD_POSITION"]);
  });

  test("a message longer than a chunk survives whole or not at all", async () => {
    const disk = new MemoryDisk();
    const mq = await start(disk).connect();
    const producer = await mq.createProducer({ producerGroup: "p" });
    const body = new Uint8Array(500_000).map((_, i) => i * 31);
    await producer.send([{ topic: "t", body: "before" }]);
    await producer.send({ topic: "t", body });
    await producer.send({ topic: "t", body: "after" });
    expect([...disk.log.values()].every((row) => row.byteLength < 64 * 1024)).toBe(true);
    const whole = await readAll(await start(copyOf(disk)).connect());
    expect(whole.find((message) => message.body.length === body.length)?.body).toEqual(body);
    const torn = asDamaged(copyOf(disk), "a part of a record is gone");
    torn.log.delete([...torn.log.keys()][4]!);
    const again = await start(torn).connect();
    expect((await readAll(again)).map((message) => message.text()).sort()).toEqual(["after", "before"]);
    expect((await again.diagnostics()).broker.damaged.length).toBeGreaterThan(0);
  });

  test("every start raises the epoch", async () => {
    const disk = new MemoryDisk();
    const epochs = [];
    for (let i = 0; i < 3; i++) epochs.push((await (await start(disk).connect()).diagnostics()).broker.epoch);
    expect(epochs).toEqual([1, 2, 3]);
  });
});

describe("fencing", () => {
  const environment = (disk: MemoryDisk, store = new MemoryStore(disk)) => ({
    store, indexer: new TsIndexer(), clock: systemClock, timers: systemTimers, incarnation: "x", settings: DEFAULT_BROKER_SETTINGS, witness: null, estimateRoom: () => Promise.resolve(null),
  });

  test("a broker whose store was taken over writes nothing more and says so", async () => {
    const disk = new MemoryDisk();
    const old = await Broker.start(environment(disk));
    let fatal = "";
    void old.end.then((error) => (fatal = error.code));
    await Broker.start(environment(disk));
    const before = copyOf(disk);
    await expect(old.topics.create({ topic: "t" })).rejects.toMatchObject({ code: "FENCED", outcome: "rejected" });
    expect(fatal).toBe("FENCED");
    expect(disk).toEqual(before);
  });

  test("control: without the epoch check the old broker writes over the new one", async () => {
    class Unfenced extends MemoryStore {
      override commit(batch: Parameters<MemoryStore["commit"]>[0]): ReturnType<MemoryStore["commit"]> {
        return super.commit({ ...batch, epoch: disk.state.get("epoch") as number });
      }
    }
    const disk = new MemoryDisk();
    const old = await Broker.start(environment(disk, new Unfenced(disk)));
    await Broker.start(environment(disk));
    const before = copyOf(disk);
    await old.topics.create({ topic: "t" });
    expect(disk).not.toEqual(before);
  });
});

test("of very many damaged rows the first are named and the others counted", async () => {
  const disk = asDamaged(new MemoryDisk(), "nothing in it is a row");
  for (let at = 0; at < MAX_DAMAGE_REPORTS + 500; at++) disk.log.set(at * 100, new Uint8Array(CHUNK_HEADER_BYTES + 100).fill(at));
  const { recovery, damaged } = (await (await start(disk).connect()).diagnostics()).broker;
  expect([recovery.damaged.length, recovery.moreDamaged, damaged.length]).toEqual([MAX_DAMAGE_REPORTS, 500, MAX_DAMAGE_REPORTS]);
});
