/** The checker that other tests trust: each way to damage a good store has its finding. */
import { beforeAll, describe, expect, test } from "vitest";
import { crc32 } from "../../src/model/crc32.ts";
import { RECORD, readInt64, writeInt64 } from "../../src/model/record.ts";
import { MemoryDisk } from "../../src/storage/memory-store.ts";
import { crashRun } from "../support/crash-run.ts";
import { checkStore, FINDINGS, readStore } from "../support/store-check.ts";

const HEADER = 32;

let good: MemoryDisk;
/** Without long messages, so that every byte of it can be damaged in turn. */
let small: MemoryDisk;
beforeAll(async () => {
  // Crashes leave several epochs.
  const faults = [{ at: 8, kind: "crash" as const }, { at: 30, kind: "crash-done" as const }];
  good = (await crashRun({ faults, pageMessages: 1030 })).disk;
  small = (await crashRun({ pageMessages: 3, longBytes: 10 })).disk;
});

function copyOf(disk: MemoryDisk): MemoryDisk {
  const copy = new MemoryDisk();
  for (const [key, row] of disk.log) copy.log.set(key, row.slice());
  for (const [key, row] of disk.queue) copy.queue.set(key, row.slice());
  for (const [key, row] of disk.index) copy.index.set(key, row.slice());
  for (const [key, value] of disk.state) copy.state.set(key, structuredClone(value));
  return copy;
}

function rowsOf(disk: MemoryDisk): { position: number; row: Uint8Array; view: DataView }[] {
  const rows = [...disk.log].sort(([a], [b]) => a - b);
  return rows.map(([position, row]) => ({ position, row, view: new DataView(row.buffer, row.byteOffset, row.byteLength) }));
}

/** A row of one whole record that is not the first of its queue. */
function aRecord(disk: MemoryDisk): { position: number; row: Uint8Array; view: DataView } {
  return rowsOf(disk).find(({ row, view }) => view.getUint16(6) === 3 && view.getInt32(HEADER) === row.byteLength - HEADER && readInt64(view, HEADER + RECORD.queueOffset) > 1)!;
}

/** Makes a changed row a whole one again. */
function sealRow(row: Uint8Array): void {
  new DataView(row.buffer).setUint32(28, crc32(row.subarray(HEADER), crc32(row.subarray(0, 28))));
}

function sealPage(page: Uint8Array, queue = "pages:1"): Uint8Array {
  new DataView(page.buffer).setUint32(12, crc32(page.subarray(16), crc32(new TextEncoder().encode(queue))));
  return page;
}

const HEADER_INDEX = 40;

/** Changes an index page and makes it a whole one again. */
function sealIndex(page: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const changed = page.slice();
  const view = new DataView(changed.buffer);
  change(view);
  view.setUint32(36, crc32(changed.subarray(HEADER_INDEX), crc32(changed.subarray(0, 36))));
  return changed;
}

interface CheckpointValue {
  version: number;
  position: number;
  queues: [string, number, number, number, number, unknown[]][];
  index: [number, number, number, number][];
}

function checkpointOf(disk: MemoryDisk): CheckpointValue {
  return disk.state.get("checkpoint") as CheckpointValue;
}

type Damage = [code: (typeof FINDINGS)[number], what: string, damage: (disk: MemoryDisk) => void];

