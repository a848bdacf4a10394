import type { CommitBatch, CommitOutcome } from "../storage/block-store.ts";
import { type MemoryDisk, MemoryStore } from "../storage/memory-store.ts";

/** What the browser does when it gives no more room: what is there can be read, nothing is written. */
export class RefusingStore extends MemoryStore {
  readonly #isFull: () => boolean;

  constructor(disk: MemoryDisk, isFull: () => boolean) {
    super(disk);
    this.#isFull = isFull;
  }

  override async commit(batch: CommitBatch): Promise<CommitOutcome> {
    if (!this.#isFull()) return super.commit(batch);
    return { status: "rejected", reason: "FULL", cause: new DOMException("The test broker's store is full.", "QuotaExceededError") };
  }
}
