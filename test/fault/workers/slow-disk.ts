import { systemClock } from "../../../src/platform/clock.ts";
import type { CommitBatch, CommitOutcome } from "../../../src/storage/block-store.ts";
import { IdbStore } from "../../../src/storage/idb-store.ts";
import { serveWithout } from "./host.ts";

/** A device that takes half a minute for a commit. */
class SlowStore extends IdbStore {
  override async commit(batch: CommitBatch): Promise<CommitOutcome> {
    await new Promise((resolve) => setTimeout(resolve, 30_000));
    return super.commit(batch);
  }
}

serveWithout({ openStore: (_kind, namespace) => new SlowStore(namespace, systemClock) });
