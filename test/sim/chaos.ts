import { writerLock } from "../../src/protocol/lock-names.ts";
import { AFTERMATH } from "./disturbances.ts";
import type { FaultKind } from "./history.ts";
import type { Disturbance } from "./plan.ts";
import type { Prng } from "./prng.ts";
import type { Agent } from "./scheduler.ts";
import type { Roles, Tab } from "./tab.ts";
import { NAMESPACE, type World } from "./world.ts";

/** Disturbs a world as its plan says: each kind of disturbance comes by itself, at random. */
export class Chaos {
  readonly #world: World;
  readonly #random: Prng;
  readonly #tabs: Set<Tab>;
  readonly #openTab: (roles?: Roles) => void;
  #isOver = false;
  /** Until then nothing else happens. */
  #peaceUntil = 0;
  /** What has to be undone in the end. */
  readonly #lasting = new Set<() => void>();

  constructor(world: World, tabs: Set<Tab>, openTab: (roles?: Roles) => void) {
    this.#world = world;
    this.#random = world.random.fork("chaos");
    this.#tabs = tabs;
    this.#openTab = openTab;
  }

  start(): void {
    this.#world.disk.founded();
    for (const [kind, gap] of Object.entries(this.#world.plan.disturbances)) this.#next(kind as Disturbance, gap);
  }

  /** Everything that is still going on ends. */
  stop(): void {
    this.#isOver = true;
    for (const end of this.#lasting) end();
    this.#lasting.clear();
  }

  #next(kind: Disturbance, gap: number): void {
    this.#world.scheduler.after(this.#random.exponential(gap), kind, () => {
      if (this.#isOver) return;
      if (this.#world.scheduler.now >= this.#peaceUntil) this.#disturb(kind);
      this.#next(kind, gap);
    });
  }

  #disturb(kind: Disturbance): void {
    const world = this.#world;
    const { disk } = world;
    const host = world.host() ?? world.workers()[0];
    const tab = this.#random.pick([...this.#tabs, undefined]);
    switch (kind) {
      case "kill host": {
        const victim = this.#random.chance(0.8) ? host : this.#random.pick([...world.workers(), undefined]);
        if (victim === undefined) return;
        this.#note("host killed", victim.name);
        return world.kill(victim);
      }
      case "pause host":
        if (host !== undefined) this.#freeze("host paused", host, this.#random.exponential(5_000));
        return;
      case "pause host past its lease":
        if (host === undefined) return;
        this.#freeze("host paused", host, this.#random.between(500, 40_000));
        return this.#steal();
      case "steal writer lock":
        return this.#steal();
      case "crash tab":
        if (tab === undefined) return;
        this.#note("tab crashed", tab.agent.name);
        this.#tabs.delete(tab);
        world.kill(tab.agent);
        return this.#replace();
      case "freeze tab":
        if (tab === undefined) return;
        return this.#freeze("tab frozen", tab.agent, this.#random.pick([500, 5_000, 40_000, 120_000]) * this.#random.between(0.5, 1.5));
      case "stall":
        return this.#stall(this.#random.pick([host, tab?.agent]));
      case "hide tab":
        if (tab !== undefined) this.#hide(tab);
        return;
      case "close tab":
        if (tab === undefined) return;
        this.#note("tab closed", tab.agent.name);
        this.#tabs.delete(tab);
        world.scheduler.post(tab.agent, 0, "close", () => void tab.close());
        return this.#replace();
      case "open tab":
        if (this.#tabs.size < 8) this.#openTab();
        return;
      case "lose store":
        this.#note("store lost", "disk");
        return disk.forceClose();
      case "fill quota":
        disk.weather.isFull = true;
        this.#last(this.#random.exponential(5_000), () => (disk.weather.isFull = false));
        return;
      case "slow disk": {
        const until = this.#last(this.#random.exponential(10_000), () => (world.diskSlowness = 1));
        world.diskSlowness = this.#random.pick([10, 100, 1000]);
        return this.#note("disk slow", "disk", until);
      }
      case "slow messages": {
        const until = this.#last(this.#random.exponential(10_000), () => (world.messageSlowness = 1));
        world.messageSlowness = this.#random.pick([10, 100, 1000]);
        return this.#note("messages slow", "ports", until);
      }
      case "throttle timers": {
        if (tab === undefined) return;
        tab.agent.isThrottled = true;
        return this.#note("timers throttled", tab.agent.name, this.#last(this.#random.exponential(60_000), () => (tab.agent.isThrottled = false)));
      }
      case "jump clock": {
        const agent = this.#random.pick([host, tab?.agent]);
        if (agent === undefined) return;
        const by = this.#random.pick([-1, 1]) * this.#random.pick([1_000, 600_000, 3_600_000, 30 * 86_400_000]);
        agent.skew += by;
        return this.#world.trace.add({ type: "fault", kind: "clock jumped", agent: agent.name, by });
      }
      case "damage row": {
        if (disk.damage(this.#random)) this.#note("row damaged", "disk");
        return;
      }
      case "lose tail":
        return this.#cutPower();
      case "pile up":
        if (host !== undefined) this.#pileUp(host);
        return;
      case "freeze tab for long":
        if (tab !== undefined) this.#freezeInPeace(tab);
        return;
    }
  }

  /** All stops at once, and of what the tabs have noted as stored the end is gone. Then people come back. */
  #cutPower(): void {
    const world = this.#world;
    const { plan, scheduler } = world;
    const noted = world.noted();
    if (noted === null || !world.disk.loseTail(noted, this.#random.integer(0, 8))) return;
    const workers = world.workers();
    for (const agent of world.living()) {
      this.#note(workers.includes(agent) ? "host killed" : "tab crashed", agent.name);
      world.kill(agent);
    }
    this.#tabs.clear();
    for (let tab = 0; tab < plan.tabs; tab++) {
      const roles = tab === 0 ? { producers: 1, groups: plan.groups, admin: false, seeker: plan.seekers } : undefined;
      scheduler.after(this.#random.exponential(1_000), "open tab", () => void (this.#isOver || this.#openTab(roles)));
    }
  }

  /** The host stands still while more is sent than may be on its way to it, and dies. */
  #pileUp(host: Agent): void {
    const { scheduler } = this.#world;
    this.#freeze("host paused", host, 2_500);
    for (const tab of this.#tabs) scheduler.post(tab.agent, 0, "rush", () => tab.rush());
    scheduler.after(this.#random.between(600, 2_000), "end of the pile", () => {
      if (this.#isOver || host.state === "dead") return;
      this.#note("host killed", host.name);
      this.#world.kill(host);
    });
  }

  /** For longer than a member may be silent; what else was going on is over by then, and nothing new comes. */
  #freezeInPeace({ agent }: Tab): void {
    const { scheduler } = this.#world;
    const duration = this.#random.between(60_000, 120_000);
    this.#peaceUntil = scheduler.now + AFTERMATH + 5_000 + duration;
    scheduler.after(AFTERMATH + 5_000, "freeze in peace", () => void (this.#isOver || this.#freeze("tab frozen", agent, duration)));
  }

  #replace(): void {
    if (this.#random.chance(0.8)) this.#world.scheduler.after(this.#random.exponential(2_000), "open tab", () => void (this.#isOver || this.#openTab()));
  }

  #steal(): void {
    this.#note("writer lock stolen", this.#world.host()?.name ?? "nobody");
    this.#world.locks.steal(writerLock(NAMESPACE));
  }

  #freeze(kind: FaultKind, agent: Agent, duration: number): void {
    if (agent.state !== "running") return;
    agent.freeze();
    this.#note(kind, agent.name, this.#last(duration, () => agent.resume()));
  }

  /** Busy with something else for a moment, as every event loop is now and then. */
  #stall(agent: Agent | undefined): void {
    if (agent === undefined) return;
    const isTab = [...this.#tabs].some((tab) => tab.agent === agent);
    this.#freeze(isTab ? "tab frozen" : "host paused", agent, this.#random.between(1, 500));
  }

  /** Into the back-forward cache, and out of it again. */
  #hide(tab: Tab): void {
    const { agent } = tab;
    if (agent.state !== "running") return;
    const { scheduler } = this.#world;
    scheduler.post(agent, 0, "pagehide", () => tab.fire("pagehide"));
    const hidden = scheduler.after(this.#random.between(1, 20), "into the cache", () => agent.freeze());
    const until = this.#last(this.#random.between(50, 60_000), () => {
      hidden();
      agent.resume();
      scheduler.post(agent, 0, "pageshow", () => tab.fire("pageshow"));
    });
    this.#note("tab hidden", agent.name, until);
  }

  /** Ends by itself after a while, or with the chaos. Returns when. */
  #last(duration: number, end: () => void): number {
    const once = (): void => {
      if (this.#lasting.delete(once)) end();
    };
    this.#lasting.add(once);
    this.#world.scheduler.after(duration, "end of a disturbance", once);
    return this.#world.scheduler.now + duration;
  }

  #note(kind: FaultKind, agent: string, until?: number): void {
    this.#world.trace.add({ type: "fault", kind, agent, ...(until === undefined ? {} : { until }) });
  }
}
