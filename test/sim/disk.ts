import { type MessageExt } from "../../src/model/message.ts";
import { decodeRecords } from "../../src/model/record-codec.ts";
import { concat } from "../../src/platform/bytes.ts";
import { type BlockStore, type CommitBatch, type CommitOutcome, EPOCH_KEY, type LogRow, type PageKey } from "../../src/storage/block-store.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import type { Stored } from "../support/history.ts";
import type { Trace } from "./history.ts";
import { copyOf } from "./ports.ts";
import type { Prng } from "./prng.ts";
import type { Agent, Scheduler } from "./scheduler.ts";

export interface DiskWeather {
  /** From the request to the device, ms; a transaction waits for those before it besides. */
  latency(random: Prng): number;
  /** Probabilities. */
  commitFails: number;
  commitMisreported: number;
  readFails: number;
  isFull: boolean;
}

/** Protections that a control may switch off. */
export interface DiskControls {
  /** Writes of an outdated host go through. */
  unfenced?: boolean;
  /** `committed` is answered before it is true. */
  earlyAnswer?: boolean;
}

/** What a transaction changed, so that it can be undone. */
type Undo = () => void;

const JOURNAL = 64;
/** Two transactions never end at the same time, ms. */
const STEP = 0.001;

/** One origin's database, on a device that the seed makes slow and unreliable. Transactions are atomic and run one after the other. */
export class SimDisk {
  readonly rows = new MemoryDisk();
  readonly weather: DiskWeather;
  readonly controls: DiskControls;
  readonly #scheduler: Scheduler;
  readonly #trace: Trace;
  readonly #journal: Undo[] = [];
  readonly #stores = new Set<SimStore>();
  /** Rows that have become part of others, and how many others. */
  readonly merges = { rows: 0, blocks: 0 };
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
    const epoch = Math.max((state.get(EPOCH_KEY) as number | undefined) ?? 0, above) + 1;
    state.set(EPOCH_KEY, epoch);
    this.#trace.add({ type: "epoch", epoch });
    return epoch;
  }

  apply(batch: CommitBatch): "applied" | "FENCED" {
    const { log, queue, state } = this.rows;
    if (!this.controls.unfenced && state.get(EPOCH_KEY) !== batch.epoch) return "FENCED";
    this.#journal.push(undoOf(this.rows, batch));
    if (this.#journal.length > JOURNAL) this.#journal.shift();
    const [start, end] = batch.remove?.log ?? [0, 0];
    if (end > start) {
      const gone = log.between(start, end);
      for (const position of gone) log.delete(position);
      this.merges.rows += gone.length;
      this.merges.blocks += batch.log.length;
    }
    for (const { topic, queueId, pages: [from, to] } of batch.remove?.queue ?? []) {
      for (let page = from; page < to; page++) queue.delete(`${topic}/${queueId}/${page}`);
    }
    for (const { position, bytes } of batch.log) log.set(position, bytes);
    for (const { key, bytes } of batch.queue) queue.set(key.join("/"), bytes);
    for (const [key, value] of batch.state) {
      if (key.startsWith("offset/")) this.#traceOffsets(batch.epoch, key, value as Record<number, number>);
      state.set(key, value);
    }
    // What takes the place of removed rows holds what they held.
    const isNew = ({ position }: LogRow): boolean => position < start || position >= end;
    for (const message of messagesOf(batch.log.filter(isNew))) {
      const { commitLogOffset: position, storeSize, tags = "" } = message;
      this.#trace.add({ type: "stored", epoch: batch.epoch, position, end: position + storeSize, record: storedOf(message), tags });
    }
    return "applied";
  }

  /** The browser closes every connection, as when the user clears its data or the database process dies. */
  forceClose(): void {
    for (const store of [...this.#stores]) store.lose();
  }

  /** The newest transactions are gone, and nothing says so: what browsers were seen to do after a crash of the system. */
  loseTail(transactions: number): void {
    for (let i = 0; i < transactions; i++) this.#journal.pop()?.();
  }

  /** One bit of a stored body is not what was written. False when there is none yet. */
  damage(random: Prng): boolean {
    const position = random.pick([...this.rows.log.keys(), -1]);
    const bytes = this.rows.log.get(position);
    const inBody = [...(bytes ?? []).keys()].filter((at) => bytes![at] === WEIGHT && bytes![at - 1] === WEIGHT);
    if (bytes === undefined || inBody.length === 0) return false;
    const damaged = bytes.slice();
    damaged[random.pick(inBody)]! ^= 1 << random.integer(0, 7);
    this.rows.log.set(position, damaged);
    return true;
  }

  /** All that the log holds, read past every index. */
  messages(): MessageExt[] {
    return messagesOf(this.rows.log.from(0).map((position) => ({ position, bytes: this.rows.log.get(position)! })));
  }

  #traceOffsets(epoch: number, key: string, offsets: Record<number, number>): void {
    const [, group = "", topic = ""] = key.split("/");
    const before = (this.rows.state.get(key) ?? {}) as Record<number, number>;
    for (const [queueId, offset] of Object.entries(offsets)) {
      if (before[Number(queueId)] !== offset) this.#trace.add({ type: "offset stored", epoch, group, topic, queueId: Number(queueId), offset });
    }
  }
}

/** One host's connection to the database. */
export class SimStore implements BlockStore {
  readonly kind = "indexeddb";
  onLost: (reason: string) => void = () => {};
  readonly #disk: SimDisk;
  readonly #scheduler: Scheduler;
  readonly #trace: Trace;
  readonly #agent: Agent;
  readonly #reader: MemoryStore;
  #isClosed = false;

  constructor(disk: SimDisk, scheduler: Scheduler, trace: Trace, agent: Agent) {
    this.#disk = disk;
    this.#scheduler = scheduler;
    this.#trace = trace;
    this.#agent = agent;
    this.#reader = new MemoryStore(disk.rows);
  }

  takeOver(above = 0): Promise<number> {
    return new Promise((resolve) => {
      this.#scheduler.after(this.#disk.delay(this.#agent.random, true), `take over by ${this.#agent.name}`, () => {
        if (this.#agent.state === "dead") return;
        const epoch = this.#disk.takeOver(above);
        this.#tell("taken over", () => resolve(epoch));
      });
    });
  }

  commit(batch: CommitBatch): Promise<CommitOutcome> {
    const { random } = this.#agent;
    const { weather, controls } = this.#disk;
    const closed: CommitOutcome = { status: "unknown", cause: new Error("the connection is closed") };
    if (this.#isClosed) return Promise.resolve(closed);
    // Copied now, as IndexedDB does: what the broker changes later is not written.
    const copy: CommitBatch = {
      epoch: batch.epoch,
      ...(batch.remove && { remove: copyOf(batch.remove) }),
      log: batch.log.map(({ position, bytes }) => ({ position, bytes: bytes.slice() })),
      queue: batch.queue.map(({ key, bytes }) => ({ key, bytes: bytes.slice() })),
      state: copyOf(batch.state),
    };
    const fate = random.next();
    // Some transactions need the host's help to complete: they stop when it is frozen, and end when it dies.
    const needsHost = random.chance(0.5);
    return new Promise((resolve) => {
      const run = (): void => {
        if (this.#agent.state === "dead" && (needsHost || random.chance(0.3))) return;
        const outcome = ((): CommitOutcome => {
          if (this.#isClosed && random.chance(0.5)) return closed;
          if (fate < weather.commitFails) return this.#fault("commit failed", { status: "unknown", cause: new Error("Internal error") });
          if (weather.isFull && batch.log.length > 0) return this.#fault("quota used up", { status: "rejected", reason: "FULL" });
          if (this.#disk.apply(copy) === "FENCED") return { status: "rejected", reason: "FENCED" };
          if (fate < weather.commitFails + weather.commitMisreported) {
            return this.#fault("commit misreported", { status: "unknown", cause: new Error("Internal error committing transaction") });
          }
          return { status: "committed" };
        })();
        this.#tell("commit answered", () => resolve(outcome));
      };
      const delay = this.#disk.delay(random, true);
      if (needsHost) this.#scheduler.post(this.#agent, delay, "commit", run);
      else this.#scheduler.after(delay, `commit of ${this.#agent.name}`, run);
      if (controls.earlyAnswer) this.#tell("commit answered", () => resolve({ status: "committed" }));
    });
  }

  readLog(position: number, count: number): Promise<LogRow[]> {
    return this.#read(() => this.#reader.readLog(position, count));
  }

  readLogKeys(position: number, count: number): Promise<number[]> {
    return this.#read(() => this.#reader.readLogKeys(position, count));
  }

  floorLog(position: number): Promise<number | undefined> {
    return this.#read(() => this.#reader.floorLog(position));
  }

  readPages(keys: PageKey[]): Promise<(Uint8Array | undefined)[]> {
    return this.#read(() => this.#reader.readPages(keys));
  }

  readState(prefix: string): Promise<[string, unknown][]> {
    return this.#read(() => this.#reader.readState(prefix));
  }

  close(): void {
    this.#isClosed = true;
    this.#disk.close(this);
  }

  lose(): void {
    this.close();
    this.#tell("store lost", () => this.onLost("the browser closed the database"));
  }

  #read<T>(read: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new DOMException("The database connection is closing.", "InvalidStateError"));
      const { random } = this.#agent;
      this.#scheduler.post(this.#agent, this.#disk.delay(random, false), "read", () => {
        if (random.chance(this.#disk.weather.readFails)) reject(this.#fault("read failed", new DOMException("Internal error.", "UnknownError")));
        else read().then(resolve, reject);
      });
    });
  }

  #tell(label: string, run: () => void): void {
    this.#scheduler.post(this.#agent, this.#agent.random.between(0.05, 0.5), label, run);
  }

  #fault<T>(kind: "commit failed" | "commit misreported" | "quota used up" | "read failed", result: T): T {
    this.#trace.add({ type: "fault", kind, agent: this.#agent.name });
    return result;
  }
}

