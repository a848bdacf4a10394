/// <reference lib="webworker" />
import indexerWasm from "virtual:indexer-wasm";
import { BroadcastPort } from "../platform/broadcast-port.ts";
import { systemClock } from "../platform/clock.ts";
import { webLocks } from "../platform/locks.ts";
import { systemRandom } from "../platform/random.ts";
import { systemTimers } from "../platform/timers.ts";
import { RETIRE } from "../protocol/door.ts";
import { IdbStore } from "../storage/idb-store.ts";
import type { Indexer } from "../storage/indexer.ts";
import { MemoryStore } from "../storage/memory-store.ts";
import { TsIndexer } from "../storage/ts-indexer.ts";
import { WasmIndexer } from "../storage/wasm-indexer.ts";
import { BrokerHost } from "./host.ts";

/** The script of the SharedWorker, and of a tab's dedicated worker where there is none: the broker with everything real. */
const scope = self as unknown as SharedWorkerGlobalScope | DedicatedWorkerGlobalScope;
const host = new BrokerHost({
  locks: webLocks(navigator.locks),
  clock: systemClock,
  timers: systemTimers,
  random: systemRandom,
  openStore: (kind, namespace) => (kind === "memory" ? new MemoryStore() : new IdbStore(namespace)),
  loadIndexer,
  worker: "onconnect" in scope ? "shared" : "dedicated",
  ...(typeof BroadcastChannel === "undefined" ? {} : { openChannel: (name) => new BroadcastPort(name) }),
  estimateRoom: async () => {
    const { usage, quota } = await navigator.storage.estimate();
    return usage === undefined || quota === undefined ? null : { usage, quota };
  },
});

/** Where the worker's own CSP forbids WebAssembly, the TypeScript twin does the same work, slower. */
async function loadIndexer(): Promise<Indexer> {
  try {
    return await WasmIndexer.load(Uint8Array.from(atob(indexerWasm), (character) => character.charCodeAt(0)));
  } catch {
    return new TsIndexer();
  }
}

if ("onconnect" in scope) {
  scope.onconnect = ({ ports: [port] }) => {
    if (port !== undefined) host.accept(port);
  };
} else {
  // A dedicated worker is sent a port for each connection of its tab; at last, that it is not wanted any more.
  scope.onmessage = ({ data, ports: [port] }) => {
    if (port !== undefined) host.accept(port);
    else if (data === RETIRE) void host.retire().finally(() => scope.close());
  };
}
