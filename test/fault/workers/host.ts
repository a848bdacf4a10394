/// <reference lib="webworker" />
import { BrokerHost, type HostEnvironment } from "../../../src/broker/host.ts";
import { systemClock } from "../../../src/platform/clock.ts";
import { type Locks, webLocks } from "../../../src/platform/locks.ts";
import { systemRandom } from "../../../src/platform/random.ts";
import { systemTimers } from "../../../src/platform/timers.ts";
import { IdbStore } from "../../../src/storage/idb-store.ts";
import { TsIndexer } from "../../../src/storage/ts-indexer.ts";

/** The broker's worker with one protection taken out: what a test must notice. */
export function serveWithout(changed: Partial<HostEnvironment>): void {
  const host = new BrokerHost({
    locks: webLocks(navigator.locks),
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    openStore: (_kind, namespace) => new IdbStore(namespace, systemClock),
    loadIndexer: () => Promise.resolve(new TsIndexer()),
    ...changed,
  });
  const accept = ({ ports: [port] }: MessageEvent): void => {
    if (port !== undefined) host.accept(port);
  };
  // A SharedWorker's, or a dedicated worker's.
  Object.assign(self, "onconnect" in self ? { onconnect: accept } : { onmessage: accept });
}

/** Everybody gets the writer lock at once. */
export function locksWithoutWriter(): Locks {
  const real = webLocks(navigator.locks);
  const granted = { release: () => {}, lost: new Promise<void>(() => {}) };
  return { acquire: (name, options) => (name.endsWith("/writer") ? Promise.resolve(granted) : real.acquire(name, options)) };
}
