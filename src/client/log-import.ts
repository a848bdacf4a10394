import { isUint8Array } from "../model/binary.ts";
import { crc32 } from "../model/crc32.ts";
import { asMQError, type ErrorCode, MQError, textOf } from "../model/errors.ts";
import { LOG_BATCH_BYTES, MAX_FRAME_RECORDS, MAX_GROUP_TOPICS, MAX_RECORD_BYTES, MAX_TOPICS } from "../model/limits.ts";
import { CRC_TEXT_BYTES, crcText, isManifest, LOG_FORMAT, LOG_FORMAT_VERSION, readManifest } from "../model/log-manifest.ts";
import { readInt64, RECORD, RECORD_MIN_BYTES } from "../model/record.ts";
import { ByteQueue } from "../platform/byte-queue.ts";
import type { GroupOffsets, TopicSpec } from "../protocol/api.ts";
import { frameOf } from "../protocol/frame.ts";
import { topicSpec, groupOffsets } from "../protocol/topic-spec.ts";
import { list, offset, oneOf, optional, record, text } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import { ImportError } from "./import-error.ts";

/** What `admin.importLog` has stored. */
export interface ImportResult {
  /** Messages in the stream, all of which are stored now. */
  imported: number;
  topics: number;
  /** Ranges of the exported log that could not be read, and so are not in the stream. */
  damaged: number;
}

const FIELD = "importLog.stream";
const MAX_TEXT = 1000;

const beginCheck = record({
  part: oneOf("begin"), format: oneOf(LOG_FORMAT), version: oneOf(LOG_FORMAT_VERSION), library: text(MAX_TEXT), namespace: text(MAX_TEXT),
  position: offset, end: offset, states: offset,
});
const stateCheck = record({ part: oneOf("state"), topics: optional(list(topicSpec, MAX_TOPICS)), offsets: optional(list(groupOffsets, MAX_GROUP_TOPICS)) });
const endCheck = record({ part: oneOf("end"), records: offset, bytes: offset, damaged: offset });

export async function importLog(connection: Connection, stream: ReadableStream<Uint8Array>): Promise<ImportResult> {
  let reader: ReadableStreamDefaultReader<Uint8Array>;
  try {
    reader = stream.getReader();
  } catch (cause) {
    throw new MQError("INVALID_PARAMETER", `${FIELD} must be a ReadableStream that nobody else reads.`, { field: FIELD, cause });
  }
  try {
    return await new LogImport(connection, reader).run();
  } catch (error) {
    // Whoever gives the bytes need not go on.
    void reader.cancel(error).catch(() => {});
    throw error;
  }
}

/** One reading of one stream. */
class LogImport {
  readonly #connection: Connection;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  /** Of the log, not of this reading: whoever takes up an import that was broken off has the same. */
  #id = "";
  readonly #queue = new ByteQueue();
  /** What the reader has given and the queue has not taken yet. */
  #chunk: Uint8Array = new Uint8Array(0);
  /** The record in hand, and where it begins. */
  #record: Uint8Array = new Uint8Array(0);
  #at = 0;
  #crc = 0;
  #imported = 0;
  /** Records for the next call, and where each begins. */
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #batchAt = 0;
  readonly #topics: TopicSpec[] = [];
  readonly #offsets: GroupOffsets[] = [];

  constructor(connection: Connection, reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#connection = connection;
    this.#reader = reader;
  }

