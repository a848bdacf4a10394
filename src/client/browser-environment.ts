import { MQError } from "../model/errors.ts";
import { systemClock } from "../platform/clock.ts";
import { webLocks } from "../platform/locks.ts";
import { systemRandom } from "../platform/random.ts";
import { systemTimers } from "../platform/timers.ts";
import { PROTOCOL_VERSION } from "../protocol/api.ts";
import type { BrokerPort, ClientEnvironment, Memo, SharedMemo } from "./environment.ts";
import { startTrusted } from "./trusted-worker.ts";

/** `extendedLifetime` lets the worker outlive a reload of the only tab (Chromium 148); the DOM types do not know it yet. */
interface SharedWorkerOptions extends WorkerOptions {
  extendedLifetime?: boolean;
}

export function browserEnvironment(namespace: string, storage: string, createWorker?: (name: string) => SharedWorker): ClientEnvironment {
  const missing = ["SharedWorker", "indexedDB", "MessageChannel"].filter((name) => !(name in globalThis));
  if (typeof navigator === "undefined" || !("locks" in navigator)) missing.push("navigator.locks (needs https or localhost)");
  if (missing.length > 0) {
    throw new MQError("UNSUPPORTED_ENVIRONMENT", `TabMQ needs a browser with SharedWorker, IndexedDB and Web Locks; missing here: ${missing.join(", ")}.`);
  }
  return {
    locks: webLocks(navigator.locks),
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    openBroker: (generation) => {
      const name = workerName(namespace, storage, generation);
      return openBroker(() => (createWorker === undefined ? startTrusted(() => startWorker(name)) : createWorker(name)));
    },
    page: {
      onHide: (listener) => listen("pagehide", listener),
      onShow: (listener) => listen("pageshow", listener),
    },
    // Local storage, because no browser keeps it in the same files as IndexedDB, and Chromium does not evict it with the rest.
    memo: storage === "memory" ? null : localMemo(`tabmq/${namespace}/witness`),
    ...(storage === "memory" ? {} : { memoOf: (name: string) => localMemo(`tabmq/${namespace}/${name}`) }),
    openWakeChannel: (name, onWake) => {
      const channel = new BroadcastChannel(name);
      channel.addEventListener("message", onWake);
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has no target
      return { post: () => channel.postMessage(null), close: () => channel.close() };
    },
    ...(storage === "memory" ? {} : { forgetNotes: () => removeNotes(`tabmq/${namespace}/`) }),
    generation: sharedMemo(`tabmq/${namespace}/generation`),
  };
}

/** The name carries everything that must not be mixed: two workers of one URL and name with different options are an error in Chromium. */
function workerName(namespace: string, storage: string, generation: number): string {
  return `tabmq/${PROTOCOL_VERSION}/${namespace}/${storage}/xl1${generation === 0 ? "" : `#g${generation}`}`;
}

function sharedMemo(key: string): SharedMemo {
  return {
    ...localMemo(key),
    onChange: (listener) => {
      const onStorage = (event: StorageEvent): void => {
        if (event.key === key) listener();
      };
      globalThis.addEventListener("storage", onStorage);
      return () => globalThis.removeEventListener("storage", onStorage);
    },
  };
}

/** Which worker serves is no note about the store: tabs that begin anew need it. */
function removeNotes(prefix: string): void {
  try {
    const keys = Array.from({ length: localStorage.length }, (_, at) => localStorage.key(at) ?? "");
    for (const key of keys) if (key.startsWith(prefix) && key !== `${prefix}generation`) localStorage.removeItem(key);
  } catch {
    // Where there is no local storage there are no notes.
  }
}

/** Without local storage (it may be forbidden, or full) a tab knows only what it has seen itself: less is noticed, nothing else fails. */
function localMemo(key: string): Memo {
  return {
    read() {
      try {
        return localStorage.getItem(key);
      } catch {
        return null;
      }
    },
    write(text) {
      try {
        localStorage.setItem(key, text);
      } catch {
        // The last note stays, and lags.
      }
    },
  };
}

/**
 * The expression below is literal and stays so: bundlers find a worker by its shape, and break when the URL or the
 * constructor is taken apart.
 */
function startWorker(name: string): SharedWorker {
  return new SharedWorker(new URL("../broker/worker.ts", import.meta.url), {
    type: "module",
    name,
    extendedLifetime: true,
  } as SharedWorkerOptions);
}

function openBroker(createWorker: () => SharedWorker): BrokerPort {
  let worker: SharedWorker;
  try {
    worker = createWorker();
  } catch (cause) {
    if (cause instanceof MQError) throw cause;
    throw new MQError("UNSUPPORTED_ENVIRONMENT", "The broker's SharedWorker cannot be created (Content-Security-Policy or another origin?).", { cause });
  }
  if (!isSharedWorker(worker)) {
    throw new MQError("INVALID_PARAMETER", "connect.worker must return a SharedWorker: something with a port to post to.", { field: "connect.worker" });
  }
  const opened: BrokerPort = { port: worker.port, onError: () => {} };
  worker.addEventListener("error", (event) => {
    const detail = event instanceof ErrorEvent && event.message !== "" ? `: ${event.message}` : "; is its script served, and allowed by the Content-Security-Policy?";
    opened.onError(new MQError("UNSUPPORTED_ENVIRONMENT", `The broker's SharedWorker failed to start${detail}`));
  });
  return opened;
}

/** By its shape: it may come from another window. */
function isSharedWorker(made: unknown): made is SharedWorker {
  const isTarget = (value: unknown): value is EventTarget => typeof (value as Partial<EventTarget> | null)?.addEventListener === "function";
  if (!isTarget(made)) return false;
  const { port } = made as Partial<SharedWorker>;
  return isTarget(port) && typeof port.postMessage === "function" && typeof port.start === "function";
}

function listen(event: "pagehide" | "pageshow", listener: () => void): () => void {
  globalThis.addEventListener(event, listener);
  return () => globalThis.removeEventListener(event, listener);
}
