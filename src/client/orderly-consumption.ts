import type { MessageModel } from "../model/consume-result.ts";
import { MQError } from "../model/errors.ts";
import { MAX_ERROR_TEXT } from "../model/limits.ts";
import { asSent, asTried, type MessageExt } from "../model/message.ts";
import { queueKey } from "../model/queue.ts";
import { LazyAbort } from "../platform/lazy-abort.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import type { ContextSend, ContextSender } from "./context-sender.ts";
import type { GroupMember } from "./group-member.ts";
import { type Admission, BUSY_DELAY, type Idempotence } from "./idempotence.ts";
import type { ListenerRunner, Verdict } from "./listener-runner.ts";
import type { ProcessQueue } from "./process-queue.ts";
import { type SentBack, settle } from "./settle.ts";
import type { Tracer } from "./tracer.ts";

/** RocketMQ's bounds for how long a queue rests after a failure, ms. */
const [SHORTEST_SUSPENSION, LONGEST_SUSPENSION] = [10, 30_000];

export interface OrderlyConsumptionOptions {
  member: Pick<GroupMember, "began" | "ended" | "settle" | "finish" | "isSure">;
  runner: ListenerRunner;
  sender: Pick<ContextSender, "finish">;
  /** None = every message goes to the listener. */
  idempotence?: Idempotence | null;
  /** Queues worked on at once. */
  concurrency: number;
  batchSize: number;
  maxReconsumeTimes: number;
  messageModel: MessageModel;
  /** How long a queue rests after a failure, ms. */
  suspendTime: number;
  tracer?: Tracer | null;
  timers: Timers;
  onSentBack?: (sentBack: SentBack) => void;
  onError: (error: MQError) => void;
}

interface Work {
  message: MessageExt;
  reconsumeTimes: number;
  /** When it came, ms since 1970; 0 = nobody wants to know. */
  arrived: number;
}

/** What is over, as consumed or as a dead letter, and what is to be tried again after a rest; none of them is what waits for the listener's COMMIT. */
interface Outcome {
  finished: Work[];
  dead: Work[];
  again: Work[];
  /** ms; -1 = the listener did not say. */
  rest: number;
}

const NOTHING: Outcome = { finished: [], dead: [], again: [], rest: -1 };

/** One queue: what waits in it goes through the listener one batch after the other. */
interface Lane {
  readonly processQueue: ProcessQueue;
  waiting: Work[];
  /** Consumed by a listener that commits by itself, and has not yet. */
  uncommitted: Work[];
  /** What was sent for these. */
  unsent: ContextSend[];
  suspension: Cancel | null;
}

/**
 * Messages on their way through listeners, each queue in its order: the next one is begun when the one before is
 * consumed or a dead letter. A failure makes the queue rest, and then the same message is tried again, here.
 * Source: RocketMQ client/impl/consumer/ConsumeMessageOrderlyService.
 */
export class OrderlyConsumption {
  readonly #options: OrderlyConsumptionOptions;
  /** Those that have waited longest come first. */
  readonly #lanes = new Map<ProcessQueue, Lane>();
  /** By queue, not by lane: one that was lost and comes back waits for the listener that is still at it. */
  readonly #running = new Map<string, { processQueue: ProcessQueue; abort: LazyAbort }>();
  #isSuspended = false;
  #isShut = false;
  #idle: (() => void)[] = [];

  constructor(options: OrderlyConsumptionOptions) {
    this.#options = options;
  }

  take(processQueue: ProcessQueue, messages: MessageExt[]): void {
    const lane = this.#lanes.get(processQueue) ?? { processQueue, waiting: [], uncommitted: [], unsent: [], suspension: null };
    this.#lanes.set(processQueue, lane);
    const arrived = this.#options.tracer?.arrival() ?? 0;
    for (const message of messages) lane.waiting.push({ message: asSent(message), reconsumeTimes: message.reconsumeTimes, arrived });
    this.#work();
  }

