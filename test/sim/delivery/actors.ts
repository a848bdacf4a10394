import type { ConsumeContext } from "../../../src/client/listener-runner.ts";
import type { Producer, SendOptions, SendResult } from "../../../src/client/producer.ts";
import type { Message, MessageExt } from "../../../src/model/message.ts";
import { GRACE, LIMITS, SEND_TIMEOUT } from "../call-limits.ts";
import type { Prng } from "../prng.ts";
import { DELAY_LEVELS } from "../retry-checkers.ts";
import { parseDelayLevels } from "../../../src/model/delay-level.ts";
import type { MemoryIdb } from "../../support/memory-idb.ts";
import type { Tab } from "../tab.ts";
import type { World } from "../world.ts";
import type { DeliveryPlan } from "./plan.ts";

const DELAYS = parseDelayLevels(DELAY_LEVELS);
/** Of these levels a healed world soon comes to the end. */
const SHORT_LEVELS = 3;
const RESENDS = 4;

export type Decision = "COMMIT" | "ROLLBACK";

/** The application's own database: what it has decided is decided, whoever asks and whatever has died. */
export class Decisions {
  readonly #decisions = new Map<string, Decision>();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  of(content: string): Decision | undefined {
    return this.#decisions.get(content);
  }

  /** The first word counts. */
  decide(content: string, decision: Decision): Decision {
    const known = this.#decisions.get(content);
    if (known !== undefined) return known;
    this.#decisions.set(content, decision);
    this.#world.trace.add({ type: "decided", content, decision });
    return decision;
  }
}

/** An application in a tab: sends messages that wait, runs transactions, makes one message of another. */
export class Actor {
  readonly tab: Tab;
  readonly #world: World;
  readonly #plan: DeliveryPlan;
  readonly #random: Prng;
  readonly #decisions: Decisions;
  readonly #idb: MemoryIdb;
  #sent = 0;

  constructor(world: World, plan: DeliveryPlan, tab: Tab, decisions: Decisions, idb: MemoryIdb) {
    this.tab = tab;
    this.#world = world;
    this.#plan = plan;
    this.#random = world.random.fork(`actor ${tab.agent.name}`);
    this.#decisions = decisions;
    this.#idb = idb;
  }

  /** Call when the tab is connected. */
  act(): void {
    const { timers, transactions, transforms, orders } = this.#plan;
    if (timers > 0) void this.#live(timers, (producer) => this.#sendTimed(producer));
    if (transactions > 0) void this.#transact(transactions);
    if (transforms > 0) void this.#live(transforms, (producer) => this.#sendAgainAndAgain(producer, { topic: "in", body: this.#name("in") }));
    if (transforms > 0) void this.#transform();
    if (orders > 0) void this.#order(orders);
  }

  async #live(gap: number, act: (producer: Producer) => Promise<unknown>): Promise<void> {
    const producer = await this.tab.mq!.createProducer({ producerGroup: "p", sendMsgTimeout: SEND_TIMEOUT });
    while (await this.tab.mayGoOn(gap)) {
      const done = act(producer);
      if (this.#random.chance(0.5)) await done;
    }
  }

