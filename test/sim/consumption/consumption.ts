import type { Producer } from "../../../src/client/producer.ts";
import { queueKey } from "../../../src/model/queue.ts";
import { LIMITS } from "../call-limits.ts";
import type { Verdict } from "../checkers.ts";
import type { At } from "../history.ts";
import { planOf as simPlanOf } from "../plan.ts";
import { Prng } from "../prng.ts";
import { bodyOf } from "../records.ts";
import { digits, waiting } from "../simulate.ts";
import { soundness } from "../soundness.ts";
import { openTab } from "../stage.ts";
import type { Tab } from "../tab.ts";
import { World } from "../world.ts";
import { judge } from "./judges.ts";
import { AMOUNT, type Member, memberOf, TOPIC, WANTED } from "./members.ts";
import { type Consumers, type ConsumptionPlan, planOf } from "./plan.ts";

const REST_TIMEOUT = 300_000;
/** So long a member's last words may be under way, ms. */
const AFTERMATH = 2_000;

export interface Consumption {
  seed: number;
  plan: ConsumptionPlan;
  verdicts: Verdict[];
  history: readonly At[];
  hash: () => string;
}

/** Groups of all kinds consume one topic in a world that a seed draws: members come, go and crash, brokers die, groups are moved. */
export async function consumption(seed: number, change: (plan: ConsumptionPlan) => ConsumptionPlan = (plan) => plan): Promise<Consumption> {
  const { random } = Math;
  Math.random = digits();
  try {
    return await new Theatre(seed, change(planOf(new Prng(`consumption plan ${seed}`)))).live();
  } finally {
    Math.random = random;
  }
}

class Theatre {
  readonly #seed: number;
  readonly #plan: ConsumptionPlan;
  readonly #random: Prng;
  readonly #world: World;
  readonly #tabs: Tab[] = [];
  readonly #members = new Set<Member>();
  #nextTab = 1;
  #sent = 0;
  #open = 0;

  constructor(seed: number, plan: ConsumptionPlan) {
    this.#seed = seed;
    this.#plan = plan;
    this.#random = new Prng(`consumption ${seed}`);
    const { diskLatency, messageLatency } = plan;
    const calm = { commitFails: 0, commitMisreported: 0, readFails: 0, disturbances: {}, maxStoreBytes: 0, fileReservedTime: 0, diskLatency, messageLatency };
    this.#world = new World(seed, { ...simPlanOf(new Prng("consumption")), ...calm }, {});
  }

  async live(): Promise<Consumption> {
    const { scheduler, trace, disk } = this.#world;
    const plan = this.#plan;
    const first = this.#openTab();
    await this.#until(() => first.mq !== null);
    let producer: Producer | null = null;
    void this.#prepare(first).then((made) => (producer = made));
    await this.#until(() => producer !== null);
    while (this.#tabs.length < plan.tabs) this.#openTab();
    await this.#until(() => this.#tabs.every(({ mq }) => mq !== null));
    for (const group of plan.groups) for (let count = 0; count < group.members; count++) this.#join(group);
    this.#often(plan.gap, () => this.#send(first, producer!));
    this.#often(plan.hostKills, () => this.#killHost());
    this.#often(plan.tabCrashes, () => this.#crashTab());
    this.#often(plan.comings, () => this.#comeOrGo());
    this.#often(plan.resets, () => this.#reset(first));
    const end = scheduler.now + plan.duration;
    await this.#until(() => scheduler.now >= end);
    this.#world.isHealed = true;
    await this.#until(() => this.#open === 0);
    const isReached = await this.#rest(first);
    trace.add({ type: "rest", isReached, readable: [], backlogs: {}, rebuilt: [], lookedAt: 0, damaged: [] });
    const history = trace.entries;
    return {
      seed: this.#seed, plan, history,
      verdicts: [...judge(history, plan), ...soundness(history, disk.rows)],
      hash: () => `${trace.hash()}-${scheduler.trace}`,
    };
  }

  #openTab(): Tab {
    const tab = openTab(this.#world, `tab${this.#nextTab++}`);
    this.#tabs.push(tab);
    return tab;
  }

  async #prepare(tab: Tab): Promise<Producer> {
    const { queues, backlog } = this.#plan;
    await tab.mq!.admin.createTopic({ topic: TOPIC, readQueueNums: queues, writeQueueNums: queues });
    // Whatever happens to the brokers, each message is stored in the end.
    const producer = await tab.mq!.createProducer({ producerGroup: "p", sendMsgTimeout: 100_000 });
    for (let count = 0; count < backlog; count++) await this.#send(tab, producer);
    return producer;
  }

  /** Something happens again and again, each time when the last one is over. The world goes on meanwhile. */
  #often(gap: number, act: () => Promise<unknown> | void): void {
    const { scheduler } = this.#world;
    const next = (): void => void (gap > 0 && scheduler.after(this.#random.exponential(gap), "act", () => void once()));
    const once = async (): Promise<void> => {
      if (this.#world.isHealed) return;
      this.#open++;
      await act();
      this.#open--;
      next();
    };
    next();
  }

  async #send(tab: Tab, producer: Producer): Promise<void> {
    const { wanted, maxBytes } = this.#plan;
    const random = this.#random;
    const isWanted = random.chance(wanted);
    const messageGroup = random.chance(0.5) ? random.pick(["a", "b", "c"]) : undefined;
    const body = random.chance(0.1) ? "" : bodyOf(`${this.#sent++}`, random.integer(0, maxBytes));
    const properties = { amount: `${isWanted ? AMOUNT + 1 : AMOUNT - 1}` };
    const sent = await tab.call("send", 100_000 + 5_000, () => producer.send({ topic: TOPIC, body, tags: isWanted ? WANTED : "other", properties, ...(messageGroup !== undefined && { messageGroup }) }));
    if (sent !== undefined && messageGroup !== undefined) this.#world.trace.add({ type: "grouped", msgId: sent.msgId, messageGroup });
  }

  #killHost(): void {
    const world = this.#world;
    const host = world.host() ?? world.workers()[0];
    if (host === undefined) return;
    world.trace.add({ type: "fault", kind: "host killed", agent: host.name });
    world.kill(host);
  }

