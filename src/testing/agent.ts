import type { HeldLock, Locks } from "../platform/locks.ts";
import type { MemoryLocks } from "../platform/memory-locks.ts";
import type { Timers } from "../platform/timers.ts";
import type { PortLike } from "../protocol/guarded-endpoint.ts";

/** A tab or a worker: its locks and timers end with it, and nobody is told. */
export class Agent {
  isAlive = true;
  readonly timers: Timers;
  readonly locks: Locks;
  readonly #held = new Set<HeldLock>();
  readonly #death = new AbortController();

  constructor(timers: Timers, locks: MemoryLocks) {
    this.timers = { after: (delay, run) => timers.after(delay, () => this.isAlive && run()) };
    this.locks = { acquire: (name, options) => this.#acquire(locks, name, options) };
  }

  die(): void {
    this.isAlive = false;
    this.#death.abort();
    for (const lock of this.#held) lock.release();
  }

  async #acquire(locks: MemoryLocks, name: string, options: Parameters<Locks["acquire"]>[1] = {}): Promise<HeldLock | null> {
    const end = new AbortController();
    const onEnd = (): void => end.abort();
    for (const signal of [options.signal, this.#death.signal]) {
      if (signal?.aborted) onEnd();
      signal?.addEventListener("abort", onEnd);
    }
    const lock = await locks.acquire(name, { ...options, signal: end.signal });
    for (const signal of [options.signal, this.#death.signal]) signal?.removeEventListener("abort", onEnd);
    if (!this.isAlive) {
      lock?.release();
      return new Promise(() => {});
    }
    if (lock === null) return null;
    const release = (): void => {
      this.#held.delete(lock);
      lock.release();
    };
    this.#held.add(lock);
    return { lost: lock.lost, release };
  }
}

/**
 * One end of a channel inside this process. What was posted before a close or a death still arrives, as in browsers. By
 * microtasks, because an application's own promises and timers run beside it; our tests have a twin that freezes tabs and
 * puts each message into one line of tasks, so that a run repeats exactly (test/support/virtual-origin.ts).
 */
export class LocalPort implements PortLike {
  peer: LocalPort | null = null;
  #isClosed = false;
  readonly #agent: Agent;
  readonly #listeners = new Set<(event: MessageEvent) => void>();

  static pair(a: Agent, b: Agent): [LocalPort, LocalPort] {
    const [left, right] = [new LocalPort(a), new LocalPort(b)];
    left.peer = right;
    right.peer = left;
    return [left, right];
  }

  /** What is posted to it is lost. */
  static toNobody(agent: Agent): LocalPort {
    return new LocalPort(agent);
  }

  private constructor(agent: Agent) {
    this.#agent = agent;
  }

  postMessage(message: unknown, transfer: Transferable[] = []): void {
    if (this.#isClosed || !this.#agent.isAlive) return;
    const data: unknown = structuredClone(message, { transfer });
    const { peer } = this;
    if (peer !== null) queueMicrotask(() => peer.#receive(data));
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

  #receive(data: unknown): void {
    if (this.#isClosed || !this.#agent.isAlive) return;
    for (const listener of this.#listeners) listener({ data } as MessageEvent);
  }
}
