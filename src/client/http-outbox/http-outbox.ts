import { MQError } from "../../model/errors.ts";
import type { Message, MessageExt } from "../../model/message.ts";
import { RESERVED_PROPERTIES } from "../../model/properties.ts";
import { Events } from "../../platform/events.ts";
import type { Cancel } from "../../platform/timers.ts";
import type { ConsumeStats } from "../../protocol/api.ts";
import type { Admin } from "../admin.ts";
import type { Connection } from "../connection.ts";
import type { DiscardResult } from "../dead-letters.ts";
import { listen } from "../listen.ts";
import type { ConsumeContext } from "../listener-runner.ts";
import type { Producer, ProducerOptions, SendResult } from "../producer.ts";
import type { OffsetMoved, PushConsumer, PushConsumerOptions } from "../push-consumer.ts";
import { Blockades, REPLACES } from "./blockades.ts";
import { type Delivered, Delivery, type Try } from "./delivery.ts";
import { EntityLines } from "./entity-lines.ts";
import { type NetworkChannel, systemNetwork } from "./network.ts";
import { httpOutboxOptions, type HttpOutboxOptions } from "./options.ts";

/** One message, as an event tells it; the same in every tab. */
export interface HttpOutboxMessage extends Try {
  msgId: string;
  keys: string[];
  messageGroup?: string;
  /** The client whose tab sends it. */
  clientId: string;
}

/** How an HTTP outbox stands, over all tabs. */
export interface HttpOutboxProgress {
  /** Messages that are neither sent nor dead, those that nobody has looked at yet included. */
  waiting: number;
  /** Dead letters, at most 1000 of them counted. */
  dead: number;
  /** Clients that send at present, by id; [] = nobody. */
  senders: string[];
}

/** Told in every tab that has this outbox open, whichever sends; `lost` and `error` only where they happen. */
export interface HttpOutboxEvents {
  /** The server has taken it. */
  sent: HttpOutboxMessage;
  /** A try has failed; the next is in `delay` ms, or sooner when the network comes back. */
  retried: HttpOutboxMessage & { delay: number };
  /** It is a dead letter; `reason` says why, in words. */
  dead: HttpOutboxMessage;
  /** Something has changed. Asked for only while somebody listens, a few times a second at most. */
  progress: HttpOutboxProgress;
  /** Retention has removed messages of a queue before they could be sent. */
  lost: OffsetMoved;
  error: MQError;
}

export const HTTP_OUTBOX_EVENTS = ["sent", "retried", "dead", "progress", "lost", "error"] as const satisfies readonly (keyof HttpOutboxEvents)[];

export interface HttpOutboxParts {
  connection: Connection;
  admin: Admin;
  makeConsumer: (options: PushConsumerOptions) => PushConsumer;
  makeProducer: (options: ProducerOptions) => Producer;
  onShutdown: (outbox: HttpOutbox) => void;
}

/** What goes between tabs. */
type Notice =
  | { told: "sent" | "retried" | "dead"; message: HttpOutboxMessage & { delay: number } }
  | { told: "inHand"; clientId: string; count: number }
  | { told: "hello" | "settled" | "now" };

/** A message that is being worked on occupies a listener, also while it waits for its turn or its next try. */
const IN_HAND = 1000;
/** A message may wait for its server as long as a tab lives. */
const NO_TIMEOUT = 2 ** 31 - 1;
/** How far a queue runs ahead of a message that is not done; RocketMQ's largest value. */
const MAX_SPAN = 65_535;
/** What was sent behind one that is not done is not sent again by the next tab: so long its key is remembered. */
const REMEMBERED = 7 * 24 * 3_600_000;
const DEFAULT_CONCURRENCY = 6;
const DEFAULT_TIMEOUT = 30_000;
const DEFAULT_DELAYS = { min: 1000, max: 5 * 60_000 };
const TELL_EVERY = 200;
const COUNTED_LETTERS = 1000;
const SHUTDOWN_PATIENCE = 5000;

/** The server refuses it for good: that is no failure of the listener. */
class Refused extends Error {}

/**
 * Brings a topic's messages to an HTTP API: tried until the server takes them, each entity (`messageGroup`) in its order. The tabs of
 * a group share the queues. Made by `mq.createHttpOutbox`.
 */
