import { connectionClosed, MQError } from "../model/errors.ts";
import { Events } from "../platform/events.ts";
import type { BrokerDiagnostics, Durability } from "../protocol/api.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import { Admin } from "./admin.ts";
import type { Clients } from "./clients.ts";
import { CLIENT_EVENTS, type ClientEvents, type Connection } from "./connection.ts";
import type { HostChoice, HostCode } from "./environment.ts";
import type { HttpOutbox } from "./http-outbox/http-outbox.ts";
import type { HttpOutboxOptions } from "./http-outbox/options.ts";
import { listen } from "./listen.ts";
import type { OutboxDatabase } from "./outbox-rows.ts";
import type { Producer, ProducerOptions } from "./producer.ts";
import type { PullConsumer, PullConsumerOptions } from "./pull-consumer.ts";
import type { PushConsumer, PushConsumerOptions } from "./push-consumer.ts";
import type { SimpleConsumer, SimpleConsumerOptions } from "./simple-consumer.ts";
import type { TraceCounts } from "./tracer.ts";
import type { TransactionProducer, TransactionProducerOptions } from "./transaction-producer.ts";
import type { TransactionalOutbox } from "./transactional-outbox.ts";

/** What sends and consumes: its code, there already or loaded. */
type Code = typeof import("./clients.ts");
export type LoadCode = () => Code | Promise<Code>;
/** The HTTP outbox, which most do not want: loaded when somebody does. */
type HttpOutboxCode = typeof import("./http-outbox/http-outbox.ts");
export type LoadHttpOutbox = () => HttpOutboxCode | Promise<HttpOutboxCode>;

export async function codeOf<Part = Code>(load: () => Part | Promise<Part>): Promise<Part> {
  try {
    return await load();
  } catch (cause) {
    throw new MQError("UNSUPPORTED_ENVIRONMENT", "A part of TabMQ could not be loaded: is there a network, are its files still served, and allowed by the page's policy (script-src)?", { cause });
  }
}

/** What runs, and how safe it is: the answer of `mq.diagnostics()`. */
export interface Diagnostics {
  namespace: string;
  clientId: string;
  /** What runs the broker. */
  host: HostDiagnostics;
  /** What an acknowledged message survives: `"strict"` = a power cut, `"relaxed"` = a crash of the browser, `"memory"` = nothing. */
  durability: Durability;
  /** Whether the browser has promised not to evict this origin's data; undefined = it does not say. */
  persisted?: boolean;
  /** Bytes, as the browser estimates them. */
  usage?: number;
  quota?: number;
  /** The broker's, as they are now, with what each tab has for itself (`enableWasmFilter`). */
  settings: BrokerSettings;
  /** Settings that this client asked for and did not get. */
  ignored: ClientEvents["configIgnored"][];
  /** Version of the language that this client and the broker speak. */
  protocol: number;
  broker: BrokerDiagnostics;
  /** What this tab has told of its messages' lives. */
  trace: TraceCounts;
}

/** What runs the broker, and why that. */
export interface HostDiagnostics {
  /** As in `connect`'s option: `"memory"` stores nothing, whatever it runs in. */
  kind: "shared" | "dedicated" | "service" | "memory";
  /** The broker's worker hangs on this tab, or the broker runs in this service worker: when this connection, or the tab, ends, another tab takes over. */
  isHere: boolean;
  code: HostCode;
  /** Why this kind; a sentence for people. */
  reason: string;
}

/** A connection to the namespace's broker, and what is made of it. */
export class TabMQ {
  readonly clientId: string;
  readonly namespace: string;
  readonly admin: Admin;
  readonly #connection: Connection;
  readonly #loadCode: LoadCode;
  readonly #loadHttpOutbox: LoadHttpOutbox;
  #clients: Clients | null = null;
  #loading: Promise<Clients> | null = null;
  #destroyed: MQError | null = null;
  #closing: Promise<void> | null = null;
  /** Why nothing is stored; null = everything is. */
  readonly #inMemory: HostChoice | null;

