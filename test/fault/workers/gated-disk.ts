import { systemClock } from "../../../src/platform/clock.ts";
import type { CommitBatch, CommitOutcome } from "../../../src/storage/block-store.ts";
import { IdbStore } from "../../../src/storage/idb-store.ts";
import { serveWithout } from "./host.ts";

/** A disk that takes its time: commits wait from "shut" to "open", said on the channel "gate", which answers "shut". */
let gate: Promise<void> = Promise.resolve();
let open = (): void => {};
const channel = new BroadcastChannel("gate");
channel.addEventListener("message", ({ data }) => {
  if (data === "open") return open();
  gate = new Promise((resolve) => (open = resolve));
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has no target
  channel.postMessage("is shut");
});

class GatedDisk extends IdbStore {
  override async commit(batch: CommitBatch): Promise<CommitOutcome> {
    await gate;
    return super.commit(batch);
  }
}

serveWithout({ openStore: (_kind, namespace) => new GatedDisk(namespace, systemClock) });
