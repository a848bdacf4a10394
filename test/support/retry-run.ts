/**
 * Messages that are consumed at once, after a retry, or never, over a store that fails where the plan says: whatever
 * happens, each ends once, and nothing comes again from a place where a durable record says that it is finished.
 */
import type { ConsumeContext, MessageExt, PushConsumer, TabMQ } from "../../src/index.ts";
import { asMQError } from "../../src/model/errors.ts";
import { finishOf } from "../../src/model/finish.ts";
import { RECORD } from "../../src/model/record.ts";
import { decodeRecords } from "../../src/model/record-codec.ts";
import { concat } from "../../src/platform/bytes.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import type { MemoryDisk } from "../../src/storage/memory-store.ts";
import type { Fault } from "./faulty-store.ts";
import { FaultyOrigin } from "./faulty-origin.ts";

export interface RetryRun {
  violations: string[];
  operations: number;
  /** Number of the first operation after which a copy was stored. */
  firstCopy: number;
}

const GROUP = "g";
/** The third is that of the first retry, and of all that come after it. */
const LEVELS = "1ms 1ms 150ms";
const DELAY = 150;
const MAX_RECONSUME_TIMES = 2;
/** What its listener does with a message. "slow" holds its queue's offset while others are finished behind it. */
const BODIES = ["slow", "once", "ok", "dead", "twice", "ok", "dead now", "once"].map((kind, at) => `${kind} ${at}`);

export async function retryRun(faults: Fault[] = []): Promise<RetryRun> {
  const run = new Run(faults);
  return run.origin.time.run(run.all());
}

class Run {
  readonly origin: FaultyOrigin;
  readonly #violations: string[] = [];
  readonly #acked = new Set<string>();
  readonly #consumed = new Set<string>();
  #firstCopy = Number.POSITIVE_INFINITY;

  constructor(faults: Fault[]) {
    this.origin = new FaultyOrigin(faults, () => this.#noteFirstCopy());
  }

  async all(): Promise<RetryRun> {
    const operations = await this.origin.run((violation) => void this.#violations.push(violation), async () => {
      await this.#life(true);
      await this.#life(false);
    }, () => this.#verify());
    return { violations: this.#violations, operations, firstCopy: this.#firstCopy };
  }

  /** A browser from its start to its end. The first one sends, and is killed while much is on its way. */
  async #life(isFirst: boolean): Promise<void> {
    const { time } = this.origin;
    const mq = await this.#connect();
    await this.#consume(mq);
    if (isFirst) {
      const producer = await mq.createProducer({ producerGroup: "p" });
      await this.#send(producer, BODIES.slice(0, 5));
      await this.#send(producer, BODIES.slice(5));
      await time.sleep(DELAY + 60);
    } else await time.sleep(1500);
    this.origin.killAll();
    await time.sleep(100);
  }

  async #verify(): Promise<void> {
    const mq = await this.#connect();
    const consumer = await this.#consume(mq);
    const ended = async (): Promise<boolean> => {
      const dead = new Set((await mq.admin.deadLetters(GROUP)).map(({ msgId }) => msgId));
      return [...this.#acked].every((id) => this.#consumed.has(id) || dead.has(id));
    };
    for (let tries = 0; !(await ended()); tries++) {
      if (tries === 60) {
        this.#violations.push("lost: a message was neither consumed nor has it become a dead letter");
        break;
      }
      await this.origin.time.sleep(500);
    }
    const dead = await mq.admin.deadLetters(GROUP);
    for (const { msgId, properties } of dead) {
      if (this.#consumed.has(msgId)) this.#violations.push(`${msgId} was consumed and is a dead letter`);
      if (!properties["DLQ_ERROR"]?.startsWith("no ")) this.#violations.push(`a dead letter says as its reason: ${properties["DLQ_ERROR"]}`);
    }
    this.#judgeLog();
    await consumer?.shutdown();
    await mq.close();
    this.origin.killAll();
  }

  /** No copy twice, none before its time. */
  #judgeLog(): void {
    const records = recordsOn(this.origin.disk);
    const sent = new Map<string, number>();
    const copies = new Map<string, number>();
    const stored = new Map(records.map(({ message }) => [placeOf(message), message]));
    for (const { message, finishes } of records) {
      const { topic, msgId, reconsumeTimes } = message;
      if (topic === "t") sent.set(msgId, (sent.get(msgId) ?? 0) + 1);
      else copies.set(`${topic} ${msgId} ${reconsumeTimes}`, (copies.get(`${topic} ${msgId} ${reconsumeTimes}`) ?? 0) + 1);
      const source = finishes === null ? undefined : stored.get(finishes);
      if (topic.startsWith("%RETRY%") && (source === undefined || message.storeTimestamp < source.storeTimestamp + DELAY)) {
        this.#violations.push(`${placeOf(message)} was delivered ${message.storeTimestamp - (source?.storeTimestamp ?? 0)} ms after it was stored`);
      }
    }
    const named = records.flatMap(({ finishes }) => (finishes === null ? [] : [finishes]));
    for (const place of new Set(named)) if (named.filter((other) => other === place).length > 1) this.#violations.push(`doubled: ${place} was moved more than once`);
    for (const [copy, count] of copies) {
      if (count > (sent.get(copy.split(" ")[1]!) ?? 0)) this.#violations.push(`doubled: ${copy} is stored ${count} times`);
    }
  }

  async #connect(): Promise<TabMQ> {
    for (let tries = 0; tries < 5; tries++) {
      const mq = await this.#settled(this.origin.connect({ broker: { defaultTopicQueueNums: 1, messageDelayLevel: LEVELS } }));
      if (mq !== undefined) return mq;
    }
    throw new Error("no connection");
  }

