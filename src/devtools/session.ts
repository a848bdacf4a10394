import { type Signal, signal } from "@preact/signals";
import { connect, type ConnectOptions, type Diagnostics, type Message, MQError, type Producer, type PullConsumer, type SendResult, type TabMQ } from "../index.ts";
import { reasonOf } from "./polled.ts";

export type Phase = "connecting" | "connected" | "reconnecting" | "failed";

/** Connecting takes less, unless there is something to wait for, ms. */
const SOON = 4000;
/** From one attempt that was refused at once to the next, ms. */
const PAUSE = 2000;

/** One element's connection to one namespace. What an application has connected itself is used and left open. */
export class Session {
  readonly namespace: string;
  readonly phase: Signal<Phase> = signal("connecting");
  /** Why there is no connection, as a sentence. */
  readonly failure = signal("");
  /** There is no broker yet, or not again, and that for longer than is usual. */
  readonly isSlow = signal(false);
  /** There is no connection, and it is tried again and again: whoever is in the way may go. */
  readonly isTrying = signal(false);
  /** There was a connection, and it is over for good: the namespace was destroyed, or the application has closed its client. */
  readonly isOver = signal(false);
  readonly client: Signal<TabMQ | null> = signal(null);
  /** Asked for now and then: see `refresh`. */
  readonly diagnostics: Signal<Diagnostics | null> = signal(null);
  readonly #host: NonNullable<ConnectOptions["host"]>;
  readonly #given: TabMQ | undefined;
  readonly #ended = new AbortController();
  #slow: ReturnType<typeof setTimeout> | undefined;
  /** Counts up with each `open`: an earlier one tries no longer. */
  #opened = 0;
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

  /** Resolves with whether there is a connection now; false also when another `open` took its place. Tries again what may succeed later. */
  async open(): Promise<boolean> {
    const own = ++this.#opened;
    this.#be("connecting");
    this.isOver.value = false;
    [this.#producer, this.#reader] = [null, null];
    while (own === this.#opened && !this.#ended.signal.aborted) {
      if (await this.#connect(own)) return true;
      if (!this.isTrying.value) return false;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    return false;
  }

  async #connect(own: number): Promise<boolean> {
    try {
      const client = this.#given ?? (await connect({ namespace: this.namespace, host: this.#host, signal: this.#ended.signal }));
      if (this.#ended.signal.aborted || own !== this.#opened) {
        if (this.#given === undefined) void client.close();
        return false;
      }
      client.on("connected", () => {
        this.#be("connected");
        void this.refresh();
      });
      client.on("disconnected", () => {
        this.#be("reconnecting");
        void this.refresh();
      });
      client.on("damaged", () => void this.refresh());
      this.client.value = client;
      this.#be("connected");
      await this.refresh();
      return true;
    } catch (error) {
      if (this.#ended.signal.aborted || own !== this.#opened) return false;
      this.failure.value = reasonOf(error);
      this.#be("failed");
      this.isTrying.value = error instanceof MQError && error.retriable;
      return false;
    }
  }

  #be(phase: Phase): void {
    clearTimeout(this.#slow);
    this.phase.value = phase;
    [this.isSlow.value, this.isTrying.value] = [false, false];
    if (phase === "connecting" || phase === "reconnecting") this.#slow = setTimeout(() => (this.isSlow.value = true), SOON);
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
    this.failure.value = reasonOf(reason);
    this.#be("failed");
    this.client.value = null;
    this.diagnostics.value = null;
  }

  /** The client, for what can only be reached while there is one. */
  get mq(): TabMQ {
    const client = this.client.peek();
    if (client === null) throw new Error("There is no connection to a broker yet.");
    return client;
  }

  /** Sends a message of a panel's. */
  async send(message: Message): Promise<SendResult> {
    return (await this.producer()).send(message);
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
    clearTimeout(this.#slow);
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
