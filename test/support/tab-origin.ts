import { BrokerHost, type HostEnvironment } from "../../src/broker/host.ts";
import type { ConnectOptions } from "../../src/client/connect.ts";
import { connectWith } from "../../src/client/connect-with.ts";
import type { ClientEnvironment } from "../../src/client/environment.ts";
import { DedicatedHosting, type Doorstep, type HostWorker, visit } from "../../src/client/hosting.ts";
import { lateBroker } from "../../src/client/late-port.ts";
import { ScopeHosting } from "../../src/client/scope-hosting.ts";
import type { TabMQ } from "../../src/client/tabmq.ts";
import { MQError } from "../../src/model/errors.ts";
import type { OpenChannel } from "../../src/platform/broadcast-port.ts";
import { deferred } from "../../src/platform/deferred.ts";
import { MemoryLocks } from "../../src/platform/memory-locks.ts";
import type { Random } from "../../src/platform/random.ts";
import { lifeLock } from "../../src/protocol/door.ts";
import type { PortLike } from "../../src/protocol/guarded-endpoint.ts";
import type { BlockStore } from "../../src/storage/block-store.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { untraced } from "./untraced.ts";
import { Agent, pseudoRandom, VirtualPort, VirtualTime } from "./virtual-origin.ts";

/** BroadcastChannels of an origin: what is posted reaches all others of the name that are open by then. */
class Channels {
  readonly #time: VirtualTime;
  readonly open = new Set<{ name: string; agent: Agent; hear(data: unknown): void }>();

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  of(agent: Agent): OpenChannel {
    return (name) => {
      const listeners = new Set<(event: MessageEvent) => void>();
      const end = {
        name, agent,
        hear: (data: unknown) => {
          for (const listener of listeners) listener({ data } as MessageEvent);
        },
      };
      this.open.add(end);
      return {
        postMessage: (message) => {
          if (!agent.isAlive || !this.open.has(end)) return;
          const data: unknown = structuredClone(message);
          const hearers = [...this.open].filter((other) => other !== end && other.name === name);
          for (const other of hearers) this.#time.post(() => other.agent.run(() => this.open.has(other) && other.hear(structuredClone(data))));
        },
        addEventListener: (_type, listener) => void listeners.add(listener),
        removeEventListener: (_type, listener) => void listeners.delete(listener),
        start: () => {},
        close: () => void this.open.delete(end),
      };
    };
  }
}

export interface TabWorker {
  agent: Agent;
  host: BrokerHost;
  /** Nobody needs it any more, and it has written what it had to. */
  hasRetired: boolean;
}

interface Tab {
  agent: Agent;
  workers: TabWorker[];
  leave: Set<() => void>;
  comeBack: Set<() => void>;
}

/** An origin in virtual time whose browser has no SharedWorker: the broker hangs on a tab. */
export class TabOrigin {
  readonly time: VirtualTime;
  readonly locks: MemoryLocks;
  readonly channels: Channels;
  /** All that have ever been started, in order. */
  readonly workers: TabWorker[] = [];
  /** How long a worker's script takes to load, ms; null = it cannot be loaded. */
  loading: number | null = 50;
  /** Whether pages are told that they are about to be frozen. */
  tellsOfFreezing = true;
  readonly random: Random;
  readonly #openStore: () => BlockStore;
  readonly #tabs = new Map<TabMQ, Tab>();
  #shared: TabWorker | null = null;
  #memo: string | null = null;

  /** `beside`: the same origin, with pages and workers of another version. */
  constructor(openStore: () => BlockStore, beside?: Pick<TabOrigin, "time" | "locks" | "channels" | "random">) {
    this.#openStore = openStore;
    this.time = beside?.time ?? new VirtualTime();
    this.locks = beside?.locks ?? new MemoryLocks();
    this.channels = beside?.channels ?? new Channels(this.time);
    this.random = beside?.random ?? pseudoRandom(1);
  }

  /** `overrides`: of the tab's own environment; `host`: of its workers'. */
  async connect(options: ConnectOptions = {}, { overrides = {}, host = {} }: { overrides?: Partial<ClientEnvironment>; host?: Partial<HostEnvironment> } = {}): Promise<TabMQ> {
    const tab: Tab = { agent: new Agent(this.time, this.locks), workers: [], leave: new Set(), comeBack: new Set() };
    const { namespace = "default" } = options;
    const doorstep = this.#doorstep(tab.agent, namespace);
    const hosting = new DedicatedHosting({
      ...doorstep,
      timers: tab.agent.timers,
      onLeave: (listener) => {
        tab.leave.add(listener);
        return () => tab.leave.delete(listener);
      },
      onReturn: (listener) => {
        tab.comeBack.add(listener);
        return () => tab.comeBack.delete(listener);
      },
      startWorker: (_generation, onError) => this.#startWorker(tab, host, onError),
    });
    const mq = await connectWith(() => ({
      ...this.#environment(tab.agent, doorstep),
      openBroker: (generation) => lateBroker((broker) => hosting.enter(generation, broker)),
      release: () => hosting.end(),
      ...overrides,
    }), untraced(options));
    this.#tabs.set(mq, tab);
    return mq;
  }

