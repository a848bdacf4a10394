/** Holds the WASM indexer and its TypeScript twin together: the same calls give the same results, byte for byte. */
import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { encodeRow } from "./key-segment.contract.ts";
import { concat, encodeEntry, encodeRecord, filler } from "./records.ts";
import { BLOCK_MAX_BYTES, CHUNK_MAX_BYTES } from "../../src/model/limits.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import type { Indexer, SealedChunk } from "../../src/storage/indexer.ts";
import type { KeySegment } from "../../src/storage/key-segment.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { WasmIndexer } from "../../src/storage/wasm-indexer.ts";
import base64 from "virtual:indexer-wasm";

let wasm: Indexer;
const twin: Indexer = new TsIndexer();
beforeAll(async () => {
  wasm = await WasmIndexer.load(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)));
});

function openBoth(position: number): void {
  wasm.open(position);
  twin.open(position);
}

/** Makes one call of both and returns the result they agree on. */
function both<T>(call: (indexer: Indexer) => T): T {
  const result = call(wasm);
  const expected = call(twin);
  // The fast comparison first: a message with the difference is only needed when there is one.
  if (!isDeepStrictEqual(result, expected)) expect(result).toEqual(expected);
  if (!isDeepStrictEqual([wasm.position, wasm.openBytes], [twin.position, twin.openBytes])) {
    expect([wasm.position, wasm.openBytes]).toEqual([twin.position, twin.openBytes]);
  }
  return result;
}

const payloadOf = (chunks: SealedChunk[]) => concat(chunks.map((chunk) => chunk.bytes.subarray(CHUNK_HEADER_BYTES)));

// Records
const anyText = fc.string({ unit: "binary", maxLength: 12 });
const topic = fc.oneof(
  fc.constantFrom("orders", "jobs", "rmq_sys_wheel_timer", "%RETRY%group", "日本", "t".repeat(127)),
  fc.string({ unit: "binary", minLength: 1, maxLength: 20 }),
);
const properties = fc.oneof(
  fc.constant(""),
  fc.tuple(anyText, fc.string({ unit: fc.constantFrom("a", "b", " ", "é", "日", "😀", "1"), maxLength: 30 })).map(
    ([id, keys]) => `UNIQ_KEY\u0001${id}\u0002KEYS\u0001${keys}\u0002`,
  ),
  anyText.map((tag) => `UNIQ_KEY\u00017F0000010001\u0002TAGS\u0001${tag}\u0002`),
  fc
    .array(fc.oneof(fc.constantFrom("TAGS", "KEYS", "KEYS\u0001", "UNIQ_KEY", "UNIQ_KEY\u0001", "TIMER_OUT_MS\u0001", "TIMER_OUT_MS", "1700000000123", " ", "\u0001", "\u0002", "TAGS\u0001", "\u0002TAGS\u0001", "TAG", "S", "", "a", "é", "😀"), anyText), {
      maxLength: 12,
    })
    .map((parts) => parts.join("")),
  fc.integer({ min: 0, max: 8000 }).map((length) => `pad\u0001${"x".repeat(length)}\u0002TAGS\u0001last\u0002`),
);
const body = fc
  .record({
    length: fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 0, max: 300 }) },
      { weight: 4, arbitrary: fc.integer({ min: 0, max: 20_000 }) },
      { weight: 1, arbitrary: fc.integer({ min: CHUNK_MAX_BYTES - 400, max: 200 * 1024 }) },
    ),
    seed: fc.integer(),
  })
  .map(({ length, seed }) => filler(length, seed));
const int64 = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: 0n, max: 2n ** 53n }));
const record = fc
  .record({
    topic,
    properties,
    body,
    queueId: fc.nat(),
    flag: fc.integer(),
    queueOffset: fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
    physicalOffset: int64,
    sysFlag: fc.integer().map((flags) => flags & ~0x30),
    bornTimestamp: int64,
    storeTimestamp: int64,
  })
  .map((parts) => encodeRecord(parts));