const damages: Damage[] = [
  ["CHUNK_DAMAGED", "a bit of a record", (disk) => void (aRecord(disk).row[HEADER + 90]! ^= 4)],
  ["CHUNK_DAMAGED", "a bit of the epoch", (disk) => void (aRecord(disk).row[15]! ^= 4)],
  ["CHUNK_DAMAGED", "a row cut short", (disk) => {
    const { position, row } = aRecord(disk);
    disk.log.set(position, row.slice(0, -1));
  }],
  ["CHUNK_DAMAGED", "two rows change places", (disk) => {
    const [first, second] = rowsOf(disk);
    disk.log.set(first!.position, second!.row).set(second!.position, first!.row);
  }],
  ["LOG_GAP", "a row in the middle is gone", (disk) => void disk.log.delete(aRecord(disk).position)],
  ["LOG_OVERLAP", "a row begins inside another", (disk) => {
    const { position, row } = aRecord(disk);
    const stray = row.slice();
    writeInt64(new DataView(stray.buffer), 16, position + 1);
    sealRow(stray);
    disk.log.set(position + 1, stray);
  }],
  ["FENCE_INSIDE", "an empty row in the middle", (disk) => void disk.log.set(aRecord(disk).position + 1, new Uint8Array(0))],
  ["FENCE_INSIDE", "an empty row behind the end", (disk) => void disk.log.set(readStore(disk).logEnd + 1, new Uint8Array(0))],
  ["EPOCH_BACKWARDS", "a row of an older host at the end", (disk) => {
    const { row, view } = rowsOf(disk).at(-1)!;
    writeInt64(view, 8, 1);
    sealRow(row);
  }],
  ["RECORD_DAMAGED", "a body that is not what was sent", (disk) => {
    const { row } = aRecord(disk);
    row[HEADER + RECORD.body]! ^= 1;
    sealRow(row);
  }],
  ["RECORD_DAMAGED", "a record that believes to be elsewhere", (disk) => {
    const { position, row, view } = aRecord(disk);
    writeInt64(view, HEADER + RECORD.physicalOffset, position + 1);
    sealRow(row);
  }],
  ["RECORD_TORN", "a record without its end", (disk) => {
    const { row, view } = aRecord(disk);
    view.setUint16(6, 1);
    sealRow(row);
  }],
  ["RECORD_TORN", "a record without its beginning", (disk) => {
    const { row, view } = aRecord(disk);
    view.setUint16(6, 2);
    sealRow(row);
  }],
  ["TIME_BACKWARDS", "a record stored before the one before", (disk) => {
    const { row, view } = aRecord(disk);
    writeInt64(view, HEADER + RECORD.storeTimestamp, 1);
    sealRow(row);
  }],
  ["OFFSET_REUSED", "an offset given twice", (disk) => {
    const { row, view } = aRecord(disk);
    writeInt64(view, HEADER + RECORD.queueOffset, 0);
    sealRow(row);
  }],
  ["OFFSET_GAP", "an offset left out", (disk) => {
    const { row, view } = rowsOf(disk).at(-1)!;
    writeInt64(view, HEADER + RECORD.queueOffset, readInt64(view, HEADER + RECORD.queueOffset) + 5);
    sealRow(row);
  }],
  ["PAGE_DAMAGED", "a bit of a page", (disk) => void (disk.queue.get("pages/1/0")![40]! ^= 4)],
  ["PAGE_DAMAGED", "a page under a name that is none", (disk) => void disk.queue.set("pages/1/x", disk.queue.get("pages/1/0")!)],
  ["PAGE_WRONG", "an entry with another size", (disk) => {
    const page = disk.queue.get("pages/1/0")!;
    page[16 + 20 * 7 + 11]! ^= 1;
    sealPage(page);
  }],
  ["PAGE_WRONG", "an entry with another tag", (disk) => {
    const page = disk.queue.get("pages/1/0")!;
    page[16 + 20 * 7 + 19]! ^= 1;
    sealPage(page);
  }],
  ["PAGE_AHEAD", "pages without a checkpoint", (disk) => void disk.state.delete("checkpoint")],
  ["PAGE_AHEAD", "a page of a queue nobody wrote to", (disk) => void disk.queue.set("other/0/0", sealPage(disk.queue.get("pages/1/0")!.slice(), "other:0"))],
  ["PAGE_BEHIND", "an entry fewer than the checkpoint says", (disk) => {
    const page = disk.queue.get("pages/1/1")!;
    disk.queue.set("pages/1/1", sealPage(page.slice(0, -20)));
  }],
  ["PAGE_MISSING", "a full page is gone", (disk) => void disk.queue.delete("pages/1/0")],
  ["INDEX_DAMAGED", "a bit of an entry", (disk) => void (disk.index.get("open/0")![HEADER_INDEX + 5]! ^= 4)],
  ["INDEX_DAMAGED", "a page that says it is another", (disk) => void disk.index.set("open/0", sealIndex(disk.index.get("open/0")!, (view) => view.setUint16(24, 1)))],
  ["INDEX_MISSING", "a page is gone", (disk) => void disk.index.delete("open/0")],
  ["INDEX_WRONG", "an entry of another key", (disk) => void disk.index.set("open/0", sealIndex(disk.index.get("open/0")!, (view) => view.setInt32(HEADER_INDEX, 7)))],
  ["INDEX_WRONG", "an entry left out", (disk) => void disk.index.set("open/0", sealIndex(disk.index.get("open/0")!.slice(0, -20), (view) => view.setUint32(32, view.getUint32(32) - 1)))],
  ["INDEX_WRONG", "a segment that begins later", (disk) => void (checkpointOf(disk).index[0]![1] += 1)],
  ["INDEX_STRAY", "a page of no segment", (disk) => void disk.index.set("segment/7/0", disk.index.get("open/0")!)],
  ["INDEX_STRAY", "pages without a checkpoint", (disk) => void disk.state.delete("checkpoint")],
  ["EPOCH_TOO_SMALL", "the epoch is older than the log", (disk) => void disk.state.set("epoch", 1)],
  ["EPOCH_TOO_SMALL", "there is no epoch", (disk) => void disk.state.delete("epoch")],
  ["CHECKPOINT_DAMAGED", "a checkpoint of another version", (disk) => void (checkpointOf(disk).version = 2)],
  ["CHECKPOINT_DAMAGED", "a checkpoint without the index", (disk) => void (checkpointOf(disk).index = [])],
  ["CHECKPOINT_DAMAGED", "a checkpoint that is text", (disk) => void disk.state.set("checkpoint", "1")],
  ["CHECKPOINT_AHEAD", "a checkpoint behind the log's end", (disk) => void (checkpointOf(disk).position += 1)],
  ["CHECKPOINT_WRONG", "a checkpoint inside a record", (disk) => void (checkpointOf(disk).position -= 1)],
  ["CHECKPOINT_WRONG", "a gap where records are", (disk) => void checkpointOf(disk).queues[0]![5].push([0, 1])],
  ["CHECKPOINT_DAMAGED", "a gap that is none", (disk) => void checkpointOf(disk).queues[0]![5].push([5, 5])],
  ["CHECKPOINT_WRONG", "a queue that ends earlier", (disk) => void (checkpointOf(disk).queues[0]![3] -= 1)],
  ["CHECKPOINT_WRONG", "a queue that is not listed", (disk) => void checkpointOf(disk).queues.pop()],
  ["TOPIC_MISSING", "a topic is gone", (disk) => void disk.state.delete("topic/orders")],
  ["TOPIC_MISSING", "a topic has fewer queues than were written to", (disk) => {
    const topic = disk.state.get("topic/orders") as object;
    disk.state.set("topic/orders", { ...topic, readQueueNums: 1, writeQueueNums: 1 });
  }],
  ["TOPIC_DAMAGED", "a topic with another one's name", (disk) => void disk.state.set("topic/orders", disk.state.get("topic/pages"))],
  ["OFFSET_AHEAD", "a group beyond the end", (disk) => void ((disk.state.get("offset/g/pages") as Record<number, number>)[1]! += 1)],
  ["OFFSET_DAMAGED", "a group at a negative offset", (disk) => void ((disk.state.get("offset/g/pages") as Record<number, number>)[1] = -1)],
  ["OFFSET_DAMAGED", "a group in a queue that does not exist", (disk) => void ((disk.state.get("offset/g/pages") as Record<number, number>)[7] = 1)],
  ["OFFSET_DAMAGED", "offsets of nobody", (disk) => void disk.state.set("offset/pages", {})],
  ["PAGE_LEFT", "a page before the queue's begin", (disk) => void disk.state.set("trim", { version: 1, position: 0, messages: 0, bytes: 0, queues: [["pages", 1, 1024]] }).set("swept", 0)],
  ["TRIM_DAMAGED", "where the log begins is not a position", (disk) => void disk.state.set("trim", { version: 1, position: -1, messages: 0, bytes: 0, queues: [] })],
  ["LOSS_DAMAGED", "a loss behind which the log goes on nowhere", (disk) => void disk.state.set("loss", { version: 1, kind: "tail", lastKnownPosition: 0, groups: [] })],
  ["TIMERS_DAMAGED", "finished timers without their bits", (disk) => void disk.state.set("timers/0", new Uint8Array(3))],
  ["DELETION_DAMAGED", "a deletion that says nothing", (disk) => void disk.state.set("deleted/gone", {})],
  ["DELETED_LEFT", "a group is still at a topic that was deleted", (disk) => {
    disk.state.set("deleted/gone", { position: 0, until: 0, queues: [], isUnswept: false });
    disk.state.set("offset/g/gone", { 0: 0 });
  }],
  ["UNKNOWN_ROW", "a row of state that means nothing", (disk) => void disk.state.set("checkpoint2", 1)],
];

