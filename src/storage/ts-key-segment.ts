/** The open segment of the key index, plainly: what assembly/key-segment.ts is held to, and what rebuilds a sealed segment. */
import { readInt64, writeInt64 } from "../model/record.ts";
import { INDEX_ENTRY_BYTES, KEY_ROW_BYTES, type KeyQuery, type KeySegment, rangeOf, SEGMENT_ENTRIES, SEGMENT_SLOTS, slotOf } from "./key-segment.ts";

interface Entry {
  key: number;
  position: number;
  seconds: number;
  text: number;
}

export class TsKeySegment implements KeySegment {
  #slots = SEGMENT_SLOTS;
  #maxEntries = SEGMENT_ENTRIES;
  #entries: Entry[] = [];
  /** Slot -> its entries, the oldest first. */
  #bySlot = new Map<number, Entry[]>();
  beginTime = 0;
  endTime = 0;

  get count(): number {
    return this.#entries.length;
  }

  open(slots: number = SEGMENT_SLOTS, maxEntries: number = SEGMENT_ENTRIES): void {
    this.#slots = slots;
    this.#maxEntries = maxEntries;
    this.#entries = [];
    this.#bySlot = new Map();
    this.beginTime = this.endTime = 0;
  }

  put(rows: Uint8Array): number {
    const view = viewOf(rows);
    const count = rows.byteLength / KEY_ROW_BYTES;
    const positionOf = (row: number): number => readInt64(view, row * KEY_ROW_BYTES + 8);
    let taken = 0;
    while (taken < count) {
      let next = taken + 1;
      while (next < count && positionOf(next) === positionOf(taken)) next++;
      if (this.count + next - taken >= this.#maxEntries) break;
      for (; taken < next; taken++) {
        const at = taken * KEY_ROW_BYTES;
        const time = readInt64(view, at + 16);
        if (this.count === 0) this.beginTime = time;
        this.endTime = time;
        this.#enter({ key: view.getInt32(at), text: view.getInt32(at + 4), position: positionOf(taken), seconds: secondsSince(this.beginTime, time) });
      }
    }
    return taken;
  }

  load(entries: Uint8Array, beginTime: number, endTime: number): void {
    this.beginTime = beginTime;
    this.endTime = endTime;
    for (const entry of readEntries(entries)) this.#enter(entry);
  }

  entries(from: number, to: number): Uint8Array {
    return writeEntries(this.#entries.slice(from, to));
  }

  group(ranges: number): Uint8Array[] {
    const groups = Array.from({ length: ranges }, (): Entry[] => []);
    for (const [, slot] of [...this.#bySlot].sort(([a], [b]) => a - b)) {
      const group = groups[rangeOf(slot[0]!.text, ranges, this.#slots)]!;
      for (const entry of slot.toReversed()) group.push(entry);
    }
    return groups.map(writeEntries);
  }

  find(query: KeyQuery): Float64Array {
    const slot = this.#bySlot.get(slotOf(query.text, this.#slots)) ?? [];
    return match(slot.toReversed(), this.beginTime, query);
  }

  findIn(entries: Uint8Array, beginTime: number, query: KeyQuery): Float64Array {
    return match(readEntries(entries), beginTime, query);
  }

  #enter(entry: Entry): void {
    this.#entries.push(entry);
    const slot = slotOf(entry.text, this.#slots);
    const others = this.#bySlot.get(slot);
    if (others === undefined) this.#bySlot.set(slot, [entry]);
    else others.push(entry);
  }
}

/** Whole seconds, none below zero and none that four bytes cannot hold. As in RocketMQ, 0 is no time to count from. */
export function secondsSince(begin: number, time: number): number {
  return begin <= 0 ? 0 : Math.min(Math.max(Math.trunc((time - begin) / 1000), 0), 0x7fffffff);
}

function match(entries: Entry[], base: number, { text, key, begin, end, before, max }: KeyQuery): Float64Array {
  const found = entries.filter((entry) => {
    const time = base + entry.seconds * 1000;
    return entry.text === text && (key === null || entry.key === key) && time >= begin && time <= end && entry.position < before;
  });
  return Float64Array.from(found.slice(0, Math.max(0, max)), ({ position }) => position);
}

function readEntries(bytes: Uint8Array): Entry[] {
  const view = viewOf(bytes);
  return Array.from({ length: Math.floor(bytes.byteLength / INDEX_ENTRY_BYTES) }, (_, index) => {
    const at = index * INDEX_ENTRY_BYTES;
    return { key: view.getInt32(at), position: readInt64(view, at + 4), seconds: view.getInt32(at + 12), text: view.getInt32(at + 16) };
  });
}

function writeEntries(entries: Entry[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * INDEX_ENTRY_BYTES);
  const view = viewOf(bytes);
  entries.forEach(({ key, position, seconds, text }, index) => {
    const at = index * INDEX_ENTRY_BYTES;
    view.setInt32(at, key);
    writeInt64(view, at + 4, position);
    view.setInt32(at + 12, seconds);
    view.setInt32(at + 16, text);
  });
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
