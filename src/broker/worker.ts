/// <reference lib="webworker" />
import { webLocks } from "../platform/locks.ts";
import { randomName, systemRandom } from "../platform/random.ts";
import { lifeLock, RETIRE } from "../protocol/door.ts";
import { browserHost } from "./browser-host.ts";

/** The script of the SharedWorker, and of a tab's dedicated worker where there is none: the broker with everything real. */
const scope = self as unknown as SharedWorkerGlobalScope | DedicatedWorkerGlobalScope;
const host = browserHost("onconnect" in scope ? "shared" : "dedicated");

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
  const life = lifeLock(randomName(systemRandom));
  void webLocks(navigator.locks).acquire(life).then(() => scope.postMessage(life, []));
}
