import { checkBatch, ofMember, unreadable } from "../model/batch.ts";
import { asMQError, MQError, textOf } from "../model/errors.ts";
import type { Message, MessageDraft, MessageExt } from "../model/message.ts";
import { draftMessage } from "../model/message.ts";
import { MessageIdGenerator } from "../model/message-id.ts";
import { checkGroup } from "../model/names.ts";
import { decodeProperties, PROPERTY } from "../model/properties.ts";
import type { MessageQueue, MessageQueueSelector } from "../model/queue.ts";
import { requestProperties, type SystemProperties } from "../model/request-reply.ts";
import type { Cancel } from "../platform/timers.ts";
import { boolean, callable, instance, integer, named, optional, record } from "../protocol/validate.ts";
import { FRAME_DIVERTED } from "../protocol/frame.ts";
import type { Connection } from "./connection.ts";
import type { Inbox } from "./inbox.ts";
import type { Outbox, OutboxEntry, SendRules } from "./outbox.ts";
import { Parcel, type ParcelOwner } from "./parcel.ts";
import { QueueChooser } from "./queue-chooser.ts";
import { recall } from "./recall.ts";
import { Replier, type ReplyOptions } from "./replier.ts";
import { Requests } from "./requests.ts";
import type { Route, Routes } from "./routes.ts";
import { SequenceNumbers } from "./sequence-numbers.ts";
import type { Telemetry } from "./telemetry.ts";
import type { Tracer } from "./tracer.ts";

/** What `mq.createProducer` takes. */
export interface ProducerOptions {
  producerGroup: string;
  /** The whole send with its retries, ms. Default 3000. */
  sendMsgTimeout?: number;
  /** Tries after the first when a try's outcome is unknown. Default 2. */
  retryTimesWhenSendFailed?: number;
  /**
   * Numbers the messages, for each queue by itself; consumers tell by the event `sequenceGap` what is missing in
   * between, and what is stored twice. A send that was certainly not stored (outcome "rejected") leaves no gap; one of
   * unknown outcome does if it was not stored, until the same object is sent again: then it is known. Takes up to 512 bytes
   * of a message's properties, mostly under 100. Default false.
   */
  sequenceAudit?: boolean;
}

/** What one `send` takes besides its message. */
export interface SendOptions {
  /** Instead of the producer's sendMsgTimeout, ms. */
  timeout?: number;
  /** Exactly this queue. */
  queue?: MessageQueue;
  /** Chooses the queue; gets `arg`. */
  selector?: MessageQueueSelector<Message>;
  arg?: unknown;
  /** Stops the waiting; a message already on its way may still be stored (outcome "unknown"). */
  signal?: AbortSignal;
}

/** The last two are of brokers with slaves: this one never answers them. */
export type SendStatus = "SEND_OK" | "FLUSH_DISK_TIMEOUT" | "FLUSH_SLAVE_TIMEOUT" | "SLAVE_NOT_AVAILABLE";

/** Where a message is, and how safe. */
export interface SendResult {
  /**
   * `SEND_OK`: durable, committed with a flush to the device (or as `flushDiskType` says); of messages with
   * `waitStoreMsgOK: false` only accepted. `FLUSH_DISK_TIMEOUT`: accepted, and the commit takes longer than the broker's
   * `syncFlushTimeout`; it is still on its way. Should it fail after such an answer, the event `flushFailed` tells.
   */
  sendStatus: SendStatus;
  /** Of a batch: all ids, joined by commas. */
  msgId: string;
  /** Where this copy stands in the log. Of a batch: all of them, joined by commas. */
  offsetMsgId: string;
  messageQueue: MessageQueue;
  /** Of a batch: the first one's; the others follow without a gap. Of a message that waits for its time: where it waits. */
  queueOffset: number;
  /** Of a message with `deliverAfter` or `deliverAt` whose time has not come: what `recall` takes. */
  recallHandle?: string;
  /** Of a transaction: its message's msgId. */
  transactionId?: string;
}

