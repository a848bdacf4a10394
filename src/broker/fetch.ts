import { errorToData, MQError } from "../model/errors.ts";
import { FETCH_TARGET_BYTES, LONG_POLL } from "../model/limits.ts";
import { byPriority } from "../model/priority.ts";
import { queueKey } from "../model/queue.ts";
import { concat } from "../platform/bytes.ts";
import { sleep, type Timers } from "../platform/timers.ts";
import type { FetchReply, FetchRequest, HeldQueue, PullReply, PullRequest } from "../protocol/api.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { ClientTraffic } from "./client-traffic.ts";
import type { Groups } from "./groups.ts";
import type { Member } from "./member.ts";
import { ReadAhead } from "./read-ahead.ts";
import { EVERYTHING, type QueueFilter, type QueueRead, type QueueReader } from "./queue-reader.ts";
import { subscriptionOf } from "./subscription.ts";
import { checkReadable, type Topics } from "./topics.ts";
import type { Traffic } from "./traffic.ts";

const EMPTY = new Uint8Array(0);
const MAX_AHEAD = 8;

/** Where one fetch stands in a queue. */
interface Cursor extends HeldQueue {
  /** Its next messages were gone. */
  movedFrom: { from: number; to: number } | null;
}

/**
 * Answers consumers. A fetch with nothing to give waits: for a message in one of its queues, for a new assignment,
 * for a newer fetch of the same member, or for its time to be up.
 */
export class FetchService {
  readonly #groups: Groups;
  readonly #queues: ConsumeQueueStore;
  readonly #topics: Topics;
  readonly #reader: QueueReader;
  readonly #traffic: Traffic;
  readonly #timers: Timers;
  /** Who waits for a queue. */
  readonly #waiting = new Map<string, Set<{ member: Member }>>();
  /** For whom the next messages are read already, the newest last; few, for each holds as much as a fetch gives. */
  readonly #ahead = new Map<Member, ReadAhead>();
  #stopped = false;

  constructor(services: { groups: Groups; queues: ConsumeQueueStore; topics: Topics; reader: QueueReader; traffic: Traffic; timers: Timers }) {
    this.#traffic = services.traffic;
    this.#groups = services.groups;
    this.#queues = services.queues;
    this.#topics = services.topics;
    this.#reader = services.reader;
    this.#timers = services.timers;
  }

