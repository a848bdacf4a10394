import { MQError, textOf } from "../model/errors.ts";
import type { MessageExt } from "../model/message.ts";
import type { MessageQueue } from "../model/queue.ts";
import type { Cancel, Timers } from "../platform/timers.ts";

/** Nothing (undefined) is success; `null`, a throw and a timeout ask for a retry, as RECONSUME_LATER does. */
export type ConsumeResult = "CONSUME_SUCCESS" | "RECONSUME_LATER" | null | undefined | void;

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
}

export type MessageListener = (message: MessageExt, context: ConsumeContext) => ConsumeResult | Promise<ConsumeResult>;
export type BatchListener = (messages: MessageExt[], context: ConsumeContext) => ConsumeResult | Promise<ConsumeResult>;

/** What to do when a listener throws: try again, or say so and go on as if it had succeeded. */
export type ExceptionPolicy = "retry" | "skip";

/** How a call of a listener ended. */
export interface Verdict {
  isSuccess: boolean;
  ackIndex: number;
  delayLevel: number;
  /** Why what was not consumed was not. */
  reason: string;
}

export interface ListenerRunnerOptions {
  listener: BatchListener;
  group: string;
  /** ms */
  timeout: number;
  exceptionPolicy: ExceptionPolicy;
  timers: Timers;
  onError: (error: MQError) => void;
}

const LATE = Symbol("late");
/** `ackIndex` unless the listener says otherwise: all of them. */
const ALL = 2 ** 31 - 1;

/** Calls an application's listener, which may answer what it likes, throw, or never come back. */
export class ListenerRunner {
  readonly #options: ListenerRunnerOptions;

  constructor(options: ListenerRunnerOptions) {
    this.#options = options;
  }

  async run(messages: MessageExt[], { queue, attempt }: Pick<ConsumeContext, "queue" | "attempt">, abort: AbortController): Promise<Verdict> {
    const context: ConsumeContext = { queue: { ...queue }, attempt, signal: abort.signal, delayLevelWhenNextConsume: 0, ackIndex: ALL };
    const end = await this.#call(messages, context, abort);
    return { ...end, ackIndex: int(context.ackIndex, ALL), delayLevel: int(context.delayLevelWhenNextConsume, 0) };
  }

  async #call(messages: MessageExt[], context: ConsumeContext, abort: AbortController): Promise<{ isSuccess: boolean; reason: string }> {
    const { listener, group, timeout, exceptionPolicy, timers, onError } = this.#options;
    let cancel: Cancel = () => {};
    const late = new Promise<typeof LATE>((resolve) => {
      cancel = timers.after(timeout, () => resolve(LATE));
    });
    try {
      const result: unknown = await Promise.race([listener(messages, context), late]);
      if (result === LATE) {
        const error = new MQError("DEADLINE_EXCEEDED", `The listener of group "${group}" took longer than ${timeout} ms.`, { outcome: "unknown" });
        abort.abort(error);
        onError(error);
        return { isSuccess: false, reason: error.message };
      }
      if (result === "RECONSUME_LATER" || result === null) return { isSuccess: false, reason: `The listener answered ${String(result)}.` };
      if (result === undefined || result === "CONSUME_SUCCESS") return { isSuccess: true, reason: "The listener left it out by ackIndex." };
      throw new MQError("INVALID_PARAMETER", `it answered ${textOf(result)}; known answers are "CONSUME_SUCCESS", "RECONSUME_LATER", null and nothing`);
    } catch (cause) {
      onError(new MQError("INTERNAL_ERROR", `The listener of group "${group}" failed: ${textOf(cause)}`, { cause }));
      return { isSuccess: exceptionPolicy === "skip", reason: textOf(cause) };
    } finally {
      cancel();
    }
  }
}

/** What a listener has set; what it should have been, when that is no number for it. */
function int(value: unknown, otherwise: number): number {
  return Number.isSafeInteger(value) ? Math.max(-1, Math.min(value as number, ALL)) : otherwise;
}
