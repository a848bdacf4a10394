import type { MessageSelector } from "../filter/tag-expression.ts";
import { MQError } from "../model/errors.ts";
import { LONG_POLL, LONG_POLL_GRACE, MAX_PULL_BATCH } from "../model/limits.ts";
import type { MessageExt } from "../model/message.ts";
import type { MessageQueue } from "../model/queue.ts";
import { compareQueues, queueKey } from "../model/queue.ts";
import { decodeRecords } from "../model/record-codec.ts";
import { Events } from "../platform/events.ts";
import type { Cancel } from "../platform/timers.ts";
import type { AssignedQueue, ConsumeFromWhere, FetchReply, HeldQueue, QueueCommit, QueueRef } from "../protocol/api.ts";
import { BrokerGone } from "./channel.ts";
import type { Connection } from "./connection.ts";
import { ProcessQueue } from "./process-queue.ts";

export interface MemberOptions {
  group: string;
  subscriptions: Map<string, MessageSelector>;
  /** Instead of sharing with a group: exactly these. */
  queues: QueueRef[];
  consumeFromWhere: ConsumeFromWhere;
  /** Messages of one queue in one answer. */
  pullBatchSize: number;
  /** No more is fetched for a queue that holds this many messages, bytes, or this span of offsets. */
  thresholdForQueue: number;
  thresholdSizeForQueue: number;
  maxSpan: number;
}

export interface MemberEvents {
  messages: { processQueue: ProcessQueue; messages: MessageExt[] };
  rebalance: { assigned: MessageQueue[]; revoked: MessageQueue[] };
  /** A queue is no longer ours: stop what has not begun. */
  dropped: ProcessQueue;
  error: MQError;
}

/** How long progress may wait for the next fetch to carry it. */
const COMMIT_DELAY = 100;
const ERROR_DELAY = 1000;

/**
 * A consumer's place in its group: joins, fetches, gives queues up when asked, and joins again when the broker
 * changes. What happens to the messages is the affair of the consumer that owns this.
 *
 * It has one fetch outstanding. `poke` sends a newer one, which the broker puts in the place of the older.
 */
export class GroupMember {
  readonly events = new Events<MemberEvents>();
  readonly #connection: Connection;
  readonly #options: MemberOptions;
  /** Held queues: assigned ones, and those that were taken away and are still being worked on. */
  readonly #held = new Map<string, ProcessQueue>();
  #memberId: string | null = null;
  #generation = 0;
  #turn = 0;
  #isStopped = false;
  #isPoked = false;
  /** Let go, and the broker does not know yet how far we came. */
  #released: QueueCommit[] = [];
  /** Queues given back to us before we had let them go. */
  readonly #returning = new Set<string>();
  readonly #paused = new Set<string>();
  #cancelCommit: Cancel | null = null;
  #lastWanted = new Map<string, number>();
  readonly #unlisten: (() => void)[];

