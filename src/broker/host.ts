import { MQError, namespaceDestroyed, textOf } from "../model/errors.ts";
import { MAX_SESSIONS } from "../model/limits.ts";
import type { OpenChannel } from "../platform/broadcast-port.ts";
import type { Clock } from "../platform/clock.ts";
import { type Deferred, deferred } from "../platform/deferred.ts";
import type { Locks } from "../platform/locks.ts";
import { randomName, type Random } from "../platform/random.ts";
import { sleep, type Timers } from "../platform/timers.ts";
import type { StorageKind, WitnessMark, WorkerKind } from "../protocol/api.ts";
import { PROTOCOL_RANGE, PROTOCOL_VERSION, STORE_FORMAT } from "../protocol/api.ts";
import { type BrokerSettings, DEFAULT_BROKER_SETTINGS } from "../protocol/broker-settings.ts";
import { KEY_FIELD } from "../protocol/encryption-key.ts";
import type { Version } from "../protocol/door.ts";
import { endPort, type PortLike } from "../protocol/guarded-endpoint.ts";
import { brokerLock, clientLock } from "../protocol/lock-names.ts";
import type { BlockStore } from "../storage/block-store.ts";
import { EncryptedStore } from "../storage/encrypted-store.ts";
import type { Indexer } from "../storage/indexer.ts";
import { keyMissing, keyUnwanted, keyWrong } from "../storage/key-check.ts";
import { credible, newerMark } from "../storage/loss.ts";
import { Broker } from "./broker.ts";
import { Destruction, type HeldLocks } from "./destruction.ts";
import { Door, LAST_WORDS, standInLine } from "./door.ts";
import { serve } from "./gateway.ts";
import { type Hello, readHello, serving } from "./hello.ts";
import type { EstimateRoom } from "./retention.ts";
import { Lease } from "./lease.ts";
import { Session } from "./session.ts";

export interface HostEnvironment {
  locks: Locks;
  clock: Clock;
  timers: Timers;
  random: Random;
  openStore(kind: StorageKind, namespace: string): BlockStore;
  loadIndexer(): Promise<Indexer>;
  /** Default: nobody knows. */
  estimateRoom?: EstimateRoom;
  /** What this worker is; default shared. */
  worker?: WorkerKind;
  /** Without it there is no door: only who has a port to this worker is served. */
  openChannel?: OpenChannel;
  /** Without it the end of a namespace reaches only who has a session. */
  heldLocks?: HeldLocks;
}

/** How long a hello waits for the broker before it is answered "not yet". */
const HELLO_PATIENCE = 1000;
const RESTART_DELAY_MIN = 100;
const RESTART_DELAY_MAX = 5000;
/** A client without a broker asks at least this often; a worker that nobody asks stands in nobody's way. */
const WANTED_FOR = 5000;
/** How often somebody has to knock at a host without clients until it goes. */
const KNOCKS_TO_GO = 2;
/** How long the end of a namespace waits until its clients have heard of it: one that asks another worker is told by that to wait, and comes to us then. */
const NEWS_TIMEOUT = HELLO_PATIENCE + 500;
/** How long a broker that gives way has to write what is left. */
const DRAIN_TIMEOUT = 5000;

/**
 * What a worker runs: waits for the writer lock, then keeps a broker going for one namespace. A broker that cannot
 * go on is given up whole and a new one recovers from the store: one way back for every kind of failure.
 */