export class HttpOutbox {
  readonly consumerGroup: string;
  readonly topic: string;
  readonly #connection: Connection;
  readonly #admin: Admin;
  readonly #consumer: PushConsumer;
  readonly #makeProducer: HttpOutboxParts["makeProducer"];
  readonly #onShutdown: HttpOutboxParts["onShutdown"];
  readonly #events = new Events<HttpOutboxEvents>();
  readonly #delivery: Delivery;
  readonly #lines = new EntityLines();
  /** None = followers of a dead letter go on. */
  readonly #blockades: Blockades | null;
  readonly #channel: NetworkChannel | null;
  /** Messages that this tab works on. */
  #inHand = 0;
  /** The same of other tabs, by client id. */
  readonly #inHandOf = new Map<string, number>();
  /** What is to be told of a message as soon as it is a dead letter. */
  readonly #refused = new WeakMap<MessageExt, HttpOutboxMessage>();
  #producer: Producer | null = null;
  #listeners = 0;
  #cancelTell: Cancel | null = null;
  #closing: Promise<void> | null = null;

  constructor(parts: HttpOutboxParts, options: HttpOutboxOptions) {
    const checked = httpOutboxOptions(options, "httpOutbox");
    const { consumerGroup, topic, onDead = "continue" } = checked;
    const { environment, options: { namespace } } = parts.connection;
    const { timers, clock, random, network = systemNetwork } = environment;
    const onError = (error: MQError): void => this.#events.emit("error", error);
    this.consumerGroup = consumerGroup;
    this.topic = topic;
    this.#connection = parts.connection;
    this.#admin = parts.admin;
    this.#makeProducer = parts.makeProducer;
    this.#onShutdown = parts.onShutdown;
    const min = checked.minRetryDelay ?? DEFAULT_DELAYS.min;
    this.#blockades = onDead === "block" ? new Blockades({ admin: parts.admin, group: consumerGroup, timers, onError }) : null;
    this.#consumer = parts.makeConsumer({
      consumerGroup,
      subscriptions: { [topic]: "*" },
      messageListener: (message, context) => this.#listen(message, context),
      // What was sent before anybody had this outbox open is to go out too.
      consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      consumeConcurrency: IN_HAND,
      consumeConcurrentlyMaxSpan: MAX_SPAN,
      consumeTimeout: NO_TIMEOUT,
      idempotent: { window: REMEMBERED },
    });
    this.#delivery = new Delivery({
      options: checked, network, timers, clock, random, onError,
      maxAttempts: checked.maxAttempts ?? Infinity,
      concurrency: checked.concurrency ?? DEFAULT_CONCURRENCY,
      timeout: checked.timeout ?? DEFAULT_TIMEOUT,
      delays: { min, max: Math.max(min, checked.maxRetryDelay ?? DEFAULT_DELAYS.max) },
      onRetry: (message, { delay, ...failed }) => this.#tell("retried", { ...this.#told(message, failed), delay }),
    });
    this.#consumer.on("rebalance", ({ assigned }) => {
      if (assigned.length > 0) this.#blockades?.reload();
      this.#changed();
    });
    this.#consumer.on("sentBack", ({ message }) => {
      const told = this.#refused.get(message);
      if (told !== undefined) this.#tell("dead", told);
      this.#changed();
    });
    this.#consumer.on("offsetMoved", (moved) => this.#events.emit("lost", moved));
    this.#consumer.on("error", (error) => {
      if (!isOurs(error.cause)) onError(error);
    });
    this.#channel = network.openChannel(`tabmq/${namespace}/http-outbox/${consumerGroup}`, (notice) => this.#hear(notice as Notice));
    this.#channel?.post({ told: "hello" } satisfies Notice);
  }

  /** Begins to send; `mq.createHttpOutbox` has done it. Resolves when its consumer has joined its group. */
  start(): Promise<void> {
    return this.#consumer.start();
  }

  /** Messages that are neither sent nor dead, over all tabs. */
  async waiting(): Promise<number> {
    return this.#waiting(await this.#admin.consumeStats(this.consumerGroup));
  }

  /** How things stand, over all tabs. */
  async progress(): Promise<HttpOutboxProgress> {
    const [stats, letters] = await Promise.all([this.#admin.consumeStats(this.consumerGroup), this.#admin.deadLetters(this.consumerGroup, { max: COUNTED_LETTERS })]);
    const senders = stats.queues.filter(({ topic }) => topic === this.topic).flatMap(({ clientId }) => clientId ?? []);
    return { waiting: this.#waiting(stats), dead: letters.length, senders: [...new Set(senders)].sort() };
  }

  /** Messages that a server has refused for good, the oldest first; property `DLQ_ERROR` says why. */
  deadLetters(options: { max?: number } = {}): Promise<MessageExt[]> {
    return this.#admin.deadLetters(this.consumerGroup, options);
  }

  /**
   * Sends a dead letter as a new message, as it was or changed. It has a new msgId, and so a new idempotency key: servers remember
   * what they have answered to the old one. The letter is discarded when its replacement has been sent, or is a dead letter itself.
   * @throws MQError NO_MESSAGE: there is no such dead letter
   */
  async resend(msgId: string, changes: Partial<Pick<Message, "body" | "tags" | "keys" | "flag" | "properties">> = {}): Promise<SendResult> {
    const letter = (await this.#admin.deadLetters(this.consumerGroup, { max: Number.MAX_SAFE_INTEGER })).find((one) => one.msgId === msgId);
    if (letter === undefined) throw new MQError("NO_MESSAGE", `Group "${this.consumerGroup}" has no dead letter ${String(msgId)}.`, { field: "msgId" });
    this.#checkOpen();
    const { bodyKind, tags, keys, flag, messageGroup, priority } = letter;
    const properties = Object.fromEntries(Object.entries(letter.properties).filter(([name]) => !RESERVED_PROPERTIES.has(name)));
    const body = bodyKind === "json" ? letter.json() : bodyKind === "text" ? letter.text() : letter.body;
    this.#producer ??= this.#makeProducer({ producerGroup: this.consumerGroup });
    return this.#producer.send({
      body, keys, flag, ...(tags !== undefined && { tags }), ...(messageGroup !== undefined && { messageGroup }), ...(priority !== undefined && { priority }), ...changes,
      topic: this.topic, properties: { ...(changes.properties ?? properties), [REPLACES]: msgId },
    });
  }

  /** Dead letters that are not to be sent any more; all, or those named. */
  async discard(msgIds?: string[]): Promise<DiscardResult> {
    const result = await this.#admin.discardDeadLetters({ group: this.consumerGroup, ...(msgIds !== undefined && { msgIds }) });
    this.#settled();
    return result;
  }

  /** Whatever waits for its next try is tried now, in every tab. */
  retryNow(): void {
    this.#delivery.retryNow();
    this.#channel?.post({ told: "now" } satisfies Notice);
  }

  /** Returns the function that stops listening. */
  on<Name extends keyof HttpOutboxEvents>(name: Name, listener: (event: HttpOutboxEvents[Name]) => void): () => void {
    const stop = listen(this.#events, HTTP_OUTBOX_EVENTS, name, listener);
    if (name !== "progress") return stop;
    this.#listeners++;
    this.#tellProgress();
    let isListening = true;
    return () => {
      stop();
      this.#listeners -= Number(isListening);
      isListening = false;
    };
  }

  /** Sends no more from this tab. Waits for requests that are on their way, but no longer than `patience` ms; what is left is sent by another tab, or later. */
  shutdown(patience = SHUTDOWN_PATIENCE): Promise<void> {
    this.#closing ??= this.#shutdown(patience);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  async #shutdown(patience: number): Promise<void> {
    this.#consumer.suspend();
    this.#cancelTell?.();
    const { timers } = this.#connection.environment;
    let cancel: Cancel = () => {};
    await Promise.race([this.#delivery.stop(), new Promise<void>((resolve) => (cancel = timers.after(patience, resolve)))]);
    cancel();
    // Its listeners wait until they are told to stop, which this does.
    await this.#consumer.shutdown(0);
    await this.#producer?.shutdown();
    this.#channel?.close();
    this.#onShutdown(this);
  }

  /** Success, or a throw: for the dead letters, or because the signal was aborted. */
  async #listen(message: MessageExt, context: ConsumeContext): Promise<void> {
    this.#inHand++;
    this.#changed();
    try {
      const delivered = await this.#inTurn(message, context.signal);
      if (delivered.verdict === "done") return;
      context.delayLevelWhenNextConsume = -1;
      throw new Refused(delivered.reason);
    } finally {
      this.#inHand--;
      this.#changed();
    }
  }

  async #inTurn(message: MessageExt, signal: AbortSignal): Promise<Delivered> {
    const { messageGroup: entity } = message;
    if (entity === undefined) return this.#deliver(message, signal);
    // It goes before those that wait for it.
    if (await this.#blockades?.isAwaited(entity, message, signal)) return this.#deliver(message, signal);
    return this.#lines.run(entity, signal, async () => {
      await this.#blockades?.free(entity, signal);
      return this.#deliver(message, signal);
    });
  }

  async #deliver(message: MessageExt, signal: AbortSignal): Promise<Delivered> {
    const delivered = await this.#delivery.deliver(message, signal);
    const { verdict, ...last } = delivered;
    if (verdict === "dead" && message.messageGroup !== undefined) this.#blockades?.add(message.messageGroup, message.msgId);
    const replaced = message.properties[REPLACES];
    if (replaced !== undefined) await this.#discardReplaced(replaced);
    if (verdict === "done") this.#tell("sent", this.#told(message, last));
    else this.#refused.set(message, this.#told(message, last));
    return delivered;
  }

  async #discardReplaced(msgId: string): Promise<void> {
    try {
      await this.#admin.discardDeadLetters({ group: this.consumerGroup, msgIds: [msgId] });
    } catch (error) {
      // The letter stays, and whoever looks at the letters can discard it.
      this.#events.emit("error", error as MQError);
    }
    this.#settled();
  }

  /** A dead letter is none any more. */
  #settled(): void {
    this.#blockades?.lookAgain();
    this.#channel?.post({ told: "settled" } satisfies Notice);
    this.#changed();
  }

  #told({ msgId, keys, messageGroup }: MessageExt, last: Try): HttpOutboxMessage {
    return { msgId, keys, ...(messageGroup !== undefined && { messageGroup }), clientId: this.#connection.options.clientId, ...last };
  }

  #tell(told: "sent" | "retried" | "dead", message: HttpOutboxMessage & { delay?: number }): void {
    this.#events.emit(told, message as HttpOutboxMessage & { delay: number });
    this.#channel?.post({ told, message });
  }

  #hear(notice: Notice): void {
    switch (notice?.told) {
      case "sent": case "retried": case "dead":
        this.#events.emit(notice.told, notice.message);
        break;
      case "inHand":
        this.#inHandOf.set(notice.clientId, notice.count);
        return this.#tellProgress();
      case "hello":
        return this.#changed();
      case "settled":
        this.#blockades?.lookAgain();
        return this.#tellProgress();
      case "now":
        return this.#delivery.retryNow();
    }
  }

  /** Something has changed here: told soon, here and elsewhere. */
  #changed(): void {
    if (this.#cancelTell !== null || this.#closing !== null) return;
    this.#cancelTell = this.#connection.environment.timers.after(TELL_EVERY, () => {
      this.#cancelTell = null;
      this.#channel?.post({ told: "inHand", clientId: this.#connection.options.clientId, count: this.#inHand } satisfies Notice);
      this.#tellProgress();
    });
  }

  #tellProgress(): void {
    if (this.#listeners === 0 || this.#closing !== null) return;
    this.progress().then(
      (progress) => this.#events.emit("progress", progress),
      // While there is no broker there is no progress; the next change asks again.
      () => {},
    );
  }

  /**
   * A group's offset stands at the first message that is not done, whatever was done behind it. So of what a tab has received, that
   * counts which it says it works on; if it has not said so, or has received more than it can work on, all of it.
   */
  #waiting({ diffTotal, queues }: ConsumeStats): number {
    const { clientId } = this.#connection.options;
    const received = new Map<string, number>();
    for (const { clientId: owner = "", inflight } of queues) received.set(owner, (received.get(owner) ?? 0) + inflight);
    let waiting = diffTotal;
    for (const [owner, count] of received) {
      const told = this.#inHandOf.get(owner);
      const inHand = owner === clientId ? this.#inHand + (told ?? 0) : (told ?? count);
      if (inHand < IN_HAND) waiting -= Math.max(0, count - inHand);
    }
    // One is certainly not done: the one at which the offset stands. It may be on its way to the tab's hands.
    return Math.max(waiting, Math.min(diffTotal, 1));
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new MQError("CLOSED", `The HTTP outbox of group "${this.consumerGroup}" is shut down.`);
  }
}

/** Not an error to tell: a refusal has an event of its own, and a listener that was told to stop has stopped. */
function isOurs(cause: unknown): boolean {
  return cause instanceof Refused || (cause instanceof MQError && cause.code === "STALE_GENERATION");
}
