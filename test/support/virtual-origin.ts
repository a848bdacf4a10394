import "./sound-stores.ts";
import { untraced } from "./untraced.ts";
import { BrokerHost } from "../../src/broker/host.ts";
import type { EstimateRoom } from "../../src/broker/retention.ts";
import type { ConnectOptions } from "../../src/client/connect.ts";
import { connectWith } from "../../src/client/connect-with.ts";
import type { ClientEnvironment, Memo } from "../../src/client/environment.ts";
import type { TabMQ } from "../../src/client/tabmq.ts";
import type { Clock } from "../../src/platform/clock.ts";
import type { HeldLock, Locks } from "../../src/platform/locks.ts";
import { MemoryLocks } from "../../src/platform/memory-locks.ts";
import type { Random } from "../../src/platform/random.ts";
import type { Cancel, Timers } from "../../src/platform/timers.ts";
import type { PortLike } from "../../src/protocol/guarded-endpoint.ts";
import type { BlockStore } from "../../src/storage/block-store.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";

/** Time that passes only when nobody has anything to do, so that waiting costs nothing and a run repeats exactly. */
export class VirtualTime implements Clock, Timers {
  #now = Date.UTC(2026, 0, 1);
  #next = 0;
  readonly #timers = new Map<number, { at: number; run: () => void }>();
  readonly #tasks: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(delay: number, run: () => void): Cancel {
    const id = this.#next++;
    this.#timers.set(id, { at: this.#now + delay, run });
    return () => void this.#timers.delete(id);
  }

  sleep(delay: number): Promise<void> {
    return new Promise((resolve) => this.after(delay, resolve));
  }

  /** A task of its own, after those that wait already. */
  post(task: () => void): void {
    this.#tasks.push(task);
  }

  /** Runs everybody until the work is done. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const settled = (): void => void (isDone = true);
    work.then(settled, settled);
    for (;;) {
      // Node runs all microtasks before the next immediate.
      await new Promise((resolve) => setImmediate(resolve));
      if (isDone) return work;
      const task = this.#tasks.shift() ?? this.#soonest();
      if (task === undefined) throw new Error("everybody waits and nothing is going to happen");
      task();
    }
  }

  #soonest(): (() => void) | undefined {
    let found: [number, { at: number; run: () => void }] | undefined;
    for (const timer of this.#timers) if (found === undefined || timer[1].at < found[1].at) found = timer;
    if (found === undefined) return undefined;
    const [id, { at, run }] = found;
    this.#timers.delete(id);
    this.#now = Math.max(this.#now, at);
    return run;
  }
}

/**
 * A tab or a worker: what it holds and has asked for ends with it, and nobody is told. Twin of the one in src/testing/agent.ts,
 * which applications get: that one cannot freeze, and has no line of tasks, because it lives among promises that are not ours.
 */
export class Agent {
  isAlive = true;
  /** Nothing runs in it until then; null = it is not frozen. */
  frozen: Promise<unknown> | null = null;
  readonly #held = new Set<HeldLock>();
  readonly #death = new AbortController();
  readonly #time: VirtualTime;
  readonly #locks: MemoryLocks;

  constructor(time: VirtualTime, locks: MemoryLocks) {
    this.#time = time;
    this.#locks = locks;
  }

  die(): void {
    this.isAlive = false;
    this.#death.abort();
    for (const lock of this.#held) lock.release();
  }

  /** Runs one of its tasks, when it can. */
  run(task: () => void): void {
    if (this.frozen !== null) void this.frozen.then(() => this.run(task));
    else if (this.isAlive) task();
  }

  readonly timers: Timers = {
    after: (delay, run) => this.#time.after(delay, () => this.run(run)),
  };

  readonly locks: Locks = {
    acquire: async (name, options = {}) => {
      const signal = options.signal === undefined ? this.#death.signal : AbortSignal.any([options.signal, this.#death.signal]);
      const lock = await this.#locks.acquire(name, { ...options, signal });
      await this.frozen;
      if (!this.isAlive) {
        lock?.release();
        return new Promise(() => {});
      }
      if (lock === null) return null;
      this.#held.add(lock);
      return {
        lost: lock.lost,
        release: () => {
          this.#held.delete(lock);
          lock.release();
        },
      };
    },
  };
}

/** One end of a channel. What was posted before a close or a death still arrives, as in browsers. */
export class VirtualPort implements PortLike {
  peer: VirtualPort | null = null;
  readonly #agent: Agent;
  readonly #time: VirtualTime;
  readonly #listeners = new Set<(event: MessageEvent) => void>();
  #isClosed = false;
  #held: Promise<unknown> | null = null;

