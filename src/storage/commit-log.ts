import { LOSS_GAP_BYTES, MAX_RECORD_BYTES } from "../model/limits.ts";
import { RECORD, RECORD_MAGIC, RECORD_MIN_BYTES, readInt64 } from "../model/record.ts";
import { assert } from "../platform/assert.ts";
import type { DamagedRange } from "../protocol/api.ts";
import type { BlockStore, LogRow } from "./block-store.ts";
import type { CacheBudget } from "./cache-budget.ts";
import { type ConsumeQueue, ENTRY_BYTES, entryPosition, entrySize } from "./consume-queue.ts";
import type { AppendStamps, Appended, Indexer, RecordTable, SealedChunk } from "./indexer.ts";
import { CHUNK_HEADER_BYTES } from "./indexer.ts";
import { type CachedRow, LogCache } from "./log-cache.ts";
import { endOfRow, RowReader } from "./row-reader.ts";

/** Whose entries they are. */
type Place = Pick<ConsumeQueue, "queueId" | "topicBytes">;

/**
 * The log of all records of all topics, in the order of their arrival. Writing goes through the indexer's open log;
 * reading goes to the chunks that are committed, through a cache. Nothing can be read before it is durable.
 */
export class CommitLog {
  readonly #indexer: Indexer;
  readonly #store: BlockStore;
  readonly #onDamage: (range: DamagedRange) => void;
  readonly #cache: LogCache;
  readonly #reader: RowReader;
  /** Where the log begins: what was before has been given up, and its rows go. */
  minPosition = 0;
  /** Where it goes on behind what losses have left out, the oldest first. */
  gapEnds: readonly number[] = [];
  #durablePosition = 0;
  /** Walks over the rows that are going on, and the change of their borders that is. */
  #walks = 0;
  #rewriting: Promise<unknown> = Promise.resolve();

  constructor(indexer: Indexer, store: BlockStore, budget: CacheBudget, onDamage: (range: DamagedRange) => void) {
    this.#indexer = indexer;
    this.#store = store;
    this.#onDamage = onDamage;
    this.#cache = new LogCache(budget);
    this.#reader = new RowReader(store);
  }

  /** Position of the next record. */
  get position(): number {
    return this.#indexer.position;
  }

  /** Everything before is committed. */
  get durablePosition(): number {
    return this.#durablePosition;
  }

  /** Bytes accepted and not yet handed to a commit. */
  get openBytes(): number {
    return this.#indexer.openBytes;
  }

  /** Bytes of the log from one position to another. */
  bytesBetween(from: number, to: number): number {
    return this.gapEnds.reduce((bytes, end) => bytes - (from < end && end <= to ? Math.min(LOSS_GAP_BYTES, end - from) : 0), to - from);
  }

