/**
 * A small store that has been through everything, damaged in every way that fits on a page. After each damage a broker
 * starts and is asked for all there is. What it gives is what was sent, at exactly that place; what it cannot give
 * any more was in the damaged row, and is reported; what is sent then stands where nothing has ever stood.
 *
 * Of the long rows not every byte and length is taken, unless TABMQ_FULL=1: every run starts a broker.
 */
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { TabMQ } from "../../src/index.ts";
import { readInt64 } from "../../src/model/record.ts";
import type { CheckpointRow } from "../../src/storage/checkpoint.ts";
import { CommitLog } from "../../src/storage/commit-log.ts";
import { ENTRY_BYTES } from "../../src/storage/consume-queue.ts";
import { CHUNK_HEADER_BYTES, type OpenedChunk } from "../../src/storage/indexer.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import type { TrimRow } from "../../src/storage/log-trimmer.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { judgeDamage, type JudgeOptions, markOf, type Truth, truthOf } from "../support/damage-judge.ts";
import { livedStore, type LivedStore } from "../support/lived-store.ts";
import { shallowCopyOf } from "../support/memory-disk.ts";
import { NodeOrigin } from "../support/node-broker.ts";
import { asDamaged } from "../support/sound-stores.ts";

const FULL = process.env.TABMQ_FULL === "1";
const TIMEOUT = FULL ? 3_600_000 : 180_000;
const LONG_ROW = 1000;

let store: LivedStore;
/** Other messages at the same positions: another database, or this one before it was lost and begun anew. */
let foreign: LivedStore;
let truth: Truth;
/** Positions of the log's rows. */
let positions: number[];

beforeAll(async () => {
  store = await livedStore();
  foreign = await livedStore("them", 1);
  truth = truthOf(store.disk, store.earlier);
  positions = [...store.disk.log.keys()].sort((a, b) => a - b);
});

type Part = "log" | "queue" | "index";
type Rows = Map<unknown, Uint8Array>;
interface Damage {
  name: string;
  apply: (disk: MemoryDisk) => void;
  /** The rows of the log that are damaged, by position. */
  rows?: readonly number[];
}

const rowsOf = (disk: MemoryDisk, part: Part): Rows => disk[part] as Rows;
const keysOf = (part: Part): unknown[] => (part === "log" ? positions : [...store.disk[part].keys()]);
const put = (part: Part, key: unknown, bytes: Uint8Array): Damage => ({
  name: `${part} ${String(key)}`,
  apply: (disk) => void rowsOf(disk, part).set(key, bytes),
  ...(part === "log" && { rows: [key as number] }),
});

/** Does the row of one of these positions hold `position`? */
function isIn(rows: readonly number[], position: number): boolean {
  const row = positions.findLast((at) => at <= position);
  return row !== undefined && rows.includes(row);
}

/** A copy of the store with this damage; `judgeDamage` looks at it more closely than the checker does. */
function damagedBy({ name, apply }: Damage): MemoryDisk {
  const disk = shallowCopyOf(store.disk);
  apply(disk);
  return asDamaged(disk, name, "a broker that starts makes some of it again, and nobody notices what stands beside the log");
}

/** What each damage does wrong; returns how many there were. */
async function judgeAll(damages: Iterable<Damage>, options: JudgeOptions = {}): Promise<{ count: number; reported: number }> {
  const faults: string[] = [];
  let [count, reported] = [0, 0];
  for (const damage of damages) {
    const { name, rows = [] } = damage;
    const judged = await judgeDamage(damagedBy(damage), truth, { witness: markOf(truth), mayMiss: (position) => isIn(rows, position), ...options });
    faults.push(...judged.faults.slice(0, 3).map((fault) => `${name}: ${fault}`));
    count++;
    if (judged.isReported) reported++;
    if (faults.length > 20) break;
  }
  expect(faults).toEqual([]);
  return { count, reported };
}

