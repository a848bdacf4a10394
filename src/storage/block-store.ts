/**
 * Where the broker's bytes rest. One seam: IndexedDB in browsers, memory in Node and in `host: "memory"`.
 * Every implementation runs the contract suite test/contract/block-store.contract.ts.
 *
 * Three kinds of rows, all written by `commit` and by nothing else:
 *   log     position of the first payload byte -> chunk (see indexer.ts)
 *   queue   topic, queueId, page number        -> page of consume-queue entries (see consume-queue.ts)
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
   * All or nothing. Log rows are new: none may stand at their positions. Resolves when the rows are durable, or with why they
   * are not; it does not reject.
   */
  commit(batch: CommitBatch): Promise<CommitOutcome>;

  /** Up to `count` log rows in order, from the first whose key is at least `position`. */
  readLog(position: number, count: number): Promise<LogRow[]>;

  /** Key of the last log row at or before `position`; undefined when there is none. */
  floorLog(position: number): Promise<number | undefined>;

  readPages(keys: PageKey[]): Promise<(Uint8Array | undefined)[]>;

  /** All state rows whose key begins with `prefix`, in key order. */
  readState(prefix: string): Promise<[key: string, value: unknown][]>;

  close(): void;

  /** Called once when the store goes away by itself: deleted, force-closed, or wanted by another version. */
  onLost: (reason: string) => void;
}

export interface LogRow {
  position: number;
  bytes: Uint8Array;
}

export type PageKey = readonly [topic: string, queueId: number, page: number];

export interface CommitBatch {
  epoch: number;
  log: LogRow[];
  queue: { key: PageKey; bytes: Uint8Array }[];
  state: (readonly [key: string, value: unknown])[];
}

/** The caller has to look: what was asked may be done, may not be done, or may be either. */
export type CommitOutcome =
  | { status: "committed" }
  /** Nothing was written. FENCED: another host has taken over. FULL: the browser's quota is used up. */
  | { status: "rejected"; reason: "FENCED" | "FULL"; cause?: unknown }
  /** The store failed in a way that leaves open whether the rows are there. */
  | { status: "unknown"; cause: unknown };

export const EPOCH_KEY = "epoch";
/** Of the row that an encrypted store has and no other (key-check.ts). */
export const KEY_CHECK = "encryption";
