import { lowerBound } from "../model/sorted.ts";
import { ByteCache } from "./byte-cache.ts";
import type { CacheBudget } from "./cache-budget.ts";

/** A row of the log in memory: its payload, or null when it cannot be read. */
export interface CachedRow {
  position: number;
  end: number;
  payload: Uint8Array | null;
}

/** Rows of the log in memory, found by any position in them. */
export class LogCache {
  readonly #rows: ByteCache<number, CachedRow>;
  /** Where they begin, ascending. */
  readonly #positions: number[] = [];

  constructor(budget: CacheBudget) {
    this.#rows = new ByteCache(budget, (position) => this.#positions.splice(lowerBound(this.#positions, position), 1));
  }

  /** The row that holds a position. */
  find(position: number): CachedRow | undefined {
    const row = this.before(position);
    return row !== undefined && position < row.end ? row : undefined;
  }

  /** The last row that begins at `position` or before. */
  before(position: number): CachedRow | undefined {
    const first = this.#positions[lowerBound(this.#positions, position + 1) - 1];
    return first === undefined ? undefined : this.#rows.get(first);
  }

  keep(row: CachedRow): void {
    const at = lowerBound(this.#positions, row.position);
    if (this.#positions[at] !== row.position) this.#positions.splice(at, 0, row.position);
    // What has become part of it.
    for (let inside = this.#positions[at + 1]; inside !== undefined && inside < row.end; inside = this.#positions[at + 1]) {
      this.#positions.splice(at + 1, 1);
      this.#rows.delete(inside);
    }
    this.#rows.set(row.position, row, row.payload?.byteLength ?? 0);
  }
}
