import type { BlockStore, CommitBatch, CommitOutcome, IndexChange, IndexRange, LogRow, PageKey, Removal } from "./block-store.ts";
import { EPOCH_KEY, KEY_CHECK, lastEpoch, rowsWithin } from "./block-store.ts";
import { MemoryRows } from "./memory-rows.ts";

/** What a MemoryStore holds; several stores over one of these are several hosts over one database. */
export class MemoryDisk {
  readonly log = new MemoryRows();
  readonly queue = new Map<string, Uint8Array>();
  /** Keys: "name/page". */
  readonly index = new Map<string, Uint8Array>();
  readonly state = new Map<string, unknown>();
}

/** Nothing survives the process. The same contract as IndexedDB otherwise, values copied in and out included. */
export class MemoryStore implements BlockStore {
  readonly kind = "memory";
  onLost: (reason: string) => void = () => {};
  readonly disk: MemoryDisk;

  constructor(disk = new MemoryDisk()) {
    this.disk = disk;
  }

  async takeOver(above = 0, inspect: (keyCheck: unknown) => void = () => {}): Promise<number> {
    inspect(this.disk.state.get(KEY_CHECK));
    const epoch = Math.max(lastEpoch(this.disk.state.get(EPOCH_KEY)), above) + 1;
    this.disk.state.set(EPOCH_KEY, epoch);
    return epoch;
  }

  async commit(batch: CommitBatch): Promise<CommitOutcome> {
    if (this.disk.state.get(EPOCH_KEY) !== batch.epoch) return { status: "rejected", reason: "FENCED" };
    // All copies first: what cannot be copied must leave nothing behind.
    const state = structuredClone(batch.state);
    this.#remove(batch.remove);
    for (const row of batch.log) this.disk.log.set(row.position, row.bytes.slice());
    for (const page of batch.queue) this.disk.queue.set(pageName(page.key), page.bytes.slice());
    if (batch.index !== undefined) changeIndex(this.disk.index, batch.index);
    for (const [key, value] of state) {
      if (value === null) this.disk.state.delete(key);
      else this.disk.state.set(key, value);
    }
    return { status: "committed" };
  }

  readLog(position: number, count: number, bytes = Infinity): Promise<LogRow[]> {
    const { log } = this.disk;
    const positions = log.from(position, count);
    return Promise.resolve(positions.slice(0, rowsWithin(positions, bytes)).map((at) => ({ position: at, bytes: log.get(at)!.slice() })));
  }

  readLogKeys(position: number, count: number): Promise<number[]> {
    return Promise.resolve(this.disk.log.from(position, count));
  }

  floorLog(position: number): Promise<number | undefined> {
    return Promise.resolve(this.disk.log.floor(position));
  }

  readPages(keys: PageKey[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.resolve(keys.map((key) => this.disk.queue.get(pageName(key))?.slice()));
  }

  readIndex(ranges: IndexRange[]): Promise<Uint8Array[][]> {
    return Promise.resolve(ranges.map((range) => indexKeys(this.disk.index, range).map((key) => this.disk.index.get(key)!.slice())));
  }

  readState(prefix: string): Promise<[string, unknown][]> {
    const rows = [...this.disk.state].filter(([key]) => key.startsWith(prefix));
    return Promise.resolve(rows.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [key, structuredClone(value)]));
  }

  close(): void {}

  destroy(): Promise<void> {
    for (const rows of [this.disk.log, this.disk.queue, this.disk.index, this.disk.state]) rows.clear();
    return Promise.resolve();
  }

  #remove({ log: [start, end] = [0, 0], queue = [] }: Removal = {}): void {
    for (const position of this.disk.log.between(start, end)) this.disk.log.delete(position);
    for (const range of queue) for (const name of pagesIn(this.disk.queue, range)) this.disk.queue.delete(name);
  }
}

function pageName([topic, queueId, page]: PageKey): string {
  return `${topic}/${queueId}/${page}`;
}

/** The names of those that are there. Behind a loss a range may be wide, and all but empty. */
export function pagesIn(queue: ReadonlyMap<string, Uint8Array>, { topic, queueId, pages: [from, to] }: NonNullable<Removal["queue"]>[number]): string[] {
  const start = `${topic}/${queueId}/`;
  const isIn = (name: string): boolean => name.startsWith(start) && Number(name.slice(start.length)) >= from && Number(name.slice(start.length)) < to;
  if (to - from > queue.size) return [...queue.keys()].filter(isIn);
  return Array.from({ length: to - from }, (_, at) => `${start}${from + at}`).filter((name) => queue.has(name));
}

/** What `commit` does to the index rows of a MemoryDisk. */
export function changeIndex(index: Map<string, Uint8Array>, change: IndexChange): void {
  if (change.delete === "all") index.clear();
  else for (const range of change.delete) for (const key of indexKeys(index, range)) index.delete(key);
  for (const { key, bytes } of change.put) index.set(key.join("/"), bytes.slice());
}

function indexKeys(index: Map<string, Uint8Array>, { name, from, to }: IndexRange): string[] {
  const pages = [...index.keys()].filter((key) => key.slice(0, key.lastIndexOf("/")) === name).map((key) => Number(key.slice(name.length + 1)));
  return pages.filter((page) => page >= from && page <= to).sort((a, b) => a - b).map((page) => `${name}/${page}`);
}
