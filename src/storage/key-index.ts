import { INDEX_PAGE_ENTRIES, MAX_SEGMENT_LOG_BYTES, MAX_SEGMENTS_PER_QUERY, MAX_UNSTORED_SEGMENTS } from "../model/limits.ts";
import { readInt64 } from "../model/record.ts";
import { assert } from "../platform/assert.ts";
import type { BlockStore, IndexChange } from "./block-store.ts";
import { ByteCache } from "./byte-cache.ts";
import type { CacheBudget } from "./cache-budget.ts";
import type { Indexer } from "./indexer.ts";
import { KEY_ROW_BYTES, type KeyQuery, type KeySegment, rangeOf, SEGMENT_ENTRIES, SEGMENT_SLOTS } from "./key-segment.ts";
import { type Crc32, decodeOpen, decodeRange, encodeOpenPage, encodeSegment, rangesOf, rowsOfOpen, rowsOfRange, segmentRange } from "./key-pages.ts";
import type { Scanned } from "./log-scanner.ts";
import { TsKeySegment } from "./ts-key-segment.ts";

/** A segment in the checkpoint. It ends where the next one begins. */
export type SegmentRow = [begin: number, beginTime: number, endTime: number, count: number];

/** A sealed segment. */
interface Sealed {
  /** The part of the log that it covers. */
  begin: number;
  end: number;
  beginTime: number;
  endTime: number;
  count: number;
  /** Its entries by range of slots, until they are stored. */
  groups: Uint8Array[] | null;
  /** Its pages should be in the store. */
  isStored: boolean;
}

/** What of the key index goes into a commit; one of the two must be told. */
export interface IndexTake {
  segments: SegmentRow[];
  change: IndexChange;
  committed(): void;
  failed(): void;
}

export interface KeyIndexOptions {
  store: BlockStore;
  budget: CacheBudget;
  /** Holds the open segment. */
  indexer: Pick<Indexer, "segment" | "crc32">;
  /** Walks the log from a position on: what pages are rebuilt from. */
  scan: (from: number) => AsyncIterable<Scanned>;
  /** Entries of a segment; fewer for tests. */
  maxEntries?: number;
}

export interface IndexAnswer {
  /** Where records stand that may have the key: hashes collide. */
  positions: number[];
  /** Go on below; null = there is no more. */
  next: number | null;
}

/** An entry's time is rounded down to whole seconds of its segment: how much later its record may be, ms. */
const TIME_SLACK = 999;
const MAX_SEGMENTS_PER_READ = 16;

/**
 * Which records have a key. RocketMQ's index files, scaled to pages: one segment is open, in the indexer's memory; a full
 * one is sealed, which sorts its entries into pages by slot, so that a search reads one page of it. Of sealed segments
 * only a line each stays in memory.
 *
 * The log is the truth: a page that is missing or damaged is made again from the segment's part of the log.
 */
export class KeyIndex {
  /** Pages made again from the log, since the start. */
  rebuilt = 0;
  readonly #options: KeyIndexOptions;
  readonly #segment: KeySegment;
  readonly #crc32: Crc32;
  readonly #cache: ByteCache<string, Uint8Array>;
  readonly #rebuilding = new Map<Sealed, Promise<void>>();
  /** The oldest first. */
  #sealed: Sealed[] = [];
  /** Where the open segment's part of the log begins. */
  #begin = 0;
  /** Entries of the open segment that are stored, under this begin. */
  #stored = { begin: -1, count: 0 };
  /** Keys of records before are in the index. */
  #position = 0;
  #minPosition = 0;
  /** What the store has and should not: rows of an index that was given up, or of segments that were dropped. */
  #garbage: number[] | "all" = [];

  constructor(options: KeyIndexOptions) {
    this.#options = options;
    this.#cache = new ByteCache(options.budget);
    this.#segment = options.indexer.segment;
    this.#crc32 = (bytes, seed) => options.indexer.crc32(bytes, seed);
    this.#open(0);
  }

  /** Nothing is known of what is stored: everything has to be put anew. */
  reset(): void {
    this.#sealed = [];
    this.#position = 0;
    this.#garbage = "all";
    this.#open(0);
  }

