import { asMQError, MQError, textOf } from "../model/errors.ts";
import { asCommitted, type Message, type MessageExt } from "../model/message.ts";
import { decodeRecords } from "../model/record-codec.ts";
import { runsLocally, stateOf, type TransactionState } from "../model/transaction.ts";
import { type Deferred, deferred } from "../platform/deferred.ts";
import { Events } from "../platform/events.ts";
import { sleep } from "../platform/timers.ts";
import { callable } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import type { Inbox, NoticeOf } from "./inbox.ts";
import { listen } from "./listen.ts";
import { Producer, type ProducerOptions, type SendResult } from "./producer.ts";
import type { ProducerGroups } from "./producer-groups.ts";
import type { Tracer } from "./tracer.ts";

/** What a local transaction has come to: `COMMIT`, `ROLLBACK`, or `UNKNOWN` (ask again later). */
export type LocalTransactionState = TransactionState;

/** What belongs to one call of `executeLocalTransaction`. */
export interface LocalTransaction {
  /** By this id the message is asked about later: keep it with what the local transaction writes. It is the message's msgId. */
  readonly transactionId: string;
}

type Answer = LocalTransactionState | Promise<LocalTransactionState>;

/** What `mq.createTransactionProducer` takes. */
export interface TransactionProducerOptions extends ProducerOptions {
  /**
   * Called in this tab when the message is stored and nobody sees it yet; `arg` is that of `sendMessageInTransaction`.
   * "COMMIT" makes the message visible, "ROLLBACK" discards it. A throw, "UNKNOWN" or anything else leaves it open: then
   * `checkLocalTransaction` is called.
   */
  executeLocalTransaction: (message: Message, arg: unknown, transaction: LocalTransaction) => Answer;
  /**
   * Whether the local transaction of a message was committed, which any tab of the producer group may be asked, also after the one
   * that sent it is gone, and more than once. "UNKNOWN" = ask again later.
   */
  checkLocalTransaction: (message: MessageExt) => Answer;
}

/** Offset and offsetMsgId are the half message's. */
export interface TransactionSendResult extends SendResult {
  transactionId: string;
  /** What `executeLocalTransaction` has answered; UNKNOWN also when it has thrown. */
  localTransactionState: LocalTransactionState;
}

/** What a transaction producer tells. */
export interface TransactionProducerEvents {
  /** A listener has thrown, or answered what is no answer; or an end could not be told: the transaction stays open, and is checked. */
  error: MQError;
}

/** How a transaction ends. */
interface End {
  transactionId: string;
  /** Of its message. */
  topic: string;
  state: TransactionState;
  fromCheck: boolean;
}

const EVENTS = ["error"] as const;
/** How long a shutdown waits for local transactions, ms. */
const SHUTDOWN_PATIENCE = 5000;

/** Sends messages that become visible if and only if a local transaction succeeds. Made by `mq.createTransactionProducer`. */
export class TransactionProducer extends Producer {
  readonly #connection: Connection;
  readonly #tracer: Tracer;
  readonly #inbox: Inbox;
  readonly #groups: ProducerGroups;
  readonly #execute: TransactionProducerOptions["executeLocalTransaction"];
  readonly #check: TransactionProducerOptions["checkLocalTransaction"];
  readonly #events = new Events<TransactionProducerEvents>();
  /** What is under way: calls of `sendMessageInTransaction`, and checks. */
  readonly #running = new Set<Promise<unknown>>();
  /** Of those that are being checked: asked once more, the answer that is on its way will do. */
  readonly #checking = new Set<string>();
  /** Nobody waits for a local transaction any longer, and none is begun. */
  #isAbandoned = false;
  readonly #abandoned: Deferred<"UNKNOWN"> = deferred();
  readonly #onShutdown: (producer: Producer) => void;
  #stopListening: () => void = () => {};
  #ending: Promise<void> | null = null;

  constructor(
    parts: ConstructorParameters<typeof Producer>[0] & { inbox: Inbox; producerGroups: ProducerGroups },
    options: TransactionProducerOptions,
  ) {
    super({ ...parts, onShutdown: () => {} }, withoutListeners(options));
    this.#onShutdown = parts.onShutdown;
    this.#connection = parts.connection;
    this.#tracer = parts.tracer;
    this.#inbox = parts.inbox;
    this.#groups = parts.producerGroups;
    this.#execute = callable<TransactionProducerOptions["executeLocalTransaction"]>(options.executeLocalTransaction, "transactionProducer.executeLocalTransaction");
    this.#check = callable<TransactionProducerOptions["checkLocalTransaction"]>(options.checkLocalTransaction, "transactionProducer.checkLocalTransaction");
  }

