import { type Signal, signal } from "@preact/signals";
import { connect, type ConnectOptions, type Diagnostics, MQError, type Producer, type PullConsumer, type TabMQ } from "../index.ts";

export type Phase = "connecting" | "connected" | "reconnecting" | "failed";

/** One element's connection to one namespace. What an application has connected itself is used and left open. */
export class Session {
  readonly namespace: string;
  readonly phase: Signal<Phase> = signal("connecting");
  /** Why there is no connection, as a sentence. */
  readonly failure = signal("");
  /** There was a connection, and it is over for good: the namespace was destroyed, or the application has closed its client. */
  readonly isOver = signal(false);
  readonly client: Signal<TabMQ | null> = signal(null);
  /** Asked for now and then: see `refresh`. */
  readonly diagnostics: Signal<Diagnostics | null> = signal(null);
  readonly #host: NonNullable<ConnectOptions["host"]>;
  readonly #given: TabMQ | undefined;
  readonly #ended = new AbortController();
  #producer: Promise<Producer> | null = null;
  #reader: Promise<PullConsumer> | null = null;

  /** Whether `open` can make another connection: not in the place of one that an application has made. */
  get canReopen(): boolean {
    return this.#given === undefined;
  }

  constructor(namespace: string, { host = "auto", client }: { host?: ConnectOptions["host"]; client?: TabMQ | undefined } = {}) {
    this.namespace = client?.namespace ?? namespace;
    this.#host = host;
    this.#given = client;
  }

  /** Resolves with whether there is a connection now. */
  async open(): Promise<boolean> {
    this.phase.value = "connecting";
    this.isOver.value = false;
    [this.#producer, this.#reader] = [null, null];
    try {
      const client = this.#given ?? (await connect({ namespace: this.namespace, host: this.#host, signal: this.#ended.signal }));
      if (this.#ended.signal.aborted) {
        if (this.#given === undefined) void client.close();
        return false;
      }
      client.on("connected", () => {
        this.phase.value = "connected";
        void this.refresh();
      });
      client.on("disconnected", () => {
        this.phase.value = "reconnecting";
        void this.refresh();
      });
      client.on("damaged", () => void this.refresh());
      this.client.value = client;
      this.phase.value = "connected";
      await this.refresh();
      return true;
    } catch (error) {
      if (this.#ended.signal.aborted) return false;
      this.phase.value = "failed";
      this.failure.value = error instanceof Error ? error.message : String(error);
      return false;
    }
  }

  async refresh(): Promise<void> {
    const client = this.client.peek();
    try {
      const report = await client?.diagnostics();
      if (report !== undefined && client === this.client.peek()) this.diagnostics.value = report;
    } catch (error) {
      ignoreUnlessBug(error);
      if (error instanceof MQError && error.code === "CLOSED" && client === this.client.peek()) this.#over(error);
    }
  }

  /** Nobody is asked any more, and no panel waits for an answer. */
  #over(reason: MQError): void {
    if (this.#ended.signal.aborted) return;
    this.isOver.value = true;
    this.failure.value = reason.message;
    this.phase.value = "failed";
    this.client.value = null;
    this.diagnostics.value = null;
  }

  /** The client, for what can only be reached while there is one. */
  get mq(): TabMQ {
    const client = this.client.peek();
    if (client === null) throw new Error("There is no connection to a broker yet.");
    return client;
  }

  /** What is sent from a panel is sent by one producer. What could not be made is tried anew the next time. */
  producer(): Promise<Producer> {
    return (this.#producer ??= this.mq.createProducer({ producerGroup: "tabmq-devtools" }).catch((error: unknown) => {
      this.#producer = null;
      throw error;
    }));
  }

  /** Reads queues on nobody's account: it never polls, so it is in no group. */
  reader(): Promise<PullConsumer> {
    return (this.#reader ??= this.mq.createPullConsumer({ consumerGroup: "tabmq-devtools" }).catch((error: unknown) => {
      this.#reader = null;
      throw error;
    }));
  }

  async close(): Promise<void> {
    this.#ended.abort();
    const client = this.client.peek();
    this.client.value = null;
    if (this.#given === undefined) await client?.close();
    else await Promise.all([this.#producer, this.#reader].map(async (own) => (await own)?.shutdown()));
  }
}

/** A broker that goes away while it is asked is normal life, and the header shows it. */
export function ignoreUnlessBug(error: unknown): undefined {
  if (!(error instanceof MQError)) throw error;
  return undefined;
}
