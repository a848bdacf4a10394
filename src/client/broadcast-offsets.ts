import { MAX_HELD_QUEUES, MAX_SUBSCRIPTIONS_PER_MEMBER, WITNESS_INTERVAL } from "../model/limits.ts";
import { MQError } from "../model/errors.ts";
import { checkClientTopic } from "../model/names.ts";
import { queueKey } from "../model/queue.ts";
import type { Cancel } from "../platform/timers.ts";
import type { BroadcastProgress, QueueCommit } from "../protocol/api.ts";
import { integer, list, named, offset, record } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import type { Memo } from "./environment.ts";

const topic = named(checkClientTopic);
const progressCheck = record({
  topics: list(topic, MAX_SUBSCRIPTIONS_PER_MEMBER),
  offsets: list(record({ topic, queueId: integer(0, 2 ** 31 - 1), commitOffset: offset }), MAX_HELD_QUEUES),
});

/**
 * How far a broadcasting consumer has come, for the client it belongs to: RocketMQ's LocalFileOffsetStore, in local
 * storage. It lags by a second; what was consumed within the last one before a crash comes again.
 */
export class BroadcastOffsets {
  readonly #connection: Connection;
  /** Null: the browser gives no place, or nobody would find it again, because the client's id was drawn at random. */
  readonly #memo: Memo | null;
  readonly #topics = new Set<string>();
  readonly #offsets = new Map<string, QueueCommit>();
  #cancel: Cancel | null = null;

  constructor(connection: Connection, group: string) {
    this.#connection = connection;
    const { options, environment } = connection;
    const memo = options.isNamed === true ? (environment.memoOf?.(`broadcast/${group}/${options.clientId}`) ?? null) : null;
    const kept = parse(memo?.read() ?? null);
    for (const known of kept.topics) this.#topics.add(known);
    for (const queue of kept.offsets) this.#offsets.set(queueKey(queue.topic, queue.queueId), queue);
    this.#memo = memo !== null && keeps(memo, this.#text()) ? memo : null;
  }

  /** Whether a reload goes on from here. */
  get isKept(): boolean {
    return this.#memo !== null;
  }

  /** What the broker is told when this consumer joins. */
  progress(): BroadcastProgress {
    return { topics: [...this.#topics], offsets: [...this.#offsets.values()] };
  }

  /** The consumer has come this far in these queues. */
  note(queues: readonly QueueCommit[]): void {
    const known = this.#offsets.size;
    let isNew = false;
    for (const { topic: of, queueId, commitOffset } of queues) {
      const key = queueKey(of, queueId);
      if (this.#offsets.get(key)?.commitOffset === commitOffset) continue;
      this.#offsets.set(key, { topic: of, queueId, commitOffset });
      isNew = true;
    }
    // Where a queue was begun is not to be forgotten: "at the end" would be somewhere else next time.
    if (this.#offsets.size > known) this.save();
    else if (isNew && this.#memo !== null) this.#cancel ??= this.#connection.environment.timers.after(WITNESS_INTERVAL, () => this.save());
  }

  /** It has begun with these topics: what comes into being there later is consumed from its first message. */
  began(topics: Iterable<string>): void {
    const known = this.#topics.size;
    for (const name of topics) this.#topics.add(name);
    if (this.#topics.size > known) this.save();
  }

  save(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#memo?.write(this.#text());
  }

  #text(): string {
    return JSON.stringify(this.progress());
  }
}

/** Local storage may be full, or forbidden, and says nothing. */
function keeps(memo: Memo, text: string): boolean {
  memo.write(text);
  return memo.read() === text;
}

/** Anybody may have written there. */
function parse(text: string | null): BroadcastProgress {
  try {
    if (text !== null) return progressCheck(JSON.parse(text), "broadcast");
  } catch (error) {
    if (!(error instanceof MQError || error instanceof SyntaxError)) throw error;
  }
  return { topics: [], offsets: [] };
}
