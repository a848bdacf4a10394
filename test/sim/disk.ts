import { type CommitBatch, EPOCH_KEY, type LogRow } from "../../src/storage/block-store.ts";
import { readTrim, TRIM_KEY, type TrimRow } from "../../src/storage/log-trimmer.ts";
import { queueKey } from "../../src/model/queue.ts";
import { changeIndex, MemoryDisk, pagesIn } from "../../src/storage/memory-store.ts";
import type { Trace } from "./history.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import { LOSS_KEY, type LossRow } from "../../src/storage/loss.ts";
import { placeOf } from "./history.ts";
import type { Prng } from "./prng.ts";
import { recordsOf, type SimRecord, storedOf, WEIGHT } from "./records.ts";
import type { Agent, Scheduler } from "./scheduler.ts";
import { SimStore } from "./sim-store.ts";

export interface DiskWeather {
  /** From the request to the device, ms; a transaction waits for those before it besides. */
  latency(random: Prng): number;
  /** Probabilities. */
  commitFails: number;
  commitMisreported: number;
  readFails: number;
  isFull: boolean;
  /** The newest transactions may be lost: what they did is kept in mind. */
  losesTail: boolean;
}

/** Protections that a control may switch off. */
export interface DiskControls {
  /** Writes of an outdated host go through. */
  unfenced?: boolean;
  /** `committed` is answered before it is true. */
  earlyAnswer?: boolean;
}

type Undo = () => void;

/** A transaction that can be undone, and where the log ended before it. */
interface Done {
  undo: Undo;
  end: number;
}

const JOURNAL = 4096;
/** Two transactions never end at the same time, ms. */
const STEP = 0.001;

/**
 * One origin's database, on a device that the seed makes slow and unreliable. Transactions are atomic and run one after
 * the other: no commit is there by half, as a write to a file may be. What is torn instead is the line of commits, whose
 * newest are gone after a power cut (`loseTail`), and what is said of a commit, which may be done and reported as failed
 * (`commitMisreported`) or done while nobody is left to hear it (sim-store.ts). Half a commit is what the control with
 * two transactions for one shows.
 */
export class SimDisk {
  readonly rows = new MemoryDisk();
  readonly weather: DiskWeather;
  readonly controls: DiskControls;
  readonly #scheduler: Scheduler;
  readonly #trace: Trace;
  readonly #journal: Done[] = [];
  /** Where the log ends. */
  #end = 0;
  /** A transaction that was on its way at one of them never happens. */
  powerCuts = 0;
  readonly #stores = new Set<SimStore>();
  /** Rows that have become part of others, and how many others. */
  readonly merges = { rows: 0, blocks: 0 };
  /** How often the oldest rows were removed. */
  cuts = 0;
  /** When the last transaction that has been asked for will be done. */
  #busyUntil = 0;

  constructor(scheduler: Scheduler, trace: Trace, weather: DiskWeather, controls: DiskControls = {}) {
    this.#scheduler = scheduler;
    this.#trace = trace;
    this.weather = weather;
    this.controls = controls;
  }

