/** The key index over a store and a log, without a broker: small segments, so that every border is met. */
import { beforeEach, describe, expect, test } from "vitest";
import { keyHash } from "../../src/model/index-key.ts";
import { CACHE_BYTES, MAX_SEGMENT_LOG_BYTES } from "../../src/model/limits.ts";
import type { CommitOutcome } from "../../src/storage/block-store.ts";
import { CacheBudget } from "../../src/storage/cache-budget.ts";
import { CommitLog } from "../../src/storage/commit-log.ts";
import type { Indexer } from "../../src/storage/indexer.ts";
import { KeyIndex, type SegmentRow } from "../../src/storage/key-index.ts";
import { scanLog } from "../../src/storage/log-scanner.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { WasmIndexer } from "../../src/storage/wasm-indexer.ts";
import { encodeRow } from "../unit/key-segment.contract.ts";
import { concat, encodeRecord } from "../unit/records.ts";
import base64 from "virtual:indexer-wasm";

const SEGMENT = 3000;
const ROW_LIMIT = 60 * 1024;
const wasm = (): Promise<Indexer> => WasmIndexer.load(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)));

/** A store that says which index rows are asked for. */
class WatchedStore extends MemoryStore {
  readonly reads: string[] = [];

  override readIndex(ranges: Parameters<MemoryStore["readIndex"]>[0]): Promise<Uint8Array[][]> {
    this.reads.push(...ranges.map(({ name }) => name));
    return super.readIndex(ranges);
  }
}

interface Checkpoint {
  segments: SegmentRow[];
  position: number;
}

/** What a broker does with its key index, step by step. */
class House {
  readonly disk: MemoryDisk;
  readonly store: WatchedStore;
  readonly indexer: Indexer;
  readonly log: CommitLog;
  readonly index: KeyIndex;
  /** Where the records with a key stand, the newest first. */
  readonly truth: Map<string, number[]>;
  time = 1_000_000;
  #epoch = 0;

  private constructor(indexer: Indexer, before?: House, rebuilds = true) {
    this.indexer = indexer;
    this.disk = before?.disk ?? new MemoryDisk();
    this.truth = new Map(before?.truth);
    this.time = before?.time ?? this.time;
    this.store = new WatchedStore(this.disk);
    const budget = new CacheBudget(CACHE_BYTES);
    this.log = new CommitLog(indexer, this.store, budget, () => {});
    this.index = new KeyIndex({ store: this.store, indexer, budget, maxEntries: SEGMENT, scan: (from) => scanLog(this.log.rowsAt(rebuilds ? from : Infinity), indexer, from) });
  }

  static async begin(indexer: Indexer): Promise<House> {
    const house = new House(indexer);
    house.#epoch = await house.store.takeOver();
    house.index.reset();
    house.log.open(0);
    return house;
  }

  /** A new host over what this one has left. */
  async restart(checkpoint: Checkpoint | null, { rebuilds = true } = {}): Promise<House> {
    const house = new House(this.indexer, this, rebuilds);
    house.#epoch = await house.store.takeOver();
    if (checkpoint === null) house.index.reset();
    else await house.index.restore(checkpoint.segments, checkpoint.position);
    let end = checkpoint?.position ?? 0;
    for await (const scanned of scanLog(house.log.rows(end), this.indexer, end)) {
      if (scanned.kind !== "records") throw new Error(JSON.stringify(scanned));
      house.index.put(scanned.table.keys);
      end = scanned.position + scanned.table.size.reduce((sum, size) => sum + size, 0);
    }
    house.log.open(end);
    return house;
  }

