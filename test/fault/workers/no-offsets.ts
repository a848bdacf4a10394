import { systemClock } from "../../../src/platform/clock.ts";
import type { CommitBatch, CommitOutcome } from "../../../src/storage/block-store.ts";
import { IdbStore } from "../../../src/storage/idb-store.ts";
import { serveWithout } from "./host.ts";

/** Keeps in memory alone how far a group has come. */
class ForgetfulStore extends IdbStore {
  override commit(batch: CommitBatch): Promise<CommitOutcome> {
    return super.commit({ ...batch, state: batch.state.filter(([key]) => !key.startsWith("offset/")) });
  }
}

serveWithout({ openStore: (_kind, namespace) => new ForgetfulStore(namespace, systemClock) });
