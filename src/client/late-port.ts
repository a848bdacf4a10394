import { asMQError } from "../model/errors.ts";
import { deferred } from "../platform/deferred.ts";
import type { PortLike } from "../protocol/guarded-endpoint.ts";
import { BrokerGone } from "./channel.ts";
import type { BrokerPort } from "./environment.ts";

/** A port to whom is not known yet: what is said is kept until it is bound to a real one. */
class LatePort implements PortLike {
  #port: PortLike | null = null;
  #isClosed = false;
  #isStarted = false;
  readonly #unsaid: [message: unknown, transfer: Transferable[] | undefined][] = [];
  readonly #listeners = new Set<(event: MessageEvent) => void>();
  readonly #settled = deferred<void>();
  readonly #closed = deferred<void>();

  /** Bound, or closed before it was. */
  get isSettled(): boolean {
    return this.#isClosed || this.#port !== null;
  }

  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Once, and not when it is settled. */
  bind(port: PortLike): void {
    this.#port = port;
    for (const listener of this.#listeners) port.addEventListener("message", listener);
    if (this.#isStarted) port.start();
    for (const [message, transfer] of this.#unsaid.splice(0)) port.postMessage(message, transfer);
    this.#settled.resolve();
  }

  postMessage(message: unknown, transfer?: Transferable[]): void {
    if (this.#port !== null) this.#port.postMessage(message, transfer);
    else if (!this.#isClosed) this.#unsaid.push([message, transfer]);
  }

  addEventListener(_type: "message", listener: (event: MessageEvent) => void): void {
    this.#listeners.add(listener);
    this.#port?.addEventListener("message", listener);
  }

  removeEventListener(_type: "message", listener: (event: MessageEvent) => void): void {
    this.#listeners.delete(listener);
    this.#port?.removeEventListener("message", listener);
  }

  start(): void {
    this.#isStarted = true;
    this.#port?.start();
  }

  close(): void {
    this.#isClosed = true;
    this.#unsaid.length = 0;
    this.#port?.close();
    this.#settled.resolve();
    this.#closed.resolve();
  }
}

/** A broker whose port is bound when it is known where it is. */
export interface LateBroker extends BrokerPort {
  port: LatePort;
  isServing: boolean;
  /** It serves, or is not asked any more. */
  arrived: Promise<void>;
  /** Whoever was asked has gone before it served: it is to be asked anew. */
  restart(): void;
}

export function lateBroker(enter: (broker: LateBroker) => Promise<void>): LateBroker {
  const port = new LatePort();
  const served = deferred<void>();
  const broker: LateBroker = {
    port,
    isServing: false,
    arrived: Promise.race([served.promise, port.closed]),
    onError: () => {},
    onServing: () => {
      broker.isServing = true;
      served.resolve();
    },
    restart: () => {
      if (!broker.isServing) broker.onError(new BrokerGone("Who was asked has gone before it served."));
    },
  };
  enter(broker).catch((error: unknown) => broker.onError(asMQError(error)));
  return broker;
}
