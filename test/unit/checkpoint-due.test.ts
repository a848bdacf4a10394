/** Pages that wait to be stored are memory that no budget covers: too many of them, and a checkpoint is due, however short the log. */
import { expect, test } from "vitest";
import { CHECKPOINT_INTERVAL_BYTES, MAX_DIRTY_PAGES, QUEUE_PAGE_ENTRIES } from "../../src/model/limits.ts";
import { CacheBudget } from "../../src/storage/cache-budget.ts";
import { Checkpoint } from "../../src/storage/checkpoint.ts";
import { ENTRY_BYTES } from "../../src/storage/consume-queue.ts";
import { ConsumeQueueStore } from "../../src/storage/consume-queue-store.ts";
import type { KeyIndex } from "../../src/storage/key-index.ts";
import { MemoryStore } from "../../src/storage/memory-store.ts";

const noKeys = { take: () => ({ segments: [], change: { delete: [], put: [] }, committed: () => {}, failed: () => {} }) } as unknown as KeyIndex;

function house(): { queues: ConsumeQueueStore; checkpoint: Checkpoint } {
  const queues = new ConsumeQueueStore(new MemoryStore(), new CacheBudget(1), async function* none() {});
  return { queues, checkpoint: new Checkpoint(queues, noKeys) };
}

test.each([["many queues", (at: number) => ({ queueId: at, offset: 0 })], ["one queue with holes", (at: number) => ({ queueId: 0, offset: at * (QUEUE_PAGE_ENTRIES - 1) + 5 })]])("%s", (_name, placeOf) => {
  const { queues, checkpoint } = house();
  const publish = (at: number): void => {
    const { queueId, offset } = placeOf(at);
    queues.open("t", queueId).publish(offset, new Uint8Array(ENTRY_BYTES), 1);
  };
  let at = 0;
  while (queues.dirtyPages < MAX_DIRTY_PAGES - 1) publish(at++);
  expect(checkpoint.isDue(1)).toBe(false);
  expect(checkpoint.isDue(CHECKPOINT_INTERVAL_BYTES)).toBe(true);
  while (queues.dirtyPages < MAX_DIRTY_PAGES) publish(at++);
  expect(checkpoint.isDue(1)).toBe(true);
  // Refused: they wait again.
  checkpoint.take(1).failed();
  expect([queues.dirtyPages, checkpoint.isDue(1)]).toEqual([MAX_DIRTY_PAGES, true]);
  const { pages, committed } = checkpoint.take(1);
  expect([pages.length, queues.dirtyPages]).toEqual([MAX_DIRTY_PAGES, 0]);
  committed();
  publish(at);
  expect([queues.dirtyPages > 0, checkpoint.isDue(2)]).toEqual([true, false]);
});

test("one page is counted once, however often it changes", () => {
  const { queues } = house();
  for (let offset = 0; offset < 3 * QUEUE_PAGE_ENTRIES; offset++) queues.open("t", 0).publish(offset, new Uint8Array(ENTRY_BYTES), 1);
  expect(queues.dirtyPages).toBe(3);
});
