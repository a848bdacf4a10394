import { asMQError, MQError } from "../model/errors.ts";
import { BrokerGone } from "./channel.ts";
import type { BrokerPort, HostChoice } from "./environment.ts";
import type { DedicatedHosting } from "./hosting.ts";
import { type LateBroker, lateBroker } from "./late-port.ts";

export type HostKind = "auto" | "shared" | "dedicated";
/** What `connect.worker` gives; of this kind. */
export type CreateWorker = (name: string, kind: "shared" | "dedicated") => SharedWorker | Worker;

interface Wish {
  namespace: string;
  storage: string;
  host: HostKind;
  createWorker: CreateWorker | undefined;
  nameOf(generation: number): string;
  /** The built-in one. */
  startShared(name: string): SharedWorker;
}

type TabHost = typeof import("./tab-host.ts");

const REASONS = {
  SHARED_WORKER: "This browser has SharedWorker: one worker serves all tabs.",
  ASKED_FOR: "The application asked for this kind of host.",
  NO_SHARED_WORKER: "This browser has no SharedWorker here: the broker runs in a worker of one tab, and when that tab goes, another one takes over.",
} as const;

/** Which worker runs the broker: a SharedWorker where that can be; where it certainly cannot, a dedicated one of a tab. */
export class BrowserWorkers {
  choice: HostChoice;
  readonly #wish: Wish;
  #isShared: boolean;
  #code: Promise<TabHost> | null = null;
  #hosting: Promise<DedicatedHosting> | null = null;

  constructor(wish: Wish) {
    this.#wish = wish;
    const hasShared = "SharedWorker" in globalThis;
    this.#isShared = wish.host !== "dedicated" && hasShared;
    const code = wish.host !== "auto" ? "ASKED_FOR" : hasShared ? "SHARED_WORKER" : "NO_SHARED_WORKER";
    this.choice = { code, reason: REASONS[code] };
  }

  open(generation: number): BrokerPort {
    if (!this.#isShared) return lateBroker((broker) => this.#enter(generation, broker));
    try {
      return this.#openShared(generation);
    } catch (cause) {
      const error = asMQError(cause);
      if (!this.#mayFallBack(error)) throw error;
      this.#fallBack(error);
      return this.open(generation);
    }
  }

  /** To whoever serves the namespace. */
  openDoor(except: string): BrokerPort {
    const { namespace, storage } = this.#wish;
    return lateBroker(async (broker) => (await this.#load()).visitTab(namespace, storage, broker, except));
  }

  end(): void {
    this.#hosting?.then((hosting) => hosting.end(), () => {});
  }

  async #enter(generation: number, broker: LateBroker): Promise<void> {
    try {
      const hosting = await (this.#hosting ??= this.#host());
      await hosting.enter(generation, broker);
    } catch (error) {
      this.#hosting = null;
      throw error;
    }
  }

  async #host(): Promise<DedicatedHosting> {
    const { namespace, storage, nameOf, createWorker } = this.#wish;
    return (await this.#load()).tabHosting(namespace, storage, {
      nameOf,
      createWorker: createWorker && ((name) => createWorker(name, "dedicated")),
      // Of two kinds that fail (there is no network at the moment) each is tried again in its turn.
      onFailure: () => (this.#isShared ||= this.choice.code === "SHARED_WORKER_FAILED"),
    });
  }

  #load(): Promise<TabHost> {
    this.#code ??= import("./tab-host.ts").catch((cause: unknown) => {
      this.#code = null;
      throw new MQError("UNSUPPORTED_ENVIRONMENT", "The part of TabMQ that runs the broker in a tab could not be loaded: is there a network, and are the application's files still served?", { cause });
    });
    return this.#code;
  }

  #openShared(generation: number): BrokerPort {
    const { nameOf, createWorker, startShared } = this.#wish;
    const name = nameOf(generation);
    let worker: unknown;
    try {
      worker = createWorker === undefined ? startShared(name) : createWorker(name, "shared");
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
      const error = new MQError("UNSUPPORTED_ENVIRONMENT", `The broker's SharedWorker failed to start${detail}`);
      if (!this.#mayFallBack(error)) return opened.onError(error);
      this.#fallBack(error);
      // Not the end: who asks again is given a worker of the other kind.
      opened.onError(new BrokerGone(error.message));
    });
    return opened;
  }

  /** Only where it is certain, never because something takes long; and not past what the application has asked for. */
  #mayFallBack(error: MQError): boolean {
    return this.#wish.host === "auto" && this.#wish.createWorker === undefined && this.#isShared && error.code === "UNSUPPORTED_ENVIRONMENT" && "Worker" in globalThis;
  }

  #fallBack({ message }: MQError): void {
    this.#isShared = false;
    this.choice = { code: "SHARED_WORKER_FAILED", reason: `${message} Instead the broker runs in a worker of one tab, and when that tab goes, another one takes over.` };
  }
}

/** By its shape: it may come from another window. */
function isSharedWorker(made: unknown): made is SharedWorker {
  const isTarget = (value: unknown): value is EventTarget => typeof (value as Partial<EventTarget> | null)?.addEventListener === "function";
  if (!isTarget(made)) return false;
  const { port } = made as Partial<SharedWorker>;
  return isTarget(port) && typeof port.postMessage === "function" && typeof port.start === "function";
}
