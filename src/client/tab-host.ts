import { MQError } from "../model/errors.ts";
import { BroadcastPort } from "../platform/broadcast-port.ts";
import { webLocks } from "../platform/locks.ts";
import { systemRandom } from "../platform/random.ts";
import { systemTimers } from "../platform/timers.ts";
import { RETIRE } from "../protocol/door.ts";
import { DedicatedHosting, type Doorstep, type HostWorker, visit } from "./hosting.ts";
import type { LateBroker } from "./late-port.ts";
import { startTrusted } from "./trusted-worker.ts";

/* Hosting on a tab, with everything real. Loaded by those who need it: who has a SharedWorker mostly does not. */

function doorstep(namespace: string, storage: string): Doorstep {
  return { namespace, storage, locks: webLocks(navigator.locks), random: systemRandom, openChannel: (name) => new BroadcastPort(name) };
}

interface TabWorkers {
  nameOf(generation: number): string;
  /** Instead of the built-in one. */
  createWorker: ((name: string) => unknown) | undefined;
  /** A worker could not be started. */
  onFailure(): void;
}

export function tabHosting(namespace: string, storage: string, { nameOf, createWorker, onFailure }: TabWorkers): DedicatedHosting {
  return new DedicatedHosting({
    ...doorstep(namespace, storage),
    timers: systemTimers,
    onLeave,
    startWorker: (generation, onError) => {
      const name = nameOf(generation);
      try {
        const worker = createWorker === undefined ? startTrusted("Worker", () => startWorker(name)) : checked(createWorker(name));
        return hostWorker(worker, (error) => {
          onFailure();
          onError(error);
        });
      } catch (cause) {
        onFailure();
        if (cause instanceof MQError) throw cause;
        throw new MQError("UNSUPPORTED_ENVIRONMENT", "The broker's worker cannot be created (Content-Security-Policy or another origin?).", { cause });
      }
    },
  });
}

export function visitTab(namespace: string, storage: string, broker: LateBroker, except: string): Promise<void> {
  return visit(doorstep(namespace, storage), broker, except);
}

/** Literal, as its sister in browser-environment.ts. */
function startWorker(name: string): Worker {
  return new Worker(new URL("../broker/worker.ts", import.meta.url), {
    type: "module",
    name,
  });
}

function hostWorker(worker: Worker, onError: (error: MQError) => void): HostWorker {
  let runs = false;
  worker.addEventListener("error", (event) => {
    // Of a script that runs, the error of one task is no reason to end it.
    if (runs) return;
    const detail = event instanceof ErrorEvent && event.message !== "" ? `: ${event.message}` : "; is its script served, and allowed by the Content-Security-Policy?";
    onError(new MQError("UNSUPPORTED_ENVIRONMENT", `The broker's worker failed to start${detail}`));
  });
  return {
    connect() {
      const { port1, port2 } = new MessageChannel();
      port1.addEventListener("message", () => (runs = true), { once: true });
      worker.postMessage(null, [port2]);
      return port1;
    },
    retire: () => worker.postMessage(RETIRE, []),
    terminate: () => worker.terminate(),
  };
}

/** By its shape: it may come from another window. */
function checked(made: unknown): Worker {
  const { postMessage, terminate } = (made ?? {}) as Partial<Worker>;
  if (typeof postMessage === "function" && typeof terminate === "function") return made as Worker;
  throw new MQError("INVALID_PARAMETER", `connect.worker must return a Worker when it is asked for a dedicated one.`, { field: "connect.worker" });
}

/** A frozen page's workers are frozen with it and keep their locks; a page that is put aside must have none. */
function onLeave(listener: () => void): () => void {
  globalThis.addEventListener("pagehide", listener);
  document.addEventListener("freeze", listener);
  return () => {
    globalThis.removeEventListener("pagehide", listener);
    document.removeEventListener("freeze", listener);
  };
}
