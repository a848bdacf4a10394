import type { MessageSelector } from "../filter/message-selector.ts";
import { MAX_PULL_BATCH } from "../model/limits.ts";
import type { MessageExt } from "../model/message.ts";
import type { MessageQueue } from "../model/queue.ts";
import { compareQueues, queueKey } from "../model/queue.ts";
import type { AssignedQueue, FetchReply, HeldQueue, QueueCommit, QueueRef } from "../protocol/api.ts";
import { type Progress, ProcessQueue } from "./process-queue.ts";

/** How much a consumer takes in. */
export interface FlowLimits {
  /** Messages of one queue in one answer. */
  pullBatchSize: number;
  /** No more is fetched for a queue that holds this many messages, bytes, or this span of offsets. */
  thresholdForQueue: number;
  thresholdSizeForQueue: number;
  maxSpan: number;
}

/** What the broker should be told after a message: nothing yet, soon, or at once. */
export type Urgency = "soon" | "now";

/**
 * The queues a consumer holds: those assigned to it, and those that were taken away and are still being worked on.
 * Pure bookkeeping; `dropped` is called when nothing more of a queue may be begun.
 */
export class HeldQueues {
  readonly #limits: FlowLimits;
  readonly #dropped: (processQueue: ProcessQueue) => void;
  readonly #held = new Map<string, ProcessQueue>();
  /** Let go, and the broker does not know yet how far we came. */
  #released: QueueCommit[] = [];
  /**
   * How far we came in them, by queue, until the broker has answered that it knows: an answer that was on its way meanwhile
   * may give the queue back to us at an offset that is older than our progress.
   */
  readonly #untold = new Map<string, Progress & { told?: QueueCommit }>();
  /** Held when the broker died, and a listener is still at them: the next broker may give them to us again. */
  readonly #orphans = new Map<string, ProcessQueue>();
  /** Queues given back to us, or begun anew by an admin, before we had let them go. */
  readonly #returning = new Map<string, AssignedQueue>();
  readonly #paused = new Set<string>();
  /** Nothing more is wanted for a while. */
  isResting = false;
  /** What the last fetch asked for, by queue. */
  #wanted = new Map<string, number>();

  constructor(limits: FlowLimits, dropped: (processQueue: ProcessQueue) => void) {
    this.#limits = limits;
    this.#dropped = dropped;
  }

  assignment(): MessageQueue[] {
    return this.#active().map(({ queue }) => ({ ...queue })).sort(compareQueues);
  }

  find(queue: QueueRef): ProcessQueue | undefined {
    const processQueue = this.#held.get(keyOf(queue));
    return processQueue?.isDropped === false ? processQueue : undefined;
  }

  /** Begins a queue anew at an offset; what was received of it is forgotten. */
  restart(processQueue: ProcessQueue, offset: number): void {
    this.#drop(processQueue);
    this.#held.set(keyOf(processQueue.queue), new ProcessQueue(processQueue.queue, offset, [], processQueue.resets));
  }

  pause(queue: QueueRef): void {
    this.#paused.add(keyOf(queue));
  }

  resume(queue: QueueRef): void {
    this.#paused.delete(keyOf(queue));
  }

  isPaused(queue: QueueRef): boolean {
    return this.#paused.has(keyOf(queue));
  }

  began(processQueue: ProcessQueue): void {
    processQueue.running++;
  }

  /** A listener has come back. Consumed: the message's room is free, and the offset may move. */
  ended(processQueue: ProcessQueue, message: MessageExt, isConsumed: boolean): Urgency {
    processQueue.running--;
    if (isConsumed) processQueue.remove(message);
    if (processQueue.isDropped) {
      this.#letGo(processQueue);
      return "now";
    }
    const { pullBatchSize, thresholdForQueue } = this.#limits;
    const enough = Math.min(pullBatchSize, Math.ceil(thresholdForQueue / 2));
    const hasRoomAgain = !this.isResting && this.#wanted.get(keyOf(processQueue.queue)) === 0 && this.#room(processQueue) >= enough;
    // At once when all is done: timers of hidden tabs are slow, and progress that is not told is work done twice.
    return hasRoomAgain || processQueue.size === 0 ? "now" : "soon";
  }

