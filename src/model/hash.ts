/** Java's `String.hashCode`: s[0]*31^(n-1) + ... + s[n-1] over UTF-16 units, wrapped to int32. */
export function javaHash(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return hash;
}

/** The tag code of the consume queue, an int32 (stored widened to int64); no tag has code 0. */
export function tagHash(tag: string | null | undefined): number {
  return tag ? javaHash(tag) : 0;
}

/** An unsigned 64-bit integer as two unsigned 32-bit halves. */
export interface Uint64 {
  high: number;
  low: number;
}

/**
 * SipHash-2-4 with the key bytes 00..0f, as Guava's `Hashing.sipHash24()`, which RocketMQ 5 places message groups with.
 * Source: https://www.aumasson.jp/siphash/siphash.pdf; 32-bit halves, because BigInt is some hundred times slower.
 */
export function sipHash24(bytes: Uint8Array): Uint64 {
  // "somepseudorandomlygeneratedbytes" xor the key, each word as high (h) and low (l) half.
  let v0h = 0x736f6d65 ^ 0x07060504;
  let v0l = 0x70736575 ^ 0x03020100;
  let v1h = 0x646f7261 ^ 0x0f0e0d0c;
  let v1l = 0x6e646f6d ^ 0x0b0a0908;
  let v2h = 0x6c796765 ^ 0x07060504;
  let v2l = 0x6e657261 ^ 0x03020100;
  let v3h = 0x74656462 ^ 0x0f0e0d0c;
  let v3l = 0x79746573 ^ 0x0b0a0908;

  const length = bytes.length;
  const blocks = length >>> 3;
  // Block number `blocks` is the tail with the length; the two after it are the four finishing rounds, whose word is 0.
  for (let block = 0; block <= blocks + 2; block++) {
    let mh = 0;
    let ml = 0;
    const at = block << 3;
    if (block < blocks) {
      ml = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      mh = bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24);
    } else if (block === blocks) {
      mh = length << 24;
      for (let tail = at; tail < length; tail++) {
        const shift = (tail - at) << 3;
        if (shift < 32) ml |= bytes[tail]! << shift;
        else mh |= bytes[tail]! << (shift - 32);
      }
    } else if (block === blocks + 1) {
      v2l ^= 0xff;
    }
    v3h ^= mh;
    v3l ^= ml;
    for (let round = 0; round < 2; round++) {
      // v0 += v1; v1 <<<= 13; v1 ^= v0; v0 <<<= 32
      let sum = (v0l >>> 0) + (v1l >>> 0);
      v0h = (v0h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
      v0l = sum | 0;
      let carried = v1h;
      v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
      v1l = ((v1l << 13) | (carried >>> 19)) ^ v0l;
      carried = v0h;
      v0h = v0l;
      v0l = carried;
      // v2 += v3; v3 <<<= 16; v3 ^= v2
      sum = (v2l >>> 0) + (v3l >>> 0);
      v2h = (v2h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
      v2l = sum | 0;
      carried = v3h;
      v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
      v3l = ((v3l << 16) | (carried >>> 16)) ^ v2l;
      // v0 += v3; v3 <<<= 21; v3 ^= v0
      sum = (v0l >>> 0) + (v3l >>> 0);
      v0h = (v0h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
      v0l = sum | 0;
      carried = v3h;
      v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
      v3l = ((v3l << 21) | (carried >>> 11)) ^ v0l;
      // v2 += v1; v1 <<<= 17; v1 ^= v2; v2 <<<= 32
      sum = (v2l >>> 0) + (v1l >>> 0);
      v2h = (v2h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
      v2l = sum | 0;
      carried = v1h;
      v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
      v1l = ((v1l << 17) | (carried >>> 15)) ^ v2l;
      carried = v2h;
      v2h = v2l;
      v2l = carried;
    }
    v0h ^= mh;
    v0l ^= ml;
  }
  return { high: (v0h ^ v1h ^ v2h ^ v3h) >>> 0, low: (v0l ^ v1l ^ v2l ^ v3l) >>> 0 };
}

/** `sipHash24(bytes)` as a signed 64-bit integer, floor-modulo `n`: 0 <= result < n. `n` is 1..2^26, so that the products stay exact. */
export function sipHashMod(bytes: Uint8Array, n: number): number {
  const { high, low } = sipHash24(bytes);
  const signedHigh = high | 0;
  const highMod = ((signedHigh % n) + n) % n;
  return (highMod * (2 ** 32 % n) + (low % n)) % n;
}

/**
 * Jump consistent hash: 0 <= result < count. Source: Lamping and Veach, https://arxiv.org/abs/1406.2294, with the generator
 * of Guava's `Hashing.consistentHash(long, int)`, which RocketMQ's proxy uses.
 */
export function jumpHash(hash: number, count: number): number {
  let state = BigInt(hash);
  for (let bucket = 0; ; ) {
    state = BigInt.asUintN(64, 2862933555777941757n * state + 1n);
    const next = Math.floor((bucket + 1) / ((Number(BigInt.asIntN(32, state >> 33n)) + 1) / 2 ** 31));
    if (next >= count) return bucket;
    bucket = next;
  }
}