/** The numbers below `count`: all near the ends, and some in between. */
function* some(count: number, ends: number, step: number): Generator<number> {
  for (let at = 0; at < count; at++) if (FULL || at < ends || at >= count - ends / 4 || at % (count > LONG_ROW ? 997 : step) === 0) yield at;
}

function flipped(bytes: Uint8Array, at: number, mask = 1 << at % 8): Uint8Array {
  const copy = bytes.slice();
  copy[at]! ^= mask;
  return copy;
}

function* flips(part: Part, ends: number, step: number): Generator<Damage> {
  for (const key of keysOf(part)) {
    const bytes = rowsOf(store.disk, part).get(key)!;
    for (const at of some(bytes.byteLength, ends, step)) yield { ...put(part, key, flipped(bytes, at)), name: `${part} ${String(key)}, byte ${at}` };
  }
}

function* cuts(part: Part, ends: number, step: number): Generator<Damage> {
  for (const key of keysOf(part)) {
    const bytes = rowsOf(store.disk, part).get(key)!;
    for (const length of some(bytes.byteLength, ends, step)) yield { ...put(part, key, bytes.slice(0, length)), name: `${part} ${String(key)}, cut to ${length}` };
    for (const more of [1, 20, 1000]) for (const fill of [0, bytes]) {
      const long = new Uint8Array(bytes.byteLength + more);
      long.set(bytes);
      if (fill !== 0) long.set(bytes.subarray(0, more), bytes.byteLength);
      yield { ...put(part, key, long), name: `${part} ${String(key)}, ${more} longer` };
    }
  }
}

function* pairs<T>(all: readonly T[]): Generator<[T, T]> {
  for (const [at, one] of all.entries()) for (const other of all.slice(at + 1)) yield [one, other];
}

function* swaps(part: Part): Generator<Damage> {
  for (const [one, other] of pairs(keysOf(part))) {
    const [left, right] = [rowsOf(store.disk, part).get(one)!, rowsOf(store.disk, part).get(other)!];
    yield { name: `${part} ${String(one)} and ${String(other)} swapped`, rows: [one, other] as number[], apply: (disk) => void rowsOf(disk, part).set(one, right).set(other, left) };
    yield { name: `${part} ${String(one)} twice`, rows: [other] as number[], apply: (disk) => void rowsOf(disk, part).set(other, left) };
  }
}

function* removals(part: Part): Generator<Damage> {
  const remove = (keys: unknown[]): Damage => ({ name: `${part} ${keys.join(" and ")} deleted`, rows: keys as number[], apply: (disk) => keys.forEach((key) => rowsOf(disk, part).delete(key)) });
  for (const key of keysOf(part)) yield remove([key]);
  for (const pair of pairs(keysOf(part))) yield remove(pair);
  yield { ...remove(keysOf(part)), name: `all of ${part} deleted` };
}

/** Rows that are of this kind and not of this moment, or not of this database. */
function* strangers(part: Part, disks: readonly MemoryDisk[]): Generator<Damage> {
  const seen = new Map<unknown, Uint8Array[]>([...rowsOf(store.disk, part)].map(([key, bytes]) => [key, [bytes]]));
  for (const [at, disk] of disks.entries()) {
    for (const [key, bytes] of rowsOf(disk, part)) {
      const known = seen.get(key) ?? [];
      if (known.some((one) => Buffer.compare(one, bytes) === 0)) continue;
      seen.set(key, [...known, bytes]);
      const row = part === "log" ? positions.findLast((position) => position <= (key as number)) : undefined;
      yield { ...put(part, key, bytes), name: `${part} ${String(key)} of ${at}`, ...(row !== undefined && { rows: [row] }) };
    }
  }
}

