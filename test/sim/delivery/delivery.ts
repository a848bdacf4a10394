import { FinishedTimers } from "../../../src/broker/finished-timers.ts";
import { LIMITS } from "../call-limits.ts";
import type { Verdict } from "../checkers.ts";
import type { At } from "../history.ts";
import { planOf as simPlanOf } from "../plan.ts";
import { Prng } from "../prng.ts";
import { digits } from "../simulate.ts";
import { soundness } from "../soundness.ts";
import { openTab } from "../stage.ts";
import { MemoryIdb, stubKeyRange } from "../../support/memory-idb.ts";
import type { Tab } from "../tab.ts";
import { World } from "../world.ts";
import { Actor, Decisions, SETTLED } from "./actors.ts";
import { judge } from "./judges.ts";
import { type DeliveryPlan, planOf } from "./plan.ts";

const REST_TIMEOUT = 300_000;
const TOPICS = ["timed", "tx", "in", "out", "orders"];

/** Checks soon, and as often as it takes: a transaction is given up in no world. */
const SETTINGS = { transactionTimeout: 300, transactionCheckInterval: 500, transactionCheckMax: 1000, fileReservedTime: 1e12 };

export interface Delivery {
  seed: number;
  plan: DeliveryPlan;
  verdicts: Verdict[];
  history: readonly At[];
  hash: () => string;
}

/** Messages that wait, transactions, and messages that are made of others, in a world that a seed draws: brokers and tabs die at every step of them. */
export async function delivery(seed: number, change: (plan: DeliveryPlan) => DeliveryPlan = (plan) => plan): Promise<Delivery> {
  const { random } = Math;
  const { rowOffsets } = FinishedTimers;
  Math.random = digits();
  // So few timers come in a world that a row of the usual length is never whole.
  FinishedTimers.rowOffsets = seed % 2 === 0 ? 8 : rowOffsets;
  stubKeyRange();
  try {
    return await new Theatre(seed, change(planOf(new Prng(`delivery plan ${seed}`)))).live();
  } finally {
    Math.random = random;
    FinishedTimers.rowOffsets = rowOffsets;
  }
}

class Theatre {
  readonly #seed: number;
  readonly #plan: DeliveryPlan;
  readonly #random: Prng;
  readonly #world: World;
  readonly #decisions: Decisions;
  /** The application's own database. */
  readonly #idb = new MemoryIdb();
  readonly #tabs: Tab[] = [];
  #nextTab = 1;

  constructor(seed: number, plan: DeliveryPlan) {
    this.#seed = seed;
    this.#plan = plan;
    this.#random = new Prng(`delivery ${seed}`);
    const { diskLatency, messageLatency, commitFails, commitMisreported } = plan;
    const weather = { commitFails, commitMisreported, readFails: 0, disturbances: {}, maxStoreBytes: 0, fileReservedTime: 0, diskLatency, messageLatency, settings: SETTINGS };
    this.#world = new World(seed, { ...simPlanOf(new Prng("delivery")), ...weather }, {});
    this.#decisions = new Decisions(this.#world);
  }

