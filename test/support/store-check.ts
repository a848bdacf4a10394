/**
 * Reads a store as its documents describe it and tells what of it cannot be. It walks rows by itself, with nothing
 * of the broker's scanner: a mistake in that one must not hide here. The log is the truth; topics, queue pages,
 * checkpoint and offsets are held against it. Findings are values: an empty list is good.
 */
import { FinishedTimers } from "../../src/broker/finished-timers.ts";
import { crc32 } from "../../src/model/crc32.ts";
import { tagHash } from "../../src/model/hash.ts";
import { MAX_TRACE_MESSAGES } from "../../src/model/limits.ts";
import type { MessageExt } from "../../src/model/message.ts";
import { TRACE_TOPIC } from "../../src/model/system-names.ts";
import { STORE_FORMAT } from "../../src/protocol/api.ts";
import { decodeRecords } from "../../src/model/record-codec.ts";
import { RECORD, readInt64 } from "../../src/model/record.ts";
import { readStored } from "../../src/model/record-copy.ts";
import { recordFault } from "../check-log/record-fault.mjs";
import { checkIndex, type Segment } from "./index-check.ts";

/** The rows of a BlockStore, by key; a MemoryDisk is one. Keys of pages: "topic/queueId/page". */
export interface StoreContent {
  readonly log: ReadonlyMap<number, Uint8Array>;
  readonly queue: ReadonlyMap<string, Uint8Array>;
  /** Keys: "name/page". */
  readonly index: ReadonlyMap<string, Uint8Array>;
  readonly state: ReadonlyMap<string, unknown>;
}

export const FINDINGS = [
  // log
  "CHUNK_DAMAGED", "LOG_GAP", "LOG_OVERLAP", "FENCE_INSIDE", "EPOCH_BACKWARDS", "RECORD_DAMAGED", "RECORD_TORN", "TIME_BACKWARDS",
  // offsets of records
  "OFFSET_REUSED", "OFFSET_GAP",
  // queue pages
  "PAGE_DAMAGED", "PAGE_WRONG", "PAGE_AHEAD", "PAGE_BEHIND", "PAGE_MISSING", "PAGE_LEFT",
  // key index
  "INDEX_DAMAGED", "INDEX_MISSING", "INDEX_WRONG", "INDEX_STRAY",
  // state
  "EPOCH_TOO_SMALL", "CHECKPOINT_DAMAGED", "CHECKPOINT_AHEAD", "CHECKPOINT_WRONG", "TOPIC_MISSING", "TOPIC_DAMAGED", "OFFSET_AHEAD", "OFFSET_DAMAGED",
  "TIMERS_DAMAGED", "TRIM_DAMAGED", "LOSS_DAMAGED", "DELETION_DAMAGED", "DELETED_LEFT", "UNKNOWN_ROW",
] as const;

export interface Finding {
  code: (typeof FINDINGS)[number];
  /** Which row, and what is wrong with it. */
  where: string;
}

export interface CheckOptions {
  /** Offsets may be left out: a full store refuses records, and their offsets are not given again. */
  holes?: boolean;
}

const CHUNK_HEADER = 32;
const CHUNK_MAGIC = 0x544d5142;
const CHUNK_LIMIT = 1024 * 1024;
const STARTS = 1;
const ENDS = 2;
const PAGE_HEADER = 16;
const PAGE_MAGIC = 0x544d5151;
const PAGE_ENTRIES = 1024;
const ENTRY = 20;

/** What the log says about one queue. */
interface Rebuilt {
  topic: string;
  queueId: number;
  /** By offset; a hole is missing. */
  entries: Map<number, { position: number; size: number; tagCode: number }>;
  /** What was before has been removed. */
  begin: number;
  end: number;
  /** Position of the last. */
  last: number;
  /** Offsets that a loss has made it leave out. */
  lost: number;
}

export function checkStore(store: StoreContent, options: CheckOptions = {}): Finding[] {
  return readStore(store, options).findings;
}

