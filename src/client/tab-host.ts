import { MQError } from "../model/errors.ts";
import { BroadcastPort } from "../platform/broadcast-port.ts";
import { webLocks } from "../platform/locks.ts";
import { systemRandom } from "../platform/random.ts";
import { systemTimers } from "../platform/timers.ts";
import { RETIRE } from "../protocol/door.ts";
import type { WorkerWish } from "./browser-workers.ts";
import { BrokerGone } from "./channel.ts";
import type { BrokerPort } from "./environment.ts";
import { DedicatedHosting, type Doorstep, type HostWorker, visit } from "./hosting.ts";
import { lateBroker } from "./late-port.ts";
import { startTrusted } from "./trusted-worker.ts";
import { workerFailed, workerRefused } from "./worker-error.ts";

/* Hosting on a tab, with everything real. Loaded by those who need it: who has a SharedWorker mostly does not. */

interface TabWish extends WorkerWish {
  /** A worker could not be started. */
  onFailure(): void;
}

/** Starts the worker from its text. */
type StartInline = typeof import("../worker-inline.ts").startInlineWorker;

/** One connection's part in hosting, and its way in where another tab hosts. */
export class TabHost {
  readonly #wish: TabWish;
  readonly #doorstep: Doorstep;
  readonly #hosting: DedicatedHosting;
  /** Why the worker's file cannot be had; its text is tried then. */
  #fileError: MQError | null = null;
  #startInline: StartInline | null = null;

  constructor(wish: TabWish) {
    const { namespace, storage } = wish;
    this.#wish = wish;
    this.#doorstep = { namespace, storage, locks: webLocks(navigator.locks), random: systemRandom, openChannel: (name) => new BroadcastPort(name) };
    this.#hosting = new DedicatedHosting({
      ...this.#doorstep,
      timers: systemTimers,
      onLeave,
      onReturn,
      startWorker: (generation, onError) => {
        const isInline = this.#startInline !== null;
        try {
          return hostWorker(this.#createWorker(wish.nameOf(generation)), (error) => onError(this.#hasFailed(error, isInline)));
        } catch (cause) {
          throw this.#hasFailed(workerRefused("worker", cause, wish.createWorker !== undefined), isInline);
        }
      },
    });
  }

  open(generation: number): BrokerPort {
    return lateBroker(async (broker) => {
      if (this.#fileError !== null) this.#startInline ??= await this.#loadText(this.#fileError);
      await this.#hosting.enter(generation, broker);
    });
  }

  openDoor(except: string): BrokerPort {
    return lateBroker((broker) => visit(this.#doorstep, broker, except));
  }

  end(): void {
    this.#hosting.end();
  }

  #createWorker(name: string): Worker {
    const { createWorker } = this.#wish;
    if (createWorker !== undefined) return checked(createWorker(name, "dedicated"));
    return this.#startInline?.(name) ?? startTrusted("Worker", () => startWorker(name));
  }

  async #loadText(fileError: MQError): Promise<StartInline> {
    try {
      return (await import("../worker-inline.ts")).startInlineWorker;
    } catch {
      throw this.#giveUp(fileError);
    }
  }

  /** What the connection is told: to ask once more, where the worker's text can be tried in place of its file. */
  #hasFailed(error: MQError, isInline: boolean): MQError {
    if (isInline || this.#wish.createWorker !== undefined) return this.#giveUp(this.#fileError ?? error);
    this.#fileError = error;
    return new BrokerGone(error.message);
  }

  /** Who asks again begins with the file again: there may have been no network. */
  #giveUp(error: MQError): MQError {
    this.#fileError = this.#startInline = null;
    this.#wish.onFailure();
    return error;
  }
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
    if (!runs) onError(workerFailed("worker", event));
  });
  return {
    life: new Promise((resolve) => worker.addEventListener("message", ({ data }) => void (typeof data === "string" && resolve(data)))),
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
const onLeave = listener("pagehide", "freeze");
const onReturn = listener("pageshow", "resume");

function listener(ofPage: string, ofDocument: string): (run: () => void) => () => void {
  return (run) => {
    globalThis.addEventListener(ofPage, run);
    document.addEventListener(ofDocument, run);
    return () => {
      globalThis.removeEventListener(ofPage, run);
      document.removeEventListener(ofDocument, run);
    };
  };
}
