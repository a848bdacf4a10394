/**
 * Holds the rows of the key index against the log, with nothing of the broker's index: every key of every record that
 * the checkpoint covers stands in its segment's rows, and nothing else does.
 */
import { crc32 } from "../../src/model/crc32.ts";
import type { MessageExt } from "../../src/model/message.ts";
import { readInt64 } from "../../src/model/record.ts";

export type IndexFinding = ["INDEX_DAMAGED" | "INDEX_MISSING" | "INDEX_WRONG" | "INDEX_STRAY", where: string];

/** A segment as the checkpoint lists it. */
export type Segment = [begin: number, beginTime: number, endTime: number, count: number];

const HEADER = 40;
const ENTRY = 20;
const MAGIC = 0x544d5149;
const ROW_LIMIT = 60 * 1024;
const PAGE_ENTRIES = 1024;
const PARTS = 64;
const SLOTS = 65_521;

interface Entry {
  key: number;
  position: number;
  seconds: number;
  text: number;
}

interface Row {
  kind: number;
  begin: number;
  beginTime: number;
  page: number;
  ranges: number;
  part: number;
  parts: number;
  entries: Entry[];
}

/** `position`: the log before it is indexed. `trimmed`: the log before it is gone, and what is in the index of it does no harm. */
export function checkIndex(rows: ReadonlyMap<string, Uint8Array>, segments: Segment[], position: number, messages: MessageExt[], trimmed = 0): IndexFinding[] {
  const findings: IndexFinding[] = [];
  const isThere = (entry: Entry): boolean => entry.position >= trimmed;
  const left = new Map<string, Row>();
  for (const [key, bytes] of rows) {
    const row = readRow(bytes);
    if (row === null) findings.push(["INDEX_DAMAGED", `index ${key}`]);
    else left.set(key, row);
  }
  for (const [at, segment] of segments.entries()) {
    const isOpen = at === segments.length - 1;
    const [begin, beginTime, endTime, count] = segment;
    const end = isOpen ? position : segments[at + 1]![0];
    const covered = messages.filter(({ commitLogOffset }) => commitLogOffset >= begin && commitLogOffset < end);
    const truth = covered.flatMap((message) => entriesOf(message, beginTime));
    const where = `segment ${begin}`;
    const [first, last] = [covered.find(hasKeys), covered.findLast(hasKeys)];
    const isWhole = begin >= trimmed;
    if (isWhole ? truth.length !== count : truth.length > count) findings.push(["INDEX_WRONG", `${where}: ${count} entries, the log has ${truth.length}`]);
    if (isWhole && count > 0 && (first?.storeTimestamp !== beginTime || last?.storeTimestamp !== endTime)) findings.push(["INDEX_WRONG", `${where}: from ${beginTime} to ${endTime}`]);

    const take = (key: string, expected: Omit<Row, "entries">): Entry[] => {
      const row = left.get(key);
      left.delete(key);
      if (row === undefined) {
        if (!rows.has(key)) findings.push(["INDEX_MISSING", `index ${key}`]);
        return [];
      }
      for (const [name, value] of Object.entries(expected)) if (row[name as keyof Row] !== value) findings.push(["INDEX_DAMAGED", `index ${key}: ${name} is ${String(row[name as keyof Row])}`]);
      return row.entries;
    };
    const found: Entry[] = [];
    if (isOpen) {
      for (let page = 0; page * PAGE_ENTRIES < count; page++) found.push(...take(`open/${page}`, { kind: 0, begin, beginTime, page, ranges: 0, part: 0, parts: 0 }));
      if (textOf(found.filter(isThere)) !== textOf(truth)) findings.push(["INDEX_WRONG", `${where}: open, differs from the log`]);
      continue;
    }
    const ranges = Math.max(1, Math.ceil(count / PAGE_ENTRIES));
    for (let range = 0; range < ranges; range++) {
      const parts = left.get(`segment/${begin}/${range * PARTS}`)?.parts ?? 1;
      const entries = Array.from({ length: parts }, (_, part) => take(`segment/${begin}/${range * PARTS + part}`, { kind: 1, begin, beginTime, page: range, ranges, part, parts })).flat();
      const isHere = entries.every(({ text }) => Math.floor((slotOf(text) * ranges) / SLOTS) === range);
      // Slot by slot, in each slot the newest first.
      const isSorted = entries.every((entry, index) => index === 0 || slotOf(entries[index - 1]!.text) < slotOf(entry.text) || (slotOf(entries[index - 1]!.text) === slotOf(entry.text) && entries[index - 1]!.position >= entry.position));
      if (!isHere || !isSorted) findings.push(["INDEX_WRONG", `${where}: range ${range} is not sorted by slot`]);
      found.push(...entries);
    }
    if (textOf(sorted(found.filter(isThere))) !== textOf(sorted(truth))) findings.push(["INDEX_WRONG", `${where}: sealed, differs from the log`]);
  }
  for (const key of left.keys()) findings.push(["INDEX_STRAY", `index ${key} is of no segment`]);
  return findings;
}

function keysOf({ keys, msgId, offsetMsgId }: MessageExt): string[] {
  return msgId === offsetMsgId ? keys : [msgId, ...keys];
}

function hasKeys(message: MessageExt): boolean {
  return keysOf(message).length > 0;
}

function entriesOf(message: MessageExt, beginTime: number): Entry[] {
  const { topic, commitLogOffset: position, storeTimestamp } = message;
  // As in RocketMQ, 0 is no time to count from; and more than four bytes hold is as much as they do.
  const seconds = beginTime <= 0 ? 0 : Math.min(2 ** 31 - 1, Math.max(0, Math.floor((storeTimestamp - beginTime) / 1000)));
  return keysOf(message).map((key) => ({ key: hashOf(`${topic}#${key}`), position, seconds, text: hashOf(key) }));
}

function hashOf(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return hash === -(2 ** 31) ? 0 : Math.abs(hash);
}

function slotOf(text: number): number {
  return (Math.imul(text, 0x9e3779b1) >>> 0) % SLOTS;
}

function sorted(entries: Entry[]): Entry[] {
  return entries.toSorted((a, b) => a.position - b.position || a.text - b.text || a.key - b.key);
}

function textOf(entries: Entry[]): string {
  return entries.map(({ key, position, seconds, text }) => `${key} ${position} ${seconds} ${text}`).join("\n");
}

function readRow(bytes: Uint8Array): Row | null {
  if (bytes.byteLength <= HEADER - 1 || bytes.byteLength > ROW_LIMIT) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isWhole = view.getUint32(0) === MAGIC && view.getUint16(4) === 1 && view.getUint32(32) * ENTRY === bytes.byteLength - HEADER && view.getUint32(36) === crc32(bytes.subarray(HEADER), crc32(bytes.subarray(0, 36)));
  if (!isWhole) return null;
  const entries = Array.from({ length: view.getUint32(32) }, (_, index) => {
    const at = HEADER + index * ENTRY;
    return { key: view.getInt32(at), position: readInt64(view, at + 4), seconds: view.getInt32(at + 12), text: view.getInt32(at + 16) };
  });
  return {
    kind: view.getUint16(6), begin: readInt64(view, 8), beginTime: readInt64(view, 16), page: view.getUint16(24), ranges: view.getUint16(26),
    part: view.getUint16(28), parts: view.getUint16(30), entries,
  };
}
