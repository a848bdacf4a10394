/// <reference lib="webworker" />
import "../../../broker/worker.ts";

/* The broker's own script in a Worker: each port that the page posts is a client, as in a SharedWorker. */
addEventListener("message", ({ ports }) => {
  (self as unknown as SharedWorkerGlobalScope).onconnect?.(new MessageEvent("connect", { ports: [...ports] }));
});