  /** The first tab sends and moves the groups; it stays. */
  #crashTab(): void {
    const victim = this.#random.pick(this.#tabs.filter((tab, at) => at > 0 && tab.isAlive && tab.mq !== null));
    if (victim === undefined) return;
    this.#world.trace.add({ type: "fault", kind: "tab crashed", agent: victim.agent.name });
    this.#world.kill(victim.agent);
    this.#openTab();
  }

  #comeOrGo(): Promise<void> | void {
    const here = [...this.#members].filter(({ isHere }) => isHere);
    if (here.length > 0 && this.#random.chance(0.5)) {
      const member = this.#random.pick(here);
      return member.leave().then(() => void this.#members.delete(member));
    }
    this.#join(this.#random.pick(this.#plan.groups));
  }

  #join(group: Consumers, tabs: readonly Tab[] = this.#tabs): void {
    // A client broadcasts to one consumer of a group.
    const isTaken = (tab: Tab): boolean => group.kind === "broadcasting" && [...this.#members].some((member) => member.tab === tab && member.group === group);
    const free = tabs.filter((tab) => tab.isAlive && tab.mq !== null && !isTaken(tab));
    if (free.length === 0) return;
    const tab = this.#random.pick(free);
    const member = memberOf(this.#world, this.#plan, tab, group);
    this.#members.add(member);
    void member.start();
  }

  /** A group goes back or ahead, in one queue or in all. */
  async #reset(tab: Tab): Promise<void> {
    const { trace, scheduler } = this.#world;
    const { queues, groups } = this.#plan;
    const random = this.#random;
    const { group } = random.pick(groups);
    const queueId = random.chance(0.5) ? null : random.integer(0, queues - 1);
    const reset = this.#world.nextCall();
    const to = random.chance(0.7) ? { offset: random.pick([0, random.integer(0, 20), random.integer(0, 60)]) } : { timestamp: tab.agent.clock.now() - random.integer(0, Math.ceil(scheduler.now)) };
    const names = (queueId === null ? Array.from({ length: queues }, (_, id) => id) : [queueId]).map((id) => queueKey(TOPIC, id));
    trace.add({ type: "reset asked", reset, group, queues: names });
    let isRejected = false;
    const queue = queueId === null ? {} : { queue: { topic: TOPIC, brokerName: "broker-a", queueId } };
    const places = await tab.call("resetOffset", LIMITS.admin, () => tab.mq!.admin.resetOffset({ group, topic: TOPIC, ...queue, ...to }), ({ outcome }) => (isRejected = outcome === "rejected"));
    trace.add({ type: "reset answered", reset, offsets: places?.map(({ queueId: id, offset }) => [queueKey(TOPIC, id), offset]) ?? (isRejected ? [] : null) });
  }

  /** Another tab joins every group, and all is consumed that is left. */
  async #rest(tab: Tab): Promise<boolean> {
    const world = this.#world;
    const groups = this.#plan.groups.filter(({ kind }) => kind !== "broadcasting");
    const last = this.#openTab();
    await this.#until(() => last.mq !== null);
    for (const group of groups) this.#join(group, [last]);
    let quiet = 0;
    const look = async (): Promise<void> => {
      while (quiet < 2) {
        await tab.sleep(2_000);
        const stats = await Promise.all(groups.map(({ group }) => tab.mq!.admin.consumeStats(group))).catch(() => null);
        const isDone = stats !== null && waiting(world.disk) === 0 && stats.every(({ diffTotal, queues }) => diffTotal === 0 && queues.every(({ inflight }) => inflight === 0));
        quiet = isDone ? quiet + 1 : 0;
      }
    };
    void look();
    await this.#until(() => quiet >= 2, REST_TIMEOUT);
    // Calls that have begun end by their time; what waits for a message waits no longer than this.
    const end = world.scheduler.now + AFTERMATH;
    await this.#until(() => world.scheduler.now >= end);
    const isReached = quiet >= 2;
    quiet = 2;
    for (const member of this.#members) if (member.isHere) void member.leave();
    await this.#until(() => !this.#tabs.some(({ isWaiting }) => isWaiting), REST_TIMEOUT);
    return isReached;
  }

  #until(isDone: () => boolean, timeout = 120_000): Promise<void> {
    return this.#world.scheduler.runFor(isDone, timeout);
  }
}

/** What whoever sees a red run needs. */
export function describe({ seed, plan, verdicts, history }: Consumption): string {
  return [
    `seed ${seed}: npm run test:sim -- --consumers --seed ${seed}`,
    ...verdicts.slice(0, 10).map(({ kind, text }) => `  ${kind}: ${text}`),
    `  plan: ${JSON.stringify(plan)}`,
    `  ${history.length} entries of the history`,
  ].join("\n");
}