/** The findings, and all messages of the log in the order of their positions, as far as they can be read. */
export function readStore(store: StoreContent, options: CheckOptions = {}): { findings: Finding[]; messages: MessageExt[]; logEnd: number } {
  const check = new StoreCheck(store, options);
  return { findings: check.run(), messages: check.messages, logEnd: check.logEnd };
}

class StoreCheck {
  readonly messages: MessageExt[] = [];
  logEnd = 0;
  readonly #store: StoreContent;
  readonly #options: CheckOptions;
  readonly #findings: Finding[] = [];
  readonly #queues = new Map<string, Rebuilt>();
  /** Positions between two records, the log's two ends included. */
  readonly #borders = new Set<number>([0]);
  /** What the checkpoint says, by queue. */
  #listed: Map<string, CheckpointQueue> | null = null;
  readonly #deleted = new Map<string, { isSwept: boolean; begins: Map<number, number> }>();
  #lastEpoch = 0;
  #lastTime = 0;
  #begin = 0;
  /** Nothing is left of what was before. */
  #isSwept = false;
  /** Where the log goes on behind what a browser has lost of it. */
  #lossEnds: number[] = [];
  #import: { isDone?: unknown } | null = null;

  constructor(store: StoreContent, options: CheckOptions) {
    this.#store = store;
    this.#options = options;
  }

