const HIGH_BITS: u64 = 0x8080808080808080;
const LOW_BITS: u64 = 0x0101010101010101;

/** Well-formed as Unicode table 3-7 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
export function isUtf8(at: usize, end: usize): bool {
  while (at < end) {
    if (at + 8 <= end && (load<u64>(at) & HIGH_BITS) == 0) {
      at += 8;
      continue;
    }
    const lead = <u32>load<u8>(at);
    if (lead < 0x80) {
      at++;
      continue;
    }
    if (lead < 0xc2 || lead > 0xf4) return false;
    const more: usize = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (at + more >= end) return false;
    const low: u32 = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const high: u32 = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    const second = <u32>load<u8>(at, 1);
    if (second < low || second > high) return false;
    if (more > 1 && (load<u8>(at, 2) & 0xc0) != 0x80) return false;
    if (more > 2 && (load<u8>(at, 3) & 0xc0) != 0x80) return false;
    at += more + 1;
  }
  return true;
}

/** Java's String.hashCode, over the UTF-16 code units of well-formed UTF-8. */
export function javaHash(at: usize, end: usize): i32 {
  let hash: i32 = 0;
  while (at < end) {
    const lead = <i32>load<u8>(at);
    if (lead < 0x80) {
      hash = hash * 31 + lead;
      at += 1;
    } else if (lead < 0xe0) {
      hash = hash * 31 + (((lead & 0x1f) << 6) | (load<u8>(at, 1) & 0x3f));
      at += 2;
    } else if (lead < 0xf0) {
      hash = hash * 31 + (((lead & 0x0f) << 12) | ((<i32>load<u8>(at, 1) & 0x3f) << 6) | (load<u8>(at, 2) & 0x3f));
      at += 3;
    } else {
      const point =
        ((lead & 0x07) << 18) |
        ((<i32>load<u8>(at, 1) & 0x3f) << 12) |
        ((<i32>load<u8>(at, 2) & 0x3f) << 6) |
        (load<u8>(at, 3) & 0x3f);
      hash = hash * 31 + (0xd7c0 + (point >> 10));
      hash = hash * 31 + (0xdc00 + (point & 0x3ff));
      at += 4;
    }
  }
  return hash;
}

/** Where the first such byte stands; `end` when there is none. */
export function findByte(at: usize, end: usize, byte: u8): usize {
  const pattern = LOW_BITS * <u64>byte;
  while (at + 8 <= end) {
    // A zero byte in `difference` is a hit; the lowest mark is exact, higher ones may be carried over from it.
    const difference = load<u64>(at) ^ pattern;
    const marks = (difference - LOW_BITS) & ~difference & HIGH_BITS;
    if (marks) return at + <usize>(ctz(marks) >> 3);
    at += 8;
  }
  while (at < end && load<u8>(at) != byte) at++;
  return at;
}
