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

  /** `readInto` for the first of the chosen entries, in at most about `maxBytes`, one at least. `taken` says how many those are. */
  async read(queue: Place, first: number, entries: Uint8Array, chosen: Int32Array, maxBytes: number): Promise<{ records: Uint8Array; taken: number }> {
    const { taken, bytes } = prefixWithin(entries, chosen, maxBytes);
    const records = new Uint8Array(bytes);
    const end = await this.readInto(records, 0, queue, first, entries, chosen.subarray(0, taken));
    return { records: end === bytes ? records : records.slice(0, end), taken };
  }

  /**
   * Writes the records that the chosen consume-queue entries point to, back to back, into `target` from `end` on, where there must
   * be room; resolves with where they end. Damaged ones are reported and left out, and so are those of another queue or offset:
   * `first` is that of the first entry.
   */
  async readInto(target: Uint8Array, end: number, queue: Place, first: number, entries: Uint8Array, chosen: Int32Array): Promise<number> {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
    let row: CachedRow | undefined;
    let payload: DataView | null = null;
    // Neighbours in a queue mostly are neighbours in the log: of what stands together in a row one copy is made.
    let [from, to] = [0, 0];
    const copyRun = (): void => {
      if (to > from) target.set(row!.payload!.subarray(from, to), end);
      end += to - from;
      from = to = 0;
    };
    for (let i = 0; i < chosen.length; i++) {
      const at = chosen[i]! * ENTRY_BYTES;
      const size = entrySize(view, at);
      const position = entryPosition(view, at);
      const found = position < this.#durablePosition ? this.#cache.find(position) : undefined;
      if (found !== row) {
        copyRun();
        row = found;
        payload = found === undefined ? null : viewOf(found);
      }
      // Most stand in a row that is in memory: waiting would cost more than the copy.
      if (row === undefined || payload === null || position + size > row.end) {
        copyRun();
        const copied = target.subarray(end, end + size);
        if (!(await this.#fill(position, copied, true))) continue;
        if (this.#isGenuine(new DataView(copied.buffer, copied.byteOffset, size), 0, size, position, queue, first + chosen[i]!)) end += size;
        continue;
      }
      const begin = position - row.position;
      if (!this.#isGenuine(payload, begin, size, position, queue, first + chosen[i]!)) continue;
      if (begin !== to) copyRun();
      if (to === 0) from = begin;
      to = begin + size;
    }
    copyRun();
    return end;
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

  /** Are the `size` bytes at `at` the record at `position`, and does it stand at `offset` of this queue? Reported when not. */
  #isGenuine(view: DataView, at: number, size: number, position: number, { queueId, topicBytes }: Place, offset: number): boolean {
    const genuine =
      size >= RECORD_MIN_BYTES && view.getInt32(at + RECORD.totalSize) === size &&
      readInt64(view, at + RECORD.physicalOffset) === position && readInt64(view, at + RECORD.queueOffset) === offset &&
      view.getInt32(at + RECORD.queueId) === queueId && isTopic(view, at, size, topicBytes);
    if (!genuine) this.#onDamage({ position, bytes: size, reason: "NOT_A_RECORD" });
    return genuine;
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
    const ahead = readsOn ? await this.#reader.next(position, this.#cache.before(position)?.end) : null;
    const last = ahead?.at(-1);
    // How far a damaged row claims to reach is not believed: the store knows whether another one holds the position.
    const isCertain = last !== undefined && (position < last.position || this.#indexer.openChunk(last.bytes, last.position).ok);
    const next = isCertain ? ahead : null;
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
    this.#reader.fetchAhead(end, (from) => from < this.#durablePosition && this.#cache.find(from) === undefined);
    if (wanted === undefined && readsOn && position >= this.minPosition) this.#onDamage({ position, bytes: 0, reason: "MISSING" });
    return wanted;
  }
}

function viewOf({ payload }: CachedRow): DataView | null {
  return payload === null ? null : new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
}

/** How many of the chosen entries' records make up at most about `maxBytes`, one at least, and their bytes. */
export function prefixWithin(entries: Uint8Array, chosen: Int32Array, maxBytes: number): { taken: number; bytes: number } {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  let [taken, bytes] = [0, 0];
  for (; taken < chosen.length; taken++) {
    const size = entrySize(view, chosen[taken]! * ENTRY_BYTES);
    if (taken > 0 && bytes + size > maxBytes) break;
    bytes += size;
  }
  return { taken, bytes };
}

/** Does the record of `size` bytes at `at` say that it is of this topic? */
function isTopic(view: DataView, at: number, size: number, topic: Uint8Array): boolean {
  const end = at + size;
  const begin = at + RECORD.body + view.getInt32(at + RECORD.bodyLength);
  if (begin < at || begin + 1 + topic.byteLength > end || view.getUint8(begin) !== topic.byteLength) return false;
  for (let index = 0; index < topic.byteLength; index++) if (view.getUint8(begin + 1 + index) !== topic[index]) return false;
  return true;
}
