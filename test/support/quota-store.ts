import type { CommitBatch, CommitOutcome } from "../../src/storage/block-store.ts";
import { MemoryStore } from "../../src/storage/memory-store.ts";

/** A store that takes so many bytes and then no more, but for facts, which have a reserve of their own. */
export class QuotaStore extends MemoryStore {
  quota = Number.POSITIVE_INFINITY;
  /** Room for batches of nothing but facts, on top. */
  reserve = 64 * 1024;
  readonly refused: CommitBatch[] = [];
  readonly taken: CommitBatch[] = [];

  get usage(): number {
    const { log, queue, state } = this.disk;
    let bytes = JSON.stringify([...state]).length;
    for (const row of [...log.values(), ...queue.values()]) bytes += row.byteLength;
    return bytes;
  }

  override async commit(batch: CommitBatch): Promise<CommitOutcome> {
    // Later, as a database answers.
    await new Promise((resolve) => setTimeout(resolve, 1));
    const more = [...batch.log, ...batch.queue].reduce((sum, { bytes }) => sum + bytes.byteLength, JSON.stringify(batch.state).length);
    const isFacts = batch.log.length === 0 && batch.queue.length === 0;
    if (this.usage + more > this.quota + (isFacts ? this.reserve : 0)) {
      this.refused.push(batch);
      return { status: "rejected", reason: "FULL" };
    }
    this.taken.push(batch);
    return super.commit(batch);
  }
}
