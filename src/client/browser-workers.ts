import { asMQError, MQError } from "../model/errors.ts";
import { BrokerGone } from "./channel.ts";
import type { BrokerPort, HostChoice } from "./environment.ts";
import { SharedPort } from "./shared-port.ts";
import type { TabHost } from "./tab-host.ts";
import { workerFailed, workerRefused } from "./worker-error.ts";

export type HostKind = "auto" | "shared" | "dedicated";
/** What `connect.worker` gives; of this kind. */
export type CreateWorker = (name: string, kind: "shared" | "dedicated") => SharedWorker | Worker;

export interface WorkerWish {
  namespace: string;
  storage: string;
  host: HostKind;
  createWorker: CreateWorker | undefined;
  nameOf(generation: number): string;
}

const IN_A_TAB = "the broker runs in a worker of one tab; when that tab goes, another takes over.";
const REASONS = {
  SHARED_WORKER: "One SharedWorker serves all tabs.",
  ASKED_FOR: "The application has asked for it.",
  NO_SHARED_WORKER: `There is no SharedWorker here: ${IN_A_TAB}`,
} as const;

const choice = (code: keyof typeof REASONS): HostChoice => ({ code, reason: REASONS[code] });

/** Which worker runs the broker: a SharedWorker where that can be; where it certainly cannot, a dedicated one of a tab. */
export class BrowserWorkers {
  choice: HostChoice;
  readonly #wish: WorkerWish;
  readonly #startShared: (name: string) => SharedWorker;
  #isShared: boolean;
  #tabHost: Promise<TabHost> | null = null;

  /** `startShared`: starts the built-in one. */
  constructor(wish: WorkerWish, startShared: (name: string) => SharedWorker) {
    this.#wish = wish;
    this.#startShared = startShared;
    const hasShared = "SharedWorker" in globalThis;
    this.#isShared = wish.host !== "dedicated" && hasShared;
    const code = wish.host !== "auto" ? "ASKED_FOR" : hasShared ? "SHARED_WORKER" : "NO_SHARED_WORKER";
    this.choice = choice(code);
  }

  open(generation: number): BrokerPort | Promise<BrokerPort> {
    if (!this.#isShared) return this.#tab().then((tab) => tab.open(generation));
    try {
      return this.#openShared(generation);
    } catch (error) {
      if (!this.#fallsBack(asMQError(error))) throw error;
      return this.open(generation);
    }
  }

  /** To whoever serves the namespace, unless it is the worker of this name. */
  openDoor(except: string): Promise<BrokerPort> {
    return this.#tab().then((tab) => tab.openDoor(except));
  }

  end(): void {
    this.#tabHost?.then((tab) => tab.end(), () => {});
  }

  #tab(): Promise<TabHost> {
    // Of two kinds that fail (there is no network at the moment) each is tried again in its turn.
    const onFailure = (): void => {
      if (this.choice.code !== "SHARED_WORKER_FAILED") return;
      this.#isShared = true;
      this.choice = choice("SHARED_WORKER");
    };
    return (this.#tabHost ??= import("./tab-host.ts").then(
      (code) => new code.TabHost({ ...this.#wish, onFailure }),
      (cause: unknown) => {
        this.#tabHost = null;
        throw new MQError("UNSUPPORTED_ENVIRONMENT", "The part of TabMQ that runs the broker in a tab could not be loaded: is it served, and allowed by the page's policy (script-src)?", { cause });
      },
    ));
  }

  #openShared(generation: number): BrokerPort {
    const { nameOf, createWorker } = this.#wish;
    const name = nameOf(generation);
    let worker: unknown;
    try {
      worker = createWorker === undefined ? this.#startShared(name) : createWorker(name, "shared");
    } catch (cause) {
      throw workerRefused("SharedWorker", cause, createWorker !== undefined);
    }
    if (!isSharedWorker(worker)) {
      throw new MQError("INVALID_PARAMETER", "connect.worker must return a SharedWorker: something with a port to post to.", { field: "connect.worker" });
    }
    const port = new SharedPort(worker, (event) => {
      const error = workerFailed("SharedWorker", event);
      // Not the end: who asks again is given a worker of the other kind.
      opened.onError(this.#fallsBack(error) ? new BrokerGone(error.message) : error);
    });
    const opened: BrokerPort = { port, onError: () => {} };
    return opened;
  }

  /** Only where it is certain, never because something takes long; and not past what the application has asked for. */
  #fallsBack({ code, message }: MQError): boolean {
    const { host, createWorker } = this.#wish;
    if (host !== "auto" || createWorker !== undefined || !this.#isShared || code !== "UNSUPPORTED_ENVIRONMENT") return false;
    this.#isShared = false;
    this.choice = { code: "SHARED_WORKER_FAILED", reason: `${message} So ${IN_A_TAB}` };
    return true;
  }
}

/** By its shape: it may come from another window. */
function isSharedWorker(made: unknown): made is SharedWorker {
  const isTarget = (value: unknown): value is EventTarget => typeof (value as Partial<EventTarget> | null)?.addEventListener === "function";
  if (!isTarget(made)) return false;
  const { port } = made as Partial<SharedWorker>;
  return isTarget(port) && typeof port.postMessage === "function" && typeof port.start === "function";
}
