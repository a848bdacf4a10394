/** Consume-queue entries: position 8, size 4, tag code 8; big-endian. */
import { ENTRY_BYTES, ENTRY_SIZE, ENTRY_TAG_CODE, readI32, readI64, writeI32, writeI64 } from "./layout";
import { findByte, javaHash } from "./utf8";

/** Names of properties, read as little-endian words. */
const TAGS: u32 = 0x53474154;
const KEYS: u32 = 0x5359454b;
const UNIQ_KEY: u64 = 0x59454b5f51494e55;
/** TIMER_OUT_MS, in two. */
const TIMER_OU: u64 = 0x554f5f52454d4954;
const T_MS: u32 = 0x534d5f54;
const NAME_END: u8 = 1;
const VALUE_END: u8 = 2;
/** No int32 widens to this. */
const FREE: i64 = i64.MIN_VALUE;

/** What `readProperties` has found: values from .. to; empty ones stand at 0. */
let tagsAt: usize = 0;
let tagsEnd: usize = 0;
export let keysAt: usize = 0;
export let keysEnd: usize = 0;
export let uniqueAt: usize = 0;
export let uniqueEnd: usize = 0;
let timerAt: usize = 0;
let timerEnd: usize = 0;

/** "rmq_sys_wheel_timer" */
const WHEEL_TOPIC: usize = memory.data<u8>([114, 109, 113, 95, 115, 121, 115, 95, 119, 104, 101, 101, 108, 95, 116, 105, 109, 101, 114]);
const WHEEL_TOPIC_BYTES: i32 = 19;
/** Digits of a time, ms since 1970, that is exact as a number. */
const MAX_TIME_DIGITS: usize = 15;

/** Finds the last usable value of each property that the indexer looks at. */
export function readProperties(at: usize, end: usize): void {
  tagsAt = tagsEnd = keysAt = keysEnd = uniqueAt = uniqueEnd = timerAt = timerEnd = 0;
  while (at < end) {
    const entryEnd = findByte(at, end, VALUE_END);
    const value = at + 5;
    if (value < entryEnd) {
      const name = load<u32>(at);
      if (name == TAGS && load<u8>(at, 4) == NAME_END) {
        tagsAt = value;
        tagsEnd = entryEnd;
      } else if (name == KEYS && load<u8>(at, 4) == NAME_END) {
        keysAt = value;
        keysEnd = entryEnd;
      } else if (at + 9 < entryEnd && load<u64>(at) == UNIQ_KEY && load<u8>(at, 8) == NAME_END) {
        uniqueAt = at + 9;
        uniqueEnd = entryEnd;
      } else if (at + 13 < entryEnd && load<u64>(at) == TIMER_OU && load<u32>(at, 8) == T_MS && load<u8>(at, 12) == NAME_END) {
        timerAt = at + 13;
        timerEnd = entryEnd;
      }
    }
    at = entryEnd + 1;
  }
}

/**
 * The tag code of the properties that were read last, of a record of this topic: the Java hash of TAGS, 0 without one. Of a
 * timer, when it is due: its TIMER_OUT_MS, 0 where that is no time.
 */
export function tagCode(topic: usize, topicLength: i32): i64 {
  if (topicLength == WHEEL_TOPIC_BYTES && memory.compare(topic, WHEEL_TOPIC, <usize>WHEEL_TOPIC_BYTES) == 0) return timeOf(timerAt, timerEnd);
  return tagsAt ? <i64>javaHash(tagsAt, tagsEnd) : 0;
}

function timeOf(at: usize, end: usize): i64 {
  if (end - at > MAX_TIME_DIGITS) return 0;
  let time: i64 = 0;
  for (; at < end; at++) {
    const digit = <i64>load<u8>(at) - 48;
    if (digit < 0 || digit > 9) return 0;
    time = time * 10 + digit;
  }
  return time;
}

export function writeEntry(at: usize, position: i64, size: i32, code: i64): void {
  writeI64(at, 0, position);
  writeI32(at, ENTRY_SIZE, size);
  writeI64(at, ENTRY_TAG_CODE, code);
}

/** Slots of the code set: a power of two that leaves at least half of them free. */
function slotCount(codeCount: i32): u32 {
  let slots: u32 = 2;
  while (slots < <u32>codeCount * 2) slots <<= 1;
  return slots;
}

/** Bytes that `match` needs for its set of codes. */
export function codeSetBytes(codeCount: i32): usize {
  return <usize>slotCount(codeCount) << 3;
}

function slotOf(set: usize, code: i64, mask: u32): usize {
  // Fibonacci hashing: the upper half of the product is well mixed, and any 32 bits of `code` may differ.
  let slot = <u32>((code * 0x9e3779b97f4a7c15) >>> 32) & mask;
  while (true) {
    const at = set + ((<usize>slot) << 3);
    const held = load<i64>(at);
    if (held == code || held == FREE) return at;
    slot = (slot + 1) & mask;
  }
}

/**
 * Writes the numbers of matching entries to `found` (i32, room for `max`) and returns how many there are.
 * `codeCount` -1 = any code. `set` has codeSetBytes(codeCount), 8-aligned.
 */
export function match(entries: usize, count: i32, codes: usize, codeCount: i32, set: usize, max: i32, found: usize): i32 {
  const any = codeCount < 0;
  let mask: u32 = 0;
  if (!any) {
    const slots = slotCount(codeCount);
    mask = slots - 1;
    for (let slot: u32 = 0; slot < slots; slot++) store<i64>(set + ((<usize>slot) << 3), FREE);
    for (let i = 0; i < codeCount; i++) {
      const code = <i64>load<i32>(codes + ((<usize>i) << 2));
      store<i64>(slotOf(set, code, mask), code);
    }
  }
  let hits = 0;
  for (let i = 0; i < count && hits < max; i++) {
    const entry = entries + <usize>i * ENTRY_BYTES;
    if (readI32(entry, ENTRY_SIZE) <= 0) continue;
    const code = readI64(entry, ENTRY_TAG_CODE);
    if (any || (code != FREE && load<i64>(slotOf(set, code, mask)) == code)) {
      store<i32>(found + ((<usize>hits) << 2), i);
      hits++;
    }
  }
  return hits;
}