  async #consume(mq: TabMQ): Promise<PushConsumer | undefined> {
    for (let tries = 0; tries < 5; tries++) {
      const consumer = await this.#settled(
        mq.createPushConsumer({
          consumerGroup: GROUP, subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", maxReconsumeTimes: MAX_RECONSUME_TIMES,
          messageListener: (message, context) => this.#listen(message, context),
        }),
      );
      if (consumer !== undefined) return consumer;
    }
    return undefined;
  }

  async #listen(message: MessageExt, context: ConsumeContext): Promise<void> {
    const { topic, queueId } = context.queue;
    const place = placeOf({ ...message, topic, queueId });
    if (recordsOn(this.origin.disk).some(({ finishes }) => finishes === place)) this.#violations.push(`doubled: ${place} was delivered although it is finished`);
    const [kind, how] = message.text().split(" ");
    await this.origin.time.sleep(kind === "slow" ? 400 : 2);
    if (kind === "dead" && how === "now") context.delayLevelWhenNextConsume = -1;
    const failures = { once: 1, twice: 2, dead: Number.POSITIVE_INFINITY }[kind!] ?? 0;
    if (message.reconsumeTimes < failures) throw new Error(`no ${kind}`);
    this.#consumed.add(message.msgId);
  }

  async #send(producer: Awaited<ReturnType<TabMQ["createProducer"]>>, bodies: string[]): Promise<void> {
    const sent = await this.#settled(producer.send(bodies.map((body) => ({ topic: "t", body }))));
    for (const id of sent?.msgId.split(",") ?? []) this.#acked.add(id);
  }

  async #settled<T>(call: Promise<T>): Promise<T | undefined> {
    try {
      return await call;
    } catch (error) {
      asMQError(error);
      return undefined;
    }
  }

  #noteFirstCopy(): void {
    if (this.#firstCopy === Number.POSITIVE_INFINITY && recordsOn(this.origin.disk).some(({ finishes }) => finishes !== null)) this.#firstCopy = this.origin.plan.operations.length;
  }
}

/** All records of a disk, and the places that they name as finished. None of this run is longer than a row. */
export function recordsOn(disk: MemoryDisk): { message: MessageExt; bytes: Uint8Array; finishes: string | null }[] {
  const rows = disk.log.from(0).map((position) => disk.log.get(position)!.subarray(CHUNK_HEADER_BYTES));
  const bytes = concat(rows, rows.reduce((sum, row) => sum + row.byteLength, 0));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages = decodeRecords(bytes, "broker-a");
  let at = 0;
  return messages.map((message) => {
    const finish = finishOf(bytes, at);
    const record = bytes.subarray(at, at + view.getInt32(at + RECORD.totalSize));
    at += record.byteLength;
    return { message, bytes: record, finishes: finish === null ? null : placeOf(finish) };
  });
}

export function placeOf({ topic, queueId, queueOffset }: { topic: string; queueId: number; queueOffset: number }): string {
  return `${topic}:${queueId}:${queueOffset}`;
}
