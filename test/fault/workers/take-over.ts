/// <reference lib="webworker" />
import { systemClock } from "../../../src/platform/clock.ts";
import { IdbStore } from "../../../src/storage/idb-store.ts";

/** Another host, which takes the namespace in this worker's name over and does nothing more. Answers with its epoch. */
(self as unknown as SharedWorkerGlobalScope).onconnect = async ({ ports: [port] }) => {
  const store = new IdbStore(self.name, systemClock);
  const epoch = await store.takeOver();
  store.close();
  port?.postMessage(epoch);
};
