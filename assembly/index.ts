/**
 * The commit-log indexer: what src/storage/wasm-indexer.ts calls, and nothing else.
 * Addresses are of linear memory (memory.ts says who owns which part); any call may grow it.
 */
import { scratch } from "./append";
import { crc32 as crc32Of } from "./crc32";
import { match as matchEntries, codeSetBytes } from "./entries";
import { ENTRY_BYTES } from "./layout";
import { align8 } from "./memory";
import { keysAt, keysEnd, scanRecords } from "./scan";

export { append, appendedKeyBytes, appendedKeys, check, frame, open, openBytes, position, scratch } from "./append";
export {
  findInPage, findInSegment, groupSegment, loadEntries, lookFor, openSegment, putKeys, segmentBegin, segmentCount, segmentEnd, segmentEntries,
} from "./key-segment";
export { cut, openChunk, seal, sealed } from "./seal";
export { addTimer, clearTimers, loadTimers, nextTimer, takeTimers, timerCount, timerScratch } from "./timers";

/** CRC-32 of bytes in memory; `seed` continues an earlier result. */
export function crc32(at: usize, length: i32, seed: u32): u32 {
  return crc32Of(at, length, seed);
}

/** Column table of `length` stored bytes, the first of which stands at `position`. */
export function scan(at: usize, length: i32, position: f64): usize {
  return scanRecords(at, length, <i64>position, true);
}

/** The key rows of the last scan. */
export function scannedKeys(): usize {
  return keysAt;
}

export function scannedKeyBytes(): i32 {
  return <i32>(keysEnd - keysAt);
}

/** Bytes of scratch that `match` needs. */
export function matchBytes(count: i32, codeCount: i32): i32 {
  const entries = align8(<usize>count * ENTRY_BYTES);
  if (codeCount < 0) return <i32>(entries + (count << 2));
  return <i32>(entries + align8(codeCount << 2) + codeSetBytes(codeCount) + (count << 2));
}

/**
 * Entries whose tag code is one of `codeCount` (-1 = any), at most `max`. In scratch of matchBytes: entries 20 * count, then 8-aligned
 * codes i32 * codeCount. Returns how many match; their numbers (i32) are in the last 4 * count bytes.
 */
export function match(at: usize, count: i32, codeCount: i32, max: i32): i32 {
  const codes = at + align8(<usize>count * ENTRY_BYTES);
  const set = codes + (codeCount < 0 ? 0 : align8(codeCount << 2));
  const found = set + (codeCount < 0 ? 0 : codeSetBytes(codeCount));
  return matchEntries(at, count, codes, codeCount, set, max, found);
}
