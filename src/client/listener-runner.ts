import { MQError, textOf } from "../model/errors.ts";
import type { Message, MessageExt } from "../model/message.ts";
import type { MessageQueue } from "../model/queue.ts";
import { Alarm } from "../platform/alarm.ts";
import type { Clock } from "../platform/clock.ts";
import type { LazyAbort } from "../platform/lazy-abort.ts";
import type { Timers } from "../platform/timers.ts";
import type { ConsumeReturnType } from "../model/trace-data.ts";
import type { OpenSpan } from "./telemetry.ts";
import { type ContextSend, type ContextSender, NO_CONTEXT_SENDS } from "./context-sender.ts";
import type { Tracer } from "./tracer.ts";

/**
 * Nothing (undefined) is success; `null`, a throw and a timeout ask for a retry, as RECONSUME_LATER does. The others are
 * for an orderly consumer: SUSPEND_CURRENT_QUEUE_A_MOMENT fails likewise, COMMIT and ROLLBACK go with `autoCommit = false`.
 */
export type ConsumeResult =
  | "CONSUME_SUCCESS" | "RECONSUME_LATER" | null | undefined | void
  | "SUCCESS" | "SUSPEND_CURRENT_QUEUE_A_MOMENT" | "COMMIT" | "ROLLBACK";

/** What a listener is told besides its message, and what it can say back. */
export interface ConsumeContext {
  queue: MessageQueue;
  /** 1 for the first try. */
  attempt: number;
  /** Aborted when the time is up or the queue goes to another consumer. */
  signal: AbortSignal;
  /** Set it to choose when a message that was not consumed is tried again: a delay level; negative = never, it becomes a dead letter. 0 = as its failures say. */
  delayLevelWhenNextConsume: number;
  /** Set it to say how far a batch was consumed: the place of the last message that was, -1 = none. Those behind it are tried again. */
  ackIndex: number;
  /**
   * Replies to a message that was sent by `producer.request`; resolves when the requester has it, rejects with
   * REPLY_NOT_WANTED when nobody waits for it any more. A listener that lets such an error through asks for a retry.
   * `request`: which one of a batch.
   */
  reply(body: Message["body"], request?: MessageExt): Promise<void>;
  /** Orderly: how long the queue rests when this call fails, ms, 10 to 30000; -1 = as the consumer's suspendCurrentQueueTime says. */
  suspend(ms: number): void;
  /**
   * Sends a message exactly once for the messages at hand: it is stored in the transaction of their acknowledgement, when the
   * listener has succeeded, or not at all. Returns its msgId at once: stored it can be only after the listener. Throws when the
   * message is illegal, or the call is over. Of a batch it goes with those that `ackIndex` says are consumed; with
   * `autoCommit = false`, with the COMMIT. Not with BROADCASTING.
   */
  send(message: Message): string;
  /**
   * Orderly: set it to false and what is consumed is committed by a later call that answers COMMIT, or begun again by one
   * that answers ROLLBACK. Until then it counts for `pullThresholdForQueue` and `pullThresholdSizeForQueue`, as in RocketMQ:
   * when they are reached nothing more comes, so COMMIT before.
   */
  autoCommit: boolean;
}

/** Is given one message. Returns: done. Throws: `exceptionPolicy` says what becomes of it. */
export type MessageListener = (message: MessageExt, context: ConsumeContext) => ConsumeResult | Promise<ConsumeResult>;
/** Is given several messages at once; answers or throws for all of them, `context.ackIndex` for a part. */
export type BatchListener = (messages: MessageExt[], context: ConsumeContext) => ConsumeResult | Promise<ConsumeResult>;

/** What to do when a listener throws: try again, or say so and go on as if it had succeeded. */
export type ExceptionPolicy = "retry" | "skip";

type Answer = "SUCCESS" | "FAILURE" | "COMMIT" | "ROLLBACK";

/** How a call of a listener ended. */
export interface Verdict {
  isSuccess: boolean;
  /** The same, as it matters to an orderly consumer. */
  answer: Answer;
  autoCommit: boolean;
  /** ms; -1 = the listener did not say. */
  suspendTime: number;
  ackIndex: number;
  delayLevel: number;
  /** Why what was not consumed was not. */
  reason: string;
  /** What it has sent through its context. */
  sends: ContextSend[];
}

export interface ListenerRunnerOptions {
  listener: BatchListener;
  group: string;
  orderly?: boolean;
  /** ms */
  timeout: number;
  exceptionPolicy: ExceptionPolicy;
  timers: Timers;
  clock: Clock;
  /** None = nobody wants to know. */
  tracer?: Tracer | null;
  /** Opens a span around a call; none = nobody wants spans. */
  span?: ((messages: readonly MessageExt[]) => OpenSpan | null) | undefined;
  /** None = nothing is sent through a context. */
  sender?: ContextSender | null;
  onError: (error: MQError) => void;
  reply: (request: MessageExt, body: Message["body"]) => Promise<void>;
}

/** What is to be told of a batch. */
interface Given extends Pick<ConsumeContext, "queue" | "attempt"> {
  /** When its first message came, ms since 1970; 0 = not known. */
  arrived?: number;
}

const LATE = Symbol("late");
/** `ackIndex` unless the listener says otherwise: all of them. */
const ALL = 2 ** 31 - 1;

/** Calls an application's listener, which may answer what it likes, throw, or never come back. */
export class ListenerRunner {
  readonly #options: ListenerRunnerOptions;
  /** Calls that have not come back. All have the same time, so the first is late first; a Set keeps their order. */
  readonly #open = new Set<{ due: number; late: () => void }>();
  readonly #alarm: Alarm;
  #hasEnded = false;

