/**
 * The store's own way from rows to records, for store.mjs: a broker in the page, beside which bare `get`s can be measured.
 * Bundled by itself (`vite build --mode bench`), because the package does not show its insides.
 */
import indexerWasm from "virtual:indexer-wasm";
import { Broker } from "../../src/broker/broker.ts";
import { MAX_PULL_BATCH } from "../../src/model/limits.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { systemTimers } from "../../src/platform/timers.ts";
import { DEFAULT_BROKER_SETTINGS } from "../../src/protocol/broker-settings.ts";
import { IdbStore } from "../../src/storage/idb-store.ts";
import { WasmIndexer } from "../../src/storage/wasm-indexer.ts";

/** A broker in this page, over the rows as they are. */
async function open(namespace: string): Promise<Broker> {
  const indexer = await WasmIndexer.load(Uint8Array.from(atob(indexerWasm), (character) => character.charCodeAt(0)));
  const store = new IdbStore(namespace);
  const settings = structuredClone(DEFAULT_BROKER_SETTINGS);
  return Broker.start({ store, indexer, clock: systemClock, timers: systemTimers, incarnation: "bench", settings, witness: null, estimateRoom: () => Promise.resolve(null) });
}

/**
 * All messages of a topic in answers as long as a fetch gives them, one queue's after the other's, as a consumer of all of them
 * reads: queue pages, rows, their checksums, records, frames. No port, no tab.
 */
export async function readBack({ namespace, topic }: { namespace: string; topic: string }): Promise<{ ms: number; count: number; bytes: number }> {
  const broker = await open(namespace);
  let queues = broker.topics.queuesToRead(topic).map(({ queueId }) => ({ queueId, offset: 0 }));
  let [count, bytes] = [0, 0];
  const began = performance.now();
  while (queues.length > 0) {
    for (const queue of queues) {
      const { status, records, nextBeginOffset } = await broker.fetches.pull({ topic, ...queue, max: MAX_PULL_BATCH, expression: "*" });
      if (status === "FOUND") count += nextBeginOffset - queue.offset;
      bytes += records.byteLength;
      queue.offset = status === "FOUND" ? nextBeginOffset : -1;
    }
    queues = queues.filter(({ offset }) => offset >= 0);
  }
  const ms = performance.now() - began;
  await broker.close();
  return { ms, count, bytes };
}
