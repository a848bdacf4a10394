/**
 * Transactions of every kind over a store that fails where the plan says, in tabs that die where it says: whatever
 * happens, each message is visible once if its local transaction was committed, and else never.
 */
import type { LocalTransactionState, Message, MessageExt, MQError, Producer, TabMQ } from "../../src/index.ts";
import { asMQError } from "../../src/model/errors.ts";
import { finishOf } from "../../src/model/finish.ts";
import { HALF_TOPIC, TRANS_CHECK_MAX_TIME_TOPIC } from "../../src/model/system-names.ts";
import { RECORD } from "../../src/model/record.ts";
import { decodeRecords } from "../../src/model/record-codec.ts";
import { concat } from "../../src/platform/bytes.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";
import type { MemoryDisk } from "../../src/storage/memory-store.ts";
import { FaultyOrigin } from "./faulty-origin.ts";
import type { Fault } from "./faulty-store.ts";

export interface TransactionRun {
  violations: string[];
  operations: number;
}

/** After so many operations of the store this tab is gone: the one that sends, or the other one of its group. */
export interface Death {
  at: number;
  tab: "sender" | "other";
}

/** What its local transaction does, and what is known of it when somebody asks. */
const KINDS = ["commit", "rollback", "later commit", "later rollback", "throws", "hangs", "undecidable"];
const GROUP = "pg";
const SETTINGS = { defaultTopicQueueNums: 1, transactionTimeout: 4000, transactionCheckInterval: 1000, transactionCheckMax: 3 };

export async function transactionRun(faults: Fault[] = [], deaths: Death[] = []): Promise<TransactionRun> {
  const run = new Run(faults, deaths);
  return run.origin.time.run(run.all());
}

/** A fault, or a death, at one operation: as everyFault takes it. */
export const deathAt =
  (tab: Death["tab"]) =>
  (faults: Fault[]): Promise<TransactionRun> =>
    transactionRun([], faults.map(({ at }) => ({ at, tab })));

class Run {
  readonly origin: FaultyOrigin;
  readonly #violations: string[] = [];
  readonly #deaths: Death[];
  /** What the application has written, by transaction: it survives everything. */
  readonly #database = new Map<string, { kind: string; state: LocalTransactionState }>();
  readonly #tabs = new Map<Death["tab"], TabMQ>();

  constructor(faults: Fault[], deaths: Death[]) {
    this.origin = new FaultyOrigin(faults, () => this.#die());
    this.#deaths = [...deaths];
  }

  async all(): Promise<TransactionRun> {
    const operations = await this.origin.run((violation) => void this.#violations.push(violation), async () => {
      await this.#firstLife();
      await this.#secondLife();
    }, () => this.#verify());
    return { violations: this.#violations, operations };
  }

  /** Sends all kinds; the tab that has sent them dies, and then, while the other one answers checks, the browser. */
  async #firstLife(): Promise<void> {
    const { time } = this.origin;
    const sender = await this.#connect();
    const other = await this.#connect();
    this.#tabs.set("sender", sender).set("other", other);
    await this.#consume(other);
    await this.#answer(other);
    const producer = await this.#answer(sender);
    for (const kind of KINDS) void this.#settled(producer?.sendMessageInTransaction({ topic: "t", body: kind }));
    await time.sleep(2500);
    this.origin.killTab(sender);
    await time.sleep(4000);
    this.#tabs.clear();
    this.origin.killAll();
    await time.sleep(100);
  }

  async #secondLife(): Promise<void> {
    await this.#answer(await this.#connect());
    await this.origin.time.sleep(1200);
    this.origin.killAll();
    await this.origin.time.sleep(100);
  }

  async #verify(): Promise<void> {
    const mq = await this.#connect();
    await this.#consume(mq);
    await this.#answer(mq);
    await this.origin.time.sleep(500);
    const pending = async (): Promise<number> => (await this.#settled(mq.diagnostics()))?.broker.transactions.pending ?? 1;
    for (let tries = 0; (await pending()) > 0; tries++) {
      if (tries === 60) {
        this.#violations.push("open: a transaction was never decided");
        break;
      }
      await this.origin.time.sleep(500);
    }
    this.#judge();
    await mq.close();
    this.origin.killAll();
  }

