/**
 * One run of a fixed workload, through the real client and the real broker, over a store that fails where the plan
 * says. What breaks a promise is gathered as text: an empty list is good.
 */
import type { Memo } from "../../src/client/environment.ts";
import type { Message, MessageExt, Producer, PushConsumer, SendResult, TabMQ } from "../../src/index.ts";
import { MQError } from "../../src/index.ts";
import { textOf } from "../../src/model/errors.ts";
import { ROW_REST } from "../../src/model/limits.ts";
import type { Timers } from "../../src/platform/timers.ts";
import type { BlockStore } from "../../src/storage/block-store.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { type Fault, FaultPlan, FaultyStore, type Operation } from "./faulty-store.ts";
import { type Acked, type Delivered, deliveredTwice, disordered, lost, type Stored } from "./history.ts";
import { asDamaged } from "./sound-stores.ts";
import { readStore } from "./store-check.ts";
import { VirtualOrigin } from "./virtual-origin.ts";

export interface CrashRunOptions {
  faults?: Fault[];
  /** How long after the first fault the device is well again, ms of virtual time. */
  repairAfter?: number;
  /** Messages of one batch to one queue; more than 1024 fill a page. */
  pageMessages?: number;
  /** Bytes of a message that spans several rows; with 4 MiB a checkpoint comes before its time. */
  longBytes?: number;
  /** Messages sent one by one, each a row of its own, and then time enough for them to be merged. */
  loneMessages?: number;
  /** For controls: a layer between broker and store. */
  wrap?: (store: BlockStore) => BlockStore;
  /** For controls: tabs without the note of the loss witness. */
  isForgetful?: boolean;
  /** For controls: the tabs' timers. */
  tabTimers?: Timers;
}

export interface CrashRunResult {
  violations: string[];
  operations: Operation[];
  /** Operations made when each of the brokers began to serve. */
  served: number[];
  acked: number;
  failed: { outcome: string; code: string }[];
  duplicates: number;
  /** As the run left it. */
  disk: MemoryDisk;
}

function memo(): Memo {
  let note: string | null = null;
  return { read: () => note, write: (text) => void (note = text) };
}

/** What one device operation takes, ms. */
const LATENCY = 1;
const GROUP = "g";
const SETTINGS = { defaultTopicQueueNums: 2 };
const SEND_TIMEOUT = 3000;
/** A call may be this much later than its deadline says: device and ports take their time too. */
const GRACE = 200;

/** Messages given to one `send`: all of a batch, or one. */
interface Shipment {
  first: number;
  bodies: string[];
  topic: string;
  outcome: "acked" | "rejected" | "unknown" | null;
}

export async function crashRun(options: CrashRunOptions = {}): Promise<CrashRunResult> {
  const run = new CrashRun(options);
  return run.origin.time.run(run.all());
}

class CrashRun {
  readonly origin: VirtualOrigin;
  readonly #disk = new MemoryDisk();
  readonly #plan: FaultPlan;
  readonly #options: CrashRunOptions;
  readonly #violations: string[] = [];
  readonly #stores: FaultyStore[] = [];
  readonly #shipments: Shipment[] = [];
  readonly #acked: Acked[] = [];
  readonly #failed: { outcome: string; code: string }[] = [];
  readonly #topics: string[] = [];
  readonly #delivered: Delivered[] = [];
  /** Places whose listener has come back. */
  readonly #consumed = new Set<string>();
  readonly #served: number[] = [];
  readonly #numberOfMsgId = new Map<string, number>();
  #number = 0;
  #hadFault = false;
  #onDeath: () => void = () => {};

