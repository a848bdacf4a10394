import { MAX_EPOCH } from "../model/limits.ts";

/**
 * Where the broker's bytes rest. One seam: IndexedDB in browsers, memory in Node and in `host: "memory"`.
 * Every implementation runs the contract suite test/contract/block-store.contract.ts.
 *
 * Four kinds of rows, all written by `commit` and by nothing else:
 *   log     position of the first payload byte -> chunk (see indexer.ts)
 *   queue   topic, queueId, page number        -> page of consume-queue entries (see consume-queue.ts)
 *   index   name, page number                  -> page of key-index entries (see key-pages.ts)
 *   state   text                               -> plain value (epoch, topics, offsets, checkpoint)
 */
export interface BlockStore {
  readonly kind: "indexeddb" | "memory";
  /** Whether log rows are encrypted where they rest. */
  readonly isEncrypted?: boolean;

  /**
   * Opens the store and takes it over: raises the epoch, durably, to one more than it was, or than `above` where that
   * is more, and returns it. From then on a commit of an older epoch is fenced. `readLog` and `readState` may come
   * before it: they open the store and change nothing.
   *
   * `inspect` is shown the state row KEY_CHECK first, in the same transaction; when it throws, nothing is changed.
   */
  takeOver(above?: number, inspect?: (keyCheck: unknown) => void): Promise<number>;

  /**
   * All or nothing; what is to be removed goes first. Log rows are new: none may stand at their positions. Resolves when
   * the rows are durable, or with why they are not; it does not reject.
   */
  commit(batch: CommitBatch): Promise<CommitOutcome>;

  /** Up to `count` log rows in order, from the first whose key is at least `position`; one at least, and no more than make up about `bytes`. */
  readLog(position: number, count: number, bytes?: number): Promise<LogRow[]>;

  /** Up to `count` keys of log rows in order, from the first that is at least `position`. */
  readLogKeys(position: number, count: number): Promise<number[]>;

  /** Key of the last log row at or before `position`; undefined when there is none. */
  floorLog(position: number): Promise<number | undefined>;

  readPages(keys: PageKey[]): Promise<(Uint8Array | undefined)[]>;

  /** The index rows of each range in the order of their pages; all ranges in one transaction. */
  readIndex(ranges: IndexRange[]): Promise<Uint8Array[][]>;

  /** All state rows whose key begins with `prefix`, in key order. */
  readState(prefix: string): Promise<[key: string, value: unknown][]>;

  close(): void;

  /** Closes it, and deletes everything in it, its epoch included. Resolves when that is done. */
  destroy(): Promise<void>;

  /** Called once when the store goes away by itself: deleted, force-closed, or wanted by another version. */
  onLost: (reason: string) => void;
}

export interface LogRow {
  position: number;
  bytes: Uint8Array;
}

export type PageKey = readonly [topic: string, queueId: number, page: number];

/** From here, up to but not including there. */
type Range = readonly [from: number, to: number];

/** What goes. Rows a moment old must stay: a host that has been replaced may not know it yet, and trusts that they stand. */
export interface Removal {
  /** Positions of log rows. */
  log?: Range;
  /** Numbers of a queue's pages. */
  queue?: { topic: string; queueId: number; pages: Range }[];
}

export interface IndexRow {
  key: readonly [name: string, page: number];
  bytes: Uint8Array;
}

/** Rows of one name with pages from .. to, both included. */
export interface IndexRange {
  name: string;
  from: number;
  to: number;
}

/** First rows are deleted, then rows are put. */
export interface IndexChange {
  delete: IndexRange[] | "all";
  put: IndexRow[];
}

export interface CommitBatch {
  epoch: number;
  remove?: Removal;
  log: LogRow[];
  queue: { key: PageKey; bytes: Uint8Array }[];
  index?: IndexChange;
  /** null = the row goes. */
  state: (readonly [key: string, value: unknown])[];
  /** `relaxed`: complete when the operating system has it. Default strict: when the device has it. */
  durability?: "strict" | "relaxed";
}

/** The caller has to look: what was asked may be done, may not be done, or may be either. */
export type CommitOutcome =
  | { status: "committed" }
  /** Nothing was written. FENCED: another host has taken over. FULL: the browser's quota is used up. */
  | { status: "rejected"; reason: "FENCED" | "FULL"; cause?: unknown }
  /** The store failed in a way that leaves open whether the rows are there. */
  | { status: "unknown"; cause: unknown };

export const EPOCH_KEY = "epoch";
/** The epoch that a store says it had; 0 when it has none, or something that is no epoch: numbers must not run out behind it. */
export function lastEpoch(row: unknown): number {
  return Number.isSafeInteger(row) && Number(row) >= 0 && Number(row) <= MAX_EPOCH ? Number(row) : 0;
}

/** Of the row that an encrypted store has and no other (key-check.ts). */
export const KEY_CHECK = "encryption";

/** How many of these rows, by where they begin, come to no more than so many bytes of the log, or to one row. Nobody knows how long the last one is. */
export function rowsWithin(positions: readonly number[], bytes: number): number {
  let count = 1;
  while (count < positions.length && positions[count]! - positions[0]! < bytes) count++;
  return Math.min(count, positions.length);
}