  #judge(): void {
    const records = recordsOn(this.origin.disk);
    const countIn = (topic: string, id: string): number => records.filter(({ message }) => message.topic === topic && message.msgId === id).length;
    for (const [id, { kind, state }] of this.#database) {
      const [visible, given] = [countIn("t", id), countIn(TRANS_CHECK_MAX_TIME_TOPIC, id)];
      if (visible > 1) this.#violations.push(`doubled: ${kind} is visible ${visible} times`);
      if (visible < 1 && state === "COMMIT") this.#violations.push(`lost: ${kind} was committed and is not visible`);
      if (visible > 0 && state !== "COMMIT") this.#violations.push(`phantom: ${kind} was not committed and is visible`);
      if (kind === "undecidable" ? given !== 1 : given !== 0) this.#violations.push(`given up: ${kind} ${given} times`);
    }
    for (const { message } of records) {
      if (message.topic === "t" && !this.#database.has(message.msgId)) this.#violations.push(`phantom: ${message.text()} is visible, and its local transaction never ran`);
    }
    const named = records.flatMap(({ finishes }) => (finishes === null || !finishes.startsWith(HALF_TOPIC) ? [] : [finishes]));
    for (const place of new Set(named)) if (named.filter((one) => one === place).length > 1) this.#violations.push(`doubled: ${place} was ended more than once`);
  }

  async #connect(): Promise<TabMQ> {
    for (let tries = 0; tries < 5; tries++) {
      const mq = await this.#settled(this.origin.connect({ broker: SETTINGS }));
      if (mq !== undefined) return mq;
    }
    throw new Error("no connection");
  }

  async #consume(mq: TabMQ): Promise<void> {
    const options = { consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" } as const;
    const messageListener = (message: MessageExt): void => {
      if (this.#database.get(message.msgId)?.state !== "COMMIT") this.#violations.push(`phantom: ${message.text()} was delivered, and it is not committed`);
    };
    for (let tries = 0; tries < 5; tries++) if ((await this.#settled(mq.createPushConsumer({ ...options, messageListener }))) !== undefined) return;
  }

  /** A tab of the producer group. */
  async #answer(mq: TabMQ): Promise<(Producer & { sendMessageInTransaction(message: Message): Promise<unknown> }) | undefined> {
    for (let tries = 0; tries < 5; tries++) {
      const producer = await this.#settled(mq.createTransactionProducer({
        producerGroup: GROUP,
        executeLocalTransaction: ({ body }, _, { transactionId }) => this.#execute(body as string, transactionId),
        checkLocalTransaction: ({ msgId }) => {
          const { kind, state } = this.#database.get(msgId) ?? { kind: "", state: "ROLLBACK" };
          return kind === "undecidable" ? "UNKNOWN" : state;
        },
      }));
      if (producer !== undefined) return producer;
    }
    return undefined;
  }

  async #execute(kind: string, id: string): Promise<LocalTransactionState> {
    if (this.#database.has(id)) this.#violations.push(`doubled: the local transaction of ${kind} ran twice`);
    await this.origin.time.sleep(20);
    const state = /commit|hangs/.test(kind) ? "COMMIT" : "ROLLBACK";
    this.#database.set(id, { kind, state });
    if (kind === "throws") throw new Error("no");
    if (kind === "hangs") await new Promise(() => {});
    return kind === state.toLowerCase() ? state : "UNKNOWN";
  }

  #die(): void {
    const count = this.origin.plan.operations.length;
    for (const death of this.#deaths.splice(0)) {
      const mq = this.#tabs.get(death.tab);
      if (death.at > count || mq === undefined) this.#deaths.push(death);
      else this.origin.killTab(mq);
    }
  }

  async #settled<T>(call: Promise<T> | undefined): Promise<T | undefined> {
    try {
      return await call;
    } catch (error) {
      this.#judgeError(asMQError(error));
      return undefined;
    }
  }

  #judgeError({ code, message }: MQError): void {
    if (code === "INTERNAL_ERROR" || code === "ILLEGAL_OPERATION" || code === "SYSTEM_ERROR") this.#violations.push(`a call failed: ${message}`);
  }
}

/** All records of a disk, and the places that they name as finished. None of this run is longer than a row. */
function recordsOn(disk: MemoryDisk): { message: MessageExt; finishes: string | null }[] {
  const rows = disk.log.from(0).map((position) => disk.log.get(position)!.subarray(CHUNK_HEADER_BYTES));
  const bytes = concat(rows, rows.reduce((sum, row) => sum + row.byteLength, 0));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  return decodeRecords(bytes, "broker-a").map((message) => {
    const finish = finishOf(bytes, at);
    at += view.getInt32(at + RECORD.totalSize);
    return { message, finishes: finish === null ? null : `${finish.topic}:${finish.queueId}:${finish.queueOffset}` };
  });
}
