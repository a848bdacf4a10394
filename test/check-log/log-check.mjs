// @ts-check
/**
 * Checks an exported log, record by record, against what it says of itself. Independent of the code that writes and
 * imports it; src/model/log-manifest.ts describes the format.
 */
import { crc32 } from "node:zlib";
import { AT, layoutFault, readRecord, recordFault, RECORD_MAX_BYTES, RECORD_MIN_BYTES, textOf } from "./record-fault.mjs";

export const FINDINGS = /** @type {const} */ ([
  "RECORD", "TRUNCATED", "MANIFEST", "POSITION", "OFFSET", "TOPIC", "GROUP", "COUNT", "CHECKSUM", "TRAILING",
]);
const MANIFEST_TOPIC = "rmq_sys_TABMQ_LOG";
/** The last bytes of the file: eight hexadecimal digits and the end of a property. */
const CRC_TEXT_BYTES = 9;

/**
 * @typedef {{ kind: (typeof FINDINGS)[number], byte: number, reason: string }} Finding the first of its kind
 * @typedef {{ topic: string, queueId: number, count: number, first: number, last: number, from: number, to: number }} QueueSummary
 * @typedef {{ group: string, topic: string, offsets: [number, number][] }} GroupOffsets
 * @typedef {{ topic: string, readQueueNums?: number }} Topic
 * @typedef {{ format?: unknown, version?: unknown, namespace?: unknown, library?: unknown, position?: unknown, end?: unknown, states?: unknown }} Begin
 * @typedef {{ findings: Finding[], bytes: number, messages: number, begin: Begin | null, exportedAt: number, damaged: number, topics: Topic[], groups: GroupOffsets[], queues: QueueSummary[] }} Report
 */

/**
 * @param {AsyncIterable<Uint8Array> | Iterable<Uint8Array>} chunks the file, in pieces of any size
 * @returns {Promise<Report>}
 */
export async function checkLog(chunks) {
  const check = new LogCheck();
  /** @type {Uint8Array[]} */
  let parts = [];
  let bytes = 0;
  let needed = RECORD_MIN_BYTES;
  for await (const chunk of chunks) {
    parts.push(chunk);
    bytes += chunk.byteLength;
    // Pieces are joined only when a record may be whole.
    if (bytes < needed || check.isLost) continue;
    const rest = check.take(Buffer.concat(parts, bytes), false);
    parts = [rest];
    bytes = rest.byteLength;
    needed = rest.byteLength < 4 ? RECORD_MIN_BYTES : Math.min(RECORD_MAX_BYTES, Math.max(RECORD_MIN_BYTES, new DataView(rest.buffer, rest.byteOffset).getInt32(0)));
  }
  check.take(Buffer.concat(parts, bytes), true);
  return check.report();
}

class LogCheck {
  /** Behind the last record that was taken. */
  #at = 0;
  #crc = 0;
  /** The next record cannot be found. */
  isLost = false;
  #records = 0;
  #messages = 0;
  #manifests = 0;
  #hasEnded = false;
  /** Positions before this are behind us. */
  #position = 0;
  #exportedAt = 0;
  #damaged = 0;
  #statesLeft = 0;
  /** @type {Begin | null} */
  #begin = null;
  /** @type {Map<string, Finding>} */
  #findings = new Map();
  /** @type {Map<string, Topic>} */
  #topics = new Map();
  /** @type {GroupOffsets[]} */
  #groups = [];
  /** @type {Map<string, QueueSummary>} */
  #queues = new Map();