  async live(): Promise<Delivery> {
    const world = this.#world;
    const { scheduler, trace, disk } = world;
    const plan = this.#plan;
    await this.#found();
    while (this.#tabs.length < plan.tabs) this.#openTab();
    this.#often(plan.hostKills, () => this.#killHost());
    this.#often(plan.tabCrashes, () => this.#crashTab());
    this.#often(plan.blackouts, () => this.#blackOut());
    this.#often(plan.clockJumps, () => this.#jump());
    const end = scheduler.now + plan.duration;
    await this.#until(() => scheduler.now >= end);
    world.isHealed = true;
    world.catchUpClock();
    Object.assign(disk.weather, { commitFails: 0, commitMisreported: 0 });
    const isReached = await this.#rest();
    for (const content of this.#idb.stores.get("orders")!.rows.values()) trace.add({ type: "ordered", content: String(content) });
    trace.add({ type: "rest", isReached, readable: [], backlogs: {}, rebuilt: [], lookedAt: 0, damaged: [] });
    const history = trace.entries;
    return { seed: this.#seed, plan, history, verdicts: [...judge(history), ...soundness(history, disk.rows)], hash: () => `${trace.hash()}-${scheduler.trace}` };
  }

  async #found(): Promise<void> {
    const first = this.#openTab();
    await this.#until(() => first.mq !== null);
    let created = 0;
    for (const topic of TOPICS) {
      const spec = { topic, readQueueNums: this.#plan.queues, writeQueueNums: this.#plan.queues };
      // However often its disk fails.
      const create = async (): Promise<void> => {
        while ((await first.call("createTopic", LIMITS.admin, () => first.mq!.admin.createTopic(spec))) === undefined) await first.sleep(100);
        created++;
      };
      void create();
    }
    await this.#until(() => created === TOPICS.length);
  }

  #openTab(): Tab {
    const tab = openTab(this.#world, `tab${this.#nextTab++}`);
    this.#tabs.push(tab);
    const actor = new Actor(this.#world, this.#plan, tab, this.#decisions, this.#idb);
    const begin = async (): Promise<void> => {
      while (tab.mq === null) await tab.sleep(5);
      actor.act();
    };
    this.#world.scheduler.post(tab.agent, 1, "actor", () => void begin());
    return tab;
  }

  /** Again and again. The world goes on meanwhile. */
  #often(gap: number, act: () => void): void {
    const next = (): void => {
      if (gap === 0) return;
      this.#world.scheduler.after(this.#random.exponential(gap), "act", () => {
        if (this.#world.isHealed) return;
        act();
        next();
      });
    };
    next();
  }

  #killHost(): void {
    const world = this.#world;
    const host = world.host() ?? world.workers()[0];
    if (host === undefined) return;
    world.trace.add({ type: "fault", kind: "host killed", agent: host.name });
    world.kill(host);
  }

  #crashTab(victim: Tab | undefined = this.#living()[0] && this.#random.pick(this.#living())): void {
    if (victim === undefined) return;
    this.#world.trace.add({ type: "fault", kind: "tab crashed", agent: victim.agent.name });
    this.#world.kill(victim.agent);
    this.#world.scheduler.after(this.#random.exponential(100), "next tab", () => void this.#openTab());
  }

  /** Nobody is there for a while. */
  #blackOut(): void {
    for (const tab of this.#living()) this.#crashTab(tab);
    for (let host = this.#world.workers()[0]; host !== undefined; host = this.#world.workers()[0]) {
      this.#world.trace.add({ type: "fault", kind: "host killed", agent: host.name });
      this.#world.kill(host);
    }
  }

  /** The machine's clock is moved, for all at once. */
  #jump(): void {
    this.#world.moveClock(this.#random.pick([-3_600_000, -2_000, 2_000, 86_400_000]));
    this.#world.trace.add({ type: "fault", kind: "clock jumped", agent: "" });
  }

  #living(): Tab[] {
    return this.#tabs.filter(({ isAlive }) => isAlive);
  }

  /** Whatever waits comes to its end; then the groups have consumed all there is. */
  async #rest(): Promise<boolean> {
    const world = this.#world;
    const last = this.#openTab();
    await this.#until(() => last.mq !== null);
    // A clock that was moved while a timer stood is noticed when the broker looks at it again.
    const settled = world.scheduler.now + SETTLED + this.#plan.longestDelay + (this.#plan.clockJumps > 0 ? 61_000 : 0);
    await this.#until(() => world.scheduler.now >= settled);
    let quiet = 0;
    const look = async (): Promise<void> => {
      while (quiet < 2) {
        await last.sleep(2_000);
        const isConsumed = this.#plan.transforms === 0 || (await last.mq!.admin.consumeStats("transform").catch(() => null))?.diffTotal === 0;
        const isDone = isConsumed && this.#idb.stores.get("outbox")!.rows.size === 0;
        quiet = isDone ? quiet + 1 : 0;
      }
    };
    void look();
    await this.#until(() => quiet >= 2, REST_TIMEOUT);
    const isReached = quiet >= 2;
    quiet = 2;
    const closing = this.#living().map((tab) => tab.close());
    let isClosed = false;
    void Promise.all(closing).then(() => (isClosed = true));
    await this.#until(() => isClosed && !this.#tabs.some(({ isWaiting }) => isWaiting), REST_TIMEOUT);
    return isReached;
  }

  #until(isDone: () => boolean, timeout = 120_000): Promise<void> {
    return this.#world.scheduler.runFor(isDone, timeout);
  }
}

/** What whoever sees a red run needs. */
export function describe({ seed, plan, verdicts, history }: Delivery): string {
  return [
    `seed ${seed}: npm run test:sim -- --delivery --seed ${seed}`,
    ...verdicts.slice(0, 10).map(({ kind, text }) => `  ${kind}: ${text}`),
    `  plan: ${JSON.stringify(plan)}`,
    `  ${history.length} entries of the history`,
  ].join("\n");
}
