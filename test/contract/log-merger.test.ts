/** Small rows become large ones in the background, and nobody who reads or restarts notices. */
import { describe, expect, test } from "vitest";
import type { MessageExt, MessageQueue, TabMQ } from "../../src/index.ts";
import { BLOCK_MAX_BYTES, ROW_REST } from "../../src/model/limits.ts";
import { decodeRecords } from "../../src/model/record-codec.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { checkStore } from "../support/store-check.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";
import { asDamaged } from "../support/sound-stores.ts";

const BODY = 1000;

/** Runs in virtual time: one queue, messages sent one after the other. */
function inVirtualTime<T>(disk: MemoryDisk, work: (origin: VirtualOrigin, mq: TabMQ) => Promise<T>): Promise<T> {
  const origin = new VirtualOrigin(() => new MemoryStore(disk), { memo: null });
  return origin.time.run(
    (async () => {
      const mq = await origin.connect({ broker: { defaultTopicQueueNums: 1 } });
      const result = await work(origin, mq);
      await mq.close();
      origin.killAll();
      return result;
    })(),
  );
}

async function sendLone(mq: TabMQ, count: number, bytes = BODY): Promise<string[]> {
  const producer = await mq.createProducer({ producerGroup: "p" });
  const ids: string[] = [];
  for (let at = 0; at < count; at++) ids.push((await producer.send({ topic: "t", body: new Uint8Array(bytes).fill(at) })).msgId);
  return ids;
}

async function readAll(mq: TabMQ): Promise<string[]> {
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  const [queue] = (await pull.fetchQueues("t")) as [MessageQueue];
  const all: MessageExt[] = [];
  for (let offset = 0; ; ) {
    const { status, messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 37);
    if (status === "NO_NEW_MSG") return all.map(({ msgId }) => msgId);
    all.push(...messages);
    offset = nextBeginOffset;
  }
}

const rows = (disk: MemoryDisk): number[] => [...disk.log.values()].map((bytes) => bytes.byteLength).filter((bytes) => bytes > 0);

describe("lone sends", () => {
  test("leave blocks of a mebibyte, chunks, and a handful of rows; every message is where it was", async () => {
    const disk = new MemoryDisk();
    const ids = await inVirtualTime(disk, async (origin, mq) => {
      const sent = await sendLone(mq, 3000);
      expect(rows(disk)).toHaveLength(3000);
      await origin.time.sleep(ROW_REST + 60_000);
      expect(await readAll(mq)).toEqual(sent);
      return sent;
    });
    const sizes = rows(disk);
    expect(sizes.filter((bytes) => bytes > BLOCK_MAX_BYTES * 0.99 && bytes <= BLOCK_MAX_BYTES)).toHaveLength(3);
    expect(sizes.length).toBeLessThan(3 + 20 + 60);
    expect(checkStore(disk)).toEqual([]);
    expect(await inVirtualTime(disk, (_origin, mq) => readAll(mq))).toEqual(ids);
  });

  test("a host that has just taken over removes nothing: the one before it may still rely on the places being taken", async () => {
    const disk = new MemoryDisk();
    await inVirtualTime(disk, async (origin, mq) => {
      await sendLone(mq, 200);
      await origin.time.sleep(ROW_REST / 2);
      expect(rows(disk)).toHaveLength(200);
      await origin.time.sleep(ROW_REST);
      expect(rows(disk).length).toBeLessThan(80);
    });
  });

  test("the next host goes on with what the last has left", async () => {
    const disk = new MemoryDisk();
    const ids: string[] = [];
    for (let life = 0; life < 4; life++) {
      await inVirtualTime(disk, async (origin, mq) => {
        ids.push(...(await sendLone(mq, 500)));
        // Too short for the first, long enough for the others.
        await origin.time.sleep(life === 0 ? 2000 : ROW_REST + 10_000);
      });
    }
    expect(rows(disk).length).toBeLessThan(100);
    expect(checkStore(disk)).toEqual([]);
    expect(await inVirtualTime(disk, (_origin, mq) => readAll(mq))).toEqual(ids);
  });

  test("reading goes on while rows are merged, from any offset, with nothing in memory", async () => {
    const disk = new MemoryDisk();
    const ids = await inVirtualTime(disk, (_origin, mq) => sendLone(mq, 1500));
    await inVirtualTime(disk, async (origin, mq) => {
      const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
      const [queue] = (await pull.fetchQueues("t")) as [MessageQueue];
      for (let round = 0; rows(disk).length > 200; round++) {
        const offset = (round * 7919) % ids.length;
        const { messages } = await pull.pull(queue, "*", offset, 5);
        expect(messages.map(({ msgId }) => msgId)).toEqual(ids.slice(offset, offset + 5));
        await origin.time.sleep(97);
      }
      expect((await mq.diagnostics()).broker.damaged).toEqual([]);
    });
  });

  test("an export that has begun goes on: no message twice, none left out", async () => {
    const disk = new MemoryDisk();
    await inVirtualTime(disk, (_origin, mq) => sendLone(mq, 2500));
    await inVirtualTime(disk, async (origin, mq) => {
      const reader = mq.admin.exportLog().getReader();
      const parts: Uint8Array[] = [];
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value);
        await origin.time.sleep(ROW_REST);
      }
      expect(rows(disk).length).toBeLessThan(100);
      const messages = decodeRecords(Buffer.concat(parts), "x").filter(({ topic }) => topic === "t");
      expect(messages.map(({ queueOffset }) => queueOffset)).toEqual(Array.from({ length: 2500 }, (_, at) => at));
    });
  });

  test("large rows are left alone: nothing is written twice", async () => {
    const disk = new MemoryDisk();
    await inVirtualTime(disk, async (origin, mq) => {
      await sendLone(mq, 40, 50_000);
      const before = [...disk.log.keys()];
      await origin.time.sleep(ROW_REST + 10_000);
      expect([...disk.log.keys()]).toEqual(before);
    });
  });

  test("a damaged row stays what it is, and those around it are merged", async () => {
    const disk = new MemoryDisk();
    const ids = await inVirtualTime(disk, (_origin, mq) => sendLone(mq, 300));
    const damaged = [...disk.log.keys()].sort((a, b) => a - b)[150]!;
    asDamaged(disk, "a row is damaged").log.get(damaged)![200]! ^= 1;
    await inVirtualTime(disk, async (origin, mq) => {
      await origin.time.sleep(ROW_REST + 30_000);
      expect(rows(disk).length).toBeLessThan(110);
      expect(disk.log.has(damaged)).toBe(true);
      expect(await readAll(mq)).toEqual(ids.filter((_id, at) => at !== 150));
      expect((await mq.diagnostics()).broker.damaged.map(({ position }) => position)).toContain(damaged);
    });
  });
});
