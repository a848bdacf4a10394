/** Export and import beside what else changes a log: retention, the merging of rows, and the end of the quota. In virtual time. */
import { describe, expect, test } from "vitest";
import type { ImportResult, TabMQ } from "../../src/index.ts";
import { CLEAN_INTERVAL, ROW_REST } from "../../src/model/limits.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { checkLog } from "../check-log/log-check.mjs";
import { VirtualOrigin } from "../support/virtual-origin.ts";

const MIB = 1024 * 1024;
type Room = { usage: number; quota: number } | null;

function life<T>(disk: MemoryDisk, work: (mq: TabMQ, origin: VirtualOrigin) => Promise<T>, room: () => Room = () => null): Promise<T> {
  const origin = new VirtualOrigin(() => new MemoryStore(disk), { memo: null, estimateRoom: () => Promise.resolve(room()) });
  return origin.time.run(
    (async () => {
      const mq = await origin.connect({ broker: { defaultTopicQueueNums: 2 } });
      const result = await work(mq, origin);
      await mq.close();
      await origin.stopWorker();
      return result;
    })(),
  );
}

async function send(mq: TabMQ, count: number, bytes: number): Promise<void> {
  const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000 });
  for (let at = 0; at < count; at++) await producer.send({ topic: "t", body: new Uint8Array(bytes).fill(at) });
}

async function placesOf(mq: TabMQ): Promise<string[]> {
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  const places: string[] = [];
  for (const queue of await pull.fetchQueues("t")) {
    for (let offset = await mq.admin.minOffset(queue); ; ) {
      const { status, messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 100);
      for (const { queueId, queueOffset, msgId } of messages) places.push(`${queueId} ${queueOffset} ${msgId}`);
      if (status === "NO_NEW_MSG") break;
      offset = nextBeginOffset;
    }
  }
  return places;
}

async function rest(reader: ReadableStreamDefaultReader<Uint8Array>, parts: Uint8Array[] = []): Promise<Uint8Array> {
  for (let next = await reader.read(); !next.done; next = await reader.read()) parts.push(next.value);
  return new Uint8Array(Buffer.concat(parts));
}

function take(bytes: Uint8Array, disk = new MemoryDisk()): Promise<{ result: ImportResult; places: string[]; disk: MemoryDisk }> {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
  return life(disk, async (mq) => {
    const result = await mq.admin.importLog(stream);
    return { result, places: await placesOf(mq), disk };
  });
}

describe("export, and", () => {
  test("a log whose beginning is gone: what is left keeps its offsets", async () => {
    const { bytes, places } = await life(new MemoryDisk(), async (mq, origin) => {
      await send(mq, 60, 100_000);
      await mq.admin.updateBrokerConfig({ maxStoreBytes: 2 * MIB, deleteWhen: "" });
      await origin.time.sleep(ROW_REST + 2 * CLEAN_INTERVAL);
      return { bytes: await rest(mq.admin.exportLog().getReader()), places: await placesOf(mq) };
    });
    expect(places.length).toBeGreaterThan(5);
    expect(places.length).toBeLessThan(40);
    const report = await checkLog([bytes]);
    expect(report).toMatchObject({ findings: [], messages: places.length, damaged: 0 });
    expect(report.begin!.position).toBeGreaterThan(2 * MIB);
    const copy = await take(bytes);
    expect(copy.result).toMatchObject({ imported: places.length });
    expect(copy.places).toEqual(places);
  });

  test("retention that overtakes it: what is gone is not damage, and what follows is whole", async () => {
    const bytes = await life(new MemoryDisk(), async (mq, origin) => {
      await send(mq, 60, 100_000);
      await origin.time.sleep(ROW_REST);
      const reader = mq.admin.exportLog().getReader();
      const parts = [];
      for (let i = 0; i < 3; i++) parts.push((await reader.read()).value!);
      await mq.admin.updateBrokerConfig({ maxStoreBytes: 2 * MIB, deleteWhen: "" });
      await origin.time.sleep(2 * CLEAN_INTERVAL);
      expect((await mq.diagnostics()).broker.retention.removedMessages).toBeGreaterThan(20);
      return rest(reader, parts);
    });
    const report = await checkLog([bytes]);
    expect(report).toMatchObject({ findings: [], damaged: 0 });
    expect(report.messages).toBeGreaterThan(20);
    expect(report.messages).toBeLessThan(60);
    expect((await take(bytes)).result).toMatchObject({ imported: report.messages, damaged: 0 });
  });

  test("rows that are merged between two parts: every message once", async () => {
    const disk = new MemoryDisk();
    const bytes = await life(disk, async (mq, origin) => {
      await send(mq, 3000, 1000);
      const reader = mq.admin.exportLog().getReader();
      const parts = [];
      for (let i = 0; i < 3; i++) parts.push((await reader.read()).value!);
      expect(disk.log.size).toBe(3000);
      await origin.time.sleep(10 * ROW_REST);
      expect(disk.log.size).toBeLessThan(300);
      return rest(reader, parts);
    });
    expect(await checkLog([bytes])).toMatchObject({ findings: [], messages: 3000, damaged: 0 });
  }, 60_000);
});

test("import heeds a store that is nearly full: nothing is taken, and the error says why", async () => {
  const bytes = await life(new MemoryDisk(), async (mq) => {
    await send(mq, 3, 1000);
    return rest(mq.admin.exportLog().getReader());
  });
  const refused = await life(
    new MemoryDisk(),
    async (mq, origin) => {
      await origin.time.sleep(ROW_REST + CLEAN_INTERVAL);
      const stream = new ReadableStream<Uint8Array>({ start: (controller) => (controller.enqueue(bytes), controller.close()) });
      return mq.admin.importLog(stream).catch((error: unknown) => error);
    },
    () => ({ usage: 95, quota: 100 }),
  );
  expect(refused).toMatchObject({ code: "STORAGE_FULL", imported: 0, outcome: "rejected" });
});
