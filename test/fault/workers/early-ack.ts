import { systemClock } from "../../../src/platform/clock.ts";
import type { CommitBatch, CommitOutcome } from "../../../src/storage/block-store.ts";
import { IdbStore } from "../../../src/storage/idb-store.ts";
import { serveWithout } from "./host.ts";

/** Answers before the transaction is complete; to make the window wide enough to hit on any machine, long before it begins. */
class EarlyAckStore extends IdbStore {
  override commit(batch: CommitBatch): Promise<CommitOutcome> {
    setTimeout(() => void super.commit(batch), 2000);
    return Promise.resolve({ status: "committed" });
  }
}

serveWithout({ openStore: (_kind, namespace) => new EarlyAckStore(namespace, systemClock) });