test("a good store has no findings: empty, as crashes left it, and with a fence at its end", () => {
  expect(checkStore(new MemoryDisk())).toEqual([]);
  expect(checkStore(good)).toEqual([]);
  expect(rowsOf(good).map(({ view }) => readInt64(view, 8)).at(-1)).toBeGreaterThan(2);
  const { messages, logEnd } = readStore(good);
  expect(messages.length).toBeGreaterThan(1040);
  const fenced = copyOf(good);
  fenced.log.set(logEnd, new Uint8Array(0));
  expect(checkStore(fenced)).toEqual([]);
});

describe("damage", () => {
  test.each(damages)("%s: %s", (code, _what, damage) => {
    const damaged = copyOf(good);
    damage(damaged);
    expect(checkStore(damaged).map((finding) => finding.code)).toContain(code);
  });

  test("each finding has a damage that brings it about", () => {
    expect([...new Set(damages.map(([code]) => code))].sort()).toEqual([...FINDINGS].sort());
  });

  test("every bit of the log and of the pages matters", () => {
    const unseen: string[] = [];
    for (const part of [small.log, small.queue, small.index] as Map<number | string, Uint8Array>[]) {
      for (const [key, row] of part) {
        for (let at = 0; at < row.byteLength; at++) {
          row[at]! ^= 1 << at % 8;
          if (checkStore(small).length === 0) unseen.push(`${key} byte ${at}`);
          row[at]! ^= 1 << at % 8;
        }
      }
    }
    expect(unseen).toEqual([]);
    expect(checkStore(small)).toEqual([]);
  });
});

test("offsets that were left out are findings unless they are to be expected", () => {
  const holed = copyOf(good);
  for (const key of [...holed.queue.keys()]) holed.queue.delete(key);
  holed.index.clear();
  holed.state.delete("checkpoint");
  const { row, view } = rowsOf(holed).at(-1)!;
  writeInt64(view, HEADER + RECORD.queueOffset, readInt64(view, HEADER + RECORD.queueOffset) + 5);
  sealRow(row);
  expect(checkStore(holed).map(({ code }) => code)).toEqual(["OFFSET_GAP"]);
  expect(checkStore(holed, { holes: true })).toEqual([]);
});
