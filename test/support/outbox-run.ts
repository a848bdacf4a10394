/**
 * An application that writes orders and messages in transactions of its own, and a relay that is killed at one of its steps,
 * the whole browser or the worker alone: whatever happens, each committed order has its message once, in order.
 */
import type { TabMQ, TransactionalOutbox } from "../../src/index.ts";
import { asMQError, textOf } from "../../src/model/errors.ts";
import { FaultyOrigin } from "./faulty-origin.ts";
import { type MemoryDatabase, MemoryIdb, stubKeyRange } from "./memory-idb.ts";

export interface OutboxRun {
  violations: string[];
  /** Steps: reads and commits of the application's database, and operations of the broker's store. */
  steps: number;
}

/** Who dies at which step: before it is done. */
export interface Death {
  at: number;
  who: "browser" | "worker";
}

export async function outboxRun(death?: Death): Promise<OutboxRun> {
  stubKeyRange();
  const run = new Run(death);
  return run.origin.time.run(run.all());
}

class Run {
  readonly origin: FaultyOrigin;
  readonly #idb = new MemoryIdb();
  readonly #death: Death | undefined;
  readonly #violations: string[] = [];
  #db: MemoryDatabase | null = null;
  #steps = 0;

  constructor(death: Death | undefined) {
    this.#death = death;
    this.origin = new FaultyOrigin([], () => this.#step());
    this.#idb.onOperation = () => this.#step();
  }

  async all(): Promise<OutboxRun> {
    let steps = 0;
    try {
      await this.#life(["a1", "b1", "a2"]);
      await this.#life(["a3", "b2"]);
      steps = this.#steps;
      this.#steps = Number.NEGATIVE_INFINITY;
      await this.#verify();
    } catch (error) {
      this.#violations.push(`the run broke off: ${textOf(error)}`);
    }
    return { violations: this.#violations, steps };
  }

  #step(): void {
    if (++this.#steps !== this.#death?.at) return;
    if (this.#death.who === "worker") return this.origin.killWorker();
    if (this.#db !== null) this.#db.isAlive = false;
    this.origin.killAll();
  }

  async #life(orders: string[]): Promise<void> {
    const opened = await this.#open();
    if (opened !== null) {
      const { db, outbox } = opened;
      for (const id of orders) {
        if (!db.isAlive) break;
        const tx = db.transaction(["orders", "outbox"], "readwrite");
        (tx.objectStore("orders") as { put(value: unknown): void }).put({ id });
        outbox.add(tx, { topic: "t", body: id, messageGroup: id[0]! });
        await this.origin.time.sleep(3);
      }
      await this.origin.time.sleep(200);
      db.isAlive = false;
    }
    this.origin.killAll();
    await this.origin.time.sleep(100);
  }

  async #verify(): Promise<void> {
    const opened = await this.#open();
    if (opened === null) throw new Error("no connection");
    const { mq } = opened;
    for (let tries = 0; this.#idb.stores.get("outbox")!.rows.size > 0; tries++) {
      if (tries === 50) {
        this.#violations.push("stuck: rows are not sent");
        break;
      }
      await this.origin.time.sleep(200);
    }
    const orders = [...this.#idb.stores.get("orders")!.rows.values()].map((row) => (row as { id: string }).id);
    const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
    const queues = orders.length === 0 ? [] : await pull.fetchQueues("t");
    const sent: string[] = [];
    for (const queue of queues) sent.push(...(await pull.pull(queue, "*", 0, 1000)).messages.map((message) => message.text()));
    for (const id of orders) {
      const count = sent.filter((other) => other === id).length;
      if (count === 0) this.#violations.push(`lost: ${id}`);
      if (count > 1) this.#violations.push(`doubled: ${id}`);
    }
    for (const id of sent) if (!orders.includes(id)) this.#violations.push(`phantom: ${id} was not committed`);
    for (const group of ["a", "b"]) {
      const [wanted, got] = [orders, sent].map((list) => list.filter((id) => id.startsWith(group)).join());
      if (wanted !== got) this.#violations.push(`disordered: ${group} is ${got}, not ${wanted}`);
    }
    await mq.close();
    this.origin.killAll();
  }

  async #open(): Promise<{ mq: TabMQ; db: MemoryDatabase; outbox: TransactionalOutbox } | null> {
    for (let tries = 0; tries < 5; tries++) {
      const db = (this.#db = this.#idb.open());
      try {
        const mq = await Promise.race([this.origin.connect({ broker: { defaultTopicQueueNums: 2 } }), this.origin.time.sleep(15_000).then(() => Promise.reject(new Error("dead")))]);
        const outbox = await mq.outbox(db, "outbox");
        return { mq, db, outbox };
      } catch (error) {
        asMQError(error);
      }
    }
    return null;
  }
}
