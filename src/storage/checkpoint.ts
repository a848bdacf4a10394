import { crc32 } from "../model/crc32.ts";
import { CHECKPOINT_INTERVAL_BYTES, MAX_DIRTY_PAGES } from "../model/limits.ts";
import { isCount } from "../protocol/validate.ts";
import type { IndexChange, PageKey } from "./block-store.ts";
import type { DirtyPage, Gap } from "./consume-queue.ts";
import type { ConsumeQueueStore } from "./consume-queue-store.ts";
import { type KeyIndex, type SegmentRow, isSegmentRow } from "./key-index.ts";

const encoder = new TextEncoder();

export const CHECKPOINT_KEY = "checkpoint";

/** Up to `position` of the log, the consume queues and the key index are stored as pages: a start replays only what came after. */
export interface CheckpointRow {
  version: 1;
  position: number;
  /** Where queues begin that are not in the list. */
  firstOffset: number;
  queues: [topic: string, queueId: number, min: number, max: number, next: number, gaps: Gap[]][];
  /** The segments of the key index, the oldest first; the last is the open one. Builds before 0.2 wrote none: then the log is read. */
  index: SegmentRow[];
  /** CRC-32 of all that: what is wrong here is believed without looking at the log. Builds before 0.2 wrote none. */
  check?: number;
}

export interface CheckpointBatch {
  row: CheckpointRow;
  pages: { key: PageKey; bytes: Uint8Array }[];
  index: IndexChange;
  committed(): void;
  failed(): void;
}

/** Decides when the consume queues and the key index are stored, and gathers what to store. */
export class Checkpoint {
  readonly #queues: ConsumeQueueStore;
  readonly #keys: KeyIndex;
  #position = 0;
  #stored = 0;

  constructor(queues: ConsumeQueueStore, keys: KeyIndex) {
    this.#queues = queues;
    this.#keys = keys;
  }

  restore(position: number): void {
    this.#position = this.#stored = position;
  }

  /** A start replays what comes after it, and reads whole rows: none may begin before and end behind it. */
  get storedPosition(): number {
    return this.#stored;
  }

  isDue(position: number): boolean {
    return position - this.#position >= CHECKPOINT_INTERVAL_BYTES || (this.#queues.dirtyPages >= MAX_DIRTY_PAGES && this.isBehind(position));
  }

  isBehind(position: number): boolean {
    return position > this.#position;
  }

  /** `position`: the end of what has been dispatched to the consume queues and the key index. Rides in a commit like any other row. */
  take(position: number): CheckpointBatch {
    const pages: DirtyPage[] = [];
    const keys = this.#keys.take();
    const row: CheckpointRow = { version: 1, position, firstOffset: this.#queues.firstOffset, queues: [], index: keys.segments };
    for (const queue of this.#queues.all()) {
      pages.push(...queue.dirtyPages());
      // nextOffset may be ahead because records are on their way; behind the checkpoint the log itself tells of those.
      row.queues.push([queue.topic, queue.queueId, queue.minOffset, queue.maxOffset, queue.maxOffset + queue.lostOffsets, [...queue.gaps]]);
    }
    row.check = checkOf(row);
    const before = this.#position;
    this.#position = position;
    return {
      row,
      pages,
      index: keys.change,
      committed: () => {
        this.#stored = position;
        pages.forEach((page) => page.stored());
        keys.committed();
      },
      failed: () => {
        this.#position = before;
        keys.failed();
        pages.forEach((page) => page.failed());
      },
    };
  }
}

/** Null when the row is missing or not a checkpoint this version understands: then the whole log is read. */
export function readCheckpoint(value: unknown): CheckpointRow | null {
  if (typeof value !== "object" || value === null) return null;
  const { version, position, firstOffset, queues, index, check } = value as Partial<CheckpointRow>;
  if (version !== 1 || !isCount(position) || !isCount(firstOffset) || !Array.isArray(queues)) return null;
  const whole = queues.every((queue: unknown) => {
    if (!Array.isArray(queue) || queue.length !== 6) return false;
    const [topic, queueId, min, max, next, gaps] = queue as unknown[];
    return typeof topic === "string" && isCount(queueId) && rise([min, max, next]) && Array.isArray(gaps) && gaps.every((gap) => Array.isArray(gap) && gap.length === 2 && rise(gap));
  });
  const isIndexed = Array.isArray(index) && index.length > 0 && index.every(isSegmentRow) && rise([...index.map(([begin]) => begin), position]);
  const row = whole && isIndexed ? (value as CheckpointRow) : null;
  return row !== null && (check === undefined || check === checkOf(row)) ? row : null;
}

function checkOf({ position, firstOffset, queues, index }: CheckpointRow): number {
  return crc32(encoder.encode(JSON.stringify([position, firstOffset, queues, index])));
}

/** Counts, none less than the one before. */
function rise(values: unknown[]): boolean {
  return values.every((value, at) => isCount(value) && (at === 0 || Number(values[at - 1]) <= value));
}
