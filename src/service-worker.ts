/**
 * TabMQ for an application's service worker: all that the package exports, with a `connect` that can host the broker there.
 * @module tabmq/service-worker
 */
import { browserHost } from "./broker/browser-host.ts";
import { type BackgroundConnectOptions, type BackgroundContext, type BackgroundOptions, inBackground as runInBackground } from "./client/background.ts";
import { connectWith } from "./client/connect-with.ts";
import { serviceWorkerEnvironment } from "./client/service-worker-environment.ts";
import type { TabMQ } from "./client/tabmq.ts";
import { MQError } from "./model/errors.ts";
import { systemTimers } from "./platform/timers.ts";

export * from "./index.ts";
export type { BackgroundConnectOptions, BackgroundContext, BackgroundOptions, Drainable } from "./client/background.ts";

/**
 * Connects the service worker to the namespace's broker. A tab's broker is used where there is one; else it runs here until the
 * connection is closed or a tab wants to run it. Close it before the event ends: `inBackground` does.
 * Rejects as a page's `connect` does, and with STORAGE_UNAVAILABLE where there is no IndexedDB: nothing is kept in memory only.
 */
export async function connect(options: BackgroundConnectOptions = {}): Promise<TabMQ> {
  if (!("ServiceWorkerGlobalScope" in globalThis)) throw new MQError("UNSUPPORTED_ENVIRONMENT", `"tabmq/service-worker" is for service workers; a page imports "tabmq".`);
  for (const field of ["host", "worker"]) {
    if (field in options) throw new MQError("INVALID_PARAMETER", `A service worker cannot choose its host: connect.${field} is for pages.`, { field: `connect.${field}` });
  }
  // Of the kinds that a page can ask for the one that is never replaced by memory, which would end with the event.
  return connectWith((namespace) => serviceWorkerEnvironment(namespace, () => browserHost("service")), { ...options, host: "dedicated" });
}

/**
 * For an event's `waitUntil`: connects, runs `work` and closes the connection, and with it the broker if it ran here. Rejects with
 * what `work` throws, or DEADLINE_EXCEEDED when it takes longer than `limit` ms; a `sync` event that rejects comes again.
 */
export function inBackground<Result>(options: BackgroundOptions, work: (mq: TabMQ, context: BackgroundContext) => Result | Promise<Result>): Promise<Result> {
  return runInBackground(connect, systemTimers, options, work);
}
