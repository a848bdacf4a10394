import { computed, signal } from "@preact/signals";
import { connect, type HttpOutbox, type HttpOutboxProgress, type MessageExt, MQError, type TabMQ, type TransactionalOutbox } from "../../index.ts";
import { type Database, openDatabase, type Order } from "./database.ts";

const TOPIC = "orders";
const GROUP = "order-sync";

export interface Trouble {
  reason: string;
  attempt: number;
  /** When it is tried again, ms since 1970. */
  nextAt: number;
}

export interface Refusal {
  msgId: string;
  reason: string;
}

/** Orders that are taken on this device, and on their way to the server. All that TabMQ does for it is in this file. */
export class OrderPad {
  readonly orders = signal<readonly Order[]>([]);
  /** By order: why it has not arrived yet. */
  readonly troubles = signal<ReadonlyMap<string, Trouble>>(new Map());
  /** By order: what the server has refused. Somebody has to decide. */
  readonly refusals = signal<ReadonlyMap<string, Refusal>>(new Map());
  readonly progress = signal<HttpOutboxProgress>({ waiting: 0, dead: 0, senders: [] });
  readonly failure = signal("");
  readonly isOpen = signal(false);
  readonly clientId = signal("");
  /** One tab sends; the others look on. */
  readonly isSender = computed(() => this.progress.value.senders.includes(this.clientId.value));
  #db!: Database;
  #mq!: TabMQ;
  #outbox!: TransactionalOutbox;
  #http!: HttpOutbox;
  #rounds = 0;

  async open(): Promise<void> {
    try {
      this.#db = await openDatabase();
      // Orders may wait for a month.
      this.#mq = await connect({ namespace: "order-pad", broker: { fileReservedTime: 30 * 86_400_000 } });
      this.clientId.value = this.#mq.clientId;
      // One queue: one tab sends everything.
      await this.#mq.admin.createTopic({ topic: TOPIC, readQueueNums: 1, writeQueueNums: 1 });
      this.#outbox = await this.#mq.outbox(this.#db, "outbox");
      this.#http = await this.#mq.createHttpOutbox({
        consumerGroup: GROUP,
        topic: TOPIC,
        request: () => ({ url: "/api/orders" }),
        onResponse: async (response, message) => {
          if (response.ok) await this.#arrived(message.json<Pick<Order, "id">>().id, (await response.json()) as { number: number });
        },
        maxRetryDelay: 10_000,
      });
      this.#http.on("sent", ({ keys }) => void this.#settled(keys[0]!));
      this.#http.on("dead", ({ keys }) => void this.#settled(keys[0]!));
      this.#http.on("retried", ({ keys, reason, attempt, delay }) => this.#note(keys[0]!, { reason, attempt, nextAt: Date.now() + delay }));
      this.#http.on("progress", (progress) => {
        this.progress.value = progress;
        void this.#read();
      });
      this.#http.on("error", (error) => this.#failed(error));
      await this.#read();
      this.isOpen.value = true;
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The order and its message, in one transaction: both or neither, with a network or without. */
  async take(customer: string, item: string, quantity: number): Promise<void> {
    const order: Order = { id: crypto.randomUUID(), customer, item, quantity, takenAt: Date.now() };
    const tx = this.#db.transaction(["orders", "outbox"], "readwrite", { durability: "strict" });
    void tx.objectStore("orders").put(order);
    this.#outbox.add(tx, { topic: TOPIC, body: order, keys: order.id, messageGroup: customer });
    await tx.done;
    await this.#read();
  }

  /** What the server has refused, as it should have been. */
  async resend(order: Order, { msgId }: Refusal): Promise<void> {
    await this.#http.resend(msgId, { body: order });
    await this.#db.put("orders", order);
    await this.#read();
  }

  async discard(order: Order, { msgId }: Refusal): Promise<void> {
    await this.#http.discard([msgId]);
    await this.#db.delete("orders", order.id);
    await this.#read();
  }

  retryNow(): void {
    this.#http.retryNow();
  }

  /** Before the message counts as sent: a tab that dies in between is followed by one that asks the server again, under the same key. */
  async #arrived(id: string, { number }: { number: number }): Promise<void> {
    const tx = this.#db.transaction("orders", "readwrite");
    const order = await tx.store.get(id);
    if (order !== undefined) await tx.store.put({ ...order, number });
    await tx.done;
  }

  #settled(id: string): Promise<void> {
    const troubles = new Map(this.troubles.peek());
    troubles.delete(id);
    this.troubles.value = troubles;
    return this.#read();
  }

  #note(id: string, trouble: Trouble): void {
    this.troubles.value = new Map(this.troubles.peek()).set(id, trouble);
  }

  async #read(): Promise<void> {
    const round = ++this.#rounds;
    try {
      const [orders, letters] = await Promise.all([this.#db.getAll("orders"), this.#http.deadLetters()]);
      // A later look knows more, and may have come back earlier.
      if (round < this.#rounds) return;
      this.orders.value = orders.sort((a, b) => b.takenAt - a.takenAt);
      this.refusals.value = new Map(letters.map((letter: MessageExt) => [letter.keys[0]!, { msgId: letter.msgId, reason: letter.properties["DLQ_ERROR"] ?? "" }]));
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    // What passes by itself is tried again by itself.
    if (error instanceof MQError && error.retriable) return;
    this.failure.value = error instanceof Error ? error.message : String(error);
  }
}
