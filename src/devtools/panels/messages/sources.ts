import type { Admin, PullConsumer, TabMQ } from "../../../index.ts";
import { type MessageSummary, summaryOf } from "../../message/summary.ts";
import { QueueTail } from "./queue-tail.ts";

/** What was asked for, times in ms since 1970, inclusive. Without a key: all messages of the topic. */
export interface Query {
  readonly topic: string;
  readonly key: string;
  readonly begin: number | undefined;
  readonly end: number | undefined;
}

/** Messages, the newest first, as many as somebody wants to see. */
export interface MessageSource {
  readonly hasMore: boolean;
  /** How many there are at most; undefined = nobody knows. */
  readonly total: number | undefined;
  /** The topic's end when this began: the sum of its queues' offsets. */
  readonly end: number;
  next(count: number): Promise<MessageSummary[]>;
}

/** What one query by key gives at most. */
const MOST_FOUND = 64;

export async function sourceOf(mq: TabMQ, pull: PullConsumer, query: Query): Promise<MessageSource> {
  if (query.key === "") return TopicSource.open(mq.admin, pull, query);
  // A topic that is not there has no messages with a key: that it is not there is the answer.
  await mq.admin.topicStats(query.topic);
  return new KeySource(mq.admin, query);
}

/** A topic's messages, or those of a time, over all its queues. */
class TopicSource implements MessageSource {
  readonly total: number;
  readonly end: number;
  readonly #tails: readonly QueueTail[];

  static async open(admin: Admin, pull: PullConsumer, { topic, begin, end }: Query): Promise<TopicSource> {
    const [queues, { queues: stats }] = await Promise.all([pull.fetchQueues(topic), admin.topicStats(topic)]);
    const tails = queues.map(async (queue) => {
      const { minOffset = 0, maxOffset = 0 } = stats.find(({ queueId }) => queueId === queue.queueId) ?? {};
      const [from, to] = await Promise.all([
        begin === undefined ? minOffset : admin.searchOffset(queue, begin, "LOWER"),
        end === undefined ? maxOffset : admin.searchOffset(queue, end + 1, "LOWER"),
      ]);
      return new QueueTail(pull, queue, Math.max(from, minOffset), Math.min(to, maxOffset));
    });
    return new TopicSource(await Promise.all(tails), endOf(stats));
  }

  private constructor(tails: readonly QueueTail[], end: number) {
    this.#tails = tails;
    this.end = end;
    this.total = tails.reduce((sum, { left }) => sum + left, 0);
  }

  get hasMore(): boolean {
    return this.#tails.some(({ left }) => left > 0);
  }

  async next(count: number): Promise<MessageSummary[]> {
    const rows: MessageSummary[] = [];
    while (rows.length < count) {
      const heads = await Promise.all(this.#tails.map(async (tail) => ({ tail, row: await tail.newest() })));
      let newest: { tail: QueueTail; row: MessageSummary } | undefined;
      for (const { tail, row } of heads) if (row !== undefined && (newest === undefined || row.time > newest.row.time)) newest = { tail, row };
      if (newest === undefined) break;
      newest.tail.take();
      rows.push(newest.row);
    }
    return rows;
  }
}

/** A topic's messages that have a key. One query is bounded; the next asks for what is older. */
class KeySource implements MessageSource {
  readonly total = undefined;
  readonly end = 0;
  hasMore = true;
  readonly #admin: Admin;
  readonly #query: Query;
  readonly #seen = new Set<string>();
  #waiting: MessageSummary[] = [];
  #until: number | undefined;

  constructor(admin: Admin, query: Query) {
    this.#admin = admin;
    this.#query = query;
    this.#until = query.end;
  }

  async next(count: number): Promise<MessageSummary[]> {
    while (this.#waiting.length < count && this.hasMore) await this.#ask();
    return this.#waiting.splice(0, count);
  }

  async #ask(): Promise<void> {
    const { topic, key, begin } = this.#query;
    const found = await this.#admin.queryMessages({ topic, key, max: MOST_FOUND, ...(begin !== undefined && { begin }), ...(this.#until !== undefined && { end: this.#until }) });
    const fresh = found.filter(({ offsetMsgId }) => !this.#seen.has(offsetMsgId));
    for (const { offsetMsgId } of fresh) this.#seen.add(offsetMsgId);
    this.#waiting.push(...fresh.map(summaryOf));
    const oldest = found.at(-1)?.storeTimestamp ?? 0;
    this.hasMore = found.length === MOST_FOUND && oldest > 0;
    // Those of the oldest ms may not all have been among them; if they all were, what is next is older.
    this.#until = fresh.length === 0 ? oldest - 1 : oldest;
  }
}

export function endOf(stats: readonly { maxOffset: number }[]): number {
  return stats.reduce((sum, { maxOffset }) => sum + maxOffset, 0);
}