const producerOptions = record({
  producerGroup: named(checkGroup),
  sendMsgTimeout: optional(integer(1, 2 ** 31 - 1)),
  retryTimesWhenSendFailed: optional(integer(0, 100)),
  sequenceAudit: optional(boolean),
});

const queueCheck = record({
  topic: (value: unknown) => value as string,
  brokerName: (value: unknown) => value as string,
  queueId: integer(0, 2 ** 31 - 1),
});

const sendOptions = record({
  timeout: optional(integer(1, 2 ** 31 - 1)),
  // A row of topicStats is a queue too: only these three of its fields matter here.
  queue: optional((value: unknown, field: string) => queueCheck(pick(value), field)),
  selector: optional(callable<MessageQueueSelector<Message>>),
  arg: optional((value: unknown) => value),
  signal: optional((value: unknown, field: string) => instance(AbortSignal)(value, field)),
});

/** A message whose outcome is unknown. */
interface Doubt {
  msgId: string;
  /** How far the log was durable before it was sent for the first time. */
  from: number;
}

/** Sends messages. Made by `mq.createProducer`. */
export class Producer {
  readonly producerGroup: string;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #routes: Routes;
  readonly #tracer: Tracer;
  readonly #telemetry: Telemetry | undefined;
  readonly #rules: Pick<SendRules, "timeout" | "retries">;
  #lastRules: SendRules | null = null;
  readonly #ids: MessageIdGenerator;
  readonly #queues: QueueChooser;
  /** Null = its messages are not numbered. */
  readonly #numbers: SequenceNumbers | null;
  /** Messages that may be stored, and since when: sent again, the same object keeps its id, and the broker looks for it. */
  readonly #doubtful = new WeakMap<Message, Doubt>();
  readonly #owner: ParcelOwner = {
    stored: ({ messages }) => {
      for (const message of messages) this.#doubtful.delete(message);
    },
    settled: (parcel, error) => {
      if (error instanceof MQError && error.outcome === "unknown") this.#remember(parcel);
      if (--this.#pending === 0) for (const idle of this.#idle.splice(0)) idle();
    },
    forgetRoute: (topic) => this.#routes.forget(topic),
    sendAgain: (parcel) => this.#findRoute(parcel),
  };
  readonly #requests: Requests;
  readonly #replier: Replier;
  readonly #onShutdown: (producer: Producer) => void;
  #pending = 0;
  #idle: (() => void)[] = [];
  #closing: Promise<void> | null = null;

  constructor(
    parts: { connection: Connection; outbox: Outbox; routes: Routes; tracer: Tracer; inbox: Inbox; onShutdown: (producer: Producer) => void },
    options: ProducerOptions,
  ) {
    const checked = producerOptions(options, "producer");
    const { random, clock } = parts.connection.environment;
    this.producerGroup = checked.producerGroup;
    this.#connection = parts.connection;
    this.#outbox = parts.outbox;
    this.#routes = parts.routes;
    this.#tracer = parts.tracer;
    this.#telemetry = parts.connection.options.telemetry;
    this.#requests = new Requests(parts.connection, parts.inbox);
    this.#replier = new Replier(parts.connection);
    this.#onShutdown = parts.onShutdown;
    this.#rules = { timeout: checked.sendMsgTimeout ?? 3000, retries: checked.retryTimesWhenSendFailed ?? 2 };
    this.#queues = new QueueChooser(random);
    this.#numbers = checked.sequenceAudit ? new SequenceNumbers(`${checked.producerGroup}@${hex(random.bytes(8))}`) : null;
    this.#ids = new MessageIdGenerator((count) => random.bytes(count), () => clock.now());
  }