  /** Takes over what a checkpoint says of the log before `position`. Reads the open segment's pages and no other. */
  async restore(segments: SegmentRow[], position: number): Promise<void> {
    const [begin, beginTime, endTime, count] = segments.at(-1)!;
    this.#sealed = segments.slice(0, -1).map((row, at) => ({ begin: row[0], end: segments[at + 1]![0], beginTime: row[1], endTime: row[2], count: row[3], groups: null, isStored: true }));
    this.#garbage = [];
    this.#stored = { begin: -1, count: 0 };
    this.#open(begin);
    const [rows] = count === 0 ? [[]] : await this.#options.store.readIndex([rowsOfOpen(count)]);
    const entries = decodeOpen(this.#crc32, { begin, beginTime, count }, rows!);
    if (entries !== null) {
      this.#segment.load(entries, beginTime, endTime);
      this.#stored = { begin, count };
    } else {
      this.#position = begin;
      for await (const keys of this.#scan(begin, position)) this.put(keys);
      this.rebuilt += Math.ceil(this.#segment.count / INDEX_PAGE_ENTRIES);
    }
    this.#position = position;
  }

  /** Enters the keys of records that have become durable; of records that are in already, nothing happens. */
  put(rows: Uint8Array): void {
    let rest = rows.subarray(firstAt(rows, this.#position));
    if (rest.byteLength === 0) return;
    this.#position = positionOf(rows, rows.byteLength - KEY_ROW_BYTES) + 1;
    for (;;) {
      const isFar = positionOf(rest, 0) - this.#begin >= MAX_SEGMENT_LOG_BYTES;
      // A clock that was set back since the last start: a segment's times go from its first entry to its last.
      const isBack = timeOf(rest, 0) < this.#segment.endTime;
      if (this.#segment.count > 0 && (isFar || isBack)) this.#seal(positionOf(rest, 0));
      const rising = rest.subarray(0, endOfRising(rest));
      const taken = this.#segment.put(rising) * KEY_ROW_BYTES;
      rest = rest.subarray(taken);
      if (rest.byteLength === 0) return;
      if (taken === rising.byteLength) continue;
      assert(this.#segment.count > 0, "a segment has room for the keys of one record");
      this.#seal(positionOf(rest, 0));
    }
  }

  /** Segments that lie wholly before are forgotten and deleted, and of the others no earlier position is found. */
  dropBefore(position: number): void {
    this.#minPosition = Math.max(this.#minPosition, position);
    const kept = this.#sealed.filter(({ end }) => end > position);
    if (this.#garbage !== "all") this.#garbage.push(...this.#sealed.slice(0, this.#sealed.length - kept.length).map(({ begin }) => begin));
    this.#sealed = kept;
  }

  /** Gathers what has changed since the last time. */
  take(): IndexTake {
    const before = { stored: this.#stored, garbage: this.#garbage };
    const written = this.#sealed.filter(({ groups }) => groups !== null).map((sealed) => ({ sealed, groups: sealed.groups }));
    const put = written.flatMap(({ sealed, groups }) => encodeSegment(this.#crc32, sealed, groups!));
    const garbage = before.garbage === "all" ? "all" : before.garbage.map(segmentRange);
    // Written anew in place: the pages of a segment that is no longer open.
    const isAnother = before.stored.begin !== this.#begin;
    if (garbage !== "all") {
      garbage.push(...written.map(({ sealed }) => segmentRange(sealed.begin)));
      if (isAnother) garbage.push({ name: rowsOfOpen(0).name, from: 0, to: Number.MAX_SAFE_INTEGER });
    }
    const { count, beginTime, endTime } = this.#segment;
    const open = { begin: this.#begin, beginTime, count };
    const stored = isAnother || garbage === "all" ? 0 : before.stored.count;
    // The last page is written again and again until it is full: otherwise a trickle of messages would leave a row each.
    const changed = stored === count ? count : stored - (stored % INDEX_PAGE_ENTRIES);
    for (let first = changed; first < count; first += INDEX_PAGE_ENTRIES) {
      const entries = this.#segment.entries(first, Math.min(count, first + INDEX_PAGE_ENTRIES));
      put.push(encodeOpenPage(this.#crc32, open, first / INDEX_PAGE_ENTRIES, entries));
    }
    this.#stored = { begin: this.#begin, count };
    this.#garbage = [];
    const rowOf = ({ begin, beginTime: first, endTime: last, count: entries }: Sealed): SegmentRow => [begin, first, last, entries];
    return {
      segments: [...this.#sealed.map(rowOf), [this.#begin, beginTime, endTime, count]],
      change: { delete: garbage, put },
      committed: () => {
        // Rebuilt meanwhile, it has to be stored again.
        for (const { sealed, groups } of written) {
          if (sealed.groups === groups) sealed.groups = null;
          sealed.isStored = true;
        }
      },
      failed: () => {
        this.#stored = before.stored;
        this.#garbage = before.garbage === "all" || this.#garbage === "all" ? "all" : [...before.garbage, ...this.#garbage];
      },
    };
  }

  /** Of the last record in the open segment; 0 = there is none. */
  get endTime(): number {
    return this.#segment.endTime;
  }

  /** How often the times of what is in the index go back. */
  get setbacks(): number {
    const { beginTime } = this.#segment;
    return this.#sealed.filter(({ endTime }, at) => (this.#sealed[at + 1]?.beginTime ?? beginTime) < endTime).length;
  }

  /** Of how many segments a search that goes back to this position may need a page. */
  segmentsFrom(position: number): number {
    return this.#sealed.filter(({ end }) => end > position).length + 1;
  }

  /** At most `max` positions, and no more than a bounded number of segments is looked at. Those that lie wholly before `from` are not. */
  async find(query: KeyQuery, from = 0): Promise<IndexAnswer> {
    const positions: number[] = [];
    let before = query.before;
    let perRead = 1;
    let hasRebuilt = false;
    for (let looked = 0; positions.length < query.max; ) {
      if (before <= Math.max(this.#minPosition, from)) return { positions, next: null };
      const left = { ...query, begin: query.begin - TIME_SLACK, before, max: query.max - positions.length };
      if (this.#segment.count > 0 && this.#begin < before && isTimeMatched(this.#segment, left)) {
        const found = this.#segment.find(left);
        before = this.#collect(found, left.max, this.#begin, positions);
        continue;
      }
      const segments = this.#sealed.filter((sealed) => sealed.begin < before && isTimeMatched(sealed, left)).reverse();
      if (segments.length === 0) return { positions, next: null };
      if (looked >= MAX_SEGMENTS_PER_QUERY || hasRebuilt) break;
      const next = segments.slice(0, perRead);
      const pages = await this.#load(next, query.text);
      const page = pages.indexOf(null);
      // What is missing takes its time; what comes before it is worth having already.
      const whole = page < 0 ? next.length : page;
      for (let at = 0; at < whole && positions.length < query.max; at++) {
        const wanted = query.max - positions.length;
        const found = this.#segment.findIn(pages[at]!, next[at]!.beginTime, { ...left, before, max: wanted });
        before = this.#collect(found, wanted, next[at]!.begin, positions);
        if (found.length === wanted) break;
      }
      looked += whole;
      perRead = Math.min(perRead * 2, MAX_SEGMENTS_PER_READ);
      if (page === 0) {
        if (positions.length > 0) break;
        await this.#rebuild(next[0]!);
        hasRebuilt = true;
        // Look once more, at this one alone.
        const found = this.#searchUnstored(next[0]!, { ...left, before });
        if (found !== null) before = this.#collect(found, left.max, next[0]!.begin, positions);
      }
    }
    return { positions, next: before };
  }

  /** Adds what was found, each record once; returns where to go on below. */
  #collect(found: Float64Array, wanted: number, begin: number, positions: number[]): number {
    for (const position of found) if (position >= this.#minPosition && position !== positions.at(-1)) positions.push(position);
    return found.length < wanted ? begin : found[found.length - 1]!;
  }

  #searchUnstored(sealed: Sealed, query: KeyQuery): Float64Array | null {
    const entries = sealed.groups?.[rangeOf(query.text, sealed.groups.length)];
    return entries === undefined ? null : this.#segment.findIn(entries, sealed.beginTime, query);
  }

  /** The entries of each segment's range that the key stands in; null where they have to be rebuilt. */
  async #load(segments: Sealed[], text: number): Promise<(Uint8Array | null)[]> {
    const wanted = segments.map(({ begin, beginTime, count, groups }) => {
      const range = rangeOf(text, rangesOf(count));
      const name = `${begin}/${range}/${rangesOf(count)}`;
      // A copy, because a rebuild may end meanwhile.
      return { segment: { begin, beginTime, count }, range, name, entries: groups?.[range] ?? this.#cache.get(name) };
    });
    const missing = wanted.filter(({ entries }) => entries === undefined);
    const rows = missing.length === 0 ? [] : await this.#options.store.readIndex(missing.map(({ segment, range }) => rowsOfRange(segment.begin, range)));
    for (const [at, one] of missing.entries()) {
      const entries = decodeRange(this.#crc32, one.segment, one.range, rows[at]!);
      if (entries === null) continue;
      one.entries = entries;
      this.#cache.set(one.name, entries, entries.byteLength);
    }
    return wanted.map(({ entries }) => entries ?? null);
  }

  /** Makes a sealed segment again from its part of the log; the next checkpoint stores it. */
  #rebuild(sealed: Sealed): Promise<void> {
    const running = this.#rebuilding.get(sealed);
    if (running !== undefined) return running;
    const rebuilt = this.#rebuildNow(sealed).finally(() => this.#rebuilding.delete(sealed));
    this.#rebuilding.set(sealed, rebuilt);
    return rebuilt;
  }

  async #rebuildNow(sealed: Sealed): Promise<void> {
    const segment = new TsKeySegment();
    segment.open(SEGMENT_SLOTS, Number.POSITIVE_INFINITY);
    for await (const keys of this.#scan(sealed.begin, sealed.end)) segment.put(keys);
    sealed.count = segment.count;
    // With nothing left of it, its times stay as they were.
    if (segment.count > 0) [sealed.beginTime, sealed.endTime] = [segment.beginTime, segment.endTime];
    sealed.groups = segment.group(rangesOf(segment.count));
    // What had to give way before it was stored is no damage.
    if (sealed.isStored && segment.count > 0) this.rebuilt += sealed.groups.length;
    this.#boundUnstored(sealed);
  }

  async *#scan(from: number, to: number): AsyncGenerator<Uint8Array> {
    for await (const scanned of this.#options.scan(from)) {
      if (scanned.kind !== "records") continue;
      if (scanned.position >= to) return;
      const { keys } = scanned.table;
      yield keys.subarray(firstAt(keys, from), firstAt(keys, to));
    }
  }

  #seal(end: number): void {
    const { count, beginTime, endTime } = this.#segment;
    const sealed = { begin: this.#begin, end, beginTime, endTime, count, groups: this.#segment.group(rangesOf(count)), isStored: false };
    this.#sealed.push(sealed);
    this.#boundUnstored(sealed);
    this.#open(end);
  }

  /** A long replay seals more than may wait in memory. */
  #boundUnstored(newest: Sealed): void {
    const waiting = this.#sealed.filter((sealed) => sealed.groups !== null && sealed !== newest);
    for (const sealed of waiting.slice(0, Math.max(0, waiting.length + 1 - MAX_UNSTORED_SEGMENTS))) sealed.groups = null;
  }

  #open(begin: number): void {
    this.#segment.open(SEGMENT_SLOTS, this.#options.maxEntries ?? SEGMENT_ENTRIES);
    this.#begin = begin;
  }
}

export function isSegmentRow(value: unknown): value is SegmentRow {
  return Array.isArray(value) && value.length === 4 && value.every((part) => Number.isSafeInteger(part) && Number(part) >= 0) && Number(value[3]) < SEGMENT_ENTRIES;
}

/** RocketMQ's rule: does a segment's time overlap with what is asked for? */
export function isTimeMatched(segment: { beginTime: number; endTime: number }, query: { begin: number; end: number }): boolean {
  return query.begin <= segment.endTime && query.end >= segment.beginTime;
}

function positionOf(rows: Uint8Array, at: number): number {
  return readInt64(new DataView(rows.buffer, rows.byteOffset + at, KEY_ROW_BYTES), 8);
}

function timeOf(rows: Uint8Array, at: number): number {
  return readInt64(new DataView(rows.buffer, rows.byteOffset + at, KEY_ROW_BYTES), 16);
}

/** Up to where times do not go back: what is read of the log may be of several hosts, or imported. */
function endOfRising(rows: Uint8Array): number {
  let at = KEY_ROW_BYTES;
  for (let last = timeOf(rows, 0); at < rows.byteLength; at += KEY_ROW_BYTES) {
    const time = timeOf(rows, at);
    if (time < last) break;
    last = time;
  }
  return at;
}

/** Where the rows of positions from `position` on begin. */
function firstAt(rows: Uint8Array, position: number): number {
  let low = 0;
  let high = rows.byteLength / KEY_ROW_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (positionOf(rows, middle * KEY_ROW_BYTES) < position) low = middle + 1;
    else high = middle;
  }
  return low * KEY_ROW_BYTES;
}
