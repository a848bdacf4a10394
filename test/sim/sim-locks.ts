import type { HeldLock, Locks } from "../../src/platform/locks.ts";
import type { Agent, Scheduler } from "./scheduler.ts";

interface Request {
  agent: Agent;
  name: string;
  isShared: boolean;
  /** Runs in the agent. */
  grant(held: HeldLock | null): void;
  onLost(): void;
  isAborted: boolean;
}

/** How long the browser takes to grant, and to notice that a holder is dead (measured: 15 to 64 ms). */
const GRANT_MIN = 0.1;
const GRANT_MAX = 2;
const DEATH_MIN = 5;
const DEATH_MAX = 70;

/** The browser's lock manager. It outlives tabs and workers, and frees what a dead one held or waited for. */
export class SimLocks {
  readonly #scheduler: Scheduler;
  readonly #holders = new Map<string, Set<Request>>();
  readonly #queues = new Map<string, Request[]>();
  readonly #mourned = new Set<Agent>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  forAgent(agent: Agent): Locks {
    return {
      acquire: (name, { signal, ifFree = false, steal = false, shared: isShared = false } = {}) => {
        if (signal?.aborted) return Promise.resolve(null);
        this.#watch(agent);
        return new Promise((resolve) => {
          const onAbort = (): void => {
            request.isAborted = true;
            this.#withdraw(request);
            resolve(null);
          };
          const grant = (held: HeldLock | null): void => {
            signal?.removeEventListener("abort", onAbort);
            resolve(held);
          };
          const request: Request = { agent, name, isShared, grant, onLost: () => {}, isAborted: false };
          signal?.addEventListener("abort", onAbort);
          this.#later(agent, steal ? "lock stolen" : "lock wanted", () => (steal ? this.#take(request) : this.#request(request, ifFree)));
        });
      },
    };
  }

  holderOf(name: string): Agent | undefined {
    for (const { agent } of this.#holders.get(name) ?? []) return agent;
    return undefined;
  }

  /** Somebody takes the lock from its holder, who hears of it when it can, and lets it go again. */
  steal(name: string): void {
    this.#dispossess(name);
    this.#next(name);
  }

  #take(request: Request): void {
    if (request.agent.state === "dead") return;
    this.#dispossess(request.name);
    this.#grant(request);
  }

  #dispossess(name: string): void {
    const holders = this.#holders.get(name) ?? [];
    this.#holders.delete(name);
    for (const { agent, onLost } of holders) this.#scheduler.post(agent, agent.random.between(GRANT_MIN, GRANT_MAX), "lock lost", onLost);
  }

  /** A request leaves the agent even if it freezes or dies right after. */
  #later(agent: Agent, label: string, run: () => void): void {
    this.#scheduler.after(agent.random.between(GRANT_MIN, GRANT_MAX), `${label} ${agent.name}`, run);
  }

  #request(request: Request, ifFree: boolean): void {
    if (request.isAborted || request.agent.state === "dead") return;
    const queue = this.#queues.get(request.name) ?? [];
    if (queue.length === 0 && this.#isFree(request)) return this.#grant(request);
    if (ifFree) return void this.#scheduler.post(request.agent, 0, "lock refused", () => request.grant(null));
    queue.push(request);
    this.#queues.set(request.name, queue);
  }

  #grant(request: Request): void {
    const holders = this.#holders.get(request.name) ?? new Set();
    this.#holders.set(request.name, holders.add(request));
    const lost = new Promise<void>((resolve) => (request.onLost = resolve));
    const release = (): void => this.#later(request.agent, "lock released", () => this.#release(request));
    this.#scheduler.post(request.agent, request.agent.random.between(GRANT_MIN, GRANT_MAX), "lock granted", () => {
      if (request.isAborted) release();
      else request.grant({ release, lost });
    });
  }

  #release(request: Request): void {
    const holders = this.#holders.get(request.name);
    if (holders === undefined || !holders.delete(request)) return;
    if (holders.size === 0) this.#holders.delete(request.name);
    this.#next(request.name);
  }

  #isFree({ name, isShared }: Request): boolean {
    const [holder] = this.#holders.get(name) ?? [];
    return holder === undefined || (isShared && holder.isShared);
  }

  #next(name: string): void {
    const queue = this.#queues.get(name) ?? [];
    while (queue[0] !== undefined && this.#isFree(queue[0])) this.#grant(queue.shift()!);
    if (queue.length === 0) this.#queues.delete(name);
  }

  #withdraw(request: Request): void {
    const queue = this.#queues.get(request.name) ?? [];
    const at = queue.indexOf(request);
    if (at >= 0) queue.splice(at, 1);
    this.#next(request.name);
  }

  #watch(agent: Agent): void {
    if (this.#mourned.has(agent)) return;
    this.#mourned.add(agent);
    agent.onDeath.add(() => {
      this.#scheduler.after(agent.random.between(DEATH_MIN, DEATH_MAX), `locks of ${agent.name} freed`, () => this.#bury(agent));
    });
  }

  #bury(agent: Agent): void {
    for (const queue of [...this.#queues.values()]) for (const request of queue.filter((one) => one.agent === agent)) this.#withdraw(request);
    for (const holders of [...this.#holders.values()]) for (const request of [...holders]) if (request.agent === agent) this.#release(request);
  }
}
