/** The open segment of the key index in WebAssembly: assembly/key-segment.ts says what each export does. */
import { INDEX_ENTRY_BYTES, KEY_ROW_BYTES, type KeyQuery, type KeySegment, SEGMENT_ENTRIES, SEGMENT_SLOTS } from "./key-segment.ts";

export interface KeySegmentExports {
  memory: WebAssembly.Memory;
  scratch(length: number): number;
  openSegment(slots: number, maxEntries: number): void;
  segmentCount(): number;
  segmentBegin(): number;
  segmentEnd(): number;
  segmentEntries(): number;
  putKeys(rows: number, count: number): number;
  loadEntries(at: number, count: number, beginTime: number, endTime: number): void;
  lookFor(text: number, key: number, begin: number, end: number, before: number): void;
  findInSegment(max: number, found: number): number;
  findInPage(entries: number, count: number, beginTime: number, max: number, found: number): number;
  groupSegment(target: number, ranges: number, ends: number): void;
}

const ANY_TOPIC = -1;

export class WasmKeySegment implements KeySegment {
  readonly #wasm: KeySegmentExports;

  constructor(wasm: KeySegmentExports) {
    this.#wasm = wasm;
    this.open();
  }

  get count(): number {
    return this.#wasm.segmentCount();
  }

  get beginTime(): number {
    return this.#wasm.segmentBegin();
  }

  get endTime(): number {
    return this.#wasm.segmentEnd();
  }

  open(slots: number = SEGMENT_SLOTS, maxEntries: number = SEGMENT_ENTRIES): void {
    this.#wasm.openSegment(slots, maxEntries);
  }

  put(rows: Uint8Array): number {
    return this.#wasm.putKeys(this.#write(rows), rows.byteLength / KEY_ROW_BYTES);
  }

  load(entries: Uint8Array, beginTime: number, endTime: number): void {
    this.#wasm.loadEntries(this.#write(entries), entries.byteLength / INDEX_ENTRY_BYTES, beginTime, endTime);
  }

  entries(from: number, to: number): Uint8Array {
    const at = this.#wasm.segmentEntries() >>> 0;
    return new Uint8Array(this.#wasm.memory.buffer.slice(at + from * INDEX_ENTRY_BYTES, at + to * INDEX_ENTRY_BYTES));
  }

  group(ranges: number): Uint8Array[] {
    const bytes = this.count * INDEX_ENTRY_BYTES;
    const at = this.#wasm.scratch(bytes + ranges * 4) >>> 0;
    this.#wasm.groupSegment(at, ranges, at + bytes);
    const { buffer } = this.#wasm.memory;
    let from = 0;
    return Array.from(new Int32Array(buffer, at + bytes, ranges), (end) => {
      const entries = new Uint8Array(buffer.slice(at + from, at + end * INDEX_ENTRY_BYTES));
      from = end * INDEX_ENTRY_BYTES;
      return entries;
    });
  }

  find(query: KeyQuery): Float64Array {
    const max = Math.max(0, Math.min(query.max, this.count));
    const found = this.#wasm.scratch(max * 8) >>> 0;
    this.#lookFor(query);
    return this.#read(found, this.#wasm.findInSegment(max, found));
  }

  findIn(entries: Uint8Array, beginTime: number, query: KeyQuery): Float64Array {
    const count = Math.floor(entries.byteLength / INDEX_ENTRY_BYTES);
    const max = Math.max(0, Math.min(query.max, count));
    const found = this.#wasm.scratch(max * 8 + count * INDEX_ENTRY_BYTES) >>> 0;
    const at = found + max * 8;
    new Uint8Array(this.#wasm.memory.buffer).set(entries.subarray(0, count * INDEX_ENTRY_BYTES), at);
    this.#lookFor(query);
    return this.#read(found, this.#wasm.findInPage(at, count, beginTime, max, found));
  }

  #lookFor({ text, key, begin, end, before }: KeyQuery): void {
    this.#wasm.lookFor(text, key ?? ANY_TOPIC, begin, end, before);
  }

  #write(bytes: Uint8Array): number {
    const at = this.#wasm.scratch(bytes.byteLength) >>> 0;
    new Uint8Array(this.#wasm.memory.buffer).set(bytes, at);
    return at;
  }

  #read(found: number, count: number): Float64Array {
    return new Float64Array(this.#wasm.memory.buffer.slice(found, found + count * 8));
  }
}
