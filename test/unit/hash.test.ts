import fc from "fast-check";
import { expect, it } from "vitest";
import { javaHash, sipHash24, sipHashMod, tagHash } from "../../src/model/hash.ts";

const MASK = (1n << 64n) - 1n;

/** SipHash-2-4 as the paper writes it, over 64-bit words. */
function slowSipHash24(bytes: Uint8Array): bigint {
  const k0 = 0x0706050403020100n;
  const k1 = 0x0f0e0d0c0b0a0908n;
  const v = [k0 ^ 0x736f6d6570736575n, k1 ^ 0x646f72616e646f6dn, k0 ^ 0x6c7967656e657261n, k1 ^ 0x7465646279746573n] as [bigint, bigint, bigint, bigint];
  const turn = (word: bigint, by: bigint): bigint => ((word << by) | (word >> (64n - by))) & MASK;
  const round = (): void => {
    v[0] = (v[0] + v[1]) & MASK;
    v[2] = (v[2] + v[3]) & MASK;
    v[1] = turn(v[1], 13n) ^ v[0];
    v[3] = turn(v[3], 16n) ^ v[2];
    v[0] = turn(v[0], 32n);
    v[2] = (v[2] + v[1]) & MASK;
    v[0] = (v[0] + v[3]) & MASK;
    v[1] = turn(v[1], 17n) ^ v[2];
    v[3] = turn(v[3], 21n) ^ v[0];
    v[2] = turn(v[2], 32n);
  };
  const padded = new Uint8Array((bytes.length & ~7) + 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length;
  const view = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 8) {
    const word = view.getBigUint64(at, true);
    v[3] ^= word;
    round();
    round();
    v[0] ^= word;
  }
  v[2] ^= 0xffn;
  for (let i = 0; i < 4; i++) round();
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

function joined({ high, low }: { high: number; low: number }): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

it.each([
  [0, 0x726fdb47dd0e0e31n],
  [15, 0xa129ca6149be45e5n],
])("sipHash24: the reference vector of %i bytes", (length, expected) => {
  expect(joined(sipHash24(Uint8Array.from({ length }, (_, byte) => byte)))).toBe(expected);
});

it("sipHash24 agrees with 64-bit arithmetic, and sipHashMod is the floor modulus of the signed value", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 2 ** 26 }), (bytes, n) => {
      const hash = slowSipHash24(bytes);
      expect(joined(sipHash24(bytes))).toBe(hash);
      const big = BigInt(n);
      expect(sipHashMod(bytes, n)).toBe(Number(((BigInt.asIntN(64, hash) % big) + big) % big));
    }),
  );
});

it("javaHash is the polynomial over UTF-16 units", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
      let hash = 0n;
      for (let at = 0; at < text.length; at++) hash = hash * 31n + BigInt(text.charCodeAt(at));
      expect(javaHash(text)).toBe(Number(BigInt.asIntN(32, hash)));
    }),
  );
});

it("no tag has code 0", () => {
  expect([tagHash(undefined), tagHash(null), tagHash("")]).toEqual([0, 0, 0]);
});
