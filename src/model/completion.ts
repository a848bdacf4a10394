import { MAX_PULL_BATCH } from "./limits.ts";
import { PROPERTY } from "./properties.ts";
import { propertyOf } from "./record-properties.ts";

/** Messages of one queue that a group has consumed, and the keys that are finished with them where its consumers are idempotent. */
export interface Completion {
  group: string;
  topic: string;
  queueId: number;
  queueOffsets: readonly number[];
  keys: readonly string[];
  /** How long the keys are remembered, ms; 0 without keys. */
  window: number;
}

const COMPLETION = /^(\S+) (\S+) (\d{1,3}) (\d{1,16}(?:-\d{1,16})?(?:,\d{1,16}(?:-\d{1,16})?)*) (\d{1,16})((?: \S+)*)$/;
const NAME = new TextEncoder().encode(PROPERTY.COMPLETES);
/** What separates in a property, or in its text. */
// oxlint-disable-next-line no-control-regex -- the separators of properties are control characters
const SPECIAL = /[\u0000-\u0020%\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]/g;

/** As a record says it that their listener has sent: it is stored with their acknowledgement, both or neither. */
export function completionText({ group, topic, queueId, queueOffsets, keys, window }: Completion): string {
  return [group, topic, queueId, rangesText(queueOffsets), window, ...keys.map(keyText)].join(" ");
}

/** A key, as the text has it. */
export function keyText(key: string): string {
  return key.replace(SPECIAL, encodeURIComponent);
}

/** What the whole, checked record at `start` completes; null = nothing, as most do. */
export function completionOf(records: Uint8Array, start: number): Completion | null {
  const [, group, topic, queueId, ranges, window, keys] = COMPLETION.exec(propertyOf(records, start, NAME) ?? "") ?? [];
  if (group === undefined) return null;
  const queueOffsets = readRanges(ranges!);
  if (queueOffsets === null) return null;
  try {
    return { group, topic: topic!, queueId: Number(queueId), queueOffsets, keys: keys!.split(" ").slice(1).map(decodeURIComponent), window: Number(window) };
  } catch {
    // Only what we have written ourselves is one.
    return null;
  }
}

/** "3,5-8": both ends are meant. */
function rangesText(offsets: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const offset of [...new Set(offsets)].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === offset - 1) last[1] = offset;
    else ranges.push([offset, offset]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}

function readRanges(text: string): number[] | null {
  const offsets: number[] = [];
  for (const range of text.split(",")) {
    const [from = -1, to = from] = range.split("-").map(Number);
    if (to < from || offsets.length + to - from >= MAX_PULL_BATCH) return null;
    for (let offset = from; offset <= to; offset++) offsets.push(offset);
  }
  return offsets;
}
