import { isUint8Array } from "../model/binary.ts";
import type { OffsetRange } from "../protocol/api.ts";
import type { DurableState } from "../storage/durable-state.ts";

const PREFIX = "timers/";
const FULL = 0xff;
/** All of a row. Not null, by which the store takes a row away. */
const ALL = new Uint8Array(0);

/**
 * Which timers of the wheel's queue are not to be delivered any more: one bit each, because they come up in any order. A row
 * of the store has the bits of 8192 offsets, the lowest of a byte first; an empty one says all of them.
 */
export class FinishedTimers {
  /** Offsets of a row, a multiple of 8; part of the store's format. Simulated brokers have short rows, for whole ones to come up. */
  static rowOffsets = 8192;
  readonly #state: DurableState;
  /** By number. Never changed, always replaced: one may be on its way to the store. */
  readonly #rows = new Map<number, Uint8Array>();

  constructor(state: DurableState) {
    this.#state = state;
  }

  /** As stored; what the log says besides comes by `finish`. What is damaged is left out: its timers are delivered once more. */
  restore(): void {
    for (const [number, value] of this.#state.startingWith(PREFIX)) {
      if (isUint8Array(value) && [0, FinishedTimers.rowOffsets / 8].includes(value.byteLength)) this.#rows.set(Number(number), value);
    }
  }

  has(offset: number): boolean {
    const row = this.#rows.get(numberOf(offset));
    if (row === undefined) return false;
    const at = offset % FinishedTimers.rowOffsets;
    return isAll(row) || ((row[at >> 3]! >> (at & 7)) & 1) === 1;
  }

  /** Durable with the next commit. */
  finish(offset: number): void {
    if (this.has(offset)) return;
    const number = numberOf(offset);
    const row = this.#rows.get(number)?.slice() ?? new Uint8Array(FinishedTimers.rowOffsets / 8);
    const at = offset % FinishedTimers.rowOffsets;
    row[at >> 3]! |= 1 << (at & 7);
    this.#put(number, row);
  }

  /** The same, of all that there are from `from` to `to`, row by row. `behindGap` says where offsets go on. */
  finishAll(from: number, to: number, behindGap: (offset: number) => number): void {
    for (let first = behindGap(from); first < to; ) {
      const number = numberOf(first);
      const begin = number * FinishedTimers.rowOffsets;
      const end = Math.min(to, begin + FinishedTimers.rowOffsets);
      const row = this.#rows.get(number);
      if (row === undefined || !isAll(row)) {
        const bits = row?.slice() ?? new Uint8Array(FinishedTimers.rowOffsets / 8);
        for (let at = first - begin; at < end - begin; at++) bits[at >> 3]! |= 1 << (at & 7);
        this.#put(number, bits);
      }
      first = behindGap(end);
    }
  }

  /** Resolves when all that is known of these is durable. */
  async saved(offsets: readonly number[]): Promise<void> {
    const numbers = new Set(offsets.map(numberOf));
    await Promise.all([...numbers].map((number) => this.#state.save(`${PREFIX}${number}`, this.#rows.get(number) ?? null)));
  }

  /** The first offset from `from` on that is not finished. */
  firstOpen(from: number): number {
    let offset = from;
    while (this.has(offset)) offset = isAll(this.#rows.get(numberOf(offset))!) ? (numberOf(offset) + 1) * FinishedTimers.rowOffsets : offset + 1;
    return offset;
  }

  /** The bits of `count` offsets from `from`, a multiple of 8, on. */
  bits(from: number, count: number): Uint8Array {
    return Uint8Array.from({ length: Math.ceil(count / 8) }, (_, at) => this.#byte(from + at * 8));
  }

  #byte(from: number): number {
    const row = this.#rows.get(numberOf(from));
    if (row === undefined) return 0;
    return isAll(row) ? FULL : row[(from % FinishedTimers.rowOffsets) / 8]!;
  }

  /** As an export has it. */
  ranges(): OffsetRange[] {
    const ranges: OffsetRange[] = [];
    const add = (from: number, to: number): void => {
      const last = ranges.at(-1);
      if (last?.[1] === from) last[1] = to;
      else ranges.push([from, to]);
    };
    for (const [number, row] of [...this.#rows].sort(([a], [b]) => a - b)) {
      const first = number * FinishedTimers.rowOffsets;
      if (isAll(row)) add(first, first + FinishedTimers.rowOffsets);
      else for (let offset = first; offset < first + FinishedTimers.rowOffsets; offset++) if (this.has(offset)) add(offset, offset + 1);
    }
    return ranges;
  }

  #put(number: number, bits: Uint8Array): void {
    const row = bits.every((byte) => byte === FULL) ? ALL : bits;
    this.#rows.set(number, row);
    this.#state.set(`${PREFIX}${number}`, row);
  }
}

function isAll(row: Uint8Array): boolean {
  return row.byteLength === 0;
}

function numberOf(offset: number): number {
  return Math.floor(offset / FinishedTimers.rowOffsets);
}
