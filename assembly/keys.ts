/**
 * The keys of records: UNIQ_KEY and every word of KEYS. A key row, 24 bytes, big-endian: hash of `topic#key` 4, hash of the key alone 4,
 * position of its record 8, store time 8.
 */
import { KEY_POSITION, KEY_ROW_BYTES, KEY_TEXT_HASH, KEY_TIME, readI32, SYS_FLAG, SYS_FLAG_ROLLBACK, writeI32, writeI64 } from "./layout";
import { reserve } from "./memory";
import { findByte } from "./utf8";

const SEPARATOR: u8 = 0x20;
const HIGH_BITS: u64 = 0x8080808080808080;
const P2: i32 = 31 * 31;
const P3: i32 = P2 * 31;
const P4: i32 = P2 * P2;
const P8: i32 = P4 * P4;

/** Results of the last `hashBoth`. */
let hashAfter: i32 = 0;
let hashAlone: i32 = 0;

/** The hash of a topic and the "#" behind it: what the hash of `topic#key` goes on from. */
export function topicHash(at: usize, end: usize): i32 {
  hashBoth(at, end, 0);
  return hashAlone * 31 + 0x23;
}

/** Java's String.hashCode of well-formed UTF-8, once behind a text with the hash `before` and once alone. Keys are mostly ASCII. */
function hashBoth(at: usize, end: usize, before: i32): void {
  let after = before;
  let alone: i32 = 0;
  while (at < end) {
    if (at + 8 <= end) {
      const word = load<u64>(at);
      if ((word & HIGH_BITS) == 0) {
        const low = <u32>word;
        const high = <u32>(word >>> 32);
        const sum =
          (<i32>(low & 0xff) * P3 + <i32>((low >>> 8) & 0xff) * P2 + <i32>((low >>> 16) & 0xff) * 31 + <i32>(low >>> 24)) * P4 +
          <i32>(high & 0xff) * P3 + <i32>((high >>> 8) & 0xff) * P2 + <i32>((high >>> 16) & 0xff) * 31 + <i32>(high >>> 24);
        after = after * P8 + sum;
        alone = alone * P8 + sum;
        at += 8;
        continue;
      }
    }
    const lead = <i32>load<u8>(at);
    let unit: i32;
    if (lead < 0x80) {
      unit = lead;
      at += 1;
    } else if (lead < 0xe0) {
      unit = ((lead & 0x1f) << 6) | (load<u8>(at, 1) & 0x3f);
      at += 2;
    } else if (lead < 0xf0) {
      unit = ((lead & 0x0f) << 12) | ((<i32>load<u8>(at, 1) & 0x3f) << 6) | (load<u8>(at, 2) & 0x3f);
      at += 3;
    } else {
      const point =
        ((lead & 0x07) << 18) |
        ((<i32>load<u8>(at, 1) & 0x3f) << 12) |
        ((<i32>load<u8>(at, 2) & 0x3f) << 6) |
        (load<u8>(at, 3) & 0x3f);
      const first = 0xd7c0 + (point >> 10);
      after = after * 31 + first;
      alone = alone * 31 + first;
      unit = 0xdc00 + (point & 0x3ff);
      at += 4;
    }
    after = after * 31 + unit;
    alone = alone * 31 + unit;
  }
  hashAfter = after;
  hashAlone = alone;
}

/** RocketMQ's: the absolute value, and 0 for the one that has none. */
function keyHash(hash: i32): i32 {
  return hash == i32.MIN_VALUE ? 0 : abs(hash);
}

function writeKey(at: usize, key: usize, end: usize, topic: i32, position: i64, time: i64): void {
  hashBoth(key, end, topic);
  writeI32(at, 0, keyHash(hashAfter));
  writeI32(at, KEY_TEXT_HASH, keyHash(hashAlone));
  writeI64(at, KEY_POSITION, position);
  writeI64(at, KEY_TIME, time);
}

/** Whether RocketMQ indexes such a record: the roll-back of a transaction has no keys. */
export function hasKeys(record: usize): bool {
  return (readI32(record, SYS_FLAG) & SYS_FLAG_ROLLBACK) != SYS_FLAG_ROLLBACK;
}

/** Writes the key rows of one record at `rows` and returns their end. The values may be empty (end = at). */
export function writeKeys(
  rows: usize, unique: usize, uniqueEnd: usize, keys: usize, keysEnd: usize, topic: i32, position: i64, time: i64,
): usize {
  // A key has at least one byte, and all but the last a separator.
  reserve(rows + KEY_ROW_BYTES * (1 + ((keysEnd - keys + 1) >> 1)));
  if (unique < uniqueEnd) {
    writeKey(rows, unique, uniqueEnd, topic, position, time);
    rows += KEY_ROW_BYTES;
  }
  while (keys < keysEnd) {
    const end = findByte(keys, keysEnd, SEPARATOR);
    if (keys < end) {
      writeKey(rows, keys, end, topic, position, time);
      rows += KEY_ROW_BYTES;
    }
    keys = end + 1;
  }
  return rows;
}
