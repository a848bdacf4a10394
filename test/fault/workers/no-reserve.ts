import { Reserve } from "../../../src/storage/idb-reserve.ts";
import { IdbStore } from "../../../src/storage/idb-store.ts";
import { serveWithout } from "./host.ts";

/** Keeps no room for what must not be lost when the store is full. */
class NoReserveStore extends IdbStore {
  protected override readonly reserve = new Reserve(0);
}

serveWithout({ openStore: (_kind, namespace) => new NoReserveStore(namespace) });
