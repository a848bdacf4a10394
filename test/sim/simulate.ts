import type { DamagedRange } from "../../src/protocol/api.ts";
import type { Stored } from "../support/history.ts";
import { Chaos } from "./chaos.ts";
import { judge, type Verdict } from "./checkers.ts";
import { SCHEDULE_GROUP } from "../../src/broker/schedule.ts";
import { SCHEDULE_TOPIC, TIMER_GROUP, WHEEL_TOPIC } from "../../src/model/system-names.ts";
import type { SimDisk } from "./disk.ts";
import { storedOf } from "./records.ts";
import { type At, placeOf } from "./history.ts";
import { type Plan, planOf } from "./plan.ts";
import { Prng } from "./prng.ts";
import { soundness } from "./soundness.ts";
import { type Roles, Tab } from "./tab.ts";
import { type Controls, World } from "./world.ts";

export interface Run {
  seed: number;
  plan: Plan;
  verdicts: Verdict[];
  history: At[];
  /** Of the history and of every event: equal runs have equal ones. */
  hash: () => string;
  events: number;
  /** Simulated ms. */
  simulated: number;
  /** Rows of the log that have been merged, and what they became. */
  merges: { rows: number; blocks: number };
  /** How often the log's oldest rows were removed. */
  cuts: number;
}

export interface SimulationOptions {
  /** Changes to what the seed has drawn. */
  plan?: (plan: Plan) => Plan;
  controls?: Controls;
  onEvent?: (time: number, agent: string, label: string) => void;
}

/** A world that was healed comes to rest within this time, ms: what failed before is tried again after up to a minute. */
const REST_TIMEOUT = 10 * 60_000;

/** No call may take longer, ms. */
const LONGEST_CALL = 60_000;

/** Lives through one seed: a world is built, used and disturbed, healed, brought to rest, and its history judged. */
export async function simulate(seed: number, options: SimulationOptions = {}): Promise<Run> {
  const { random } = Math;
  Math.random = digits();
  try {
    return await live(seed, options);
  } finally {
    Math.random = random;
  }
}

/**
 * comlink names a call with four of Math.random's numbers, each as a text in base 16, which takes it longer than the
 * call. One digit is the cheapest text, and four of them are enough for all calls that are open at a time.
 */
export function digits(): () => number {
  let drawn = 0;
  return () => {
    const call = drawn >> 2;
    const digit = (call >> ((drawn++ & 3) * 4)) & 15;
    return (digit + 0.5) / Number.MAX_SAFE_INTEGER;
  };
}

async function live(seed: number, { plan: change = (plan) => plan, controls = {}, onEvent }: SimulationOptions): Promise<Run> {
  const plan = change(planOf(new Prng(`plan ${seed}`)));
  const world = new World(seed, plan, controls);
  if (onEvent !== undefined) world.scheduler.onEvent = onEvent;
  const town = new Town(world);
  await town.found();
  const chaos = new Chaos(world, town.tabs, (roles) => town.openTab(roles));
  chaos.start();
  await world.scheduler.run(() => world.scheduler.now >= plan.duration);
  chaos.stop();
  await town.rest();
  const history = world.trace.entries;
  return {
    seed, plan, history,
    verdicts: [...judge(history, plan), ...soundness(history, world.disk.rows)],
    hash: () => `${world.trace.hash()}-${world.scheduler.trace}`,
    events: world.scheduler.events,
    simulated: world.scheduler.now,
    merges: world.disk.merges,
    cuts: world.disk.cuts,
  };
}