  /** One frame of records with these keys, durable at once. */
  async send(...keys: string[]): Promise<void> {
    this.log.check(concat(keys.map((words) => encodeRecord({ topic: "T", properties: `KEYS\u0001${words}\u0002` }))));
    this.time += 100;
    const appended = this.log.append({ queueOffset: new Float64Array(keys.length), storeTimestamp: this.time, storeIp: 1, storePort: 1 });
    const log = this.log.seal(this.#epoch);
    expect(await this.store.commit({ epoch: this.#epoch, log, queue: [], state: [] })).toEqual({ status: "committed" });
    this.log.committed(log);
    this.index.put(appended.keys);
    for (const [at, words] of keys.entries()) {
      for (const key of new Set(words.split(" "))) this.truth.set(key, [appended.position[at]!, ...(this.truth.get(key) ?? [])]);
    }
  }

  /** One row of records of these times, with one key, as merging makes it of two hosts' and an import of a log. */
  async row(key: string, times: readonly number[]): Promise<void> {
    for (const time of times) {
      this.log.check(encodeRecord({ topic: "T", properties: `KEYS\u0001${key}\u0002` }));
      this.index.put(this.log.append({ queueOffset: new Float64Array(1), storeTimestamp: time, storeIp: 1, storePort: 1 }).keys);
    }
    const log = this.log.seal(this.#epoch);
    await this.store.commit({ epoch: this.#epoch, log, queue: [], state: [] });
    this.log.committed(log);
  }

  /** Frames of 100 records with one key each, out of `keys` of them, until there are about so many more. */
  async fill(records: number, keys: number): Promise<void> {
    for (let at = 0; at < records; at += 100) await this.send(...Array.from({ length: 100 }, (_, i) => `k${(at + i) % keys}`));
  }

  async checkpoint(outcome: CommitOutcome = { status: "committed" }): Promise<Checkpoint> {
    const { segments, change, committed, failed } = this.index.take();
    const position = this.log.durablePosition;
    if (outcome.status !== "committed") {
      failed();
      return { segments, position };
    }
    await this.store.commit({ epoch: this.#epoch, log: [], queue: [], index: change, state: [] });
    committed();
    return { segments, position };
  }

  async find(key: string, options: { begin?: number; end?: number; max?: number; before?: number } = {}): Promise<number[]> {
    const { begin = 0, end = Number.MAX_SAFE_INTEGER, max = 64 } = options;
    const all: number[] = [];
    for (let before: number | null = options.before ?? Number.MAX_SAFE_INTEGER; before !== null; ) {
      const { positions, next } = await this.index.find({ text: keyHash(key), key: keyHash(`T#${key}`), begin, end, before, max });
      all.push(...positions);
      before = next;
    }
    return all;
  }

  /** Keys of which not all records are found, or others. */
  async wrong(): Promise<string[]> {
    const keys: string[] = [];
    for (const [key, positions] of this.truth) if (JSON.stringify(await this.find(key)) !== JSON.stringify(positions)) keys.push(key);
    return keys;
  }
}

describe.each([["WASM", wasm], ["TypeScript", async () => new TsIndexer()]] as const)("the key index, %s", (_name, load) => {
  let house: House;
  beforeEach(async () => void (house = await House.begin(await load())));

  test("finds everything: in the open segment, in sealed ones before and after they are stored, and after starts", async () => {
    await house.fill(2000, 700);
    expect(await house.wrong()).toEqual([]);
    await house.fill(6000, 700);
    expect(await house.wrong()).toEqual([]);
    const checkpoint = await house.checkpoint();
    expect(checkpoint.segments.map(([, , , count]) => count)).toEqual([2999, 2999, 2002]);
    expect(await house.wrong()).toEqual([]);
    for (const row of house.disk.index.values()) expect(row.byteLength).toBeLessThanOrEqual(ROW_LIMIT);

    const next = await house.restart(checkpoint);
    expect(await next.wrong()).toEqual([]);
    await next.fill(4000, 700);
    expect(await next.wrong()).toEqual([]);
    const last = await next.restart(await next.checkpoint());
    expect(await last.wrong()).toEqual([]);
    expect(await last.find("nobody")).toEqual([]);
  });

  test.each([[50, 100], [1500, 100], [2900, 600], [100, 3500], [0, 7000]])("a crash %i records after the first checkpoint, and %i after the next", async (first, second) => {
    await house.fill(1700, 300);
    let next = await house.restart(await house.checkpoint());
    await next.fill(first, 300);
    const checkpoint = await next.checkpoint();
    await next.fill(second, 300);
    next = await next.restart(checkpoint);
    expect(await next.wrong()).toEqual([]);
    next = await next.restart(await next.checkpoint());
    expect(await next.wrong()).toEqual([]);
  });

  test("without a checkpoint the log is read, and nothing of the old index stays", async () => {
    await house.fill(8000, 900);
    await house.checkpoint();
    house.disk.index.set("segment/12345/0", new Uint8Array(100));
    const next = await house.restart(null);
    expect(await next.wrong()).toEqual([]);
    const checkpoint = await next.checkpoint();
    expect([...next.disk.index.keys()].filter((key) => key.startsWith("segment/12345/"))).toEqual([]);
    expect(await (await next.restart(checkpoint)).wrong()).toEqual([]);
  });

  test("a start reads the open segment's pages and no sealed one; a search reads one range of each segment", async () => {
    await house.fill(20_000, 5000);
    const next = await house.restart(await house.checkpoint());
    expect(new Set(next.store.reads)).toEqual(new Set(["open"]));
    next.store.reads.length = 0;
    await next.find("k1");
    expect(next.store.reads).toHaveLength(6);
    expect(new Set(next.store.reads).size).toBe(6);
    next.store.reads.length = 0;
    await next.find("k1");
    expect(next.store.reads).toEqual([]);
  });

  test("a row in which the clock was set back: each record is found by its time, also by a start that reads the log", async () => {
    const times = [5_000_000, 9_000_000, 9_000_000, 1_000_000, 3_000_000, 2_000_000];
    await house.row("k", times);
    const counts = async (one: House): Promise<number[]> => Promise.all(times.map(async (time) => (await one.find("k", { begin: time - 1000, end: time + 1000 })).length));
    expect(await counts(house)).toEqual([1, 2, 2, 1, 1, 1]);
    const next = await house.restart(null);
    expect(await counts(next)).toEqual([1, 2, 2, 1, 1, 1]);
    expect(await counts(await next.restart(await next.checkpoint()))).toEqual([1, 2, 2, 1, 1, 1]);
  });

  describe("damage", () => {
    const damages: [what: string, damage: (index: Map<string, Uint8Array>, key: string) => void][] = [
      ["gone", (index, key) => void index.delete(key)],
      ["one bit of the header", (index, key) => void (index.get(key)![9]! ^= 1)],
      ["one bit of an entry", (index, key) => void (index.get(key)![50]! ^= 16)],
      ["cut", (index, key) => void index.set(key, index.get(key)!.slice(0, -20))],
      ["empty", (index, key) => void index.set(key, new Uint8Array(0))],
      ["another one's", (index, key) => {
        const keys = [...index.keys()];
        index.set(key, index.get(keys[(keys.indexOf(key) + 1) % keys.length]!)!.slice());
      }],
    ];

    async function stored(): Promise<Checkpoint> {
      await house.fill(7500, 100);
      return house.checkpoint();
    }

    /** To compare: quicker than byte by byte. */
    const textOf = (index: Map<string, Uint8Array>): string => [...index].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, row]) => `${key} ${Buffer.from(row).toString("base64")}`).join("\n");
    const copyOf = (index: Map<string, Uint8Array>): Map<string, Uint8Array> => new Map([...index].map(([key, row]) => [key, row.slice()]));
    function replace(index: Map<string, Uint8Array>, by: Map<string, Uint8Array>): void {
      index.clear();
      for (const [key, row] of copyOf(by)) index.set(key, row);
    }

    test.each(damages)("each page in turn: %s; it is made again from the log, and stored again", { timeout: 120_000 }, async (_what, damage) => {
      const checkpoint = await stored();
      const good = copyOf(house.disk.index);
      expect(good.size).toBe(8);
      for (const key of good.keys()) {
        damage(house.disk.index, key);
        const next = await house.restart(checkpoint);
        expect(await next.wrong()).toEqual([]);
        // A segment of three pages is made again as a whole, and so are the two of the open one.
        expect(next.index.rebuilt).toBe(key.startsWith("segment/") ? 3 : 2);
        const healed = await next.checkpoint();
        expect(healed).toEqual(checkpoint);
        expect(textOf(next.disk.index)).toBe(textOf(good));
        replace(house.disk.index, good);
      }
    });

    test("all pages at once", async () => {
      const checkpoint = await stored();
      house.disk.index.clear();
      const next = await house.restart(checkpoint);
      expect(next.index.rebuilt).toBe(2);
      expect(await next.wrong()).toEqual([]);
      expect(next.index.rebuilt).toBe(8);
    });

    test("of whole pages none is made again", async () => {
      const checkpoint = await stored();
      const next = await house.restart(checkpoint);
      expect(await next.wrong()).toEqual([]);
      expect([house.index.rebuilt, next.index.rebuilt]).toEqual([0, 0]);
    });

    test.each(damages)("control: without the log, it is missed: %s", { timeout: 120_000 }, async (_what, damage) => {
      const checkpoint = await stored();
      const good = copyOf(house.disk.index);
      for (const key of good.keys()) {
        damage(house.disk.index, key);
        const next = await house.restart(checkpoint, { rebuilds: false });
        expect((await next.wrong()).length).toBeGreaterThan(0);
        replace(house.disk.index, good);
      }
    });

    test("an older state of the open pages is not taken for the whole of them", async () => {
      await house.fill(1300, 200);
      await house.checkpoint();
      const older = copyOf(house.disk.index);
      await house.fill(100, 200);
      const checkpoint = await house.checkpoint();
      replace(house.disk.index, older);
      expect(await (await house.restart(checkpoint)).wrong()).toEqual([]);
    });
  });

  test("what did not fit into a commit goes into the next", async () => {
    await house.fill(2000, 500);
    await house.checkpoint({ status: "rejected", reason: "FULL" });
    await house.fill(5000, 500);
    await house.checkpoint({ status: "rejected", reason: "FULL" });
    expect(house.disk.index.size).toBe(0);
    const checkpoint = await house.checkpoint();
    const next = await house.restart(checkpoint);
    expect(await next.wrong()).toEqual([]);
    expect(new Set(next.store.reads)).toEqual(new Set(["open", ...checkpoint.segments.slice(0, -1).map(([begin]) => `segment/${begin}`)]));
  });

  test("sealed while its pages are on their way", async () => {
    await house.fill(2900, 500);
    const take = house.index.take();
    await house.fill(500, 500);
    await house.store.commit({ epoch: 1, log: [], queue: [], index: take.change, state: [] });
    take.committed();
    const checkpoint = await house.checkpoint();
    const next = await house.restart(checkpoint);
    expect(await next.wrong()).toEqual([]);
    expect([...next.disk.index.keys()].filter((key) => key.startsWith("open/"))).toEqual(["open/0"]);
  });

  test("a trickle leaves pages and not a row for each message", async () => {
    for (let at = 0; at < 1100; at++) {
      await house.send(`k${at}`);
      await house.checkpoint();
    }
    expect([...house.disk.index.keys()].sort()).toEqual(["open/0", "open/1"]);
  });

  test("one key that nearly all records have: pages stay small, the newest are found first", async () => {
    await house.fill(6500, 1);
    const next = await house.restart(await house.checkpoint());
    for (const row of next.disk.index.values()) expect(row.byteLength).toBeLessThanOrEqual(ROW_LIMIT);
    expect(await next.wrong()).toEqual([]);
    const { positions, next: more } = await next.index.find({ text: keyHash("k0"), key: keyHash("T#k0"), begin: 0, end: Number.MAX_SAFE_INTEGER, before: Number.MAX_SAFE_INTEGER, max: 64 });
    expect(positions).toEqual(next.truth.get("k0")!.slice(0, 64));
    expect(more).toBe(positions[63]);
  });

  test.each([1, 2, 7])("asked for %i at a time, it gives the same", async (max) => {
    await house.fill(7000, 1400);
    await house.checkpoint();
    for (const key of ["k0", "k1399", "k700"]) expect(await house.find(key, { max })).toEqual(house.truth.get(key));
  });

  test("a record that has a key twice is found once", async () => {
    await house.send("a b a a", "a", "a a");
    expect(await house.find("a")).toEqual(house.truth.get("a"));
    for (const max of [1, 2]) expect(await house.find("a", { max })).toEqual(house.truth.get("a"));
    await house.fill(3000, 100);
    expect(await house.find("a", { max: 2 })).toEqual(house.truth.get("a"));
  });

  test("all keys of a record are in one segment", async () => {
    const many = (name: string): string => Array.from({ length: 1000 }, (_, at) => `${name}${at}`).join(" ");
    await house.send(many("a"), many("b"), many("c"), many("d"));
    const { segments } = await house.checkpoint();
    expect(segments.map(([, , , count]) => count)).toEqual([2000, 2000]);
    expect(await house.wrong()).toEqual([]);
  });

  test("times: no record of the time asked for is missed, whatever the clock has done", async () => {
    const times = new Map<number, number>();
    const sendSome = async (count: number): Promise<void> => {
      for (let at = 0; at < count; at++) {
        await house.send("k", ...Array.from({ length: 20 }, (_, i) => `other${i}`));
        times.set(house.truth.get("k")![0]!, house.time);
      }
    };
    await sendSome(200);
    house.time -= 15_000;
    await sendSome(200);
    const checkpoint = await house.checkpoint();
    house = await house.restart(checkpoint);
    for (const [begin, end] of [[1_000_100, 1_000_100], [1_003_333, 1_004_444], [1_005_000, 1_020_000], [1_012_345, 1_012_346], [0, 1_000_000], [1_019_900, 9_999_999]] as const) {
      const expected = house.truth.get("k")!.filter((position) => times.get(position)! >= begin && times.get(position)! <= end);
      const found = await house.find("k", { begin, end });
      expect(found).toEqual(expect.arrayContaining(expected));
      // The index knows seconds: it may give a little more.
      expect(found.every((position) => times.get(position)! >= begin - 1000 && times.get(position)! <= end + 1000)).toBe(true);
    }
  });

  test("what retention has removed is not found, and its pages go", async () => {
    await house.fill(10_000, 500);
    const before = await house.checkpoint();
    const cut = house.truth.get("k7")![10]!;
    house.index.dropBefore(cut);
    expect(await house.find("k7")).toEqual(house.truth.get("k7")!.slice(0, 11));
    const checkpoint = await house.checkpoint();
    const dropped = before.segments.filter((_, at) => (before.segments[at + 1]?.[0] ?? Infinity) <= cut).map(([begin]) => begin);
    expect(dropped.length).toBeGreaterThan(0);
    expect(checkpoint.segments).toEqual(before.segments.slice(dropped.length));
    for (const begin of dropped) expect([...house.disk.index.keys()].filter((key) => key.startsWith(`segment/${begin}/`))).toEqual([]);
    const next = await house.restart(checkpoint);
    next.index.dropBefore(cut);
    expect(await next.find("k7")).toEqual(house.truth.get("k7")!.slice(0, 11));
  });

  test("of a segment whose log is half removed, the rest is rebuilt", async () => {
    await house.fill(5000, 500);
    const checkpoint = await house.checkpoint();
    const cut = [...house.disk.log.keys()].sort((a, b) => a - b)[15]!;
    for (const position of house.disk.log.keys()) if (position < cut) house.disk.log.delete(position);
    house.disk.index.clear();
    const next = await house.restart(checkpoint);
    next.index.dropBefore(cut);
    for (const [key, positions] of house.truth) expect(await next.find(key)).toEqual(positions.filter((position) => position >= cut));
    const last = await next.restart(await next.checkpoint());
    for (const [key, positions] of house.truth) expect((await last.find(key)).filter((position) => position >= cut)).toEqual(positions.filter((position) => position >= cut));
  });

  test("a segment covers a bounded part of the log, however few keys there are", async () => {
    const step = MAX_SEGMENT_LOG_BYTES / 4;
    const positions = Array.from({ length: 12 }, (_, at) => at * step);
    for (const position of positions) house.index.put(encodeRow({ key: keyHash("T#k"), text: keyHash("k"), position, time: 5000 }));
    const checkpoint = { ...(await house.checkpoint()), position: 12 * step };
    expect(checkpoint.segments.map(([begin]) => begin)).toEqual([0, 4 * step, 8 * step]);
    house.index.put(encodeRow({ key: keyHash("T#k"), text: keyHash("k"), position: 2 ** 50, time: 5000 }));
    expect(await house.find("k")).toEqual([2 ** 50, ...positions.toReversed()]);
  });

  test("a long replay keeps few segments in memory and still finds all", async () => {
    await house.fill(40_000, 3000);
    const checkpoint = await house.checkpoint();
    expect(await house.find("k1")).toEqual(house.truth.get("k1"));
    // The oldest were given up before they could be stored: that they are made again tells of no damage.
    expect(house.index.rebuilt).toBe(0);
    expect(new Set([...house.disk.index.keys()].map((key) => key.slice(0, key.lastIndexOf("/")))).size).toBe(8 + 1);
    const next = await house.restart(checkpoint);
    for (const key of ["k0", "k1", "k2999", "k1234"]) expect(await next.find(key)).toEqual(house.truth.get(key));
  });
});