  run(): Finding[] {
    this.#checkTrim();
    this.#checkLosses();
    this.#import = (this.#store.state.get("import") as { isDone?: unknown } | undefined) ?? null;
    this.#checkDeletions();
    this.#checkLog();
    for (const key of this.#store.queue.keys()) this.#checkPage(key);
    this.#checkIndex();
    this.#checkState();
    return this.#findings;
  }

  #checkIndex(): void {
    const row = readCheckpoint(this.#store.state.get("checkpoint"));
    for (const [code, where] of checkIndex(this.#store.index, row?.index ?? [], row?.position ?? 0, this.messages, this.#begin)) this.#found(code, where);
  }

  #found(code: Finding["code"], where: string): void {
    this.#findings.push({ code, where });
  }

  /** Where log and queues begin. */
  #checkTrim(): void {
    const row = this.#store.state.get("trim");
    if (row === undefined) return;
    const { position, queues } = (row ?? {}) as { position?: unknown; queues?: unknown };
    const isWhole = (queue: unknown): boolean => Array.isArray(queue) && queue.length === 3 && typeof queue[0] === "string" && isCount(queue[1]) && isCount(queue[2]);
    if (!isCount(position) || !Array.isArray(queues) || !queues.every(isWhole)) return this.#found("TRIM_DAMAGED", shown(row));
    this.#begin = position;
    this.#isSwept = this.#store.state.get("swept") === position;
    for (const [topic, queueId, begin] of queues as [string, number, number][]) this.#queues.set(`${topic}/${queueId}`, emptyQueue(topic, queueId, begin));
  }

  #checkLosses(): void {
    const row = this.#store.state.get("loss");
    if (row === undefined) return;
    const { position, earlier = [] } = (row ?? {}) as { position?: unknown; earlier?: unknown };
    if (!isCount(position) || !Array.isArray(earlier) || !earlier.every(isCount)) return this.#found("LOSS_DAMAGED", shown(row));
    this.#lossEnds = [...(earlier as number[]), position];
    for (const end of this.#lossEnds) this.#borders.add(end);
  }

  /** Where queues begin of which messages were deleted although their records are still there. */
  #checkDeletions(): void {
    for (const [key, value] of this.#store.state) {
      if (!key.startsWith("deleted/")) continue;
      const topic = key.slice("deleted/".length);
      const { position, until, queues, isUnswept } = (value ?? {}) as { position?: unknown; until?: unknown; queues?: unknown; isUnswept?: unknown };
      const isQueue = (queue: unknown): boolean => Array.isArray(queue) && queue.length === 2 && queue.every(isCount) && Number(queue[1]) % PAGE_ENTRIES === 0;
      if (!(position === null || isCount(position)) || !isCount(until) || typeof isUnswept !== "boolean" || !Array.isArray(queues) || !queues.every(isQueue)) {
        this.#found("DELETION_DAMAGED", `state ${key}: ${shown(value)}`);
        continue;
      }
      this.#deleted.set(topic, { isSwept: !isUnswept, begins: new Map(queues as [number, number][]) });
      for (const [queueId, deleted] of queues as [number, number][]) {
        const begin = Math.max(deleted, this.#queues.get(`${topic}/${queueId}`)?.begin ?? 0);
        this.#queues.set(`${topic}/${queueId}`, emptyQueue(topic, queueId, begin));
      }
      if (position === null || this.#store.state.has(`topic/${topic}`)) continue;
      // There is no such topic: nothing is known of what anybody has done there.
      for (const row of this.#store.state.keys()) {
        if (/^(offset|done|claim|reset)\//.test(row) && row.split("/")[2] === topic && !this.#isAwaited(row)) this.#found("DELETED_LEFT", `state ${row}: the topic was deleted`);
      }
    }
  }

  /** A group that was there before the topic, or came again after its end, waits for it. */
  #isAwaited(row: string): boolean {
    return row.startsWith("offset/") && Object.keys(this.#store.state.get(row) ?? {}).length === 0;
  }

  #checkLog(): void {
    const rows = [...this.#store.log].sort(([a], [b]) => a - b);
    /** The record that has begun and not ended. */
    let span: Uint8Array[] = [];
    let spanAt = 0;
    let expected = this.#begin;
    this.#borders.add(expected);
    for (const [at, [position, row]] of rows.entries()) {
      const where = `log ${position}`;
      // Given up, and not removed yet.
      if (!this.#isSwept && position + Math.max(0, row.byteLength - CHUNK_HEADER) <= this.#begin && row.byteLength > 0) continue;
      // A fence: where the host before this one would have written next. Behind a loss the log goes on elsewhere, and it stays.
      if (row.byteLength === 0) {
        const next = rows[at + 1]?.[0];
        if (position !== expected && !this.#lossEnds.includes(position)) this.#found("FENCE_INSIDE", where);
        else if (next !== undefined && !this.#lossEnds.includes(next)) this.#found("FENCE_INSIDE", where);
        continue;
      }
      if (position > expected && !this.#lossEnds.includes(position)) this.#found("LOG_GAP", `${where}: nothing from ${expected} on`);
      if (position < expected) this.#found("LOG_OVERLAP", `${where}: the row before ends at ${expected}`);
      expected = position + Math.max(0, row.byteLength - CHUNK_HEADER);
      const fault = chunkFault(row, position);
      if (fault !== null) {
        this.#found("CHUNK_DAMAGED", `${where}: ${fault}`);
        span = [];
        continue;
      }
      const view = viewOf(row);
      this.#checkEpoch(readInt64(view, 8), where);
      const flags = view.getUint16(6);
      if (((flags & STARTS) === 0) !== span.length > 0) this.#found("RECORD_TORN", `${where}: flags ${flags}`);
      if ((flags & STARTS) !== 0) {
        span = [];
        spanAt = position;
      }
      span.push(row.subarray(CHUNK_HEADER));
      if ((flags & ENDS) === 0) continue;
      this.#checkRecords(Buffer.concat(span), spanAt);
      span = [];
    }
    if (span.length > 0) this.#found("RECORD_TORN", `log ${spanAt}: its end is missing`);
    // Where nothing has come since.
    this.logEnd = Math.max(expected, ...this.#lossEnds);
    this.#borders.add(expected);
    // An exported log leaves out what was deleted or damaged.
    if (this.#options.holes === true || this.#import !== null) return;
    for (const queue of this.#queues.values()) {
      if (queue.entries.size !== queue.end - queue.begin - queue.lost) this.#found("OFFSET_GAP", `${nameOf(queue)}: ${queue.entries.size} records, the last is ${queue.end - 1}`);
    }
  }

  #checkEpoch(epoch: number, where: string): void {
    if (epoch < 1 || epoch < this.#lastEpoch) this.#found("EPOCH_BACKWARDS", `${where}: ${epoch} after ${this.#lastEpoch}`);
    // The clock may be set back between two hosts, but one host's time never runs backwards.
    if (epoch !== this.#lastEpoch) this.#lastTime = 0;
    this.#lastEpoch = Math.max(this.#lastEpoch, epoch);
  }

  /** Whole records, back to back; the first stands at `base`. */
  #checkRecords(bytes: Uint8Array, base: number): void {
    const view = viewOf(bytes);
    for (let at = 0, size = 0; at < bytes.byteLength; at += size) {
      const position = base + at;
      const fault = recordFault(bytes.subarray(at)) ?? positionFault(view, at, position);
      if (fault !== null) return this.#found("RECORD_DAMAGED", `record ${position}: ${fault}`);
      size = view.getInt32(at);
      const [message] = decodeRecords(bytes.subarray(at, at + size), "");
      // A timer's code is its time.
      const due = message!.topic === "rmq_sys_wheel_timer" ? Number(readStored(bytes.subarray(at, at + size)).properties["TIMER_OUT_MS"]) : null;
      this.#take(message!, position, size, due);
      this.#borders.add(position + size);
    }
  }

  #take(message: MessageExt, position: number, size: number, due: number | null): void {
    this.messages.push(message);
    const { topic, queueId, queueOffset, storeTimestamp } = message;
    // An imported record keeps its time, and nothing tells where the imported ones end.
    if (storeTimestamp < this.#lastTime && this.#import === null) this.#found("TIME_BACKWARDS", `record ${position}: ${storeTimestamp} after ${this.#lastTime}`);
    this.#lastTime = storeTimestamp;
    const name = nameOf(message);
    if (queueOffset < (this.#deleted.get(topic)?.begins.get(queueId) ?? 0)) return;
    const queue = this.#queues.get(name) ?? emptyQueue(topic, queueId, 0);
    this.#queues.set(name, queue);
    // Offsets grow with positions: a queue is its log, thinned out.
    if (queueOffset < queue.end) this.#found("OFFSET_REUSED", `record ${position}: ${name} ${queueOffset}, ${queue.end} is next`);
    else if (this.#lossEnds.some((end) => end > queue.last && end <= position)) queue.lost += queueOffset - queue.end;
    queue.last = position;
    queue.entries.set(queueOffset, { position, size, tagCode: due ?? tagHash(message.tags) });
    queue.end = Math.max(queue.end, queueOffset + 1);
  }

  /** Pages travel with the checkpoint and nothing else, so a page ends exactly where the checkpoint says. */
  #checkPage(key: string): void {
    const row = this.#store.queue.get(key)!;
    const where = `page ${key}`;
    const [topic = "", queueId, number] = key.split("/");
    const first = Number(number) * PAGE_ENTRIES;
    const fault = pageFault(row, `${topic}:${queueId}`, first);
    if (fault !== null) return this.#found("PAGE_DAMAGED", `${where}: ${fault}`);
    const queue = this.#queues.get(`${topic}/${queueId}`);
    const count = (row.byteLength - PAGE_HEADER) / ENTRY;
    const claimed = this.#checkpointed(topic, Number(queueId));
    // Nothing is stored for what a gap leaves out.
    const gap = this.#gapsOf(topic, Number(queueId)).find(([from]) => first < from && from < first + PAGE_ENTRIES && from < claimed);
    const expected = Math.min(PAGE_ENTRIES, (gap?.[0] ?? claimed) - first);
    if (first + PAGE_ENTRIES <= (queue?.begin ?? 0)) {
      const deleted = this.#deleted.get(topic);
      const isSwept = first + PAGE_ENTRIES <= (deleted?.begins.get(Number(queueId)) ?? 0) ? deleted!.isSwept : this.#isSwept;
      if (isSwept) this.#found("PAGE_LEFT", `${where}: the queue begins at ${queue!.begin}`);
      return;
    }
    if (count > expected) this.#found("PAGE_AHEAD", `${where}: ${count} entries, the checkpoint covers ${Math.max(0, expected)}`);
    if (count < expected) this.#found("PAGE_BEHIND", `${where}: ${count} entries, the checkpoint covers ${expected}`);
    const view = viewOf(row);
    for (let index = 0; index < count; index++) {
      if (first + index < (queue?.begin ?? 0)) continue;
      const at = PAGE_HEADER + index * ENTRY;
      const entry = { position: readInt64(view, at), size: view.getInt32(at + 8), tagCode: readInt64(view, at + 12) };
      const truth = queue?.entries.get(first + index) ?? { position: 0, size: 0, tagCode: 0 };
      if (entry.position === truth.position && entry.size === truth.size && entry.tagCode === truth.tagCode) continue;
      this.#found("PAGE_WRONG", `${where}: entry ${first + index} is ${JSON.stringify(entry)}, the log says ${JSON.stringify(truth)}`);
      return;
    }
  }

  #checkState(): void {
    const { state } = this.#store;
    const epoch = state.get("epoch");
    // Nobody has ever been here.
    if (state.size + this.#store.log.size + this.#store.queue.size === 0) return;
    if (!isCount(epoch) || epoch < this.#lastEpoch) this.#found("EPOCH_TOO_SMALL", `state epoch: ${String(epoch)}, the log has ${this.#lastEpoch}`);
    for (const { topic, queueId, entries } of this.#queues.values()) {
      // Until an import is over nobody can read anything of it.
      if ((entries.size === 0 && this.#deleted.has(topic)) || this.#import?.isDone === false) continue;
      if (queueId >= this.#queuesOf(topic)) this.#found("TOPIC_MISSING", `records in ${topic}/${queueId}, the topic has ${this.#queuesOf(topic)} queues`);
    }
    for (const [key, value] of state) {
      if (["epoch", "trim", "loss", "swept", "merge", "config", "import", "encryption"].includes(key)) continue;
      // None, or one that this version can read.
      if (key === "format" && isCount(value) && value <= STORE_FORMAT) continue;
      if (key === "checkpoint") this.#checkCheckpoint(value);
      else if (key.startsWith("topic/")) this.#checkTopic(key, value);
      else if (key.startsWith("offset/")) this.#checkOffsets(key, value);
      else if (key.startsWith("deleted") || key.startsWith("group/")) continue;
      else if (key.startsWith("timers/")) this.#checkTimers(key, value);
      else if (key.startsWith("done/") || key.startsWith("claim/") || key.startsWith("finished/") || key.startsWith("reset/") || key === "transaction/checks") continue;
      else this.#found("UNKNOWN_ROW", `state ${key}`);
    }
  }

  #checkTopic(key: string, value: unknown): void {
    const { topic, readQueueNums, writeQueueNums } = (value ?? {}) as Record<string, unknown>;
    const whole = `topic/${String(topic)}` === key && isCount(readQueueNums) && isCount(writeQueueNums) && writeQueueNums <= readQueueNums;
    if (!whole) this.#found("TOPIC_DAMAGED", `state ${key}: ${shown(value)}`);
  }

  #checkOffsets(key: string, value: unknown): void {
    const [, group, topic = "", more] = key.split("/");
    if (!group || topic === "" || more !== undefined || typeof value !== "object" || value === null) {
      return this.#found("OFFSET_DAMAGED", `state ${key}: ${shown(value)}`);
    }
    for (const [queueId, offset] of Object.entries(value)) {
      // A loss leaves out no more offsets than bytes.
      const end = Math.max(this.#queues.get(`${topic}/${queueId}`)?.end ?? 0, ...this.#lossEnds);
      // The beginning of a queue that was taken away before it held anything says nothing.
      if (!isCount(offset) || (offset > 0 && Number(queueId) >= this.#queuesOf(topic) && !this.#deleted.get(topic)?.begins.has(Number(queueId)))) this.#found("OFFSET_DAMAGED", `state ${key}: queue ${queueId} at ${String(offset)}`);
      else if (offset > end) this.#found("OFFSET_AHEAD", `state ${key}: queue ${queueId} at ${offset}, it ends at ${end}`);
    }
  }

  /** A bit for each of the row's offsets, the lowest of a byte first: the timer is finished. Empty = all. */
  #checkTimers(key: string, value: unknown): void {
    const number = Number(key.slice("timers/".length));
    const { rowOffsets } = FinishedTimers;
    const isRow = value instanceof Uint8Array && (value.byteLength === 0 || value.byteLength === rowOffsets / 8);
    if (!isCount(number) || !isRow) return this.#found("TIMERS_DAMAGED", `state ${key}`);
    const last = number * rowOffsets + (value.byteLength === 0 ? rowOffsets - 1 : value.findLastIndex((byte) => byte !== 0) * 8);
    const end = this.#queues.get("rmq_sys_wheel_timer/0")?.end ?? 0;
    if (last >= end) this.#found("OFFSET_AHEAD", `state ${key}: finished up to ${last}, the queue ends at ${end}`);
  }

  #checkCheckpoint(value: unknown): void {
    const row = readCheckpoint(value);
    if (row === null) return this.#found("CHECKPOINT_DAMAGED", shown(value));
    const { position, firstOffset, queues } = row;
    // A first offset above 0 comes from a loss.
    if (firstOffset > 0 && this.#lossEnds.length === 0) this.#found("CHECKPOINT_WRONG", `queues begin at ${firstOffset}, and nothing was lost`);
    if (position > this.logEnd) return this.#found("CHECKPOINT_AHEAD", `checkpoint ${position}, the log ends at ${this.logEnd}`);
    if (!this.#borders.has(position)) this.#found("CHECKPOINT_WRONG", `checkpoint ${position} is inside a record`);
    const listed = new Map(queues.map((queue) => [`${queue[0]}/${queue[1]}`, queue]));
    for (const [name, [topic, , min, max, next, gaps]] of listed) {
      const covered = this.#endBefore(this.#queues.get(name), position);
      // Queues may end in offsets that were lost; what was read of them may not.
      const begin = this.#queues.get(name)?.begin ?? 0;
      // The queue may have lost its begin, or all of it, since then; and what is deleted afterwards it may list.
      const isShortened = topic === TRACE_TOPIC && max - min >= MAX_TRACE_MESSAGES;
      const offsets = [...(this.#queues.get(name)?.entries.keys() ?? [])];
      const inGap = gaps.length === 0 ? undefined : offsets.find((offset) => gaps.some(([from, to]) => from <= offset && offset < to));
      // It has held nothing since the loss before which it was made.
      if (min === max && offsets.length === 0 && this.#lossEnds.length > 0) continue;
      if (inGap !== undefined) this.#found("CHECKPOINT_WRONG", `${name}: ${inGap} is in a gap`);
      // It may begin where its first record stands.
      const isLate = min > Math.max(begin, offsets[0] ?? 0) && !isShortened;
      if (isLate || Math.max(max, begin) !== covered || next < max) this.#found("CHECKPOINT_WRONG", `${name}: ${min} to ${max}, next ${next}; the log before ${position} says ${covered}`);
      // A page of nothing but holes has never been written, and there may be millions of them.
      const pages = new Set(offsets.filter((offset) => offset < max).map((offset) => Math.floor(offset / PAGE_ENTRIES)));
      for (const page of pages) if (!this.#store.queue.has(`${name}/${page}`)) this.#found("PAGE_MISSING", `page ${name}/${page}`);
    }
    for (const [name, queue] of this.#queues) {
      // Nothing is left of it, and nothing has come since.
      if (queue.entries.size === 0 && this.#deleted.get(queue.topic)?.begins.has(queue.queueId)) continue;
      if (!listed.has(name) && this.#endBefore(queue, position) > 0) this.#found("CHECKPOINT_WRONG", `${name} is not listed`);
    }
  }

  #endBefore(queue: Rebuilt | undefined, position: number): number {
    let end = queue?.begin ?? 0;
    for (const [offset, entry] of queue?.entries ?? []) if (entry.position < position) end = Math.max(end, offset + 1);
    return end;
  }

  /** How far the checkpoint claims that a queue's pages reach. */
  #checkpointed(topic: string, queueId: number): number {
    return this.#inCheckpoint(topic, queueId)?.[3] ?? 0;
  }

  #gapsOf(topic: string, queueId: number): [from: number, to: number][] {
    return this.#inCheckpoint(topic, queueId)?.[5] ?? [];
  }

  #inCheckpoint(topic: string, queueId: number): CheckpointQueue | undefined {
    this.#listed ??= new Map(readCheckpoint(this.#store.state.get("checkpoint"))?.queues.map((queue) => [`${queue[0]}/${queue[1]}`, queue]));
    return this.#listed.get(`${topic}/${queueId}`);
  }

  #queuesOf(topic: string): number {
    const config = this.#store.state.get(`topic/${topic}`) as { readQueueNums?: unknown } | undefined;
    return isCount(config?.readQueueNums) ? config.readQueueNums : 0;
  }
}

function emptyQueue(topic: string, queueId: number, begin: number): Rebuilt {
  return { topic, queueId, entries: new Map(), begin, end: begin, last: -1, lost: 0 };
}

function chunkFault(row: Uint8Array, position: number): string | null {
  if (row.byteLength <= CHUNK_HEADER) return "short";
  if (row.byteLength > CHUNK_LIMIT) return "long";
  const view = viewOf(row);
  if (view.getUint32(0) !== CHUNK_MAGIC || view.getUint16(4) !== 1) return "magic or version";
  if (view.getUint16(6) > (STARTS | ENDS)) return "flags";
  if (readInt64(view, 16) !== position) return `it says position ${readInt64(view, 16)}`;
  if (view.getUint32(24) !== row.byteLength - CHUNK_HEADER) return "length";
  return view.getUint32(28) === crc32(row.subarray(CHUNK_HEADER), crc32(row.subarray(0, 28))) ? null : "CRC";
}

function positionFault(view: DataView, at: number, position: number): string | null {
  const claimed = readInt64(view, at + RECORD.physicalOffset);
  return claimed === position ? null : `it says position ${claimed}`;
}

function pageFault(row: Uint8Array, queue: string, first: number): string | null {
  const bytes = row.byteLength - PAGE_HEADER;
  if (bytes <= 0 || bytes % ENTRY !== 0 || bytes > PAGE_ENTRIES * ENTRY) return "length";
  const view = viewOf(row);
  if (view.getUint32(0) !== PAGE_MAGIC || readInt64(view, 4) !== first) return "magic or first entry";
  return view.getUint32(12) === crc32(row.subarray(PAGE_HEADER), crc32(new TextEncoder().encode(queue))) ? null : "CRC";
}

type CheckpointQueue = [topic: string, queueId: number, min: number, max: number, next: number, gaps: [from: number, to: number][]];

function readCheckpoint(value: unknown): { position: number; firstOffset: number; queues: CheckpointQueue[]; index: Segment[] } | null {
  const { version, position, firstOffset, queues, index } = (value ?? {}) as Record<string, unknown>;
  if (version !== 1 || !isCount(position) || !isCount(firstOffset) || !Array.isArray(queues)) return null;
  // Gaps also come with an imported log.
  const isWhole = (queue: unknown): boolean =>
    Array.isArray(queue) && queue.length === 6 && typeof queue[0] === "string" && queue.slice(1, 5).every(isCount) && Array.isArray(queue[5]) && queue[5].every((gap: unknown) => Array.isArray(gap) && gap.length === 2 && isCount(gap[0]) && isCount(gap[1]) && gap[0] < gap[1]);
  const isSegment = (segment: unknown): boolean => Array.isArray(segment) && segment.length === 4 && segment.every(isCount);
  const whole = queues.every(isWhole) && Array.isArray(index) && index.length > 0 && index.every(isSegment);
  return whole ? { position, firstOffset, queues: queues as CheckpointQueue[], index: index as Segment[] } : null;
}

/** Also what JSON does not know. */
function shown(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? `${part}n` : part)) ?? String(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function nameOf({ topic, queueId }: { topic: string; queueId: number }): string {
  return `${topic}/${queueId}`;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