  async run(): Promise<ImportResult> {
    const begin = this.#manifest(await this.#next(), beginCheck, "begin");
    this.#id = `${crc32(this.#record).toString(16)}-${begin.end}`;
    await this.#call(() => this.#connection.call("beginImport", [{ id: this.#id }]), this.#at);
    this.#passed();
    for (let left = begin.states; left > 0; left--) {
      const { topics = [], offsets = [] } = this.#manifest(await this.#next(), stateCheck, "state");
      this.#topics.push(...topics);
      this.#offsets.push(...offsets);
      if (this.#topics.length > MAX_TOPICS || this.#offsets.length > MAX_GROUP_TOPICS) throw this.#fail("There are more topics or groups than a broker can have.");
      this.#passed();
    }
    for (let expected = begin.position; ; this.#passed()) {
      const one = await this.#next();
      if (isManifest(one)) return this.#finish(one, begin.end);
      const position = readInt64(new DataView(one.buffer), RECORD.physicalOffset);
      if (position < expected || position + one.byteLength > begin.end) throw this.#fail(`The record says that it stood at ${position}, which is not its turn.`);
      expected = position + one.byteLength;
      await this.#take(one);
    }
  }

  async #finish(one: Uint8Array, end: number): Promise<ImportResult> {
    const { records, bytes, damaged } = this.#manifest(one, endCheck, "end");
    await this.#flush();
    const textAt = one.byteLength - CRC_TEXT_BYTES;
    const crc = crcText(crc32(one.subarray(0, textAt), this.#crc));
    const isWhole = [...crc].every((letter, at) => one[textAt + at] === letter.charCodeAt(0));
    const position = readInt64(new DataView(one.buffer), RECORD.physicalOffset);
    if (!isWhole || records !== this.#imported || bytes !== this.#at || position !== end) {
      throw this.#fail(`The stream is not what was exported: ${isWhole ? `${records} messages in ${bytes} bytes were` : "its checksum is another"}.`);
    }
    this.#passed();
    if (await this.#fill(1)) throw this.#fail("The stream goes on behind its end.");
    await this.#call(() => this.#connection.call("endImport", [{ id: this.#id, topics: this.#topics, offsets: this.#offsets }]), this.#at);
    return { imported: this.#imported, topics: this.#topics.length, damaged };
  }

  async #take(one: Uint8Array): Promise<void> {
    if (this.#batch.length === 0) this.#batchAt = this.#at;
    this.#batch.push(one);
    this.#batchBytes += one.byteLength;
    if (this.#batchBytes >= LOG_BATCH_BYTES || this.#batch.length >= MAX_FRAME_RECORDS) await this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.#batch.length === 0) return;
    const frame = frameOf(this.#batch, this.#batchBytes);
    await this.#call(() => this.#connection.call("importRecords", [{ id: this.#id, frame }]), this.#batchAt);
    this.#imported += this.#batch.length;
    this.#batch = [];
    this.#batchBytes = 0;
  }

  /** What the broker refuses is told with the byte in the stream; `at` is where the frame begins there. */
  async #call(work: () => Promise<unknown>, at: number): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      const { code, message, outcome, position = 0, field = FIELD } = asMQError(thrown);
      throw new ImportError(code, message, { field: field === "frame" ? FIELD : field, outcome, cause: thrown, imported: this.#imported, byte: at + position });
    }
  }

  #manifest<T>(one: Uint8Array, check: (value: unknown, field: string) => T, part: string): T {
    const value = isManifest(one) ? readManifest(one) : undefined;
    if (value === undefined) throw this.#fail(part === "begin" ? "The stream does not begin as an exported log does." : `The record that says "${part}" is damaged or missing.`);
    const { format, version } = (value ?? {}) as { format?: unknown; version?: unknown };
    if (format === LOG_FORMAT && Number(version) > LOG_FORMAT_VERSION) throw this.#fail(`The log was exported by a later version of TabMQ, in format ${String(version)}.`, "UPGRADE_REQUIRED");
    try {
      return check(value, part);
    } catch (cause) {
      throw this.#fail(`The record that says "${part}" is not one: ${textOf(cause)}`, "MESSAGE_ILLEGAL", cause);
    }
  }

  /** The next record of the stream, of which no more is known than how long it says it is. */
  async #next(): Promise<Uint8Array> {
    if (!(await this.#fill(4))) throw this.#cutOff();
    const size = this.#queue.peekInt32();
    if (size < RECORD_MIN_BYTES || size > MAX_RECORD_BYTES) throw this.#fail(`No record begins here: it would be ${size} bytes long.`);
    if (!(await this.#fill(size))) throw this.#cutOff();
    this.#record = this.#queue.take(size);
    return this.#record;
  }

  /** The record in hand is dealt with. */
  #passed(): void {
    this.#crc = crc32(this.#record, this.#crc);
    this.#at += this.#record.byteLength;
  }

  /** False when the stream ends before there are so many bytes. */
  async #fill(count: number): Promise<boolean> {
    while (this.#queue.byteLength < count) {
      if (this.#chunk.byteLength === 0) {
        const { done, value } = await this.#reader.read().catch((cause: unknown) => {
          throw this.#fail(`The stream failed: ${textOf(cause)}.`, "INVALID_PARAMETER", cause);
        });
        if (done) return false;
        if (!isUint8Array(value)) throw this.#fail("The stream gives something that is no Uint8Array.", "INVALID_PARAMETER");
        this.#chunk = value;
      }
      const piece = this.#chunk.subarray(0, LOG_BATCH_BYTES);
      this.#queue.push(piece);
      this.#chunk = this.#chunk.subarray(piece.byteLength);
    }
    return true;
  }

  #cutOff(): ImportError {
    return this.#fail("The stream ends before the log does.");
  }

  #fail(message: string, code: ErrorCode = "MESSAGE_ILLEGAL", cause?: unknown): ImportError {
    return new ImportError(code, message, { field: FIELD, imported: this.#imported, byte: this.#at, cause });
  }
}
