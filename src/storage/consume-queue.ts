import { crc32 } from "../model/crc32.ts";
import { QUEUE_PAGE_ENTRIES } from "../model/limits.ts";
import { queueKey } from "../model/queue.ts";
import { readInt64, writeInt64 } from "../model/record.ts";
import { assert } from "../platform/assert.ts";
import type { PageKey } from "./block-store.ts";

/**
 * A consume queue maps a queue's offsets to places in the commit log. RocketMQ's entry, 20 bytes, big-endian:
 * position 8, size 4, tag code 8. Size 0 = a hole: that offset was given away and its record never became durable,
 * or is damaged.
 *
 * Entries live in pages of 1024. A page as stored: magic "TMQQ" 4, number of its first entry 8, CRC-32 of the
 * queue's name and the entries 4, entries. The name, because a page of another queue is no less damage than a flipped bit.
 */
export const ENTRY_BYTES = 20;
const PAGE_MAGIC = 0x544d5151;
const PAGE_HEADER_BYTES = 16;
/** Of the entries of a whole page. */
export const PAGE_BYTES = QUEUE_PAGE_ENTRIES * ENTRY_BYTES;

const encoder = new TextEncoder();

export function entryPosition(view: DataView, at: number): number {
  return readInt64(view, at);
}

export function entrySize(view: DataView, at: number): number {
  return view.getInt32(at + 8);
}

export interface PageSource {
  /** The entries of a page that is not in memory; undefined when it is not stored. */
  load(key: PageKey): Promise<Uint8Array | undefined>;
  /** Pages, of all queues, that wait to be stored. */
  dirtyPages: number;
}

/** From here, up to but not including there. */
export type Gap = [from: number, to: number];

interface Page {
  entries: Uint8Array;
  dirty: boolean;
}

export class ConsumeQueue {
  readonly topic: string;
  readonly queueId: number;
  /** As they stand in a record. */
  readonly topicBytes: Uint8Array;
  minOffset = 0;
  /** The offset that the next appended message gets. */
  nextOffset = 0;
  /** Everything before can be consumed; at most nextOffset. */
  maxOffset = 0;
  /** Offsets above maxOffset that may have been given to records which are now damaged: never given again. */
  lostOffsets = 0;
  /** Offsets [from, to) that a loss has left out, a page or more: nothing is stored for them. */
  #gaps: Gap[] = [];
  /** Store time of the newest message, ms; 0 = not known. */
  lastUpdate = 0;
  #isEnded = false;
  readonly #source: PageSource;
  readonly #pages = new Map<number, Page>();

  constructor(topic: string, queueId: number, source: PageSource, firstOffset = 0) {
    this.topic = topic;
    this.queueId = queueId;
    this.topicBytes = encoder.encode(topic);
    this.#source = source;
    this.minOffset = this.nextOffset = this.maxOffset = firstOffset;
  }

  get gaps(): readonly Gap[] {
    return this.#gaps;
  }

  get lastPage(): number {
    return Math.floor(Math.max(0, this.maxOffset - 1) / QUEUE_PAGE_ENTRIES);
  }

  pageKey(page: number): PageKey {
    return [this.topic, this.queueId, page];
  }

  /** Takes over what a checkpoint says. Unless the queue is empty, `adoptLastPage` has to follow. */
  restore(offsets: { min: number; max: number; next: number; gaps: Gap[] }): void {
    this.minOffset = offsets.min;
    this.maxOffset = offsets.max;
    this.nextOffset = offsets.next;
    this.lostOffsets = offsets.next - offsets.max;
    this.#gaps = offsets.gaps;
  }

  /** Where reading from `offset` on finds the next entry. */
  behindGap(offset: number): number {
    return this.#gaps.find(([from, to]) => from <= offset && offset < to)?.[1] ?? offset;
  }

  /** How many messages there can be from `offset` to the end. */
  backlogFrom(offset: number): number {
    const missing = this.#gaps.reduce((sum, [from, to]) => sum + Math.max(0, to - Math.max(from, offset)), 0);
    return Math.max(0, this.maxOffset - offset - missing);
  }

  /** The last page stays in memory, because it grows on. */
  adoptLastPage(entries: Uint8Array): void {
    this.#pages.set(this.lastPage, { entries, dirty: false });
  }

