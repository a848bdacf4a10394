import type { AllocateStrategy } from "../../src/client/standing.ts";
import type { PushConsumer } from "../../src/client/push-consumer.ts";
import { allocateMessageQueues } from "../../src/model/allocation.ts";
import { queueKey } from "../../src/model/queue.ts";
import { type Deferred, deferred } from "../../src/platform/deferred.ts";
import { deliveries, deliveryOrder, duplicates, owners, storedOffsets, undelivered, type Verdict } from "./checkers.ts";
import type { At } from "./history.ts";
import { planOf } from "./plan.ts";
import { Prng } from "./prng.ts";
import { storedOf } from "./records.ts";
import { digits } from "./simulate.ts";
import { openTab } from "./stage.ts";
import type { Tab } from "./tab.ts";
import { World } from "./world.ts";

const MEMBERS = 50;
const TABS = 10;
const QUEUES = 16;
const DURATION = 60_000;
const REST_TIMEOUT = 120_000;

const GROUP = "g";
const SUBSCRIPTIONS = { t: "*" };
const STRATEGIES: AllocateStrategy[] = ["AVG", "AVG_BY_CIRCLE", "CONSISTENT_HASH", (request) => allocateMessageQueues("AVG_BY_CIRCLE", request)];

export interface Storm {
  seed: number;
  verdicts: Verdict[];
  history: readonly At[];
  /** How often a member joined, and how often one was given or lost queues. */
  joins: number;
  changes: number;
  sent: number;
}

/** Fifty members join and leave one group at random, some with their tab; every message is consumed, and by nobody twice who stays. */
export async function rebalanceStorm(seed: number, duration = DURATION): Promise<Storm> {
  const { random } = Math;
  Math.random = digits();
  try {
    return await new Group(seed, duration).live();
  } finally {
    Math.random = random;
  }
}

class Group {
  readonly #seed: number;
  readonly #duration: number;
  readonly #random: Prng;
  readonly #world: World;
  readonly #strategy: AllocateStrategy;
  readonly #tabs: Tab[] = [];
  readonly #deaths = new Map<Tab, Deferred<null>>();
  /** Whoever is in the group, with what it was called when it joined. */
  readonly #members = new Map<string, { tab: Tab; consumer: PushConsumer }>();
  readonly #verdicts: Verdict[] = [];
  #joins = 0;
  #changes = 0;
  #sent = 0;
  #nextTab = 1;