function undoOf({ log, queue, state }: MemoryDisk, batch: CommitBatch): Undo {
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
  const pages = (batch.remove?.queue ?? []).flatMap(({ topic, queueId, pages: [from, to] }) => Array.from({ length: to - from }, (_, at) => `${topic}/${queueId}/${from + at}`));
  const undo = [
    restore(log, [...new Set([...removed, ...batch.log.map(({ position }) => position)])]),
    restore(queue, [...new Set([...pages, ...batch.queue.map(({ key }) => key.join("/"))])]),
    restore(state, batch.state.map(([key]) => key)),
  ];
  return () => undo.forEach((one) => one());
}

const indexer = new TsIndexer();

/** The records of whole rows, damaged ones left out. A decoder of its own: it shares nothing with the broker's recovery but the record's layout. */
function messagesOf(rows: LogRow[]): MessageExt[] {
  const messages: MessageExt[] = [];
  let open: { end: number; parts: Uint8Array[] } | null = null;
  for (const { position, bytes } of rows) {
    const chunk = indexer.openChunk(bytes, position);
    if (!chunk.ok) {
      open = null;
      continue;
    }
    if (chunk.starts) open = { end: position, parts: [] };
    if (open === null || open.end !== position) continue;
    open.parts.push(chunk.payload);
    open.end += chunk.payload.byteLength;
    if (!chunk.ends) continue;
    messages.push(...decodeRecords(concat(open.parts, open.parts.reduce((sum, part) => sum + part.byteLength, 0)), "broker-a"));
    open = null;
  }
  return messages;
}

export function storedOf(message: MessageExt): Stored {
  const { topic, queueId, queueOffset, msgId, tags } = message;
  return { topic, queueId, queueOffset, msgId, content: `${tags ?? ""} ${contentOf(message)}` };
}

const WEIGHT = 0x78;

/** A body is what it is called, and weight behind it. */
export function bodyOf(content: string, weight: number): string {
  return `${content} ${String.fromCharCode(WEIGHT).repeat(weight)}`;
}

/** What a body is called; all of it, when it is not what `bodyOf` makes. */
function contentOf(message: MessageExt): string {
  const text = message.text();
  return /^(\S+) x*$/.exec(text)?.[1] ?? text;
}
