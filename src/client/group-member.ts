import { asMQError, errorFromData, MQError } from "../model/errors.ts";
import { CALL_TIMEOUT, LONG_POLL_GRACE, MEMBER_EXPIRY } from "../model/limits.ts";
import type { MessageExt } from "../model/message.ts";
import { retryTopic } from "../model/names.ts";
import type { MessageQueue } from "../model/queue.ts";
import { queueKey } from "../model/queue.ts";
import { decodeRecords } from "../model/record-codec.ts";
import { Events } from "../platform/events.ts";
import { sleep } from "../platform/timers.ts";
import type { AllocationTask, ConsumeFromWhere, FetchReply, FinishReply, Filter, KeyState, QueueRef, QuitRequest, SettleReply, SettleResult } from "../protocol/api.ts";
import { answerOf } from "./allocation-answer.ts";
import { BrokerGone } from "./channel.ts";
import type { Connection } from "./connection.ts";
import { type Fetcher, FetchLoop } from "./fetch-loop.ts";
import { HeldQueues, type FlowLimits } from "./held-queues.ts";
import type { Idempotence } from "./idempotence.ts";
import type { ProcessQueue } from "./process-queue.ts";
import { SequenceAudit, type SequenceGap } from "./sequence-audit.ts";
import { joinTerms, type Standing } from "./standing.ts";
import { filtersOf, type SubscriptionMap, Subscriptions } from "./subscriptions.ts";

export interface MemberOptions extends FlowLimits {
  group: string;
  subscriptions: SubscriptionMap;
  /** Instead of sharing with a group: exactly these. */
  queues: QueueRef[];
  /** Also what the group has failed at and is to try again. */
  takesRetries?: boolean;
  /** How long to rest after messages have come, ms. */
  pullInterval?: number;
  consumeFromWhere: ConsumeFromWhere;
  consumeTimestamp?: number | undefined;
  standing: Standing;
  /** None = its keys are of no interest. */
  idempotence?: Idempotence | null;
}

export interface MemberEvents {
  messages: { processQueue: ProcessQueue; messages: MessageExt[] };
  rebalance: { assigned: MessageQueue[]; revoked: MessageQueue[] };
  /** A queue is no longer ours: stop what has not begun. */
  dropped: ProcessQueue;
  /** The broker has answered, and it is sure again what is ours. */
  sure: undefined;
  error: MQError;
  sequenceGap: SequenceGap;
  /** These are its subscriptions now. */
  subscribed: SubscriptionMap;
  /** Its next messages are gone. */
  offsetMoved: { queue: MessageQueue; from: number; to: number };
}

const ERROR_DELAY = 1000;
const JOIN_TRIES = 3;

/**
 * A consumer's place in its group: joins, fetches, gives queues up when asked, and joins again when the broker
 * changes. What happens to the messages is the affair of the consumer that owns this.
 */
export class GroupMember implements Fetcher {
  readonly events = new Events<MemberEvents>();
  readonly #connection: Connection;
  readonly #options: MemberOptions;
  readonly #queues: HeldQueues;
  readonly #subscriptions: Subscriptions;
  /** Instead of sharing with the group; none = it shares. */
  #picked: QueueRef[];
  readonly #audit = new SequenceAudit((gap) => this.events.emit("sequenceGap", gap));
  readonly #unlisten: (() => void)[];
  readonly #loop: FetchLoop;
  /** Null while the broker does not know us. */
  #memberId: string | null = null;
  #generation = 0;
  #isStopped = false;
  /** The group goes on under other terms, without this consumer. */
  #isDisplaced = false;
  /** Which of the group's terms it has had; null = it has not been in the group yet. */
  #termsVersion: number | null = null;
  /** When the newest fetch that was answered was sent. */
  #heardAt = 0;
  #isAwaitingAnswer = false;
  #joining: Promise<void> | null = null;

