import type { BlockStore, LogRow } from "./block-store.ts";
import { CHUNK_HEADER_BYTES } from "./indexer.ts";

/** Read at once: what a consumer that reads on will want next. */
const BATCH_BYTES = 1024 * 1024;
const FIRST_ROWS = 16;
const MAX_ROWS = 1024;
/** From one batch to the next, where rows turn out to be small. */
const GROWTH = 8;
/** Readers at different places of the log for whom the next rows are fetched before they ask. */
const MAX_AHEAD = 4;

/** Reads stored rows of the log in batches, and ahead of those who read on. */
export class RowReader {
  readonly #store: BlockStore;
  /** Rows on their way for those who read on, by the position they begin at. */
  readonly #ahead = new Map<number, Promise<LogRow[]>>();
  /** Rows of one batch. More than are needed cost: their keys are looked at, and small rows lie beside their keys. */
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
   * For whoever has read up to `end`, the rows from there on, which may be on their way already. Null when `position` is not
   * among them, or too far away for reading on.
   */
  async next(position: number, end: number | undefined): Promise<LogRow[] | null> {
    const isNear = (from: number): boolean => from <= position && position - from < BATCH_BYTES;
    const from = [...this.#ahead.keys()].findLast(isNear) ?? end;
    if (from === undefined || !isNear(from)) return null;
    try {
      const rows = await (this.#ahead.get(from) ?? this.#read(from));
      const last = rows.at(-1);
      return last !== undefined && rows[0]!.position <= position && position < endOfRow(last) ? rows : null;
    } finally {
      this.#ahead.delete(from);
    }
  }

  /** While what was read is worked on, the store reads what comes behind it. */
  fetchAhead(from: number): void {
    if (this.#ahead.has(from)) return;
    for (const oldest of this.#ahead.keys()) {
      if (this.#ahead.size < MAX_AHEAD) break;
      this.#ahead.delete(oldest);
    }
    const fetched = this.#read(from);
    // Whoever comes for them is told; it may be that nobody does.
    fetched.catch(() => {});
    this.#ahead.set(from, fetched);
  }

  async #read(from: number): Promise<LogRow[]> {
    const asked = this.#rows;
    const rows = await this.#store.readLog(from, asked, BATCH_BYTES);
    const bytes = rows.reduce((sum, row) => sum + row.bytes.byteLength, 0);
    const isFull = bytes > BATCH_BYTES / 2;
    if (rows.length === asked && !isFull) this.#rows = Math.min(MAX_ROWS, asked * GROWTH);
    else if (isFull) this.#rows = Math.max(FIRST_ROWS, Math.min(asked, rows.length + 1));
    return rows;
  }
}

/** Where the log goes on behind a row, if the row is whole. */
export function endOfRow({ position, bytes }: LogRow): number {
  return position + Math.max(0, bytes.byteLength - CHUNK_HEADER_BYTES);
}