  constructor(seed: number, duration: number) {
    this.#seed = seed;
    this.#duration = duration;
    this.#random = new Prng(`rebalance ${seed}`);
    this.#strategy = this.#random.pick(STRATEGIES);
    const calm = { commitFails: 0, commitMisreported: 0, readFails: 0, listenerFails: 0, diskLatency: this.#random.pick([1, 10]), messageLatency: this.#random.pick([0.2, 1, 20]) };
    this.#world = new World(seed, { ...planOf(new Prng("rebalance")), ...calm }, {});
  }

  async live(): Promise<Storm> {
    const { scheduler, trace } = this.#world;
    const first = this.#openTab();
    await this.#until(() => first.mq !== null);
    let isReady = false;
    void first.mq!.admin.createTopic({ topic: "t", readQueueNums: QUEUES, writeQueueNums: QUEUES }).then(() => (isReady = true));
    await this.#until(() => isReady);
    while (this.#tabs.length < TABS) this.#openTab();
    await this.#until(() => this.#tabs.every(({ mq }) => mq !== null));
    for (let at = 0; at < MEMBERS; at++) void this.#comeAndGo();
    void this.#crashTabs();
    void this.#send(first);
    const end = scheduler.now + this.#duration;
    await this.#until(() => scheduler.now >= end, this.#duration + 1);
    this.#world.isHealed = true;
    const isReached = await this.#rest(first);
    if (!isReached) this.#verdicts.push({ kind: "not at rest", text: "the group has not caught up" });
    trace.add({ type: "rest", isReached, readable: [], backlogs: {}, rebuilt: [], lookedAt: 0, damaged: [] });
    const history = trace.entries;
    return {
      seed: this.#seed, history, joins: this.#joins, changes: this.#changes, sent: this.#sent,
      verdicts: [
        ...this.#verdicts, ...deliveries(history), ...deliveryOrder(history), ...duplicates(history), ...owners(history), ...storedOffsets(history),
        ...undelivered(history, { groups: [{ group: GROUP, kind: "push", subscriptions: SUBSCRIPTIONS }] }),
      ],
    };
  }

  #openTab(): Tab {
    const tab = openTab(this.#world, `tab${this.#nextTab++}`);
    this.#tabs.push(tab);
    this.#deaths.set(tab, deferred());
    return tab;
  }

  /** One of the fifty: in the group, then out of it for a while, then in it again, in any tab. */
  async #comeAndGo(): Promise<void> {
    const world = this.#world;
    for (;;) {
      const tab = this.#random.pick(this.#tabs.filter(({ isAlive, mq }) => isAlive && mq !== null));
      if (!(await this.#pause(tab, this.#random.exponential(3_000)))) continue;
      const name = `${tab.agent.name}/${GROUP}/${world.nextConsumer()}`;
      world.trace.add({ type: "joined", consumer: name, tab: tab.agent.name, group: GROUP, kind: "push" });
      this.#joins++;
      const consumer = await this.#orDeath(tab, this.#join(tab, name));
      if (consumer === null) continue;
      if (!(await this.#pause(tab, this.#random.exponential(8_000)))) continue;
      // In the end those stay who are there.
      if (world.isHealed) return;
      const isOut = await this.#orDeath(tab, consumer.shutdown().then(() => true));
      this.#members.delete(name);
      if (isOut !== null) world.trace.add({ type: "left", consumer: name });
    }
  }

  async #join(tab: Tab, name: string): Promise<PushConsumer> {
    const { trace } = this.#world;
    const consumer = await tab.mq!.createPushConsumer({
      consumerGroup: GROUP, subscriptions: SUBSCRIPTIONS, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", allocateMessageQueueStrategy: this.#strategy,
      messageListener: async (message, { attempt }) => {
        const delivery = this.#world.nextDelivery();
        trace.add({ type: "delivered", delivery, consumer: name, group: GROUP, attempt, message: storedOf(message) });
        await tab.sleep(this.#random.exponential(100));
        trace.add({ type: "consumed", delivery, isOk: true });
      },
    });
    this.#members.set(name, { tab, consumer });
    this.#checkOwners(name);
    consumer.on("rebalance", ({ assigned, revoked }) => {
      const names = (queues: { topic: string; queueId: number }[]): string[] => queues.map(({ topic, queueId }) => queueKey(topic, queueId));
      trace.add({ type: "rebalanced", consumer: name, assigned: names(assigned), revoked: names(revoked) });
      this.#changes++;
      this.#checkOwners(name);
    });
    consumer.on("error", (error) => this.#verdicts.push({ kind: "hung call", text: `${name}: ${error.message}` }));
    return consumer;
  }

  /** What one member has been given, no other one that lives has at the same time. */
  #checkOwners(name: string): void {
    const held = ({ consumer }: { consumer: PushConsumer }): string[] => consumer.assignment().map(({ topic, queueId }) => queueKey(topic, queueId));
    const mine = new Set(held(this.#members.get(name)!));
    for (const [other, member] of this.#members) {
      if (other === name || !member.tab.isAlive) continue;
      for (const key of held(member)) {
        if (mine.has(key)) this.#verdicts.push({ kind: "double owner", text: `${key} is assigned to ${other} and to ${name} at ${this.#world.scheduler.now}` });
      }
    }
  }

  /** Members die with their tab, and another tab opens. The first one sends, and stays. */
  async #crashTabs(): Promise<void> {
    const { trace } = this.#world;
    const [first] = this.#tabs;
    while (await this.#pause(first!, this.#random.exponential(10_000))) {
      if (this.#world.isHealed) return;
      const victim = this.#random.pick(this.#tabs.slice(1).filter(({ isAlive }) => isAlive));
      trace.add({ type: "fault", kind: "tab crashed", agent: victim.agent.name });
      this.#world.kill(victim.agent);
      for (const [name, { tab }] of this.#members) if (tab === victim) this.#members.delete(name);
      this.#deaths.get(victim)!.resolve(null);
      this.#openTab();
    }
  }

  async #send(tab: Tab): Promise<void> {
    const producer = await tab.mq!.createProducer({ producerGroup: "p" });
    while (await this.#pause(tab, this.#random.exponential(150))) {
      if (this.#world.isHealed) return;
      await producer.send({ topic: "t", body: String(this.#sent++) });
    }
  }

  async #rest(tab: Tab): Promise<boolean> {
    let quiet = 0;
    const look = async (): Promise<void> => {
      while (quiet < 2) {
        await tab.sleep(2_000);
        const { diffTotal } = await tab.mq!.admin.consumeStats(GROUP);
        quiet = diffTotal === 0 ? quiet + 1 : 0;
      }
    };
    void look();
    await this.#until(() => quiet >= 2, REST_TIMEOUT);
    return quiet >= 2;
  }

  #until(isDone: () => boolean, timeout = 60_000): Promise<void> {
    return this.#world.scheduler.runFor(isDone, timeout);
  }

  /** A dead tab's promises never settle: null when it dies before. */
  async #orDeath<T>(tab: Tab, work: Promise<T>): Promise<T | null> {
    return Promise.race([work, this.#deaths.get(tab)!.promise]);
  }

  /** False when the tab has died meanwhile. */
  async #pause(tab: Tab, ms: number): Promise<boolean> {
    return (await this.#orDeath(tab, tab.sleep(ms).then(() => true))) ?? false;
  }
}
