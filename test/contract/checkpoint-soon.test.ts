/** How much a start reads again after a host that was killed a moment after a burst. In virtual time. */
import { afterEach, expect, test, vi } from "vitest";
import { CHECKPOINT_INTERVAL_BYTES } from "../../src/model/limits.ts";
import { Checkpoint } from "../../src/storage/checkpoint.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { checkStore } from "../support/store-check.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";

const BODY = 1000;
const GLADLY = CHECKPOINT_INTERVAL_BYTES / BODY;
/** Long enough for a commit, and far shorter than the rest after which queues are stored anyway, ms. */
const MOMENT = 50;

/** How many messages the next start reads again, of so many. */
async function replayedOf(count: number): Promise<number> {
  const disk = new MemoryDisk();
  const life = (work: (origin: VirtualOrigin) => Promise<number>): Promise<number> => {
    const origin = new VirtualOrigin(() => new MemoryStore(disk), { memo: null });
    return origin.time.run(work(origin).finally(() => origin.killAll()));
  };
  await life(async (origin) => {
    const mq = await origin.connect({});
    const producer = await mq.createProducer({ producerGroup: "p" });
    // One batch is one commit, and nothing comes behind it that could take a checkpoint along.
    await producer.send(Array.from({ length: count }, () => ({ topic: "t", body: new Uint8Array(BODY) })));
    await origin.time.sleep(MOMENT);
    return 0;
  });
  const replayed = await life(async (origin) => (await (await origin.connect({})).diagnostics()).broker.recovery.replayed);
  expect(checkStore(disk)).toEqual([]);
  return replayed;
}

afterEach(() => void vi.restoreAllMocks());

test.each([1.1, 1.6])("of a burst of %d times what is read again gladly, no more than that is left", async (times) => {
  expect(await replayedOf(Math.ceil(times * GLADLY))).toBeLessThan(GLADLY);
});

test("few messages wait for the log to rest", async () => {
  expect(await replayedOf(100)).toBe(100);
});

test("control: without it, all of the burst is read again", async () => {
  vi.spyOn(Checkpoint.prototype, "isDue").mockReturnValue(false);
  const burst = Math.ceil(1.1 * GLADLY);
  expect(await replayedOf(burst)).toBe(burst);
});
