import type { CommitBatch, CommitOutcome } from "../../src/storage/block-store.ts";
import { MemoryStore } from "../../src/storage/memory-store.ts";

/** A store whose commits wait at a gate, or end as the test says. */
export class GatedStore extends MemoryStore {
  readonly batches: CommitBatch[] = [];
  #gate: Promise<void> = Promise.resolve();
  #open: () => void = () => {};
  #next: CommitOutcome[] = [];

  shut(): void {
    this.#gate = new Promise((resolve) => (this.#open = resolve));
  }

  open(): void {
    this.#open();
    this.#gate = Promise.resolve();
  }

  /** The next commit ends like this, and writes nothing unless it says `committed`. */
  answerNext(outcome: CommitOutcome): void {
    this.#next.push(outcome);
  }

  override async commit(batch: CommitBatch): Promise<CommitOutcome> {
    this.batches.push(batch);
    await this.#gate;
    const outcome = this.#next.shift();
    return outcome === undefined || outcome.status === "committed" ? super.commit(batch) : outcome;
  }
}
