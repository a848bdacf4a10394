import { concurrentResult, type MessageModel } from "../model/consume-result.ts";
import { MQError } from "../model/errors.ts";
import { MAX_ERROR_TEXT } from "../model/limits.ts";
import { asSent, type MessageExt } from "../model/message.ts";
import { LazyAbort } from "../platform/lazy-abort.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import type { ContextSender } from "./context-sender.ts";
import type { GroupMember } from "./group-member.ts";
import { type Admission, BUSY_DELAY, type Idempotence } from "./idempotence.ts";
import type { ListenerRunner, Verdict } from "./listener-runner.ts";
import type { ProcessQueue } from "./process-queue.ts";
import { type SentBack, settle } from "./settle.ts";
import type { Tracer } from "./tracer.ts";

/** A message whose copy the broker could not store is kept, and its listener is called again after this time, ms. RocketMQ's value. */
const LOCAL_RETRY_DELAY = 5000;

export interface ConcurrentConsumptionOptions {
  member: GroupMember;
  runner: ListenerRunner;
  sender: Pick<ContextSender, "finish">;
  /** None = every message goes to the listener. */
  idempotence?: Idempotence | null;
  /** Listeners running at once. */
  concurrency: number;
  batchSize: number;
  messageModel: MessageModel;
  maxReconsumeTimes: number;
  tracer?: Tracer | null;
  timers: Timers;
  onSentBack?: (sentBack: SentBack) => void;
  onError: (error: MQError) => void;
}

interface Work {
  processQueue: ProcessQueue;
  message: MessageExt;
  attempt: number;
  /** When it came, ms since 1970; 0 = nobody wants to know. */
  arrived: number;
}

/**
 * Messages on their way through listeners, many at a time and in any order. What a listener does not consume goes back
 * to the broker, which has it tried again later, by this consumer or another of the group.
 */
export class ConcurrentConsumption {
  readonly #options: ConcurrentConsumptionOptions;
  #ready: Work[] = [];
  readonly #retries = new Map<Work, Cancel>();
  readonly #aborts = new Map<ProcessQueue, Set<LazyAbort>>();
  #running = 0;
  #isSuspended = false;
  #isShut = false;
  #idle: (() => void)[] = [];

  constructor(options: ConcurrentConsumptionOptions) {
    this.#options = options;
  }

  take(processQueue: ProcessQueue, messages: MessageExt[]): void {
    const arrived = this.#options.tracer?.arrival() ?? 0;
    for (const message of messages) this.#ready.push({ processQueue, message: asSent(message), attempt: message.reconsumeTimes + 1, arrived });
    this.#work();
  }

  /** Nothing more of the queue is begun, and what runs is told to stop. */
  drop(processQueue: ProcessQueue): void {
    this.#ready = this.#ready.filter((work) => work.processQueue !== processQueue);
    for (const [work, cancel] of this.#retries) {
      if (work.processQueue !== processQueue) continue;
      cancel();
      this.#retries.delete(work);
    }
    for (const abort of this.#aborts.get(processQueue) ?? []) {
      abort.abort(new MQError("STALE_GENERATION", "The queue goes to another consumer of the group."));
    }
  }

  suspend(): void {
    this.#isSuspended = true;
  }

  resume(): void {
    this.#isSuspended = false;
    this.#work();
  }

  /** Its place in the group is sure again. */
  goOn(): void {
    this.#work();
  }

