/**
 * Messages whose keys come several times, for a group of idempotent consumers, over a store that fails where the plan
 * says: whatever happens, each key is finished, none is given to a listener again once it is durable that it is
 * finished, nor by a tab that has finished it itself, and no offset is stored without the keys before it.
 */
import type { MessageExt, PushConsumer, TabMQ } from "../../src/index.ts";
import { asMQError } from "../../src/model/errors.ts";
import type { Fault } from "./faulty-store.ts";
import { FaultyOrigin } from "./faulty-origin.ts";

export interface IdempotentRun {
  violations: string[];
  operations: number;
  /** Number of the first operation after which a key was stored. */
  firstKey: number;
  /** Calls of the listener, and messages. */
  calls: number;
  messages: number;
}

const GROUP = "g";
/** Of each queue. "slow" holds its offset while others are finished behind it; "once" fails once. */
const KEYS = [
  ["slow-1", "a", "b", "a", "once-1", "c", "d"],
  ["b", "slow-1", "e", "once-1", "a", "slow-2", "e"],
];

export async function idempotentRun(faults: Fault[] = [], orderly = false): Promise<IdempotentRun> {
  const run = new Run(faults, orderly);
  return run.origin.time.run(run.all());
}

class Run {
  readonly origin: FaultyOrigin;
  readonly #orderly: boolean;
  readonly #violations = new Set<string>();
  readonly #acked = new Set<string>();
  readonly #finished = new Set<string>();
  /** Keys that the tab which lives now has finished. */
  #finishedHere = new Set<string>();
  /** topic:queue:offset -> key, of all that was ever seen. */
  readonly #keyAt = new Map<string, string>();
  readonly #failed = new Set<string>();
  #calls = 0;
  #firstKey = Number.POSITIVE_INFINITY;

  constructor(faults: Fault[], orderly: boolean) {
    this.#orderly = orderly;
    this.origin = new FaultyOrigin(faults, () => this.#judgeDisk());
  }

  async all(): Promise<IdempotentRun> {
    const operations = await this.origin.run((violation) => void this.#violations.add(violation), async () => {
      await this.#life(true);
      await this.#life(false);
    }, () => this.#verify());
    return { violations: [...this.#violations], operations, firstKey: this.#firstKey, calls: this.#calls, messages: this.#keyAt.size };
  }

  /** A browser from its start to its end. The first one is killed while much is on its way. */
  async #life(isFirst: boolean): Promise<void> {
    const { time } = this.origin;
    const mq = await this.#connect();
    await this.#consume(mq);
    await this.#send(mq);
    await time.sleep(120);
    // Again, while some of them are in hand, and others.
    await this.#send(mq);
    await this.#send(mq, isFirst ? "x-1" : "x-2");
    await time.sleep(isFirst ? 360 : 1500);
    this.origin.killAll();
    await time.sleep(100);
  }

  async #verify(): Promise<void> {
    const mq = await this.#connect();
    const consumer = await this.#consume(mq);
    // Once more, now that all are to be known.
    await this.#send(mq);
    for (let tries = 0; (await mq.admin.consumeStats(GROUP)).diffTotal > 0 || [...this.#acked].some((key) => !this.#finished.has(key)); tries++) {
      if (tries === 60) {
        this.#violations.add(`lost: ${[...this.#acked].filter((key) => !this.#finished.has(key)).join(", ") || "what waits"} was not finished`);
        break;
      }
      await this.origin.time.sleep(500);
    }
    this.#judgeDisk();
    await consumer?.shutdown();
    await mq.close();
    this.origin.killAll();
  }

  async #connect(): Promise<TabMQ> {
    this.#finishedHere = new Set();
    for (let tries = 0; tries < 5; tries++) {
      const mq = await this.#settled(this.origin.connect({ broker: { defaultTopicQueueNums: 2, messageDelayLevel: "1ms 1ms 20ms" } }));
      if (mq !== undefined) return mq;
    }
    throw new Error("no connection");
  }

  async #consume(mq: TabMQ): Promise<PushConsumer | undefined> {
    const here = this.#finishedHere;
    for (let tries = 0; tries < 5; tries++) {
      const consumer = await this.#settled(
        mq.createPushConsumer({
          consumerGroup: GROUP, subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", idempotent: { key: (message) => this.#keyOf(message) },
          orderly: this.#orderly, suspendCurrentQueueTime: 10,
          messageListener: (message) => this.#listen(message, here),
        }),
      );
      if (consumer !== undefined) return consumer;
    }
    return undefined;
  }

  #keyOf({ topic, queueId, queueOffset, keys, reconsumeTimes }: MessageExt): string {
    if (reconsumeTimes === 0) this.#keyAt.set(`${topic}:${queueId}:${queueOffset}`, keys[0]!);
    return keys[0]!;
  }

  async #listen(message: MessageExt, here: Set<string>): Promise<void> {
    const key = message.keys[0]!;
    this.#calls++;
    if (this.#stored().has(key)) this.#violations.add(`again: ${key}, and it is stored that it is finished`);
    if (here.has(key)) this.#violations.add(`again: ${key}, by the tab that has finished it`);
    await this.origin.time.sleep(key.startsWith("slow") ? 150 : 2);
    if (key.startsWith("once") && !this.#failed.has(key)) {
      this.#failed.add(key);
      throw new Error("no");
    }
    this.#finished.add(key);
    here.add(key);
  }

  async #send(mq: TabMQ, suffix = ""): Promise<void> {
    const producer = await mq.createProducer({ producerGroup: "p" });
    const sends = KEYS.map(async (plain, queueId) => {
      const keys = plain.map((key) => key + suffix);
      const queue = { topic: "t", brokerName: "broker-a", queueId };
      const sent = await this.#settled(producer.send(keys.map((key) => ({ topic: "t", body: key, keys: key })), { queue }));
      if (sent !== undefined) for (const key of keys) this.#acked.add(key);
    });
    await Promise.all(sends);
  }

  async #settled<T>(call: Promise<T>): Promise<T | undefined> {
    try {
      return await call;
    } catch (error) {
      asMQError(error);
      return undefined;
    }
  }

  /** Keys that are on disk. */
  #stored(): Set<string> {
    const rows = [...this.origin.disk.state].filter(([key]) => key.startsWith("finished/"));
    return new Set(rows.flatMap(([, row]) => (row as { keys: string[] } | null)?.keys ?? []));
  }

  /** What an offset has passed is finished, or failed and moved elsewhere. */
  #judgeDisk(): void {
    const stored = this.#stored();
    if (stored.size > 0) this.#firstKey = Math.min(this.#firstKey, this.origin.plan.operations.length);
    const offsets = (this.origin.disk.state.get(`offset/${GROUP}/t`) ?? {}) as Record<number, number>;
    for (const [queueId, offset] of Object.entries(offsets)) {
      for (let at = 0; at < offset; at++) {
        const key = this.#keyAt.get(`t:${queueId}:${at}`);
        if (key !== undefined && !stored.has(key) && !this.#failed.has(key)) this.#violations.add(`without its key: ${key} at ${queueId}:${at}, and the offset is ${offset}`);
      }
    }
  }
}
