import { asMQError, type MQError } from "../model/errors.ts";
import type { OpenChannel } from "../platform/broadcast-port.ts";
import { type Deferred, deferred } from "../platform/deferred.ts";
import type { HeldLock, Locks } from "../platform/locks.ts";
import { randomName, type Random } from "../platform/random.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import { PROTOCOL_VERSION } from "../protocol/api.ts";
import { doorName, type DoorWord, readWord, seatLock, visitorLock } from "../protocol/door.ts";
import type { PortLike } from "../protocol/guarded-endpoint.ts";
import { BrokerGone } from "./channel.ts";
import type { LateBroker } from "./late-port.ts";

/* Where there is no SharedWorker: the worker hangs on one tab, and the other tabs reach it through its door. */

/** How long a worker is kept whose tab does not talk to it any more, ms. */
const LINGER = 5000;
/** How long one has to write what is left, ms. */
const RETIRE_TIMEOUT = 2000;

/** A dedicated worker with a broker in it. */
export interface HostWorker {
  /** The name of a lock that it holds as long as it lives. */
  life: Promise<string>;
  /** A new port to it. */
  connect(): PortLike;
  /** It writes what is left, and ends itself. */
  retire(): void;
  /** It ends at once. */
  terminate(): void;
}

export interface Doorstep {
  namespace: string;
  storage: string;
  locks: Locks;
  random: Random;
  openChannel: OpenChannel;
}

export interface HostingEnvironment extends Doorstep {
  timers: Timers;
  /** Throws, or calls `onError`, when the worker certainly cannot run. */
  startWorker(generation: number, onError: (error: MQError) => void): HostWorker;
  /** The page is put aside, frozen or closed: no worker of it works on. Returns how to stop listening. */
  onLeave(listener: () => void): () => void;
  /** It is back. */
  onReturn(listener: () => void): () => void;
}

/**
 * One tab's part in hosting. The tab that holds the *seat*, a lock, runs the worker; who needs a broker and does not get
 * the seat knocks at the door, and stands in line for the seat until it is let in. A tab that has a broker stands in no
 * line: it hears of the broker's death like everybody else, at once, and who is awake then asks for the seat.
 */
export class DedicatedHosting {
  readonly #environment: HostingEnvironment;
  readonly #seats = new Map<number, Seat>();
  readonly #stopListening: (() => void)[];
  /** Until the page is back it must not take a seat: it could be frozen on it. */
  #return: Deferred<void> | null = null;