const records = fc.array(record, { maxLength: 12 });
const position = fc.oneof(fc.constant(0), fc.nat(), fc.integer({ min: 0, max: 2 ** 52 }));
const epoch = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

// Damage
type Damage = (bytes: Uint8Array) => Uint8Array;
/** A place: mostly near the start, where the fields are, and now and then anywhere. */
const place = fc.oneof(fc.nat({ max: 120 }), fc.nat({ max: 1_000_000 }));
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.tuple(place, fc.nat({ max: 7 })).map(([at, bit]): Damage => (bytes) => {
    const damaged = new Uint8Array(bytes);
    if (bytes.length > 0) damaged[at % bytes.length]! ^= 1 << bit;
    return damaged;
  }),
  fc.tuple(place, fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)).map(([at, value]): Damage => (bytes) => {
    const damaged = new Uint8Array(bytes);
    if (bytes.length > 0) damaged[at % bytes.length] = value;
    return damaged;
  }),
  place.map((at): Damage => (bytes) => bytes.slice(0, at % (bytes.length + 1))),
  fc.tuple(place, fc.nat({ max: 40 })).map(([at, length]): Damage => (bytes) => {
    const from = at % (bytes.length + 1);
    return concat([bytes.subarray(0, from), bytes.subarray(from + length)]);
  }),
  fc.tuple(place, fc.uint8Array({ maxLength: 40 })).map(([at, extra]): Damage => (bytes) => {
    const from = at % (bytes.length + 1);
    return concat([bytes.subarray(0, from), extra, bytes.subarray(from)]);
  }),
  fc.tuple(place, place, fc.integer({ min: 1, max: 64 })).map(([one, other, length]): Damage => (bytes) => {
    const damaged = new Uint8Array(bytes);
    const from = one % (bytes.length + 1);
    const to = other % (bytes.length + 1);
    damaged.set(bytes.subarray(from, Math.min(from + length, bytes.length - Math.max(0, to - from))), to);
    return damaged;
  }),
);
const damages = fc.array(damage, { minLength: 1, maxLength: 3 });
const damaged = (bytes: Uint8Array, how: Damage[]) => how.reduce((result, one) => one(result), bytes);

/** Stamps for as many records as a frame may hold here. */
const stamping = fc.record({
  keep: fc.option(fc.uint8Array({ minLength: 16, maxLength: 16, max: 3 }), { nil: undefined }),
  firstOffset: fc.integer({ min: 0, max: 2 ** 53 - 100 }),
  storeTimestamp: fc.integer({ min: 0, max: 2 ** 48 }),
  storeIp: fc.integer(),
  storePort: fc.nat({ max: 65535 }),
});
type Stamping = typeof stamping extends fc.Arbitrary<infer T> ? T : never;

function append(indexer: Indexer, { keep, firstOffset, ...rest }: Stamping) {
  const queueOffset = Float64Array.from({ length: 16 }, (_, row) => firstOffset + row);
  return indexer.append({ ...rest, queueOffset, ...(keep && { keep }) });
}