  constructor(options: CrashRunOptions) {
    this.#options = options;
    this.#plan = new FaultPlan(options.faults);
    this.origin = new VirtualOrigin(() => this.#openStore(), { tabTimers: options.tabTimers, memo: options.isForgetful ? null : memo() });
    this.#plan.onCrash = () => this.#die();
    if (options.wrap !== undefined) asDamaged(this.#disk, "a layer spoils what commits mean", "not every fault brings that about");
    this.#plan.onFault = () => {
      if (!this.#hadFault && options.repairAfter !== undefined) this.origin.time.after(options.repairAfter, () => this.#plan.repair());
      this.#hadFault = true;
    };
  }

  async all(): Promise<CrashRunResult> {
    let operations: Operation[] = [];
    let duplicates = 0;
    try {
      await this.#firstLife();
      await this.#secondLife();
      operations = [...this.#plan.operations];
      this.#plan.repair();
      this.#checkDisk("after the run");
      duplicates = this.#judge(await this.#verify());
    } catch (error) {
      this.#violations.push(`the run broke off: ${textOf(error)}`);
    }
    return { violations: this.#violations, operations, served: this.#served, acked: this.#acked.length, failed: this.#failed, duplicates, disk: this.#disk };
  }

  async #firstLife(): Promise<void> {
    const { time } = this.origin;
    const mq = await this.#connect();
    for (const topic of ["orders", "pages"]) await this.#createTopic(mq, topic);
    const consumer = await this.#consume(mq);
    const producer = await mq.createProducer({ producerGroup: "p" });
    const send = (topic: string, messages: Omit<Message, "topic" | "body">[], bytes?: number): Promise<void> => this.#send(producer, topic, messages, bytes);

    await Promise.all([send("orders", [{ tags: "a" }]), send("orders", [{ tags: "b" }]), send("orders", [{}])]);
    await send("orders", [{ keys: "k" }]);
    await send("orders", [{}, { tags: "a" }, {}]);
    for (let i = 0; i < 3; i++) await send("orders", [{ messageGroup: "customer" }]);
    // Spans several rows.
    await send("orders", [{ tags: "long" }], this.#options.longBytes ?? 70_000);
    // Long enough for offsets, and then for a checkpoint.
    await time.sleep(1500);
    const lone = this.#options.loneMessages ?? 0;
    for (let i = 0; i < lone; i++) await send("orders", [{}], 3000);
    if (lone > 0) await time.sleep(2 * ROW_REST);
    const page = Array.from({ length: this.#options.pageMessages ?? 30 }, () => ({ messageGroup: "one" }));
    await Promise.all([send("pages", page), send("orders", [{}])]);
    await time.sleep(1500);
    await send("pages", [{ messageGroup: "one" }]);
    void send("orders", [{}]);
    void send("pages", [{ messageGroup: "one" }]);
    await this.#close(mq, consumer);
    await this.#stopOrderly();
  }

  async #secondLife(): Promise<void> {
    const mq = await this.#connect();
    const consumer = await this.#consume(mq);
    const producer = await mq.createProducer({ producerGroup: "p" });
    await Promise.all([this.#send(producer, "orders", [{}]), this.#send(producer, "pages", [{ messageGroup: "one" }])]);
    await this.origin.time.sleep(1500);
    await this.#close(mq, consumer);
    await this.#stopOrderly();
  }

  /** No more faults: everything has to be there, and consumption goes on to the end. */
  async #verify(): Promise<MessageExt[]> {
    const mq = await this.#connect();
    const { broker } = await mq.diagnostics();
    if (broker.recovery.loss !== "none") this.#violations.push(`recovery reports a loss where nothing was lost: ${JSON.stringify(broker.recovery)}`);
    if (broker.recovery.damaged.length > 0) this.#violations.push(`recovery reports damage: ${JSON.stringify(broker.recovery.damaged)}`);
    const consumer = await this.#consume(mq);
    for (let tries = 0; ; tries++) {
      const { diffTotal } = await mq.admin.consumeStats(GROUP);
      if (diffTotal === 0) break;
      if (tries === 30) {
        this.#violations.push(`consumption does not go on: ${diffTotal} messages wait`);
        break;
      }
      await this.origin.time.sleep(1000);
    }
    const read = await this.#readAll(mq);
    await this.#close(mq, consumer);
    await this.#stopOrderly();
    const { messages, logEnd } = this.#checkDisk("at the end");
    const stored = messages.map(storedOf).sort(byPlace);
    if (JSON.stringify(read) !== JSON.stringify(stored)) this.#violations.push(`a consumer reads ${read.length} messages, the log holds ${stored.length}, or others`);
    const { position } = (this.#disk.state.get("checkpoint") ?? { position: 0 }) as { position: number };
    if (position !== logEnd) this.#violations.push(`an orderly stop leaves the checkpoint at ${position}, the log ends at ${logEnd}`);
    return messages;
  }

  /** Everything the run did against everything that is stored. */
  #judge(messages: MessageExt[]): number {
    const stored = messages.map(storedOf);
    this.#violations.push(...lost(this.#acked, stored), ...disordered(this.#acked, ({ msgId }) => this.#numberOfMsgId.get(msgId)!));
    for (const topic of this.#topics) if (!this.#disk.state.has(`topic/${topic}`)) this.#violations.push(`topic ${topic} was created and is not there`);

    const copies = new Map<string, MessageExt[]>();
    for (const message of messages) {
      const name = nameOfBody(message);
      copies.set(name, [...(copies.get(name) ?? []), message]);
    }
    let duplicates = 0;
    for (const shipment of this.#shipments) duplicates += this.#judgeShipment(shipment, copies);
    for (const name of copies.keys()) this.#violations.push(`${name} is stored and was never sent`);

    const places = new Map(stored.map((message) => [placeOf(message), message.msgId]));
    for (const message of this.#delivered) if (places.get(placeOf(message)) !== message.msgId) this.#violations.push(`phantom: ${placeOf(message)} was delivered and is not stored`);
    for (const message of stored) if (!this.#consumed.has(placeOf(message))) this.#violations.push(`${placeOf(message)} was never consumed`);
    if (!this.#hadFault) {
      for (const twice of deliveredTwice(this.#delivered)) this.#violations.push(`twice without a fault: ${twice}`);
      for (const { code } of this.#failed) this.#violations.push(`${code} without a fault`);
    }
    return duplicates;
  }

  #judgeShipment({ first, bodies, topic, outcome }: Shipment, copies: Map<string, MessageExt[]>): number {
    const found = bodies.map((body) => copies.get(body) ?? []);
    for (const body of bodies) copies.delete(body);
    const count = found[0]!.length;
    const name = `${topic} ${first}${bodies.length > 1 ? `+${bodies.length}` : ""}`;
    if (found.some((list) => list.length !== count)) this.#violations.push(`${name}: the batch is torn`);
    if (outcome === null) this.#violations.push(`${name}: the send never settled`);
    if (outcome === "rejected" && count > 0) this.#violations.push(`${name}: the send was rejected, and it is stored ${count} times`);
    if (outcome === "acked" && count === 0) this.#violations.push(`${name}: acknowledged and lost`);
    if (count > 1) this.#violations.push(`${name}: stored ${count} times`);
    for (const [at, list] of found.entries()) {
      if (new Set(list.map(({ msgId }) => msgId)).size > 1) this.#violations.push(`${name}: its copies have different ids`);
      const queues = new Set(list.map(({ queueId }) => queueId));
      if (queues.size > 1) this.#violations.push(`${name}: its copies are in different queues`);
      for (const [copy, message] of list.entries()) {
        if (message.queueOffset !== found[0]![copy]!.queueOffset + at) this.#violations.push(`${name}: its offsets do not follow each other`);
      }
    }
    return Math.max(0, count - 1) * bodies.length;
  }

  /** The store as a crash leaves it now, and what the consumers of before may say about it. */
  #checkDisk(when: string): { messages: MessageExt[]; logEnd: number } {
    const holes = this.#plan.operations.some(({ fault }) => fault === "full");
    const { findings, messages, logEnd } = readStore(this.#disk, { holes });
    for (const { code, where } of findings) this.#violations.push(`${when}: ${code} ${where}`);
    const offsets = new Map([...this.#disk.state].filter(([key]) => key.startsWith(`offset/${GROUP}/`)));
    for (const { topic, queueId, queueOffset } of messages) {
      const reached = (offsets.get(`offset/${GROUP}/${topic}`) as Record<number, number> | undefined)?.[queueId] ?? 0;
      const place = placeOf({ topic, queueId, queueOffset });
      if (queueOffset < reached && !this.#consumed.has(place)) this.#violations.push(`${when}: the group stands at ${reached} and ${place} was never consumed`);
    }
    return { messages, logEnd };
  }

  async #connect(): Promise<TabMQ> {
    for (let tries = 0; tries < 5; tries++) {
      const mq = await this.#settles("connect", 10_000, this.origin.connect({ broker: SETTINGS }));
      if (mq === undefined) continue;
      mq.on("connected", () => this.#served.push(this.#plan.operations.length));
      return mq;
    }
    throw new Error("no connection");
  }

  async #createTopic(mq: TabMQ, topic: string): Promise<void> {
    for (let tries = 0; tries < 3; tries++) {
      if ((await this.#settles("createTopic", 10_000, mq.admin.createTopic({ topic }))) === undefined) continue;
      this.#topics.push(topic);
      return;
    }
  }

  async #consume(mq: TabMQ): Promise<PushConsumer> {
    for (let tries = 0; tries < 5; tries++) {
      const consumer = await this.#settles(
        "createPushConsumer",
        60_000,
        mq.createPushConsumer({
          consumerGroup: GROUP,
          subscriptions: { orders: "*", pages: "*" },
          consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
          consumeMessageBatchMaxSize: 32,
          pullBatchSize: 512,
          batchListener: async (messages) => {
            for (const message of messages) this.#delivered.push({ consumer: mq.clientId, ...storedOf(message) });
            await this.origin.time.sleep(1);
            for (const message of messages) this.#consumed.add(placeOf(message));
          },
        }),
      );
      if (consumer !== undefined) return consumer;
    }
    throw new Error("no consumer");
  }

  async #send(producer: Producer, topic: string, parts: Omit<Message, "topic" | "body">[], bytes = 0): Promise<void> {
    const first = this.#number;
    const bodies = parts.map(() => `m${this.#number++}`);
    const messages = parts.map((part, at) => ({ topic, body: bodies[at]!.padEnd(bytes), ...part }));
    const shipment: Shipment = { first, bodies, topic, outcome: null };
    this.#shipments.push(shipment);
    try {
      const sent = producer.send(messages.length === 1 ? messages[0]! : messages);
      this.#ack(await this.#watch(`send ${topic} ${first}`, SEND_TIMEOUT, sent), shipment, messages);
      shipment.outcome = "acked";
    } catch (error) {
      shipment.outcome = this.#fail(error);
    }
  }

  #ack({ msgId, messageQueue, queueOffset }: SendResult, { first }: Shipment, messages: { topic: string; body: string; tags?: string }[]): void {
    const ids = msgId.split(",");
    for (const [at, { topic, body, tags }] of messages.entries()) {
      this.#numberOfMsgId.set(ids[at]!, first + at);
      this.#acked.push({ producer: "p", topic, queueId: messageQueue.queueId, queueOffset: queueOffset + at, msgId: ids[at]!, content: contentOf(tags, body) });
    }
  }

  #fail(error: unknown): "rejected" | "unknown" {
    if (!(error instanceof MQError)) this.#violations.push(`a call failed with ${String(error)}`);
    const { code, outcome } = error instanceof MQError ? error : { code: "no MQError", outcome: "unknown" as const };
    this.#failed.push({ code, outcome });
    return outcome;
  }

  /** Undefined when it failed. */
  async #settles<T>(what: string, deadline: number, call: Promise<T>): Promise<T | undefined> {
    try {
      return await this.#watch(what, deadline, call);
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  /** Every call settles by its deadline. */
  #watch<T>(what: string, deadline: number, call: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.origin.time.after(deadline + GRACE, () => {
        this.#violations.push(`${what} has not settled after ${deadline} ms`);
        reject(new MQError("DEADLINE_EXCEEDED", "gave up", { outcome: "unknown" }));
      });
      call.then(resolve, reject).finally(cancel);
    });
  }

  async #close(mq: TabMQ, consumer: PushConsumer): Promise<void> {
    await this.#settles("consumer.shutdown", 10_000, consumer.shutdown());
    await this.#settles("close", 15_000, mq.close());
  }

  /** What a worker does whose end is announced. */
  async #stopOrderly(): Promise<void> {
    const { time, host } = this.origin;
    // The host may die of it; then nobody is left to wait for.
    const died = new Promise<void>((resolve) => (this.#onDeath = resolve));
    const ended = Promise.race([host?.broker?.close(), died]);
    await this.#settles("the broker's end", 1000, ended);
    this.#killWorker();
    this.origin.killAll();
    await time.sleep(100);
  }

  #die(): void {
    this.#killWorker();
    this.#onDeath();
    this.#checkDisk("at the crash");
  }

  #killWorker(): void {
    this.origin.killWorker();
    for (const store of this.#stores.splice(0)) store.kill();
  }

  #openStore(): BlockStore {
    const { wrap = (one: BlockStore) => one } = this.#options;
    const store = new FaultyStore(new MemoryStore(this.#disk), this.#plan, () => this.origin.time.sleep(LATENCY));
    this.#stores.push(store);
    return wrap(store);
  }

  async #readAll(mq: TabMQ): Promise<Stored[]> {
    const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
    const all: Stored[] = [];
    for (const { topic } of await mq.admin.topics()) {
      for (const queue of await pull.fetchQueues(topic)) {
        for (let offset = 0; ; ) {
          const { status, messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 1024);
          all.push(...messages.map(storedOf));
          if (status === "NO_NEW_MSG" || status === "OFFSET_ILLEGAL") break;
          offset = nextBeginOffset;
        }
      }
    }
    return all.sort(byPlace);
  }
}

function storedOf(message: MessageExt): Stored {
  const { topic, queueId, queueOffset, msgId, tags } = message;
  return { topic, queueId, queueOffset, msgId, content: contentOf(tags, message.text()) };
}

/** A long body need not be kept as often as it is seen. */
function contentOf(tags: string | undefined, body: string): string {
  return `${tags ?? ""} ${body.trimEnd()} ${body.length}`;
}

function nameOfBody(message: MessageExt): string {
  return message.text().trimEnd();
}

function placeOf({ topic, queueId, queueOffset }: Pick<Stored, "topic" | "queueId" | "queueOffset">): string {
  return `${topic}:${queueId}:${queueOffset}`;
}

function byPlace(a: Stored, b: Stored): number {
  return a.topic.localeCompare(b.topic) || a.queueId - b.queueId || a.queueOffset - b.queueOffset;
}
