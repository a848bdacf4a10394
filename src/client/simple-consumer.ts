import type { MessageSelector } from "../filter/message-selector.ts";
import { asMQError, errorFromData, inDoubt as toldInDoubt, MQError } from "../model/errors.ts";
import { CALL_TIMEOUT, DEFAULT_INVISIBLE_DURATION, LONG_POLL, LONG_POLL_GRACE, MAX_CLAIMS, MAX_INVISIBLE_DURATION, MAX_RECEIVE, MAX_SUBSCRIPTIONS_PER_MEMBER } from "../model/limits.ts";
import { asSent, type MessageExt } from "../model/message.ts";
import { checkClientTopic, checkGroup } from "../model/names.ts";
import { decodeRecords } from "../model/record-codec.ts";
import { MAX_RECONSUME_TIMES } from "../model/retry.ts";
import { type Deferred, deferred } from "../platform/deferred.ts";
import { Events } from "../platform/events.ts";
import { sleep } from "../platform/timers.ts";
import type { BrokerApi, ClaimHandle, ConsumeFromWhere } from "../protocol/api.ts";
import { boolean, entries, integer, named, oneOf, optional, record } from "../protocol/validate.ts";
import { BrokerGone, type BrokerMethod, type BrokerValue } from "./channel.ts";
import type { Connection } from "./connection.ts";
import { Deadline } from "./deadline.ts";
import { listen } from "./listen.ts";
import { PopMember } from "./pop-member.ts";
import { checkSubscribed, selector, withoutTopic, withTopic } from "./subscriptions.ts";
import type { Tracer, Try, TryEnd } from "./tracer.ts";

/** What `mq.createSimpleConsumer` takes. */
export interface SimpleConsumerOptions {
  consumerGroup: string;
  /** topic -> "*", a tag expression such as "created || paid", or a MessageSelector. */
  subscriptions: Record<string, string | MessageSelector>;
  /** Where a group begins that has never been there. Default CONSUME_FROM_LAST_OFFSET. */
  consumeFromWhere?: ConsumeFromWhere;
  /** How often a message is given again before it becomes a dead letter. Default 16. */
  maxReconsumeTimes?: number;
  /** The group's subscriptions become this consumer's; `receive` of members with others rejects from then on, what they have in hand they may acknowledge. Default false: this consumer is refused. */
  replaceSubscription?: boolean;
}

/** What a simple consumer's `receive` takes. */
export interface ReceiveOptions {
  /** At most 32, which is the default. */
  max?: number;
  /** So long the messages are nobody else's, ms; at most 12 hours. Default 60,000. */
  invisibleDuration?: number;
  /** How long to wait for the first message, ms. Default 15,000; 0 = do not wait. */
  awaitDuration?: number;
}

/** What a simple consumer tells. */
export interface SimpleConsumerEvents {
  error: MQError;
  /** By `subscribe` or `unsubscribe`, of this consumer and of all others in the group, these are the group's subscriptions now. */
  subscribed: { subscriptions: Record<string, MessageSelector> };
}

const EVENTS = ["error", "subscribed"] as const satisfies readonly (keyof SimpleConsumerEvents)[];

const optionsCheck = record({
  consumerGroup: named(checkGroup),
  subscriptions: entries(named(checkClientTopic), selector, MAX_SUBSCRIPTIONS_PER_MEMBER),
  consumeFromWhere: optional(oneOf("CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_FIRST_OFFSET")),
  maxReconsumeTimes: optional(integer(0, 2 ** 31 - 1)),
  replaceSubscription: optional(boolean),
});
const invisible = integer(1, MAX_INVISIBLE_DURATION);
const receiveCheck = record({ max: optional(integer(1, MAX_RECEIVE)), invisibleDuration: optional(invisible), awaitDuration: optional(integer(0, 2 ** 31 - 1)) });

/** Between two tries where a broker cannot answer, ms. */
const RETRY_DELAY = 50;

/** A message that this consumer has claimed. */
interface Held {
  handle: ClaimHandle;
  /** By this tab's clock: later than at the broker, never sooner. */
  until: number;
  /** The calls about it go one after the other: each changes what the next one says. */
  last: Promise<unknown>;
  /** A call about it has ended without an answer. */
  isInDoubt: boolean;
  traced: Try | null;
}

