/**
 * Linear memory, managed by hand. Upwards from the static data:
 *
 *     open log: sealed up to `sealedTo`, then appended records up to `logEnd`
 *     the frame of the last check, at `logEnd`, so that keeping all of it moves nothing
 *     that frame's column table
 *     scratch: arguments and results of one call
 *
 * Nothing is freed; the open log starts again at its bottom with each seal, so memory stays at its high-water mark.
 */
const PAGE_BYTES: usize = 65536;
/** Memory grows by at least this much: every growth detaches the host's views. */
const GROWTH_PAGES: usize = 16;

/** Makes memory reach `end`. Traps when the host has no more. */
export function reserve(end: usize): void {
  const has = <usize>memory.size();
  const needs = (end + PAGE_BYTES - 1) / PAGE_BYTES;
  if (needs <= has) return;
  const wanted = max(needs, has + GROWTH_PAGES);
  if (memory.grow(<i32>(wanted - has)) < 0 && memory.grow(<i32>(needs - has)) < 0) unreachable();
}

export function align8(at: usize): usize {
  return (at + 7) & ~7;
}