  /** Nothing more of the queue is begun, and what runs is told to stop. */
  drop(processQueue: ProcessQueue): void {
    const lane = this.#lanes.get(processQueue);
    if (lane !== undefined) {
      this.#lanes.delete(processQueue);
      lane.suspension?.();
      lane.waiting = [];
      // Later: whoever takes the queue away is in the middle of it.
      for (const { message } of lane.uncommitted.splice(0)) {
        this.#options.idempotence?.released(message);
        queueMicrotask(() => this.#options.member.ended(processQueue, message, false));
      }
    }
    for (const running of this.#running.values()) {
      if (running.processQueue === processQueue) running.abort.abort(new MQError("STALE_GENERATION", "The queue goes to another consumer of the group."));
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
    for (const lane of this.#lanes.values()) lane.suspension?.();
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#idle.push(this.#options.timers.after(patience, resolve), resolve));
  }

  #work(): void {
    if (this.#lanes.size === 0 || !this.#options.member.isSure) return;
    for (const lane of [...this.#lanes.values()]) {
      if (this.#isSuspended || this.#isShut || this.#running.size >= this.#options.concurrency) return;
      if (lane.waiting.length === 0 || lane.suspension !== null || this.#running.has(keyOf(lane))) continue;
      // To the end of the line.
      this.#lanes.delete(lane.processQueue);
      this.#lanes.set(lane.processQueue, lane);
      void this.#consume(lane);
    }
  }

  async #consume(lane: Lane): Promise<void> {
    const { member, idempotence, batchSize } = this.#options;
    const { processQueue } = lane;
    const batch = lane.waiting.splice(0, idempotence?.fitting(lane.waiting.slice(0, batchSize)) ?? batchSize);
    const abort = new LazyAbort();
    this.#running.set(keyOf(lane), { processQueue, abort });
    for (const _ of batch) member.began(processQueue);

    const { fresh, known, later } = idempotence ? await this.#admit(idempotence, processQueue, batch) : { fresh: batch, known: [], later: [] };
    const { finished, dead, again, rest } = fresh.length === 0 ? NOTHING : await this.#listen(lane, fresh, abort);

    this.#running.delete(keyOf(lane));
    for (const { message } of finished) idempotence?.finished(message);
    for (const { message } of [...dead, ...again]) idempotence?.released(message);
    for (const { message } of [...finished, ...dead, ...known]) member.ended(processQueue, message, true);
    for (const { message } of [...again, ...later]) member.ended(processQueue, message, false);
    if (again.length + later.length > 0 && !processQueue.isDropped && !this.#isShut) this.#suspendLane(lane, [...again, ...later], again.length > 0 ? rest : BUSY_DELAY);
    if (this.#running.size === 0) for (const idle of this.#idle.splice(0)) idle();
    this.#work();
  }

  /** What goes to the listener: as far as it is this consumer's turn. */
  async #admit(idempotence: Idempotence, processQueue: ProcessQueue, batch: Work[]): Promise<Admission<Work>> {
    const admission = await idempotence.admit(batch, true);
    if (!processQueue.isDropped && !this.#isShut && !this.#isSuspended) return admission;
    // Meanwhile nothing more is to be begun.
    for (const { message } of admission.fresh) idempotence.released(message);
    return { fresh: [], known: [], later: batch };
  }

  async #listen(lane: Lane, works: Work[], abort: LazyAbort): Promise<Outcome> {
    const messages = works.map(({ message, reconsumeTimes }) => asTried(message, reconsumeTimes));
    const verdict = await this.#options.runner.run(messages, { queue: lane.processQueue.queue, attempt: works[0]!.reconsumeTimes + 1, arrived: works[0]!.arrived }, abort);
    return this.#judge(lane, works, verdict);
  }

  async #judge(lane: Lane, batch: Work[], verdict: Verdict): Promise<Outcome> {
    const { answer, autoCommit, ackIndex } = verdict;
    const rest = verdict.suspendTime;
    // It is on its way to another consumer: what its listener has not committed is begun again there.
    if (!autoCommit && lane.processQueue.isDropped && answer !== "COMMIT") return { ...NOTHING, again: batch, rest };
    if (answer === "ROLLBACK") {
      lane.unsent = [];
      return { ...NOTHING, again: [...lane.uncommitted.splice(0), ...batch], rest };
    }
    const count = answer === "FAILURE" ? 0 : Math.min(ackIndex + 1, batch.length);
    const [consumed, failed] = [batch.slice(0, count), batch.slice(count)];
    const sends = count === 0 ? [] : verdict.sends;
    const isCommit = autoCommit || answer === "COMMIT";
    const finished = isCommit ? [...lane.uncommitted.splice(0), ...consumed] : [];
    const unsent = isCommit ? [...lane.unsent.splice(0), ...sends] : [];
    const { taken, refusal } = unsent.length === 0 ? { taken: new Set(finished), refusal: null } : await this.#options.sender.finish(this.#options, lane.processQueue, finished, unsent);
    if (taken.size < finished.length) {
      // What was sent cannot be stored, so the listener has failed; or it cannot now. All of it is begun again, in its order.
      const buried = refusal === null ? new Set<Work>() : await this.#bury(lane.processQueue, batch, { ...verdict, reason: refusal.message });
      if (refusal !== null) for (const work of batch) if (!buried.has(work)) work.reconsumeTimes++;
      const again = [...finished.filter((work) => !taken.has(work)), ...failed].filter((work) => !buried.has(work));
      return { finished: [...taken], dead: [...buried], again, rest };
    }
    const buried = await this.#bury(lane.processQueue, failed, verdict);
    const [dead, again] = [[...buried], failed.filter((work) => !buried.has(work))];
    for (const work of again) work.reconsumeTimes++;
    if (isCommit) return { finished, dead, again, rest };
    lane.uncommitted.push(...consumed);
    lane.unsent.push(...sends);
    return { finished: [], dead, again, rest };
  }

  /** Makes dead letters of those that have failed too often; returns what the broker has taken. */
  async #bury(processQueue: ProcessQueue, failed: Work[], { delayLevel, reason }: Verdict): Promise<Set<Work>> {
    const { maxReconsumeTimes, messageModel, onError } = this.#options;
    const hopeless = failed.filter(({ reconsumeTimes }) => delayLevel < 0 || reconsumeTimes >= maxReconsumeTimes);
    // It was told to stop: that is no failure of the message, which the queue's next owner begins with.
    if (hopeless.length === 0 || processQueue.isDropped) return new Set();
    const error = reason.slice(0, MAX_ERROR_TEXT);
    if (messageModel === "BROADCASTING") {
      // Nobody else has given it up, so it is no dead letter.
      onError(new MQError("INTERNAL_ERROR", `The listener has failed once too often at ${hopeless.map(({ message }) => message.msgId).join(", ")} and goes on without it: ${error}`));
      return new Set(hopeless);
    }
    return settle(this.#options, processQueue, hopeless, ({ message: { queueOffset }, reconsumeTimes }) => ({ queueOffset, action: "dead", reconsumeTimes, error }));
  }

  /** The queue rests; then it goes on with these. */
  #suspendLane(lane: Lane, again: Work[], asked: number): void {
    const { timers, suspendTime } = this.#options;
    const time = asked < 0 ? suspendTime : asked;
    lane.waiting.unshift(...again);
    lane.suspension = timers.after(Math.min(Math.max(time, SHORTEST_SUSPENSION), LONGEST_SUSPENSION), () => {
      lane.suspension = null;
      this.#work();
    });
  }
}

function keyOf({ processQueue: { queue } }: Lane): string {
  return queueKey(queue.topic, queue.queueId);
}
