import { connectWith } from "../../src/client/connect-with.ts";
import type { PullConsumer } from "../../src/client/pull-consumer.ts";
import type { ConsumeContext } from "../../src/client/listener-runner.ts";
import type { TabMQ } from "../../src/client/tabmq.ts";
import type { MessageExt } from "../../src/model/message.ts";
import { asMQError, type MQError } from "../../src/model/errors.ts";
import { MAX_IDEMPOTENCE_WINDOW } from "../../src/model/limits.ts";
import { queueKey } from "../../src/model/queue.ts";
import { sleep } from "../../src/platform/timers.ts";
import type { Stored } from "../support/history.ts";
import { storedOf } from "./records.ts";
import { DELAY_LEVELS } from "./retry-checkers.ts";
import { GRACE, LIMITS } from "./call-limits.ts";
import type { GroupPlan } from "./plan.ts";
import type { Prng } from "./prng.ts";
import type { Agent } from "./scheduler.ts";
import { Sender } from "./sender.ts";
import { NAMESPACE, type World } from "./world.ts";

export interface Roles {
  producers: number;
  groups: GroupPlan[];
  admin: boolean;
  seeker: boolean;
}

/** An application in a tab: sends, consumes, asks. Everything it does and sees goes into the history. */
export class Tab {
  readonly agent: Agent;
  readonly build: number;
  readonly #world: World;
  readonly #random: Prng;
  readonly #roles: Roles;
  readonly #page = new EventTarget();
  #mq: TabMQ | null = null;
  /** What pull consumers do before they are shut down. */
  readonly #onClose = new Set<() => void>();
  readonly #onRush = new Set<() => void>();
  #isClosing = false;
  #openCalls = 0;
  #nextNumber = 1;

  constructor(world: World, name: string, build: number, roles: Roles) {
    this.#world = world;
    this.agent = world.agent(name);
    this.#random = this.agent.random.fork("app");
    this.build = build;
    this.#roles = roles;
  }

  get mq(): TabMQ | null {
    return this.#mq;
  }

  get isAlive(): boolean {
    return this.agent.state !== "dead" && !this.#isClosing;
  }

  /** Something it has asked for is neither answered nor refused yet. */
  get isWaiting(): boolean {
    return this.agent.state !== "dead" && this.#openCalls > 0;
  }

  /** The page is loaded. */
  start(): void {
    this.#world.scheduler.post(this.agent, 0, "page loaded", () => void this.#live());
  }

  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    const mq = this.#mq;
    for (const finish of this.#onClose) finish();
    if (mq !== null) await this.call("close", LIMITS.close, () => mq.close());
  }

