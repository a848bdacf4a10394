import { retryTopic } from "../model/names.ts";
import { queueKey } from "../model/queue.ts";
import type { AssignedQueue, BroadcastProgress, ConsumeFromWhere, QueueCommit } from "../protocol/api.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { ConsumerGroup } from "./consumer-group.ts";
import type { GroupConfigs } from "./group-configs.ts";
import type { Member } from "./member.ts";
import type { Offsets } from "./offsets.ts";
import { keyOf } from "./sharing.ts";
import type { Topics } from "./topics.ts";

/** Where groups begin, and how far they have come. */
export class GroupProgress {
  readonly #topics: Topics;
  readonly #mayConsume: (group: string) => boolean;
  readonly #queues: ConsumeQueueStore;
  readonly #offsets: Offsets;

  constructor({ topics, queues, offsets, configs }: { topics: Topics; queues: ConsumeQueueStore; offsets: Offsets; configs: GroupConfigs }) {
    this.#topics = topics;
    this.#mayConsume = (group) => configs.mayConsume(group);
    this.#queues = queues;
    this.#offsets = offsets;
  }

  /**
   * A group begins at a topic: each queue it has no offset for gets one now. Exact: what is sent from here on is
   * consumed, also in queues and topics that come into being later, which begin at their first message.
   */
  begin(group: string, topic: string, asked: ConsumeFromWhere, starts: ReadonlyMap<string, number> = new Map()): void {
    const [topics, queues, offsets] = [this.#topics, this.#queues, this.#offsets];
    // What is to be tried again is the group's own, whenever it joins.
    const where = topic === retryTopic(group) ? "CONSUME_FROM_FIRST_OFFSET" : asked;
    const count = topics.find(topic)?.readQueueNums ?? 0;
    const atBegin = where === "CONSUME_FROM_FIRST_OFFSET" || offsets.isBereft(group);
    offsets.begin(group, topic);
    for (let queueId = 0; queueId < count; queueId++) {
      if (offsets.get(group, topic, queueId) !== undefined) continue;
      const { minOffset, maxOffset } = queues.open(topic, queueId);
      const start = starts.get(queueKey(topic, queueId)) ?? maxOffset;
      offsets.commit(group, topic, queueId, atBegin ? minOffset : Math.min(Math.max(start, minOffset), maxOffset), maxOffset);
    }
  }

  /** The next message for the group. */
  startOffset(group: string, topic: string, queueId: number): number {
    const [queues, offsets] = [this.#queues, this.#offsets];
    const queue = queues.find(topic, queueId);
    // What is stored may lie before the queue's begin: the member learns at its fetch what it has missed.
    const begin = offsets.get(group, topic, queueId) ?? queue?.minOffset ?? 0;
    // A queue that holds nothing may not be there yet: this is where it will begin.
    return Math.min(begin, queue?.maxOffset ?? queues.firstOffset);
  }

  /** A member that works on the queue says how far the group has come there. */
  commit(group: ConsumerGroup, queue: QueueCommit): void {
    // From before a reset, which the member has yet to hear of.
    if ((queue.resets ?? 0) !== this.#offsets.resets(group.name, queue.topic, queue.queueId)) return;
    const before = this.#offsets.get(group.name, queue.topic, queue.queueId) ?? 0;
    // From before the queue was deleted.
    if (queue.commitOffset < this.#queues.beginOf(queue)) return;
    // Beyond the end only after the browser has lost the end; one queue's trouble must not stop the others.
    const maxOffset = this.#queues.find(queue.topic, queue.queueId)?.maxOffset ?? this.#queues.firstOffset;
    const reached = Math.min(queue.commitOffset, maxOffset);
    this.#offsets.commit(group.name, queue.topic, queue.queueId, reached, maxOffset);
    group.rate.add(Math.max(0, reached - before));
  }

  /** Where a member that keeps its own offsets is; where nothing is kept, it begins as it says. */
  beginBroadcast(member: Member, { topics: known, offsets }: BroadcastProgress, starts: ReadonlyMap<string, number>): void {
    const kept = new Map(offsets.map((queue) => [keyOf(queue), queue.commitOffset]));
    for (const topic of member.subscriptions.keys()) {
      for (const { queueId } of this.#topics.queuesToRead(topic)) {
        const { minOffset, maxOffset } = this.#queues.open(topic, queueId);
        const offset = kept.get(queueKey(topic, queueId));
        const atBegin = member.consumeFromWhere === "CONSUME_FROM_FIRST_OFFSET" || known.includes(topic);
        const start = starts.get(queueKey(topic, queueId)) ?? maxOffset;
        // Beyond the end: the queue that was meant is gone, and all that there is is new.
        const begin = offset !== undefined && offset <= maxOffset ? offset : offset === undefined && !atBegin ? Math.min(Math.max(start, minOffset), maxOffset) : minOffset;
        member.progress.set(queueKey(topic, queueId), begin);
      }
    }
  }

  /** All queues of its topics; those that are new begin at their first message. */
  broadcastQueues(member: Member): AssignedQueue[] {
    if (member.isDisplaced || !this.#mayConsume(member.group.name)) return [];
    return [...member.subscriptions.keys()].flatMap((topic) =>
      this.#topics.queuesToRead(topic).map(({ queueId }) => {
        const key = queueKey(topic, queueId);
        const offset = member.progress.get(key) ?? this.#queues.find(topic, queueId)?.minOffset ?? 0;
        member.progress.set(key, offset);
        return { topic, queueId, offset, done: [], isFirst: true };
      }),
    );
  }
}