interface Ack {
  held: Held;
  done: Deferred<void>;
}

/** Owns no queue: takes single messages, each for a time, and says which are finished. Made by `mq.createSimpleConsumer`; RocketMQ calls it POP. */
export class SimpleConsumer {
  readonly consumerGroup: string;
  readonly #events = new Events<SimpleConsumerEvents>();
  readonly #connection: Connection;
  readonly #onShutdown: (consumer: SimpleConsumer) => void;
  readonly #member: PopMember;
  readonly #tracer: Tracer | null;
  readonly #unlisten: (() => void)[];
  #held = new WeakMap<MessageExt, Held>();
  #acks: Ack[] = [];
  #receives = 0;
  #closing: Promise<void> | null = null;
  #isShut = false;
  readonly #shut = deferred<never[]>();

  constructor(connection: Connection, options: SimpleConsumerOptions, onShutdown: (consumer: SimpleConsumer) => void, tracer: Tracer | null) {
    const checked = optionsCheck(options, "simpleConsumer");
    this.consumerGroup = checked.consumerGroup;
    if (checked.subscriptions.length === 0) throw new MQError("INVALID_PARAMETER", "A simple consumer needs a subscription.", { field: "simpleConsumer.subscriptions" });
    this.#connection = connection;
    this.#onShutdown = onShutdown;
    this.#tracer = tracer;
    this.#member = new PopMember(connection, {
      group: this.consumerGroup,
      subscriptions: new Map(checked.subscriptions),
      consumeFromWhere: checked.consumeFromWhere ?? "CONSUME_FROM_LAST_OFFSET",
      maxReconsumeTimes: checked.maxReconsumeTimes ?? MAX_RECONSUME_TIMES,
      replaceSubscription: checked.replaceSubscription ?? false,
    });
    this.#unlisten = [
      // The page goes away, and what it has claimed. Should it come back, that is others'.
      connection.lifecycle.on("hide", () => (this.#held = new WeakMap())),
      this.#member.events.on("error", (error) => this.#events.emit("error", error)),
      this.#member.events.on("subscribed", (subscriptions) => this.#events.emit("subscribed", { subscriptions: Object.fromEntries(subscriptions) })),
    ];
  }

  /** Joins the group; rejects when the broker refuses. Later joins, after a broker's death, happen by themselves. @internal */
  async start(): Promise<void> {
    await this.#asking("join", CALL_TIMEOUT, (deadline) => deadline.race(this.#member.joined()));
  }

  /** Messages that nobody else has at the moment: at once if some are there, else as soon as the first arrives; none when the time is up. */
  async receive(options: ReceiveOptions = {}): Promise<MessageExt[]> {
    this.#checkOpen();
    const { max = MAX_RECEIVE, invisibleDuration = DEFAULT_INVISIBLE_DURATION, awaitDuration = LONG_POLL } = receiveCheck(options, "receive");
    const { clock } = this.#connection.environment;
    const { telemetry } = this.#connection.options;
    const began = telemetry === undefined ? 0 : clock.now();
    const until = clock.monotonic() + awaitDuration;
    const work = this.#asking("receive", awaitDuration + CALL_TIMEOUT, async (deadline) => {
      for (;;) {
        const receive = ++this.#receives;
        const wait = Math.max(0, Math.min(LONG_POLL, Math.ceil(until - clock.monotonic())));
        const { records, handles, subscribed } = await this.#call(deadline, "receive", (memberId) => [{ memberId, receive, max, invisibleDuration, wait }], wait + LONG_POLL_GRACE);
        if (this.#isShut) return [];
        // What comes with it is filtered by it.
        if (subscribed !== undefined) this.#member.granted(subscribed);
        const messages = this.#take(decodeRecords(records, this.#connection.serving.brokerName), handles, clock.monotonic() + invisibleDuration);
        telemetry?.received(this.consumerGroup, messages, began);
        if (messages.length > 0 || clock.monotonic() >= until) return messages;
      }
    });
    return Promise.race([work, this.#shut.promise]);
  }

  /** The message is finished for the group; resolves when that is durable. Rejects with INVALID_RECEIPT_HANDLE when it is no longer this consumer's. */
  async ack(message: MessageExt): Promise<void> {
    this.#checkOpen();
    const held = this.#holding(message, "ack.message");
    return this.#inTurn(held, message, () => this.#ack(held), () => {
      this.#held.delete(message);
      this.#tellEnd(held, { returnType: "SUCCESS" });
    });
  }

  /** From now on the message is this consumer's for so long, ms. */
  async changeInvisibleDuration(message: MessageExt, invisibleDuration: number): Promise<void> {
    this.#checkOpen();
    const checked = invisible(invisibleDuration, "changeInvisibleDuration.invisibleDuration");
    const held = this.#holding(message, "changeInvisibleDuration.message");
    return this.#inTurn(held, message, async () => {
      held.handle = await this.#asking("changeInvisibleDuration", CALL_TIMEOUT, (deadline) =>
        this.#call(deadline, "changeInvisible", (memberId) => [{ memberId, handle: held.handle, invisibleDuration: checked, again: this.#isAgain(held) }], CALL_TIMEOUT, () => (held.isInDoubt = true)),
      );
      held.until = this.#connection.environment.clock.monotonic() + checked;
    });
  }

  /**
   * The group consumes this topic too, or by another filter: as `subscribe` of a push consumer. The consumer that was
   * refused hears of the others' consent (`subscribed`) with its next `receive`, or within a second.
   */
  async subscribe(topic: string, filter: string | MessageSelector = "*"): Promise<void> {
    this.#checkOpen();
    await this.#member.subscribe(withTopic(this.#member.wishedSubscriptions, topic, filter));
  }

  /** The group does not consume this topic any more; what it has in hand of it can be acknowledged. One topic must be left. */
  async unsubscribe(topic: string): Promise<void> {
    this.#checkOpen();
    await this.#member.subscribe(checkSubscribed(withoutTopic(this.#member.wishedSubscriptions, topic)));
  }

  /** Returns the function that stops listening. */
  on<Name extends keyof SimpleConsumerEvents>(name: Name, listener: (event: SimpleConsumerEvents[Name]) => void): () => void {
    return listen(this.#events, EVENTS, name, listener);
  }

  /** Leaves the group; what was received and not acknowledged is for the others at once. */
  shutdown(): Promise<void> {
    this.#closing ??= this.#shutdown();
    return this.#closing;
  }

  async #shutdown(): Promise<void> {
    // Acknowledgements on their way are heard first: the port keeps its order.
    this.#sendAcks();
    this.#isShut = true;
    this.#shut.resolve([]);
    for (const unlisten of this.#unlisten) unlisten();
    await this.#member.stop();
    this.#onShutdown(this);
  }

  /** As `shutdown`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  #checkOpen(): void {
    if (this.#isShut) throw new MQError("CLOSED", `The simple consumer of group "${this.consumerGroup}" is shut down.`);
  }

  #holding(message: MessageExt, field: string): Held {
    const held = typeof message === "object" && message !== null ? this.#held.get(message) : undefined;
    if (held !== undefined) return held;
    throw new MQError("INVALID_RECEIPT_HANDLE", `${field}: this consumer has not received the message, or has acknowledged it, or has lost it.`, { field });
  }

  #take(decoded: MessageExt[], handles: ClaimHandle[], until: number): MessageExt[] {
    const messages: MessageExt[] = [];
    for (const [at, stored] of decoded.entries()) {
      const held: Held = { handle: handles[at]!, until, last: Promise.resolve(), isInDoubt: false, traced: null };
      // The broker compares tag codes; different tags may share one, so the text has the last word.
      const filter = this.#member.subscriptions.get(stored.topic);
      if (filter?.type === "TAG" && !filter.matches({ tags: stored.tags })) {
        this.#ack(held).catch((error: unknown) => this.#events.emit("error", asMQError(error)));
        continue;
      }
      const message = asSent(stored);
      held.traced = this.#tracer?.began(this.consumerGroup, [message], message.reconsumeTimes) ?? null;
      this.#held.set(message, held);
      messages.push(message);
    }
    return messages;
  }

  /** Those of one task go together. */
  #ack(held: Held): Promise<void> {
    const done = deferred<void>();
    if (this.#acks.length === 0) queueMicrotask(() => this.#sendAcks());
    this.#acks.push({ held, done });
    return done.promise;
  }

  #sendAcks(): void {
    while (this.#acks.length > 0) {
      // What may have been done before is said apart.
      const again = this.#isAgain(this.#acks[0]!.held);
      const rest = this.#acks.findIndex(({ held }, at) => at >= MAX_CLAIMS || this.#isAgain(held) !== again);
      void this.#settle(this.#acks.splice(0, rest < 0 ? this.#acks.length : rest), again);
    }
  }

  async #settle(acks: Ack[], wasSent: boolean): Promise<void> {
    let again = wasSent;
    const inDoubt = (): void => {
      again = acks.every(({ held }) => this.#isInTime(held));
      for (const { held } of acks) held.isInDoubt = true;
    };
    try {
      const { refused } = await this.#asking("ack", CALL_TIMEOUT, (deadline) =>
        this.#call(deadline, "ack", (memberId) => [{ memberId, handles: acks.map(({ held }) => held.handle), again }], CALL_TIMEOUT, inDoubt),
      );
      const errors = new Map(refused.map(({ index, error }) => [index, errorFromData(error)]));
      for (const [index, { done }] of acks.entries()) {
        const error = errors.get(index);
        if (error === undefined) done.resolve();
        else done.reject(error);
      }
    } catch (error) {
      for (const { done } of acks) done.reject(error);
    }
  }

  /** A claim that is over may have ended as a dead letter: then "finished already" is no answer. */
  #isAgain(held: Held): boolean {
    return held.isInDoubt && this.#isInTime(held);
  }

  #isInTime({ until }: Held): boolean {
    return this.#connection.environment.clock.monotonic() < until;
  }

  async #inTurn(held: Held, message: MessageExt, work: () => Promise<void>, onDone: () => void = () => {}): Promise<void> {
    const turn = held.last.then(async () => {
      // The call before may have ended it.
      if (this.#held.get(message) !== held) this.#holding(message, "message");
      try {
        await work();
        held.isInDoubt = false;
        onDone();
      } catch (error) {
        const { outcome, code } = asMQError(error);
        if (code === "INVALID_RECEIPT_HANDLE") {
          this.#held.delete(message);
          this.#tellEnd(held, { returnType: "FAILED", reason: asMQError(error).message });
        }
        else if (outcome === "unknown") held.isInDoubt = true;
        // Of a call whose first try nobody knows, the last one's refusal is not the whole truth.
        throw held.isInDoubt ? toldInDoubt(asMQError(error)) : error;
      }
    });
    held.last = turn.catch(() => {});
    return turn;
  }

  #tellEnd({ traced }: Held, end: TryEnd): void {
    if (traced !== null) this.#tracer!.ended(traced, end);
  }

  async #asking<T>(what: string, timeout: number, work: (deadline: Deadline) => Promise<T>): Promise<T> {
    const deadline = new Deadline(this.#connection.environment.timers, timeout, `The call "${what}"`);
    try {
      return await work(deadline);
    } finally {
      deadline.clear();
    }
  }

  /** At the present broker, or at the next one. `onDoubt`: nobody knows whether the call was heard. */
  async #call<M extends BrokerMethod>(deadline: Deadline, method: M, args: (memberId: string) => Parameters<BrokerApi[M]>, timeout: number, onDoubt: () => void = () => {}): Promise<BrokerValue<M>> {
    for (;;) {
      try {
        const memberId = await deadline.race(this.#member.joined());
        return await deadline.race(this.#connection.callOnce(method, args(memberId), { timeout }));
      } catch (error) {
        const { code, outcome } = asMQError(error);
        if (code === "SUBSCRIPTION_INCONSISTENT") this.#member.displacedBy(asMQError(error));
        if (code === "DEADLINE_EXCEEDED" || this.#isShut) throw error;
        if (code === "STALE_GENERATION") this.#member.forget();
        else if (!(error instanceof BrokerGone) && code !== "FENCED" && code !== "STORAGE_UNAVAILABLE") throw error;
        if (outcome === "unknown") onDoubt();
      }
      await deadline.race(sleep(this.#connection.environment.timers, RETRY_DELAY));
    }
  }
}
