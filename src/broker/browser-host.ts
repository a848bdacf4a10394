import indexerWasm from "virtual:indexer-wasm";
import { BroadcastPort } from "../platform/broadcast-port.ts";
import { systemClock } from "../platform/clock.ts";
import { webLocks } from "../platform/locks.ts";
import { systemRandom } from "../platform/random.ts";
import { systemTimers } from "../platform/timers.ts";
import type { WorkerKind } from "../protocol/api.ts";
import { IdbStore } from "../storage/idb-store.ts";
import type { Indexer } from "../storage/indexer.ts";
import { MemoryStore } from "../storage/memory-store.ts";
import { TsIndexer } from "../storage/ts-indexer.ts";
import { WasmIndexer } from "../storage/wasm-indexer.ts";
import { BrokerHost } from "./host.ts";

/** A host with everything real, in the scope that this runs in. */
export function browserHost(worker: WorkerKind): BrokerHost {
  return new BrokerHost({
    locks: webLocks(navigator.locks),
    heldLocks: async () => ((await navigator.locks.query()).held ?? []).map(({ name = "" }) => name),
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    openStore: (kind, namespace) => (kind === "memory" ? new MemoryStore() : new IdbStore(namespace)),
    loadIndexer,
    worker,
    ...(typeof BroadcastChannel === "undefined" ? {} : { openChannel: (name) => new BroadcastPort(name) }),
    estimateRoom: async () => {
      const { usage, quota } = await navigator.storage.estimate();
      return usage === undefined || quota === undefined ? null : { usage, quota };
    },
  });
}

/** Where the worker's own CSP forbids WebAssembly, the TypeScript twin does the same work, slower. */
async function loadIndexer(): Promise<Indexer> {
  try {
    return await WasmIndexer.load(Uint8Array.from(atob(indexerWasm), (character) => character.charCodeAt(0)));
  } catch {
    return new TsIndexer();
  }
}
