import { isArrayBuffer } from "../model/binary.ts";
import { MQError } from "../model/errors.ts";
import { BATCH_TARGET_BYTES, MAX_FRAME_BYTES, MAX_FRAME_RECORDS } from "../model/limits.ts";
import type { MessageDraft } from "../model/message.ts";
import { recordBytes, writeRecord } from "../model/record-codec.ts";

/**
 * A frame: what a tab sends in one call. Big-endian.
 *
 * | at | bytes | field                          |
 * |---:|------:|--------------------------------|
 * |  0 |     4 | magic "TMQF"                   |
 * |  4 |     4 | number of records              |
 * |  8 |     4 | bytes of all records together  |
 * | 12 |     4 | flags, below                   |
 * | 16 |       | commit-log records, one after the other, the broker's fields zero |
 *
 * The buffer may be longer than the frame: what follows is ignored.
 */
const FRAME_MAGIC = 0x544d5146;
export const FRAME_HEADER_BYTES = 16;
/** The frame's records may have to go elsewhere first: one that waits for its time, a half message. */
export const FRAME_DIVERTED = 1;
/** The frame, or a message in it, may be stored already. */
export const FRAME_AGAIN = 2;
const KNOWN_FLAGS = FRAME_DIVERTED | FRAME_AGAIN;
const FLAGS_AT = 12;

const MIN_BUFFER_BYTES = 1024;

/** The open batch of a tab: grows as records are written, then becomes a frame. */
export class FrameWriter {
  #buffer: ArrayBuffer;
  #target: { bytes: Uint8Array; view: DataView };
  readonly #flags: number;
  #end = FRAME_HEADER_BYTES;
  #count = 0;

  /** `expected` bytes: what the last frame came to is a good guess, and spares copies while this one grows. */
  constructor(expected: number, flags = 0) {
    this.#flags = flags;
    this.#buffer = new ArrayBuffer(Math.max(MIN_BUFFER_BYTES, Math.min(expected, BATCH_TARGET_BYTES)));
    this.#target = { bytes: new Uint8Array(this.#buffer), view: new DataView(this.#buffer) };
  }

  get count(): number {
    return this.#count;
  }

  get byteLength(): number {
    return this.#end;
  }

  write(draft: MessageDraft, topic: Uint8Array, queueId: number, bornTimestamp: number): void {
    this.#reserve(recordBytes(draft, topic.byteLength));
    this.#end = writeRecord(this.#target, this.#end, draft, topic, queueId, bornTimestamp);
    this.#count++;
  }

  /** The finished frame. Its buffer may be somewhat longer. */
  finish(): ArrayBuffer {
    const { view } = this.#target;
    view.setUint32(0, FRAME_MAGIC);
    view.setUint32(4, this.#count);
    view.setUint32(8, this.#end - FRAME_HEADER_BYTES);
    view.setUint32(FLAGS_AT, this.#flags);
    return this.#end * 2 < this.#buffer.byteLength ? this.#buffer.slice(0, this.#end) : this.#buffer;
  }

  #reserve(bytes: number): void {
    const needed = this.#end + bytes;
    if (needed <= this.#buffer.byteLength) return;
    const grown = new ArrayBuffer(Math.max(needed, this.#buffer.byteLength * 2));
    const target = { bytes: new Uint8Array(grown), view: new DataView(grown) };
    target.bytes.set(this.#target.bytes.subarray(0, this.#end));
    this.#buffer = grown;
    this.#target = target;
  }
}

/** The frame, finished before, is sent again. */
export function markAgain(frame: ArrayBuffer): void {
  const view = new DataView(frame);
  view.setUint32(FLAGS_AT, view.getUint32(FLAGS_AT) | FRAME_AGAIN);
}

/** A frame of records that are written already; `bytes` is their length together. */
export function frameOf(records: readonly Uint8Array[], bytes: number): ArrayBuffer {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + bytes);
  const view = new DataView(frame.buffer);
  view.setUint32(0, FRAME_MAGIC);
  view.setUint32(4, records.length);
  view.setUint32(8, bytes);
  let at = FRAME_HEADER_BYTES;
  for (const record of records) {
    frame.set(record, at);
    at += record.byteLength;
  }
  return frame.buffer;
}

/** The records of a frame from a port. Throws MQError PROTOCOL_VIOLATION on anything that is not a frame. */
export function openFrame(value: unknown): { count: number; records: Uint8Array; flags: number } {
  if (!isArrayBuffer(value)) throw violation("A frame is an ArrayBuffer.");
  if (value.byteLength < FRAME_HEADER_BYTES) throw violation("A frame is at least 16 bytes long.");
  if (value.byteLength > MAX_FRAME_BYTES) throw violation(`A frame has at most ${MAX_FRAME_BYTES} bytes.`);
  const view = new DataView(value);
  const count = view.getUint32(4);
  const bytes = view.getUint32(8);
  const flags = view.getUint32(FLAGS_AT);
  if (view.getUint32(0) !== FRAME_MAGIC) throw violation("The frame does not begin with its magic number.");
  if (count === 0 || count > MAX_FRAME_RECORDS) throw violation(`A frame has 1 to ${MAX_FRAME_RECORDS} records.`);
  if (bytes > value.byteLength - FRAME_HEADER_BYTES) throw violation("The frame is shorter than its header says.");
  // Better refused than stored where it must not be seen yet.
  if ((flags & ~KNOWN_FLAGS) !== 0) throw violation("The frame has a flag that this broker does not know.");
  return { count, records: new Uint8Array(value, FRAME_HEADER_BYTES, bytes), flags };
}

function violation(message: string): MQError {
  return new MQError("PROTOCOL_VIOLATION", message, { field: "frame" });
}