  /** Resolves when the broker knows whom to ask. @internal */
  async start(): Promise<void> {
    const unsubscribe = this.#inbox.subscribe("check", (notice) => this.#take(notice));
    this.#stopListening = unsubscribe;
    await this.#groups.join(this.producerGroup);
    this.#stopListening = () => {
      unsubscribe();
      this.#groups.leave(this.producerGroup);
    };
  }

  /** Returns the function that stops listening. */
  on<Name extends keyof TransactionProducerEvents>(name: Name, listener: (event: TransactionProducerEvents[Name]) => void): () => void {
    return listen(this.#events, EVENTS, name, listener);
  }

  /**
   * Stores the message out of everybody's sight, runs the local transaction, and says how it ended. Resolves when that is
   * durable, or the transaction is left to the checks. Rejects when the message was not stored, which runs nothing; and with
   * ILLEGAL_OPERATION when the transaction had been ended otherwise before, so that the message and the local transaction differ.
   */
  sendMessageInTransaction(message: Message, arg?: unknown): Promise<TransactionSendResult> {
    return this.#track(this.#send(message, arg));
  }

  /** Waits for local transactions and checks that are running, but no longer than `patience` ms; what has not ended by then is left to the checks. */
  override shutdown(patience = SHUTDOWN_PATIENCE): Promise<void> {
    this.#ending ??= this.#shutdown(patience);
    return this.#ending;
  }

  async #shutdown(patience: number): Promise<void> {
    const sent = super.shutdown();
    this.#stopListening();
    await Promise.race([this.#ended(), sleep(this.#connection.environment.timers, patience)]);
    this.#isAbandoned = true;
    this.#abandoned.resolve("UNKNOWN");
    await Promise.all([sent, this.#ended()]);
    this.#onShutdown(this);
  }

  async #ended(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    return tracked;
  }

  async #send(message: Message, arg: unknown): Promise<TransactionSendResult> {
    const sent = await this.sendHalf(message);
    const transactionId = sent.msgId;
    const runs = runsLocally(sent.sendStatus) && !this.#isAbandoned;
    const localTransactionState = runs ? await this.#ask("executeLocalTransaction", () => this.#execute(message, arg, { transactionId })) : "ROLLBACK";
    await this.#end({ transactionId, topic: sent.messageQueue.topic, state: localTransactionState, fromCheck: false });
    return { ...sent, transactionId, localTransactionState };
  }

  /** Whatever a listener does, its transaction has a state. */
  async #ask(name: string, listener: () => unknown): Promise<TransactionState> {
    try {
      const answer = await Promise.race([listener(), this.#abandoned.promise]);
      const state = stateOf(answer);
      if (state !== "UNKNOWN" || answer === "UNKNOWN" || answer === undefined || answer === null) return state;
      throw new MQError("INVALID_PARAMETER", `it answered ${textOf(answer)}; known answers are "COMMIT", "ROLLBACK" and "UNKNOWN"`);
    } catch (cause) {
      this.#events.emit("error", new MQError("INTERNAL_ERROR", `${name} of producer group "${this.producerGroup}" failed: ${textOf(cause)}`, { cause }));
      return "UNKNOWN";
    }
  }

  /**
   * Where the end cannot be told, the transaction stays open, and the checks settle it.
   * @throws MQError where they cannot: it has ended otherwise, or its message is not there any more
   */
  async #end({ topic, ...given }: End): Promise<void> {
    const { transactionId, state, fromCheck } = given;
    const told = { group: this.producerGroup, topic, msgId: transactionId, transactionId, fromCheck };
    // Left open at first: the broker asks by itself.
    if (state === "UNKNOWN" && !fromCheck) return this.#tracer.endTransaction({ ...told, state });
    const call = this.#connection.call("endTransaction", [{ producerGroup: this.producerGroup, ...given }]).then((reply) => {
      this.#tracer.endTransaction({ ...told, state: reply.state });
      return reply;
    });
    const ended = await call.catch((thrown: unknown) => {
      const error = asMQError(thrown);
      if (error.code === "SYSTEM_ERROR" && state === "COMMIT") throw error;
      if (error.code !== "SYSTEM_ERROR") this.#events.emit("error", error);
      return { state };
    });
    if (state === "UNKNOWN" || ended.state === state) return;
    throw new MQError("ILLEGAL_OPERATION", `The local transaction says ${state}, but the transaction had ended with ${ended.state} before.`, { field: "state" });
  }

  /** Answers whether the check is for this producer. */
  #take({ group, record }: NoticeOf<"check">): boolean {
    if (group !== this.producerGroup || this.#ending !== null) return false;
    const [half] = decodeRecords(record, this.#connection.serving.brokerName);
    if (half !== undefined && !this.#checking.has(half.msgId)) void this.#track(this.#answer(asCommitted(half)));
    return true;
  }

  async #answer(message: MessageExt): Promise<void> {
    const { msgId } = message;
    this.#checking.add(msgId);
    const state = await this.#ask("checkLocalTransaction", () => this.#check(message));
    this.#checking.delete(msgId);
    await this.#end({ transactionId: msgId, topic: message.topic, state, fromCheck: true }).catch((error: MQError) => this.#events.emit("error", error));
  }
}

/** The rest is the producer's to check. */
function withoutListeners(options: TransactionProducerOptions): ProducerOptions {
  if (typeof options !== "object" || options === null) return options;
  const { executeLocalTransaction: _execute, checkLocalTransaction: _check, ...rest } = options;
  return rest;
}
