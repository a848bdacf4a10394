/** The indexer in WebAssembly (assembly/). The only file that knows the module's exports and the layout of its tables. */
import { assertEpoch, assertPosition, assertStamps } from "./indexer-asserts.ts";
import { CHUNK_ENDS, CHUNK_FAULTS, CHUNK_HEADER_BYTES, CHUNK_STARTS, RECORD_FAULTS } from "./indexer.ts";
import type { Appended, AppendStamps, Indexer, OpenedChunk, RecordTable, ScannedTable, SealedChunk } from "./indexer.ts";
import { BLOCK_MAX_BYTES } from "../model/limits.ts";
import { readInt64 } from "../model/record.ts";
import type { KeySegment } from "./key-segment.ts";
import type { TimerIndex } from "./timer-index.ts";
import { type KeySegmentExports, WasmKeySegment } from "./wasm-key-segment.ts";
import { type TimerExports, WasmTimerIndex } from "./wasm-timer-index.ts";

/** Addresses and lengths are unsigned 32-bit integers. assembly/index.ts says what each does. */
interface Exports extends KeySegmentExports {
  crc32(at: number, length: number, seed: number): number;
  open(position: number): void;
  position(): number;
  openBytes(): number;
  frame(length: number): number;
  check(length: number): number;
  scan(at: number, length: number, position: number): number;
  append(stamps: number, storeTimestamp: number, storeIp: number, storePort: number): number;
  appendedKeys(): number;
  appendedKeyBytes(): number;
  scannedKeys(): number;
  scannedKeyBytes(): number;
  seal(epoch: number): void;
  cut(): number;
  sealed(): void;
  openChunk(at: number, length: number, position: number): number;
  matchBytes(count: number, codeCount: number): number;
  match(at: number, count: number, codeCount: number, max: number): number;
}

const ENTRY_BYTES = 20;
/** A checksum goes in steps, so that no length of bytes makes memory grow for good. */
const CRC_STEP_BYTES = 64 * 1024;

