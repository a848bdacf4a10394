import { MQError } from "../model/errors.ts";
import { MAX_PARKED_ROWS, MAX_RELAYED_ROWS } from "../model/limits.ts";
import { draftMessage, type Message } from "../model/message.ts";
import { MessageIdGenerator } from "../model/message-id.ts";
import type { MessageQueue } from "../model/queue.ts";
import { Events } from "../platform/events.ts";
import { filled, list } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import type { WakeChannel } from "./environment.ts";
import { listen } from "./listen.ts";
import type { Outbox } from "./outbox.ts";
import { OutboxRelay } from "./outbox-relay.ts";
import { type KeyedRow, type OutboxDatabase, OutboxRows, type OutboxTransaction } from "./outbox-rows.ts";
import type { Routes } from "./routes.ts";
import type { Tracer } from "./tracer.ts";

/** A message that the broker does not take, for a reason that does not pass by itself. It waits for `retry` or `discard`. */
export interface ParkedMessage {
  msgId: string;
  topic: string;
  /** Of the refusal. */
  code: string;
  reason: string;
  /** ms since 1970 */
  parkedAt: number;
}

/** Told in the tab that relays. */
export interface TransactionalOutboxEvents {
  /** Its message is stored, and its row deleted. */
  sent: { msgId: string; messageQueue: MessageQueue; queueOffset: number };
  parked: ParkedMessage;
  error: MQError;
}

const OUTBOX_EVENTS = ["sent", "parked", "error"] as const satisfies readonly (keyof TransactionalOutboxEvents)[];

/** As which group a trace names what has come by an outbox: it has no producer. */
const TRACED_AS = "outbox";

const idList = list(filled(200), MAX_PARKED_ROWS);

/**
 * A transactional outbox: the application writes its own data and a message in one transaction of its own IndexedDB
 * database; once that is committed, the message is sent exactly once, by whichever tab relays at the time, be it after a
 * restart of the browser. Made by `mq.outbox`.
 */
export class TransactionalOutbox {
  readonly #connection: Connection;
  readonly #rows: OutboxRows;
  readonly #relay: OutboxRelay;
  readonly #ids: MessageIdGenerator;
  readonly #tracer: Tracer;
  readonly #events = new Events<TransactionalOutboxEvents>();
  /** Tells the tab that relays. */
  readonly #others: WakeChannel | null;
  readonly #onShutdown: (outbox: TransactionalOutbox) => void;
  #closing: Promise<void> | null = null;

