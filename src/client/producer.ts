import { asMQError, MQError, textOf } from "../model/errors.ts";
import { BATCH_MEMBER_OVERHEAD, MAX_BODY_BYTES } from "../model/limits.ts";
import type { Message, MessageDraft } from "../model/message.ts";
import { draftMessage } from "../model/message.ts";
import { MessageIdGenerator } from "../model/message-id.ts";
import { checkGroup, RETRY_TOPIC_PREFIX } from "../model/names.ts";
import type { MessageQueue, MessageQueueSelector } from "../model/queue.ts";
import type { Cancel } from "../platform/timers.ts";
import { boolean, callable, instance, integer, named, optional, record } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import { refuseNotBuilt } from "./not-built.ts";
import type { Outbox, OutboxEntry, SendRules } from "./outbox.ts";
import { Parcel, type ParcelOwner } from "./parcel.ts";
import { QueueChooser } from "./queue-chooser.ts";
import type { Route, Routes } from "./routes.ts";
import { SequenceNumbers } from "./sequence-numbers.ts";

export interface ProducerOptions {
  producerGroup: string;
  /** The whole send with its retries, ms. Default 3000. */
  sendMsgTimeout?: number;
  /** Tries after the first when a try's outcome is unknown. Default 2. */
  retryTimesWhenSendFailed?: number;
  /**
   * Numbers the messages, for each queue by itself; consumers tell by the event `sequenceGap` what is missing in
   * between, and what is stored twice. A send that was certainly not stored (outcome "rejected") leaves no gap; one of
   * unknown outcome does if it was not stored, and repeated to another queue it is a new message there. Takes up to 512
   * bytes of a message's properties, mostly under 100. Default false.
   */
  sequenceAudit?: boolean;
}

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

export type SendStatus = "SEND_OK" | "FLUSH_DISK_TIMEOUT";

export interface SendResult {
  /**
   * `SEND_OK`: durable, committed with a flush to the device (or as `flushDiskType` says); of messages with
   * `waitStoreMsgOK: false` only accepted. `FLUSH_DISK_TIMEOUT`: accepted, and the commit takes longer than the broker's
   * `syncFlushTimeout`; it is still on its way. Should it fail after such an answer, the event `flushFailed` tells.
   */
  sendStatus: SendStatus;
  /** Of a batch: all ids, joined by commas. */
  msgId: string;
  offsetMsgId: string;
  messageQueue: MessageQueue;
  /** Of a batch: the first one's; the others follow without a gap. */
  queueOffset: number;
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

/** Sends messages. Made by `mq.createProducer`. */
export class Producer {
  readonly producerGroup: string;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #routes: Routes;
  readonly #rules: Omit<SendRules, "waits">;
  #lastRules: SendRules | null = null;
  readonly #ids: MessageIdGenerator;
  readonly #queues: QueueChooser;
  /** Null = its messages are not numbered. */
  readonly #numbers: SequenceNumbers | null;
  /** Ids of messages that may be stored: sent again, the same object keeps its id. */
  readonly #doubtful = new WeakMap<Message, string>();
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
  readonly #onShutdown: (producer: Producer) => void;
  #pending = 0;
  #idle: (() => void)[] = [];
  #closing: Promise<void> | null = null;

  static {
    refuseNotBuilt(this.prototype, "producer");
  }

  constructor(
    parts: { connection: Connection; outbox: Outbox; routes: Routes; onShutdown: (producer: Producer) => void },
    options: ProducerOptions,
  ) {
    const checked = producerOptions(options, "producer");
    const { random, clock } = parts.connection.environment;
    this.producerGroup = checked.producerGroup;
    this.#connection = parts.connection;
    this.#outbox = parts.outbox;
    this.#routes = parts.routes;
    this.#onShutdown = parts.onShutdown;
    this.#rules = { timeout: checked.sendMsgTimeout ?? 3000, deadline: null, retries: checked.retryTimesWhenSendFailed ?? 2 };
    this.#queues = new QueueChooser(random);
    this.#numbers = checked.sequenceAudit ? new SequenceNumbers(`${checked.producerGroup}@${hex(random.bytes(8))}`) : null;
    this.#ids = new MessageIdGenerator((count) => random.bytes(count), () => clock.now());
  }

  /** Sends one message, or several as a batch (one topic, one queue); resolves when they are durable, or as their `waitStoreMsgOK` says. */
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

  /** Sends and forgets. Throws at once when the message is illegal; what happens later is not told. */
  sendOneway(message: Message, options?: SendOptions): void {
    this.#checkOpen();
    const parcel = this.#pack(message, options);
    parcel.outcome.catch(() => {});
    this.#dispatch(parcel);
  }

  /** Waits for what was sent, then ends. */
  shutdown(): Promise<void> {
    this.#closing ??= this.#shutdown();
    return this.#closing;
  }

  async #shutdown(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#onShutdown(this);
  }

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

