/** Timers by their due time in WebAssembly: assembly/timers.ts says what each export does. */
import type { Timer, TimerIndex } from "./timer-index.ts";
import { ENTRY_BYTES } from "./ts-records.ts";

const TWO_32 = 2 ** 32;

export interface TimerExports {
  memory: WebAssembly.Memory;
  clearTimers(): void;
  timerCount(): number;
  nextTimer(): number;
  timerScratch(more: number, length: number): number;
  loadTimers(entries: number, count: number, first: number, finished: number): void;
  addTimer(due: number, offset: number): void;
  takeTimers(now: number, max: number, out: number): number;
}

export class WasmTimerIndex implements TimerIndex {
  readonly #wasm: TimerExports;

  constructor(wasm: TimerExports) {
    this.#wasm = wasm;
  }

  get count(): number {
    return this.#wasm.timerCount();
  }

  get next(): number {
    return this.#wasm.nextTimer();
  }

  get bytes(): number {
    return this.#wasm.memory.buffer.byteLength;
  }

  clear(): void {
    this.#wasm.clearTimers();
  }

  load(entries: Uint8Array, first: number, finished: Uint8Array): void {
    const count = entries.byteLength / ENTRY_BYTES;
    const at = this.#wasm.timerScratch(count, entries.byteLength + finished.byteLength) >>> 0;
    const memory = new Uint8Array(this.#wasm.memory.buffer);
    memory.set(entries, at);
    memory.set(finished, at + entries.byteLength);
    this.#wasm.loadTimers(at, count, first, at + entries.byteLength);
  }

  /** Read from the heap itself, which ends where scratch begins: pairs of little-endian 64-bit integers. */
  scan(visit: (due: number, offset: number) => void): void {
    const { count } = this;
    const end = this.#wasm.timerScratch(0, 0) >>> 0;
    const words = new Uint32Array(this.#wasm.memory.buffer, end - count * 16, count * 4);
    for (let at = 0; at < words.length; at += 4) visit(words[at + 1]! * TWO_32 + words[at]!, words[at + 3]! * TWO_32 + words[at + 2]!);
  }

  add({ due, offset }: Timer): void {
    this.#wasm.addTimer(due, offset);
  }

  take(now: number, max: number): Timer[] {
    const most = Math.min(max, this.count);
    const at = this.#wasm.timerScratch(0, most * 16) >>> 0;
    const taken = this.#wasm.takeTimers(now, most, at);
    const found = new Float64Array(this.#wasm.memory.buffer, at, taken * 2);
    return Array.from({ length: taken }, (_, index) => ({ due: found[index * 2]!, offset: found[index * 2 + 1]! }));
  }
}
