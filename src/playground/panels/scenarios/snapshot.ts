import type { ConsumerConnection, ConsumeStats, MessageExt, PullConsumer, QueueStats, TabMQ } from "../../../index.ts";
import { groupOfTopic, topicKind } from "../../../devtools/topic-kind.ts";

/** How things stand on a stage, as the broker says. */
export interface Snapshot {
  topics: readonly TopicView[];
  groups: readonly GroupView[];
  epoch: number;
  /** Waiting for a time of their own; half messages that nobody has decided. */
  timers: number;
  halves: number;
}

export interface TopicView {
  topic: string;
  queues: readonly QueueView[];
}

export interface QueueView extends QueueStats {
  /** The messages themselves, where they are few. */
  messages: readonly MessageExt[];
}

export interface GroupView extends ConsumeStats {
  members: readonly ConsumerConnection[];
}

/** Of a queue with more messages than this only how many is shown. */
export const SHOWN = 48;
/** What only the broker itself reads: what it says in there is shown in other ways. */
const HIDDEN = /^(RMQ_SYS_|rmq_sys_|SCHEDULE_TOPIC|TRANS_CHECK|CID_RMQ_SYS_)/;

/** Looks at everything in a namespace, again and again; a message is read once. */
export class Onlooker {
  readonly #mq: TabMQ;
  readonly #read = new Map<string, MessageExt>();
  #reader: PullConsumer | null = null;

  constructor(mq: TabMQ) {
    this.#mq = mq;
  }

  async look(): Promise<Snapshot> {
    const { admin } = this.#mq;
    const [topics, groups, { broker }] = await Promise.all([admin.topics(), admin.groups(), this.#mq.diagnostics()]);
    return {
      topics: await Promise.all(topics.map(({ topic }) => topic).filter(isShown).toSorted(byKind).map((topic) => this.#topic(topic))),
      groups: await Promise.all(groups.map(({ group }) => group).filter(isShown).map((group) => this.#group(group))),
      epoch: broker.epoch,
      timers: broker.timers.pending,
      halves: broker.transactions.pending,
    };
  }

  async #topic(topic: string): Promise<TopicView> {
    const { admin } = this.#mq;
    const { queues } = await admin.topicStats(topic);
    // A letter that was resent is still in the log, and no dead letter any more.
    if (topicKind(topic) === "dead") return { topic, queues: [{ ...queues[0]!, messages: await admin.deadLetters(groupOfTopic(topic)!, { max: SHOWN }) }] };
    return { topic, queues: await Promise.all(queues.map(async (queue) => ({ ...queue, messages: await this.#messages(queue) }))) };
  }

  async #group(group: string): Promise<GroupView> {
    const [stats, { connections }] = await Promise.all([this.#mq.admin.consumeStats(group), this.#mq.admin.consumerConnections(group)]);
    return { ...stats, members: connections };
  }

  async #messages(queue: QueueStats): Promise<MessageExt[]> {
    const { topic, queueId, brokerName, minOffset, maxOffset } = queue;
    if (maxOffset - minOffset > SHOWN) return [];
    const keyOf = (offset: number): string => `${topic}/${queueId}/${offset}`;
    const offsets = Array.from({ length: maxOffset - minOffset }, (_, at) => minOffset + at);
    const first = offsets.find((offset) => !this.#read.has(keyOf(offset)));
    if (first !== undefined) {
      this.#reader ??= await this.#mq.createPullConsumer({ consumerGroup: "onlooker" });
      const { messages } = await this.#reader.pull({ topic, brokerName, queueId }, "*", first, maxOffset - first);
      for (const message of messages) this.#read.set(keyOf(message.queueOffset), message);
    }
    return offsets.flatMap((offset) => this.#read.get(keyOf(offset)) ?? []);
  }
}

function isShown(name: string): boolean {
  return !HIDDEN.test(name);
}

/** Topics of the story first, then retries, then dead letters. */
function byKind(one: string, other: string): number {
  const rank = (topic: string): number => ["own", "retry", "dead"].indexOf(topicKind(topic));
  return rank(one) - rank(other) || one.localeCompare(other);
}