  constructor(connection: Connection, loadCode: LoadCode, loadHttpOutbox: LoadHttpOutbox, inMemory: HostChoice | null = null) {
    this.#inMemory = inMemory;
    this.clientId = connection.options.clientId;
    this.namespace = connection.options.namespace;
    this.#connection = connection;
    this.#loadCode = loadCode;
    this.#loadHttpOutbox = loadHttpOutbox;
    connection.lifecycle.on("ended", (error) => (this.#destroyed = error));
    // At once, and not when somebody asks: there may be no network then.
    const code = loadCode();
    if (code instanceof Promise) this.#loaded(() => code).catch(() => {});
    else this.#clients = new code.Clients(connection);
    this.admin = new Admin(connection, () => this.#clients?.messages ?? this.#loaded().then(({ messages }) => messages));
  }

  /** A producer that can send at once. */
  async createProducer(options: ProducerOptions): Promise<Producer> {
    this.#checkOpen();
    return (this.#clients ?? (await this.#loaded())).createProducer(options);
  }

  /** Resolves when the broker knows that this tab answers for the producer group's transactions. */
  async createTransactionProducer(options: TransactionProducerOptions): Promise<TransactionProducer> {
    this.#checkOpen();
    return (this.#clients ?? (await this.#loaded())).createTransactionProducer(options);
  }

  /** Resolves when the consumer has joined its group and has its queues. */
  async createPushConsumer(options: PushConsumerOptions): Promise<PushConsumer> {
    this.#checkOpen();
    return (this.#clients ?? (await this.#loaded())).createPushConsumer(options);
  }

  /** The consumer joins its group at its first poll. */
  async createPullConsumer(options: PullConsumerOptions): Promise<PullConsumer> {
    this.#checkOpen();
    return (this.#clients ?? (await this.#loaded())).createPullConsumer(options);
  }

  /** Resolves when the consumer has joined its group. */
  async createSimpleConsumer(options: SimpleConsumerOptions): Promise<SimpleConsumer> {
    this.#checkOpen();
    return (this.#clients ?? (await this.#loaded())).createSimpleConsumer(options);
  }

  /**
   * An outbox in the application's own database: `outbox.add(tx, message)` writes a message in the application's transaction, and
   * it is sent when that is committed, exactly once. `storeName` is an object store made by
   * `db.createObjectStore(storeName, { autoIncrement: true })`, for this alone. Every tab opens it; one of them relays at a time.
   */
  async outbox(db: OutboxDatabase, storeName: string): Promise<TransactionalOutbox> {
    this.#checkOpen();
    return (this.#clients ?? (await this.#loaded())).outbox(db, storeName);
  }

  /**
   * Brings a topic's messages to an HTTP API: `request(message)` says how, the outbox tries until the server takes it, with back-off and
   * `Retry-After`, under the same idempotency key; messages of one `messageGroup` in their order. What the server refuses for good is a
   * dead letter. Every tab opens it with the same options; each queue is sent by one of them at a time. Resolves when it is at work.
   */
  async createHttpOutbox(options: HttpOutboxOptions): Promise<HttpOutbox> {
    this.#checkOpen();
    return (this.#clients ?? (await this.#loaded())).httpOutbox(await codeOf(this.#loadHttpOutbox), options, this.admin);
  }

  /** What runs where, how durable it is, and what recovery found. */
  async diagnostics(): Promise<Diagnostics> {
    const broker = await this.#connection.call("diagnostics", []);
    const { settings: { enableWasmFilter }, ignored, protocol } = this.#connection.serving;
    const storage = typeof navigator === "undefined" ? undefined : navigator.storage;
    const [persisted, estimate] = await Promise.all([
      storage?.persisted?.().catch(() => undefined),
      storage?.estimate?.().catch(() => undefined),
    ]);
    return {
      namespace: this.namespace,
      clientId: this.clientId,
      host: this.#host(broker),
      durability: broker.durability,
      ...(persisted === undefined ? {} : { persisted }),
      ...(estimate?.usage === undefined ? {} : { usage: estimate.usage }),
      ...(estimate?.quota === undefined ? {} : { quota: estimate.quota }),
      settings: { ...broker.settings, enableWasmFilter },
      ignored,
      protocol,
      broker,
      trace: this.#clients === null ? { written: 0, dropped: 0 } : { ...this.#clients.tracer.counts },
    };
  }

  #host({ storage, worker }: BrokerDiagnostics): HostDiagnostics {
    const { at, environment } = this.#connection;
    const place = { kind: storage === "memory" ? storage : worker, isHere: at === "here" } as const;
    if (this.#inMemory !== null) return { ...place, ...this.#inMemory };
    if (at === "door") return { ...place, code: "ANOTHER_SERVES", reason: "A worker of another build or kind serves this namespace, and this tab." };
    return { ...place, ...(environment.choice?.() ?? { code: "ASKED_FOR", reason: "" }) };
  }

  /** Resolves when every send accepted so far is answered and committed, those with `waitStoreMsgOK: false` included. */
  async flush(): Promise<void> {
    await this.#clients?.flush();
  }

  /** Returns the function that stops listening. `closed` is told also to who listens when it is over. */
  on<Name extends keyof ClientEvents>(event: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    const { events, told } = this.#connection;
    if (event !== "closed" || told === null) return listen(events, CLIENT_EVENTS, event, listener);
    const late = new Events<ClientEvents>();
    queueMicrotask(() => late.emit("closed", { error: told }));
    return listen(late, CLIENT_EVENTS, event, listener);
  }

  /** Shuts down what was created here, consumers first, and leaves the broker. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Whose code has not come has made nothing that could be shut down.
    await this.#clients?.close();
    await this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Where their code could not be loaded, the next who needs them tries again. */
  #loaded(load = this.#loadCode): Promise<Clients> {
    return (this.#loading ??= this.#make(load).finally(() => (this.#loading = null)));
  }

  async #make(load: LoadCode): Promise<Clients> {
    const code = await codeOf(load);
    this.#checkOpen();
    if (this.#destroyed !== null) throw this.#destroyed;
    return (this.#clients = new code.Clients(this.#connection));
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw connectionClosed(this.namespace);
  }
}
