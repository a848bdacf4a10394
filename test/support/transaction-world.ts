/** Transactions in virtual time, over a store that may be full. */
import { expect, vi } from "vitest";
import type { LocalTransactionState, Message, MessageExt, MQError, TabMQ, TransactionProducer } from "../../src/index.ts";
import { Connection } from "../../src/client/connection.ts";
import type { SendReply } from "../../src/protocol/api.ts";
import type { CommitBatch, CommitOutcome } from "../../src/storage/block-store.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { checkStore } from "./store-check.ts";
import { VirtualOrigin } from "./virtual-origin.ts";

/** Takes no messages while it is full; facts have a reserve. */
export class FullStore extends MemoryStore {
  readonly #isFull: () => boolean;

  constructor(disk: MemoryDisk, isFull: () => boolean) {
    super(disk);
    this.#isFull = isFull;
  }

  override commit(batch: CommitBatch): Promise<CommitOutcome> {
    return this.#isFull() && batch.log.length > 0 ? Promise.resolve({ status: "rejected", reason: "FULL", cause: "full" }) : super.commit(batch);
  }
}

type Execute = (message: Message, arg: unknown, transaction: { transactionId: string }) => unknown;

/** An origin in virtual time; `answers` says what a tab answers to checks, by its name. */
export class World {
  readonly disk: MemoryDisk;
  readonly origin: VirtualOrigin;
  makeStore: () => MemoryStore = () => new MemoryStore(this.disk);
  /** Offsets were given to what was refused. */
  hasHoles = false;
  readonly began: number;
  /** Who was asked, when, and about what. */
  readonly checks: { tab: string; at: number; text: string; id: string | undefined }[] = [];
  readonly errors: MQError[] = [];
  readonly #connections = new Map<TabMQ, Connection>();
  broker: Record<string, unknown> = { defaultTopicQueueNums: 2 };

  constructor(disk = new MemoryDisk()) {
    this.disk = disk;
    this.origin = new VirtualOrigin(() => this.makeStore(), { memo: null });
    this.began = this.origin.time.now();
  }

  get elapsed(): number {
    return this.origin.time.now() - this.began;
  }

  async tab(): Promise<TabMQ> {
    const open = vi.spyOn(Connection, "open");
    const mq = await this.origin.connect({ broker: this.broker });
    this.#connections.set(mq, await (open.mock.results.at(-1)!.value as Promise<Connection>));
    open.mockRestore();
    return mq;
  }

  async producer(mq: TabMQ, name: string, execute: Execute, check: (message: MessageExt) => unknown, producerGroup = "pg"): Promise<TransactionProducer> {
    const producer = await mq.createTransactionProducer({
      producerGroup,
      executeLocalTransaction: execute as () => LocalTransactionState,
      checkLocalTransaction: (message) => {
        this.checks.push({ tab: name, at: this.elapsed, text: message.text(), id: message.transactionId });
        return check(message) as LocalTransactionState;
      },
    });
    producer.on("error", (error) => this.errors.push(error));
    return producer;
  }

  /** A tab's own call, past its producers. */
  ends(mq: TabMQ): (request: object) => Promise<unknown> {
    return (request) => this.#connections.get(mq)!.call("endTransaction", [request as never]);
  }

  /** A frame of its own making. */
  send(mq: TabMQ, frame: ArrayBuffer): Promise<SendReply> {
    return this.#connections.get(mq)!.call("send", [frame]);
  }

  /** What stands in a topic, whoever may see it. */
  async read(mq: TabMQ, topic = "t"): Promise<MessageExt[]> {
    const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
    const all: MessageExt[] = [];
    for (const queue of await pull.fetchQueues(topic)) {
      for (let offset = 0; ; ) {
        const { status, messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 100);
        all.push(...messages);
        if (status !== "FOUND") break;
        offset = nextBeginOffset;
      }
    }
    return all;
  }

  async texts(mq: TabMQ, topic = "t"): Promise<string[]> {
    return (await this.read(mq, topic)).map((message) => message.text()).sort();
  }
}

export async function inTime<T>(work: (world: World) => Promise<T>, disk?: MemoryDisk): Promise<T> {
  const world = new World(disk);
  const result = await world.origin.time.run(work(world));
  world.origin.killAll();
  expect(checkStore(world.disk, { holes: world.hasHoles })).toEqual([]);
  return result;
}

export const never = (): never => {
  throw new Error("nobody should be asked");
};
export const pending = async (mq: TabMQ): Promise<number> => (await mq.diagnostics()).broker.transactions.pending;