  constructor(parts: { connection: Connection; outbox: Outbox; routes: Routes; tracer: Tracer; onShutdown: (outbox: TransactionalOutbox) => void }, db: OutboxDatabase, storeName: string) {
    const { connection, outbox, routes } = parts;
    const { environment, options } = connection;
    this.#connection = connection;
    this.#onShutdown = parts.onShutdown;
    this.#tracer = parts.tracer;
    this.#rows = new OutboxRows(checkDatabase(db), filled(1000)(storeName, "storeName"), options.namespace);
    this.#ids = new MessageIdGenerator((count) => environment.random.bytes(count), () => environment.clock.now());
    const name = `tabmq/${options.namespace}/outbox/${db.name}/${storeName}`;
    this.#others = environment.openWakeChannel?.(name, () => this.#relay.wake()) ?? null;
    this.#relay = new OutboxRelay({
      connection, outbox, routes, rows: this.#rows, lockName: name,
      onSent: ({ msgId }, place) => this.#events.emit("sent", { msgId, ...place }),
      onParked: (row, { code, message }) => this.#events.emit("parked", { msgId: row.msgId, topic: row.topic, code, reason: message, parkedAt: environment.clock.now() }),
      onError: (error) => this.#events.emit("error", error),
    });
  }

  /**
   * Writes the message in the caller's transaction, which must be running, `readwrite`, and over the outbox's store; it is sent
   * when that transaction is complete, and never if it is aborted. Returns the msgId that it will have. An illegal message throws
   * here, and the transaction goes on unharmed. Messages of one `messageGroup` are sent in the order of their transactions.
   * `waitStoreMsgOK` does not matter: a row is deleted only when its message is durable.
   */
  add(tx: OutboxTransaction, message: Message): string {
    if (this.#closing !== null) throw new MQError("CLOSED", "The outbox is shut down.");
    const { witness, options, serving } = this.#connection;
    const { waitStoreMsgOK: _always, ...rest } = typeof message === "object" && message !== null ? message : ({} as Message);
    const made = draftMessage(rest, this.#ids.next(), serving.settings.maxMessageSize);
    options.telemetry?.create(made);
    if (this.#ids.isDue) this.#tracer.producer(TRACED_AS, this.#ids.prefix);
    this.#ids.isDue = false;
    const { propertiesBytes: _bytes, waitStoreMsgOK: _wait, ...draft } = made;
    // A copy: a view would take all of its buffer into the store.
    this.#rows.add(tx, { ...draft, body: draft.body.slice(), tabmq: 1, namespace: options.namespace, from: witness.position });
    tx.addEventListener("complete", () => this.#wake());
    return draft.msgId;
  }

  /** Rows in the store: those that wait to be sent, and those that are parked. */
  pending(): Promise<number> {
    return this.#rows.count();
  }

  /** Rows that wait to be sent: those that are parked are not among them. */
  async waiting(): Promise<number> {
    let count = 0;
    for (let after: unknown; ; ) {
      const { rows, last } = await this.#rows.read(after, MAX_RELAYED_ROWS);
      if (last === undefined) return count;
      count += rows.filter(({ row }) => row.parked === undefined).length;
      after = last;
    }
  }

  /** Messages that the broker does not take; the first 1000. */
  async parked(): Promise<ParkedMessage[]> {
    return (await this.#parked()).map(({ row: { msgId, topic, parked } }) => ({ msgId, topic, code: parked!.code, reason: parked!.message, parkedAt: parked!.at }));
  }

  /** Sends parked messages once more, behind all others; all, or those named. Resolves with their number, when they wait. */
  async retry(msgIds?: string[]): Promise<number> {
    const chosen = await this.#choose(msgIds);
    await this.#rows.change({ gone: chosen.map(({ key }) => key), again: chosen.map(({ row: { parked: _parked, ...row } }) => row) });
    this.#wake();
    return chosen.length;
  }

  /** Deletes parked messages; all, or those named. Resolves with their number. */
  async discard(msgIds?: string[]): Promise<number> {
    const chosen = await this.#choose(msgIds);
    await this.#rows.change({ gone: chosen.map(({ key }) => key) });
    return chosen.length;
  }

  /** Returns the function that stops listening. */
  on<Name extends keyof TransactionalOutboxEvents>(name: Name, listener: (event: TransactionalOutboxEvents[Name]) => void): () => void {
    return listen(this.#events, OUTBOX_EVENTS, name, listener);
  }

  /** Relays no more from this tab; what is left is sent by another, or later. Does not close the database. */
  shutdown(): Promise<void> {
    this.#closing ??= this.#shutdown();
    return this.#closing;
  }

  /** As `shutdown`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  async #shutdown(): Promise<void> {
    await this.#relay.stop();
    this.#others?.close();
    this.#onShutdown(this);
  }

  #wake(): void {
    this.#relay.wake();
    this.#others?.post();
  }

  async #choose(msgIds: string[] | undefined): Promise<KeyedRow[]> {
    const wanted = msgIds === undefined ? null : new Set(idList(msgIds, "msgIds"));
    return (await this.#parked()).filter(({ row }) => wanted === null || wanted.has(row.msgId));
  }

  async #parked(): Promise<KeyedRow[]> {
    const parked: KeyedRow[] = [];
    for (let after: unknown; parked.length < MAX_PARKED_ROWS; ) {
      const { rows, last } = await this.#rows.read(after, MAX_RELAYED_ROWS);
      if (last === undefined) break;
      parked.push(...rows.filter(({ row }) => row.parked !== undefined));
      after = last;
    }
    return parked.slice(0, MAX_PARKED_ROWS);
  }
}

function checkDatabase(db: OutboxDatabase): OutboxDatabase {
  const isDatabase = typeof db === "object" && db !== null && typeof db.transaction === "function" && typeof db.objectStoreNames?.contains === "function";
  if (isDatabase) return db;
  throw new MQError("INVALID_PARAMETER", "mq.outbox takes an open IDBDatabase, or one that the library idb has opened.", { field: "db" });
}