  open(agent: Agent): SimStore {
    const store = new SimStore(this, this.#scheduler, this.#trace, agent);
    this.#stores.add(store);
    return store;
  }

  close(store: SimStore): void {
    this.#stores.delete(store);
  }

  /** When a transaction asked for now will have been done, as a delay. Reads wait for writes, nothing waits for reads. */
  delay(random: Prng, isWrite: boolean): number {
    const { now } = this.#scheduler;
    const due = Math.max(this.#busyUntil + STEP, now + this.weather.latency(random));
    if (isWrite) this.#busyUntil = due;
    return due - now;
  }

  takeOver(above: number): number {
    const { state } = this.rows;
    const before = state.get(EPOCH_KEY) as number | undefined;
    const epoch = Math.max(before ?? 0, above) + 1;
    this.#remember(() => state.set(EPOCH_KEY, before ?? 0));
    state.set(EPOCH_KEY, epoch);
    this.#trace.add({ type: "epoch", epoch });
    return epoch;
  }

  apply(batch: CommitBatch): "applied" | "FENCED" {
    const { log, queue, index, state } = this.rows;
    if (!this.controls.unfenced && state.get(EPOCH_KEY) !== batch.epoch) return "FENCED";
    if (this.weather.losesTail) this.#remember(undoOf(this.rows, batch));
    const [start, end] = batch.remove?.log ?? [0, 0];
    if (end > start) {
      const gone = log.between(start, end);
      for (const position of gone) log.delete(position);
      if (batch.log.length > 0) {
        this.merges.rows += gone.length;
        this.merges.blocks += batch.log.length;
      }
    }
    for (const range of batch.remove?.queue ?? []) for (const name of pagesIn(queue, range)) queue.delete(name);
    for (const { position, bytes } of batch.log) {
      log.set(position, bytes);
      this.#end = Math.max(this.#end, position + bytes.byteLength - CHUNK_HEADER_BYTES);
    }
    for (const { key, bytes } of batch.queue) queue.set(key.join("/"), bytes);
    if (batch.index !== undefined) changeIndex(index, batch.index);
    for (const [key, value] of batch.state) {
      if (key.startsWith("offset/") && value !== null) this.#traceOffsets(batch.epoch, key, value as Record<number, number>);
      if (key.startsWith("finished/")) this.#traceKeys(batch.epoch, key, value as { keys: string[] } | null);
      if (key === TRIM_KEY) {
        const { position, queues } = value as TrimRow;
        this.cuts++;
        this.#trace.add({ type: "removed", epoch: batch.epoch, position, begins: beginsOf(queues) });
      }
      if (key === LOSS_KEY) {
        this.#end = Math.max(this.#end, (value as LossRow).position);
        this.#trace.add({ type: "loss noted" });
      }
      if (value === null) state.delete(key);
      else state.set(key, value);
    }
    // What takes the place of removed rows holds what they held.
    const isNew = ({ position }: LogRow): boolean => position < start || position >= end;
    for (const { message, finishes } of recordsOf(batch.log.filter(isNew))) {
      const { commitLogOffset: position, storeSize, storeTimestamp, tags = "" } = message;
      const stored = { epoch: batch.epoch, position, end: position + storeSize, record: storedOf(message), tags };
      this.#trace.add({ type: "stored", ...stored, ...(finishes === null ? { storeTimestamp } : { storeTimestamp, finishes }) });
    }
    return "applied";
  }

  /** The browser closes every connection, as when the user clears its data or the database process dies. */
  forceClose(): void {
    for (const store of [...this.#stores]) store.lose();
  }

  /** What is on disk from here on may be lost, and what was before may not. */
  founded(): void {
    this.#journal.length = 0;
  }

  /**
   * The newest transactions are gone, and nothing says so: what browsers were seen to do after a crash of the system.
   * All that go beyond `noted`, and one at least that does not, with some `more`: of younger ones nobody could know.
   * False when that cannot be.
   */
  loseTail(noted: { epoch: number; position: number }, more: number): boolean {
    const { state } = this.rows;
    const last = this.#journal.findLastIndex(({ end }) => end < noted.position);
    if (last < 0 || noted.epoch !== state.get(EPOCH_KEY)) return false;
    this.powerCuts++;
    for (const { undo, end } of this.#journal.splice(Math.max(0, last - more)).reverse()) {
      undo();
      this.#end = end;
    }
    const rows = [...state].filter(([key]) => key.startsWith("offset/")).map(([key, offsets]) => [key.split("/"), Object.entries(offsets as object)] as const);
    const offsets = rows.flatMap(([[, group, topic], queues]) => queues.map(([queueId, offset]) => [`${group} ${topic}:${queueId}`, Number(offset)] as const));
    const { position: begin, queues } = readTrim(state.get(TRIM_KEY));
    this.#trace.add({ type: "tail lost", position: this.#end, offsets: Object.fromEntries(offsets), begin, begins: beginsOf(queues) });
    return true;
  }

  /** One bit of a stored body is not what was written. False when there is none yet. */
  damage(random: Prng): boolean {
    const position = random.pick([...this.rows.log.keys(), -1]);
    const bytes = this.rows.log.get(position);
    const inBody = [...(bytes ?? []).keys()].filter((at) => bytes![at] === WEIGHT && bytes![at - 1] === WEIGHT);
    if (bytes === undefined || inBody.length === 0) return false;
    const damaged = bytes.slice();
    damaged[random.pick(inBody)]! ^= 1 << random.integer(0, 7);
    const before = this.records().map(({ message }) => placeOf(storedOf(message)));
    this.rows.log.set(position, damaged);
    const left = new Set(this.records().map(({ message }) => placeOf(storedOf(message))));
    this.#trace.add({ type: "damaged", places: before.filter((place) => !left.has(place)) });
    return true;
  }

  /** What is before has been given up, removed or not. */
  get begin(): number {
    return readTrim(this.rows.state.get(TRIM_KEY)).position;
  }

  /** All that the log holds, read past every index. */
  records(): SimRecord[] {
    return recordsOf(this.rows.log.from(this.begin).map((position) => ({ position, bytes: this.rows.log.get(position)! })));
  }

  #remember(undo: Undo): void {
    if (!this.weather.losesTail) return;
    this.#journal.push({ undo, end: this.#end });
    if (this.#journal.length > JOURNAL) this.#journal.shift();
  }

  #traceKeys(epoch: number, row: string, page: { keys: string[] } | null): void {
    const [, group = ""] = row.split("/");
    const before = new Set((this.rows.state.get(row) as typeof page | undefined)?.keys);
    for (const key of page?.keys ?? []) if (!before.has(key)) this.#trace.add({ type: "key stored", epoch, group, key });
  }

  #traceOffsets(epoch: number, key: string, offsets: Record<number, number>): void {
    const [, group = "", topic = ""] = key.split("/");
    const before = (this.rows.state.get(key) ?? {}) as Record<number, number>;
    for (const [queueId, offset] of Object.entries(offsets)) {
      if (before[Number(queueId)] !== offset) this.#trace.add({ type: "offset stored", epoch, group, topic, queueId: Number(queueId), offset });
    }
  }
}

function beginsOf(queues: TrimRow["queues"]): [queue: string, minOffset: number][] {
  return queues.map(([topic, queueId, begin]) => [queueKey(topic, queueId), begin]);
}

function undoOf({ log, queue, index, state }: MemoryDisk, batch: CommitBatch): Undo {
  const restore = <K, V>(map: Map<K, V>, keys: K[]): Undo => {
    const before = keys.map((key) => [key, map.get(key)] as const);
    return () => {
      for (const [key, value] of before) {
        if (value === undefined) map.delete(key);
        else map.set(key, value);
      }
    };
  };
  const [start, end] = batch.remove?.log ?? [0, 0];
  const removed = log.between(start, end);
  const pages = (batch.remove?.queue ?? []).flatMap((range) => pagesIn(queue, range));
  const undo = [
    restore(log, [...new Set([...removed, ...batch.log.map(({ position }) => position)])]),
    restore(queue, [...new Set([...pages, ...batch.queue.map(({ key }) => key.join("/"))])]),
    restore(state, batch.state.map(([key]) => key)),
  ];
  // Ranges are deleted: all of it is noted, which is little, because few batches change the index.
  if (batch.index !== undefined) {
    const before = [...index];
    undo.push(() => {
      index.clear();
      for (const [key, bytes] of before) index.set(key, bytes);
    });
  }
  return () => undo.forEach((one) => one());
}