  async #sendTimed(producer: Producer): Promise<void> {
    const random = this.#random;
    const content = this.#name("timed");
    const level = random.chance(0.3) ? random.integer(1, SHORT_LEVELS) : 0;
    const after = level > 0 ? DELAYS[level - 1]! : random.integer(0, this.#plan.longestDelay);
    const time = level > 0 ? { delayTimeLevel: level } : random.chance(0.5) ? { deliverAfter: after } : { deliverAt: this.tab.agent.clock.now() + after };
    // The tab's clock shows whole milliseconds.
    this.#world.trace.add({ type: "timed", content, after: after - 1 });
    const sent = await this.#sendAgainAndAgain(producer, { topic: "timed", body: content, ...time });
    if (sent?.recallHandle === undefined || !random.chance(this.#plan.recalls)) return;
    await this.tab.sleep(random.between(0, after * 1.2));
    if (!this.tab.isAlive) return;
    let isUnknown = false;
    this.#world.trace.add({ type: "recall asked", content });
    const answer = await this.tab.call("recall", LIMITS.admin, () => producer.recall(sent.recallHandle!), ({ outcome }) => (isUnknown = outcome === "unknown"));
    this.#world.trace.add({ type: "recall answered", content, isRecalled: answer?.recalled ?? (isUnknown ? null : false) });
  }

  /** As applications do: of what nobody knows the outcome it sends again, the same message. */
  async #sendAgainAndAgain(producer: Producer, message: Message, options?: SendOptions): Promise<SendResult | undefined> {
    for (let tries = 0; tries < RESENDS && this.tab.isAlive; tries++) {
      let isUnknown = false;
      const sent = await this.tab.call("send", LIMITS.send, () => producer.send(message, options), ({ outcome }) => (isUnknown = outcome === "unknown"));
      if (sent?.sendStatus === "SEND_OK") {
        this.#world.trace.add({ type: "accepted", content: String(message.body) });
        return sent;
      }
      if (!isUnknown) return undefined;
    }
    return undefined;
  }

  async #transact(gap: number): Promise<void> {
    const random = this.#random;
    const producer = await this.tab.call("createTransactionProducer", LIMITS.join, () => this.tab.mq!.createTransactionProducer({
      producerGroup: "tx",
      sendMsgTimeout: SEND_TIMEOUT,
      executeLocalTransaction: async (message) => {
        const content = String(message.body);
        await this.tab.sleep(random.exponential(this.#plan.work));
        const decision = this.#decisions.decide(content, random.chance(0.6) ? "COMMIT" : "ROLLBACK");
        if (random.chance(this.#plan.fails)) throw new Error("the tab does not get to say it");
        return random.chance(this.#plan.fails) ? "UNKNOWN" : decision;
      },
      checkLocalTransaction: async (message) => {
        await this.tab.sleep(random.exponential(this.#plan.work));
        if (!this.#world.isHealed && random.chance(this.#plan.fails)) {
          if (random.chance(0.5)) throw new Error("the check fails");
          return "UNKNOWN";
        }
        // Of what has not even begun there is nothing in the database.
        return this.#decisions.decide(message.text(), "ROLLBACK");
      },
    }));
    if (producer === undefined) return;
    while (await this.tab.mayGoOn(gap)) {
      const content = this.#name("tx");
      this.#world.trace.add({ type: "begun", content });
      const sent = this.tab.call("sendMessageInTransaction", LIMITS.send + LIMITS.admin + this.#plan.work * 50, () => producer.sendMessageInTransaction({ topic: "tx", body: content }, null))
        .then((result) => result?.sendStatus === "SEND_OK" && this.#world.trace.add({ type: "accepted", content }));
      if (random.chance(0.5)) await sent;
    }
  }

  async #transform(): Promise<void> {
    const { orderly, batchSize, fails, work } = this.#plan;
    const random = this.#random;
    const handle = async (messages: MessageExt[], context: ConsumeContext): Promise<void> => {
      for (const message of messages) {
        context.send({ topic: "out", body: `${message.text()}-out` });
        await this.tab.sleep(random.exponential(work));
      }
      if (!this.#world.isHealed && random.chance(fails)) throw new Error("the listener fails, as planned");
    };
    await this.tab.call("createPushConsumer", LIMITS.join, () => this.tab.mq!.createPushConsumer({
      consumerGroup: "transform", subscriptions: { in: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", orderly, suspendCurrentQueueTime: 20,
      consumeMessageBatchMaxSize: batchSize, batchListener: handle,
    }));
  }

  /** Writes orders of its own, each with its message, in one transaction of the application's database; some it takes back. */
  async #order(gap: number): Promise<void> {
    const random = this.#random;
    const db = this.#idb.open({ turn: () => this.tab.sleep(random.exponential(2)) });
    const outbox = await this.tab.call("outbox", LIMITS.admin, () => this.tab.mq!.outbox(db, "outbox"));
    if (outbox === undefined) return;
    while (await this.tab.mayGoOn(gap)) {
      const content = this.#name("order");
      const transaction = db.transaction(["orders", "outbox"], "readwrite");
      (transaction.objectStore("orders").add as (value: string) => void)(content);
      outbox.add(transaction, { topic: "orders", body: content });
      if (random.chance(0.2)) transaction.abort();
    }
  }

  #name(kind: string): string {
    return `${kind}-${this.tab.agent.name}-${this.#sent++}`;
  }
}

/** By when a transaction that was left open is settled, as the worlds are set up, ms. */
export const SETTLED = 10_000 + GRACE;