  /** A tab whose browser has a SharedWorker, all the same. */
  async connectShared(options: ConnectOptions = {}): Promise<TabMQ> {
    const tab: Tab = { agent: new Agent(this.time, this.locks), workers: [], leave: new Set(), comeBack: new Set() };
    const doorstep = this.#doorstep(tab.agent, options.namespace ?? "default");
    const mq = await connectWith(() => ({
      ...this.#environment(tab.agent, doorstep),
      openBroker: () => {
        this.#shared ??= this.#newWorker({ worker: "shared" });
        const [ours, theirs] = VirtualPort.pair(this.time, tab.agent, this.#shared.agent);
        this.#shared.host.accept(theirs);
        return { port: ours, onError: () => {} };
      },
    }), untraced(options));
    this.#tabs.set(mq, tab);
    return mq;
  }

  /** The application's service worker: it can start no worker, so the broker runs in itself if it has to. */
  async connectServiceWorker(options: ConnectOptions = {}, { host = {} }: { host?: Partial<HostEnvironment> } = {}): Promise<TabMQ> {
    const agent = new Agent(this.time, this.locks);
    const workers: TabWorker[] = [];
    const doorstep = this.#doorstep(agent, options.namespace ?? "default");
    const hosting = new ScopeHosting({
      ...doorstep,
      startHost: () => {
        const worker = this.#newWorker({ worker: "service", ...host }, agent);
        workers.push(worker);
        return {
          accept: (port) => worker.host.accept(port),
          retire: async () => {
            await worker.host.retire();
            worker.hasRetired = true;
          },
        };
      },
      openChannelPair: () => VirtualPort.pair(this.time, agent, agent),
    });
    const mq = await connectWith(() => ({
      ...this.#environment(agent, doorstep),
      memo: null,
      openBroker: (generation) => lateBroker((broker) => hosting.enter(generation, broker)),
      choice: () => ({ code: "SERVICE_WORKER", reason: "It is one." }),
      release: () => hosting.end(),
    }), untraced({ ...options, host: "dedicated" }));
    this.#tabs.set(mq, { agent, workers, leave: new Set(), comeBack: new Set() });
    return mq;
  }

  /** Closed, crashed or reloaded, or a service worker that is ended: nobody is told. */
  killTab(mq: TabMQ): void {
    const { agent, workers } = this.#tabs.get(mq)!;
    for (const { agent: one } of [{ agent }, ...workers]) this.#end(one);
  }

  /** The worker on this tab ends, and the tab does not. */
  killWorker(mq: TabMQ): void {
    for (const { agent } of this.#tabs.get(mq)!.workers) this.#end(agent);
  }

  killShared(): void {
    this.#shared?.agent.die();
    this.#shared = null;
  }

  /** The page is frozen, and with it its workers. Returns how to thaw it. */
  freeze(mq: TabMQ): () => void {
    const { agent, workers, leave, comeBack } = this.#tabs.get(mq)!;
    if (this.tellsOfFreezing) for (const listener of leave) listener();
    const { promise, resolve } = deferred<void>();
    const frozen = [agent, ...workers.map((worker) => worker.agent)];
    for (const one of frozen) one.frozen = promise;
    return () => {
      for (const one of frozen) one.frozen = null;
      if (this.tellsOfFreezing) for (const listener of comeBack) listener();
      resolve();
    };
  }

  /** Workers that live and have a broker. */
  get serving(): TabWorker[] {
    return this.workers.filter(({ agent, host }) => agent.isAlive && host.broker !== null);
  }

  get living(): TabWorker[] {
    return this.workers.filter(({ agent }) => agent.isAlive);
  }

  #doorstep(agent: Agent, namespace: string): Doorstep {
    return { namespace, storage: "indexeddb", locks: agent.locks, random: this.random, openChannel: this.channels.of(agent) };
  }

  #environment(agent: Agent, doorstep: Doorstep): Omit<ClientEnvironment, "openBroker"> {
    return {
      locks: agent.locks, timers: agent.timers, clock: this.time, random: this.random,
      page: { onHide: () => () => {}, onShow: () => () => {} },
      memo: { read: () => this.#memo, write: (text) => void (this.#memo = text) },
      openDoor: (except) => lateBroker((broker) => visit(doorstep, broker, except)),
    };
  }

  #end(agent: Agent): void {
    agent.die();
    for (const channel of this.channels.open) if (channel.agent === agent) this.channels.open.delete(channel);
  }

  #newWorker(overrides: Partial<HostEnvironment>, agent = new Agent(this.time, this.locks)): TabWorker {
    const host = new BrokerHost({
      locks: agent.locks, timers: agent.timers, clock: this.time, random: this.random,
      openStore: this.#openStore,
      loadIndexer: () => Promise.resolve(new TsIndexer()),
      openChannel: this.channels.of(agent),
      heldLocks: () => Promise.resolve(this.locks.names().filter((name) => this.locks.isHeld(name))),
      worker: "dedicated",
      ...overrides,
    });
    const worker = { agent, host, hasRetired: false };
    this.workers.push(worker);
    return worker;
  }

  #startWorker(tab: Tab, overrides: Partial<HostEnvironment>, onError: (error: MQError) => void): HostWorker {
    const worker = this.#newWorker(overrides);
    tab.workers.push(worker);
    // What is sent to a worker whose script is on its way is kept for it.
    const { loading } = this;
    if (loading === null) this.time.after(50, () => onError(new MQError("UNSUPPORTED_ENVIRONMENT", "The script is not there.")));
    const loaded = loading === null ? new Promise(() => {}) : this.time.sleep(loading);
    const end = (): void => this.#end(worker.agent);
    const name = lifeLock(`${this.workers.length}`);
    return {
      life: loaded.then(() => worker.agent.locks.acquire(name)).then(() => name),
      connect: (): PortLike => {
        const [ours, theirs] = VirtualPort.pair(this.time, tab.agent, worker.agent);
        theirs.hold(loaded);
        void loaded.then(() => worker.host.accept(theirs));
        return ours;
      },
      retire: () =>
        void loaded
          .then(() => worker.host.retire())
          .then(() => {
            worker.hasRetired = worker.agent.isAlive;
            end();
          }),
      terminate: end,
    };
  }
}
