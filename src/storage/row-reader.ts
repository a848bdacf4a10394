import type { BlockStore, LogRow } from "./block-store.ts";
import { CHUNK_HEADER_BYTES } from "./indexer.ts";

/** Read at once: what a consumer that reads on will want next. */
const BATCH_BYTES = 1024 * 1024;
const FIRST_ROWS = 16;
const LEAST_ROWS = 2;
const MAX_ROWS = 1024;
/** From one batch to the next, where rows turn out to be small. */
const GROWTH = 8;
/** So few rows are read without looking first how long they are: they may be a mebibyte each. */
const BLIND_ROWS = 8;
/** Batches on their way for one reader: the store has something to do while others are handed over and worked on. */
const DEPTH = 4;
/** For four readers at different places of the log. */
const MAX_AHEAD = 4 * DEPTH;
/** Whoever reads one queue of several jumps over what is the others': so far it is still reading on. They will want it too. */
const NEAR = DEPTH * BATCH_BYTES;

/** Reads stored rows of the log in batches, and ahead of those who read on. */
export class RowReader {
  readonly #store: BlockStore;
  /** Rows on their way for those who read on, by the position they begin at. */
  readonly #ahead = new Map<number, Promise<LogRow[]>>();
  /** Rows of the next batch. More than are needed cost: their keys are looked at, and small rows lie beside their keys. */
  #rows = FIRST_ROWS;

  constructor(store: BlockStore) {
    this.#store = store;
  }

  /** All rows from one that begins at `position` or behind it. While some are worked on, the store reads the next. */
  async *from(position: number): AsyncGenerator<LogRow> {
    for (let coming = this.#read(position); ; ) {
      const rows = await coming;
      const last = rows.at(-1);
      if (last === undefined) return;
      coming = this.#read(last.position + 1);
      // Whoever goes on is told; whoever has seen enough is not.
      coming.catch(() => {});
      yield* rows;
    }
  }

  /** The row that holds a position, or where it would stand, and if asked some behind it. */
  async at(position: number, isAlone: boolean): Promise<LogRow[]> {
    for (;;) {
      const first = await this.#store.floorLog(position);
      if (first === undefined) return [];
      const rows = isAlone ? await this.#store.readLog(first, 1) : await this.#read(first);
      // Between the two it may have become part of another row, which begins before it.
      if (rows[0]?.position === first || (await this.#store.floorLog(position)) === first) return rows;
    }
  }

  /**
   * For whoever has read up to `end`, the rows up to the one that holds `position`, which may be on their way already. Null when
   * it is too far away for reading on.
   */
  async next(position: number, end: number | undefined): Promise<LogRow[] | null> {
    const isNear = (from: number | undefined): from is number => from !== undefined && from <= position && position - from < NEAR;
    const rows: LogRow[] = [];
    let from = [...this.#ahead.keys()].findLast(isNear) ?? end;
    while (isNear(from)) {
      const batch = await (this.#ahead.get(from) ?? this.#read(from)).finally(() => this.#ahead.delete(from!));
      const last = batch.at(-1);
      if (last === undefined || batch[0]!.position > position) return null;
      rows.push(...batch);
      const begin = from;
      from = endOfRow(last);
      if (position < from) return rows;
      // Of a row that is cut to its header there is nothing to read on behind.
      if (from <= begin) return null;
    }
    return null;
  }

  /** While what was read is worked on, the store reads what comes behind it. `isWanted`: from there on it is not in memory yet. */
  fetchAhead(from: number, isWanted: (position: number) => boolean, depth = DEPTH): void {
    if (!isWanted(from)) return;
    const fetched = this.#ahead.get(from) ?? this.#begin(from);
    if (depth === 1) return;
    void fetched.then((rows) => {
      const last = rows.at(-1);
      if (last !== undefined) this.fetchAhead(endOfRow(last), isWanted, depth - 1);
    // Whoever comes for them is told; it may be that nobody does.
    }, () => {});
  }

  #begin(from: number): Promise<LogRow[]> {
    for (const oldest of this.#ahead.keys()) {
      if (this.#ahead.size < MAX_AHEAD) break;
      this.#ahead.delete(oldest);
    }
    const fetched = this.#read(from);
    fetched.catch(() => {});
    this.#ahead.set(from, fetched);
    return fetched;
  }

  async #read(from: number): Promise<LogRow[]> {
    const asked = this.#rows;
    const rows = await this.#store.readLog(from, asked, asked > BLIND_ROWS ? BATCH_BYTES : undefined);
    const bytes = rows.reduce((sum, row) => sum + row.bytes.byteLength, 0);
    // As many of these as make a batch.
    if (bytes > 0) this.#rows = Math.max(LEAST_ROWS, Math.min(MAX_ROWS, asked * GROWTH, Math.ceil((BATCH_BYTES * rows.length) / bytes)));
    return rows;
  }
}

/** Where the log goes on behind a row, if the row is whole. */
export function endOfRow({ position, bytes }: LogRow): number {
  return position + Math.max(0, bytes.byteLength - CHUNK_HEADER_BYTES);
}