  async fetch(member: Member, request: FetchRequest): Promise<FetchReply> {
    const turn = ++member.fetches;
    member.wake();
    this.#groups.heard(member, request);
    let isLate = request.wait === 0;
    const cancel = this.#timers.after(Math.min(request.wait, LONG_POLL), () => {
      isLate = true;
      member.wake();
    });
    const cursors: Cursor[] = request.held.map((queue) => ({ ...queue, movedFrom: null }));
    const isOver = (): boolean =>
      isLate || this.#stopped || turn !== member.fetches || request.generation !== member.generation;
    try {
      for (;;) {
        const records = isOver() && !isLate ? EMPTY : await this.#collect(member, cursors);
        const failed = member.failures();
        if (records.byteLength > 0 || failed.length > 0 || isOver()) return this.#reply(member, request, cursors, records, failed);
        // Nothing was awaited since `isOver` looked, so nothing can slip between the look and the sleep.
        if (!cursors.some((cursor) => this.#isOpen(member, cursor))) await this.#sleep(member, cursors);
      }
    } finally {
      cancel();
    }
  }

  /** Reads once and does not wait; `offset` outside the queue is answered, not refused. */
  async pull(request: PullRequest, client?: ClientTraffic): Promise<PullReply> {
    const config = this.#topics.get(request.topic);
    checkReadable(config);
    if (request.queueId >= config.readQueueNums) {
      throw new MQError("INVALID_PARAMETER", `Topic "${request.topic}" has no queue ${request.queueId}.`, { field: "queueId" });
    }
    const filter = subscriptionOf(request.expression);
    const queue = this.#queues.open(request.topic, request.queueId);
    const { minOffset, maxOffset } = queue;
    const at = Math.min(Math.max(request.offset, minOffset), maxOffset);
    if (at !== request.offset) return { status: "OFFSET_ILLEGAL", nextBeginOffset: at, minOffset, maxOffset, records: EMPTY };
    if (at === maxOffset) return { status: "NO_NEW_MSG", nextBeginOffset: at, minOffset, maxOffset, records: EMPTY };
    const { records, nextOffset, count } = await this.#reader.read(queue, at, filter, request.max, FETCH_TARGET_BYTES);
    // Deleted under the reader, messages may be missing without a word.
    if (queue.minOffset > at) return this.pull(request, client);
    this.#traffic.get.add(count, records.byteLength);
    if (client !== undefined) client.getMessages += count;
    const status = records.byteLength > 0 ? "FOUND" : "NO_MATCHED_MSG";
    return { status, nextBeginOffset: nextOffset, minOffset, maxOffset: queue.maxOffset, records };
  }

  /** New messages are visible in these queues. */
  published(queues: Iterable<ConsumeQueue>): void {
    for (const queue of queues) {
      const waiting = this.#waiting.get(queueKey(queue.topic, queue.queueId));
      if (waiting !== undefined) for (const { member } of waiting) member.wake();
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const waiting of this.#waiting.values()) for (const { member } of waiting) member.wake();
  }

  #reply(member: Member, request: FetchRequest, cursors: Cursor[], records: Uint8Array, failed: ReturnType<Member["failures"]>): FetchReply {
    // In this order a consumer takes them up.
    const progress = byPriority(cursors.filter(({ nextOffset }, at) => nextOffset !== request.held[at]!.nextOffset), this.#topics.hasPriorities);
    const reply: FetchReply = {
      generation: member.generation,
      progress: progress.map(({ topic, queueId, nextOffset }) => ({ topic, queueId, nextOffset })),
      records,
    };
    const moved = cursors.flatMap(({ topic, queueId, movedFrom }) => (movedFrom === null ? [] : [{ topic, queueId, ...movedFrom }]));
    if (moved.length > 0) reply.moved = moved;
    if (failed.length > 0) reply.failed = failed.map(({ topic, error }) => ({ topic, error: errorToData(error) }));
    if (member.generation !== request.generation) reply.assignment = this.#groups.assignment(member);
    if (member.generation !== request.generation && member.task !== null) reply.allocate = member.task;
    const errors = member.takeErrors();
    if (errors.length > 0) reply.errors = errors;
    if (member.isDisplaced) reply.displaced = true;
    if (member.granted > 0 && reply.assignment !== undefined) reply.subscribed = { wish: member.granted, termsVersion: member.group.termsVersion };
    if (member.keysKept > 0) reply.keysKept = member.keysKept;
    return reply;
  }

  /** One round over the queues, each getting its share, so that a full one does not starve the others. */
  async #collect(member: Member, cursors: Cursor[]): Promise<Uint8Array> {
    const open = byPriority(cursors.filter((cursor) => this.#isOpen(member, cursor)), this.#topics.hasPriorities);
    const ahead = this.#ahead.get(member);
    this.#ahead.delete(member);
    let next: ReadAhead | undefined;
    const share = Math.floor(FETCH_TARGET_BYTES / Math.max(1, open.length));
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for (const cursor of open) {
      const filter = this.#filterOf(member, cursor);
      const queue = this.#queues.open(cursor.topic, cursor.queueId);
      let begin: number;
      let read: QueueRead;
      do {
        begin = Math.max(cursor.nextOffset, queue.minOffset);
        read = await (ahead?.take(queue, begin, filter, cursor.want) ?? this.#reader.read(queue, begin, filter, cursor.want, share));
        // Deleted under the reader, messages may be missing without a word: it begins anew behind them.
      } while (begin < queue.minOffset);
      if (begin > cursor.nextOffset) cursor.movedFrom = { from: cursor.nextOffset, to: begin };
      cursor.nextOffset = read.nextOffset;
      this.#traffic.get.add(read.count, read.records.byteLength);
      member.traffic.getMessages += read.count;
      parts.push(read.records);
      bytes += read.records.byteLength;
      const isFull = read.count >= cursor.want || read.records.byteLength > share / 2;
      // A filter that looks into records takes its turn with others, and not more often than it is asked.
      if (isFull && filter.matches === undefined && read.nextOffset < queue.maxOffset) (next ??= this.#readAhead(member)).begin(queue, read.nextOffset, filter, cursor.want, share);
      // A filter has looked into many records: the others come first before it goes on.
      if (read.isCut) await sleep(this.#timers, 0);
    }
    return parts.length === 1 ? parts[0]! : concat(parts, bytes);
  }

  /** Only those who work off a backlog take a place. */
  #readAhead(member: Member): ReadAhead {
    const ahead = new ReadAhead(this.#reader, this.#timers);
    this.#ahead.delete(member);
    this.#ahead.set(member, ahead);
    const [oldest] = this.#ahead.keys();
    if (this.#ahead.size > MAX_AHEAD) this.#ahead.delete(oldest!);
    return ahead;
  }

  /** Is there something to read for this member? */
  #isOpen(member: Member, { topic, queueId, want, nextOffset }: HeldQueue): boolean {
    if (want === 0 || !this.#groups.mayRead(member, topic, queueId) || member.subscriptions.get(topic)?.failure) return false;
    return nextOffset < (this.#queues.find(topic, queueId)?.maxOffset ?? 0);
  }

  /** Topics that it has not subscribed to are read whole: queues it has picked, and its retry topic, which went through the filter before. */
  #filterOf(member: Member, { topic }: HeldQueue): QueueFilter {
    return member.subscriptions.get(topic) ?? EVERYTHING;
  }

  /** Sleeps until a message arrives in one of the queues or somebody wakes the member. */
  async #sleep(member: Member, cursors: HeldQueue[]): Promise<void> {
    const keys = cursors.filter(({ want }) => want > 0).map(({ topic, queueId }) => queueKey(topic, queueId));
    const ticket = { member };
    for (const key of keys) {
      const tickets = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, tickets.add(ticket));
    }
    await member.sleep();
    for (const key of keys) {
      const tickets = this.#waiting.get(key);
      tickets?.delete(ticket);
      if (tickets?.size === 0) this.#waiting.delete(key);
    }
  }
}
