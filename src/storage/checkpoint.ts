import { CHECKPOINT_INTERVAL_BYTES } from "../model/limits.ts";
import type { PageKey } from "./block-store.ts";
import type { DirtyPage } from "./consume-queue.ts";
import type { ConsumeQueueStore } from "./consume-queue-store.ts";

export const CHECKPOINT_KEY = "checkpoint";

/** Up to `position` of the log, the consume queues are stored as pages: a start replays only what came after. */
export interface CheckpointRow {
  version: 1;
  position: number;
  queues: [topic: string, queueId: number, min: number, max: number, next: number][];
}

export interface CheckpointBatch {
  row: CheckpointRow;
  pages: { key: PageKey; bytes: Uint8Array }[];
  committed(): void;
  failed(): void;
}

/** Decides when the consume queues are stored, and gathers what to store. */
export class Checkpoint {
  readonly #queues: ConsumeQueueStore;
  #position = 0;

  constructor(queues: ConsumeQueueStore) {
    this.#queues = queues;
  }

  restore(position: number): void {
    this.#position = position;
  }

  isDue(position: number): boolean {
    return position - this.#position >= CHECKPOINT_INTERVAL_BYTES;
  }

  isBehind(position: number): boolean {
    return position > this.#position;
  }

  /** `position`: the end of what has been published in the consume queues. Rides in a commit like any other row. */
  take(position: number): CheckpointBatch {
    const pages: DirtyPage[] = [];
    const row: CheckpointRow = { version: 1, position, queues: [] };
    for (const queue of this.#queues.all()) {
      pages.push(...queue.dirtyPages());
      // nextOffset may be ahead because records are on their way; behind the checkpoint the log itself tells of those.
      row.queues.push([queue.topic, queue.queueId, queue.minOffset, queue.maxOffset, queue.maxOffset + queue.lostOffsets]);
    }
    const before = this.#position;
    this.#position = position;
    return {
      row,
      pages,
      committed: () => pages.forEach((page) => page.stored()),
      failed: () => {
        this.#position = before;
        pages.forEach((page) => page.failed());
      },
    };
  }
}

/** Null when the row is missing or not a checkpoint this version understands: then the whole log is read. */
export function readCheckpoint(value: unknown): CheckpointRow | null {
  if (typeof value !== "object" || value === null) return null;
  const { version, position, queues } = value as Partial<CheckpointRow>;
  if (version !== 1 || !Number.isSafeInteger(position) || !Array.isArray(queues)) return null;
  const whole = queues.every(
    (queue) =>
      Array.isArray(queue) && typeof queue[0] === "string" && queue.slice(1).every((n) => Number.isSafeInteger(n) && Number(n) >= 0) &&
      queue.length === 5 && queue[2] <= queue[3] && queue[3] <= queue[4],
  );
  return whole ? (value as CheckpointRow) : null;
}
