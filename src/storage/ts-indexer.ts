/** The indexer in plain TypeScript: the oracle that the WASM one is tested against, and the fallback where a page forbids WASM. */
import { assertEpoch, assertPosition, assertStamps } from "./indexer-asserts.ts";
import type { Appended, AppendStamps, Indexer, OpenedChunk, RecordTable, ScannedTable, SealedChunk } from "./indexer.ts";
import { cutChunks, readChunk } from "./ts-chunks.ts";
import { KEY_ROW_BYTES } from "./key-segment.ts";
import { TsKeySegment } from "./ts-key-segment.ts";
import { TsTimerIndex } from "./ts-timer-index.ts";
import { ENTRY_BYTES, ENTRY_TAG_CODE, readEntry, readTable, writeEntry } from "./ts-records.ts";
import { crc32 } from "../model/crc32.ts";
import { RECORD, readInt64, writeInt64 } from "../model/record.ts";
import { concat } from "../platform/bytes.ts";

export class TsIndexer implements Indexer {
  readonly kind = "typescript";
  readonly segment = new TsKeySegment();
  readonly timers = new TsTimerIndex();
  #position = 0;
  /** Appended and not yet sealed; each is a whole stamped record. */
  #records: Uint8Array[] = [];
  #openBytes = 0;
  /** The frame of the last check, until its append. `tagCodes` are kept apart: the caller may write on the table. */
  #pending: { frame: Uint8Array; at: number[]; size: number[]; tagCodes: number[]; keys: Uint8Array[] } | null = null;

  get position(): number {
    return this.#position;
  }

  get openBytes(): number {
    return this.#openBytes;
  }

  crc32(bytes: Uint8Array, seed = 0): number {
    return crc32(bytes, seed);
  }

  open(position: number): void {
    assertPosition(position, 0);
    this.#position = position;
    this.#records = [];
    this.#openBytes = 0;
    this.#pending = null;
  }

  check(records: Uint8Array): RecordTable {
    assertPosition(this.#position, records.length);
    const frame = new Uint8Array(records);
    const { keysOf, ...table } = readTable(frame, this.#position, false);
    const entries = new DataView(table.entries.buffer);
    const tagCodes = Array.from(table.at, (_, row) => readInt64(entries, row * ENTRY_BYTES + ENTRY_TAG_CODE));
    this.#pending = { frame, at: [...table.at], size: [...table.size], tagCodes, keys: keysOf };
    return table;
  }

  append(stamps: AppendStamps): Appended {
    const pending = this.#pending;
    if (!pending) throw new Error("append needs a check of its own");
    assertStamps(stamps, pending.at.length);
    this.#pending = null;

    const kept = pending.at.map((_, row) => row).filter((row) => !stamps.keep || stamps.keep[row] !== 0);
    const position = new Float64Array(kept.length);
    const entries = new Uint8Array(kept.length * ENTRY_BYTES);
    const entriesView = new DataView(entries.buffer);
    const keys: Uint8Array[] = [];
    let bytes = 0;
    kept.forEach((row, index) => {
      const at = pending.at[row]!;
      const size = pending.size[row]!;
      const record = pending.frame.subarray(at, at + size);
      const view = new DataView(record.buffer, record.byteOffset, size);
      writeInt64(view, RECORD.queueOffset, stamps.queueOffset[row]!);
      writeInt64(view, RECORD.physicalOffset, this.#position);
      writeInt64(view, RECORD.storeTimestamp, stamps.storeTimestamp);
      view.setUint32(RECORD.storeHost, stamps.storeIp);
      view.setUint32(RECORD.storeHost + 4, stamps.storePort);
      position[index] = this.#position;
      writeEntry(entriesView, index * ENTRY_BYTES, this.#position, size, pending.tagCodes[row]!);
      keys.push(stampKeys(pending.keys[row]!, this.#position, stamps.storeTimestamp));
      this.#records.push(record);
      this.#position += size;
      bytes += size;
    });
    this.#openBytes += bytes;
    return { count: kept.length, position, entries, keys: concatAll(keys), bytes };
  }

  seal(epoch: number): SealedChunk[] {
    assertEpoch(epoch);
    const chunks = cutChunks(this.#records, epoch, this.#position - this.#openBytes);
    this.#records = [];
    this.#openBytes = 0;
    return chunks;
  }

  openChunk(row: Uint8Array, position: number): OpenedChunk {
    return readChunk(row, position);
  }

  scan(bytes: Uint8Array, position: number): ScannedTable {
    assertPosition(position, bytes.length);
    const { keysOf, ...table } = readTable(bytes, position, true);
    return { ...table, keys: concatAll(keysOf) };
  }

  match(entries: Uint8Array, codes: Int32Array | null, max: number): { found: Int32Array; scanned: number } {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
    const count = Math.floor(entries.length / ENTRY_BYTES);
    const wanted = codes && new Set(codes);
    const found: number[] = [];
    let scanned = 0;
    while (scanned < count && found.length < max) {
      const { size, tagCode } = readEntry(view, scanned * ENTRY_BYTES);
      if (size > 0 && (!wanted || (tagCode !== null && wanted.has(tagCode)))) found.push(scanned);
      scanned++;
    }
    return { found: Int32Array.from(found), scanned };
  }
}

function stampKeys(rows: Uint8Array, position: number, storeTimestamp: number): Uint8Array {
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  for (let at = 0; at < rows.byteLength; at += KEY_ROW_BYTES) {
    writeInt64(view, at + 8, position);
    writeInt64(view, at + 16, storeTimestamp);
  }
  return rows;
}

function concatAll(parts: Uint8Array[]): Uint8Array {
  return concat(parts, parts.reduce((sum, part) => sum + part.byteLength, 0));
}
