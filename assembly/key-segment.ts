/**
 * The open segment of the key index: RocketMQ's IndexFile, in memory. Slots hold the number of their newest entry, entries the number of
 * the one before; numbers begin at 1 and 0 is none. An entry, 20 bytes, big-endian: hash of `topic#key` 4, position 8, seconds since the
 * segment's first entry 4, hash of the key alone 4. The slot follows from the last, so that a key is also found without its topic.
 * (RocketMQ takes the first for it and has the number of the entry before in the last; ours stands beside the entries, because it says
 * nothing on disk.)
 */
import {
  INDEX_ENTRY_BYTES, INDEX_POSITION, INDEX_SECONDS, INDEX_TEXT_HASH, KEY_POSITION, KEY_ROW_BYTES, KEY_TEXT_HASH, KEY_TIME, readI32,
  readI64, writeI32, writeI64,
} from "./layout";

const MAX_ENTRIES: i32 = 65536;
const SLOTS: usize = memory.data(262144, 16);
const PREVIOUS: usize = memory.data(262144, 16);
const ENTRIES: usize = memory.data(1310720, 16);
const ANY: i32 = -1;

let slots: u32 = 1;
let capacity: i32 = 1;
let entryCount: i32 = 0;
let begin: i64 = 0;
let end: i64 = 0;

/** Starts an empty segment. */
export function openSegment(slotCount: i32, maxEntries: i32): void {
  if (slotCount < 1 || slotCount > MAX_ENTRIES || maxEntries > MAX_ENTRIES) unreachable();
  slots = <u32>slotCount;
  capacity = maxEntries;
  entryCount = 0;
  begin = end = 0;
  memory.fill(SLOTS, 0, <usize>slotCount << 2);
}

export function segmentCount(): i32 {
  return entryCount;
}

export function segmentBegin(): f64 {
  return <f64>begin;
}

export function segmentEnd(): f64 {
  return <f64>end;
}

/** The entry with the number 1; the others follow. */
export function segmentEntries(): usize {
  return ENTRIES;
}

/** Hashes of keys that are alike lie close together; the product spreads them, so that few keys do not share one page. */
function slotOf(textHash: i32): u32 {
  return (<u32>textHash * 0x9e3779b1) % slots;
}

function link(textHash: i32): usize {
  const slot = SLOTS + ((<usize>slotOf(textHash)) << 2);
  const at = <usize>entryCount;
  entryCount++;
  store<i32>(PREVIOUS + (at << 2), load<i32>(slot));
  store<i32>(slot, entryCount);
  return ENTRIES + at * INDEX_ENTRY_BYTES;
}

/** Enters key rows and returns how many: all keys of a record or none of them. `maxEntries` n takes n - 1, as in RocketMQ. */
export function putKeys(rows: usize, count: i32): i32 {
  let taken = 0;
  while (taken < count) {
    let row = rows + <usize>taken * KEY_ROW_BYTES;
    const position = readI64(row, KEY_POSITION);
    let next = taken + 1;
    while (next < count && readI64(rows + <usize>next * KEY_ROW_BYTES, KEY_POSITION) == position) next++;
    if (entryCount + (next - taken) >= capacity) break;
    for (; taken < next; taken++, row += KEY_ROW_BYTES) {
      const time = readI64(row, KEY_TIME);
      if (entryCount == 0) begin = time;
      end = time;
      const textHash = readI32(row, KEY_TEXT_HASH);
      const entry = link(textHash);
      writeI32(entry, 0, readI32(row, 0));
      writeI64(entry, INDEX_POSITION, position);
      // As in RocketMQ, 0 is no time to count from.
      writeI32(entry, INDEX_SECONDS, begin <= 0 ? 0 : <i32>min<i64>(max<i64>((time - begin) / 1000, 0), i32.MAX_VALUE));
      writeI32(entry, INDEX_TEXT_HASH, textHash);
    }
  }
  return taken;
}

/** Enters `count` entries as they were stored, behind those that are there. */
export function loadEntries(from: usize, count: i32, beginTime: f64, endTime: f64): void {
  if (entryCount + count >= capacity) unreachable();
  begin = <i64>beginTime;
  end = <i64>endTime;
  for (let i = 0; i < count; i++, from += INDEX_ENTRY_BYTES) {
    memory.copy(link(readI32(from, INDEX_TEXT_HASH)), from, INDEX_ENTRY_BYTES);
  }
}

// What is looked for
let text: i32 = 0;
let key: i32 = ANY;
let from: i64 = 0;
let to: i64 = 0;
let before: i64 = 0;

/** `keyHash` -1 = any topic. Times as RocketMQ has them: those that an entry's seconds give. */
export function lookFor(textHash: i32, keyHash: i32, fromTime: f64, toTime: f64, beforePosition: f64): void {
  text = textHash;
  key = keyHash;
  from = <i64>fromTime;
  to = <i64>toTime;
  before = <i64>beforePosition;
}

function isFound(entry: usize, base: i64): bool {
  if (readI32(entry, INDEX_TEXT_HASH) != text || (key != ANY && readI32(entry, 0) != key)) return false;
  const time = base + <i64>readI32(entry, INDEX_SECONDS) * 1000;
  return time >= from && time <= to && readI64(entry, INDEX_POSITION) < before;
}

/** Writes at most `max` positions (f64) to `found`, the newest first, and returns how many. */
export function findInSegment(max: i32, found: usize): i32 {
  let hits = 0;
  let number = load<i32>(SLOTS + ((<usize>slotOf(text)) << 2));
  while (number != 0 && hits < max) {
    const at = <usize>(number - 1);
    const entry = ENTRIES + at * INDEX_ENTRY_BYTES;
    if (isFound(entry, begin)) {
      store<f64>(found + ((<usize>hits) << 3), <f64>readI64(entry, INDEX_POSITION));
      hits++;
    }
    number = load<i32>(PREVIOUS + (at << 2));
  }
  return hits;
}

/** The same in `count` entries of a sealed segment, in their order, which is the newest first for each key. */
export function findInPage(entries: usize, count: i32, base: f64, max: i32, found: usize): i32 {
  let hits = 0;
  for (let i = 0; i < count && hits < max; i++, entries += INDEX_ENTRY_BYTES) {
    if (!isFound(entries, <i64>base)) continue;
    store<f64>(found + ((<usize>hits) << 3), <f64>readI64(entries, INDEX_POSITION));
    hits++;
  }
  return hits;
}

/** Writes all entries to `to`, slot by slot and the newest of a slot first. `ends` (i32 * ranges): how many are in the first 1, 2, ... ranges of slots. */
export function groupSegment(target: usize, ranges: i32, ends: usize): void {
  let written = 0;
  let slot: u32 = 0;
  for (let range = 0; range < ranges; range++) {
    const last = <u32>((<u64>(range + 1) * slots + ranges - 1) / ranges);
    for (; slot < last; slot++) {
      for (let number = load<i32>(SLOTS + ((<usize>slot) << 2)); number != 0; ) {
        const at = <usize>(number - 1);
        memory.copy(target + <usize>written * INDEX_ENTRY_BYTES, ENTRIES + at * INDEX_ENTRY_BYTES, INDEX_ENTRY_BYTES);
        written++;
        number = load<i32>(PREVIOUS + (at << 2));
      }
    }
    store<i32>(ends + ((<usize>range) << 2), written);
  }
}
