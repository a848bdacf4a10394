import { MQError, storeRefused } from "../model/errors.ts";
import { systemClock } from "../platform/clock.ts";
import { webLocks } from "../platform/locks.ts";
import { systemRandom } from "../platform/random.ts";
import { systemTimers } from "../platform/timers.ts";
import { PROTOCOL_VERSION } from "../protocol/api.ts";
import { BrowserWorkers, type CreateWorker, type HostKind } from "./browser-workers.ts";
import type { ClientEnvironment, Memo, SharedMemo } from "./environment.ts";
import { startTrusted } from "./trusted-worker.ts";
import { openWakeChannel } from "./wake-channel.ts";

/** `extendedLifetime` lets the worker outlive a reload of the only tab (Chromium 148); the DOM types do not know it yet. */
interface SharedWorkerOptions extends WorkerOptions {
  extendedLifetime?: boolean;
}

/** What a page must have: for the host that is asked for, or for any. */
function missing(host: HostKind): string[] {
  const workers = { auto: "SharedWorker" in globalThis ? ["SharedWorker"] : ["Worker"], shared: ["SharedWorker"], dedicated: ["Worker"] }[host];
  const names = [...workers, ...(workers[0] === "Worker" ? ["BroadcastChannel"] : []), "MessageChannel"].filter((name) => !(name in globalThis));
  if (typeof navigator === "undefined" || !("locks" in navigator)) names.push("navigator.locks (needs https or localhost)");
  return names;
}

export function browserEnvironment(namespace: string, storage: string, createWorker?: CreateWorker, host: HostKind = "auto"): ClientEnvironment {
  const names = missing(host);
  if (names.length > 0) {
    throw new MQError("UNSUPPORTED_ENVIRONMENT", `TabMQ needs a browser with workers, IndexedDB and Web Locks; missing here: ${names.join(", ")}. In a service worker: tabmq/service-worker.`);
  }
  // Null where the user, or an application that shows web pages, has switched databases off.
  if (storage !== "memory" && (globalThis.indexedDB ?? null) === null) throw storeRefused("this page has none");
  const workers = new BrowserWorkers(
    { namespace, storage, host, createWorker, nameOf: (generation) => workerName(namespace, storage, generation) },
    (name) => startTrusted("SharedWorker", () => startWorker(name)),
  );
  return {
    locks: webLocks(navigator.locks),
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    openBroker: (generation) => workers.open(generation),
    ...("BroadcastChannel" in globalThis && { openDoor: (except: string) => workers.openDoor(except) }),
    choice: () => workers.choice,
    release: () => workers.end(),
    page: {
      onHide: (listener) => listen("pagehide", listener),
      onShow: (listener) => listen("pageshow", listener),
    },
    // Local storage, because no browser keeps it in the same files as IndexedDB, and Chromium does not evict it with the rest.
    memo: storage === "memory" ? null : localMemo(`tabmq/${namespace}/witness`),
    ...(storage === "memory" ? {} : { memoOf: (name: string) => localMemo(`tabmq/${namespace}/${name}`) }),
    openWakeChannel,
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

function listen(event: "pagehide" | "pageshow", listener: () => void): () => void {
  globalThis.addEventListener(event, listener);
  return () => globalThis.removeEventListener(event, listener);
}