  /**
   * Takes the whole records at the beginning of `bytes`; returns the rest.
   * @param {Uint8Array} bytes
   * @param {boolean} isLast
   * @returns {Uint8Array}
   */
  take(bytes, isLast) {
    let at = 0;
    while (at < bytes.byteLength && !this.isLost) {
      const rest = bytes.subarray(at);
      const size = rest.byteLength < 4 ? 0 : new DataView(rest.buffer, rest.byteOffset).getInt32(AT.size);
      const isPart = rest.byteLength < RECORD_MIN_BYTES || (size <= RECORD_MAX_BYTES && size > rest.byteLength);
      if (isPart && !isLast) break;
      if (this.#hasEnded) {
        this.#found("TRAILING", this.#at, "the file goes on behind its end");
        this.isLost = true;
      } else if (isPart) {
        this.#found("TRUNCATED", this.#at, `the file ends inside a record, ${rest.byteLength} bytes from its beginning`);
        this.isLost = true;
      } else {
        at += this.#one(rest);
      }
    }
    return bytes.subarray(at);
  }

  /** @returns {Report} */
  report() {
    if (!this.#hasEnded && !this.isLost) this.#found("TRUNCATED", this.#at, "the record that says \"end\" is missing");
    this.#checkGroups();
    return {
      findings: [...this.#findings.values()], bytes: this.#at, messages: this.#messages, begin: this.#begin, exportedAt: this.#exportedAt, damaged: this.#damaged,
      topics: [...this.#topics.values()], groups: this.#groups, queues: [...this.#queues.values()],
    };
  }

  /**
   * @param {Finding["kind"]} kind
   * @param {number} byte
   * @param {string} reason
   */
  #found(kind, byte, reason) {
    if (!this.#findings.has(kind)) this.#findings.set(kind, { kind, byte, reason });
  }

  /**
   * The record that these bytes begin with; returns its size.
   * @param {Uint8Array} bytes
   */
  #one(bytes) {
    const fault = recordFault(bytes);
    if (fault !== null) this.#found("RECORD", this.#at, fault);
    if (fault !== null && layoutFault(bytes) !== null) {
      this.isLost = true;
      return 0;
    }
    const record = readRecord(bytes);
    const raw = bytes.subarray(0, record.size);
    if (this.#records === 0 && record.topic !== MANIFEST_TOPIC) this.#found("MANIFEST", 0, "the file does not begin as an exported log does");
    if (record.topic === MANIFEST_TOPIC) this.#manifest(record, raw);
    else this.#message(record);
    this.#records++;
    this.#crc = crc32(raw, this.#crc);
    this.#at += record.size;
    return record.size;
  }

  /**
   * @param {ReturnType<typeof readRecord>} record
   * @param {Uint8Array} raw
   */
  #manifest(record, raw) {
    const body = parse(record.body);
    if (record.queueId !== 0 || record.queueOffset !== this.#manifests) this.#found("OFFSET", this.#at, `a manifest record with offset ${record.queueOffset}, ${this.#manifests} is next`);
    this.#manifests++;
    if (body?.part === "begin" && this.#records === 0) this.#beginning(record, body);
    else if (body?.part === "state" && this.#begin !== null && this.#statesLeft > 0) this.#state(body);
    else if (body?.part === "end") this.#end(record, body, raw);
    else this.#found("MANIFEST", this.#at, `a manifest record that says "${String(body?.part)}" where it has no place`);
  }

  /**
   * @param {ReturnType<typeof readRecord>} record
   * @param {Record<string, unknown>} body
   */
  #beginning(record, body) {
    this.#begin = body;
    this.#exportedAt = record.storeTimestamp;
    const { format, version, position, end, states } = body;
    if (format !== "tabmq-log" || version !== 1) this.#found("MANIFEST", this.#at, `format ${String(format)}, version ${String(version)}: not one that this check knows`);
    if (!isCount(position) || !isCount(end) || !isCount(states) || position > end) return this.#found("MANIFEST", this.#at, "it does not say from where to where the log was copied");
    this.#position = position;
    this.#statesLeft = states;
    if (record.position !== position) this.#found("POSITION", this.#at, `the record stood at ${record.position}, the log's copy begins at ${position}`);
  }

  /** @param {Record<string, unknown>} body */
  #state(body) {
    this.#statesLeft--;
    const { topics = [], offsets = [] } = body;
    if (!Array.isArray(topics) || !Array.isArray(offsets)) return this.#found("MANIFEST", this.#at, "topics and offsets are no lists");
    for (const topic of topics) this.#topics.set(String(topic?.topic), topic);
    for (const group of offsets) this.#groups.push(group);
  }

  /**
   * @param {ReturnType<typeof readRecord>} record
   * @param {Record<string, unknown>} body
   * @param {Uint8Array} raw
   */
  #end({ position }, { records, bytes, damaged }, raw) {
    this.#hasEnded = true;
    if (isCount(damaged)) this.#damaged = damaged;
    else this.#found("MANIFEST", this.#at, "it does not say how much of the log was damaged");
    if (this.#statesLeft > 0) this.#found("COUNT", this.#at, `${this.#statesLeft} records with topics or groups are missing`);
    if (records !== this.#messages) this.#found("COUNT", this.#at, `the end says ${String(records)} messages, there are ${this.#messages}`);
    if (bytes !== this.#at) this.#found("COUNT", this.#at, `the end says that it stands at byte ${String(bytes)}`);
    if (position !== this.#begin?.end) this.#found("POSITION", this.#at, `the end stood at ${position}, the log's copy ends at ${String(this.#begin?.end)}`);
    const textAt = raw.byteLength - CRC_TEXT_BYTES;
    const expected = `${crc32(raw.subarray(0, textAt), this.#crc).toString(16).padStart(8, "0")}\u0002`;
    const given = textOf(raw.subarray(textAt));
    if (given !== expected) this.#found("CHECKSUM", this.#at, `the file's checksum is ${expected.slice(0, 8)}, it says ${JSON.stringify(given.slice(0, 8))}`);
  }

  /** @param {ReturnType<typeof readRecord>} record */
  #message({ size, topic, queueId, queueOffset, position, storeTimestamp }) {
    this.#messages++;
    if (this.#statesLeft > 0) {
      this.#found("MANIFEST", this.#at, `${this.#statesLeft} more records with topics or groups were to come first`);
      this.#statesLeft = 0;
    }
    if (position < this.#position) this.#found("POSITION", this.#at, `the record stood at ${position}, behind it is ${this.#position}`);
    if (isCount(this.#begin?.end) && position + size > this.#begin.end) this.#found("POSITION", this.#at, `the record stood at ${position}, the log's copy ends at ${this.#begin.end}`);
    this.#position = Math.max(this.#position, position + size);
    const queues = this.#topics.get(topic)?.readQueueNums ?? 0;
    if (queueId >= queues) this.#found("TOPIC", this.#at, queues === 0 ? `the topic ${JSON.stringify(topic)} is not in the list` : `queue ${queueId} of ${JSON.stringify(topic)}, which has ${queues}`);
    const key = `${topic}/${queueId}`;
    const queue = this.#queues.get(key) ?? { topic, queueId, count: 0, first: queueOffset, last: -1, from: storeTimestamp, to: storeTimestamp };
    this.#queues.set(key, queue);
    if (queueOffset <= queue.last) this.#found("OFFSET", this.#at, `offset ${queueOffset} of ${key}, which has come to ${queue.last} already`);
    queue.count++;
    queue.last = Math.max(queue.last, queueOffset);
    queue.from = Math.min(queue.from, storeTimestamp);
    queue.to = Math.max(queue.to, storeTimestamp);
  }

  /** Nobody has consumed what is not there, unless the end of a queue was damaged when it was exported. */
  #checkGroups() {
    if (!this.#hasEnded || this.#damaged > 0) return;
    for (const { group, topic, offsets } of this.#groups) {
      for (const [queueId, offset] of Array.isArray(offsets) ? offsets : []) {
        const end = (this.#queues.get(`${topic}/${queueId}`)?.last ?? -1) + 1;
        if (end > 0 && offset > end) this.#found("GROUP", 0, `group ${JSON.stringify(group)} is at ${offset} of ${topic}/${queueId}, which ends at ${end}`);
      }
    }
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {Record<string, unknown> | null}
 */
function parse(bytes) {
  try {
    const value = JSON.parse(textOf(bytes));
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
function isCount(value) {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
