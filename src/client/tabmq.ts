import { MQError } from "../model/errors.ts";
import type { BrokerDiagnostics, Durability } from "../protocol/api.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import { Admin } from "./admin.ts";
import { CLIENT_EVENTS, type ClientEvents, type Connection } from "./connection.ts";
import { listen } from "./listen.ts";
import { refuseNotBuilt } from "./not-built.ts";
import { Outbox } from "./outbox.ts";
import type { ProducerOptions } from "./producer.ts";
import { Producer } from "./producer.ts";
import type { PullConsumerOptions } from "./pull-consumer.ts";
import { PullConsumer } from "./pull-consumer.ts";
import type { PushConsumerOptions } from "./push-consumer.ts";
import { PushConsumer } from "./push-consumer.ts";
import { Routes } from "./routes.ts";
import type { SimpleConsumerOptions } from "./simple-consumer.ts";
import { SimpleConsumer } from "./simple-consumer.ts";

export interface Diagnostics {
  namespace: string;
  clientId: string;
  /** What an acknowledged message survives: `"strict"` = a power cut, `"relaxed"` = a crash of the browser, `"memory"` = nothing. */
  durability: Durability;
  /** Whether the browser has promised not to evict this origin's data; undefined = it does not say. */
  persisted?: boolean;
  /** Bytes, as the browser estimates them. */
  usage?: number;
  quota?: number;
  settings: BrokerSettings;
  broker: BrokerDiagnostics;
}

/** A connection to the namespace's broker, and what is made of it. */
export class TabMQ {
  readonly clientId: string;
  readonly namespace: string;
  readonly admin: Admin;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #routes: Routes;
  /** Everything that has to be shut down before the connection. */
  readonly #clients = new Set<{ shutdown(): Promise<void> }>();
  #closing: Promise<void> | null = null;

  static {
    refuseNotBuilt(this.prototype, "mq");
  }

  constructor(connection: Connection) {
    this.clientId = connection.options.clientId;
    this.namespace = connection.options.namespace;
    this.#connection = connection;
    this.#outbox = new Outbox(connection);
    this.#routes = new Routes(connection);
    this.admin = new Admin(connection);
  }

  async createProducer(options: ProducerOptions): Promise<Producer> {
    this.#checkOpen();
    return this.#keep(
      new Producer(
        { connection: this.#connection, outbox: this.#outbox, routes: this.#routes, onShutdown: (client) => this.#clients.delete(client) },
        options,
      ),
    );
  }

  /** Resolves when the consumer has joined its group and has its queues. */
  async createPushConsumer(options: PushConsumerOptions): Promise<PushConsumer> {
    this.#checkOpen();
    const consumer = new PushConsumer(this.#connection, options, (client) => this.#clients.delete(client));
    // Kept before it has joined: a close in between has to end it too.
    this.#keep(consumer);
    try {
      await consumer.start();
      this.#checkOpen();
    } catch (error) {
      await consumer.shutdown(0);
      throw error;
    }
    return consumer;
  }

  /** The consumer joins its group at its first poll. */
  async createPullConsumer(options: PullConsumerOptions): Promise<PullConsumer> {
    this.#checkOpen();
    return this.#keep(new PullConsumer(this.#connection, options, (client) => this.#clients.delete(client)));
  }

  /** Resolves when the consumer has joined its group. */
  async createSimpleConsumer(options: SimpleConsumerOptions): Promise<SimpleConsumer> {
    this.#checkOpen();
    const consumer = this.#keep(new SimpleConsumer(this.#connection, options, (client) => this.#clients.delete(client)));
    try {
      await consumer.start();
      this.#checkOpen();
    } catch (error) {
      await consumer.shutdown();
      throw error;
    }
    return consumer;
  }

  /** What runs where, how durable it is, and what recovery found. */
  async diagnostics(): Promise<Diagnostics> {
    const broker = await this.#connection.call("diagnostics", []);
    const storage = typeof navigator === "undefined" ? undefined : navigator.storage;
    const [persisted, estimate] = await Promise.all([
      storage?.persisted?.().catch(() => undefined),
      storage?.estimate?.().catch(() => undefined),
    ]);
    return {
      namespace: this.namespace,
      clientId: this.clientId,
      durability: broker.durability,
      ...(persisted === undefined ? {} : { persisted }),
      ...(estimate?.usage === undefined ? {} : { usage: estimate.usage }),
      ...(estimate?.quota === undefined ? {} : { quota: estimate.quota }),
      settings: this.#connection.serving.settings,
      broker,
    };
  }

  /** Resolves when every send accepted so far is answered and committed, those with `waitStoreMsgOK: false` included. */
  async flush(): Promise<void> {
    // What was refused because its topic was gone asks for it again, and is sent a second time.
    do {
      await this.#routes.settled();
      await this.#outbox.drained();
    } while (this.#routes.isAsking);
  }

  /** Returns the function that stops listening. */
  on<Name extends keyof ClientEvents>(event: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    return listen(this.#connection.events, CLIENT_EVENTS, event, listener);
  }

  /** Shuts down what was created here, consumers first, and leaves the broker. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#clients].map((client) => client.shutdown()));
    await this.flush();
    await this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #keep<Client extends { shutdown(): Promise<void> }>(client: Client): Client {
    this.#clients.add(client);
    return client;
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new MQError("CLOSED", `This connection to namespace "${this.namespace}" is closed.`);
  }
}
