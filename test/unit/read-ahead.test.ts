/** What is read ahead for a member is what it would have read itself, or nothing. */
import { expect, test } from "vitest";
import { EVERYTHING, type QueueFilter, type QueueRead, type QueueReader } from "../../src/broker/queue-reader.ts";
import { ReadAhead } from "../../src/broker/read-ahead.ts";
import { readInt64, RECORD, RECORD_MIN_BYTES, writeInt64 } from "../../src/model/record.ts";
import type { ConsumeQueue } from "../../src/storage/consume-queue.ts";

const queue = { topic: "t", queueId: 0 } as ConsumeQueue;

/** A queue with a record at every second offset, and how often it was read. */
function reader(): { reader: QueueReader; reads: number[] } {
  const reads: number[] = [];
  const read = (_queue: ConsumeQueue, offset: number, _filter: QueueFilter, max: number): Promise<QueueRead> => {
    reads.push(offset);
    const records = new Uint8Array(max * RECORD_MIN_BYTES);
    const view = new DataView(records.buffer);
    for (let at = 0; at < max; at++) {
      view.setInt32(at * RECORD_MIN_BYTES + RECORD.totalSize, RECORD_MIN_BYTES);
      writeInt64(view, at * RECORD_MIN_BYTES + RECORD.queueOffset, offset + 2 * at);
    }
    return Promise.resolve({ records, count: max, nextOffset: offset + 2 * max });
  };
  return { reader: { read } as unknown as QueueReader, reads };
}

function offsetsOf({ records }: QueueRead): number[] {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  return Array.from({ length: records.byteLength / RECORD_MIN_BYTES }, (_, at) => readInt64(view, at * RECORD_MIN_BYTES + RECORD.queueOffset));
}

/** Timers that run when told. */
function timers(): { after: (delay: number, run: () => void) => () => void; tick: () => void } {
  const due: (() => void)[] = [];
  return { after: (_delay, run) => (due.push(run), () => {}), tick: () => due.splice(0).forEach((run) => run()) };
}

test("it is read once, when the answer before it is on its way, or when it is asked for, whichever comes first", async () => {
  const [{ reader: slow, reads }, { after, tick }] = [reader(), timers()];
  const ahead = new ReadAhead(slow, { after });
  ahead.begin(queue, 10, EVERYTHING, 4, 1000);
  expect(reads).toEqual([]);
  tick();
  expect(reads).toEqual([10]);
  expect(offsetsOf((await ahead.take(queue, 10, EVERYTHING, 4))!)).toEqual([10, 12, 14, 16]);
  expect(ahead.take(queue, 10, EVERYTHING, 4)).toBeNull();
  ahead.begin(queue, 18, EVERYTHING, 4, 1000);
  await ahead.take(queue, 18, EVERYTHING, 4);
  tick();
  expect(reads).toEqual([10, 18]);
});

test("whoever wants fewer gets the first of them, and goes on at the next", async () => {
  const ahead = new ReadAhead(reader().reader, timers());
  ahead.begin(queue, 10, EVERYTHING, 4, 1000);
  const read = (await ahead.take(queue, 10, EVERYTHING, 3))!;
  expect([offsetsOf(read), read.count, read.nextOffset]).toEqual([[10, 12, 14], 3, 16]);
  // Its own bytes: an answer takes its buffer along.
  expect(read.records.buffer.byteLength).toBe(3 * RECORD_MIN_BYTES);
});

test("another offset, another filter, another queue: nothing", () => {
  const ahead = new ReadAhead(reader().reader, timers());
  for (const take of [
    () => ahead.take(queue, 11, EVERYTHING, 4),
    () => ahead.take(queue, 10, { codes: null }, 4),
    () => ahead.take({ ...queue } as ConsumeQueue, 10, EVERYTHING, 4),
  ]) {
    ahead.begin(queue, 10, EVERYTHING, 4, 1000);
    expect(take()).toBeNull();
  }
});

test("a read that fails is told to whoever takes it, and to nobody else", async () => {
  const { after, tick } = timers();
  const ahead = new ReadAhead({ read: () => Promise.reject(new Error("broken")) } as unknown as QueueReader, { after });
  ahead.begin(queue, 10, EVERYTHING, 4, 1000);
  tick();
  await Promise.resolve();
  await expect(ahead.take(queue, 10, EVERYTHING, 4)).rejects.toThrow("broken");
});