describe("the WASM indexer and its twin", () => {
  it("agree on CRCs", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }), (bytes, seed) => {
        both((indexer) => indexer.crc32(bytes, seed));
      }),
    );
  });

  it("agree on valid frames, from check to scan", () => {
    const rounds = fc.array(fc.tuple(records, stamping), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(position, rounds, epoch, (start, frames, writer) => {
        openBoth(start);
        let kept = 0;
        for (const [frame, stamps] of frames) {
          const bytes = concat(frame);
          const checked = both((indexer) => indexer.check(bytes));
          expect(checked.count).toBe(frame.length);
          expect(checked.fault).toBeNull();
          kept += both((indexer) => append(indexer, stamps)).count;
        }
        const chunks = both((indexer) => indexer.seal(writer));
        let at = start;
        for (const chunk of chunks) {
          expect(chunk.position).toBe(at);
          expect(chunk.bytes.length).toBeLessThanOrEqual(BLOCK_MAX_BYTES);
          const opened = both((indexer) => indexer.openChunk(chunk.bytes, chunk.position));
          expect(opened).toMatchObject({ ok: true, epoch: writer, position: at });
          at += chunk.bytes.length - CHUNK_HEADER_BYTES;
        }
        const payload = payloadOf(chunks);
        const table = both((indexer) => indexer.scan(payload, start));
        expect(table.count).toBe(kept);
        expect(table.fault).toBeNull();
      }),
      { numRuns: 150 },
    );
  });

  it("cut a commit that fills blocks alike", () => {
    const size = fc.oneof(fc.integer({ min: 92, max: 3000 }), fc.integer({ min: 92, max: 300_000 }), fc.integer({ min: 92, max: 2 * BLOCK_MAX_BYTES + 99_999 }));
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 16 }), fc.integer(), position, (sizes, seed, start) => {
        openBoth(start);
        const bytes = concat(sizes.map((length, row) => encodeRecord({ body: filler(length - 92, seed + row) })));
        both((indexer) => indexer.check(bytes));
        both((indexer) => append(indexer, { keep: undefined, firstOffset: 0, storeTimestamp: 1, storeIp: 1, storePort: 1 }));
        const chunks = both((indexer) => indexer.seal(1));
        let left = bytes.length;
        for (const chunk of chunks) {
          const payload = chunk.bytes.length - CHUNK_HEADER_BYTES;
          expect(chunk.bytes.length).toBeLessThanOrEqual(left + CHUNK_HEADER_BYTES >= BLOCK_MAX_BYTES ? BLOCK_MAX_BYTES : CHUNK_MAX_BYTES);
          left -= payload;
        }
        expect(left).toBe(0);
        expect(both((indexer) => indexer.scan(payloadOf(chunks), start)).fault).toBeNull();
      }),
      { numRuns: 30 },
    );
  });

  it("scan back exactly the records that were appended", () => {
    fc.assert(
      fc.property(position, records, stamping, (start, frame, stamps) => {
        openBoth(start);
        const bytes = concat(frame);
        both((indexer) => indexer.check(bytes));
        const appended = both((indexer) => append(indexer, stamps));
        const payload = payloadOf(both((indexer) => indexer.seal(1)));
        let at = 0;
        const expected = frame.flatMap((one, row) => {
          if (stamps.keep && stamps.keep[row] === 0) return [];
          const stamped = one.slice();
          const view = new DataView(stamped.buffer);
          view.setBigInt64(20, BigInt(stamps.firstOffset + row));
          view.setBigInt64(28, BigInt(start + at));
          view.setBigInt64(56, BigInt(stamps.storeTimestamp));
          view.setInt32(64, stamps.storeIp);
          view.setInt32(68, stamps.storePort);
          at += stamped.length;
          return [stamped];
        });
        expect(Buffer.compare(payload, concat(expected))).toBe(0);
        expect(both((indexer) => indexer.scan(payload, start)).entries).toEqual(appended.entries);
      }),
      { numRuns: 100 },
    );
  });

  it("agree on damaged frames, and on what can be appended of them", () => {
    fc.assert(
      fc.property(position, records, damages, stamping, (start, frame, how, stamps) => {
        openBoth(start);
        const bytes = damaged(concat(frame), how);
        const table = both((indexer) => indexer.check(bytes));
        fc.pre(table.count <= 16);
        both((indexer) => append(indexer, stamps));
        both((indexer) => indexer.seal(1));
      }),
      { numRuns: 400 },
    );
  });

  it("agree on damaged logs", () => {
    fc.assert(
      fc.property(position, records, stamping, damages, (start, frame, stamps, how) => {
        openBoth(start);
        const bytes = concat(frame);
        both((indexer) => indexer.check(bytes));
        both((indexer) => append(indexer, stamps));
        const chunks = both((indexer) => indexer.seal(1));
        const payload = damaged(payloadOf(chunks), how);
        both((indexer) => indexer.scan(payload, start));
        for (const chunk of chunks) {
          const row = damaged(chunk.bytes, how);
          const opened = both((indexer) => indexer.openChunk(row, chunk.position));
          if (Buffer.compare(row, chunk.bytes) !== 0) expect(opened.ok).toBe(false);
        }
      }),
      { numRuns: 250 },
    );
  });

  it("agree on garbage", () => {
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      // Past the first checks: a plausible size, the magic, and noise.
      fc.tuple(fc.integer({ min: 80, max: 300 }), fc.uint8Array({ minLength: 292, maxLength: 292, max: 3 })).map(([size, noise]) => {
        const bytes = new Uint8Array(300);
        bytes.set(noise, 8);
        new DataView(bytes.buffer).setInt32(0, size);
        new DataView(bytes.buffer).setInt32(4, -626843481);
        return bytes;
      }),
      fc.tuple(fc.nat({ max: 100 }), fc.uint8Array({ maxLength: 100 })).map(([length, noise]) => {
        const bytes = new Uint8Array(32 + noise.length);
        bytes.set(noise, 32);
        const view = new DataView(bytes.buffer);
        view.setUint32(0, 0x544d5142);
        view.setUint16(4, 1);
        view.setUint32(24, length);
        return bytes;
      }),
    );
    fc.assert(
      fc.property(garbage, position, (bytes, at) => {
        openBoth(at);
        both((indexer) => indexer.check(bytes));
        both((indexer) => indexer.scan(bytes, at));
        both((indexer) => indexer.openChunk(bytes, at));
      }),
      { numRuns: 500 },
    );
  });

  it("agree on text that may not be UTF-8", () => {
    const text = fc
      .array(fc.oneof(fc.constantFrom(0x61, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5), fc.nat({ max: 255 })), {
        minLength: 1,
        maxLength: 12,
      })
      .map((bytes) => Uint8Array.from(bytes));
    fc.assert(
      fc.property(text, text, fc.boolean(), (one, other, asTopic) => {
        openBoth(0);
        const parts = asTopic ? { topic: one } : { properties: concat([new TextEncoder().encode("TAGS\u0001"), one, other]) };
        const bytes = encodeRecord(parts);
        both((indexer) => indexer.check(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it("agree on every flipped bit and every truncation of a small log", () => {
    openBoth(1000);
    const bytes = concat([
      encodeRecord({ body: filler(10, 1), properties: "TAGS\u0001é\u0002" }),
      encodeRecord({ topic: "orders" }),
      encodeRecord({ body: filler(3, 2), topic: "日本", properties: "k\u0001v\u0002TAGS\u0001😀" }),
    ]);
    both((indexer) => indexer.check(bytes));
    const queueOffset = Float64Array.of(5, 6, 7);
    both((indexer) => indexer.append({ queueOffset, storeTimestamp: 1_700_000_000_000, storeIp: 1, storePort: 2 }));
    const chunk = both((indexer) => indexer.seal(9))[0]!.bytes;
    const payload = chunk.slice(CHUNK_HEADER_BYTES);
    for (let bit = 0; bit < chunk.length * 8; bit++) {
      const flip = (row: Uint8Array) => {
        if (bit >> 3 < row.length) row[bit >> 3]! ^= 1 << (bit & 7);
      };
      flip(chunk);
      flip(payload);
      expect(both((indexer) => indexer.openChunk(chunk, 1000)).ok).toBe(false);
      both((indexer) => indexer.scan(payload, 1000));
      both((indexer) => indexer.check(payload));
      flip(chunk);
      flip(payload);
    }
    for (let length = 0; length < chunk.length; length++) {
      expect(both((indexer) => indexer.openChunk(chunk.subarray(0, length), 1000)).ok).toBe(false);
      both((indexer) => indexer.scan(payload.subarray(0, length), 1000));
      both((indexer) => indexer.check(payload.subarray(0, length)));
    }
  });

  it("agree on calls in any order", () => {
    type Step = (indexer: Indexer) => unknown;
    const step: fc.Arbitrary<Step> = fc.oneof(
      { weight: 5, arbitrary: fc.tuple(records, fc.option(damages)).map(([frame, how]): Step => {
        const bytes = how ? damaged(concat(frame), how) : concat(frame);
        return (indexer) => indexer.check(bytes);
      }) },
      { weight: 5, arbitrary: stamping.map((stamps): Step => (indexer) => {
        try {
          return append(indexer, stamps);
        } catch (error) {
          return String(error);
        }
      }) },
      { weight: 3, arbitrary: epoch.map((writer): Step => (indexer) => indexer.seal(writer)) },
      { weight: 1, arbitrary: position.map((at): Step => (indexer) => indexer.open(at)) },
      { weight: 2, arbitrary: fc.tuple(records, position).map(([frame, at]): Step => {
        const bytes = concat(frame);
        return (indexer) => indexer.scan(bytes, at);
      }) },
      { weight: 1, arbitrary: body.map((bytes): Step => (indexer) => indexer.crc32(bytes)) },
      { weight: 1, arbitrary: fc.nat({ max: 500 }).map((count): Step => (indexer) => indexer.match(filler(count * 20, count), null, count)) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        openBoth(0);
        for (const one of steps) both(one);
        both((indexer) => indexer.seal(1));
      }),
      { numRuns: 120 },
    );
  });

  it("agree on the open segment, call by call", () => {
    const hash = fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 2 ** 31 - 1 }));
    const time = fc.oneof(fc.nat({ max: 10_000 }), fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }), fc.nat({ max: 2 ** 48 }));
    const rows = fc
      .array(fc.record({ key: hash, text: hash, position: fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 2 ** 53 - 1 })), time }), { maxLength: 30 })
      .map((all) => concat(all.map(encodeRow)));
    const query = fc.record({ text: hash, key: fc.option(hash), begin: time, end: time, before: fc.oneof(fc.nat({ max: 6 }), fc.constant(2 ** 53 - 1)), max: fc.nat({ max: 40 }) });
    type Step = (segment: KeySegment) => unknown;
    const step: fc.Arbitrary<Step> = fc.oneof(
      { weight: 1, arbitrary: fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 60 })).map(([slots, entries]): Step => (segment) => segment.open(slots, entries)) },
      { weight: 1, arbitrary: fc.constant<Step>((segment) => segment.open()) },
      { weight: 6, arbitrary: rows.map((some): Step => (segment) => segment.put(some)) },
      { weight: 6, arbitrary: query.map((one): Step => (segment) => segment.find(one)) },
      { weight: 2, arbitrary: fc.tuple(fc.uint8Array({ minLength: 60, maxLength: 100, max: 3 }), time, query).map(([entries, begin, one]): Step => (segment) => segment.findIn(entries, begin, one)) },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 64 }).map((ranges): Step => (segment) => segment.group(ranges)) },
      { weight: 1, arbitrary: fc.tuple(fc.nat({ max: 20 }), fc.nat({ max: 20 })).map(([from, more]): Step => (segment) => segment.entries(Math.min(from, segment.count), Math.min(from + more, segment.count))) },
      // Stored and loaded again.
      { weight: 1, arbitrary: fc.constant<Step>((segment) => {
        const [entries, begin, end] = [segment.entries(0, segment.count), segment.beginTime, segment.endTime];
        segment.open();
        segment.load(entries, begin, end);
      }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        both(({ segment }) => segment.open());
        for (const one of steps) {
          both(({ segment }) => one(segment));
          both(({ segment }) => [segment.count, segment.beginTime, segment.endTime]);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("agree on matches", () => {
    const code = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.integer());
    const tagCode = fc.oneof(
      { weight: 6, arbitrary: code.map(BigInt) },
      { weight: 1, arbitrary: int64 },
      { weight: 1, arbitrary: code.map((value) => BigInt(value) + 2n ** 32n) },
    );
    const entry = fc
      .tuple(int64, fc.oneof(fc.constantFrom(0, -1, 92), fc.integer()), tagCode)
      .map((parts) => encodeEntry(...parts));
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 60 }).map(concat),
        fc.option(fc.array(code, { maxLength: 40 }).map((codes) => Int32Array.from(codes))),
        fc.nat({ max: 70 }),
        (entries, codes, max) => {
          both((indexer) => indexer.match(entries, codes, max));
        },
      ),
      { numRuns: 500 },
    );
  });
});