  constructor(options: ListenerRunnerOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.timers, options.clock, (now) => this.#expire(now));
  }

  async run(messages: MessageExt[], { queue, attempt, arrived }: Given, abort: LazyAbort): Promise<Verdict> {
    let suspendTime = -1;
    const suspend = (ms: number): void => void (suspendTime = int(ms, -1));
    const reply = async (body: Message["body"], request?: MessageExt): Promise<void> => {
      if (request === undefined && messages.length > 1) throw new MQError("INVALID_PARAMETER", "Of a batch, context.reply has to be told which message it replies to.", { field: "request" });
      return this.#options.reply(request ?? messages[0]!, body);
    };
    const { tracer = null, sender = null, group, span: openSpan } = this.#options;
    const sends = sender?.open() ?? NO_CONTEXT_SENDS;
    const context: ConsumeContext = { queue: { ...queue }, attempt, get signal() { return abort.signal; }, delayLevelWhenNextConsume: 0, ackIndex: ALL, reply, suspend, send: (message) => sends.send(message), autoCommit: true };
    const traced = tracer?.began(group, messages, attempt - 1, arrived) ?? null;
    const span = openSpan?.(messages) ?? null;
    const { answer, reason, returnType } = await this.#call(messages, context, abort, span);
    const sent = sends.end();
    // What a call has sent that broke off is not all that it would have sent, also where that counts as success.
    const isWhole = returnType !== "EXCEPTION";
    span?.end(returnType === "SUCCESS" ? undefined : { type: returnType, message: reason });
    const isSuccess = answer === "SUCCESS" || answer === "COMMIT";
    const ackIndex = int(context.ackIndex, ALL);
    if (traced !== null) tracer!.ended(traced, { returnType, reason, isConsumed: (at) => isSuccess && at <= ackIndex });
    return {
      isSuccess, answer, reason, suspendTime, ackIndex, sends: isWhole ? sent : [],
      autoCommit: context.autoCommit,
      delayLevel: int(context.delayLevelWhenNextConsume, 0),
    };
  }

  async #call(messages: MessageExt[], context: ConsumeContext, abort: LazyAbort, span: OpenSpan | null): Promise<{ answer: Answer; reason: string; returnType: ConsumeReturnType }> {
    const { listener, group, orderly = false, timeout, exceptionPolicy, clock, onError } = this.#options;
    const due = clock.monotonic() + timeout;
    const call = { due, late: (): void => {} };
    const late = new Promise<typeof LATE>((resolve) => void (call.late = () => resolve(LATE)));
    this.#open.add(call);
    this.#alarm.by(due);
    try {
      const listened = span === null ? listener(messages, context) : span.run(() => listener(messages, context));
      const result: unknown = await Promise.race([listened, late]);
      if (result === LATE) {
        const error = new MQError("DEADLINE_EXCEEDED", `The listener of group "${group}" took longer than ${timeout} ms.`, { outcome: "unknown" });
        abort.abort(error);
        onError(error);
        return { answer: "FAILURE", reason: error.message, returnType: "TIME_OUT" };
      }
      const answer = answerOf(result, orderly);
      if (answer === "SUCCESS" || answer === "COMMIT") return { answer, reason: "The listener left it out by ackIndex.", returnType: "SUCCESS" };
      return { answer, reason: `The listener answered ${String(result)}.`, returnType: result === null ? "RETURNNULL" : "FAILED" };
    } catch (cause) {
      onError(new MQError("INTERNAL_ERROR", `The listener of group "${group}" failed: ${textOf(cause)}`, { cause }));
      return { answer: exceptionPolicy === "skip" ? "SUCCESS" : "FAILURE", reason: textOf(cause), returnType: "EXCEPTION" };
    } finally {
      this.#open.delete(call);
      this.#rest();
    }
  }

  /** Nothing more is given to the listener; what it has in hand is still told when its time is over. */
  end(): void {
    this.#hasEnded = true;
    this.#rest();
  }

  #rest(): void {
    if (this.#hasEnded && this.#open.size === 0) this.#alarm.stop();
  }

  #expire(now: number): number {
    for (const { due, late } of this.#open) {
      if (due > now) return due;
      late();
    }
    return Number.POSITIVE_INFINITY;
  }
}

const ANSWERS = new Map<unknown, Answer>([[undefined, "SUCCESS"], ["CONSUME_SUCCESS", "SUCCESS"], ["RECONSUME_LATER", "FAILURE"], [null, "FAILURE"]]);
const ORDERLY_ANSWERS = new Map<unknown, Answer>([
  ...ANSWERS, ["SUCCESS", "SUCCESS"], ["SUSPEND_CURRENT_QUEUE_A_MOMENT", "FAILURE"], ["COMMIT", "COMMIT"], ["ROLLBACK", "ROLLBACK"],
]);

function answerOf(result: unknown, orderly: boolean): Answer {
  const known = orderly ? ORDERLY_ANSWERS : ANSWERS;
  const answer = known.get(result);
  if (answer !== undefined) return answer;
  const names = [...known.keys()].filter((name) => typeof name === "string").map((name) => `"${name}"`);
  throw new MQError("INVALID_PARAMETER", `it answered ${textOf(result)}; known answers are ${names.join(", ")}, null and nothing`);
}

/** What a listener has set; what it should have been, when that is no number for it. */
function int(value: unknown, otherwise: number): number {
  return Number.isSafeInteger(value) ? Math.max(-1, Math.min(value as number, ALL)) : otherwise;
}
