/** Where a queue begins that is cut at a place of the log. */
import { describe, expect, test } from "vitest";
import { QUEUE_PAGE_ENTRIES } from "../../src/model/limits.ts";
import { ConsumeQueue, ENTRY_BYTES } from "../../src/storage/consume-queue.ts";
import { writeEntry } from "../../src/storage/ts-records.ts";

const SIZE = 100;

/** A queue with an entry at each of these offsets; the n-th record stands at n * SIZE. */
function queueOf(offsets: number[]): ConsumeQueue {
  const queue = new ConsumeQueue("t", 0, { load: () => Promise.resolve(undefined), dirtyPages: 0 });
  for (const [number, offset] of offsets.entries()) {
    const entry = new Uint8Array(ENTRY_BYTES);
    writeEntry(new DataView(entry.buffer), 0, number * SIZE, SIZE, 0);
    queue.publish(offset, entry, 1);
  }
  return queue;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);
const FAR = 700_000_000;

const QUEUES: [what: string, offsets: number[]][] = [
  ["without holes", range(0, 3 * QUEUE_PAGE_ENTRIES + 10)],
  ["that a loss has torn in two", [...range(0, 14), ...range(FAR, FAR + 40)]],
  ["that two losses have torn", [...range(0, 14), ...range(FAR, FAR + 2000), ...range(3 * FAR, 3 * FAR + 14)]],
  ["with a page of holes", [...range(0, QUEUE_PAGE_ENTRIES), ...range(2 * QUEUE_PAGE_ENTRIES, 2 * QUEUE_PAGE_ENTRIES + 500)]],
  ["with holes everywhere", range(0, 100).map((number) => number * 1000)],
];

describe.each(QUEUES)("a queue %s begins at the first record that stands at a place or behind it", (_what, offsets) => {
  test("wherever that is", async () => {
    const queue = queueOf(offsets);
    for (let number = 1; number < offsets.length; number += Math.max(1, Math.floor(offsets.length / 97))) {
      for (const position of [number * SIZE, number * SIZE - 1]) {
        const begin = await queue.offsetAt(position);
        // No record of before is left, and none of behind is missing.
        expect(begin, `at ${position}`).toBeGreaterThan(offsets[number - 1]!);
        expect(begin, `at ${position}`).toBeLessThanOrEqual(offsets[number]!);
      }
    }
    expect(await queue.offsetAt(offsets.length * SIZE)).toBe(queue.maxOffset);
  });
});
