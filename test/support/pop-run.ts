/**
 * Two tabs of simple consumers over a store that fails where the plan says: no message is given to anybody while it is
 * somebody's, none again after its acknowledgement was answered, those of a messageGroup in order, and none is lost.
 */
import { type MessageExt, MQError, type SimpleConsumer, type TabMQ } from "../../src/index.ts";
import { textOf } from "../../src/model/errors.ts";
import type { Fault } from "./faulty-store.ts";
import { FaultyOrigin } from "./faulty-origin.ts";

export interface PopRun {
  violations: string[];
  operations: number;
  /** Deliveries of what was delivered before. */
  again: number;
}

const GROUP = "g";
const INVISIBLE = 200;
const MAX_RECONSUME_TIMES = 2;
/** What a consumer does with a message at its first delivery; "dead" is never acknowledged. */
const BODIES = ["ok", "late", "dead", "change", "ok", "late", "slow", "ok"].map((kind, at) => `${kind} ${at}`);
const ORDERED = ["late 0", "ok 1", "change 2", "ok 3"].map((body) => `${body} in order`);

export async function popRun(faults: Fault[] = []): Promise<PopRun> {
  const run = new Run(faults);
  return run.origin.time.run(run.all());
}

class Run {
  readonly origin: FaultyOrigin;
  readonly #violations: string[] = [];
  readonly #sent = new Set<string>();
  /** When a message is surely nobody's any more, by place: one that is sent again after an unknown outcome may be stored twice. */
  readonly #claimedUntil = new Map<string, number>();
  /** Its acknowledgement is on its way; and was answered. */
  readonly #acking = new Set<string>();
  readonly #acked = new Set<string>();
  /** The same by body: of what is in order, each is sent once. */
  readonly #finishing = new Set<string>();
  readonly #given = new Set<string>();
  #again = 0;
  #isOver = false;

  constructor(faults: Fault[]) {
    this.origin = new FaultyOrigin(faults);
  }

  async all(): Promise<PopRun> {
    let operations = 0;
    try {
      const tabs = [await this.#connect(), await this.#connect()];
      const consumers = await Promise.all(tabs.map((mq) => this.#simple(mq)));
      const work = consumers.map((consumer) => this.#work(consumer));
      await this.#send(tabs[0]!);
      await this.origin.time.sleep(1500);
      operations = this.origin.plan.operations.length;
      this.origin.plan.repair();
      await this.#verify(tabs[0]!);
      this.#isOver = true;
      await Promise.all(work);
      await Promise.all(tabs.map((mq) => mq.close()));
    } catch (error) {
      this.#violations.push(`the run broke off: ${textOf(error)}`);
    }
    this.#isOver = true;
    this.origin.killAll();
    return { violations: this.#violations, operations, again: this.#again };
  }

  async #verify(mq: TabMQ): Promise<void> {
    for (let tries = 0; (await mq.admin.consumeStats(GROUP)).diffTotal > 0; tries++) {
      if (tries === 60) {
        this.#violations.push("consumption does not come to its end");
        break;
      }
      await this.origin.time.sleep(200);
    }
    const letters = await mq.admin.deadLetters(GROUP);
    const dead = new Set(letters.map(({ msgId }) => msgId));
    for (const id of this.#sent) if (!this.#acking.has(id) && !dead.has(id)) this.#violations.push(`lost: ${id} was neither acknowledged nor is it a dead letter`);
    for (const letter of letters) if (!letter.text().startsWith("dead")) this.#violations.push(`${letter.text()} became a dead letter`);
  }

  async #work(consumer: SimpleConsumer): Promise<void> {
    const { time } = this.origin;
    while (!this.#isOver) {
      const asked = time.now();
      const messages = await this.#tried(consumer.receive({ max: 3, invisibleDuration: INVISIBLE, awaitDuration: 50 }));
      for (const message of messages ?? []) this.#delivered(message, asked);
      await Promise.all((messages ?? []).map((message) => this.#consume(consumer, message)));
      await time.sleep(5);
    }
  }

  #delivered(message: MessageExt, asked: number): void {
    const { messageGroup } = message;
    const [body, place] = [message.text(), placeOf(message)];
    const now = this.origin.time.now();
    if (this.#given.has(place)) this.#again++;
    this.#given.add(place);
    if (this.#acked.has(place)) this.#violations.push(`acknowledged and given again: ${body}`);
    else if (now < (this.#claimedUntil.get(place) ?? 0)) this.#violations.push(`double claim: ${body}`);
    this.#claimedUntil.set(place, asked + INVISIBLE);
    if (messageGroup === undefined) return;
    const at = ORDERED.indexOf(body);
    if (at > 0 && !this.#finishing.has(ORDERED[at - 1]!)) this.#violations.push(`out of order: ${body} before the one before it`);
  }

  async #consume(consumer: SimpleConsumer, message: MessageExt): Promise<void> {
    const { time } = this.origin;
    const { msgId, reconsumeTimes } = message;
    const place = placeOf(message);
    const [kind] = message.text().split(" ");
    if (kind === "dead") return;
    if (kind === "late" && reconsumeTimes === 0) return;
    if (kind === "slow") await time.sleep(150);
    if (kind === "change" && reconsumeTimes === 0) {
      const asked = time.now();
      const changed = await this.#tried(consumer.changeInvisibleDuration(message, 3 * INVISIBLE).then(() => true));
      if (!changed) return;
      this.#claimedUntil.set(place, asked + 3 * INVISIBLE);
      await time.sleep(2 * INVISIBLE);
    }
    this.#acking.add(msgId);
    this.#finishing.add(message.text());
    if (await this.#tried(consumer.ack(message).then(() => true))) this.#acked.add(place);
    // Refused or not heard: it may come again.
    else this.#claimedUntil.delete(place);
  }

  async #send(mq: TabMQ): Promise<void> {
    const producer = await mq.createProducer({ producerGroup: "p" });
    const send = async (bodies: string[], more: object = {}): Promise<void> => {
      const sent = await this.#tried(producer.send(bodies.map((body) => ({ topic: "t", body, ...more }))));
      for (const id of sent?.msgId.split(",") ?? []) this.#sent.add(id);
    };
    await send(BODIES.slice(0, 4));
    await send(ORDERED, { messageGroup: "one" });
    await send(BODIES.slice(4));
  }

  async #connect(): Promise<TabMQ> {
    for (let tries = 0; tries < 5; tries++) {
      const mq = await this.#tried(this.origin.connect({ broker: { defaultTopicQueueNums: 2 } }));
      if (mq !== undefined) return mq;
    }
    throw new Error("no connection");
  }

  async #simple(mq: TabMQ): Promise<SimpleConsumer> {
    for (let tries = 0; tries < 5; tries++) {
      const options = { consumerGroup: GROUP, subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", maxReconsumeTimes: MAX_RECONSUME_TIMES } as const;
      const consumer = await this.#tried(mq.createSimpleConsumer(options));
      if (consumer !== undefined) return consumer;
    }
    throw new Error("no consumer");
  }

  async #tried<T>(call: Promise<T>): Promise<T | undefined> {
    try {
      return await call;
    } catch (error) {
      if (!(error instanceof MQError) || error.code === "INTERNAL_ERROR") this.#violations.push(`a call failed with ${textOf(error)}`);
      return undefined;
    }
  }
}

function placeOf({ queueId, queueOffset }: MessageExt): string {
  return `${queueId}:${queueOffset}`;
}
