/** What both indexers demand of their caller. A breach is a mistake of ours, not damaged data, so it throws. */
import type { AppendStamps } from "./indexer.ts";

function assertCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${name} must be an integer from 0 to 2^53 - 1: ${value}`);
}

/** `length` bytes from `position` on must have exact positions. */
export function assertPosition(position: number, length: number): void {
  assertCount("position", position);
  assertCount("end position", position + length);
}

export function assertEpoch(epoch: number): void {
  assertCount("epoch", epoch);
}

/** `count` = records of the check that the stamps are for. */
export function assertStamps(stamps: AppendStamps, count: number): void {
  const { keep, queueOffset } = stamps;
  if (queueOffset.length < count) throw new RangeError(`${count} records need as many queue offsets, not ${queueOffset.length}`);
  if (keep && keep.length < count) throw new RangeError(`${count} records need as many keep bytes, not ${keep.length}`);
  for (let row = 0; row < count; row++) {
    if (!keep || keep[row]) assertCount("queueOffset", queueOffset[row]!);
  }
  assertCount("storeTimestamp", stamps.storeTimestamp);
}
