/** Timers by their due time, plainly: what assembly/timers.ts is held to, and the fallback. A binary heap, too. */
import { readInt64 } from "../model/record.ts";
import type { Timer, TimerIndex } from "./timer-index.ts";
import { ENTRY_BYTES } from "./ts-records.ts";

const FIRST_CAPACITY = 64;

export class TsTimerIndex implements TimerIndex {
  count = 0;
  #due = new Float64Array(0);
  #offset = new Float64Array(0);

  get next(): number {
    return this.count === 0 ? Number.POSITIVE_INFINITY : this.#due[0]!;
  }

  get bytes(): number {
    return this.#due.byteLength + this.#offset.byteLength;
  }

  clear(): void {
    this.count = 0;
    this.#due = this.#offset = new Float64Array(0);
  }

  load(entries: Uint8Array, first: number, finished: Uint8Array): void {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
    for (let index = 0; index < entries.byteLength / ENTRY_BYTES; index++) {
      const at = index * ENTRY_BYTES;
      const isFinished = ((finished[index >> 3]! >> (index & 7)) & 1) === 1;
      if (view.getInt32(at + 8) > 0 && !isFinished) this.add({ due: readInt64(view, at + 12), offset: first + index });
    }
  }

  take(now: number, max: number): Timer[] {
    const taken: Timer[] = [];
    while (taken.length < max && this.next <= now) {
      taken.push(this.#at(0));
      const last = this.#at(--this.count);
      if (this.count > 0) this.#sink(last);
    }
    return taken;
  }

  scan(visit: (due: number, offset: number) => void): void {
    for (let at = 0; at < this.count; at++) visit(this.#due[at]!, this.#offset[at]!);
  }

  add(timer: Timer): void {
    if (this.count === this.#due.length) {
      const capacity = Math.max(FIRST_CAPACITY, Math.ceil(this.count * 1.5));
      this.#due = grown(this.#due, capacity);
      this.#offset = grown(this.#offset, capacity);
    }
    let at = this.count++;
    for (let parent = (at - 1) >> 1; at > 0 && isBefore(timer, this.#at(parent)); parent = (at - 1) >> 1) {
      this.#put(at, this.#at(parent));
      at = parent;
    }
    this.#put(at, timer);
  }

  #at(index: number): Timer {
    return { due: this.#due[index]!, offset: this.#offset[index]! };
  }

  #put(index: number, { due, offset }: Timer): void {
    this.#due[index] = due;
    this.#offset[index] = offset;
  }

  #sink(timer: Timer): void {
    let at = 0;
    for (let child = 1; child < this.count; child = at * 2 + 1) {
      if (child + 1 < this.count && isBefore(this.#at(child + 1), this.#at(child))) child++;
      if (isBefore(timer, this.#at(child))) break;
      this.#put(at, this.#at(child));
      at = child;
    }
    this.#put(at, timer);
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.due < b.due || (a.due === b.due && a.offset < b.offset);
}

function grown(values: Float64Array<ArrayBuffer>, capacity: number): Float64Array<ArrayBuffer> {
  const all = new Float64Array(capacity);
  all.set(values);
  return all;
}
