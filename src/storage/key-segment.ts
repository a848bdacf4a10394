/**
 * One segment of the key index while it is written: RocketMQ's IndexFile in memory. Part of the Indexer seam, with two
 * implementations.
 *
 * Key row, what `append` and `scan` tell of a record's keys, 24 bytes, big-endian:
 * hash of `topic#key` 4, hash of the key alone 4, position of the record 8, store time 8.
 *
 * Entry, 20 bytes, big-endian: hash of `topic#key` 4, position 8, seconds since the segment's first entry 4, hash of the key alone 4.
 * In the last place RocketMQ has the number of the slot's entry before, which says nothing once entries are sorted into
 * pages. The hash that stands there instead chooses the slot. So a message is found by its id alone, whatever its
 * topic, and no second entry for it is needed.
 */
export const KEY_ROW_BYTES = 24;
export const INDEX_ENTRY_BYTES = 20;

/** As many as a segment may have; a prime just below 2^16. */
export const SEGMENT_SLOTS = 65_521;
/** As RocketMQ counts: one more than fit, because numbers of entries begin at 1. */
export const SEGMENT_ENTRIES = 65_536;

export interface KeyQuery {
  /** Hash of the key alone. */
  text: number;
  /** Hash of `topic#key`; null = in any topic. */
  key: number | null;
  /** Store times, inclusive, as whole seconds behind the segment's first entry give them. */
  begin: number;
  end: number;
  /** Only positions below. */
  before: number;
  /** How many at most. */
  max: number;
}

export interface KeySegment {
  readonly count: number;
  /** Store time of the first entry and of the last. */
  readonly beginTime: number;
  readonly endTime: number;

  /** Starts an empty segment. The arguments are for tests. */
  open(slots?: number, maxEntries?: number): void;

  /** Enters key rows and says how many; all rows of a record or none. Fewer than given = it is full. */
  put(rows: Uint8Array): number;

  /** Enters entries as they were stored, behind those that are there. */
  load(entries: Uint8Array, beginTime: number, endTime: number): void;

  /** A copy of the entries from one number (the first is 0) up to another. */
  entries(from: number, to: number): Uint8Array;

  /** A copy of all entries by ranges of slots (`rangeOf`); in a range slot by slot, the newest of a slot first. */
  group(ranges: number): Uint8Array[];

  /** Positions of the entries that match, the newest first. */
  find(query: KeyQuery): Float64Array;

  /** The same in one range of another segment, whose first entry has this store time. */
  findIn(entries: Uint8Array, beginTime: number, query: KeyQuery): Float64Array;
}

/** Hashes of keys that are alike lie close together; the product spreads them, so that few keys do not share one page. */
export function slotOf(text: number, slots: number): number {
  return (Math.imul(text, 0x9e3779b1) >>> 0) % slots;
}

/** In which range of slots, of so many, a key stands. */
export function rangeOf(text: number, ranges: number, slots: number = SEGMENT_SLOTS): number {
  return Math.floor((slotOf(text, slots) * ranges) / slots);
}