export class BrokerHost {
  readonly #environment: HostEnvironment;
  #namespace: string | null = null;
  #storage: StorageKind = "indexeddb";
  #broker: Broker | null = null;
  /** The running broker's, or the one that is being opened. */
  #store: BlockStore | null = null;
  /** The hello whose key is tried next: only the newest may know what the ones before it got wrong. */
  #newest: Hello | null = null;
  #tried: Hello | null = null;
  readonly #refusals = new WeakMap<Hello, MQError>();
  #status: "waiting" | "recovering" = "waiting";
  #lastError: MQError | null = null;
  /** The newest that brokers that ended here remember of the store. */
  #witness: WitnessMark | null = null;
  /** What clients that wait for a broker remember of it, and when they said so. */
  readonly #claims = new Map<PortLike, { mark: WitnessMark | null; at: number }>();
  readonly #destruction: Destruction;
  /** The tab that this worker hangs on goes. */
  #isRetired = false;
  /** Ends the tenure. One for each: what waits for a promise that lives as long as the worker stays with it. */
  #leaving: Deferred<MQError> = deferred();
  /** From the writer lock to its release. */
  #tenure: Promise<void> = Promise.resolve();
  /** Only who has a door is asked for it. */
  readonly #name: string;
  readonly #calls = { open: 0 };
  #onBroker = new Set<() => void>();
  /** When the last hello came, on the monotonic clock. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #asked: Deferred<void> = deferred();

  constructor(environment: HostEnvironment) {
    this.#environment = environment;
    const { locks, timers, heldLocks = async () => [] } = environment;
    this.#destruction = new Destruction({ locks, timers, heldLocks, patience: NEWS_TIMEOUT });
    this.#name = environment.openChannel === undefined ? "" : randomName(environment.random);
  }

  get broker(): Broker | null {
    return this.#broker;
  }

  /** Writes what is left and gives the namespace up, for good. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    this.#leaving.resolve(retired());
    await this.#tenure;
  }

  /** A client has connected; `isGuest`: through the door. */
  accept(port: PortLike, isGuest = false): void {
    let opened: { broker: Broker; session: Session } | null = null;
    let goodbyes = 0;
    const isOpen = (): boolean => opened !== null && opened.broker === this.#broker && !opened.session.closed;
    serve(port, {
      epoch: () => this.#broker?.epoch ?? 0,
      durable: () => this.#broker?.durablePosition ?? 0,
      hello: async (request) => {
        const hello = await readHello(request);
        this.#destruction.refuse(hello);
        // Locks are named by us alone: a client must not make the broker wait for any other.
        if (!hello.lockName.startsWith(clientLock(hello.namespace))) {
          throw new MQError("INVALID_PARAMETER", "lockName is not the name of a client's lock.", { field: "hello.lockName" });
        }
        const before = goodbyes;
        const broker = await this.#brokerFor(hello, isGuest, port);
        this.#destruction.refuse(hello);
        // Nobody waits for this answer any more, and nobody would end the session.
        if (broker === null || goodbyes > before) return { status: this.#status, worker: this.#name };
        if (opened === null || !isOpen()) {
          const session = this.#openSession(broker, hello);
          session.onNamespaceEnd = (error) => endPort(port, broker.epoch, error);
          opened = { broker, session };
        }
        return serving(broker, hello, this.#lockOf(broker));
      },
      open: () => {
        if (opened !== null && isOpen()) {
          opened.session.lastCallTimestamp = this.#environment.clock.now();
          return opened;
        }
        throw sessionUnknown(opened !== null);
      },
      leave: () => {
        if (opened !== null && isOpen()) opened.broker.endSession(opened.session);
        opened = null;
        goodbyes++;
        // Somebody else serves it, and may have told it that there is nothing to miss.
        this.#claims.delete(port);
      },
      destroy: async (namespace) => {
        if (opened === null || !isOpen()) throw sessionUnknown(opened !== null);
        // Nothing brings it back: whoever asks for it has to say what it is.
        if (namespace !== this.#namespace) throw new MQError("INVALID_PARAMETER", `This is not the namespace that is to be destroyed, but "${this.#namespace}".`, { field: "namespace" });
        const done = this.#destruction.ask(opened.session.lockName);
        opened.broker.destroy(namespaceDestroyed(this.#namespace!));
        await done;
        return null;
      },
      calls: this.#calls,
      worker: this.#environment.worker ?? "shared",
      violation: () => {
        if (this.#broker !== null) this.#broker.violations++;
      },
    });
  }

  /** The running broker, waited for a moment; null = not yet. */
  async #brokerFor(hello: Hello, isGuest: boolean, port: PortLike): Promise<Broker | null> {
    const [min = 0, max = 0] = hello.protocol;
    // A later version, which has a worker in line: we are about to give way to that.
    if (isGuest && min > PROTOCOL_RANGE[1]) {
      await sleep(this.#environment.timers, HELLO_PATIENCE);
      return null;
    }
    if (max < PROTOCOL_RANGE[0] || min > PROTOCOL_RANGE[1]) {
      throw new MQError("UPGRADE_REQUIRED", `This broker speaks protocol ${PROTOCOL_RANGE.join(" to ")}, the client ${min} to ${max}. Reload the older tab.`);
    }
    const isFirst = this.#namespace === null;
    if (isFirst) {
      this.#namespace = hello.namespace;
      this.#storage = hello.storage;
    }
    if (this.#namespace !== hello.namespace || this.#storage !== hello.storage) {
      throw new MQError("INVALID_PARAMETER", `This worker serves namespace "${this.#namespace}" (${this.#storage}), not "${hello.namespace}" (${hello.storage}).`, {
        field: "hello.namespace",
      });
    }
    this.#askedAt = this.#environment.clock.monotonic();
    this.#asked.resolve();
    if (this.#broker === null) {
      this.#newest = hello;
      this.#dropOldClaims();
      this.#claims.set(port, { mark: credible(hello.witness), at: this.#askedAt });
    }
    if (isFirst) void this.#run(hello);
    if (this.#broker === null) {
      await new Promise<void>((resolve) => {
        const cancel = this.#environment.timers.after(HELLO_PATIENCE, done);
        const waiting = this.#onBroker;
        waiting.add(done);
        function done(): void {
          cancel();
          waiting.delete(done);
          resolve();
        }
      });
    }
    const refusal = this.#refusals.get(hello);
    if (refusal !== undefined) throw refusal;
    if (this.#broker === null && this.#lastError !== null) throw this.#lastError;
    return this.#admit(hello);
  }

  /** A service worker may be ended at any moment: it hosts while nobody else can, and pushes nobody out. */
  get #isPassing(): boolean {
    return this.#environment.worker === "service";
  }

  /** The running broker, if it may be used with this key. */
  async #admit({ namespace, encryptionKey: key }: Hello): Promise<Broker | null> {
    const broker = this.#broker;
    if (broker === null) return null;
    if (!(this.#store instanceof EncryptedStore)) {
      if (key !== undefined) throw keyUnwanted(`Namespace "${namespace}" is served without encryption, to whoever connected first.`);
      return broker;
    }
    if (key === undefined) throw keyMissing();
    if (!(await this.#store.opensWith(key))) throw keyWrong();
    // It may have ended meanwhile.
    return broker === this.#broker ? broker : null;
  }

  #openSession(broker: Broker, { clientId, lockName, settings }: Hello): Session {
    for (const other of broker.sessions) {
      if (other.clientId !== clientId) continue;
      // The same tab again (it came back from the back-forward cache, say): its old session is history.
      if (other.lockName === lockName) broker.endSession(other);
      else throw new MQError("INVALID_PARAMETER", `Another tab is connected as "${clientId}"; client ids are unique.`, { field: "connect.clientId" });
    }
    if (broker.sessions.size >= MAX_SESSIONS) {
      throw new MQError("FLOW_CONTROL", `The broker serves ${MAX_SESSIONS} connections already.`);
    }
    this.#destruction.admit(lockName);
    const session = new Session(clientId, lockName, this.#environment.clock.now());
    session.mayBringFilters = settings.enableWasmFilter === true;
    broker.sessions.add(session);
    // Being granted the client's lock means that its tab is gone, however it went.
    const watch = new AbortController();
    session.onEnd = () => watch.abort();
    void this.#environment.locks.acquire(lockName, { signal: watch.signal }).then((lock) => {
      if (lock === null) return;
      lock.release();
      // A lock is faster than a message: the client's last words may still be in the port.
      this.#environment.timers.after(LAST_WORDS, () => {
        if (!session.closed) broker.endSession(session);
      });
    });
    return session;
  }

  #lockOf(broker: Broker): string {
    return brokerLock(this.#namespace!, broker.incarnation);
  }

  /** The life of this worker: one broker after the other, as long as there is a store to serve. */
  async #run(hello: Hello): Promise<void> {
    const { timers } = this.#environment;
    for (let delay = RESTART_DELAY_MIN; !this.#isRetired; delay = Math.min(delay * 2, RESTART_DELAY_MAX)) {
      try {
        await this.#serveOnce(hello, () => (delay = RESTART_DELAY_MIN));
      } catch (error) {
        if (error instanceof MQError && error.field === KEY_FIELD) {
          await this.#refuse(error);
          continue;
        }
        this.#lastError =
          error instanceof MQError
            ? error
            : new MQError("STORAGE_UNAVAILABLE", `The broker cannot start: ${textOf(error)}`, { cause: error });
      }
      await sleep(timers, delay);
      // Whoever has been replaced, and whose clients have gone on, must not get in their way again.
      if (!this.#isWanted()) await (this.#asked = deferred()).promise;
    }
  }

  /** The store is well, but whoever asked has no right key. The next one may. */
  async #refuse(error: MQError): Promise<void> {
    this.#lastError = null;
    if (this.#tried !== null) this.#refusals.set(this.#tried, error);
    for (const ready of [...this.#onBroker]) ready();
    if (this.#newest === this.#tried) await (this.#asked = deferred()).promise;
  }

  #isWanted(): boolean {
    return !this.#isRetired && this.#environment.clock.monotonic() - this.#askedAt < WANTED_FOR;
  }

  /** The newest that is known of the store. */
  #recall(): WitnessMark | null {
    this.#dropOldClaims();
    let newest = this.#witness;
    for (const { mark } of this.#claims.values()) newest = newerMark(newest, mark);
    this.#claims.clear();
    return newest;
  }

  /** Who waits says so again and again; who has stopped has gone, or may know of an end that nobody has told us. */
  #dropOldClaims(): void {
    const now = this.#environment.clock.monotonic();
    for (const [port, { at }] of this.#claims) if (now - at >= WANTED_FOR) this.#claims.delete(port);
  }

  /** What was here, and who asked for it, is no more. */
  #forget(): void {
    this.#witness = null;
    this.#claims.clear();
    this.#askedAt = Number.NEGATIVE_INFINITY;
    // Who waits for a broker hears at once that it is over.
    for (const ready of [...this.#onBroker]) ready();
  }

  /** From the wish for the writer lock to its release. */
  async #serveOnce(hello: Hello, onServing: () => void): Promise<void> {
    const { namespace, storage } = hello;
    const { locks, timers, openChannel } = this.#environment;
    this.#status = "waiting";
    // Why the broker before has ended is no answer to whoever asks now.
    if (this.#lastError?.code === "FENCED") this.#lastError = null;
    const doorway = openChannel === undefined ? null : { locks, timers, random: this.#environment.random, openChannel, namespace, storage, worker: this.#name };
    // Nothing outlives a memory store, so there is nothing that two of them could fight over.
    let lease: Lease | null = null;
    if (storage !== "memory") {
      const acquired = Lease.acquire({ locks, timers, namespace, isWanted: () => this.#isWanted() });
      const stopStanding = doorway === null || this.#isPassing ? () => {} : standInLine(doorway, VERSION);
      lease = await acquired.finally(stopStanding);
      if (this.#isRetired) lease?.release();
      if (lease === null || this.#isRetired) return;
    }
    this.#status = "recovering";
    const leaving = (this.#leaving = deferred());
    if (this.#isRetired) leaving.resolve(retired());
    const door =
      doorway === null
        ? null
        : new Door(doorway, {
            onGuest: (port) => this.accept(port, true),
            onStander: (version) => {
              if (isLater(version) || (this.#isPassing && !isEarlier(version))) leaving.resolve(new MQError("FENCED", "Another host takes over."));
            },
          });
    const tenure = this.#keepBroker(hello, lease, leaving.promise, onServing).finally(() => {
      door?.close();
      lease?.release();
    });
    this.#tenure = tenure.catch(() => {});
    await tenure;
  }

  /** The life of one broker. */
  async #keepBroker({ namespace, storage, settings }: Hello, lease: Lease | null, leaving: Promise<MQError>, onServing: () => void): Promise<void> {
    const { locks, clock, timers, random, openStore, loadIndexer, estimateRoom = nobodyKnows } = this.#environment;
    const incarnation = randomName(random);
    const alive = await locks.acquire(brokerLock(namespace, incarnation));
    this.#tried = this.#newest;
    const key = this.#tried?.encryptionKey;
    const opened = openStore(storage, namespace);
    const store = (this.#store = key === undefined ? opened : new EncryptedStore(opened, namespace, key, random));
    try {
      const merged: BrokerSettings = { ...DEFAULT_BROKER_SETTINGS, ...settings };
      const broker = await Broker.start({ store, indexer: await loadIndexer(), clock, timers, incarnation, settings: merged, witness: (this.#witness = this.#recall()), estimateRoom });
      const ends = [broker.end, leaving];
      if (lease !== null) {
        ends.push(lease.lost.then(() => new MQError("FENCED", "Another host took the writer lock.")));
        ends.push(new Promise((resolve) => (lease.onKnock = whenIdle(broker, () => resolve(new MQError("FENCED", "Another worker has clients; this one has none."))))));
      }
      this.#broker = broker;
      // After its end, its key is tried first.
      this.#newest = this.#tried;
      this.#lastError = null;
      onServing();
      for (const ready of [...this.#onBroker]) ready();
      const error = await Promise.race(ends);
      this.#lastError = this.#destruction.isAsked ? null : error;
      this.#broker = null;
      // From here on nothing is taken in. Only who leaves of its own will may still write, and does.
      if (error === (await Promise.race([leaving, undefined]))) await Promise.race([broker.close(), sleep(timers, DRAIN_TIMEOUT)]);
      const clients = [...broker.sessions];
      // What another host does from here on, this one does not hear: its clients will say it.
      if (storage === "indexeddb") this.#witness = error.code === "FENCED" ? null : newerMark(this.#witness, broker.mark());
      broker.abandon(error);
      if (this.#destruction.isAsked) await this.#destruction.carryOut({ namespace, storage }, store, clients, () => this.#forget());
    } finally {
      this.#broker = null;
      store.close();
      alive?.release();
    }
  }
}

/** Applications see it too, as the reason of `disconnected`. */
function sessionUnknown(hadOne: boolean): MQError {
  return new MQError("SESSION_UNKNOWN", hadOne ? "The broker that served this connection has ended." : "This connection has no session with a broker; say hello first.");
}

function retired(): MQError {
  return new MQError("FENCED", "Whom the broker hangs on goes.");
}

const VERSION: Version = { protocol: PROTOCOL_VERSION, format: STORE_FORMAT };

function isLater({ protocol, format }: Version): boolean {
  return protocol > VERSION.protocol || (protocol === VERSION.protocol && format > VERSION.format);
}

/** It may not be able to read what we have written. */
function isEarlier({ protocol, format }: Version): boolean {
  return protocol < VERSION.protocol || format < VERSION.format;
}

const nobodyKnows: EstimateRoom = () => Promise.resolve(null);

/** Clients may have moved to the worker that knocks: a host without any lets it in. */
function whenIdle(broker: Broker, go: () => void): () => void {
  let knocks = 0;
  return () => {
    knocks = broker.sessions.size === 0 ? knocks + 1 : 0;
    if (knocks >= KNOCKS_TO_GO) go();
  };
}
