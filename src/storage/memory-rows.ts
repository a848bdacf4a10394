import { lowerBound } from "../model/sorted.ts";

/** Rows by position. The positions are kept in order: what is read is found by halving, what is new mostly comes last. */
export class MemoryRows extends Map<number, Uint8Array> {
  readonly #positions: number[] = [];

  override set(position: number, bytes: Uint8Array): this {
    if (!this.has(position)) this.#positions.splice(this.#before(position), 0, position);
    return super.set(position, bytes);
  }

  override delete(position: number): boolean {
    if (this.has(position)) this.#positions.splice(this.#before(position), 1);
    return super.delete(position);
  }

  override clear(): void {
    this.#positions.length = 0;
    super.clear();
  }

  /** Up to `count` positions from the first that is at least `position`. */
  from(position: number, count = Number.POSITIVE_INFINITY): number[] {
    const first = this.#before(position);
    return this.#positions.slice(first, first + count);
  }

  /** The last position at or before this one. */
  floor(position: number): number | undefined {
    return this.#positions[this.#before(position + 1) - 1];
  }

  /** The positions from `start` up to but not including `end`. */
  between(start: number, end: number): number[] {
    return this.#positions.slice(this.#before(start), this.#before(end));
  }

  /** How many rows begin before `position`. */
  #before(position: number): number {
    if (position > (this.#positions.at(-1) ?? -1)) return this.#positions.length;
    return lowerBound(this.#positions, position);
  }
}
