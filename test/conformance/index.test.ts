import { beforeAll, describe, expect, it } from "vitest";
import { javaHash } from "../../src/model/hash.ts";
import { indexKeys, keyHash } from "../../src/model/index-key.ts";
import { writeInt64 } from "../../src/model/record.ts";
import type { Indexer } from "../../src/storage/indexer.ts";
import { isTimeMatched } from "../../src/storage/key-index.ts";
import { KEY_ROW_BYTES, type KeySegment, SEGMENT_SLOTS } from "../../src/storage/key-segment.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { secondsSince } from "../../src/storage/ts-key-segment.ts";
import { WasmIndexer } from "../../src/storage/wasm-indexer.ts";
import base64 from "virtual:indexer-wasm";
import table from "./data/index.json";

describe("index: hashes, keys and times", () => {
  it.each(table.keyHash)("row $id: $key", ({ key, javaHash: plain, keyHash: expected, slot5M, slot100, absSlotPos5M }) => {
    expect(javaHash(key)).toBe(plain);
    expect(keyHash(key)).toBe(expected);
    expect([keyHash(key) % 5_000_000, keyHash(key) % 100]).toEqual([slot5M, slot100]);
    expect(table.layout.headerSize + (keyHash(key) % table.layout.slots) * table.layout.slotSize).toBe(absSlotPos5M);
  });

  it.each(table.keys)("keys of $topic: $keys, $uniqKey", ({ topic, keys, uniqKey, expected }) => {
    expect(indexKeys(topic, keys, uniqKey)).toEqual(expected);
  });

  it.each(table.timeDiff)("time of $storeTimestamp after $beginTimestamp", ({ beginTimestamp, storeTimestamp, timeDiff }) => {
    expect(secondsSince(beginTimestamp, storeTimestamp)).toBe(timeDiff);
  });

  it.each(table.timeMatched)("$begin..$end in a file of $fileBegin..$fileEnd", ({ fileBegin, fileEnd, begin, end, matched }) => {
    expect(isTimeMatched({ beginTime: fileBegin, endTime: fileEnd }, { begin, end })).toBe(matched);
  });
});

/** A key as RocketMQ's index file takes it, `topic#key` or a bare one. */
function row(key: string, position: number, storeTimestamp: number): Uint8Array {
  const bytes = new Uint8Array(KEY_ROW_BYTES);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, keyHash(key));
  view.setInt32(4, textHash(key));
  writeInt64(view, 8, position);
  writeInt64(view, 16, storeTimestamp);
  return bytes;
}

function textHash(key: string): number {
  return keyHash(key.slice(key.indexOf("#") + 1));
}

const indexers: [name: string, make: () => Promise<Indexer>][] = [
  ["WASM", () => WasmIndexer.load(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)))],
  ["TypeScript", async () => new TsIndexer()],
];

describe.each(indexers)("index: puts and queries, %s", (_name, make) => {
  let segment: KeySegment;
  beforeAll(async () => void (segment = (await make()).segment));

  it.each(table.sequences)("sequence $id", ({ slots, maxEntries, puts, queries }) => {
    segment.open(slots, maxEntries);
    for (const { key, phyOffset, storeTimestamp, accepted } of puts) expect(segment.put(row(key, phyOffset, storeTimestamp))).toBe(accepted ? 1 : 0);
    for (const { key, maxNum, begin, end, expected } of queries) {
      const query = { text: textHash(key), key: keyHash(key), begin, end, before: Number.MAX_SAFE_INTEGER, max: maxNum };
      expect([...segment.find(query)]).toEqual(expected);
      // Sealed, it says the same.
      const [entries] = segment.group(1);
      expect([...segment.findIn(entries!, segment.beginTime, query)]).toEqual(expected);
    }
  });

  it.each(table.timeDiff)("times of entries: $storeTimestamp after $beginTimestamp", ({ beginTimestamp, storeTimestamp, timeDiff }) => {
    segment.open(SEGMENT_SLOTS, 10);
    segment.put(row("T#a", 1, beginTimestamp));
    segment.put(row("T#a", 2, storeTimestamp));
    const entries = segment.entries(1, 2);
    expect(new DataView(entries.buffer).getInt32(12)).toBe(timeDiff);
  });
});