  /** Its producers send far more than usual, at once. */
  rush(): void {
    if (this.isAlive) for (const hurry of this.#onRush) hurry();
  }

  onRush(hurry: () => void): void {
    this.#onRush.add(hurry);
  }

  fire(event: "pagehide" | "pageshow"): void {
    this.#page.dispatchEvent(new Event(event));
  }

  /** A call of the public API: its beginning and its end are noted. Undefined when it failed. */
  async call<T>(what: string, limit: number, work: () => T | Promise<T>, onError: (error: MQError) => void = () => {}): Promise<T | undefined> {
    const call = this.#world.nextCall();
    return this.track(call, what, limit, work, onError);
  }

  /** Orders what this tab sends. */
  nextNumber(): number {
    return this.#nextNumber++;
  }

  sleep(ms: number): Promise<void> {
    return sleep(this.agent.timers, ms);
  }

  /** The same, with a number that was drawn before. */
  async track<T>(call: number, what: string, limit: number, work: () => T | Promise<T>, onError: (error: MQError) => void): Promise<T | undefined> {
    const { trace } = this.#world;
    const frozenBefore = this.agent.frozenTime;
    const frozen = (): number => this.agent.frozenTime - frozenBefore;
    trace.add({ type: "call", call, tab: this.agent.name, what, limit });
    this.#openCalls++;
    try {
      const value = await work();
      trace.add({ type: "settled", call, frozen: frozen() });
      return value;
    } catch (thrown) {
      const error = asMQError(thrown);
      trace.add({ type: "settled", call, code: error.code, outcome: error.outcome, frozen: frozen() });
      // A bug of ours, or of the library's: never an answer.
      if (error.code === "INTERNAL_ERROR" && !/Internal error\.|connection is closing/.test(error.message)) throw thrown;
      onError(error);
      return undefined;
    } finally {
      this.#openCalls--;
    }
  }

  async #live(): Promise<void> {
    const mq = await this.#connect();
    if (mq === null) return;
    this.#mq = mq;
    mq.on("damaged", ({ ranges }) => {
      for (const { position, bytes } of ranges) this.#world.trace.add({ type: "damage told", position, bytes });
    });
    const { producers, groups, admin, seeker } = this.#roles;
    for (let i = 1; i <= producers; i++) void new Sender(this.#world, this, this.#random, `${this.agent.name}p${i}`).run(mq);
    for (const group of groups) void (group.kind === "push" ? this.#push(group) : this.#pull(group));
    if (admin) void this.#administer();
    if (seeker) void this.#seek();
  }

  async #connect(): Promise<TabMQ | null> {
    const { plan } = this.#world;
    const page = {
      onHide: (listener: () => void) => this.#on("pagehide", listener),
      onShow: (listener: () => void) => this.#on("pageshow", listener),
    };
    for (;;) {
      const mq = await this.call("connect", LIMITS.connect, () =>
        connectWith(() => this.#world.environmentFor(this.agent, this.build, page), {
          namespace: NAMESPACE,
          broker: { messageDelayLevel: DELAY_LEVELS, traceEnable: false, ...(plan.maxStoreBytes > 0 && { maxStoreBytes: plan.maxStoreBytes }), ...(plan.fileReservedTime > 0 && { fileReservedTime: plan.fileReservedTime }), ...plan.settings },
        }),
      );
      if (mq !== undefined && !this.#isClosing) return mq;
      await mq?.close();
      if (this.#isClosing) return null;
      await this.sleep(1000);
    }
  }

  #on(event: string, listener: () => void): () => void {
    this.#page.addEventListener(event, listener);
    return () => this.#page.removeEventListener(event, listener);
  }

  /** Waits for its next act; false when there is none. */
  async mayGoOn(gap = this.#world.plan.gap): Promise<boolean> {
    await this.sleep(this.#random.exponential(gap));
    return this.isAlive && !this.#world.isHealed;
  }

  async #push({ group, subscriptions, orderly = false, idempotent = false }: GroupPlan): Promise<void> {
    const { trace } = this.#world;
    let consumer = "";
    let isOpen = true;
    const handle = async (messages: MessageExt[], context: ConsumeContext): Promise<void> => {
      const deliveries: number[] = [];
      for (const message of messages) {
        deliveries.push(this.#delivered(consumer, group, { ...storedOf(message), topic: context.queue.topic }, context.attempt, deliveries[0]));
      }
      const isOk = await this.#work(context.signal);
      for (const delivery of deliveries) trace.add({ type: "consumed", delivery, isOk });
      if (!isOk) throw new Error("the listener fails, as planned");
    };
    while (isOpen) {
      consumer = `${this.agent.name}/${group}/${this.#world.nextConsumer()}`;
      trace.add({ type: "joined", consumer, tab: this.agent.name, group, kind: "push" });
      const joined = await this.call("createPushConsumer", LIMITS.join, () =>
        this.#mq!.createPushConsumer({
          consumerGroup: group,
          subscriptions,
          orderly,
          idempotent: idempotent && { window: MAX_IDEMPOTENCE_WINDOW },
          consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
          maxReconsumeTimes: this.#world.plan.maxReconsumeTimes,
          consumeConcurrency: this.#random.pick([1, 3, 20]),
          ...(this.#random.chance(0.8)
            ? { messageListener: (message, context) => handle([message], context) }
            : { consumeMessageBatchMaxSize: 5, batchListener: handle }),
        }),
      );
      if (joined !== undefined) {
        this.#noteRebalances(consumer, joined);
        this.#noteMoves(consumer, group, joined);
        // Some consumers come and go while their tab stays.
        if (!this.#random.chance(0.2)) return;
        while (await this.mayGoOn(this.#world.plan.gap * 20)) if (this.#random.chance(0.3)) break;
        // In the end somebody has to be left to consume.
        if (!this.isAlive || this.#world.isHealed) return;
        await this.call("shutdown", 5_000 + 2_000 + GRACE, () => joined.shutdown());
        trace.add({ type: "left", consumer });
      }
      isOpen = this.isAlive;
      await this.sleep(1000);
    }
  }

  /** What a listener does: nothing, something, or something that fails. */
  async #work(signal: AbortSignal): Promise<boolean> {
    const { plan, isHealed } = this.#world;
    const fails = !isHealed && this.#random.chance(plan.listenerFails);
    if (plan.work > 0 && this.#random.chance(0.7)) await this.sleep(this.#random.exponential(isHealed ? 5 : plan.work));
    return !fails && !(signal.aborted && this.#random.chance(0.5));
  }

  #delivered(consumer: string, group: string, message: Stored, attempt: number, batch?: number): number {
    const delivery = this.#world.nextDelivery();
    this.#world.trace.add({ type: "delivered", delivery, consumer, group, attempt, message, ...(batch !== undefined && { batch }) });
    return delivery;
  }

  #noteRebalances(consumer: string, joined: Pick<PullConsumer, "on">): void {
    joined.on("rebalance", ({ assigned, revoked }) => {
      const names = (queues: { topic: string; queueId: number }[]): string[] => queues.map(({ topic, queueId }) => queueKey(topic, queueId));
      this.#world.trace.add({ type: "rebalanced", consumer, assigned: names(assigned), revoked: names(revoked) });
    });
  }

  #noteMoves(consumer: string, group: string, joined: Pick<PullConsumer, "on">): void {
    joined.on("offsetMoved", ({ queue, from, to }) => this.#world.trace.add({ type: "moved", consumer, group, queue: queueKey(queue.topic, queue.queueId), from, to }));
  }

  #noteBegins(queues: { queueId: number; minOffset: number }[], topic: string): void {
    this.#world.trace.add({ type: "begins told", tab: this.agent.name, begins: queues.map(({ queueId, minOffset }) => [queueKey(topic, queueId), minOffset]) });
  }

  async #pull({ group, subscriptions }: GroupPlan): Promise<void> {
    const { trace } = this.#world;
    const consumer = `${this.agent.name}/${group}/${this.#world.nextConsumer()}`;
    const pull = await this.#mq!.createPullConsumer({ consumerGroup: group, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
    for (const [topic, expression] of Object.entries(subscriptions)) pull.subscribe(topic, expression);
    this.#noteRebalances(consumer, pull);
    this.#noteMoves(consumer, group, pull);
    trace.add({ type: "joined", consumer, tab: this.agent.name, group, kind: "pull" });
    let given: number[] = [];
    const finish = (): void => {
      for (const delivery of given) trace.add({ type: "consumed", delivery, isOk: true });
      given = [];
    };
    this.#onClose.add(finish);
    while (this.isAlive) {
      finish();
      const timeout = this.#world.isHealed ? 1000 : Math.min(60_000, this.#world.plan.gap);
      const messages = await this.call("poll", LIMITS.join + timeout, () => pull.poll({ timeout: Math.ceil(timeout), max: this.#random.integer(1, 20) }));
      given = (messages ?? []).map((message) => this.#delivered(consumer, group, storedOf(message), 1));
      if (given.length > 0 && this.#random.chance(0.3)) {
        finish();
        await this.call("commit", LIMITS.join, () => pull.commit());
      }
      await this.sleep(this.#random.exponential(this.#world.isHealed ? 100 : Math.min(this.#world.plan.gap, 2000)));
    }
  }

  /** A group of one that jumps back and forth: no promise of order or of once, but none of phantoms and hung calls is waived. */
  async #seek(): Promise<void> {
    const { plan, trace } = this.#world;
    const group = "seekers";
    const { topic } = plan.topics[0]!;
    const consumer = `${this.agent.name}/${group}/${this.#world.nextConsumer()}`;
    const pull = await this.#mq!.createPullConsumer({ consumerGroup: group, autoCommit: false });
    pull.subscribe(topic);
    trace.add({ type: "joined", consumer, tab: this.agent.name, group, kind: "pull" });
    while (await this.mayGoOn(plan.gap * 3)) {
      const messages = await this.call("poll", LIMITS.join + 1000, () => pull.poll({ timeout: 1000 }));
      for (const message of messages ?? []) {
        trace.add({ type: "consumed", delivery: this.#delivered(consumer, group, storedOf(message), 1), isOk: true });
      }
      const queues = pull.assignment();
      if (queues.length === 0) continue;
      const queue = this.#random.pick(queues);
      trace.add({ type: "sought", consumer, queue: queueKey(queue.topic, queue.queueId) });
      await this.call("seek", LIMITS.join + LIMITS.admin, () => (this.#random.chance(0.5) ? pull.seekToBegin(queue) : pull.seekToEnd(queue)));
      if (this.#random.chance(0.5)) await this.call("commit", LIMITS.join, () => pull.commit());
    }
    await this.call("shutdown", LIMITS.close, () => pull.shutdown());
  }

  async #administer(): Promise<void> {
    const { plan } = this.#world;
    const { admin } = this.#mq!;
    while (await this.mayGoOn(plan.gap * 5)) {
      const { topic, queues } = this.#random.pick(plan.topics);
      const asks: (() => Promise<unknown>)[] = [
        () => admin.topics(),
        async () => this.#noteBegins((await admin.topicStats(topic)).queues, topic),
        () => admin.consumeStats(this.#random.pick(plan.groups).group),
        () => this.#mq!.diagnostics(),
        () => admin.createTopic({ topic, readQueueNums: queues + 2, writeQueueNums: queues + this.#random.integer(0, 2) }),
      ];
      await this.call("admin", LIMITS.admin, this.#random.pick(asks));
    }
  }
}