  #pack(message: Message | Message[], options: SendOptions | undefined): Parcel {
    const checked = options === undefined ? {} : (sendOptions(options, "send") as SendOptions);
    const batch = membersOf(message);
    const messages = batch ?? [message as Message];
    if (messages.length === 0) throw new MQError("MESSAGE_ILLEGAL", "The batch is empty.", { field: "messages" });
    const drafts = messages.map((member, at) => this.#draft(member, batch === null ? null : at));
    if (batch !== null) checkBatch(drafts);
    if (drafts[0]!.messageGroup !== undefined && (checked.queue !== undefined || checked.selector !== undefined)) {
      throw new MQError("INVALID_PARAMETER", "A messageGroup decides the queue by itself; leave out queue and selector.", { field: checked.queue ? "send.queue" : "send.selector" });
    }
    if (checked.queue !== undefined && checked.selector !== undefined) {
      throw new MQError("INVALID_PARAMETER", "queue says where the message goes; a selector would have nothing to choose.", { field: "send.selector" });
    }
    const timeout = checked.timeout ?? this.#rules.timeout;
    return new Parcel(this.#owner, { drafts, messages, options: checked, deadline: this.#connection.environment.clock.monotonic() + timeout });
  }

  #draft(message: Message, index: number | null): MessageDraft {
    try {
      const known = typeof message === "object" && message !== null ? this.#doubtful.get(message) : undefined;
      return draftMessage(message, known ?? this.#ids.next(), this.#connection.serving.settings.maxMessageSize);
    } catch (error) {
      if (!(error instanceof MQError)) throw unreadable(index === null ? "message" : `messages[${index}]`, error);
      if (index === null) throw error;
      const field = (error.field ?? "message").replace(/^message/, `messages[${index}]`);
      throw new MQError(error.code, `Message ${index} of the batch: ${error.message}`, { field, cause: error });
    }
  }

  /** Their outcome is not known: sent again, they keep their ids. */
  #remember({ drafts, messages }: Parcel): void {
    for (const [at, message] of messages.entries()) this.#doubtful.set(message, drafts[at]!.msgId);
  }

  #dispatch(parcel: Parcel): void {
    this.#pending++;
    this.#findRoute(parcel);
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
      parcel.fail(new MQError("DEADLINE_EXCEEDED", `The send took longer than ${timeout} ms and was never sent: the broker did not say where "${parcel.drafts[0]!.topic}" is.`));
    });
  }

  #enqueue(parcel: Parcel, route: Route): void {
    const { drafts, options } = parcel;
    const [first] = drafts;
    try {
      const queue = this.#queues.choose(route.config, { message: parcel.messages[0]!, messageGroup: first!.messageGroup, options });
      const entries = parcel.entries(queue, route);
      this.#add(this.#numbers?.number(queue, entries) ?? entries, this.#rulesFor(parcel, first!.waitStoreMsgOK));
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
  #rulesFor({ options, hasAsked, deadline }: Parcel, waits: boolean): SendRules {
    const timeout = options.timeout ?? this.#rules.timeout;
    const until = hasAsked ? Math.floor(deadline) : null;
    const last = this.#lastRules;
    if (last !== null && last.timeout === timeout && last.deadline === until && last.waits === waits) return last;
    return (this.#lastRules = { ...this.#rules, timeout, waits, deadline: until });
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

/** A getter or a proxy of the caller's has thrown. */
function unreadable(field: string, error: unknown): MQError {
  return new MQError("MESSAGE_ILLEGAL", `${field} cannot be read: ${textOf(error)}`, { field, cause: error });
}

/** RocketMQ's rules for a batch. */
function checkBatch(drafts: MessageDraft[]): void {
  const [first] = drafts;
  let bytes = 0;
  for (const [at, draft] of drafts.entries()) {
    const differs = (what: string): MQError =>
      new MQError("MESSAGE_ILLEGAL", `Messages of a batch share one ${what}; message ${at} has another than message 0.`, { field: `messages[${at}].${what}` });
    if (draft.topic !== first!.topic) throw differs("topic");
    if (draft.waitStoreMsgOK !== first!.waitStoreMsgOK) throw differs("waitStoreMsgOK");
    if (draft.messageGroup !== first!.messageGroup) throw differs("messageGroup");
    bytes += BATCH_MEMBER_OVERHEAD + draft.body.byteLength + draft.propertiesBytes;
  }
  if (first!.topic.startsWith(RETRY_TOPIC_PREFIX)) throw new MQError("MESSAGE_ILLEGAL", "A batch cannot go to a retry topic.", { field: "messages[0].topic" });
  if (bytes > MAX_BODY_BYTES) {
    throw new MQError("MESSAGE_ILLEGAL", `The batch has ${bytes} bytes; the limit is ${MAX_BODY_BYTES}.`, { field: "messages" });
  }
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
