import { CALL_TIMEOUT } from "../../../src/model/limits.ts";
import type { MQError } from "../../../src/model/errors.ts";
import type { MessageExt } from "../../../src/model/message.ts";
import { MessageSelector } from "../../../src/filter/message-selector.ts";
import type { ConsumeContext, ConsumeResult } from "../../../src/client/listener-runner.ts";
import type { PushConsumer } from "../../../src/client/push-consumer.ts";
import type { SimpleConsumer } from "../../../src/client/simple-consumer.ts";
import { GRACE, LIMITS } from "../call-limits.ts";
import type { Prng } from "../prng.ts";
import { storedOf } from "../records.ts";
import type { Tab } from "../tab.ts";
import type { World } from "../world.ts";
import type { Consumers, ConsumptionPlan } from "./plan.ts";

export const TOPIC = "t";
export const WANTED = "wanted";
/** Of a message that is wanted, `amount` is greater. */
export const AMOUNT = 5;

const FILTERS = { "*": (): string => "*", tag: () => WANTED, sql: () => MessageSelector.bySql(`amount > ${AMOUNT}`) };
/** Virtual ms. */
const PATIENCE = 5_000;

/** A consumer in a tab, and what its application does with what it gets. */
export abstract class Member {
  readonly name: string;
  readonly tab: Tab;
  readonly group: Consumers;
  protected readonly world: World;
  protected readonly plan: ConsumptionPlan;
  protected readonly random: Prng;
  protected isLeaving = false;

  constructor(world: World, plan: ConsumptionPlan, tab: Tab, group: Consumers) {
    this.world = world;
    this.plan = plan;
    this.tab = tab;
    this.group = group;
    this.name = `${tab.agent.name}/${group.group}/${world.nextConsumer()}`;
    this.random = world.random.fork(this.name);
  }

  get isHere(): boolean {
    return this.tab.isAlive && !this.isLeaving;
  }

  abstract start(): Promise<void>;
  protected abstract shutdown(): Promise<void>;

  /** Leaves its group, while its tab stays. */
  async leave(): Promise<void> {
    this.isLeaving = true;
    this.world.trace.add({ type: "leaving", consumer: this.name });
    await this.tab.call("shutdown", PATIENCE + 2_000 + GRACE, () => this.shutdown());
    this.world.trace.add({ type: "left", consumer: this.name });
  }

  protected get fails(): boolean {
    return !this.world.isHealed && this.random.chance(this.plan.fails);
  }

  protected get subscriptions(): Record<string, string | MessageSelector> {
    return { [TOPIC]: FILTERS[this.group.filter]() };
  }
}

export function memberOf(world: World, plan: ConsumptionPlan, tab: Tab, group: Consumers): Member {
  return group.kind === "simple" ? new SimpleMember(world, plan, tab, group) : new PushMember(world, plan, tab, group);
}

interface Claim {
  claim: number;
  message: MessageExt;
}

class SimpleMember extends Member {
  #consumer: SimpleConsumer | null = null;
  #held: Claim[] = [];

  async start(): Promise<void> {
    const { tab, group, world } = this;
    const made = await tab.call("createSimpleConsumer", LIMITS.join, () =>
      tab.mq!.createSimpleConsumer({ consumerGroup: group.group, subscriptions: this.subscriptions, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", maxReconsumeTimes: group.maxReconsumeTimes }),
    );
    if (made === undefined) return;
    world.trace.add({ type: "joined", consumer: this.name, tab: tab.agent.name, group: group.group, kind: "simple" });
    this.#consumer = made;
    // Two of its callers at once, as an application may have.
    void this.#work(made);
    void this.#work(made);
  }

  protected async shutdown(): Promise<void> {
    await this.#consumer?.shutdown();
  }

  async #work(consumer: SimpleConsumer): Promise<void> {
    const { tab, world, random } = this;
    while (this.isHere) {
      await this.#receive(consumer);
      await tab.sleep(random.exponential(this.plan.work));
      const count = world.isHealed ? this.#held.length : random.integer(0, 3);
      for (let left = count; left > 0 && this.#held.length > 0 && this.isHere; left--) {
        const [claim] = this.#held.splice(random.integer(0, this.#held.length - 1), 1);
        const work = this.#finish(consumer, claim!);
        if (random.chance(0.5)) await work;
      }
    }
  }

  async #receive(consumer: SimpleConsumer): Promise<void> {
    const { tab, world, random } = this;
    const asked = world.scheduler.now;
    const invisibleDuration = world.isHealed ? 30_000 : random.pick([30, 300, 3_000]);
    const awaitDuration = world.isHealed ? 4_000 : random.pick([0, 0, 50, 500]);
    const messages = await tab.call("receive", awaitDuration + CALL_TIMEOUT + GRACE, () => consumer.receive({ max: random.integer(1, 5), invisibleDuration, awaitDuration }));
    if (messages === undefined) await tab.sleep(100);
    for (const message of messages ?? []) {
      const claim = world.nextDelivery();
      world.trace.add({ type: "claimed", claim, consumer: this.name, group: this.group.group, asked, invisible: invisibleDuration, message: storedOf(message) });
      this.#held.push({ claim, message });
    }
  }

