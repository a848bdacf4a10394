/** The key index's part of an Indexer: which keys records have, and the open segment. Run by indexer.contract.ts. */
import { describe, expect, it } from "vitest";
import { keyHash } from "../../src/model/index-key.ts";
import type { Indexer } from "../../src/storage/indexer.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import { INDEX_ENTRY_BYTES, KEY_ROW_BYTES, type KeyQuery, rangeOf } from "../../src/storage/key-segment.ts";
import { concat, encodeRecord } from "./records.ts";
import type { RecordParts } from "./records.ts";

interface KeyRow {
  key: number;
  text: number;
  position: number;
  time: number;
}

function decodeRows(rows: Uint8Array): KeyRow[] {
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  return Array.from({ length: rows.length / KEY_ROW_BYTES }, (_, row) => {
    const at = row * KEY_ROW_BYTES;
    return { key: view.getInt32(at), text: view.getInt32(at + 4), position: Number(view.getBigInt64(at + 8)), time: Number(view.getBigInt64(at + 16)) };
  });
}

export function encodeRow({ key, text, position, time }: KeyRow): Uint8Array {
  const bytes = new Uint8Array(KEY_ROW_BYTES);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, key);
  view.setInt32(4, text);
  view.setBigInt64(8, BigInt(position));
  view.setBigInt64(16, BigInt(time));
  return bytes;
}

const rowOf = (topic: string, key: string, position: number, time: number): KeyRow => ({ key: keyHash(`${topic}#${key}`), text: keyHash(key), position, time });
const properties = (...pairs: [name: string, value: string][]): string => pairs.map(([name, value]) => `${name}\u0001${value}\u0002`).join("");
const everything = { begin: 0, end: Number.MAX_SAFE_INTEGER, before: Number.MAX_SAFE_INTEGER, max: 100 };