  /** Begins nothing more, and waits for what runs, but no longer than `patience` ms. */
  async stop(patience: number): Promise<void> {
    this.#isShut = true;
    this.#ready = [];
    for (const cancel of this.#retries.values()) cancel();
    this.#retries.clear();
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(this.#options.timers.after(patience, resolve), resolve));
  }

  #work(): void {
    if (this.#ready.length === 0 || !this.#options.member.isSure) return;
    while (!this.#isSuspended && !this.#isShut && this.#running < this.#options.concurrency) {
      const batch = this.#nextBatch();
      if (batch.length === 0) return;
      void this.#consume(batch);
    }
  }

  /** Work for one slot: up to the batch size, of one queue and one attempt. */
  #nextBatch(): Work[] {
    const first = this.#ready[0];
    if (first === undefined) return [];
    let count = 1;
    for (; count < this.#options.batchSize; count++) {
      const next = this.#ready[count];
      if (next?.processQueue !== first.processQueue || next.attempt !== first.attempt) break;
    }
    return this.#ready.splice(0, this.#options.idempotence?.fitting(this.#ready.slice(0, count)) ?? count);
  }

  async #consume(batch: Work[]): Promise<void> {
    const { member, idempotence } = this.#options;
    const { processQueue } = batch[0]!;
    const abort = new LazyAbort();
    const aborts = this.#aborts.get(processQueue) ?? new Set();
    this.#aborts.set(processQueue, aborts.add(abort));
    this.#running++;
    for (const _ of batch) member.began(processQueue);

    const { fresh, later } = idempotence ? await this.#admit(idempotence, processQueue, batch) : { fresh: batch, later: [] };
    const kept = fresh.length === 0 ? new Set<Work>() : await this.#listen(processQueue, fresh, abort);

    aborts.delete(abort);
    if (aborts.size === 0) this.#aborts.delete(processQueue);
    this.#running--;
    const waiting = new Set(later);
    for (const work of batch) {
      member.ended(processQueue, work.message, !kept.has(work) && !waiting.has(work));
      if (processQueue.isDropped || this.#isShut) continue;
      if (kept.has(work)) this.#retryHere({ ...work, attempt: work.attempt + 1 }, LOCAL_RETRY_DELAY);
      else if (waiting.has(work)) this.#retryHere(work, BUSY_DELAY);
    }
    if (this.#running === 0) for (const idle of this.#idle.splice(0)) idle();
    this.#work();
  }

  /** What goes to the listener. */
  async #admit(idempotence: Idempotence, processQueue: ProcessQueue, batch: Work[]): Promise<Admission<Work>> {
    const admission = await idempotence.admit(batch, false);
    if (!processQueue.isDropped && !this.#isShut && !this.#isSuspended) return admission;
    // Meanwhile nothing more is to be begun.
    for (const { message } of admission.fresh) idempotence.released(message);
    return { ...admission, fresh: [], later: [...admission.fresh, ...admission.later] };
  }

  /** Returns what is to be tried again here. */
  async #listen(processQueue: ProcessQueue, works: Work[], abort: LazyAbort): Promise<Set<Work>> {
    const { runner, sender, idempotence, messageModel } = this.#options;
    const verdict = await runner.run(works.map(({ message }) => message), { queue: processQueue.queue, attempt: works[0]!.attempt, arrived: works[0]!.arrived }, abort);
    const { consumed, sentBack, dropped } = concurrentResult(messageModel, verdict.isSuccess, verdict.ackIndex, works.length);
    if (dropped.length > 0) this.#tellDropped(dropped.map((at) => works[at]!));
    const done = consumed.map((at) => works[at]!);
    const { taken, refusal } = verdict.sends.length === 0 ? { taken: new Set(done), refusal: null } : await sender.finish(this.#options, processQueue, done, verdict.sends);
    const unfinished = done.filter((work) => !taken.has(work));
    // What it has sent cannot be stored: the listener has failed.
    const failed = [...(refusal === null ? [] : unfinished), ...sentBack.map((at) => works[at]!)];
    const kept = await this.#sendBack(processQueue, failed, refusal === null ? verdict : { ...verdict, reason: refusal.message });
    if (refusal === null) for (const work of unfinished) kept.add(work);
    for (const work of works) {
      if (failed.includes(work) || kept.has(work)) idempotence?.released(work.message);
      else idempotence?.finished(work.message);
    }
    return kept;
  }

  /** Broadcasting never tries again: a failure is told, and counts as consumed. */
  #tellDropped(works: Work[]): void {
    const ids = works.map(({ message }) => message.msgId).join(", ");
    this.#options.onError(new MQError("INTERNAL_ERROR", `The listener of a broadcasting group has failed; this is not tried again: ${ids}.`));
  }

  /** Hands the broker what was not consumed; returns what could not be handed over. */
  async #sendBack(processQueue: ProcessQueue, works: Work[], { delayLevel, reason }: Verdict): Promise<Set<Work>> {
    if (works.length === 0) return new Set();
    // It was told to stop: that is no failure of the message, which the queue's next owner begins with.
    if (processQueue.isDropped) return new Set(works);
    const error = reason.slice(0, MAX_ERROR_TEXT);
    const taken = await settle(this.#options, processQueue, works, ({ message: { queueOffset } }) =>
      delayLevel < 0 ? { queueOffset, action: "dead", error } : { queueOffset, action: "retry", delayLevel, error },
    );
    return new Set(works.filter((work) => !taken.has(work)));
  }

  /** The message stays where it is and holds its queue's offset. */
  #retryHere(work: Work, delay: number): void {
    const cancel = this.#options.timers.after(delay, () => {
      this.#retries.delete(work);
      this.#ready.unshift(work);
      this.#work();
    });
    this.#retries.set(work, cancel);
  }
}