  /** How many pages in memory begin before `offset`. */
  pagesBefore(offset: number): number {
    return [...this.#pages.keys()].filter((page) => page * QUEUE_PAGE_ENTRIES < offset).length;
  }

  /** What was before has been removed. */
  beginAt(minOffset: number): void {
    this.minOffset = Math.max(this.minOffset, minOffset);
    this.maxOffset = Math.max(this.maxOffset, minOffset);
    this.nextOffset = Math.max(this.nextOffset, minOffset);
  }

  /** It is deleted, with what is still on its way into it. */
  end(): void {
    this.#isEnded = true;
    this.beginAt(this.nextOffset);
    this.#pages.clear();
  }

  /** Some records behind maxOffset are unreadable: they may have had as many offsets as this. */
  skipLost(count: number): void {
    // On top of what an earlier start has found: the checkpoint tells of that, and what is found now lies behind it.
    this.lostOffsets += count;
    this.nextOffset = this.maxOffset + this.lostOffsets;
  }

  /** Publishes the entry of a durable record. Offsets in between stay holes. */
  publish(offset: number, entry: Uint8Array, storeTimestamp: number): void {
    if (this.#isEnded) return;
    assert(entry.byteLength === ENTRY_BYTES, "an entry has 20 bytes");
    assert(offset >= this.maxOffset, "offsets of a queue are published in order");
    const number = Math.floor(offset / QUEUE_PAGE_ENTRIES);
    if (offset - this.maxOffset >= QUEUE_PAGE_ENTRIES) this.#skip(offset);
    else if (number > this.lastPage) this.#fillLastPage();
    const at = (offset % QUEUE_PAGE_ENTRIES) * ENTRY_BYTES;
    const page = this.#pages.get(number) ?? { entries: new Uint8Array(32 * ENTRY_BYTES), dirty: false };
    if (at + ENTRY_BYTES > page.entries.byteLength) page.entries = grow(page.entries, at + ENTRY_BYTES);
    page.entries.set(entry, at);
    this.#mark(page);
    this.#pages.set(number, page);
    this.maxOffset = offset + 1;
    this.nextOffset = Math.max(this.nextOffset, this.maxOffset);
    this.lostOffsets = 0;
    this.lastUpdate = storeTimestamp;
  }

  /** How long a page is that is not the last one; shorter, it is an old state of it. */
  bytesOf(page: number): number {
    if (page >= this.lastPage) return 0;
    const first = page * QUEUE_PAGE_ENTRIES;
    const gap = this.#gaps.find(([from]) => first < from && from < first + QUEUE_PAGE_ENTRIES);
    return gap === undefined ? PAGE_BYTES : (gap[0] - first) * ENTRY_BYTES;
  }

  /** With holes, when the queue goes on in the next page. */
  #fillLastPage(): void {
    const last = this.#pages.get(this.lastPage);
    if (last === undefined || this.maxOffset % QUEUE_PAGE_ENTRIES === 0) return;
    last.entries = grow(last.entries, PAGE_BYTES);
    this.#mark(last);
  }

  #mark(page: Page): void {
    if (!page.dirty) this.#source.dirtyPages++;
    page.dirty = true;
  }