export function keySegmentContract(get: () => Indexer): void {
  const stamps = (count: number, keep?: number[]) => ({
    queueOffset: new Float64Array(count), storeTimestamp: 1_700_000_000_123, storeIp: 1, storePort: 2, ...(keep && { keep: Uint8Array.from(keep) }),
  });

  describe("keys of records", () => {
    const cases: [what: string, parts: RecordParts, topic: string, keys: string[]][] = [
      ["id first, then every word", { topic: "T", properties: properties(["KEYS", "a b"], ["UNIQ_KEY", "U1"]) }, "T", ["U1", "a", "b"]],
      ["spaces make no key", { topic: "T", properties: properties(["KEYS", "  a  b "]) }, "T", ["a", "b"]],
      ["a comma is none", { topic: "T", properties: properties(["KEYS", "a,b"]) }, "T", ["a,b"]],
      ["no properties", { topic: "T" }, "T", []],
      ["the last of equal names", { topic: "T", properties: properties(["KEYS", "old"], ["UNIQ_KEY", "U1"], ["KEYS", "new"], ["UNIQ_KEY", "U2"]) }, "T", ["U2", "new"]],
      ["an empty value does not count", { topic: "T", properties: properties(["KEYS", "a"], ["KEYS", ""], ["UNIQ_KEY", ""]) }, "T", ["a"]],
      ["names that only begin like one", { topic: "T", properties: properties(["KEYS2", "a"], ["UNIQ_KEYS", "b"], ["XKEYS", "c"], ["KEY", "d"]) }, "T", []],
      ["the last property without its end", { topic: "T", properties: "UNIQ_KEY\u0001U1\u0002KEYS\u0001last" }, "T", ["U1", "last"]],
      ["beyond ASCII", { topic: "Täglich☕", properties: properties(["UNIQ_KEY", "0123456789ABCDEF0123456789ABCDEF"], ["KEYS", "schlüssel 日本 😀 abcdefgh日ijklmnop😀"]) }, "Täglich☕", ["0123456789ABCDEF0123456789ABCDEF", "schlüssel", "日本", "😀", "abcdefgh日ijklmnop😀"]],
      ["a hash that has no absolute value", { topic: "T", properties: properties(["KEYS", "polygenelubricants"]) }, "T", ["polygenelubricants"]],
      ["a prepared transaction", { topic: "T", sysFlag: 4, properties: properties(["KEYS", "a"]) }, "T", ["a"]],
      ["a committed one", { topic: "T", sysFlag: 8, properties: properties(["KEYS", "a"]) }, "T", ["a"]],
      ["one rolled back has none", { topic: "T", sysFlag: 12, properties: properties(["KEYS", "a"]) }, "T", []],
      ["all that fit", { topic: "T", properties: properties(["KEYS", Array.from({ length: 16_000 }, (_, at) => String.fromCharCode(33 + (at % 90))).join(" ")]) }, "T", Array.from({ length: 16_000 }, (_, at) => String.fromCharCode(33 + (at % 90)))],
    ];

    it.each(cases)("%s", (_what, parts, topic, keys) => {
      const indexer = get();
      indexer.open(5000);
      indexer.check(encodeRecord(parts));
      const expected = keys.map((key) => rowOf(topic, key, 5000, 1_700_000_000_123));
      expect(decodeRows(indexer.append(stamps(1)).keys)).toEqual(expected);
      const [chunk] = indexer.seal(1);
      expect(decodeRows(indexer.scan(chunk!.bytes.subarray(CHUNK_HEADER_BYTES), 5000).keys)).toEqual(expected);
    });

    it("only those of records that are kept, at the positions they get", () => {
      const indexer = get();
      const records = ["a b", "c", "", "d e"].map((keys, at) => encodeRecord({ topic: `T${at % 2}`, properties: properties(["KEYS", keys]) }));
      indexer.check(concat(records));
      const { keys, position } = indexer.append(stamps(4, [1, 0, 1, 1]));
      const time = 1_700_000_000_123;
      expect(decodeRows(keys)).toEqual([rowOf("T0", "a", 0, time), rowOf("T0", "b", 0, time), rowOf("T1", "d", position[2]!, time), rowOf("T1", "e", position[2]!, time)]);
    });

    it("the keys of a frame outlive a seal between check and append", () => {
      const indexer = get();
      indexer.check(encodeRecord({ properties: properties(["KEYS", "first"]) }));
      indexer.append(stamps(1));
      const { position } = indexer;
      indexer.check(encodeRecord({ properties: properties(["KEYS", "second"]) }));
      indexer.seal(1);
      expect(decodeRows(indexer.append(stamps(1)).keys)).toEqual([rowOf("T", "second", position, 1_700_000_000_123)]);
    });
  });

  describe("the open segment", () => {
    const find = (query: Partial<KeyQuery> & { text: number }): number[] => [...get().segment.find({ ...everything, key: null, ...query })];
    const put = (...rows: KeyRow[]): number => get().segment.put(concat(rows.map(encodeRow)));

    it("finds by key in a topic, and by key in any", () => {
      get().segment.open();
      put(rowOf("orders", "k", 1, 1000), rowOf("jobs", "k", 2, 1000), rowOf("orders", "other", 3, 1000), rowOf("orders", "k", 4, 1000));
      expect(find({ text: keyHash("k"), key: keyHash("orders#k") })).toEqual([4, 1]);
      expect(find({ text: keyHash("k"), key: keyHash("jobs#k") })).toEqual([2]);
      expect(find({ text: keyHash("k") })).toEqual([4, 2, 1]);
      expect(find({ text: keyHash("k"), before: 4, max: 1 })).toEqual([2]);
      expect(find({ text: keyHash("k"), max: 0 })).toEqual([]);
      expect(find({ text: keyHash("nobody") })).toEqual([]);
      expect(get().segment).toMatchObject({ count: 4, beginTime: 1000, endTime: 1000 });
    });

    it("takes all keys of a record or none", () => {
      get().segment.open(10, 5);
      expect(put(rowOf("T", "a", 1, 1), rowOf("T", "b", 2, 1), rowOf("T", "c", 2, 1), rowOf("T", "d", 3, 1), rowOf("T", "e", 3, 1))).toBe(3);
      expect(put(rowOf("T", "d", 3, 1))).toBe(1);
      expect(put(rowOf("T", "e", 4, 1))).toBe(0);
      expect(get().segment.count).toBe(4);
    });

    it("comes back from its entries", () => {
      const { segment } = get();
      segment.open();
      const rows = Array.from({ length: 3000 }, (_, at) => rowOf("T", `k${at % 700}`, at * 100, 10_000 + at * 7));
      put(...rows);
      const entries = segment.entries(0, 3000);
      const [some, more] = [segment.entries(0, 1024), segment.entries(1024, 3000)];
      const { beginTime, endTime } = segment;
      expect(concat([some, more])).toEqual(entries);
      const before = find({ text: keyHash("k7"), begin: 15_000 });
      expect(before.length).toBeGreaterThan(1);
      segment.open();
      expect(find({ text: keyHash("k7") })).toEqual([]);
      segment.load(some, beginTime, endTime);
      segment.load(more, beginTime, endTime);
      expect(segment).toMatchObject({ count: 3000, beginTime, endTime });
      expect(segment.entries(0, 3000)).toEqual(entries);
      expect(find({ text: keyHash("k7"), begin: 15_000 })).toEqual(before);
    });

    it.each([1, 3, 64])("falls into %i ranges by slot, in which everything is found again", (ranges) => {
      const { segment } = get();
      segment.open();
      const rows = Array.from({ length: 2000 }, (_, at) => rowOf(`T${at % 3}`, `order-${at % 500}`, at * 100, 10_000 + at * 7));
      put(...rows);
      const groups = segment.group(ranges);
      expect(groups).toHaveLength(ranges);
      expect(groups.reduce((sum, group) => sum + group.byteLength, 0)).toBe(2000 * INDEX_ENTRY_BYTES);
      // Spread evenly enough to be worth it, although the keys are much alike.
      for (const group of groups) expect(group.byteLength).toBeLessThan((3 * 2000 * INDEX_ENTRY_BYTES) / ranges + 1000);
      for (let key = 0; key < 500; key++) {
        const text = keyHash(`order-${key}`);
        const query = { ...everything, text, key: keyHash(`T1#order-${key}`) };
        const found = [...segment.find(query)];
        expect(found.length).toBeGreaterThan(0);
        expect([...segment.findIn(groups[rangeOf(text, ranges)]!, segment.beginTime, query)]).toEqual(found);
      }
    });

    it("is filled to the last entry", () => {
      const { segment } = get();
      segment.open();
      const rows = concat(Array.from({ length: 1000 }, (_, at) => encodeRow({ key: at, text: at, position: at, time: 5 })));
      let taken = 0;
      for (let more = segment.put(rows); more > 0; more = segment.put(rows)) taken += more;
      expect(taken).toBe(65_535);
      expect(segment.count).toBe(65_535);
      expect(find({ text: 534, key: 534, max: 1000 })).toHaveLength(66);
      expect(find({ text: 535, key: 535, max: 1000 })).toHaveLength(65);
    });
  });
}