  constructor(environment: HostingEnvironment) {
    this.#environment = environment;
    this.#stopListening = [
      environment.onLeave(() => {
        this.#return ??= deferred();
        for (const seat of this.#seats.values()) seat.end();
      }),
      environment.onReturn(() => this.#hasReturned()),
    ];
  }

  /** Binds the port to the broker of this generation, run here or anywhere. */
  async enter(generation: number, broker: LateBroker): Promise<void> {
    const { namespace, storage, locks } = this.#environment;
    await this.#return?.promise;
    const name = seatLock(namespace, storage, PROTOCOL_VERSION, generation);
    const free = await locks.acquire(name, { ifFree: true });
    if (free !== null) return this.#host(generation, free, broker);
    const own = this.#seats.get(generation);
    if (own !== undefined) return own.connect(broker);
    void visit(this.#environment, broker);
    // Who lets us in may go before it serves, and may have been the last.
    const line = new AbortController();
    void broker.arrived.then(() => line.abort());
    const inTurn = await locks.acquire(name, { signal: line.signal });
    if (inTurn !== null) this.#host(generation, inTurn, broker);
  }

  /** The connection has ended. */
  end(): void {
    for (const stop of this.#stopListening) stop();
    this.#hasReturned();
    for (const seat of this.#seats.values()) seat.retire();
  }

  #hasReturned(): void {
    this.#return?.resolve();
    this.#return = null;
  }

  #host(generation: number, lock: HeldLock, broker: LateBroker): void {
    if (broker.port.isSettled || this.#return !== null) {
      lock.release();
      return broker.restart();
    }
    const { locks, timers, startWorker } = this.#environment;
    try {
      const seat = new Seat({ lock, locks, timers, startWorker: (onError) => startWorker(generation, onError), onEnd: () => this.#seats.delete(generation) });
      this.#seats.set(generation, seat);
      seat.connect(broker);
    } catch (error) {
      lock.release();
      broker.onError(asMQError(error));
    }
  }
}

interface Place {
  lock: HeldLock;
  locks: Locks;
  timers: Timers;
  startWorker(onError: (error: MQError) => void): HostWorker;
  onEnd(): void;
}

/** The right to run the worker, and the worker. */
class Seat {
  readonly #place: Place;
  readonly #worker: HostWorker;
  readonly #brokers = new Set<LateBroker>();
  readonly #watch = new AbortController();
  #cancel: Cancel = () => {};
  #hasEnded = false;

  constructor(place: Place) {
    this.#place = place;
    this.#worker = place.startWorker((error) => this.#fail(error));
    void this.#worker.life.then((name) => this.#watchOver(name));
  }

  connect(broker: LateBroker): void {
    if (broker.port.isSettled) return;
    this.#cancel();
    this.#brokers.add(broker);
    broker.isHere = true;
    broker.port.bind(this.#worker.connect());
    void broker.port.closed.then(() => {
      this.#brokers.delete(broker);
      // Whoever asks again in a moment finds it as it is. Else another serves.
      if (this.#brokers.size === 0 && !this.#hasEnded) this.#cancel = this.#place.timers.after(LINGER, () => this.retire());
    });
  }

  /** With time to write what is left. Others may begin: their worker waits for the writer lock. */
  retire(): void {
    if (this.#hasEnded) return;
    this.#leave();
    this.#worker.retire();
    this.#place.timers.after(RETIRE_TIMEOUT, () => this.#worker.terminate());
  }

  end(): void {
    this.#leave();
    this.#worker.terminate();
  }

  /** A worker that dies (its memory was used up, say) tells nobody, and its tab lives and keeps the seat. */
  async #watchOver(life: string): Promise<void> {
    if (this.#hasEnded) return;
    const lock = await this.#place.locks.acquire(life, { signal: this.#watch.signal });
    lock?.release();
    if (lock !== null && !this.#hasEnded) this.#fail(new BrokerGone("The broker's worker has ended."));
  }

  #fail(error: MQError): void {
    this.end();
    for (const broker of this.#brokers) broker.onError(error);
  }

  /** Once: the next seat may be taken by then. */
  #leave(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#watch.abort();
    this.#cancel();
    this.#place.lock.release();
    this.#place.onEnd();
  }
}

/**
 * Knocks at the namespace's door, again whenever a host opens it, until one lets us in. `except`: this worker we can ask
 * without a door; when it is its turn to serve, a second session through the door would end the first.
 */
export async function visit({ namespace, storage, locks, random, openChannel }: Doorstep, broker: LateBroker, except = ""): Promise<void> {
  const { port } = broker;
  const from = visitorLock(namespace, randomName(random));
  const wish = await locks.acquire(from);
  if (port.isSettled) return wish?.release();
  const door = openChannel(doorName(namespace, storage));
  const knock = (): void => door.postMessage({ type: "knock", from } satisfies DoorWord, []);
  let isIn = false;
  door.addEventListener("message", ({ data }) => {
    const word = readWord(data);
    // Whoever opens it now has come after the one who has let us in.
    if (word?.type === "open" && isIn) return broker.restart();
    if (word?.type === "open" && !port.isSettled) knock();
    if (word?.type !== "welcome" || word.to !== from || word.worker === except || port.isSettled) return;
    isIn = true;
    port.bind(openChannel(word.pipe));
  });
  knock();
  await broker.arrived;
  door.close();
  if (isIn) await port.closed;
  wish?.release();
}