test("the store has everything that can be damaged, and undamaged it is whole", async () => {
  const { disk } = store;
  // A block of sixteen, one that is long, three behind each other in front of the checkpoint and four behind it.
  expect(positions.map((position) => disk.log.get(position)!.byteLength > LONG_ROW)).toEqual([true, true, ...Array.from({ length: 7 }, () => false)]);
  expect([...disk.queue.keys()]).toEqual(["a/0/0", "a/0/1", "a/1/0", "b/0/0"]);
  expect([...disk.index.keys()].sort()).toEqual(["open/0", "segment/0/0", "segment/0/64"]);
  expect([...disk.state.keys()].sort()).toEqual(["checkpoint", "epoch", "offset/g/a", "offset/g/b", "swept", "topic/a", "topic/b", "trim"]);
  expect(truth.records.size).toBe(24);
  expect(await judgeDamage(shallowCopyOf(disk), truth, { isTwice: true })).toMatchObject({ faults: [], isReported: false });
});

describe("a row of the log", { timeout: TIMEOUT }, () => {
  test("every bit of every short row, and of the block: not taken for a row", () => {
    const indexer = new TsIndexer();
    for (const position of positions) {
      const bytes = store.disk.log.get(position)!.slice();
      if (bytes.byteLength > 10 * LONG_ROW) continue;
      for (let at = 0; at < bytes.byteLength; at++) for (let bit = 0; bit < 8; bit++) {
        bytes[at]! ^= 1 << bit;
        if (indexer.openChunk(bytes, position).ok) expect.fail(`row ${position}, byte ${at}, bit ${bit}`);
        bytes[at]! ^= 1 << bit;
      }
    }
  });

  test("a changed byte", async () => {
    const { count, reported } = await judgeAll(flips("log", 48, 5), { isQuick: true, witness: null });
    expect(count).toBeGreaterThan(700);
    expect(reported).toBe(count);
  });

  test("cut to any length, or longer", async () => {
    const { count, reported } = await judgeAll(cuts("log", 36, 17), { isQuick: true });
    expect(count).toBeGreaterThan(400);
    expect(reported).toBe(count);
  });

  test("two rows swapped, or one of them twice", async () => {
    const { count, reported } = await judgeAll(swaps("log"), { isTwice: true });
    expect([count, reported]).toEqual([72, 72]);
  });

  test("deleted: one, two, all", async () => {
    const { count, reported } = await judgeAll(removals("log"), { isTwice: true });
    expect([count, reported]).toEqual([9 + 36 + 1, 9 + 36 + 1]);
  });

  test("an older row put back, in the place of the block or beside it", async () => {
    expect((await judgeAll(strangers("log", store.earlier), { isTwice: true })).count).toBeGreaterThan(8);
  });

  /** In front of the checkpoint: the queues' pages contradict it. */
  const isKnown = ({ rows = [] }: Damage): boolean => rows.every((row) => row < (store.disk.state.get("checkpoint") as { position: number }).position);
  const fromElsewhere = (): Damage[] => [...strangers("log", [foreign.disk, ...foreign.earlier])];

  test("a row of another database at the same position: no consumer gets what belongs elsewhere", async () => {
    const { count, reported } = await judgeAll(fromElsewhere().filter(isKnown), { isForConsumers: true });
    expect(count).toBeGreaterThan(8);
    // Beside the block nobody looks at it, and before the log's begin nobody comes by.
    expect(reported).toBeGreaterThan(4);
  });

  test("what is not noticed: a row of another database where nothing contradicts it; encryption would", async () => {
    const faults: string[] = [];
    for (const damage of fromElsewhere().filter((one) => !isKnown(one))) {
      faults.push(...(await judgeDamage(damagedBy(damage), truth, { isQuick: true, isForConsumers: true })).faults);
    }
    expect(faults).toEqual(expect.arrayContaining([expect.stringMatching(/"them .* is not what was sent/)]));
  });
});

describe.each(["queue", "index"] as const)("a page of the %s", { timeout: TIMEOUT }, (part) => {
  test("a changed byte", async () => {
    expect((await judgeAll(flips(part, 40, 29), { isQuick: true })).count).toBeGreaterThan(100);
  });

  test("cut to any length, or longer", async () => {
    expect((await judgeAll(cuts(part, 40, 29), { isQuick: true })).count).toBeGreaterThan(100);
  });

  test("two swapped, or one of them twice; deleted: one, two, all", async () => {
    await judgeAll(swaps(part), { isTwice: true });
    await judgeAll(removals(part), { isTwice: true });
  });

  test("older, or of another database", async () => {
    await judgeAll(strangers(part, store.earlier), { isTwice: true });
    // Its checksum is right: that it is another's is noticed by the records it leads to.
    await judgeAll(strangers(part, [...foreign.earlier, foreign.disk]), { isTwice: true, ...(part === "queue" && { isForConsumers: true, mayMiss: () => true }) });
  });
});

test("a page of the queue as it was before the queue went on in the next one", async () => {
  const disk = new MemoryDisk();
  const queue = { topic: "t", brokerName: "broker-a", queueId: 0 };
  const life = async (work: (mq: TabMQ, origin: NodeOrigin) => Promise<void>): Promise<void> => {
    const origin = new NodeOrigin(disk);
    try {
      await work(await origin.connect({ broker: { defaultTopicQueueNums: 1 } }), origin);
      await origin.host.broker?.close();
    } finally {
      await origin.close();
    }
  };
  const send = (count: number) => life(async (mq) => {
    const producer = await mq.createProducer({ producerGroup: "p" });
    await producer.send(Array.from({ length: count }, (_, at) => ({ topic: "t", body: `${at}` })));
  });
  await send(500);
  const old = disk.queue.get("t/0/0")!;
  await send(1000);
  expect(disk.queue.get("t/0/0")!.byteLength).toBeGreaterThan(old.byteLength);
  asDamaged(disk, "a page is as it was").queue.set("t/0/0", old);
  await life(async (mq) => {
    const pull = await mq.createPullConsumer({ consumerGroup: "g" });
    const read: number[] = [];
    for (let offset = 0; offset < 1500; ) {
      const { messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 1024);
      read.push(...messages.map(({ queueOffset }) => queueOffset));
      offset = nextBeginOffset;
    }
    expect(read).toEqual(Array.from({ length: 1500 }, (_, at) => at));
    expect((await mq.diagnostics()).broker.recovery.rebuilt).toBe(1);
  });
});

test("rows cut to any length in a log that a checkpoint covers to its end", { timeout: TIMEOUT }, async () => {
  const disk = new MemoryDisk();
  const queue = { topic: "t", brokerName: "broker-a", queueId: 0 };
  const first = new NodeOrigin(disk);
  const filled = await first.connect({ broker: { defaultTopicQueueNums: 1 } });
  const producer = await filled.createProducer({ producerGroup: "p" });
  for (let at = 0; at < 4; at++) await producer.send({ topic: "t", body: `${at}` });
  await first.host.broker?.close();
  await first.close();

  /** Whoever reads in a circle is stopped. */
  class PatientStore extends MemoryStore {
    #reads = 0;
    override readLog(...asked: Parameters<MemoryStore["readLog"]>): ReturnType<MemoryStore["readLog"]> {
      if (++this.#reads > 100) throw new Error("the log is read without end");
      return super.readLog(...asked);
    }
  }
  const rows = [...disk.log.keys()].sort((a, b) => a - b);
  expect((disk.state.get("checkpoint") as CheckpointRow).position).toBe(rows.at(-1)! + disk.log.get(rows.at(-1)!)!.byteLength - CHUNK_HEADER_BYTES);
  for (const [begin, position] of rows.entries()) for (const count of [1, 2]) for (const length of some(disk.log.get(position)!.byteLength, 36, 17)) {
    const cut = rows.slice(begin, begin + count);
    const damaged = asDamaged(shallowCopyOf(disk), "rows are cut");
    for (const row of cut) damaged.log.set(row, disk.log.get(row)!.slice(0, length));
    const origin = new NodeOrigin(damaged);
    origin.makeStore = () => new PatientStore(damaged);
    const pull = await (await origin.connect()).createPullConsumer({ consumerGroup: "g" });
    const { messages } = await pull.pull(queue, "*", 0, 32);
    expect(messages.map((message) => rows[Number(message.text())])).toEqual(rows.filter((row) => !cut.includes(row)));
    await origin.close();
  }
});

describe("control: with a protection off, damage is delivered", { timeout: TIMEOUT }, () => {
  /** The first thing that is wrong with any of these damages. */
  async function firstFault(damages: Iterable<Damage>, options: JudgeOptions): Promise<string | undefined> {
    for (const damage of damages) {
      const { faults } = await judgeDamage(damagedBy(damage), truth, { mayMiss: () => true, isQuick: true, isForConsumers: true, ...options });
      if (faults.length > 0) return faults[0];
    }
    return undefined;
  }

  /** Takes every row that says how long it is. */
  class CredulousIndexer extends TsIndexer {
    override openChunk(row: Uint8Array, position: number): OpenedChunk {
      const opened = super.openChunk(row, position);
      if (opened.ok || (opened.reason !== "BAD_CRC" && opened.reason !== "BAD_POSITION")) return opened;
      return { ok: true, epoch: 1, position, starts: true, ends: true, payload: row.subarray(CHUNK_HEADER_BYTES) };
    }
  }

  test("checksums of rows", async () => {
    // The last byte of a record: nothing else looks at it.
    const [block] = positions as [number];
    const bytes = store.disk.log.get(block)!;
    const last = [put("log", block, flipped(bytes, bytes.byteLength - 1, 1))];
    expect(await firstFault(last, {})).toBeUndefined();
    expect(await firstFault(last, { indexer: () => new CredulousIndexer() })).toMatch(/is not what was sent/);
  });

  test("which queue and offset a record says it is of", async () => {
    const pages = [...strangers("queue", [foreign.disk])];
    expect(await firstFault(pages, {})).toBeUndefined();
    // As if each record said what is wanted: the entry is believed.
    vi.spyOn(CommitLog.prototype, "readInto").mockImplementation(async function believe(this: CommitLog, target, end, _queue, _first, entries, chosen) {
      const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
      for (const at of chosen) {
        const record = await this.readRecord(readInt64(view, at * ENTRY_BYTES));
        if (record !== null) target.set(record, end);
        end += record?.byteLength ?? 0;
      }
      return end;
    });
    expect(await firstFault(pages, {})).toMatch(/is delivered/);
    vi.restoreAllMocks();
  });

  test("the checksum of the checkpoint", async () => {
    const { check: _check, ...row } = structuredClone(store.disk.state.get("checkpoint")) as CheckpointRow;
    const without = { ...row, queues: [] };
    const apply = (disk: MemoryDisk): void => void disk.state.set("checkpoint", without);
    expect(await firstFault([{ name: "", apply }], { mayMiss: () => false })).toMatch(/is missing/);
    const checked = (disk: MemoryDisk): void => void disk.state.set("checkpoint", { ...without, check: _check });
    expect(await firstFault([{ name: "", apply: checked }], { mayMiss: () => false })).toBeUndefined();
  });
});

describe("where the log begins, made up", { timeout: TIMEOUT }, () => {
  const trim = (): TrimRow => store.disk.state.get("trim") as TrimRow;
  /** Ahead of the log, and all of it would be swept away; a queue too many, and there is no end to reading. */
  const MADE_UP: [string, () => Partial<TrimRow>][] = [
    ["behind the log's end", () => ({ position: 3_000_000 })],
    ["in the log", () => ({ position: positions.at(-1)! })],
    ["the last of all positions", () => ({ position: Number.MAX_SAFE_INTEGER })],
    ["a queue behind its end", () => ({ queues: [["a", 0, 2 ** 40]] })],
    ["a queue of the millions", () => ({ queues: [["a", 1_000_000, 0]] })],
  ];
  const begun = (row: object): MemoryDisk => {
    const disk = asDamaged(shallowCopyOf(store.disk), "where it begins is made up");
    disk.state.set("trim", row);
    return disk;
  };

  test.each(MADE_UP)("%s: not believed", async (_what, change) => {
    for (const witness of [null, markOf(truth)]) expect((await judgeDamage(begun({ ...trim(), ...change() }), truth, { witness, isQuick: true, isTwice: true })).faults).toEqual([]);
  });

  test("a queue of the millions, by a build that wrote no checksum: a topic has no more queues for it than it can have", async () => {
    const { check: _check, ...row } = trim();
    const origin = new NodeOrigin(begun({ ...row, queues: [...row.queues, ["a", 1_000_000, 0]] }));
    const { admin } = await origin.connect();
    expect((await admin.topics()).find(({ topic }) => topic === "a")).toMatchObject({ readQueueNums: 128 });
    await origin.close();
  });

  test("control: without its checksum it is", async () => {
    const { check: _check, ...row } = trim();
    const { faults } = await judgeDamage(begun({ ...row, position: 3_000_000 }), truth, { isQuick: true });
    expect(faults.length).toBeGreaterThan(0);
  });
});

describe("a row of state", { timeout: TIMEOUT }, () => {
  const SHAPES = [null, 0, -1, 1.5, NaN, Infinity, "", "x", true, [], [null], {}, { version: 1 }, { version: 2 }, new Uint8Array(3), new Date(0), 10n, new Map()];
  const KEYS = ["checkpoint", "epoch", "offset/g/a", "offset/g/b", "topic/a", "topic/b", "trim", "swept", "merge", "config", "loss", "import/1"];

  let turn = 0;

  /** The value with one of its parts, however deep, replaced; each part by some of the shapes. */
  function* variants(value: unknown): Generator<unknown> {
    if (typeof value !== "object" || value === null) return;
    for (const [key, part] of Object.entries(value)) {
      // A checkpoint of before there was a checksum, and another permission, are no damage.
      if (key === "check" || key === "perm") continue;
      const replaced = (other: unknown): unknown => Object.assign(Array.isArray(value) ? [...(value as unknown[])] : { ...value }, { [key]: other });
      for (const [at, shape] of SHAPES.entries()) if (FULL || at % 5 === (turn + key.length) % 5) yield replaced(shape);
      turn++;
      for (const variant of variants(part)) yield replaced(variant);
      const without = { ...(value as Record<string, unknown>) };
      delete without[key];
      yield without;
    }
  }

  function* damages(key: string): Generator<Damage> {
    const set = (what: string, value: unknown): Damage => ({ name: `${key} ${what}`, apply: (disk) => void disk.state.set(key, value) });
    yield { name: `${key} deleted`, apply: (disk) => void disk.state.delete(key) };
    for (const shape of SHAPES) yield set(`is ${typeof shape} ${String(shape)}`, shape);
    const now = store.disk.state.get(key);
    for (const variant of variants(now)) yield set(`is ${JSON.stringify(variant, (_key, part: unknown) => (typeof part === "bigint" ? `${part}n` : part))}`, variant);
    for (const [at, { state }] of store.earlier.entries()) if (state.has(key) && JSON.stringify(state.get(key)) !== JSON.stringify(now)) yield set(`as it was at ${at}`, state.get(key));
  }

  test.each(KEYS)("%s", async (key) => {
    // Without a witness nobody knows what an epoch was whose row is gone.
    for (const witness of key === "epoch" ? [markOf(truth)] : [null, markOf(truth)]) await judgeAll(damages(key), { isQuick: true, witness });
  });
});
