import { writerLock } from "../../src/protocol/lock-names.ts";
import { BrokerHost } from "../../src/broker/host.ts";
import type { ClientEnvironment, SharedMemo, WakeChannel } from "../../src/client/environment.ts";
import type { Indexer } from "../../src/storage/indexer.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { type DiskControls, SimDisk } from "./disk.ts";
import { Trace } from "./history.ts";
import type { Plan } from "./plan.ts";
import { simChannel } from "./ports.ts";
import { Prng } from "./prng.ts";
import { Agent, Scheduler } from "./scheduler.ts";
import { SimLocks } from "./sim-locks.ts";

export const NAMESPACE = "sim";

/** Protections that a control switches off, to see that the checkers bite. */
export interface Controls extends DiskControls {
  /** One port's messages overtake each other. */
  disorderlyPorts?: boolean;
  indexer?: () => Indexer;
  /** Tabs have no place for notes. */
  forgetful?: boolean;
}

interface Worker {
  agent: Agent;
  host: BrokerHost;
}

/** One origin: a browser with its disk, locks and shared workers; the tabs are the application's. */
export class World {
  readonly plan: Plan;
  readonly random: Prng;
  readonly scheduler: Scheduler;
  readonly trace: Trace;
  readonly locks: SimLocks;
  readonly disk: SimDisk;
  readonly #controls: Controls;
  /** build -> its running worker */
  readonly #workers = new Map<string, Worker>();
  readonly #agents: Agent[] = [];
  readonly #portWeather;
  #nextWorker = 1;
  #nextCall = 1;
  #nextDelivery = 1;
  #nextConsumer = 1;
  /** No more faults, and no more work than what is there. */
  isHealed = false;
  /** Times as long as the plan says. */
  diskSlowness = 1;
  messageSlowness = 1;

  constructor(seed: number, plan: Plan, controls: Controls) {
    this.plan = plan;
    this.random = new Prng(`world ${seed}`);
    this.scheduler = new Scheduler(this.random.fork("ties"));
    this.trace = new Trace(() => this.scheduler.now);
    this.locks = new SimLocks(this.scheduler);
    this.#controls = controls;
    const { commitFails, commitMisreported, readFails, diskLatency, messageLatency } = plan;
    const weather = {
      commitFails, commitMisreported, readFails,
      isFull: false,
      losesTail: "lose tail" in plan.disturbances,
      latency: (random: Prng) => Math.min(8_000, random.exponential(this.isHealed ? 0.5 : diskLatency) * this.diskSlowness + 0.2),
    };
    this.disk = new SimDisk(this.scheduler, this.trace, weather, controls);
    this.#portWeather = {
      latency: (random: Prng) => Math.min(4_000, random.exponential(messageLatency) * this.messageSlowness + 0.02),
      isDisorderly: controls.disorderlyPorts ?? false,
    };
  }

  /** Local storage: shared by all tabs, and no part of the disk. */
  readonly #memo = { text: null as string | null, read: () => this.#memo.text, write: (text: string) => void (this.#memo.text = text) };

  #generation: string | null = null;
  readonly #onGeneration = new Map<() => void, Agent>();

  /** The same, with the `storage` event, which other tabs get and a frozen one later. */
  #generationFor(agent: Agent): SharedMemo {
    return {
      read: () => this.#generation,
      write: (text) => {
        this.#generation = text;
        for (const [listener, other] of this.#onGeneration) if (other !== agent) this.scheduler.post(other, this.random.between(0.1, 5), "storage event", listener);
      },
      onChange: (listener) => {
        this.#onGeneration.set(listener, agent);
        return () => this.#onGeneration.delete(listener);
      },
    };
  }

  /** How far the machine's clock is from the true time, ms. */
  #skew = 0;
  #furthestSkew = 0;

  /** Somebody moves the machine's clock: for all there are, and for all that come. */
  moveClock(by: number): void {
    this.#skew += by;
    this.#furthestSkew = Math.max(this.#furthestSkew, this.#skew);
    for (const agent of this.living()) agent.skew += by;
  }

  /** It shows at least what it has shown before: what is due by it becomes due in time. */
  catchUpClock(): void {
    this.moveClock(this.#furthestSkew - this.#skew);
  }

  /** By name: whom a message on a channel reaches. */
  readonly #channels = new Map<string, Map<() => void, Agent>>();

  #wakeChannel(agent: Agent, name: string, onWake: () => void): WakeChannel {
    const listeners = this.#channels.get(name) ?? new Map<() => void, Agent>();
    this.#channels.set(name, listeners);
    listeners.set(onWake, agent);
    return {
      post: () => {
        for (const [listener, other] of listeners) if (listener !== onWake) this.scheduler.post(other, this.random.between(0.1, 5), "wake", listener);
      },
      close: () => void listeners.delete(onWake),
    };
  }

  agent(name: string): Agent {
    const agent = new Agent(name, this.scheduler, this.random);
    agent.skew = this.#skew;
    this.#agents.push(agent);
    return agent;
  }

  /** All tabs and workers that there are. */
  living(): Agent[] {
    return this.#agents.filter(({ state }) => state !== "dead");
  }

  /** How far the store has come, as the tabs have noted; null = nobody has. */
  noted(): { epoch: number; position: number } | null {
    return this.#memo.text === null ? null : (JSON.parse(this.#memo.text) as { epoch: number; position: number });
  }

  nextCall(): number {
    return this.#nextCall++;
  }

  nextDelivery(): number {
    return this.#nextDelivery++;
  }

  nextConsumer(): number {
    return this.#nextConsumer++;
  }

  workers(): Agent[] {
    return [...this.#workers.values()].map(({ agent }) => agent);
  }

  /** The worker that holds the writer lock. */
  host(): Agent | undefined {
    return this.locks.holderOf(writerLock(NAMESPACE));
  }

  environmentFor(agent: Agent, build: number, page: ClientEnvironment["page"]): ClientEnvironment {
    return {
      locks: this.locks.forAgent(agent),
      clock: agent.clock,
      timers: agent.timers,
      random: agent.random,
      openBroker: (generation) => ({ port: this.#openPort(agent, `${build}#${generation}`), onError: () => {} }),
      page,
      openWakeChannel: (name, onWake) => this.#wakeChannel(agent, name, onWake),
      memo: this.#controls.forgetful ? { read: () => null, write: this.#memo.write } : this.#memo,
      generation: this.#generationFor(agent),
    };
  }

  kill(agent: Agent): void {
    agent.die();
    for (const [build, worker] of this.#workers) if (worker.agent === agent) this.#workers.delete(build);
  }

  #openPort(tab: Agent, build: string): ReturnType<typeof simChannel>[0] {
    let worker = this.#workers.get(build);
    const isNew = worker === undefined;
    if (worker === undefined) this.#workers.set(build, (worker = this.#startWorker(build)));
    const { agent, host } = worker;
    const [port, workerPort] = simChannel(this.scheduler, this.#portWeather, tab, agent);
    this.scheduler.post(agent, isNew ? this.random.between(10, 60) : this.random.between(0.1, 2), "connect", () => host.accept(workerPort));
    return port;
  }

  #startWorker(build: string): Worker {
    const agent = this.agent(`worker${this.#nextWorker++}/${build}`);
    const { indexer = () => new TsIndexer() } = this.#controls;
    const host = new BrokerHost({
      locks: this.locks.forAgent(agent),
      clock: agent.clock,
      timers: agent.timers,
      random: agent.random,
      openStore: () => this.disk.open(agent),
      loadIndexer: () => Promise.resolve(indexer()),
    });
    return { agent, host };
  }
}