  #skip(offset: number): void {
    if (this.maxOffset === this.minOffset) this.minOffset = offset;
    else this.#gaps.push([this.maxOffset, offset]);
  }

  /** The first offset whose record stands at `position` of the log or behind it, or a hole before it; maxOffset when there is none. */
  async offsetAt(position: number): Promise<number> {
    let low = this.minOffset;
    let high = this.maxOffset;
    // Page by page: positions rise with offsets, and holes have none.
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const first = Math.max(low, middle - (middle % QUEUE_PAGE_ENTRIES));
      const { from, end, places } = await this.#placesFrom(first, high);
      const behind = places.find((place) => place.position >= position);
      const isBefore = places.some((place) => place.position < position);
      if (behind !== undefined && (isBefore || first === low)) return from + behind.at;
      if (isBefore || first === low) low = end;
      else high = first;
    }
    return low;
  }

  /** The first entries from `first` on that are no holes, to the end of their page at most. Where there are holes only, those behind them say what is before and behind. */
  async #placesFrom(first: number, high: number): Promise<{ from: number; end: number; places: { at: number; position: number }[] }> {
    for (let from = this.behindGap(first); from < high; from = this.behindGap(from - (from % QUEUE_PAGE_ENTRIES) + QUEUE_PAGE_ENTRIES)) {
      const end = Math.min(high, from - (from % QUEUE_PAGE_ENTRIES) + QUEUE_PAGE_ENTRIES);
      const places = placesOf(await this.read(from, end - from));
      if (places.length > 0) return { from, end, places };
    }
    return { from: high, end: high, places: [] };
  }

  /**
   * Entries from `offset` on, at most `count`, ending at a page's border; empty at the end of the queue.
   * The bytes are the queue's own: read, don't write.
   */
  async read(offset: number, count: number): Promise<Uint8Array> {
    if (offset >= this.maxOffset) return new Uint8Array(0);
    const number = Math.floor(offset / QUEUE_PAGE_ENTRIES);
    const first = offset % QUEUE_PAGE_ENTRIES;
    const last = Math.min(first + count, QUEUE_PAGE_ENTRIES, this.maxOffset - number * QUEUE_PAGE_ENTRIES);
    const entries = this.#pages.get(number)?.entries ?? (await this.#source.load(this.pageKey(number)));
    // A page of which nothing is known is a page of holes; so is the rest of a short one.
    if (entries === undefined) return new Uint8Array((last - first) * ENTRY_BYTES);
    const long = entries.byteLength < last * ENTRY_BYTES ? grow(entries, last * ENTRY_BYTES) : entries;
    return long.subarray(first * ENTRY_BYTES, last * ENTRY_BYTES);
  }

  /** Pages changed since they were last stored, ready to be stored. */
  dirtyPages(): DirtyPage[] {
    const dirty = [...this.#pages].filter(([, page]) => page.dirty);
    return dirty.map(([number, page]) => {
      const used = number < this.lastPage ? this.bytesOf(number) : (this.maxOffset - number * QUEUE_PAGE_ENTRIES) * ENTRY_BYTES;
      page.dirty = false;
      this.#source.dirtyPages--;
      return {
        key: this.pageKey(number),
        bytes: encodePage(this.pageKey(number), page.entries.subarray(0, used)),
        stored: () => this.#stored(number),
        failed: () => this.#mark(page),
      };
    });
  }

  /** A full page that is stored need not stay. */
  #stored(number: number): void {
    if (number < this.lastPage && this.#pages.get(number)?.dirty === false) this.#pages.delete(number);
  }
}

/** Where the entries that are no holes point to. */
function placesOf(entries: Uint8Array): { at: number; position: number }[] {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  const all = Array.from({ length: entries.byteLength / ENTRY_BYTES }, (_, at) => ({ at, position: entrySize(view, at * ENTRY_BYTES) === 0 ? -1 : entryPosition(view, at * ENTRY_BYTES) }));
  return all.filter((place) => place.position >= 0);
}

/** A page on its way to the store; one of the two must be told. */
export interface DirtyPage {
  key: PageKey;
  bytes: Uint8Array;
  stored(): void;
  failed(): void;
}

function grow(entries: Uint8Array, needed: number): Uint8Array {
  const grown = new Uint8Array(Math.min(PAGE_BYTES, Math.max(needed, entries.byteLength * 2)));
  grown.set(entries);
  return grown;
}

function pageCrc([topic, queueId]: PageKey, entries: Uint8Array): number {
  return crc32(entries, crc32(encoder.encode(queueKey(topic, queueId))));
}

function encodePage(key: PageKey, entries: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PAGE_HEADER_BYTES + entries.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, PAGE_MAGIC);
  writeInt64(view, 4, key[2] * QUEUE_PAGE_ENTRIES);
  view.setUint32(12, pageCrc(key, entries));
  bytes.set(entries, PAGE_HEADER_BYTES);
  return bytes;
}

/** The entries of a stored page; null when it is damaged or not this page of this queue. */
export function decodePage(bytes: Uint8Array, key: PageKey): Uint8Array | null {
  if (bytes.byteLength < PAGE_HEADER_BYTES || (bytes.byteLength - PAGE_HEADER_BYTES) % ENTRY_BYTES !== 0) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries = bytes.slice(PAGE_HEADER_BYTES);
  const intact =
    view.getUint32(0) === PAGE_MAGIC && readInt64(view, 4) === key[2] * QUEUE_PAGE_ENTRIES && view.getUint32(12) === pageCrc(key, entries);
  return intact ? entries : null;
}
