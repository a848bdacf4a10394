import { connectionClosed } from "../model/errors.ts";
import type { Admin } from "./admin.ts";
import type { Connection } from "./connection.ts";
import type { HttpOutbox } from "./http-outbox/http-outbox.ts";
import type { HttpOutboxOptions } from "./http-outbox/options.ts";
import { Inbox } from "./inbox.ts";
import { MessageAdmin } from "./message-admin.ts";
import { Outbox } from "./outbox.ts";
import type { OutboxDatabase } from "./outbox-rows.ts";
import { Producer, type ProducerOptions } from "./producer.ts";
import { ProducerGroups } from "./producer-groups.ts";
import { PullConsumer, type PullConsumerOptions } from "./pull-consumer.ts";
import { PushConsumer, type PushConsumerOptions } from "./push-consumer.ts";
import { Routes } from "./routes.ts";
import { SimpleConsumer, type SimpleConsumerOptions } from "./simple-consumer.ts";
import { Tracer } from "./tracer.ts";
import { TransactionProducer, type TransactionProducerOptions } from "./transaction-producer.ts";
import { TransactionalOutbox } from "./transactional-outbox.ts";

export { Telemetry } from "./telemetry.ts";

/**
 * All that sends, consumes and reads messages over one connection. Most of the library's code is behind this file: a page
 * loads it after it has connected (connect.ts).
 */
export class Clients {
  readonly messages: MessageAdmin;
  readonly tracer: Tracer;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #routes: Routes;
  readonly #inbox: Inbox;
  readonly #producerGroups: ProducerGroups;
  /** Everything that has to be shut down before the connection. */
  readonly #clients = new Set<{ shutdown(): Promise<void> }>();
  #isClosing = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#outbox = new Outbox(connection);
    this.#routes = new Routes(connection);
    this.tracer = new Tracer(connection);
    this.messages = new MessageAdmin(connection, this.tracer);
    this.#inbox = new Inbox(connection);
    // Behind the inbox: who is registered is asked.
    this.#producerGroups = new ProducerGroups(connection);
  }

  createProducer(options: ProducerOptions): Producer {
    this.#checkOpen();
    return this.#keep(
      new Producer(
        { connection: this.#connection, outbox: this.#outbox, routes: this.#routes, tracer: this.tracer, inbox: this.#inbox, onShutdown: (client) => this.#clients.delete(client) },
        options,
      ),
    );
  }

  async createTransactionProducer(options: TransactionProducerOptions): Promise<TransactionProducer> {
    this.#checkOpen();
    const parts = { connection: this.#connection, outbox: this.#outbox, routes: this.#routes, tracer: this.tracer, inbox: this.#inbox, producerGroups: this.#producerGroups };
    const producer = this.#keep(new TransactionProducer({ ...parts, onShutdown: (client) => this.#clients.delete(client) }, options));
    try {
      await producer.start();
      this.#checkOpen();
    } catch (error) {
      await producer.shutdown(0);
      throw error;
    }
    return producer;
  }

  async createPushConsumer(options: PushConsumerOptions): Promise<PushConsumer> {
    this.#checkOpen();
    const consumer = new PushConsumer(this.#connection, options, (client) => this.#clients.delete(client), this.tracer, this.#routes);
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

  createPullConsumer(options: PullConsumerOptions): PullConsumer {
    this.#checkOpen();
    return this.#keep(new PullConsumer(this.#connection, options, (client) => this.#clients.delete(client), this.tracer));
  }

  async createSimpleConsumer(options: SimpleConsumerOptions): Promise<SimpleConsumer> {
    this.#checkOpen();
    const consumer = this.#keep(new SimpleConsumer(this.#connection, options, (client) => this.#clients.delete(client), this.tracer));
    try {
      await consumer.start();
      this.#checkOpen();
    } catch (error) {
      await consumer.shutdown();
      throw error;
    }
    return consumer;
  }

  outbox(db: OutboxDatabase, storeName: string): TransactionalOutbox {
    this.#checkOpen();
    return this.#keep(
      new TransactionalOutbox({ connection: this.#connection, outbox: this.#outbox, routes: this.#routes, tracer: this.tracer, onShutdown: (client) => this.#clients.delete(client) }, db, storeName),
    );
  }

  /** `code`: loaded by whoever wants one. */
  async httpOutbox({ HttpOutbox }: typeof import("./http-outbox/http-outbox.ts"), options: HttpOutboxOptions, admin: Admin): Promise<HttpOutbox> {
    this.#checkOpen();
    // Its consumer and producer are its own to shut down.
    const makeConsumer = (its: PushConsumerOptions): PushConsumer => new PushConsumer(this.#connection, its, () => {}, this.tracer, this.#routes);
    const parts = { connection: this.#connection, admin, makeConsumer, makeProducer: (its: ProducerOptions) => this.createProducer(its) };
    const outbox = this.#keep(new HttpOutbox({ ...parts, onShutdown: (client) => this.#clients.delete(client) }, options));
    try {
      await outbox.start();
      this.#checkOpen();
    } catch (error) {
      await outbox.shutdown(0);
      throw error;
    }
    return outbox;
  }

  async flush(): Promise<void> {
    // What was refused because its topic was gone asks for it again, and is sent a second time.
    do {
      await this.#routes.settled();
      await this.#outbox.drained();
    } while (this.#routes.isAsking);
  }

  /** Shuts down what was created here, consumers first. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all([...this.#clients].map((client) => client.shutdown()));
    await this.flush();
    await this.tracer.close();
  }

  #keep<Client extends { shutdown(): Promise<void> }>(client: Client): Client {
    this.#clients.add(client);
    return client;
  }

  #checkOpen(): void {
    if (this.#isClosing) throw connectionClosed(this.#connection.options.namespace);
  }
}