  /** Where its last durable bytes begin, so many of them. */
  beginOfLast(bytes: number): number {
    return this.gapEnds.reduceRight((begin, end) => (begin < end && end <= this.#durablePosition ? begin - LOSS_GAP_BYTES : begin), this.#durablePosition - bytes);
  }

  open(position: number): void {
    this.#indexer.open(position);
    this.#durablePosition = position;
  }

  check(records: Uint8Array): RecordTable {
    return this.#indexer.check(records);
  }

  append(stamps: AppendStamps): Appended {
    return this.#indexer.append(stamps);
  }

  seal(epoch: number): SealedChunk[] {
    return this.#indexer.seal(epoch);
  }

  /** Called when the chunks' transaction is complete: from now on they can be read. */
  committed(chunks: readonly SealedChunk[]): void {
    for (const { position, bytes } of chunks) {
      assert(position >= this.#durablePosition, "chunks are committed in the order of their positions");
      const payload = bytes.subarray(CHUNK_HEADER_BYTES);
      this.#cache.keep({ position, end: position + payload.byteLength, payload });
      this.#durablePosition = position + payload.byteLength;
    }
  }

  /**
   * The records that the chosen consume-queue entries point to, back to back, in at most about `maxBytes` (one record
   * at least). `taken` says how many of the entries that covers; damaged records are reported and left out,
   * and so are those of another queue or offset: `first` is that of the first entry.
   */
  async read(queue: Place, first: number, entries: Uint8Array, chosen: Int32Array, maxBytes: number): Promise<{ records: Uint8Array; taken: number }> {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
    let taken = 0;
    let bytes = 0;
    while (taken < chosen.length) {
      const size = entrySize(view, chosen[taken]! * ENTRY_BYTES);
      if (taken > 0 && bytes + size > maxBytes) break;
      bytes += size;
      taken++;
    }
    const records = new Uint8Array(bytes);
    let end = 0;
    for (let i = 0; i < taken; i++) {
      const at = chosen[i]! * ENTRY_BYTES;
      const size = entrySize(view, at);
      const position = entryPosition(view, at);
      const target = records.subarray(end, end + size);
      // Most stand in a row that is in memory: waiting would cost more than the copy.
      const isThere = this.#copyCached(position, target) || (await this.#fill(position, target, true));
      if (isThere && this.#isGenuine(position, target, queue, first + chosen[i]!)) end += size;
    }
    return { records: end === bytes ? records : records.slice(0, end), taken };
  }

  /** Store time of the record at `position`; null when its bytes are not there or are not that record. */
  async storeTime(position: number): Promise<number | null> {
    // A record's fixed part is never cut, and nobody reads on from here: one row is enough.
    const chunk = this.#cache.find(position) ?? (await this.#load(position, false));
    const at = position - (chunk?.position ?? 0);
    if (chunk === undefined || chunk.payload === null || at + RECORD.body > chunk.payload.byteLength) return null;
    const view = new DataView(chunk.payload.buffer, chunk.payload.byteOffset + at, RECORD.body);
    return readInt64(view, RECORD.physicalOffset) === position ? readInt64(view, RECORD.storeTimestamp) : null;
  }

  /**
   * The record that stands at `position`; null when there is none: no record begins there, or it is not durable, removed or
   * damaged. Whoever asks may have made the position up, so that is no damage to report.
   */
  async readRecord(position: number): Promise<Uint8Array | null> {
    // What has been removed may still be in memory.
    if (position < this.minPosition) return null;
    const head = new Uint8Array(RECORD_MIN_BYTES);
    if (!(await this.#fill(position, head, false))) return null;
    const view = new DataView(head.buffer);
    const size = view.getInt32(RECORD.totalSize);
    const isPlausible = view.getInt32(RECORD.magic) === RECORD_MAGIC && size >= RECORD_MIN_BYTES && size <= MAX_RECORD_BYTES;
    if (!isPlausible) return null;
    const record = new Uint8Array(size);
    if (!(await this.#fill(position, record, false))) return null;
    const { count, fault } = this.#indexer.scan(record, position);
    return count === 1 && fault === null ? record : null;
  }

  /** Stored rows from a position on, in order. */
  async *rows(position: number): AsyncGenerator<LogRow> {
    this.#walks++;
    try {
      await this.#rewriting;
      yield* this.#reader.from(position);
    } finally {
      this.#walks--;
    }
  }

  /** The same, from the row on that holds a position. */
  async *rowsAt(position: number): AsyncGenerator<LogRow> {
    this.#walks++;
    try {
      await this.#rewriting;
      yield* this.rows((await this.#store.floorLog(position)) ?? position);
    } finally {
      this.#walks--;
    }
  }

  /** One change after the other of where stored rows begin and end; null, and not done, while somebody walks over them. */
  rewrite<T>(change: () => Promise<T>): Promise<T | null> {
    const done = this.#rewriting.then(() => (this.#walks > 0 ? null : change()));
    this.#rewriting = done.catch(() => {});
    return done;
  }

  /** Are these the bytes of the record at `position`, and does it stand at `offset` of this queue? Reported when not. */
  #isGenuine(position: number, target: Uint8Array, { queueId, topicBytes }: Place, offset: number): boolean {
    const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
    const genuine =
      target.byteLength >= RECORD_MIN_BYTES && view.getInt32(RECORD.totalSize) === target.byteLength &&
      readInt64(view, RECORD.physicalOffset) === position && readInt64(view, RECORD.queueOffset) === offset &&
      view.getInt32(RECORD.queueId) === queueId && isTopic(target, view.getInt32(RECORD.bodyLength), topicBytes);
    if (!genuine) this.#onDamage({ position, bytes: target.byteLength, reason: "NOT_A_RECORD" });
    return genuine;
  }

  /** True when the whole of it stood in one row in memory. */
  #copyCached(position: number, target: Uint8Array): boolean {
    const chunk = position < this.#durablePosition ? this.#cache.find(position) : undefined;
    if (chunk === undefined || chunk.payload === null || position + target.byteLength > chunk.end) return false;
    const from = position - chunk.position;
    target.set(chunk.payload.subarray(from, from + target.byteLength));
    return true;
  }

  /** Fills `target` with the log's bytes from `position` on; false when some of them are not there. That is damage when it is certain that they should be. */
  async #fill(position: number, target: Uint8Array, isCertain: boolean): Promise<boolean> {
    for (let done = 0; done < target.byteLength; ) {
      const at = position + done;
      if (at >= this.#durablePosition) return false;
      const chunk = this.#cache.find(at) ?? (await this.#load(at, isCertain));
      if (chunk === undefined || chunk.payload === null) return false;
      const from = at - chunk.position;
      const part = chunk.payload.subarray(from, Math.min(chunk.payload.byteLength, from + target.byteLength - done));
      target.set(part, done);
      done += part.byteLength;
    }
    return true;
  }

  /** Brings the row that holds a position into memory; `readsOn`: with some behind it. */
  async #load(position: number, readsOn: boolean): Promise<CachedRow | undefined> {
    const next = readsOn ? await this.#reader.next(position, this.#cache.before(position)?.end) : null;
    const rows = next ?? (await this.#reader.at(position, !readsOn));
    let wanted: CachedRow | undefined;
    for (const [at, row] of rows.entries()) {
      const opened = this.#indexer.openChunk(row.bytes, row.position);
      const claimed = endOfRow(row);
      // A damaged row may be longer now than it was: what is said of it must not hide the next one.
      const end = opened.ok ? claimed : Math.min(claimed, rows[at + 1]?.position ?? row.position + 1);
      const chunk: CachedRow = { position: row.position, end, payload: opened.ok ? opened.payload : null };
      if (!opened.ok) this.#onDamage({ position: row.position, bytes: claimed - row.position, reason: opened.reason });
      this.#cache.keep(chunk);
      if (row.position <= position && position < claimed) wanted = chunk;
    }
    const end = next === null ? this.#durablePosition : endOfRow(next.at(-1)!);
    if (end < this.#durablePosition && this.#cache.find(end) === undefined) this.#reader.fetchAhead(end);
    if (wanted === undefined && readsOn && position >= this.minPosition) this.#onDamage({ position, bytes: 0, reason: "MISSING" });
    return wanted;
  }
}

/** Does this record, with a body of this length, say that it is of this topic? */
function isTopic(record: Uint8Array, bodyLength: number, topic: Uint8Array): boolean {
  const at = RECORD.body + bodyLength;
  if (record[at] !== topic.byteLength) return false;
  for (let index = 0; index < topic.byteLength; index++) if (record[at + 1 + index] !== topic[index]) return false;
  return true;
}
