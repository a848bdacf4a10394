/** The open log: frames come in behind it, the kept records become part of it. */
import { writeEntry } from "./entries";
import {
  ENTRY_BYTES, ENTRY_TAG_CODE, KEY_POSITION, KEY_ROW_BYTES, KEY_TIME, PHYSICAL_OFFSET, QUEUE_OFFSET, STORE_HOST, STORE_PORT, STORE_TIMESTAMP, TABLE_CAPACITY, TABLE_COUNT,
  TABLE_HEADER_BYTES, TOTAL_SIZE, readI32, readI64, writeI32, writeI64,
} from "./layout";
import { align8, reserve } from "./memory";
import { keysAt, keysEnd, scanRecords } from "./scan";

const BOTTOM: usize = align8(__heap_base);

/** Records that are appended and not sealed stand from BOTTOM up to here. */
let logEnd: usize = BOTTOM;
/** Position of `logEnd`. */
let logPosition: i64 = 0;
/** Column table of the last check; 0 when there is nothing to append. */
let pendingTable: usize = 0;
let pendingBytes: i32 = 0;
let pendingKeys: usize = 0;
let pendingEnd: usize = 0;
/** The key rows of the last append. */
let appendedAt: usize = 0;
let appendedEnd: usize = 0;

export function open(position: f64): void {
  logPosition = <i64>position;
  logEnd = BOTTOM;
  pendingTable = 0;
}

export function position(): f64 {
  return <f64>logPosition;
}

export function openBytes(): i32 {
  return <i32>(logEnd - BOTTOM);
}

export function logStart(): usize {
  return BOTTOM;
}

/** Bytes for one call, behind everything in use; 8-aligned. */
export function scratch(length: i32): usize {
  const at = align8(pendingTable ? pendingEnd : logEnd);
  reserve(at + length);
  return at;
}

/** Forgets the last check and returns where the host writes the next frame. */
export function frame(length: i32): usize {
  pendingTable = 0;
  reserve(logEnd + length);
  return logEnd;
}

/** Checks the frame that the host wrote; returns its column table. */
export function check(length: i32): usize {
  pendingTable = scanRecords(logEnd, length, logPosition, false);
  pendingBytes = length;
  pendingKeys = keysAt;
  pendingEnd = keysEnd;
  return pendingTable;
}

/**
 * Stamps the pending records that are kept and closes the gaps between them; returns how many they are.
 * `stamps` is scratch of 37 bytes a record, n = records of the check: in queueOffset f64 * n; out position f64 * n, entry 20 * n;
 * in keep u8 * n. A broken host promise (no check before) traps.
 */
export function append(stamps: usize, storeTimestamp: f64, storeIp: i32, storePort: i32): i32 {
  const table = pendingTable;
  if (!table) unreachable();
  pendingTable = 0;

  const count = <usize>load<i32>(table, TABLE_COUNT);
  const capacity = <usize>load<i32>(table, TABLE_CAPACITY);
  const checked = table + TABLE_HEADER_BYTES + (capacity << 5);
  const positions = stamps + (count << 3);
  const entries = positions + (count << 3);
  const keep = entries + count * ENTRY_BYTES;

  let from = logEnd;
  let kept: usize = 0;
  let keys = pendingKeys;
  appendedAt = appendedEnd = pendingKeys;
  for (let row: usize = 0; row < count; row++) {
    const size = readI32(from, TOTAL_SIZE);
    const isKept = load<u8>(keep + row) != 0;
    const position = readI64(checked + row * ENTRY_BYTES, 0);
    for (; keys < pendingEnd && readI64(keys, KEY_POSITION) == position; keys += KEY_ROW_BYTES) {
      if (!isKept) continue;
      // In place: kept rows only ever move towards the front.
      if (keys != appendedEnd) memory.copy(appendedEnd, keys, KEY_ROW_BYTES);
      writeI64(appendedEnd, KEY_POSITION, logPosition);
      writeI64(appendedEnd, KEY_TIME, <i64>storeTimestamp);
      appendedEnd += KEY_ROW_BYTES;
    }
    if (isKept) {
      const record = logEnd;
      if (record != from) memory.copy(record, from, size);
      writeI64(record, QUEUE_OFFSET, <i64>load<f64>(stamps + (row << 3)));
      writeI64(record, PHYSICAL_OFFSET, logPosition);
      writeI64(record, STORE_TIMESTAMP, <i64>storeTimestamp);
      writeI32(record, STORE_HOST, storeIp);
      writeI32(record, STORE_PORT, storePort);
      store<f64>(positions + (kept << 3), <f64>logPosition);
      writeEntry(entries + kept * ENTRY_BYTES, logPosition, size, readI64(checked + row * ENTRY_BYTES, ENTRY_TAG_CODE));
      kept++;
      logEnd += size;
      logPosition += size;
    }
    from += size;
  }
  return <i32>kept;
}

export function appendedKeys(): usize {
  return appendedAt;
}

export function appendedKeyBytes(): i32 {
  return <i32>(appendedEnd - appendedAt);
}

/** Empties the open log. A frame that waits for its append moves down to the bottom; its table stays. */
export function emptyLog(): void {
  if (pendingTable) memory.copy(BOTTOM, logEnd, pendingBytes);
  logEnd = BOTTOM;
}
