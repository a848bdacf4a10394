import { IdbStore } from "../../../src/storage/idb-store.ts";
import { serveWithout } from "./host.ts";

/** Leaves LevelDB's log as the last process left it. */
class KeepLogStore extends IdbStore {
  protected override renewLog(): void {}
}

serveWithout({ openStore: (_kind, namespace) => new KeepLogStore(namespace) });
