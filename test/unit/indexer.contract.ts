/** What every Indexer must do. Run for each implementation by indexer.test.ts. */
import { beforeEach, describe, expect, it } from "vitest";
import { keySegmentContract } from "./key-segment.contract.ts";
import { concat, decodeEntries, encodeEntry, encodeRecord, filler, plainCrc32, tags } from "./records.ts";
import type { RecordParts } from "./records.ts";
import { MAX_BODY_BYTES, MAX_PROPERTIES_BYTES, MAX_TOPIC_LENGTH, BLOCK_MAX_BYTES, CHUNK_MAX_BYTES } from "../../src/model/limits.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import type { Indexer, RecordFault, SealedChunk } from "../../src/storage/indexer.ts";

const MAX_PAYLOAD = CHUNK_MAX_BYTES - CHUNK_HEADER_BYTES;
const BLOCK_PAYLOAD = BLOCK_MAX_BYTES - CHUNK_HEADER_BYTES;
const ascii = (text: string) => new TextEncoder().encode(text);
const hex = (text: string) => Uint8Array.from(text.match(/[0-9a-f]{2}/g)!, (byte) => parseInt(byte, 16));

/** A record of a queue "T" (and nothing else) that is `size` bytes long. */
const sized = (size: number, seed = 1) => encodeRecord({ body: filler(size - 92, seed) });

function appendAll(indexer: Indexer, records: Uint8Array[], firstOffset = 0) {
  const table = indexer.check(concat(records));
  expect(table.fault).toBeNull();
  const queueOffset = Float64Array.from(records, (_, row) => firstOffset + row);
  return indexer.append({ queueOffset, storeTimestamp: 1_700_000_000_123, storeIp: 0x7f000001, storePort: 10911 });
}

const payloadOf = (chunks: SealedChunk[]) => concat(chunks.map((chunk) => chunk.bytes.subarray(CHUNK_HEADER_BYTES)));

function flagsOf(chunk: SealedChunk): number {
  return new DataView(chunk.bytes.buffer).getUint16(6);
}

