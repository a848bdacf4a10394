import { MQError, textOf } from "../model/errors.ts";
import type { MessageExt } from "../model/message.ts";
import type { MessageQueue } from "../model/queue.ts";
import { Alarm } from "../platform/alarm.ts";
import type { Clock } from "../platform/clock.ts";
import type { LazyAbort } from "../platform/lazy-abort.ts";
import type { Timers } from "../platform/timers.ts";

/**
 * Nothing (undefined) is success; `null`, a throw and a timeout ask for a retry, as RECONSUME_LATER does. The others are
 * for an orderly consumer: SUSPEND_CURRENT_QUEUE_A_MOMENT fails likewise, COMMIT and ROLLBACK go with `autoCommit = false`.
 */
export type ConsumeResult =
  | "CONSUME_SUCCESS" | "RECONSUME_LATER" | null | undefined | void
  | "SUCCESS" | "SUSPEND_CURRENT_QUEUE_A_MOMENT" | "COMMIT" | "ROLLBACK";

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
  /** Orderly: how long the queue rests when this call fails, ms, 10 to 30000; -1 = as the consumer's suspendCurrentQueueTime says. */
  suspend(ms: number): void;
  /** Orderly: set it to false and what is consumed is committed by a later call that answers COMMIT, or begun again by one that answers ROLLBACK. */
  autoCommit: boolean;
}

export type MessageListener = (message: MessageExt, context: ConsumeContext) => ConsumeResult | Promise<ConsumeResult>;
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
  onError: (error: MQError) => void;
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

  constructor(options: ListenerRunnerOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.timers, options.clock, (now) => this.#expire(now));
  }

  async run(messages: MessageExt[], { queue, attempt }: Pick<ConsumeContext, "queue" | "attempt">, abort: LazyAbort): Promise<Verdict> {
    let suspendTime = -1;
    const suspend = (ms: number): void => void (suspendTime = int(ms, -1));
    const context: ConsumeContext = { queue: { ...queue }, attempt, get signal() { return abort.signal; }, delayLevelWhenNextConsume: 0, ackIndex: ALL, suspend, autoCommit: true };
    const { answer, reason } = await this.#call(messages, context, abort);
    return {
      isSuccess: answer === "SUCCESS" || answer === "COMMIT",
      answer, reason, suspendTime,
      autoCommit: context.autoCommit,
      ackIndex: int(context.ackIndex, ALL),
      delayLevel: int(context.delayLevelWhenNextConsume, 0),
    };
  }

  async #call(messages: MessageExt[], context: ConsumeContext, abort: LazyAbort): Promise<{ answer: Answer; reason: string }> {
    const { listener, group, orderly = false, timeout, exceptionPolicy, clock, onError } = this.#options;
    const due = clock.monotonic() + timeout;
    const call = { due, late: (): void => {} };
    const late = new Promise<typeof LATE>((resolve) => void (call.late = () => resolve(LATE)));
    this.#open.add(call);
    this.#alarm.by(due);
    try {
      const result: unknown = await Promise.race([listener(messages, context), late]);
      if (result === LATE) {
        const error = new MQError("DEADLINE_EXCEEDED", `The listener of group "${group}" took longer than ${timeout} ms.`, { outcome: "unknown" });
        abort.abort(error);
        onError(error);
        return { answer: "FAILURE", reason: error.message };
      }
      const answer = answerOf(result, orderly);
      if (answer === "SUCCESS" || answer === "COMMIT") return { answer, reason: "The listener left it out by ackIndex." };
      return { answer, reason: `The listener answered ${String(result)}.` };
    } catch (cause) {
      onError(new MQError("INTERNAL_ERROR", `The listener of group "${group}" failed: ${textOf(cause)}`, { cause }));
      return { answer: exceptionPolicy === "skip" ? "SUCCESS" : "FAILURE", reason: textOf(cause) };
    } finally {
      this.#open.delete(call);
    }
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
