import { LOSS_GAP_BYTES, MAX_LOSSES, MAX_WITNESS_GROUPS, MAX_WITNESS_POSITION } from "../model/limits.ts";
import type { LossKind, WitnessMark } from "../protocol/api.ts";

export const LOSS_KEY = "loss";

/** What a start that found the store too old has left in it: nothing that was used before the loss is used again. */
export interface LossRow {
  version: 1;
  kind: Exclude<LossKind, "none">;
  /** The position up to which the log was known to be durable. */
  lastKnownPosition: number;
  /** The log goes on here, or behind: there is nothing in the LOSS_GAP_BYTES before. */
  position: number;
  /** The same of earlier losses that the log still reaches back to. */
  earlier?: number[];
  /** Groups whose offsets may be gone: all that is left, or comes after, is new to them. */
  groups: string[];
}

/** What the store says of itself when it is opened. */
export interface StoreAge {
  /** The epoch found in it; 0 = the store is new. */
  epoch: number;
  /** Where its log ends. */
  position: number;
}

/**
 * Is this the store that the tabs remember? Browsers drop databases as a whole (eviction, a damaged file) and drop
 * their newest commits (a cut file, a restored copy), in most cases without a word. A mark lags behind what was
 * durable and is never ahead of it, so a store that is older than the mark has lost something. Null = it has not.
 */
export function judgeLoss(store: StoreAge, mark: WitnessMark | null): LossRow | null {
  if (mark === null || (store.epoch >= mark.epoch && store.position >= mark.position)) return null;
  return {
    version: 1,
    kind: store.epoch === 0 ? "total" : "tail",
    lastKnownPosition: mark.position,
    // The mark lags: how much was written behind it is not known, only that it was less than this.
    position: Math.max(store.position, mark.position) + LOSS_GAP_BYTES,
    groups: mark.groups,
  };
}

/** Where the log goes on behind what losses have left out, the oldest first. */
export function gapEnds(loss: LossRow | null): number[] {
  return loss === null ? [] : [...(loss.earlier ?? []), loss.position];
}

/** A new loss does not make the ones before it forgotten, as long as the log begins before them. */
export function afterEarlier(loss: LossRow | null, last: LossRow | null, logBegin: number): LossRow | null {
  return loss === null ? null : { ...loss, earlier: gapEnds(last).filter((end) => end > logBegin).slice(-MAX_LOSSES) };
}

/** Null when there is no such row, or none that this version understands. */
export function readLoss(value: unknown): LossRow | null {
  if (typeof value !== "object" || value === null) return null;
  const { version, kind, lastKnownPosition, position, groups, earlier = [] } = value as Partial<LossRow>;
  const whole =
    version === 1 && (kind === "tail" || kind === "total") && Number.isSafeInteger(lastKnownPosition) &&
    Number.isSafeInteger(position) && Array.isArray(groups) && groups.every((group) => typeof group === "string") &&
    Array.isArray(earlier) && earlier.every((end) => Number.isSafeInteger(end));
  return whole ? (value as LossRow) : null;
}

/**
 * A mark that somebody made up must not use up all positions. After it has been believed, marks are above the limit and
 * no longer believed: less is noticed then, and nothing else fails.
 */
export function credible(mark: WitnessMark | null): WitnessMark | null {
  return mark !== null && mark.position <= MAX_WITNESS_POSITION && mark.epoch <= MAX_WITNESS_POSITION ? mark : null;
}

/** The mark that knows more; null = nobody remembers anything. */
export function newerMark(a: WitnessMark | null, b: WitnessMark | null): WitnessMark | null {
  if (a === null || b === null) return a ?? b;
  return { epoch: Math.max(a.epoch, b.epoch), position: Math.max(a.position, b.position), groups: [...new Set([...b.groups, ...a.groups])].slice(0, MAX_WITNESS_GROUPS) };
}