  constructor(connection: Connection, options: MemberOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#unlisten = [
      connection.lifecycle.on("lost", () => this.#forgetMembership()),
      connection.lifecycle.on("open", () => void this.#join()),
      connection.lifecycle.on("hide", () => this.#sayGoodbye()),
    ];
  }

  /** Joins; rejects when the broker refuses. Later joins, after a broker's death, happen by themselves. */
  async start(): Promise<void> {
    try {
      await this.#joinOnce();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#cancelCommit?.();
    for (const unlisten of this.#unlisten) unlisten();
    const memberId = this.#memberId;
    this.#memberId = null;
    for (const processQueue of this.#held.values()) this.#drop(processQueue);
    if (memberId === null) return;
    await this.#connection.callOnce("quit", [{ memberId, commits: this.#commits() }], { timeout: 2000 }).catch(() => {});
  }

  assignment(): MessageQueue[] {
    return this.#assigned().map(({ queue }) => ({ ...queue })).sort(compareQueues);
  }

  find(queue: QueueRef): ProcessQueue | undefined {
    const processQueue = this.#held.get(queueKey(queue.topic, queue.queueId));
    return processQueue?.isDropped === false ? processQueue : undefined;
  }

  /** Begins the queue anew at an offset; what was received of it is forgotten. */
  seek(queue: QueueRef, offset: number): void {
    const old = this.find(queue);
    if (old === undefined) throw new MQError("INVALID_PARAMETER", `The queue ${queueKey(queue.topic, queue.queueId)} is not assigned to this consumer.`, { field: "queue" });
    this.#drop(old);
    this.#held.set(queueKey(queue.topic, queue.queueId), new ProcessQueue(old.queue, offset));
    this.poke();
  }

  pause(queue: QueueRef): void {
    this.#paused.add(queueKey(queue.topic, queue.queueId));
    this.poke();
  }

  isPaused(queue: QueueRef): boolean {
    return this.#paused.has(queueKey(queue.topic, queue.queueId));
  }

  resume(queue: QueueRef): void {
    this.#paused.delete(queueKey(queue.topic, queue.queueId));
    this.poke();
  }

  /** A listener has taken a message in hand. */
  began(processQueue: ProcessQueue): void {
    processQueue.running++;
  }

  /** The listener has come back. Consumed: the message's room is free, and the offset may move. */
  ended(processQueue: ProcessQueue, message: MessageExt, isConsumed: boolean): void {
    processQueue.running--;
    if (isConsumed) processQueue.remove(message);
    const key = queueKey(processQueue.queue.topic, processQueue.queue.queueId);
    if (processQueue.isDropped) return this.#letGo(key, processQueue);
    const enough = Math.min(this.#options.pullBatchSize, Math.ceil(this.#options.thresholdForQueue / 2));
    const hasRoomAgain = this.#lastWanted.get(key) === 0 && this.#room(processQueue) >= enough;
    // At once when all is done: timers of hidden tabs are slow, and progress that is not told is work done twice.
    if (hasRoomAgain || processQueue.size === 0) this.poke();
    else this.#commitSoon();
  }

  /** A queue that was taken away is let go when nothing of it is running any more; the next fetch says so. */
  #letGo(key: string, processQueue: ProcessQueue): void {
    if (processQueue.running > 0 || this.#held.get(key) !== processQueue) return;
    this.#held.delete(key);
    // It came back while a listener was still at it: go on behind what is done.
    if (this.#returning.delete(key)) this.#held.set(key, new ProcessQueue(processQueue.queue, processQueue.commitOffset));
    else this.#released.push(commitOf(processQueue));
    this.poke();
  }

  #commitSoon(): void {
    this.#cancelCommit ??= this.#connection.environment.timers.after(COMMIT_DELAY, () => {
      this.#cancelCommit = null;
      this.poke();
    });
  }

  /** Tells the broker now how things stand, and asks for what there is room for. */
  poke(): void {
    if (this.#isPoked) return;
    this.#isPoked = true;
    // Several reasons in one task make one fetch.
    queueMicrotask(() => {
      this.#isPoked = false;
      if (this.#memberId !== null && !this.#isStopped) void this.#fetch(this.#memberId);
    });
  }

  /** Resolves when the broker knows how far this consumer has come. */
  async commit(): Promise<void> {
    if (this.#memberId === null) throw new BrokerGone("There is no broker at the moment; the progress is committed when there is one.");
    await this.#fetch(this.#memberId, 0);
  }

  async #join(): Promise<void> {
    while (!this.#isStopped && this.#memberId === null && this.#connection.isOpen) {
      try {
        await this.#joinOnce();
      } catch (error) {
        if (error instanceof BrokerGone) return;
        this.#report(error);
        await new Promise<void>((resolve) => this.#connection.environment.timers.after(ERROR_DELAY, resolve));
      }
    }
  }

  #joining: Promise<void> | null = null;

  #joinOnce(): Promise<void> {
    this.#joining ??= this.#reallyJoin().finally(() => (this.#joining = null));
    return this.#joining;
  }

  async #reallyJoin(): Promise<void> {
    const { group, subscriptions, queues, consumeFromWhere } = this.#options;
    const expressions = [...subscriptions].map(([topic, selector]): [string, string] => [topic, selector.expression]);
    const { memberId } = await this.#connection.call("join", [{ group, subscriptions: expressions, queues, consumeFromWhere }]);
    if (this.#isStopped) {
      await this.#connection.callOnce("quit", [{ memberId, commits: [] }]).catch(() => {});
      return;
    }
    this.#memberId = memberId;
    this.#generation = 0;
    await this.#fetch(memberId);
  }

  async #fetch(memberId: string, patience = LONG_POLL): Promise<void> {
    const turn = ++this.#turn;
    this.#cancelCommit?.();
    this.#cancelCommit = null;
    const asked = new Map(this.#held);
    const held = [...asked].map(([key, processQueue]) => this.#describe(key, processQueue));
    this.#lastWanted = new Map(held.map((queue) => [queueKey(queue.topic, queue.queueId), queue.want]));
    // The first fetch only fetches the assignment; there is nothing to wait for yet.
    const wait = this.#generation === 0 ? 0 : patience;
    const released = this.#released.splice(0);
    const request = { memberId, generation: this.#generation, held, released, wait };
    try {
      const reply = await this.#connection.callOnce("fetch", [request], { timeout: LONG_POLL + LONG_POLL_GRACE });
      if (memberId !== this.#memberId) return;
      this.#apply(reply, asked);
    } catch (error) {
      if (memberId !== this.#memberId || error instanceof BrokerGone) return;
      if (error instanceof MQError && error.code === "STALE_GENERATION") {
        this.#forgetMembership();
        void this.#join();
        return;
      }
      this.#released.push(...released);
      this.#report(error);
      await new Promise<void>((resolve) => this.#connection.environment.timers.after(ERROR_DELAY, resolve));
    }
    if (turn === this.#turn && memberId === this.#memberId && !this.#isStopped) void this.#fetch(memberId);
  }

  #describe(key: string, processQueue: ProcessQueue): HeldQueue {
    const { topic, queueId } = processQueue.queue;
    const want = processQueue.isDropped || this.#paused.has(key) ? 0 : this.#room(processQueue);
    return { topic, queueId, commitOffset: processQueue.commitOffset, nextOffset: processQueue.nextOffset, want };
  }

  #room(processQueue: ProcessQueue): number {
    const { thresholdForQueue, thresholdSizeForQueue, maxSpan, pullBatchSize } = this.#options;
    if (processQueue.bytes >= thresholdSizeForQueue || processQueue.span >= maxSpan) return 0;
    return Math.max(0, Math.min(pullBatchSize, MAX_PULL_BATCH, thresholdForQueue - processQueue.size));
  }

  #apply(reply: FetchReply, asked: Map<string, ProcessQueue>): void {
    if (reply.assignment !== undefined && reply.generation > this.#generation) this.#assign(reply.assignment, reply.generation);
    const byQueue = new Map<string, MessageExt[]>();
    for (const message of decodeRecords(reply.records, this.#connection.serving.brokerName)) {
      const key = queueKey(message.topic, message.queueId);
      const messages = byQueue.get(key);
      if (messages === undefined) byQueue.set(key, [message]);
      else messages.push(message);
    }
    for (const { topic, queueId, nextOffset } of reply.progress) {
      const key = queueKey(topic, queueId);
      const processQueue = this.#held.get(key);
      // A queue that was taken away, or begun anew by a seek, has no use for what was asked before.
      if (processQueue === undefined || processQueue !== asked.get(key) || processQueue.isDropped) continue;
      // The broker compares tag codes; different tags may share one, so the text has the last word.
      const selector = this.#options.subscriptions.get(topic);
      const matching = (byQueue.get(key) ?? []).filter((message) => selector?.matches({ tags: message.tags }) ?? true);
      const messages = processQueue.put(matching);
      processQueue.skipTo(nextOffset);
      if (messages.length > 0) this.events.emit("messages", { processQueue, messages });
    }
  }

  #assign(assignment: AssignedQueue[], generation: number): void {
    this.#generation = generation;
    const wanted = new Map(assignment.map((queue) => [queueKey(queue.topic, queue.queueId), queue]));
    const revoked: MessageQueue[] = [];
    for (const [key, processQueue] of this.#held) {
      this.#returning.delete(key);
      if (wanted.has(key) || processQueue.isDropped) continue;
      revoked.push(processQueue.queue);
      this.#drop(processQueue);
      this.#letGo(key, processQueue);
    }
    const assigned: MessageQueue[] = [];
    for (const [key, { topic, queueId, offset }] of wanted) {
      const held = this.#held.get(key);
      if (held?.isDropped) this.#returning.add(key);
      if (held !== undefined) continue;
      const queue = { topic, queueId, brokerName: this.#connection.serving.brokerName };
      this.#held.set(key, new ProcessQueue(queue, offset));
      assigned.push(queue);
    }
    if (assigned.length + revoked.length > 0) this.events.emit("rebalance", { assigned, revoked });
  }

  #drop(processQueue: ProcessQueue): void {
    processQueue.isDropped = true;
    this.events.emit("dropped", processQueue);
  }

  #assigned(): ProcessQueue[] {
    return [...this.#held.values()].filter((processQueue) => !processQueue.isDropped);
  }

  #commits(): QueueCommit[] {
    return [...this.#released, ...[...this.#held.values()].map(commitOf)];
  }

  /** The broker knows us no longer: what we hold may be given to others, so nothing more of it is begun. */
  #forgetMembership(): void {
    this.#memberId = null;
    this.#generation = 0;
    const revoked = this.assignment();
    for (const processQueue of this.#held.values()) if (!processQueue.isDropped) this.#drop(processQueue);
    this.#held.clear();
    this.#released = [];
    this.#returning.clear();
    if (revoked.length > 0) this.events.emit("rebalance", { assigned: [], revoked });
  }

  /** The page goes away: the queues shall not wait for its lock to be noticed. */
  #sayGoodbye(): void {
    if (this.#memberId === null) return;
    void this.#connection.callOnce("quit", [{ memberId: this.#memberId, commits: this.#commits() }]).catch(() => {});
  }

  #report(error: unknown): void {
    this.events.emit("error", error instanceof MQError ? error : new MQError("INTERNAL_ERROR", String(error), { cause: error }));
  }
}

function commitOf({ queue, commitOffset }: ProcessQueue): QueueCommit {
  return { topic: queue.topic, queueId: queue.queueId, commitOffset };
}