/** The tabs of a world: who lives in them, and how they come to rest. */
class Town {
  readonly tabs = new Set<Tab>();
  readonly #all: Tab[] = [];
  readonly #world: World;
  readonly #random: Prng;
  #nextTab = 1;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random.fork("town");
  }

  /** The topics, and the first tabs. */
  async found(): Promise<void> {
    const { plan } = this.#world;
    const first = this.openTab({ producers: 0, groups: [], admin: false, seeker: false }, 0);
    await this.#until(() => first.mq !== null);
    let created = 0;
    for (const { topic, queues } of plan.topics) {
      const spec = { topic, readQueueNums: queues, writeQueueNums: queues };
      void first.call("createTopic", 12_000, () => first.mq!.admin.createTopic(spec)).then(() => created++);
    }
    await this.#until(() => created === plan.topics.length);
    for (let i = 1; i < plan.tabs; i++) this.openTab();
    // Somebody has to consume and to produce.
    this.openTab({ producers: 1, groups: plan.groups, admin: false, seeker: plan.seekers });
  }

  openTab(roles = this.#drawRoles(), build = this.#random.integer(0, this.#world.plan.builds - 1)): Tab {
    const tab = new Tab(this.#world, `tab${this.#nextTab++}`, build, roles);
    this.tabs.add(tab);
    this.#all.push(tab);
    tab.start();
    return tab;
  }

  /** One version of the app stays, everybody does what is left to do, and the last one looks at what there is. */
  async rest(): Promise<void> {
    const world = this.#world;
    const { plan, disk, trace } = world;
    world.isHealed = true;
    Object.assign(disk.weather, { commitFails: 0, commitMisreported: 0, readFails: 0, isFull: false });
    const build = [...this.tabs].find((tab) => tab.isAlive)?.build ?? 0;
    for (const tab of [...this.tabs]) {
      if (tab.build !== build) this.tabs.delete(tab);
    }
    // Also those that are about to close: a page of the other version would start its worker again.
    for (const { build: other, agent } of this.#all) {
      if (other === build || agent.state === "dead") continue;
      trace.add({ type: "fault", kind: "tab crashed", agent: agent.name });
      world.kill(agent);
    }
    for (const worker of world.workers()) {
      if (worker.name.endsWith(`/${build}`)) continue;
      trace.add({ type: "fault", kind: "host killed", agent: worker.name });
      world.kill(worker);
    }
    const last = this.openTab({ producers: 0, groups: plan.groups, admin: false, seeker: false }, build);
    const isReached = await this.#watch(last);
    const backlogs: Record<string, number> = {};
    let readable: Stored[] = [];
    let damaged: DamagedRange[] = [];
    let isRead = false;
    let lookedAt = 0;
    const look = async (): Promise<void> => {
      for (const { group } of plan.groups) backlogs[group] = (await last.mq!.admin.consumeStats(group)).diffTotal;
      lookedAt = world.scheduler.now;
      readable = await readAll(last);
      damaged = (await last.mq!.diagnostics()).broker.damaged;
      isRead = true;
    };
    // The next host has only what is stored: what it shows is what a start after a crash would show.
    const host = world.host();
    if (host !== undefined) {
      trace.add({ type: "fault", kind: "host killed", agent: host.name });
      world.kill(host);
    }
    if (last.mq !== null) void last.call("look", 60_000, look);
    await this.#until(() => isRead, 60_000);
    let open = 0;
    for (const tab of this.tabs) {
      if (!tab.isAlive) continue;
      open++;
      void tab.close().then(() => open--);
    }
    await this.#until(() => open === 0, 60_000);
    // A page that was closed while it connected waits on: every call has until its own limit.
    await this.#until(() => !this.#all.some((tab) => tab.isWaiting), LONGEST_CALL);
    trace.add({ type: "rest", isReached: isReached && isRead, readable, backlogs, lookedAt, rebuilt: disk.records().map(({ message }) => storedOf(message)), damaged });
  }

  /** True when every group has consumed all there is, as the broker sees it, and twice in a row. */
  async #watch(tab: Tab): Promise<boolean> {
    const { scheduler, plan } = this.#world;
    const deadline = scheduler.now + REST_TIMEOUT;
    let quiet = 0;
    const look = async (): Promise<void> => {
      while (quiet < 2 && scheduler.now < deadline) {
        await tab.sleep(5_000);
        if (tab.mq === null) continue;
        const stats = await Promise.all(plan.groups.map(({ group }) => tab.mq!.admin.consumeStats(group))).catch(() => []);
        const isDone = stats.length > 0 && stats.every(({ diffTotal, queues }) => diffTotal === 0 && queues.length > 0) && waiting(this.#world.disk) === 0;
        quiet = isDone ? quiet + 1 : 0;
      }
    };
    void look();
    await this.#until(() => quiet >= 2, REST_TIMEOUT);
    return quiet >= 2;
  }

  #until(isDone: () => boolean, timeout = 60_000): Promise<void> {
    return this.#world.scheduler.runFor(isDone, timeout);
  }

  #drawRoles(): Roles {
    const { plan } = this.#world;
    return {
      producers: this.#random.integer(0, 2),
      groups: plan.groups.filter(() => this.#random.chance(0.5)),
      admin: this.#random.chance(0.3),
      seeker: false,
    };
  }
}

/** How many messages wait for their time. By the stored offsets too: what took the place of one may have been damaged since. */
export function waiting(disk: SimDisk): number {
  const records = disk.records();
  const finished = new Set(records.map(({ finishes }) => finishes));
  const offsets = (disk.rows.state.get(`offset/${SCHEDULE_GROUP}/${SCHEDULE_TOPIC}`) ?? {}) as Record<number, number>;
  return records.filter(({ message }) => {
    const { topic, queueId, queueOffset } = message;
    if (topic === WHEEL_TOPIC) return !finished.has(`${TIMER_GROUP} ${placeOf(storedOf(message))}`);
    return topic === SCHEDULE_TOPIC && queueOffset >= (offsets[queueId] ?? 0) && !finished.has(`${SCHEDULE_GROUP} ${placeOf(storedOf(message))}`);
  }).length;
}

/** What a consumer could read, queue by queue. */
async function readAll(tab: Tab): Promise<Stored[]> {
  const pull = await tab.mq!.createPullConsumer({ consumerGroup: "reader" });
  const all: Stored[] = [];
  for (const { topic } of await tab.mq!.admin.topics()) {
    for (const queue of await pull.fetchQueues(topic)) {
      for (let offset = 0; ; ) {
        const { status, messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 1024);
        all.push(...messages.map(storedOf));
        if (status === "NO_NEW_MSG" || nextBeginOffset <= offset) break;
        offset = nextBeginOffset;
      }
    }
  }
  return all;
}
