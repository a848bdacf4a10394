import { BrokerHost } from "../broker/host.ts";
import { connectWith } from "../client/connect-with.ts";
import type { ClientEnvironment } from "../client/environment.ts";
import type { ConnectOptions, TabMQ } from "../index.ts";
import { MQError } from "../model/errors.ts";
import { MemoryLocks } from "../platform/memory-locks.ts";
import { systemRandom } from "../platform/random.ts";
import type { PortLike } from "../protocol/guarded-endpoint.ts";
import { MemoryDisk } from "../storage/memory-store.ts";
import { TsIndexer } from "../storage/ts-indexer.ts";
import { Agent, LocalPort } from "./agent.ts";
import { LocalNetwork } from "./local-network.ts";
import { RefusingStore } from "./refusing-store.ts";
import { type SendFault, SendFaults } from "./send-faults.ts";
import { rest, type TestClock, VirtualClock } from "./virtual-clock.ts";

/** What `createTestBroker` takes. */
export interface TestBrokerOptions {
  /** Where the clock begins, ms since 1970. Default: now. */
  now?: number;
  /** What HTTP outboxes send by. Default: the global `fetch`, as it is when they do. */
  fetch?: (input: Request | string | URL, init?: RequestInit) => Promise<Response>;
}

/** A whole origin inside this process: its broker, its store in memory, any number of tabs, and a clock that stands still. */
export interface TestBroker {
  readonly clock: TestClock;
  /** A tab. As the package's `connect`; `host` and `worker` do not matter. */
  connect(options?: Omit<ConnectOptions, "host" | "worker">): Promise<TabMQ>;
  /** The next sends of this broker's producers fail. */
  failNextSend(fault?: SendFault): void;
  /** From now on the store takes nothing (true: STORAGE_FULL), or takes everything again. */
  refuseStore(isFull?: boolean): void;
  /** The worker dies in the middle of whatever it does. The next one starts, with what was stored, when somebody needs it: `clock.advance(1000)`. */
  crash(): Promise<void>;
  /** A tab dies without a word: what it had in hand goes to others. */
  disconnect(tab: TabMQ): Promise<void>;
  /** What HTTP outboxes take `navigator.onLine` to be. Default true. */
  setOnline(isOnline: boolean): void;
  /** Ends everything: workers die, tabs are closed. What is on its way ends, and what is asked later is refused with CLOSED. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A broker for tests: in memory, in virtual time, shared with nobody. */
export function createTestBroker(options: TestBrokerOptions = {}): TestBroker {
  return new LocalOrigin(options);
}

/** Virtual ms in which a tab whose broker is gone has certainly closed. */
const CLOSING_TIME = 60_000;

class LocalOrigin implements TestBroker {
  readonly clock: VirtualClock;
  readonly #locks = new MemoryLocks();
  /** By namespace. */
  readonly #disks = new Map<string, MemoryDisk>();
  readonly #workers = new Map<string, { agent: Agent; host: BrokerHost }>();
  readonly #notes = new Map<string, string>();
  readonly #tabs = new Map<TabMQ, Agent>();
  readonly #sends = new SendFaults();
  readonly #network: LocalNetwork;
  #isFull = false;
  #closing: Promise<void> | null = null;

  constructor({ now = Date.now(), fetch }: TestBrokerOptions) {
    this.clock = new VirtualClock(now);
    this.#network = new LocalNetwork(fetch);
  }

  async connect(options: Omit<ConnectOptions, "host" | "worker"> = {}): Promise<TabMQ> {
    if (this.#closing !== null) throw new MQError("CLOSED", "The test broker is closed.");
    const agent = new Agent(this.clock, this.#locks);
    const mq = await connectWith((namespace) => this.#environment(namespace, agent), options);
    this.#sends.watch(mq);
    this.#tabs.set(mq, agent);
    return mq;
  }

  failNextSend(fault: SendFault = {}): void {
    this.#sends.add(fault);
  }

  refuseStore(isFull = true): void {
    this.#isFull = isFull;
  }

  async crash(): Promise<void> {
    for (const { agent } of this.#workers.values()) agent.die();
    this.#workers.clear();
    await rest();
  }

  async disconnect(tab: TabMQ): Promise<void> {
    this.#tabs.get(tab)?.die();
    this.#tabs.delete(tab);
    await rest();
  }

  setOnline(isOnline: boolean): void {
    this.#network.setOnline(isOnline);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#sends.clear();
    await this.crash();
    const tabs = [...this.#tabs.keys()];
    for (const tab of tabs) tab.close().catch(() => {});
    await this.clock.advance(CLOSING_TIME);
    for (const tab of tabs) await this.disconnect(tab);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #environment(namespace: string, agent: Agent): ClientEnvironment {
    const key = `${namespace}/witness`;
    return {
      locks: agent.locks,
      timers: agent.timers,
      clock: this.clock,
      random: systemRandom,
      page: { onHide: () => () => {}, onShow: () => () => {} },
      memo: { read: () => this.#notes.get(key) ?? null, write: (text) => void this.#notes.set(key, text) },
      forgetNotes: () => void this.#notes.delete(key),
      openBroker: (generation) => ({ port: this.#open(namespace, generation, agent), onError: () => {} }),
      network: this.#network.of(agent),
      openWakeChannel: (name, onWake) => {
        const channel = this.#network.of(agent).openChannel(name, onWake)!;
        return { post: () => channel.post(null), close: () => channel.close() };
      },
    };
  }

  #open(namespace: string, generation: number, tab: Agent): PortLike {
    if (this.#closing !== null) return LocalPort.toNobody(tab);
    const key = `${namespace}#${generation}`;
    const worker = this.#workers.get(key) ?? this.#start(namespace);
    this.#workers.set(key, worker);
    const [ours, theirs] = LocalPort.pair(tab, worker.agent);
    worker.host.accept(theirs);
    return ours;
  }

  #start(namespace: string): { agent: Agent; host: BrokerHost } {
    const agent = new Agent(this.clock, this.#locks);
    const disk = this.#disks.get(namespace) ?? new MemoryDisk();
    this.#disks.set(namespace, disk);
    const host = new BrokerHost({
      locks: agent.locks,
      timers: agent.timers,
      clock: this.clock,
      random: systemRandom,
      openStore: () => new RefusingStore(disk, () => this.#isFull),
      loadIndexer: () => Promise.resolve(new TsIndexer()),
    });
    return { agent, host };
  }
}
