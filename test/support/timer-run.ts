/**
 * Messages with a time of their own over a store that fails where the plan says: whatever happens, each that was acknowledged
 * comes, not before its time and not twice from one place, and what was called off does not.
 */
import type { Producer, SendResult, TabMQ } from "../../src/index.ts";
import { asMQError } from "../../src/model/errors.ts";
import { readStored } from "../../src/model/record-copy.ts";
import { WHEEL_TOPIC } from "../../src/model/system-names.ts";
import { FaultyOrigin } from "./faulty-origin.ts";
import type { Fault } from "./faulty-store.ts";
import { checkStore } from "./store-check.ts";
import { placeOf, recordsOn } from "./retry-run.ts";

export interface TimerRun {
  violations: string[];
  operations: number;
  /** Delivered, and called off. */
  delivered: number;
  recalled: number;
}

/** ms until each is due, in the order in which they are sent. Those in the middle come up in the first life. */
const DELAYS = [400, 90, 250, 120, 60, 3000, 150, 700, 200, 110];
/** Which of them somebody calls off, and when. */
const RECALLS: [index: number, at: number][] = [[0, 80], [3, 117], [6, 151], [8, 160], [5, 230]];
/** When the first browser is killed, after the sends. */
const FIRST_LIFE = 260;

export function timerRun(faults: Fault[] = []): Promise<TimerRun> {
  const run = new Run(faults);
  return run.origin.time.run(run.all());
}

class Run {
  readonly origin: FaultyOrigin;
  readonly #violations: string[] = [];
  /** Their handles by msgId. */
  readonly #acked = new Map<string, string>();
  readonly #recalled = new Set<string>();
  /** Whether they were called off nobody was told. */
  readonly #doubtful = new Set<string>();
  readonly #got = new Set<string>();

  constructor(faults: Fault[]) {
    this.origin = new FaultyOrigin(faults);
  }

  async all(): Promise<TimerRun> {
    const operations = await this.origin.run((violation) => void this.#violations.push(violation), async () => {
      await this.#life(true);
      await this.#life(false);
    }, () => this.#verify());
    return { violations: this.#violations, operations, delivered: this.#got.size, recalled: this.#recalled.size };
  }

  async #life(isFirst: boolean): Promise<void> {
    const { time } = this.origin;
    const mq = await this.#connect();
    await this.#consume(mq);
    if (isFirst) {
      const producer = await mq.createProducer({ producerGroup: "p" });
      const began = time.now();
      const sends = await Promise.all(DELAYS.map((delay) => this.#send(producer, delay)));
      for (const [index, at] of RECALLS) void time.sleep(Math.max(0, began + at - time.now())).then(() => this.#recall(producer, sends[index]));
      await time.sleep(Math.max(0, began + FIRST_LIFE - time.now()));
    } else await time.sleep(3500);
    this.origin.killAll();
    await time.sleep(100);
  }

  async #verify(): Promise<void> {
    const mq = await this.#connect();
    await this.#consume(mq);
    const producer = await mq.createProducer({ producerGroup: "p" });
    // Asked again, it is told the same.
    for (const id of this.#recalled) {
      const { recalled } = await producer.recall(this.#acked.get(id)!);
      if (!recalled) this.#violations.push(`${id} was called off, and then it was not`);
    }
    await this.origin.time.sleep(70_000);
    for (const id of this.#acked.keys()) {
      if (this.#recalled.has(id)) {
        if (this.#got.has(id)) this.#violations.push(`called off, and delivered: ${id}`);
      } else if (!this.#got.has(id) && !this.#doubtful.has(id)) this.#violations.push(`lost: ${id}`);
    }
    this.#judgeLog();
    await mq.close();
    this.origin.killAll();
    for (const { code, where } of checkStore(this.origin.disk, { holes: true })) this.#violations.push(`${code} ${where}`);
  }

  /** None twice, none before its time. */
  #judgeLog(): void {
    const records = recordsOn(this.origin.disk);
    const dues = new Map(records.filter(({ message }) => message.topic === WHEEL_TOPIC).map(({ message, bytes }) => [placeOf(message), Number(readStored(bytes).properties["TIMER_OUT_MS"])]));
    const seen = new Set<string>();
    for (const { message, finishes } of records) {
      const due = finishes === null ? undefined : dues.get(finishes);
      if (due === undefined) continue;
      if (seen.has(finishes!)) this.#violations.push(`doubled: ${finishes} was delivered more than once`);
      seen.add(finishes!);
      if (message.storeTimestamp < due) this.#violations.push(`early: ${finishes} by ${due - message.storeTimestamp} ms`);
    }
  }

  async #connect(): Promise<TabMQ> {
    for (let tries = 0; tries < 5; tries++) {
      const mq = await this.#settled(this.origin.connect({ broker: { defaultTopicQueueNums: 1 } }));
      if (mq !== undefined) return mq;
    }
    throw new Error("no connection");
  }

  async #consume(mq: TabMQ): Promise<void> {
    for (let tries = 0; tries < 5; tries++) {
      const consumer = await this.#settled(mq.createPushConsumer({
        consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: ({ msgId }) => void this.#got.add(msgId),
      }));
      if (consumer !== undefined) return;
    }
  }

  async #send(producer: Producer, delay: number): Promise<SendResult | undefined> {
    const sent = await this.#settled(producer.send({ topic: "t", body: `${delay}`, deliverAfter: delay }));
    if (sent !== undefined) this.#acked.set(sent.msgId, sent.recallHandle!);
    return sent;
  }

  async #recall(producer: Producer, sent: SendResult | undefined): Promise<void> {
    if (sent === undefined) return;
    this.#doubtful.add(sent.msgId);
    const reply = await this.#settled(producer.recall(sent.recallHandle!));
    if (reply !== undefined) this.#doubtful.delete(sent.msgId);
    if (reply?.recalled) this.#recalled.add(sent.msgId);
  }

  async #settled<T>(call: Promise<T>): Promise<T | undefined> {
    try {
      return await call;
    } catch (error) {
      asMQError(error);
      return undefined;
    }
  }
}