  static pair(time: VirtualTime, a: Agent, b: Agent): [VirtualPort, VirtualPort] {
    const [left, right] = [new VirtualPort(time, a), new VirtualPort(time, b)];
    left.peer = right;
    right.peer = left;
    return [left, right];
  }

  constructor(time: VirtualTime, agent: Agent) {
    this.#time = time;
    this.#agent = agent;
  }

  postMessage(message: unknown, transfer: Transferable[] = []): void {
    if (this.#isClosed || !this.#agent.isAlive) return;
    const data: unknown = structuredClone(message, { transfer: transfer as ArrayBuffer[] });
    this.#time.post(() => this.peer!.#receive(data));
  }

  addEventListener(_type: "message", listener: (event: MessageEvent) => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "message", listener: (event: MessageEvent) => void): void {
    this.#listeners.delete(listener);
  }

  start(): void {}

  close(): void {
    this.#isClosed = true;
  }

  /** What arrives waits until then. */
  hold(until: Promise<unknown>): void {
    this.#held = until;
  }

  #receive(data: unknown): void {
    const hear = (): void => this.#agent.run(() => this.#hear(data));
    if (this.#held === null) hear();
    else void this.#held.then(hear);
  }

  #hear(data: unknown): void {
    if (this.#isClosed || !this.#agent.isAlive) return;
    for (const listener of this.#listeners) listener({ data } as MessageEvent);
  }
}

/** An origin in virtual time, whose worker may die at any moment. The next one is started by who needs it. */
export class VirtualOrigin {
  readonly time = new VirtualTime();
  readonly #locks = new MemoryLocks();
  readonly #random = pseudoRandom(1);
  readonly #memo: Memo | null;
  readonly #openStore: () => BlockStore;
  readonly #estimateRoom: EstimateRoom | undefined;
  readonly #tabTimers: Timers | undefined;
  #worker: { agent: Agent; host: BrokerHost } | null = null;
  readonly #tabs = new Set<Agent>();
  readonly #agents = new WeakMap<TabMQ, Agent>();

  /** `tabTimers`: other timers for the tabs, as a control. */
  /** `memo`: local storage; whatever happens to the store, it stays. */
  constructor(openStore: () => BlockStore, options: { tabTimers?: Timers | undefined; memo: Memo | null; estimateRoom?: EstimateRoom }) {
    this.#openStore = openStore;
    this.#tabTimers = options.tabTimers;
    this.#memo = options.memo;
    this.#estimateRoom = options.estimateRoom;
  }

  get host(): BrokerHost | undefined {
    return this.#worker?.host;
  }

  async connect(options: ConnectOptions = {}, overrides: Partial<ClientEnvironment> = {}): Promise<TabMQ> {
    const { time } = this;
    const agent = this.#agent();
    const page = { onHide: () => () => {}, onShow: () => () => {} };
    const environment = { locks: agent.locks, timers: this.#tabTimers ?? agent.timers, clock: time, random: this.#random, page, memo: this.#memo, ...overrides };
    this.#tabs.add(agent);
    const mq = await connectWith(() => ({ ...environment, openBroker: () => ({ port: this.#open(agent), onError: () => {} }) }), untraced(options));
    this.#agents.set(mq, agent);
    return mq;
  }

  /** The tab is gone, without a word. */
  killTab(mq: TabMQ): void {
    this.#agents.get(mq)!.die();
  }

  /** The worker ends when its broker has written what is left. */
  async stopWorker(): Promise<void> {
    await this.host?.broker?.close();
    this.killAll();
  }

  killWorker(): void {
    this.#worker?.agent.die();
    this.#worker = null;
  }

  /** The browser ends. */
  killAll(): void {
    this.killWorker();
    for (const tab of this.#tabs) tab.die();
    this.#tabs.clear();
  }

  #open(tab: Agent): PortLike {
    const { agent, host } = (this.#worker ??= this.#start());
    const [ours, theirs] = VirtualPort.pair(this.time, tab, agent);
    host.accept(theirs);
    return ours;
  }

  #start(): { agent: Agent; host: BrokerHost } {
    const agent = this.#agent();
    const host = new BrokerHost({
      locks: agent.locks,
      timers: agent.timers,
      clock: this.time,
      random: this.#random,
      openStore: this.#openStore,
      loadIndexer: () => Promise.resolve(new TsIndexer()),
      ...(this.#estimateRoom && { estimateRoom: this.#estimateRoom }),
    });
    return { agent, host };
  }

  #agent(): Agent {
    return new Agent(this.time, this.#locks);
  }
}

/** The same bytes in every run. */
export function pseudoRandom(seed: number): Random {
  let state = seed;
  return {
    bytes: (count) =>
      Uint8Array.from({ length: count }, () => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
        return state >>> 24;
      }),
  };
}