  /** How things stand, for a fetch. What has been let go is told once: `tellAgain` when the fetch failed. */
  report(): { held: HeldQueue[]; released: QueueCommit[] } {
    const held = [...this.#held.values()].map((processQueue) => this.#describe(processQueue));
    this.#wanted = new Map(held.map((queue) => [keyOf(queue), queue.want]));
    return { held, released: this.#released.splice(0) };
  }

  told(released: QueueCommit[]): void {
    for (const queue of released) if (this.#untold.get(keyOf(queue))?.told === queue) this.#untold.delete(keyOf(queue));
  }

  tellAgain(released: QueueCommit[]): void {
    this.#released.push(...released);
  }

  /** A copy, to know later which queues a fetch was about. */
  snapshot(): Map<string, ProcessQueue> {
    return new Map(this.#held);
  }

  commits(): QueueCommit[] {
    return [...this.#released, ...[...this.#held.values()].map((processQueue) => this.#commitOf(processQueue))];
  }

  /** Takes a new assignment over. Queues that are gone are let go as soon as nothing of them is running. */
  assign(assignment: AssignedQueue[], brokerName: string): { assigned: MessageQueue[]; revoked: MessageQueue[] } {
    const wanted = new Map(assignment.map((queue) => [keyOf(queue), queue]));
    const revoked: MessageQueue[] = [];
    for (const [key, processQueue] of this.#held) {
      this.#returning.delete(key);
      if (wanted.has(key) || processQueue.isDropped) continue;
      revoked.push(processQueue.queue);
      this.#drop(processQueue);
      this.#letGo(processQueue);
    }
    const assigned: MessageQueue[] = [];
    for (const [key, given] of wanted) {
      const held = this.#held.get(key);
      if (held?.isDropped || (held !== undefined && held.resets !== given.resets)) this.#returning.set(key, given);
      if (held?.isDropped === false && held.resets !== given.resets) {
        this.#drop(held);
        this.#letGo(held);
      }
      if (held !== undefined) continue;
      const queue = { topic: given.topic, queueId: given.queueId, brokerName };
      const orphan = this.#orphans.get(key);
      const untold = this.#untold.get(key);
      if (orphan !== undefined) this.#returning.set(key, given);
      // Whoever else has had it may have gone back on purpose.
      if (orphan !== undefined && given.isFirst !== true) orphan.standing = given.offset;
      this.#held.set(key, orphan ?? begin(queue, given, given.isFirst === true || untold?.told !== undefined ? untold : undefined));
      this.#orphans.delete(key);
      if (untold?.told === undefined) this.#untold.delete(key);
      assigned.push(queue);
    }
    return { assigned, revoked };
  }

  /** Takes the messages of a fetch in; returns what is new, by queue. `asked`: the snapshot from when it was sent. */
  receive(
    { progress }: FetchReply,
    messages: MessageExt[],
    asked: Map<string, ProcessQueue>,
    subscriptions: ReadonlyMap<string, MessageSelector>,
  ): { processQueue: ProcessQueue; messages: MessageExt[] }[] {
    const byQueue = new Map<string, MessageExt[]>();
    for (const message of messages) {
      // The broker compares tag codes; different tags may share one, so the text has the last word. Other filters it has applied whole.
      const selector = subscriptions.get(message.topic);
      if (selector?.type === "TAG" && !selector.matches({ tags: message.tags })) continue;
      const list = byQueue.get(keyOf(message));
      if (list === undefined) byQueue.set(keyOf(message), [message]);
      else list.push(message);
    }
    return progress.flatMap((at) => {
      const key = keyOf(at);
      const processQueue = this.#held.get(key);
      // A queue that was taken away, or begun anew by a seek, has no use for what was asked before.
      if (processQueue === undefined || processQueue !== asked.get(key) || processQueue.isDropped) return [];
      const fresh = processQueue.put(byQueue.get(key) ?? []);
      processQueue.skipTo(at.nextOffset);
      return fresh.length > 0 ? [{ processQueue, messages: fresh }] : [];
    });
  }

  /** Begins nothing more of anything; what is running keeps its queue. */
  dropAll(): void {
    for (const processQueue of this.#active()) this.#drop(processQueue);
  }

  /** The broker knows us no longer: all that is held may be somebody else's now. How far we came counts if the next broker gives it to us before others. */
  forget(): void {
    this.dropAll();
    // The brokers after that one know nothing of who had what under it.
    this.#orphans.clear();
    for (const [key, { told, ...progress }] of [...this.#untold]) {
      if (told === undefined) this.#untold.delete(key);
      else this.#untold.set(key, progress);
    }
    for (const [key, processQueue] of this.#held) {
      if (processQueue.running > 0) this.#orphans.set(key, processQueue);
      else this.#untold.set(key, processQueue.progress);
    }
    this.#held.clear();
    this.#released = [];
    this.#returning.clear();
  }

  #active(): ProcessQueue[] {
    return [...this.#held.values()].filter((processQueue) => !processQueue.isDropped);
  }

  #describe(processQueue: ProcessQueue): HeldQueue {
    const { queue, nextOffset, isDropped } = processQueue;
    const want = isDropped || this.isResting || this.isPaused(queue) ? 0 : this.#room(processQueue);
    return { ...this.#commitOf(processQueue), nextOffset, want };
  }

  #commitOf({ queue, commitOffset, standing, resets }: ProcessQueue): QueueCommit {
    return { topic: queue.topic, queueId: queue.queueId, commitOffset: standing ?? commitOffset, ...(resets !== undefined && { resets }) };
  }

  #room({ bytes, span, size }: ProcessQueue): number {
    const { thresholdForQueue, thresholdSizeForQueue, maxSpan, pullBatchSize } = this.#limits;
    if (bytes >= thresholdSizeForQueue || span >= maxSpan) return 0;
    return Math.max(0, Math.min(pullBatchSize, MAX_PULL_BATCH, thresholdForQueue - size));
  }

  #drop(processQueue: ProcessQueue): void {
    processQueue.isDropped = true;
    this.#dropped(processQueue);
  }

  /** Lets a queue that was taken away go, when nothing of it is running any more. */
  #letGo(processQueue: ProcessQueue): void {
    const key = keyOf(processQueue.queue);
    if (processQueue.running > 0) return;
    if (this.#orphans.get(key) === processQueue) {
      this.#orphans.delete(key);
      this.#untold.set(key, processQueue.progress);
    }
    if (this.#held.get(key) !== processQueue) return;
    this.#held.delete(key);
    const given = this.#returning.get(key);
    this.#returning.delete(key);
    if (given !== undefined) {
      // It came back while a listener was still at it.
      this.#held.set(key, begin(processQueue.queue, given, processQueue.progress));
      return;
    }
    const commit = this.#commitOf(processQueue);
    this.#released.push(commit);
    this.#untold.set(key, { ...processQueue.progress, told: commit });
  }
}

/** Begins a queue where the broker says, and behind what we have done of it ourselves, unless an admin has begun it anew since. */
function begin(queue: MessageQueue, { offset, done, resets }: AssignedQueue, ours: Progress | undefined): ProcessQueue {
  if (ours === undefined || ours.resets !== resets) return new ProcessQueue(queue, offset, done, resets);
  return new ProcessQueue(queue, Math.max(offset, ours.commitOffset), [...done, ...ours.done], resets);
}

function keyOf({ topic, queueId }: QueueRef): string {
  return queueKey(topic, queueId);
}