  constructor(connection: Connection, options: MemberOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#subscriptions = new Subscriptions(options.subscriptions);
    this.#picked = options.queues;
    this.#loop = new FetchLoop(connection.environment.timers, this);
    this.#queues = new HeldQueues(options, (processQueue) => this.events.emit("dropped", processQueue));
    if (options.idempotence) options.idempotence.claim = (keys) => this.#claim(keys);
    this.#unlisten = [
      connection.lifecycle.on("lost", () => this.#forgetMembership()),
      connection.lifecycle.on("open", () => void this.#join()),
      connection.lifecycle.on("hide", () => this.#sayGoodbye()),
      connection.lifecycle.on("ended", (error) => this.#end(error)),
    ];
  }

  /** Joins and has its queues; rejects when the broker refuses. Later joins, after a broker's death, happen by themselves. */
  async start(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#joinOnce();
      } catch (error) {
        // The broker died in between: the next one is asked.
        if (error instanceof BrokerGone && tries < JOIN_TRIES && !this.#isStopped) continue;
        await this.stop();
        throw error;
      }
    }
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    const memberId = this.#memberId;
    this.#halt();
    this.#memberId = null;
    this.#queues.dropAll();
    this.#keepProgress();
    if (memberId === null) return;
    await this.#connection.callOnce("quit", [this.#farewell(memberId)], { timeout: 2000 }).catch(() => {});
  }

  /** Null while the broker does not know it, and when it is over. */
  get memberId(): string | null {
    return this.#isStopped ? null : this.#memberId;
  }

  assignment(): MessageQueue[] {
    return this.#queues.assignment();
  }

  /** What it would be subscribed to if all went by it. */
  get wishedSubscriptions(): SubscriptionMap {
    return this.#subscriptions.wished;
  }

  /** Resolves when these are the group's subscriptions. Refused while others of the group have not asked for the same; the broker remembers it. */
  async subscribe(wished: SubscriptionMap): Promise<void> {
    if (this.#memberId === null) throw new BrokerGone("There is no broker at the moment.");
    const wish = this.#subscriptions.wish(wished);
    const { consumeTimestamp } = this.#options;
    const request = { memberId: this.#memberId, wish, subscriptions: this.#filters(wished), ...(consumeTimestamp !== undefined && { consumeTimestamp }) };
    try {
      const termsVersion = await this.#connection.callOnce("subscribe", [request], { timeout: CALL_TIMEOUT });
      this.#granted({ wish, termsVersion });
    } catch (error) {
      if (asMQError(error).code !== "SUBSCRIPTION_INCONSISTENT") this.#subscriptions.drop(wish);
      throw error;
    }
  }

  /** Is it subscribed to the topic? Who picks queues takes every topic. */
  isSubscribed(topic: string): boolean {
    return this.#picked.length > 0 || this.#subscriptions.current.has(topic);
  }

  /** A queue that it does not want it has not lost: nobody else is to have it instead. */
  wants(queue: QueueRef): boolean {
    return this.isSubscribed(queue.topic) && (this.#picked.length === 0 || this.#picked.some(({ topic, queueId }) => topic === queue.topic && queueId === queue.queueId));
  }

  /** Other queues instead of those it has picked. Resolves when they are its own; refused, it keeps what it has. */
  async pick(queues: QueueRef[]): Promise<void> {
    const memberId = this.#memberId;
    if (memberId === null) throw new BrokerGone("There is no broker at the moment.");
    const before = this.#picked;
    // A fetch may bring them before the call is answered.
    this.#picked = queues;
    try {
      const { consumeTimestamp } = this.#options;
      await this.#connection.callOnce("pick", [{ memberId, queues, ...(consumeTimestamp !== undefined && { consumeTimestamp }) }], { timeout: CALL_TIMEOUT });
    } catch (error) {
      this.#picked = before;
      throw error;
    }
    if (memberId !== this.#memberId) return;
    await this.#loop.once(memberId);
    this.poke();
  }

  /** Begins the queue anew at an offset; what was received of it is forgotten. */
  seek(queue: QueueRef, offset: number): void {
    const processQueue = this.#queues.find(queue);
    if (processQueue === undefined) {
      throw new MQError("INVALID_PARAMETER", `The queue ${queueKey(queue.topic, queue.queueId)} is not assigned to this consumer.`, { field: "queue" });
    }
    this.#queues.restart(processQueue, offset);
    this.poke();
  }

  pause(queue: QueueRef): void {
    this.#queues.pause(queue);
    this.poke();
  }

  resume(queue: QueueRef): void {
    this.#queues.resume(queue);
    this.poke();
  }

  isPaused(queue: QueueRef): boolean {
    return this.#queues.isPaused(queue);
  }

  /**
   * False in a page that was frozen for so long that the broker may have given its queues to others: nothing more is begun
   * until the broker has answered, which `sure` tells. RocketMQ's counterpart is ProcessQueue.isLockExpired.
   */
  get isSure(): boolean {
    if (this.#connection.environment.clock.monotonic() - this.#heardAt < MEMBER_EXPIRY) return true;
    this.#isAwaitingAnswer = true;
    this.poke();
    return false;
  }

  /** A listener has taken a message in hand. */
  began(processQueue: ProcessQueue): void {
    this.#queues.began(processQueue);
  }

  /** The listener has come back. */
  ended(processQueue: ProcessQueue, message: MessageExt, isConsumed: boolean): void {
    if (this.#queues.ended(processQueue, message, isConsumed) === "now") this.poke();
    else this.#loop.pokeLater();
  }

  /** Tells the broker now how things stand, and asks for what there is room for. */
  poke(): void {
    this.#loop.poke();
  }

  /** Resolves when the broker knows how far this consumer has come. */
  async commit(): Promise<void> {
    if (this.#memberId === null) throw new BrokerGone("There is no broker at the moment; the progress is committed when there is one.");
    await this.#loop.once(this.#memberId);
    this.poke();
  }

  /** Hands back messages that were not consumed. They are finished where they stand, except those that the reply names. */
  async settle(processQueue: ProcessQueue, maxReconsumeTimes: number, results: SettleResult[]): Promise<SettleReply> {
    if (this.#memberId === null) throw new BrokerGone("There is no broker at the moment.");
    const { topic, queueId } = processQueue.queue;
    const { resets } = processQueue;
    const request = { memberId: this.#memberId, topic, queueId, maxReconsumeTimes, results, ...(resets !== undefined && { resets }) };
    const reply = await this.#connection.callOnce("settle", [request], { timeout: CALL_TIMEOUT });
    settled(processQueue, results.map(({ queueOffset }) => queueOffset), reply);
    return reply;
  }

  /** Finishes messages that were consumed, and stores a frame of others with that. They are finished, except those that the reply names. */
  async finish(processQueue: ProcessQueue, queueOffsets: number[], frame: ArrayBuffer, keys?: string[]): Promise<FinishReply> {
    if (this.#memberId === null) throw new BrokerGone("There is no broker at the moment.");
    const { queue: { topic, queueId }, resets } = processQueue;
    const request = { memberId: this.#memberId, topic, queueId, queueOffsets, frame, ...(keys !== undefined && { keys }), ...(resets !== undefined && { resets }) };
    const reply = await this.#connection.callOnce("finish", [request], { timeout: CALL_TIMEOUT });
    settled(processQueue, queueOffsets, reply);
    return reply;
  }

  #claim(keys: string[]): Promise<KeyState[]> {
    if (this.#memberId === null) return Promise.reject(new BrokerGone("There is no broker at the moment."));
    return this.#connection.callOnce("claimKeys", [{ memberId: this.#memberId, keys }], { timeout: CALL_TIMEOUT });
  }

  async #join(): Promise<void> {
    while (!this.#isStopped && !this.#isDisplaced && this.#memberId === null && this.#connection.isOpen) {
      try {
        await this.#joinOnce();
      } catch (error) {
        if (error instanceof BrokerGone) return;
        // Asked again, the group would say the same; it is the application's to decide.
        if (error instanceof MQError && error.code === "SUBSCRIPTION_INCONSISTENT") this.#isDisplaced = true;
        this.report(error);
        await sleep(this.#connection.environment.timers, ERROR_DELAY);
      }
    }
  }

  #joinOnce(): Promise<void> {
    this.#joining ??= this.#askToJoin().finally(() => (this.#joining = null));
    return this.#joining;
  }

  async #askToJoin(): Promise<void> {
    const { group, consumeFromWhere, consumeTimestamp, standing } = this.#options;
    const start = consumeTimestamp === undefined ? { consumeFromWhere } : { consumeFromWhere, consumeTimestamp };
    const request = { group, subscriptions: this.#filters(this.#subscriptions.current), queues: this.#picked, ...start, ...joinTerms(standing, this.#termsVersion) };
    const { memberId, termsVersion } = await this.#connection.call("join", [request]);
    if (this.#isStopped) {
      await this.#connection.callOnce("quit", [{ memberId, commits: [] }]).catch(() => {});
      return;
    }
    standing.broadcast?.began(this.#subscriptions.current.keys());
    this.#termsVersion = Math.max(this.#termsVersion ?? 0, termsVersion);
    if (standing.broadcast === null) this.#connection.witness.joined(group);
    this.#memberId = memberId;
    this.#generation = 0;
    // The first fetch brings the assignment: whoever has joined knows its queues.
    try {
      await this.#loop.once(memberId);
    } catch (error) {
      this.#memberId = null;
      void this.#connection.callOnce("quit", [{ memberId, commits: [] }]).catch(() => {});
      throw error;
    }
    this.poke();
  }

  /** Tells how things stand, and takes what the broker answers. */
  async fetch(memberId: string, wait: number): Promise<void> {
    const sentAt = this.#connection.environment.clock.monotonic();
    const asked = this.#queues.snapshot();
    const { held, released } = this.#queues.report();
    const keys = this.#options.idempotence?.report();
    try {
      const request = { memberId, generation: this.#generation, held, released, wait, ...(keys !== undefined && { keys }) };
      const reply = await this.#connection.callOnce("fetch", [request], { timeout: wait + LONG_POLL_GRACE });
      if (memberId !== this.#memberId) return;
      this.#heardAt = Math.max(this.#heardAt, sentAt);
      this.#queues.told(released);
      this.#options.idempotence?.kept(reply.keysKept ?? 0);
      this.#apply(reply, asked);
      if (this.#isAwaitingAnswer) this.#tellSure();
      this.#options.standing.broadcast?.note(this.#queues.commits());
      if (reply.displaced === true) this.#leaveWhenDone(memberId);
    } catch (error) {
      if (memberId === this.#memberId) {
        this.#queues.tellAgain(released);
        if (keys !== undefined) this.#options.idempotence?.tellAgain(keys);
        if (error instanceof MQError && error.code === "STALE_GENERATION") {
          this.#forgetMembership();
          void this.#join();
        }
      }
      throw error;
    }
  }

  #apply(reply: FetchReply, asked: Map<string, ProcessQueue>): void {
    const { brokerName } = this.#connection.serving;
    this.#loop.isFlowing = reply.records.byteLength > 0;
    if (reply.subscribed !== undefined) this.#granted(reply.subscribed);
    if (reply.assignment !== undefined && reply.generation > this.#generation) {
      this.#generation = reply.generation;
      const change = this.#queues.assign(reply.assignment, brokerName);
      if (change.revoked.length > 0) this.poke();
      if (change.assigned.length + change.revoked.length > 0) this.events.emit("rebalance", change);
    }
    for (const error of reply.errors ?? []) this.report(errorFromData(error));
    if (reply.allocate !== undefined) void this.#allocate(reply.allocate);
    for (const { topic, queueId, from, to } of reply.moved ?? []) {
      const moved = this.#queues.find({ topic, queueId });
      if (moved !== undefined) this.#audit.forget(moved);
      this.events.emit("offsetMoved", { queue: { topic, queueId, brokerName }, from, to });
    }
    for (const { error } of reply.failed ?? []) this.report(errorFromData(error));
    const messages = decodeRecords(reply.records, brokerName);
    for (const received of this.#queues.receive(reply, messages, asked, this.#subscriptions.current)) {
      if (this.#subscriptions.isWhole(received.processQueue.queue.topic)) this.#audit.look(received.processQueue, received.messages);
      this.events.emit("messages", received);
    }
    if (messages.length > 0) this.#rest();
  }

  #tellSure(): void {
    this.#isAwaitingAnswer = false;
    // An answer that had been on its way since before leaves it unsure; then whoever begins something asks again.
    this.events.emit("sure", undefined);
  }

  #filters(subscriptions: SubscriptionMap): [string, Filter][] {
    const filters = filtersOf(subscriptions);
    return this.#options.takesRetries ? [...filters, [retryTopic(this.#options.group), "*"]] : filters;
  }

  /** Told once by the call and once by a fetch, whichever comes first. */
  #granted({ wish, termsVersion }: NonNullable<FetchReply["subscribed"]>): void {
    this.#termsVersion = Math.max(this.#termsVersion ?? 0, termsVersion);
    if (!this.#subscriptions.granted(wish)) return;
    this.#audit.forgetAll();
    this.events.emit("subscribed", this.#subscriptions.current);
  }

  #rest(): void {
    const { pullInterval = 0 } = this.#options;
    if (pullInterval === 0) return;
    this.#queues.isResting = true;
    this.#connection.environment.timers.after(pullInterval, () => {
      this.#queues.isResting = false;
      this.poke();
    });
  }

  /** This consumer is its group's leader: who gets which queue? */
  async #allocate(task: AllocationTask): Promise<void> {
    const memberId = this.#memberId;
    const { allocate } = this.#options.standing;
    if (memberId === null || allocate === null) return;
    let shares = null;
    try {
      shares = answerOf(allocate, task, this.#connection.serving.brokerName);
    } catch (error) {
      this.report(error);
    }
    await this.#connection.callOnce("allocate", [{ memberId, round: task.round, shares }], { timeout: LONG_POLL_GRACE }).catch((error: unknown) => {
      if (!(error instanceof BrokerGone)) this.report(error);
    });
  }

  /** Other members have taken over: what is in hand is finished, and then there is nothing left to do here. */
  #leaveWhenDone(memberId: string): void {
    this.#isDisplaced = true;
    if (this.#queues.snapshot().size > 0) return;
    this.#memberId = null;
    void this.#connection.callOnce("quit", [this.#farewell(memberId)]).catch(() => {});
  }

  #farewell(memberId: string): QuitRequest {
    const keys = this.#options.idempotence?.report();
    return { memberId, commits: this.#queues.commits(), ...(keys !== undefined && { keys }) };
  }

  /** What a broadcasting consumer has done, it notes itself. */
  #keepProgress(): void {
    const { broadcast } = this.#options.standing;
    broadcast?.note(this.#queues.commits());
    broadcast?.save();
  }

  /** The broker knows us no longer: what we hold may be given to others, so nothing more of it is begun. */
  #forgetMembership(): void {
    this.#memberId = null;
    this.#generation = 0;
    const revoked = this.assignment();
    this.#keepProgress();
    this.#queues.forget();
    this.#subscriptions.forgetWishes();
    this.#options.idempotence?.forget();
    if (revoked.length > 0) this.events.emit("rebalance", { assigned: [], revoked });
  }

  /** The page goes away: the queues shall not wait for its lock to be noticed. */
  #sayGoodbye(): void {
    if (this.#memberId === null) return;
    this.#keepProgress();
    void this.#connection.callOnce("quit", [this.#farewell(this.#memberId)]).catch(() => {});
  }

  /** The namespace is no more: what this consumer has done there is nothing to keep. */
  #end(error: MQError): void {
    this.#halt();
    this.#queues.dropAll();
    this.report(error);
  }

  #halt(): void {
    this.#isStopped = true;
    this.#loop.stop();
    for (const unlisten of this.#unlisten) unlisten();
  }

  report(error: unknown): void {
    this.events.emit("error", asMQError(error));
  }
}

/** All but those that were refused are finished where they stand. */
function settled(processQueue: ProcessQueue, queueOffsets: number[], reply: { refused: { queueOffset: number }[] }): void {
  const refused = new Set(reply.refused.map(({ queueOffset }) => queueOffset));
  for (const queueOffset of queueOffsets) if (!refused.has(queueOffset)) processQueue.settled(queueOffset);
}
