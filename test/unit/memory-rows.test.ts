import { describe, expect, test } from "vitest";
import { CACHE_BYTES } from "../../src/model/limits.ts";
import { CacheBudget } from "../../src/storage/cache-budget.ts";
import { CommitLog } from "../../src/storage/commit-log.ts";
import { MemoryRows } from "../../src/storage/memory-rows.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { Prng } from "../sim/prng.ts";

describe("MemoryRows", () => {
  test("says of any position what a sorted list would", () => {
    const random = new Prng("memory rows");
    const rows = new MemoryRows();
    const present = new Set<number>();
    for (let step = 0; step < 2000; step++) {
      const position = random.integer(0, 300);
      if (random.chance(0.6)) {
        rows.set(position, new Uint8Array(1));
        present.add(position);
      } else expect(rows.delete(position)).toBe(present.delete(position));
      const [from, to] = [random.integer(-1, 301), random.integer(-1, 301)];
      const sorted = [...present].sort((a, b) => a - b);
      expect(rows.from(from, 7)).toEqual(sorted.filter((at) => at >= from).slice(0, 7));
      expect(rows.floor(from)).toBe(sorted.findLast((at) => at <= from));
      expect(rows.between(from, to)).toEqual(sorted.filter((at) => at >= from && at < to));
    }
    rows.clear();
    expect([rows.size, rows.from(0)]).toEqual([0, []]);
  });
});

describe("a walk over the log", () => {
  /** How many rows each read brings. */
  async function walk(count: number, bytes: number): Promise<number[]> {
    const disk = new MemoryDisk();
    for (let at = 0; at < count; at++) disk.log.set(at * bytes, new Uint8Array(bytes));
    const reads: number[] = [];
    class Counting extends MemoryStore {
      override async readLog(...given: Parameters<MemoryStore["readLog"]>): ReturnType<MemoryStore["readLog"]> {
        const rows = await super.readLog(...given);
        reads.push(rows.length);
        return rows;
      }
    }
    let seen = 0;
    for await (const row of new CommitLog(new TsIndexer(), new Counting(disk), new CacheBudget(CACHE_BYTES), () => {}).rows(0)) expect(row.position).toBe(seen++ * bytes);
    expect(seen).toBe(count);
    return reads;
  }

  test("brings many small rows with one read", async () => {
    expect((await walk(5000, 200)).length).toBeLessThan(10);
  });

  test("and of large ones two at a time", async () => {
    expect((await walk(12, 1024 * 1024)).slice(1).every((rows) => rows <= 2)).toBe(true);
  });
});