/** A table: count, capacity, topics, fault at, fault; then columns of `capacity` rows (assembly/layout.ts). */
const TABLE_HEADER_BYTES = 24;
const TABLE_ROW_BYTES = 60;
/** queueOffset, position and entry of each record. The keep bytes follow. */
const STAMP_BYTES = 8 + 8 + ENTRY_BYTES;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class WasmIndexer implements Indexer {
  readonly kind = "wasm";
  readonly segment: KeySegment;
  readonly #wasm: Exports;
  readonly #module: WebAssembly.Module;
  #timers: TimerIndex | null = null;
  /** All of linear memory, as it was when last looked at. */
  #bytes = new Uint8Array(0);
  /** Records of the last check, until their append. */
  #pending: number | null = null;

  private constructor(module: WebAssembly.Module, wasm: Exports) {
    this.#module = module;
    this.#wasm = wasm;
    this.segment = new WasmKeySegment(wasm);
  }

  /** Throws WebAssembly.CompileError where a content security policy forbids WASM. */
  static async load(bytes: BufferSource): Promise<WasmIndexer> {
    const { module, instance } = await WebAssembly.instantiate(bytes, {});
    return new WasmIndexer(module, instance.exports as unknown as Exports);
  }

  /** In an instance of their own: their memory grows with the timers, the log's with its frames. */
  get timers(): TimerIndex {
    return (this.#timers ??= new WasmTimerIndex(new WebAssembly.Instance(this.#module, {}).exports as unknown as TimerExports));
  }

  get position(): number {
    return this.#wasm.position();
  }

  get openBytes(): number {
    return this.#wasm.openBytes();
  }

  crc32(bytes: Uint8Array, seed = 0): number {
    const step = Math.min(bytes.length, CRC_STEP_BYTES);
    const at = this.#wasm.scratch(step) >>> 0;
    let crc = seed;
    for (let from = 0; from < bytes.length; from += step) {
      const part = bytes.subarray(from, from + step);
      this.#memory().set(part, at);
      crc = this.#wasm.crc32(at, part.length, crc);
    }
    return crc >>> 0;
  }

  open(position: number): void {
    assertPosition(position, 0);
    this.#pending = null;
    this.#wasm.open(position);
  }

  check(records: Uint8Array): RecordTable {
    assertPosition(this.position, records.length);
    this.#pending = null;
    const at = this.#wasm.frame(records.length) >>> 0;
    this.#memory().set(records, at);
    const table = this.#table(this.#wasm.check(records.length) >>> 0, records);
    this.#pending = table.count;
    return table;
  }

  append(stamps: AppendStamps): Appended {
    const count = this.#pending;
    if (count === null) throw new Error("append needs a check of its own");
    assertStamps(stamps, count);
    const { keep, queueOffset } = stamps;

    const at = this.#wasm.scratch(count * (STAMP_BYTES + 1)) >>> 0;
    const memory = this.#memory();
    new Float64Array(memory.buffer, at, count).set(queueOffset.length === count ? queueOffset : queueOffset.subarray(0, count));
    const keepAt = at + count * STAMP_BYTES;
    if (keep) memory.set(keep.subarray(0, count), keepAt);
    else memory.fill(1, keepAt, keepAt + count);

    const before = this.openBytes;
    this.#pending = null;
    const kept = this.#wasm.append(at, stamps.storeTimestamp, stamps.storeIp, stamps.storePort);
    const positionAt = at + count * 8;
    const entriesAt = positionAt + count * 8;
    const keysAt = this.#wasm.appendedKeys() >>> 0;
    return {
      count: kept,
      position: new Float64Array(memory.buffer.slice(positionAt, positionAt + kept * 8)),
      entries: memory.slice(entriesAt, entriesAt + kept * ENTRY_BYTES),
      keys: memory.slice(keysAt, keysAt + this.#wasm.appendedKeyBytes()),
      bytes: this.openBytes - before,
    };
  }

  seal(epoch: number): SealedChunk[] {
    assertEpoch(epoch);
    const chunks: SealedChunk[] = [];
    let position = this.position - this.openBytes;
    this.#wasm.seal(epoch);
    const memory = this.#memory();
    for (let cut = this.#wasm.cut() >>> 0; cut !== 0; cut = this.#wasm.cut() >>> 0) {
      const header = new DataView(memory.buffer, cut, CHUNK_HEADER_BYTES + 4);
      const length = header.getUint32(24);
      const payload = header.getUint32(CHUNK_HEADER_BYTES, true);
      const bytes = new Uint8Array(CHUNK_HEADER_BYTES + length);
      bytes.set(memory.subarray(cut, cut + CHUNK_HEADER_BYTES));
      bytes.set(memory.subarray(payload, payload + length), CHUNK_HEADER_BYTES);
      chunks.push({ position, bytes });
      position += length;
    }
    this.#wasm.sealed();
    return chunks;
  }

  openChunk(row: Uint8Array, position: number): OpenedChunk {
    // No longer row is a chunk, so its length alone is enough to refuse it.
    const copied = row.length > BLOCK_MAX_BYTES ? row.subarray(0, BLOCK_MAX_BYTES) : row;
    const at = this.#wasm.scratch(copied.length) >>> 0;
    this.#memory().set(copied, at);
    const fault = this.#wasm.openChunk(at, row.length, position);
    if (fault !== 0) return { ok: false, reason: CHUNK_FAULTS[fault - 1]! };
    const header = new DataView(row.buffer, row.byteOffset, CHUNK_HEADER_BYTES);
    const flags = header.getUint16(6);
    return {
      ok: true,
      epoch: readInt64(header, 8),
      position,
      starts: (flags & CHUNK_STARTS) !== 0,
      ends: (flags & CHUNK_ENDS) !== 0,
      payload: row.subarray(CHUNK_HEADER_BYTES),
    };
  }

  scan(bytes: Uint8Array, position: number): ScannedTable {
    assertPosition(position, bytes.length);
    const at = this.#wasm.scratch(bytes.length) >>> 0;
    this.#memory().set(bytes, at);
    const table = this.#table(this.#wasm.scan(at, bytes.length, position) >>> 0, bytes);
    const keysAt = this.#wasm.scannedKeys() >>> 0;
    return { ...table, keys: this.#memory().slice(keysAt, keysAt + this.#wasm.scannedKeyBytes()) };
  }

  match(entries: Uint8Array, codes: Int32Array | null, max: number): { found: Int32Array; scanned: number } {
    const count = Math.floor(entries.length / ENTRY_BYTES);
    const limit = Math.max(0, Math.min(max, count));
    const codeCount = codes ? codes.length : -1;
    const size = this.#wasm.matchBytes(count, codeCount);
    const at = this.#wasm.scratch(size) >>> 0;
    const memory = this.#memory();
    memory.set(entries.subarray(0, count * ENTRY_BYTES), at);
    if (codes) new Int32Array(memory.buffer, at + align8(count * ENTRY_BYTES), codes.length).set(codes);

    const hits = this.#wasm.match(at, count, codeCount, limit);
    const foundAt = at + size - count * 4;
    const found = new Int32Array(memory.buffer.slice(foundAt, foundAt + hits * 4));
    if (max <= 0) return { found, scanned: 0 };
    return { found, scanned: hits >= max ? found[hits - 1]! + 1 : count };
  }

  /** Copies a table out of memory at once; its columns share the copy. */
  #table(at: number, source: Uint8Array): RecordTable {
    const memory = this.#memory();
    const [count, capacity, topicCount, faultAt, fault] = new Int32Array(memory.buffer, at, 5) as unknown as [
      number, number, number, number, number,
    ];
    const from = at + TABLE_HEADER_BYTES;
    const columns = memory.buffer.slice(from, from + capacity * TABLE_ROW_BYTES);
    const topicAt = new Int32Array(columns, capacity * 52, topicCount);
    const topicBytes = new Int32Array(columns, capacity * 56, topicCount);
    const topics: string[] = [];
    for (let topic = 0; topic < topicCount; topic++) {
      const start = topicAt[topic]!;
      topics.push(utf8.decode(source.subarray(start, start + topicBytes[topic]!)));
    }
    return {
      count,
      topics,
      queueOffset: new Float64Array(columns, 0, count),
      storeTimestamp: new Float64Array(columns, capacity * 8, count),
      topicIndex: new Int32Array(columns, capacity * 16, count),
      queueId: new Int32Array(columns, capacity * 20, count),
      at: new Int32Array(columns, capacity * 24, count),
      size: new Int32Array(columns, capacity * 28, count),
      entries: new Uint8Array(columns, capacity * 32, count * ENTRY_BYTES),
      fault: fault === 0 ? null : { at: faultAt, reason: RECORD_FAULTS[fault - 1]! },
    };
  }

  /** Linear memory as it is now: growing it detaches every earlier view. */
  #memory(): Uint8Array<ArrayBuffer> {
    if (this.#bytes.buffer !== this.#wasm.memory.buffer) this.#bytes = new Uint8Array(this.#wasm.memory.buffer);
    return this.#bytes;
  }
}

function align8(size: number): number {
  return (size + 7) & ~7;
}
