/** The store does not open, or goes away again and again: tried with growing pauses, and whoever asks is told. */
import { expect, test } from "vitest";
import type { BlockStore } from "../../src/storage/block-store.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { VirtualOrigin } from "../support/virtual-origin.ts";

/** Tries in the ten seconds for which `connect` goes on: after 100 ms, 200 ms, … up to 5 s. */
const TRIES = { least: 3, most: 10 };

class ClosedStore extends MemoryStore {
  override takeOver(): Promise<number> {
    return Promise.reject(new DOMException("Internal error opening backing store for indexedDB.open.", "UnknownError"));
  }
}

/** An origin whose store opens from the moment that `isWell` says so. */
function origin(isWell: () => boolean): { origin: VirtualOrigin; tries: number[]; lose(): void } {
  const disk = new MemoryDisk();
  const tries: number[] = [];
  let store = new MemoryStore(disk);
  const made: VirtualOrigin = new VirtualOrigin((): BlockStore => {
    tries.push(made.time.now());
    return (store = isWell() ? new MemoryStore(disk) : new ClosedStore(disk));
  }, { memo: null });
  return { origin: made, tries, lose: () => store.onLost("closed by force") };
}

const settled = (work: Promise<unknown>): Promise<unknown> => work.then(() => "fine", (error: { code: string; outcome: string }) => `${error.code} ${error.outcome}`);

test("a store that never opens: connect is refused with STORAGE_UNAVAILABLE after a few tries, and nobody goes on for ever", async () => {
  const { origin: { time }, origin: here, tries } = origin(() => false);
  const began = time.now();
  expect(await time.run(settled(here.connect()))).toBe("STORAGE_UNAVAILABLE rejected");
  expect(time.now() - began).toBeLessThanOrEqual(10_000);
  expect(tries.length).toBeGreaterThanOrEqual(TRIES.least);
  expect(tries.length).toBeLessThanOrEqual(TRIES.most);
  // Nobody asks any more.
  await time.run(time.sleep(60_000));
  const last = tries.length;
  expect(last).toBeLessThanOrEqual(TRIES.most + 2);
  await time.run(time.sleep(600_000));
  expect(tries.length).toBe(last);
  // The pauses grow.
  expect(tries[1]! - tries[0]!).toBeLessThan(tries[3]! - tries[2]!);
});

test("control: as long as somebody asks, it is tried again", async () => {
  const { origin: { time }, origin: here, tries } = origin(() => false);
  for (let turn = 0; turn < 5; turn++) await time.run(settled(here.connect()));
  expect(tries.length).toBeGreaterThan(TRIES.most);
});

test("it goes away under a broker: a send ends when it has no time left, whoever connects is told why, and everybody goes on when it is back", async () => {
  let isWell = true;
  const { origin: here, tries, lose } = origin(() => isWell);
  const { time } = here;
  const mq = await time.run(here.connect());
  const producer = await time.run(mq.createProducer({ producerGroup: "p", sendMsgTimeout: 3000, retryTimesWhenSendFailed: 100 }));
  await time.run(producer.send({ topic: "t", body: "before" }));
  isWell = false;
  lose();
  const began = time.now();
  // Nobody knows whether the broker had it in hand.
  expect(await time.run(settled(producer.send({ topic: "t", body: "meanwhile" })))).toBe("DEADLINE_EXCEEDED unknown");
  expect(time.now() - began).toBeLessThanOrEqual(3000);
  expect(await time.run(settled(here.connect()))).toBe("STORAGE_UNAVAILABLE rejected");
  const tried = tries.length;
  await time.run(time.sleep(60_000));
  // Every five seconds at the end, not in a loop.
  expect(tries.length - tried).toBeLessThan(20);
  expect(tries.length - tried).toBeGreaterThan(5);
  isWell = true;
  await time.run(time.sleep(10_000));
  expect(await time.run(settled(producer.send({ topic: "t", body: "after" })))).toBe("fine");
});
