import { systemClock } from "../../../src/platform/clock.ts";
import type { CommitBatch, CommitOutcome } from "../../../src/storage/block-store.ts";
import { IdbStore } from "../../../src/storage/idb-store.ts";
import { serveWithout } from "./host.ts";

/** Takes a transaction that was aborted for one that did not happen, and does not hear that its connection was closed. */
class CredulousStore extends IdbStore {
  constructor(namespace: string) {
    super(namespace, systemClock);
    Object.defineProperty(this, "onLost", { get: () => () => {}, set: () => {} });
  }

  override async commit(batch: CommitBatch): Promise<CommitOutcome> {
    const outcome = await super.commit(batch);
    return outcome.status === "unknown" ? { status: "rejected", reason: "FULL" } : outcome;
  }
}

serveWithout({ openStore: (_kind, namespace) => new CredulousStore(namespace) });
