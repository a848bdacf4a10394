import type { HeldLock } from "../platform/locks.ts";
import type { PortLike } from "../protocol/guarded-endpoint.ts";
import { writerLock } from "../protocol/lock-names.ts";
import { type Doorstep, visit } from "./hosting.ts";
import type { LateBroker } from "./late-port.ts";

/** A broker's host that runs in the client's own scope. */
export interface ScopeHost {
  accept(port: PortLike): void;
  /** It writes what is left and gives the namespace up. */
  retire(): Promise<void>;
}

export interface ScopeEnvironment extends Doorstep {
  startHost(): ScopeHost;
  /** The two ends of a new channel. */
  openChannelPair(): [PortLike, PortLike];
}

/**
 * Where a scope can start no worker, which is what a service worker is: whoever serves is visited at the door, and only
 * when nobody holds the writer lock the broker runs here, as long as this connection asks for it.
 */
export class ScopeHosting {
  readonly #environment: ScopeEnvironment;
  readonly #hosts = new Set<ScopeHost>();
  readonly #over = new AbortController();

  constructor(environment: ScopeEnvironment) {
    this.#environment = environment;
  }

  /** Whether the broker runs here at present. */
  get isHosting(): boolean {
    return this.#hosts.size > 0;
  }

  /** Binds the port to the namespace's broker, run by others or here. */
  async enter(generation: number, broker: LateBroker): Promise<void> {
    // Whoever holds the lock hangs: one in line behind it takes its place in time.
    if (generation > 0) return this.#host(broker);
    const { namespace, locks } = this.#environment;
    const name = writerLock(namespace);
    const free = await locks.acquire(name, { ifFree: true });
    if (free !== null) return this.#hostInstead(free, broker);
    void visit(this.#environment, broker);
    const line = new AbortController();
    const leaveLine = (): void => line.abort();
    void broker.arrived.then(leaveLine);
    this.#over.signal.addEventListener("abort", leaveLine);
    const inTurn = await locks.acquire(name, { signal: line.signal });
    this.#over.signal.removeEventListener("abort", leaveLine);
    if (inTurn !== null) this.#hostInstead(inTurn, broker);
  }

  /** The connection has ended. Resolves when all that was taken in is written, and others may host. */
  async end(): Promise<void> {
    this.#over.abort();
    await Promise.all([...this.#hosts].map((host) => this.#retire(host)));
  }

  /** Nobody serves. The host asks for the lock itself: if somebody is quicker, it waits, and that one is visited. */
  #hostInstead(lock: HeldLock, broker: LateBroker): void {
    lock.release();
    this.#host(broker);
  }

  #host(broker: LateBroker): void {
    if (broker.port.isSettled || this.#over.signal.aborted) return broker.restart();
    const { startHost, openChannelPair } = this.#environment;
    const host = startHost();
    this.#hosts.add(host);
    const [ours, theirs] = openChannelPair();
    host.accept(theirs);
    broker.isHere = true;
    broker.port.bind(ours);
    void broker.port.closed.then(() => this.#retire(host));
  }

  async #retire(host: ScopeHost): Promise<void> {
    await host.retire();
    this.#hosts.delete(host);
  }
}