  async #finish(consumer: SimpleConsumer, held: Claim): Promise<void> {
    const { world, random } = this;
    if (this.fails) return;
    if (!world.isHealed && random.chance(0.2)) {
      const invisible = random.pick([20, 500]);
      world.trace.add({ type: "change asked", claim: held.claim, invisible });
      await this.#ask(held, "change", () => consumer.changeInvisibleDuration(held.message, invisible));
      this.#held.push(held);
    } else {
      world.trace.add({ type: "ack asked", claim: held.claim });
      await this.#ask(held, "ack", () => consumer.ack(held.message));
    }
  }

  async #ask({ claim }: Claim, what: "change" | "ack", work: () => Promise<void>): Promise<void> {
    const { tab, world } = this;
    let isOk: boolean | null = true;
    // The one before it about the same message may take its whole time.
    await tab.call(what, 2 * CALL_TIMEOUT + GRACE, work, ({ outcome }: MQError) => (isOk = outcome === "rejected" ? false : null));
    world.trace.add({ type: `${what} answered`, claim, isOk });
  }
}

class PushMember extends Member {
  #consumer: PushConsumer | null = null;

  async start(): Promise<void> {
    const { tab, group, world, random } = this;
    const { kind, concurrency, batchSize, pullBatchSize, maxReconsumeTimes } = group;
    const made = await tab.call("createPushConsumer", LIMITS.join, () =>
      tab.mq!.createPushConsumer({
        consumerGroup: group.group, subscriptions: this.subscriptions, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
        messageModel: kind === "broadcasting" ? "BROADCASTING" : "CLUSTERING", orderly: kind === "orderly", suspendCurrentQueueTime: 20,
        consumeConcurrency: concurrency, consumeMessageBatchMaxSize: batchSize, pullBatchSize, maxReconsumeTimes,
        batchListener: (messages, context) => this.#consume(messages, context),
      }),
    );
    if (made === undefined) return;
    world.trace.add({ type: "joined", consumer: this.name, tab: tab.agent.name, group: group.group, kind: "push" });
    this.#consumer = made;
    while (this.isHere && !world.isHealed) {
      await tab.sleep(random.exponential(1_000));
      if (!random.chance(0.3)) continue;
      made.suspend();
      await tab.sleep(random.exponential(50));
      made.resume();
    }
  }

  protected async shutdown(): Promise<void> {
    await this.#consumer?.shutdown();
  }

  async #consume(messages: MessageExt[], context: ConsumeContext): Promise<ConsumeResult> {
    const { world, random, group } = this;
    const deliveries = messages.map((message) => ({ delivery: world.nextDelivery(), message }));
    const batch = deliveries[0]!.delivery;
    for (const { delivery, message } of deliveries) {
      const stored = { ...storedOf(message), topic: context.queue.topic };
      world.trace.add({ type: "delivered", delivery, consumer: this.name, group: group.group, attempt: context.attempt, message: stored, batch });
    }
    await this.tab.sleep(random.exponential(this.plan.work));
    const fails = this.fails;
    const good = fails && group.kind === "concurrent" && random.chance(0.5) ? random.integer(1, messages.length) : fails ? 0 : messages.length;
    for (const [at, { delivery }] of deliveries.entries()) world.trace.add({ type: "consumed", delivery, isOk: at < good });
    if (good === messages.length) return undefined;
    if (good > 0) {
      context.ackIndex = good - 1;
      return undefined;
    }
    if (group.kind === "orderly" && random.chance(0.5)) context.suspend(random.integer(0, 100));
    if (group.kind === "concurrent" && random.chance(0.2)) context.delayLevelWhenNextConsume = -1;
    return group.kind === "orderly" ? "SUSPEND_CURRENT_QUEUE_A_MOMENT" : "RECONSUME_LATER";
  }
}
