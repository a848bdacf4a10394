/**
 * Timers by their due time: a binary heap of due 8, offset in the wheel's queue 8; of two that are due at the same time the one with
 * the lower offset comes first. It stands where another instance of this module has the open log, and scratch stands behind it.
 */
import { ENTRY_BYTES, ENTRY_SIZE, ENTRY_TAG_CODE, readI32, readI64 } from "./layout";
import { align8, reserve } from "./memory";

const HEAP: usize = align8(__heap_base);
const TIMER_BYTES: usize = 16;
const OFFSET: usize = 8;

let count: usize = 0;

export function clearTimers(): void {
  count = 0;
}

export function timerCount(): i32 {
  return <i32>count;
}

/** When the first is due; infinite when there is none. */
export function nextTimer(): f64 {
  return count == 0 ? Infinity : <f64>load<i64>(HEAP);
}

/** Bytes for one call that enters as many timers as this, or fewer; 8-aligned. */
export function timerScratch(more: i32, length: i32): usize {
  const at = HEAP + (count + <usize>more) * TIMER_BYTES;
  reserve(at + length);
  return at;
}

function isBefore(due: i64, offset: i64, than: usize): bool {
  const other = load<i64>(than);
  return due < other || (due == other && offset < load<i64>(than, OFFSET));
}

function add(due: i64, offset: i64): void {
  let at = count++;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = HEAP + parent * TIMER_BYTES;
    if (!isBefore(due, offset, above)) break;
    memory.copy(HEAP + at * TIMER_BYTES, above, TIMER_BYTES);
    at = parent;
  }
  store<i64>(HEAP + at * TIMER_BYTES, due);
  store<i64>(HEAP + at * TIMER_BYTES, offset, OFFSET);
}

/** Takes the first away: the last sinks from its place. */
function removeFirst(): void {
  count--;
  const due = load<i64>(HEAP + count * TIMER_BYTES);
  const offset = load<i64>(HEAP + count * TIMER_BYTES, OFFSET);
  let at: usize = 0;
  while (true) {
    let child = at * 2 + 1;
    if (child >= count) break;
    let below = HEAP + child * TIMER_BYTES;
    if (child + 1 < count && isBefore(load<i64>(below, TIMER_BYTES), load<i64>(below, TIMER_BYTES + OFFSET), below)) {
      child++;
      below += TIMER_BYTES;
    }
    if (isBefore(due, offset, below)) break;
    memory.copy(HEAP + at * TIMER_BYTES, below, TIMER_BYTES);
    at = child;
  }
  store<i64>(HEAP + at * TIMER_BYTES, due);
  store<i64>(HEAP + at * TIMER_BYTES, offset, OFFSET);
}

/**
 * Enters the timers that consume-queue entries stand for; the first has the offset `first`, a multiple of 8. Holes are left out, and those
 * whose bit in `finished` is set (the lowest bit of a byte first).
 */
export function loadTimers(entries: usize, entryCount: i32, first: f64, finished: usize): void {
  for (let index = 0; index < entryCount; index++) {
    const entry = entries + <usize>index * ENTRY_BYTES;
    if (readI32(entry, ENTRY_SIZE) <= 0) continue;
    if ((load<u8>(finished + (<usize>index >> 3)) >> <u8>(index & 7)) & 1) continue;
    add(readI64(entry, ENTRY_TAG_CODE), <i64>first + index);
  }
}

export function addTimer(due: f64, offset: f64): void {
  timerScratch(1, 0);
  add(<i64>due, <i64>offset);
}

/** Takes those out that are due at `now`, in their order, at most `max`; writes due f64, offset f64 of each and returns how many. */
export function takeTimers(now: f64, max: i32, out: usize): i32 {
  let taken = 0;
  while (taken < max && count > 0 && <f64>load<i64>(HEAP) <= now) {
    store<f64>(out, <f64>load<i64>(HEAP));
    store<f64>(out, <f64>load<i64>(HEAP, OFFSET), 8);
    out += 16;
    taken++;
    removeFirst();
  }
  return taken;
}