export function indexerContract(name: string, make: () => Promise<Indexer>): void {
  describe(`${name} indexer`, () => {
    let indexer: Indexer;
    beforeEach(async () => {
      indexer = await make();
      indexer.open(0);
    });

    keySegmentContract(() => indexer);

    describe("crc32", () => {
      it("gives the known values", () => {
        expect(indexer.crc32(ascii("123456789"))).toBe(0xcbf43926);
        expect(indexer.crc32(ascii(""))).toBe(0);
        expect(indexer.crc32(ascii("a"))).toBe(0xe8b7be43);
        expect(indexer.crc32(ascii("The quick brown fox jumps over the lazy dog"))).toBe(0x414fa339);
      });

      it("agrees with a byte-wise loop at every length and alignment", () => {
        const bytes = filler(300, 7);
        for (let length = 0; length <= 100; length++) {
          for (let at = 0; at < 9; at++) {
            const part = bytes.subarray(at, at + length);
            expect(indexer.crc32(part)).toBe(plainCrc32(part));
          }
        }
        const long = filler(200_001, 8);
        expect(indexer.crc32(long)).toBe(plainCrc32(long));
      });

      it("goes on from an earlier result", () => {
        const bytes = filler(100, 3);
        for (let cut = 0; cut <= bytes.length; cut++) {
          expect(indexer.crc32(bytes.subarray(cut), indexer.crc32(bytes.subarray(0, cut)))).toBe(plainCrc32(bytes));
        }
      });
    });

    describe("check", () => {
      // totalSize 116, body "hello", topic "TopicA", properties TAGS=TagA and k=v, sent from 10.0.0.2:4242 in queue 3.
      const handWritten = hex(
        "00000074 daa320a7 3610a686 00000003 00000009 0000000000000000 0000000000000000 00000000 0000018bcfe56800" +
          "0a000002 00001092 0000000000000000 00000000 00000000 00000000 0000000000000000" +
          "00000005 68656c6c6f 06 546f70696341 000e 5441475301 54616741 02 6b01 76 02",
      );

      it("reads a record written by hand", () => {
        const table = indexer.check(handWritten);
        expect(table).toMatchObject({ count: 1, topics: ["TopicA"], fault: null });
        expect([...table.topicIndex]).toEqual([0]);
        expect([...table.queueId]).toEqual([3]);
        expect([...table.at]).toEqual([0]);
        expect([...table.size]).toEqual([116]);
        expect([...table.queueOffset]).toEqual([0]);
        expect([...table.storeTimestamp]).toEqual([0]);
        expect(table.entries).toEqual(hex("0000000000000000 00000074 0000000000 27a807"));
      });

      it("appends and stamps it in place", () => {
        indexer.open(0x1_0000_0000);
        indexer.check(handWritten);
        const appended = indexer.append({
          queueOffset: Float64Array.of(0x2_0000_0001),
          storeTimestamp: 0x18bcfe56900,
          storeIp: 0xc0a8010a,
          storePort: 10911,
        });
        expect(appended).toEqual({
          count: 1,
          position: Float64Array.of(0x1_0000_0000),
          entries: hex("0000000100000000 00000074 000000000027a807"),
          keys: new Uint8Array(0),
          bytes: 116,
        });
        const [chunk] = indexer.seal(0x3_0000_0005);
        expect(chunk!.bytes.subarray(0, 28)).toEqual(
          hex("544d5142 0001 0003 0000000300000005 0000000100000000 00000074"),
        );
        expect(chunk!.bytes.subarray(32)).toEqual(
          hex(
            "00000074 daa320a7 3610a686 00000003 00000009 0000000200000001 0000000100000000 00000000 0000018bcfe56800" +
              "0a000002 00001092 0000018bcfe56900 c0a8010a 00002a9f 00000000 0000000000000000" +
              "00000005 68656c6c6f 06 546f70696341 000e 5441475301 54616741 02 6b01 76 02",
          ),
        );
      });

      // conformance/message_id.json, recordSize, version 1
      it.each([
        [0, 1, 0, 92],
        [4, 1, 0, 96],
        [10, 9, 50, 160],
        [100, 127, 200, 518],
        [4_194_304, 1, 0, 4_194_396],
      ])("a body of %i, a topic of %i and properties of %i bytes make %i", (body, topic, properties, size) => {
        const record = encodeRecord({ body: filler(body, 1), topic: "t".repeat(topic), properties: "p".repeat(properties) });
        const table = indexer.check(record);
        expect(table.fault).toBeNull();
        expect([...table.size]).toEqual([size]);
      });

      it("accepts no records at all", () => {
        const table = indexer.check(new Uint8Array(0));
        expect(table).toMatchObject({ count: 0, topics: [], fault: null });
        expect(table.entries.length).toBe(0);
        expect(indexer.append({ queueOffset: new Float64Array(0), storeTimestamp: 1, storeIp: 0, storePort: 0 })).toEqual({
          count: 0,
          position: new Float64Array(0),
          entries: new Uint8Array(0),
          keys: new Uint8Array(0),
          bytes: 0,
        });
      });

      it("numbers distinct topics by first appearance", () => {
        const topics = ["b", "a", "b", "\ufeffa", "ab", "a", "日本", "b"];
        const table = indexer.check(concat(topics.map((topic) => encodeRecord({ topic }))));
        expect(table.topics).toEqual(["b", "a", "\ufeffa", "ab", "日本"]);
        expect([...table.topicIndex]).toEqual([0, 1, 0, 2, 3, 1, 4, 0]);
      });

      it("keeps thousands of topics apart", () => {
        const topics = Array.from({ length: 3000 }, (_, row) => `topic${row}`);
        const table = indexer.check(concat([...topics, ...topics].map((topic) => encodeRecord({ topic }))));
        expect(table.topics).toEqual(topics);
        expect(table.topicIndex[5999]).toBe(2999);
      });

      it("gives entries the positions the records would get", () => {
        indexer.open(1000);
        appendAll(indexer, [sized(100)]);
        const table = indexer.check(concat([sized(93), sized(94), sized(95)]));
        expect(decodeEntries(table.entries).map((entry) => entry.position)).toEqual([1100n, 1193n, 1287n]);
      });

      // conformance/tag_hash.json
      it.each([
        ["TagA", 2598919n],
        ["TagC", 2598921n],
        ["Tag2", 2598904n],
        ["Aa", 2112n],
        ["AaAa", 2031744n],
        ["AaBB", 2031744n],
        ["order_created", 848461559n],
        ["a b", 94307n],
        ["ярлык", 1052132185n],
        ["0", 48n],
        ["~!@#", 3787398n],
        ["\u0000", 0n],
        ["d", 100n],
        ["polygenelubricants", -2147483648n],
        ["😀", 1772899n],
      ])("hashes the tag %s to %i", (tag, code) => {
        const { entries } = indexer.check(encodeRecord({ properties: `k\u0001v\u0002${tags(tag)}z\u0001z\u0002` }));
        expect(decodeEntries(entries)[0]!.tagCode).toBe(code);
      });

      it.each([
        ["", 0n],
        ["TAGS\u0001a", 97n],
        ["TAGS\u0001a\u0002TAGS\u0001b\u0002", 98n],
        ["TAGS\u0001a\u0002TAGS\u0001\u0002", 97n],
        ["TAGS\u0001a\u0002TAGS\u0002", 97n],
        ["TAGS", 0n],
        ["TAGS\u0001", 0n],
        ["TAGSa\u0002", 0n],
        ["\u0001TAGS\u0001a\u0002", 0n],
        ["\u0002\u0002TAGS\u0001a\u0002", 97n],
        ["XTAGS\u0001a\u0002", 0n],
        ["tags\u0001a\u0002", 0n],
        ["k\u0001TAGS\u0001a\u0002", 0n],
        ["TAGS\u0001\u0001\u0002", 1n],
        ["TAGS\u0001a\u0001\u0002", 3008n],
      ])("reads the tag of the properties %j", (properties, code) => {
        const { entries } = indexer.check(encodeRecord({ properties }));
        expect(decodeEntries(entries)[0]!.tagCode).toBe(code);
      });

      const faults: [string, RecordParts, RecordFault][] = [
        ["totalSize 91", { totalSize: 91 }, "BAD_LENGTH"],
        ["a negative totalSize", { totalSize: -1 }, "BAD_LENGTH"],
        ["a totalSize beyond any record", { totalSize: 4_227_290 }, "BAD_LENGTH"],
        ["the longest totalSize", { totalSize: 4_227_289 }, "TRUNCATED"],
        ["totalSize one too long", { totalSize: 93 }, "TRUNCATED"],
        ["a v2 magic", { magic: -626843477 }, "BAD_MAGIC"],
        ["a blank magic", { magic: -875286124, sysFlag: 0x10 }, "BAD_MAGIC"],
        ["an IPv6 bornHost", { sysFlag: 0x10 }, "BAD_LENGTH"],
        ["an IPv6 storeHost", { sysFlag: 0x20, queueId: -1 }, "BAD_LENGTH"],
        ["no topic", { topic: "", body: ascii("x") }, "BAD_LENGTH"],
        ["a long topic", { topic: "t".repeat(MAX_TOPIC_LENGTH + 1) }, "BAD_LENGTH"],
        ["a negative queueId", { queueId: -1, bodyCrc: 1 }, "BAD_NUMBER"],
        ["a negative queueOffset", { queueOffset: -1n }, "BAD_NUMBER"],
        ["queueOffset 2^53", { queueOffset: 2n ** 53n }, "BAD_NUMBER"],
        ["a wrong CRC", { bodyCrc: 1, topic: Uint8Array.of(0xff) }, "BAD_CRC"],
        ["an unmasked CRC", { body: ascii("123456789"), bodyCrc: 0xcbf43926 | 0 }, "BAD_CRC"],
        ["a topic that is no text", { topic: Uint8Array.of(0xff) }, "BAD_TEXT"],
        ["properties that are no text", { properties: Uint8Array.of(0x61, 0xc3) }, "BAD_TEXT"],
        ["too long properties", { properties: "p".repeat(MAX_PROPERTIES_BYTES + 1) }, "BAD_LENGTH"],
        ["a too long body", { body: new Uint8Array(MAX_BODY_BYTES + 1) }, "BAD_LENGTH"],
      ];
      it.each(faults)("stops at %s", (_, parts, reason) => {
        const good = encodeRecord({ topic: "good" });
        const table = indexer.check(concat([good, encodeRecord(parts)]));
        expect(table).toMatchObject({ count: 1, topics: ["good"], fault: { at: good.length, reason } });
      });

      it("does not take lengths that do not add up", () => {
        for (const [at, value] of [[84, 1], [84, -1], [84, 0x7fffffff], [88, 2], [88, 255], [90, 1], [91, 1]] as const) {
          const record = encodeRecord();
          const view = new DataView(record.buffer);
          if (at === 84) view.setInt32(at, value);
          else view.setUint8(at, value);
          expect(indexer.check(record).fault).toEqual({ at: 0, reason: "BAD_LENGTH" });
        }
      });

      it("takes every part at its limit", () => {
        const table = indexer.check(
          encodeRecord({
            body: filler(MAX_BODY_BYTES, 1),
            topic: "t".repeat(MAX_TOPIC_LENGTH),
            properties: "p".repeat(MAX_PROPERTIES_BYTES),
            queueId: 0x7fffffff,
            queueOffset: 2n ** 53n - 1n,
            storeTimestamp: -5n,
          }),
        );
        expect(table.fault).toBeNull();
        expect([...table.size]).toEqual([4_227_289]);
        expect([...table.queueOffset]).toEqual([2 ** 53 - 1]);
        expect([...table.storeTimestamp]).toEqual([-5]);
      });

      it("names every truncation", () => {
        const frame = concat([encodeRecord(), encodeRecord({ body: ascii("body") })]);
        for (let length = 0; length < frame.length; length++) {
          const { count, fault } = indexer.check(frame.subarray(0, length));
          expect(count).toBe(length < 92 ? 0 : 1);
          if (length === 0 || length === 92) expect(fault).toBeNull();
          else expect(fault).toEqual({ at: length < 92 ? 0 : 92, reason: "TRUNCATED" });
        }
      });

      it.each([
        ["c2a2", true], ["e0a080", true], ["ed9fbf", true], ["ee8080", true], ["f0908080", true], ["f48fbfbf", true], ["efbbbf", true],
        ["80", false], ["c0af", false], ["c1bf", false], ["e09fbf", false], ["eda080", false], ["edbfbf", false], ["f08fbfbf", false],
        ["f4908080", false], ["f5808080", false], ["ff", false], ["c2", false], ["e0a0", false], ["f09080", false], ["c261", false],
        ["e0a061", false], ["f0908061", false],
      ])("UTF-8 %s: %s", (bytes, valid) => {
        for (const prefix of ["", "1234567", "12345678"]) {
          const text = concat([ascii(prefix), hex(bytes)]);
          const expected = valid ? null : { at: 0, reason: "BAD_TEXT" };
          expect(indexer.check(encodeRecord({ topic: text })).fault).toEqual(expected);
          expect(indexer.check(encodeRecord({ properties: text })).fault).toEqual(expected);
        }
      });

      it("does not read on in memory that a longer frame left behind", () => {
        indexer.check(concat([sized(300), sized(300)]));
        expect(indexer.check(sized(300).subarray(0, 299)).fault).toEqual({ at: 0, reason: "TRUNCATED" });
      });
    });

    describe("append", () => {
      it("closes the gaps that left-out records leave", () => {
        indexer.open(500);
        const parts = ["a", "b", "c", "d"].map((tag, row) => ({ body: filler(10 * row, row), properties: tags(tag) }));
        indexer.check(concat(parts.map((part) => encodeRecord(part))));
        const appended = indexer.append({
          keep: Uint8Array.of(0, 1, 0, 255),
          queueOffset: Float64Array.of(NaN, 7, NaN, 8),
          storeTimestamp: 9,
          storeIp: -1,
          storePort: 65535,
        });
        const stamp = { storeTimestamp: 9n, storeIp: -1, storePort: 65535 };
        const first = encodeRecord({ ...parts[1]!, ...stamp, queueOffset: 7n, physicalOffset: 500n });
        const second = encodeRecord({ ...parts[3]!, ...stamp, queueOffset: 8n, physicalOffset: 500n + BigInt(first.length) });
        expect(appended.count).toBe(2);
        expect([...appended.position]).toEqual([500, 500 + first.length]);
        expect(decodeEntries(appended.entries)).toEqual([
          { position: 500n, size: first.length, tagCode: 98n },
          { position: 500n + BigInt(first.length), size: second.length, tagCode: 100n },
        ]);
        expect(appended.bytes).toBe(first.length + second.length);
        expect(indexer.openBytes).toBe(appended.bytes);
        expect(indexer.position).toBe(500 + appended.bytes);
        expect(payloadOf(indexer.seal(1))).toEqual(concat([first, second]));
      });

      it("takes the records before a fault", () => {
        indexer.check(concat([sized(100), sized(101), Uint8Array.of(1, 2, 3)]));
        const appended = indexer.append({ queueOffset: Float64Array.of(0, 1), storeTimestamp: 1, storeIp: 0, storePort: 0 });
        expect(appended.count).toBe(2);
        expect(indexer.openBytes).toBe(201);
      });

      it("may leave out everything", () => {
        indexer.check(sized(100));
        const stamps = { keep: Uint8Array.of(0), queueOffset: Float64Array.of(0), storeTimestamp: 1, storeIp: 0, storePort: 0 };
        expect(indexer.append(stamps)).toMatchObject({ count: 0, bytes: 0 });
        expect(indexer.position).toBe(0);
        expect(indexer.seal(1)).toEqual([]);
      });

      it("is callable once a check, and not after open", () => {
        const stamps = { queueOffset: Float64Array.of(0), storeTimestamp: 1, storeIp: 0, storePort: 0 };
        expect(() => indexer.append(stamps)).toThrow("check");
        indexer.check(sized(100));
        indexer.append(stamps);
        expect(() => indexer.append(stamps)).toThrow("check");
        indexer.check(sized(100));
        indexer.open(0);
        expect(() => indexer.append(stamps)).toThrow("check");
      });

      it("refuses stamps that no record could carry, and changes nothing", () => {
        const stamps = { queueOffset: Float64Array.of(0, 1), storeTimestamp: 1, storeIp: 0, storePort: 0 };
        indexer.check(concat([sized(100), sized(100)]));
        expect(() => indexer.append({ ...stamps, queueOffset: Float64Array.of(0) })).toThrow(RangeError);
        expect(() => indexer.append({ ...stamps, queueOffset: Float64Array.of(0, -1) })).toThrow(RangeError);
        expect(() => indexer.append({ ...stamps, queueOffset: Float64Array.of(0.5, 1) })).toThrow(RangeError);
        expect(() => indexer.append({ ...stamps, keep: Uint8Array.of(1) })).toThrow(RangeError);
        expect(() => indexer.append({ ...stamps, storeTimestamp: NaN })).toThrow(RangeError);
        expect(indexer.openBytes).toBe(0);
        expect(indexer.append(stamps).count).toBe(2);
      });

      it("keeps its frame through other calls, also a seal", () => {
        appendAll(indexer, [sized(200, 1)]);
        const table = indexer.check(concat([sized(300, 2), sized(400, 3)]));
        const before = structuredClone(table);
        indexer.scan(filler(500_000, 4), 0);
        indexer.crc32(filler(100_000, 5));
        indexer.match(new Uint8Array(2000), Int32Array.of(1, 2), 5);
        const first = indexer.seal(1);
        expect(first.map((chunk) => chunk.bytes.length)).toEqual([232]);
        indexer.scan(filler(500_000, 6), 0);
        indexer.append({ queueOffset: Float64Array.of(1, 2), storeTimestamp: 5, storeIp: 6, storePort: 7 });
        const second = indexer.seal(2);
        expect(second.map((chunk) => chunk.position)).toEqual([200]);
        const stamp = { storeTimestamp: 5n, storeIp: 6, storePort: 7 };
        expect(payloadOf(second)).toEqual(
          concat([
            encodeRecord({ body: filler(208, 2), ...stamp, queueOffset: 1n, physicalOffset: 200n }),
            encodeRecord({ body: filler(308, 3), ...stamp, queueOffset: 2n, physicalOffset: 500n }),
          ]),
        );
        expect(table).toEqual(before);
      });

      it("does not see what the caller does to the frame or the table afterwards", () => {
        const frame = encodeRecord({ properties: tags("a") });
        const table = indexer.check(frame);
        frame.fill(0);
        table.entries.fill(0);
        table.size.fill(0);
        const appended = indexer.append({ queueOffset: Float64Array.of(0), storeTimestamp: 0, storeIp: 0, storePort: 0 });
        expect(decodeEntries(appended.entries)).toEqual([{ position: 0n, size: 99, tagCode: 97n }]);
        expect(payloadOf(indexer.seal(1))).toEqual(encodeRecord({ properties: tags("a") }));
      });

      it("holds an open log of many megabytes", () => {
        const record = sized(1 << 20);
        for (let i = 0; i < 12; i++) appendAll(indexer, [record], i);
        expect(indexer.openBytes).toBe(12 << 20);
        const chunks = indexer.seal(1);
        const table = indexer.scan(payloadOf(chunks), 0);
        expect(table.fault).toBeNull();
        expect([...table.queueOffset]).toEqual([...Array(12).keys()]);
      });
    });

    describe("seal", () => {
      it("gives nothing for an empty log", () => {
        expect(indexer.seal(1)).toEqual([]);
      });

      it("fills chunks with whole records", () => {
        indexer.open(77);
        const half = MAX_PAYLOAD / 2;
        const sizes = [half, half, half, half - 100, 100, 92, MAX_PAYLOAD, 92];
        appendAll(indexer, sizes.map((size, row) => sized(size, row)));
        const chunks = indexer.seal(1);
        expect(chunks.map((chunk) => chunk.bytes.length - CHUNK_HEADER_BYTES)).toEqual([
          MAX_PAYLOAD, MAX_PAYLOAD, 92, MAX_PAYLOAD, 92,
        ]);
        expect(chunks.map(flagsOf)).toEqual([3, 3, 3, 3, 3]);
        let position = 77;
        for (const chunk of chunks) {
          expect(chunk.position).toBe(position);
          position += chunk.bytes.length - CHUNK_HEADER_BYTES;
        }
        expect(indexer.openBytes).toBe(0);
        expect(indexer.position).toBe(position);
      });

      it("spreads a long record over chunks of its own", () => {
        const sizes = [92, MAX_PAYLOAD * 2 + 1, 92, MAX_PAYLOAD + 1, MAX_PAYLOAD * 2];
        appendAll(indexer, sizes.map((size, row) => sized(size, row)));
        const chunks = indexer.seal(1);
        expect(chunks.map((chunk) => [chunk.bytes.length - CHUNK_HEADER_BYTES, flagsOf(chunk)])).toEqual([
          [92, 3],
          [MAX_PAYLOAD, 1], [MAX_PAYLOAD, 0], [1, 2],
          [92, 3],
          [MAX_PAYLOAD, 1], [1, 2],
          [MAX_PAYLOAD, 1], [MAX_PAYLOAD, 2],
        ]);
        expect(indexer.scan(payloadOf(chunks), 0)).toMatchObject({ count: 5, fault: null });
      });

      it("fills blocks as long as there is enough for one", () => {
        const eighth = BLOCK_PAYLOAD / 8;
        appendAll(indexer, Array.from({ length: 17 }, (_, row) => sized(eighth, row)));
        const chunks = indexer.seal(1);
        expect(chunks.map((chunk) => [chunk.bytes.length - CHUNK_HEADER_BYTES, flagsOf(chunk)])).toEqual([
          [BLOCK_PAYLOAD, 3], [BLOCK_PAYLOAD, 3], [MAX_PAYLOAD, 1], [MAX_PAYLOAD, 0], [eighth - 2 * MAX_PAYLOAD, 2],
        ]);
        expect(indexer.scan(payloadOf(chunks), 0)).toMatchObject({ count: 17, fault: null });
      });

      it("spreads a record longer than a block over blocks, and its end over chunks", () => {
        const sizes = [92, BLOCK_PAYLOAD * 2 + MAX_PAYLOAD + 1, 92];
        appendAll(indexer, sizes.map((size, row) => sized(size, row)));
        const chunks = indexer.seal(1);
        expect(chunks.map((chunk) => [chunk.bytes.length - CHUNK_HEADER_BYTES, flagsOf(chunk)])).toEqual([
          [92, 3], [BLOCK_PAYLOAD, 1], [BLOCK_PAYLOAD, 0], [MAX_PAYLOAD, 0], [1, 2], [92, 3],
        ]);
        expect(indexer.scan(payloadOf(chunks), 0)).toMatchObject({ count: 3, fault: null });
      });

      it("gives every chunk a buffer of its own, which later calls leave alone", () => {
        appendAll(indexer, [sized(40_000), sized(40_000)]);
        const chunks = indexer.seal(1);
        const before = chunks.map((chunk) => chunk.bytes.slice());
        for (const chunk of chunks) expect(chunk.bytes.buffer.byteLength).toBe(chunk.bytes.length);
        appendAll(indexer, [sized(40_000, 9), sized(40_000, 9), sized(2_000_000)]);
        indexer.seal(2);
        expect(chunks.map((chunk) => chunk.bytes)).toEqual(before);
      });

      it("goes on at the same position", () => {
        appendAll(indexer, [sized(100)]);
        const first = indexer.seal(1);
        appendAll(indexer, [sized(101)], 1);
        const second = indexer.seal(1);
        expect(second[0]!.position).toBe(100);
        expect(indexer.scan(payloadOf([...first, ...second]), 0)).toMatchObject({ count: 2, fault: null });
      });
    });

    describe("openChunk", () => {
      it("opens what seal made", () => {
        const far = Number.MAX_SAFE_INTEGER - 100_000;
        indexer.open(far);
        appendAll(indexer, [sized(100), sized(70_000)]);
        const epoch = Number.MAX_SAFE_INTEGER;
        const chunks = indexer.seal(epoch);
        const shapes = [{ starts: true, ends: true }, { starts: true, ends: false }, { starts: false, ends: true }];
        chunks.forEach(({ bytes, position }, row) => {
          expect(indexer.openChunk(bytes, position)).toEqual({
            ok: true, epoch, position, ...shapes[row]!, payload: bytes.subarray(CHUNK_HEADER_BYTES),
          });
        });
        const opened = indexer.openChunk(chunks[0]!.bytes, far);
        expect(opened.ok && opened.payload.buffer).toBe(chunks[0]!.bytes.buffer);
      });

      it("opens a row in the middle of a buffer", () => {
        appendAll(indexer, [sized(100)]);
        const { bytes } = indexer.seal(4)[0]!;
        const around = concat([filler(3, 1), bytes, filler(5, 2)]).subarray(3, 3 + bytes.length);
        expect(indexer.openChunk(around, 0)).toMatchObject({ ok: true, epoch: 4, payload: bytes.subarray(32) });
      });

      it("says what is wrong", () => {
        indexer.open(1000);
        appendAll(indexer, [sized(100)]);
        const { bytes } = indexer.seal(1)[0]!;
        const reason = (row: Uint8Array, position = 1000) => {
          const opened = indexer.openChunk(row, position);
          return opened.ok ? null : opened.reason;
        };
        const withByte = (at: number, value: number) => {
          const row = bytes.slice();
          row[at] = value;
          return row;
        };
        expect(reason(bytes)).toBeNull();
        expect(reason(new Uint8Array(0))).toBe("TRUNCATED");
        expect(reason(bytes, 0)).toBe("BAD_POSITION");
        expect(reason(bytes, 1000.5)).toBe("BAD_POSITION");
        expect(reason(withByte(0, 0))).toBe("BAD_MAGIC");
        expect(reason(withByte(5, 2))).toBe("BAD_VERSION");
        expect(reason(withByte(7, 1))).toBe("BAD_CRC");
        expect(reason(withByte(15, 9))).toBe("BAD_CRC");
        expect(reason(withByte(23, 0))).toBe("BAD_CRC");
        expect(reason(withByte(24, 1))).toBe("BAD_LENGTH");
        expect(reason(withByte(24, 255))).toBe("BAD_LENGTH");
        expect(reason(withByte(27, 0))).toBe("BAD_LENGTH");
        expect(reason(withByte(27, 99))).toBe("BAD_LENGTH");
        expect(reason(withByte(27, 101))).toBe("TRUNCATED");
        expect(reason(concat([bytes, Uint8Array.of(0)]))).toBe("BAD_LENGTH");
        const empty = bytes.slice(0, CHUNK_HEADER_BYTES);
        empty.fill(0, 24, 28);
        new DataView(empty.buffer).setUint32(28, plainCrc32(empty.subarray(0, 28)));
        expect(reason(empty)).toBe("BAD_LENGTH");
        expect(reason(concat([bytes, new Uint8Array(1_000_000)]))).toBe("BAD_LENGTH");
      });

      it("detects every flipped bit and every truncation", () => {
        indexer.open(12345);
        appendAll(indexer, [
          encodeRecord({ body: ascii("first"), properties: tags("a") }),
          encodeRecord({ topic: "orders" }),
          encodeRecord({ body: ascii("third"), topic: "日本" }),
        ]);
        const { bytes } = indexer.seal(3)[0]!;
        const missed: number[] = [];
        for (let bit = 0; bit < bytes.length * 8; bit++) {
          bytes[bit >> 3]! ^= 1 << (bit & 7);
          if (indexer.openChunk(bytes, 12345).ok) missed.push(bit);
          bytes[bit >> 3]! ^= 1 << (bit & 7);
        }
        for (let length = 0; length < bytes.length; length++) {
          if (indexer.openChunk(bytes.subarray(0, length), 12345).ok) missed.push(-length);
        }
        expect(missed).toEqual([]);
        expect(indexer.openChunk(bytes, 12345).ok).toBe(true);
      });
    });

    describe("scan", () => {
      it("reads back what was appended", () => {
        indexer.open(5_000_000_000);
        appendAll(indexer, [encodeRecord({ queueId: 1 }), encodeRecord({ queueId: 2, topic: "U", properties: tags("a") })], 40);
        const table = indexer.scan(payloadOf(indexer.seal(1)), 5_000_000_000);
        expect(table).toMatchObject({ count: 2, topics: ["T", "U"], fault: null });
        expect([...table.queueId]).toEqual([1, 2]);
        expect([...table.queueOffset]).toEqual([40, 41]);
        expect([...table.storeTimestamp]).toEqual([1_700_000_000_123, 1_700_000_000_123]);
        expect(decodeEntries(table.entries)).toEqual([
          { position: 5_000_000_000n, size: 92, tagCode: 0n },
          { position: 5_000_000_092n, size: 99, tagCode: 97n },
        ]);
      });

      it("refuses a record that stands elsewhere", () => {
        const records = concat([encodeRecord({ physicalOffset: 10n }), encodeRecord({ physicalOffset: 103n })]);
        expect(indexer.scan(records, 10).fault).toEqual({ at: 92, reason: "BAD_POSITION" });
        expect(indexer.scan(records, 11).fault).toEqual({ at: 0, reason: "BAD_POSITION" });
        const wrong = { bodyCrc: 1, physicalOffset: 1n };
        expect(indexer.scan(encodeRecord(wrong), 2).fault?.reason).toBe("BAD_POSITION");
        expect(indexer.scan(encodeRecord({ ...wrong, queueId: -1 }), 2).fault?.reason).toBe("BAD_NUMBER");
        expect(indexer.scan(encodeRecord({ physicalOffset: -1n }), 0).fault?.reason).toBe("BAD_POSITION");
      });

      it("leaves the open log alone", () => {
        appendAll(indexer, [sized(100, 1)]);
        indexer.scan(filler(3_000_000, 2), 0);
        indexer.scan(sized(100, 3), 0);
        expect(indexer.openBytes).toBe(100);
        const [chunk] = indexer.seal(1);
        expect(chunk!.bytes.subarray(32 + 88, 32 + 96)).toEqual(filler(8, 1));
      });

      it("gives tables that later calls leave alone", () => {
        const table = indexer.scan(concat([encodeRecord(), encodeRecord({ physicalOffset: 92n })]), 0);
        const before = structuredClone(table);
        indexer.scan(filler(100_000, 1), 0);
        indexer.check(concat([sized(1000), sized(5_000_000 - 1_000_000)]));
        expect(table).toEqual(before);
      });
    });

    describe("match", () => {
      const entries = concat([
        encodeEntry(0n, 100, 5n),
        encodeEntry(100n, 0, 5n),
        encodeEntry(100n, 100, -7n),
        encodeEntry(200n, 100, 0n),
        encodeEntry(300n, 100, 5n),
        encodeEntry(400n, -1, 5n),
        encodeEntry(500n, 100, 2n ** 32n + 5n),
        encodeEntry(600n, 100, -(2n ** 63n)),
      ]);
      const run = (codes: number[] | null, max: number) => {
        const { found, scanned } = indexer.match(entries, codes && Int32Array.from(codes), max);
        return [[...found], scanned];
      };

      it("finds codes", () => {
        expect(run([5], 100)).toEqual([[0, 4], 8]);
        expect(run([-7, 0], 100)).toEqual([[2, 3], 8]);
        expect(run([5, 5, -7, 1, 2, 3, 4, 6, 7], 100)).toEqual([[0, 2, 4], 8]);
        expect(run([], 100)).toEqual([[], 8]);
        expect(run([-2147483648], 100)).toEqual([[], 8]);
      });

      it("finds everything but holes without codes", () => {
        expect(run(null, 100)).toEqual([[0, 2, 3, 4, 6, 7], 8]);
      });

      it("stops at max", () => {
        expect(run([5], 1)).toEqual([[0], 1]);
        expect(run([5], 2)).toEqual([[0, 4], 5]);
        expect(run(null, 5)).toEqual([[0, 2, 3, 4, 6], 7]);
        expect(run(null, 0)).toEqual([[], 0]);
        expect(indexer.match(new Uint8Array(0), null, 5)).toEqual({ found: new Int32Array(0), scanned: 0 });
      });

      it("takes many codes and many entries", () => {
        const codes = Int32Array.from({ length: 256 }, (_, row) => row * 0x01000000);
        const many = concat(Array.from({ length: 8192 }, (_, row) => encodeEntry(0n, 1, BigInt((row % 512) * 0x00800000 | 0))));
        const expected = Array.from({ length: 8192 }, (_, row) => row).filter((row) => row % 2 === 0);
        expect([...indexer.match(many, codes, 8192).found]).toEqual(expected);
      });
    });
  });
}