  /**
   * Sends one message, or several as a batch (one topic, one queue); resolves when they are durable, or as their `waitStoreMsgOK`
   * says. Where a send ends with outcome "unknown", send the same object again: it keeps its msgId, and is stored once. Was it
   * stored the first time, the result says where, whatever queue is asked for now.
   */
  send(message: Message | Message[], options?: SendOptions): Promise<SendResult> {
    // Not an async function: of each message that is sent without being awaited one promise is kept, and no more.
    try {
      this.#checkOpen();
      const parcel = this.#pack(message, options);
      const { signal } = parcel.options;
      if (signal?.aborted) throw aborted(signal, "rejected");
      this.#dispatch(parcel);
      return signal === undefined ? parcel.outcome : this.#abortable(parcel, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Out of everybody's sight until its transaction is committed. Each call is a transaction of its own, with an id of its own. */
  protected sendHalf(message: Message): Promise<SendResult> {
    try {
      this.#checkOpen();
      if (Array.isArray(message)) throw new MQError("MESSAGE_ILLEGAL", "A transaction has one message; a batch cannot be sent in one.", { field: "message" });
      const parcel = this.#pack(halfOf(message), undefined, () => [[PROPERTY.TRAN_MSG, "true"], [PROPERTY.PGROUP, this.producerGroup]]);
      this.#dispatch(parcel);
      return parcel.outcome;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Sends once and forgets. Throws at once when the message is illegal; what happens later is not told, and nothing is tried again. */
  sendOneway(message: Message, options?: SendOptions): void {
    this.#checkOpen();
    const parcel = this.#pack(message, options);
    parcel.isOneway = true;
    parcel.outcome.catch(() => {});
    this.#dispatch(parcel);
  }

  /**
   * Sends a message and waits for the reply of a consumer: `context.reply(body)` in its listener, or `reply(request, body)`
   * of any producer. `timeout` (default sendMsgTimeout) is for both ways together. Rejects with CONSUMER_NOT_ONLINE at
   * once, and nothing is sent, when no consumer of the topic is there; with DEADLINE_EXCEEDED, outcome "unknown", when
   * nobody replied in time. Of several replies the first is taken. The reply itself is not stored.
   */
  async request(message: Message, options?: SendOptions): Promise<MessageExt> {
    this.#checkOpen();
    if (membersOf(message) !== null) throw new MQError("MESSAGE_ILLEGAL", "A request is one message.", { field: "message" });
    const parcel = this.#pack(message, options, (timeout, correlationId) => requestProperties({ correlationId, clientId: this.#connection.options.clientId, timeout }));
    const { signal, timeout = this.#rules.timeout } = parcel.options;
    if (signal?.aborted) throw aborted(signal, "rejected");
    const [draft] = parcel.drafts;
    // It is asked first who listens.
    draft!.body = draft!.body.slice();
    parcel.hasAsked = true;
    const { topic, msgId, properties } = draft!;
    const tags = decodeProperties(properties)[PROPERTY.TAGS] ?? null;
    const onAbandoned = (): void => this.#remember(parcel);
    return this.#requests.ask({ topic, tags, msgId, timeout, deadline: parcel.deadline, signal, onAbandoned }, () => {
      this.#dispatch(parcel);
      return parcel.outcome;
    });
  }

  /**
   * Replies to a message that was sent by `request`; resolves when the requester has it. Rejects with REPLY_NOT_WANTED
   * when nobody waits for it: the requester is gone, its time was up, or somebody else was faster.
   */
  async reply(request: MessageExt, body: Message["body"], options?: ReplyOptions): Promise<void> {
    this.#checkOpen();
    return this.#replier.reply(request, body, options);
  }

  /**
   * Calls a timer off. `recalled`: true only if the message will never be delivered, which is durable then; the same
   * again is answered the same, as long as the log has the message. False when it has been delivered, or is not known.
   * Any producer may ask. @throws MQError INVALID_PARAMETER: no handle, or one of another broker
   */
  async recall(handle: string): Promise<{ recalled: boolean }> {
    this.#checkOpen();
    return recall(this.#connection, this.#tracer, this.producerGroup, handle);
  }

  /** Waits for what was sent, then ends. */
  shutdown(): Promise<void> {
    this.#closing ??= this.#shutdown();
    return this.#closing;
  }

  async #shutdown(): Promise<void> {
    this.#requests.close();
    if (this.#pending > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#onShutdown(this);
  }

  /** As `shutdown`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  #abortable(parcel: Parcel, signal: AbortSignal): Promise<SendResult> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#remember(parcel);
        reject(aborted(signal, "unknown"));
      };
      signal.addEventListener("abort", onAbort);
      parcel.outcome.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    });
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new MQError("CLOSED", `The producer of group "${this.producerGroup}" is shut down.`);
  }

  /** `system`: what the message says besides. */
  #pack(message: Message | Message[], options: SendOptions | undefined, system?: (timeout: number, msgId: string) => SystemProperties): Parcel {
    const checked = options === undefined ? {} : (sendOptions(options, "send") as SendOptions);
    const timeout = checked.timeout ?? this.#rules.timeout;
    const batch = membersOf(message);
    const messages = batch ?? [message as Message];
    const drafts = messages.map((member, at) => this.#draft(member, batch === null ? null : at, this.#doubtOf(messages, at), (msgId) => system?.(timeout, msgId)));
    if (batch !== null) checkBatch(drafts, this.#connection.serving.settings.maxMessageSize);
    const { messageGroup, priority } = drafts[0]!;
    if ((messageGroup ?? priority) !== undefined && (checked.queue !== undefined || checked.selector !== undefined)) {
      throw new MQError("INVALID_PARAMETER", `A ${messageGroup === undefined ? "priority" : "messageGroup"} decides the queue by itself; leave out queue and selector.`, { field: checked.queue ? "send.queue" : "send.selector" });
    }
    if (checked.queue !== undefined && checked.selector !== undefined) {
      throw new MQError("INVALID_PARAMETER", "queue says where the message goes; a selector would have nothing to choose.", { field: "send.selector" });
    }
    const deadline = this.#connection.environment.clock.monotonic() + timeout;
    let from = this.#connection.witness.position;
    let isAgain = false;
    for (const member of messages) {
      const doubt = this.#doubtful.get(member);
      if (doubt === undefined) continue;
      from = Math.min(from, doubt.from);
      isAgain = true;
    }
    return new Parcel(this.#owner, { drafts, messages, options: checked, deadline, from, isAgain });
  }

  /** An object that stands in a batch twice is two messages. */
  #doubtOf(messages: readonly Message[], at: number): Doubt | undefined {
    const doubt = this.#doubtful.get(messages[at]!);
    return doubt !== undefined && messages.indexOf(messages[at]!) === at ? doubt : undefined;
  }

  #draft(message: Message, index: number | null, known: Doubt | undefined, system: (msgId: string) => SystemProperties | undefined): MessageDraft {
    try {
      const msgId = known?.msgId ?? this.#ids.next();
      return draftMessage(message, msgId, this.#connection.serving.settings.maxMessageSize, system(msgId));
    } catch (error) {
      if (index !== null) throw ofMember(error, index);
      throw error instanceof MQError ? error : unreadable("message", error);
    }
  }

  /** Their outcome is not known: sent again, they keep their ids. */
  #remember({ drafts, messages, from }: Parcel): void {
    for (const [at, message] of messages.entries()) this.#doubtful.set(message, { msgId: drafts[at]!.msgId, from });
  }

  #dispatch(parcel: Parcel): void {
    this.#pending++;
    if (this.#telemetry !== undefined) observe(this.#telemetry, parcel);
    if (this.#ids.isDue) this.#tellPrefix();
    this.#findRoute(parcel);
  }

  /** Once, and not with every message: its id says whose it is. */
  #tellPrefix(): void {
    this.#ids.isDue = false;
    this.#tracer.producer(this.producerGroup, this.#ids.prefix);
  }

  #findRoute(parcel: Parcel): void {
    const { topic } = parcel.drafts[0]!;
    const known = this.#routes.known(topic);
    if (known !== undefined) return this.#enqueue(parcel, known);
    // The route has to be asked for: until then the caller may change the bytes it gave us.
    for (const draft of parcel.drafts) draft.body = draft.body.slice();
    parcel.hasAsked = true;
    const cancel = this.#limitAsking(parcel);
    this.#routes.ask(
      topic,
      (route) => {
        cancel();
        if (!parcel.isLate) this.#enqueue(parcel, route);
      },
      (error) => {
        cancel();
        parcel.fail(error);
      },
    );
  }

  #limitAsking(parcel: Parcel): Cancel {
    const { timers, clock } = this.#connection.environment;
    return timers.after(Math.max(0, parcel.deadline - clock.monotonic()), () => {
      parcel.isLate = true;
      const timeout = parcel.options.timeout ?? this.#rules.timeout;
      parcel.fail(this.#connection.explained(new MQError("DEADLINE_EXCEEDED", `The send took longer than ${timeout} ms and was never sent: the broker did not say where "${parcel.drafts[0]!.topic}" is.`)));
    });
  }

  #enqueue(parcel: Parcel, route: Route): void {
    const { drafts, options } = parcel;
    const [first] = drafts;
    try {
      const queue = this.#queues.choose(route.config, { message: parcel.messages[0]!, messageGroup: first!.messageGroup, priority: first!.priority, options });
      const entries = parcel.entries(queue, route);
      // What comes later than it was sent would look like a gap.
      const numbered = first!.isDiverted ? entries : (this.#numbers?.number(queue, entries) ?? entries);
      this.#add(numbered, this.#rulesFor(parcel, first!));
    } catch (error) {
      parcel.fail(error);
    }
  }

  #add(entries: OutboxEntry[], rules: SendRules): void {
    try {
      this.#outbox.add(entries, rules);
    } catch (error) {
      // Whoever numbers them has to know too.
      for (const entry of entries) entry.refused(asMQError(error));
    }
  }

  /** Sends with the same rules share a frame: whole milliseconds, or nearly none would. Mostly they are those of the last send. */
  #rulesFor({ options, hasAsked, isOneway, deadline }: Parcel, { waitStoreMsgOK: waits, isDiverted }: MessageDraft): SendRules {
    const timeout = options.timeout ?? this.#rules.timeout;
    const until = hasAsked ? Math.floor(deadline) : null;
    const flags = isDiverted ? FRAME_DIVERTED : 0;
    const retries = isOneway ? 0 : this.#rules.retries;
    const last = this.#lastRules;
    if (last !== null && last.retries === retries && last.timeout === timeout && last.deadline === until && last.waits === waits && last.flags === flags) return last;
    return (this.#lastRules = { timeout, retries, waits, flags, deadline: until });
  }
}

/** A copy without holes, which `map` would pass over; null when it is one message. */
function membersOf(message: Message | Message[]): Message[] | null {
  try {
    return Array.isArray(message) ? Array.from(message) : null;
  } catch (error) {
    throw unreadable("message", error);
  }
}

/** A copy: the application's own object must not remember its id. No local transaction may begin before it is durable. */
function halfOf(message: Message): Message {
  if (typeof message !== "object" || message === null) return message;
  try {
    const half = { ...message };
    return half.waitStoreMsgOK === false ? { ...half, waitStoreMsgOK: true } : half;
  } catch (error) {
    throw unreadable("message", error);
  }
}

/** A span from now until its outcome is known. */
function observe(telemetry: Telemetry, { drafts, outcome }: Parcel): void {
  const span = telemetry.send(drafts);
  if (span !== null) outcome.then(() => span.end(), (error: unknown) => span.end({ type: error instanceof MQError ? error.code : "_OTHER", message: textOf(error) }));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function pick(queue: unknown): unknown {
  if (typeof queue !== "object" || queue === null) return queue;
  const { topic, brokerName, queueId } = queue as Partial<MessageQueue>;
  return { topic, brokerName, queueId };
}

function aborted(signal: AbortSignal, outcome: "rejected" | "unknown"): MQError {
  return new MQError("CLOSED", "The send was aborted.", { cause: signal.reason, outcome });
}
