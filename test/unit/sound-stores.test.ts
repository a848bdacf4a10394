/** How a test ends that leaves a store behind: see test/support/sound-stores.ts. What must fail here fails after its last line. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { BlockStore } from "../../src/storage/block-store.ts";
import type { MemoryDisk } from "../../src/storage/memory-store.ts";
import { NodeOrigin } from "../support/node-broker.ts";
import { asAllDamaged, asDamaged } from "../support/sound-stores.ts";
import { storedQueue } from "../support/stored-queue.ts";

const TESTS = join(import.meta.dirname, "..");

const stored = async (): Promise<MemoryDisk> => (await storedQueue([100, 200, 300])).disk;

/** A test that does this fails, and for this reason. */
function failsAtItsEnd(name: string, work: () => Promise<unknown>, reason: RegExp): void {
  const reasons: string[] = [];
  let isDone = false;
  test.fails(name, async ({ onTestFailed }) => {
    onTestFailed(({ task }) => void reasons.push(...(task.result?.errors ?? []).map(({ message }) => message)));
    await work();
    isDone = true;
  });
  test(`${name}: at its end, and says why`, () => {
    expect(isDone).toBe(true);
    expect(reasons).toEqual([expect.stringMatching(reason)]);
  });
}

/** The last byte of the row: it is in its last record, or entry. */
function flipLast(rows: { values(): Iterable<Uint8Array> }): void {
  const row = [...rows.values()].at(-1)!;
  row[row.byteLength - 1]! ^= 1;
}

describe("a store that is not sound", () => {
  failsAtItsEnd("an entry of a queue's page is another", async () => flipLast((await stored()).queue), /PAGE_DAMAGED page t\/0\/0: CRC/);
  failsAtItsEnd("an entry of the key index is another", async () => flipLast((await stored()).index), /INDEX_DAMAGED index open\/0/);
  failsAtItsEnd("a byte of a record is another", async () => flipLast((await stored()).log), /CHUNK_DAMAGED log \d+: CRC/);
  failsAtItsEnd("an offset is ahead of its queue", async () => (await stored()).state.set("offset/g/t", { 0: 4 }), /OFFSET_AHEAD/);
  failsAtItsEnd("of several the last", async () => {
    await stored();
    (await stored()).state.delete("topic/t");
  }, /TOPIC_MISSING/);
  failsAtItsEnd("encrypted", async () => {
    const origin = new NodeOrigin();
    const mq = await origin.connect({ encryptionKey: new Uint8Array(32) });
    await (await mq.createProducer({ producerGroup: "p" })).send({ topic: "t", body: "x" });
    await origin.close();
    flipLast(origin.disk.log);
  }, /CHUNK_DAMAGED/);
  failsAtItsEnd("its broker writes through what nobody can look into", async () => {
    const origin = new NodeOrigin();
    const store = origin.makeStore();
    const around = (_target: BlockStore, name: string | symbol): unknown => {
      const value: unknown = name === "disk" ? undefined : Reflect.get(store, name);
      return typeof value === "function" ? (value.bind(store) as unknown) : value;
    };
    origin.makeStore = () => new Proxy({} as BlockStore, { get: around });
    await origin.connect().catch(() => {});
    await origin.close();
  }, /cannot be looked at/);
});

describe("a store that is to be damaged", () => {
  test("is no fault", async () => flipLast(asDamaged(await stored(), "a byte is another").log));

  test("may be sound, where it says why", async () => void asDamaged(await stored(), "nothing", "nothing was done to it"));

  test("where all may be, also one that nobody names", async () => {
    asAllDamaged("a byte is another");
    await stored();
    flipLast((await stored()).log);
  });

  failsAtItsEnd("and is sound", async () => asDamaged(await stored(), "nothing"), /Nothing is wrong with a store that was to be damaged: nothing\./);

  failsAtItsEnd("where all are, and none is", async () => {
    asAllDamaged("nothing");
    await stored();
  }, /Nothing is wrong with the stores/);

  failsAtItsEnd("in the test before: that was the test before", async () => flipLast((await stored()).log), /CHUNK_DAMAGED/);
});

test("nobody starts a broker in Node without being seen", async () => {
  const starts = /\bBroker\.start\(|\bnew BrokerHost\(/;
  const isSeen = /"[^"]*\/(sound-stores|node-broker|virtual-origin|damage-judge)\.ts"/;
  const unseen: string[] = [];
  for (const folder of ["unit", "contract", "conformance", "fuzz", "support"]) {
    for (const file of await readdir(join(TESTS, folder), { recursive: true })) {
      const text = file.endsWith(".ts") ? await readFile(join(TESTS, folder, file), "utf8") : "";
      if (starts.test(text) && !isSeen.test(text)) unseen.push(`${folder}/${file}`);
    }
  }
  expect(unseen).toEqual([]);
});
