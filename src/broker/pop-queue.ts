import { MAX_CLAIMED_AHEAD, MAX_INVISIBLE_DURATION } from "../model/limits.ts";
import type { OffsetRange } from "../protocol/api.ts";
import { isCount } from "../protocol/validate.ts";

/** A message is one consumer's for a time: nobody else is given it. */
export interface Claim {
  owner: string;
  /** Name it, over all brokers. */
  epoch: number;
  number: number;
  /** Raised with each change of its time: a handle that names an older one is void. */
  version: number;
  /** The number of the consumer's call that made it. */
  receive: number;
  /** When it is over. In memory on the monotonic clock, as stored on the wall clock. */
  until: number;
}

/** A message of the queue that the group has looked at and not finished. */
export interface Unfinished {
  readonly queueOffset: number;
  /** One at a time of those with the same; null = none. */
  readonly messageGroup: string | null;
  /** How often it was consumed in vain. */
  reconsumeTimes: number;
  /** It was given to somebody before, or is now. */
  wasGiven: boolean;
  claim: Claim | null;
  /** On its way to the dead letters. */
  isDying: boolean;
}

/** As stored. */
export type UnfinishedRow = [queueOffset: number, reconsumeTimes: number, messageGroup: string | null, claim: Claim | null];

/**
 * How a group that pops stands in one queue: up to `next` everything is finished, or in the table of what is not. Behind it
 * there may be, after a start, what an earlier broker has given.
 */
export class PopQueue {
  readonly topic: string;
  readonly queueId: number;
  /** Nobody has looked at this message yet, nor at those behind it. */
  next: number;
  /** The group's offset as it was set here last: another one means that somebody has moved it. */
  offset: number | undefined;
  /** Counted: what was begun to read before one of them is void. */
  beginnings = 0;
  /** How many of the table were given. */
  given = 0;
  /** In the order of their offsets. */
  readonly #unfinished = new Map<number, Unfinished>();
  /** The highest offset that was ever in it. */
  #last = -1;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(topic: string, queueId: number) {
    this.topic = topic;
    this.queueId = queueId;
    this.next = 0;
  }

  /** One at a time looks for messages here, as in RocketMQ. */
  alone(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  begin(offset: number | undefined, next: number): void {
    this.beginnings++;
    this.#unfinished.clear();
    this.given = 0;
    this.#last = -1;
    this.offset = offset;
    this.next = next;
  }

  find(queueOffset: number): Unfinished | undefined {
    return this.#unfinished.get(queueOffset);
  }

  add(queueOffset: number, messageGroup: string | null, reconsumeTimes: number): void {
    this.#unfinished.set(queueOffset, { queueOffset, messageGroup, reconsumeTimes, wasGiven: false, claim: null, isDying: false });
    if (queueOffset > this.#last) {
      this.#last = queueOffset;
      return;
    }
    // Only after a start, which knows messages that were given, and not those between them.
    const sorted = [...this.#unfinished].sort(([a], [b]) => a - b);
    this.#unfinished.clear();
    for (const [at, entry] of sorted) this.#unfinished.set(at, entry);
  }

  give(entry: Unfinished, claim: Claim): void {
    if (!entry.wasGiven) this.given++;
    entry.wasGiven = true;
    entry.claim = claim;
  }

  /** What its consumer has not finished is for another one. */
  takeBack(entry: Unfinished): void {
    entry.claim = null;
    entry.reconsumeTimes++;
  }

  finish(entry: Unfinished): void {
    if (this.#unfinished.delete(entry.queueOffset) && entry.wasGiven) this.given--;
  }

  /** Messages wait behind others of their group: so many that it is not looked any further. */
  get isBlocked(): boolean {
    return this.#unfinished.size - this.given >= MAX_CLAIMED_AHEAD;
  }

  all(): Iterable<Unfinished> {
    return this.#unfinished.values();
  }

  /** What may be given now: of a message group, the first that is not finished, and no other. */
  free(): Unfinished[] {
    const groups = new Set<string>();
    const free: Unfinished[] = [];
    for (const entry of this.#unfinished.values()) {
      if (entry.queueOffset >= this.next) break;
      const { messageGroup } = entry;
      const isFirst = messageGroup === null || !groups.has(messageGroup);
      if (messageGroup !== null) groups.add(messageGroup);
      if (isFirst && entry.claim === null && !entry.isDying) free.push(entry);
    }
    return free;
  }

  /** Before `offset` everything is finished, and so are the ranges behind it. */
  progress(): { offset: number; done: OffsetRange[] } {
    let at: number | null = null;
    let offset = this.next;
    const done: OffsetRange[] = [];
    for (const { queueOffset } of this.#unfinished.values()) {
      if (queueOffset >= this.next) break;
      if (at === null) offset = queueOffset;
      else if (queueOffset > at) done.push([at, queueOffset]);
      at = queueOffset + 1;
    }
    if (at !== null && this.next > at) done.push([at, this.next]);
    return { offset, done };
  }

  /** What another broker has to know. `toWall`: from the monotonic clock to the wall clock. */
  rows(toWall: number): UnfinishedRow[] {
    return [...this.#unfinished.values()]
      .filter(({ wasGiven }) => wasGiven)
      .map(({ queueOffset, reconsumeTimes, messageGroup, claim }) => [queueOffset, reconsumeTimes, messageGroup, claim && { ...claim, until: claim.until + toWall }]);
  }

  /** From an earlier broker. */
  restore([queueOffset, reconsumeTimes, messageGroup, claim]: UnfinishedRow, now: number, toWall: number): void {
    this.add(queueOffset, messageGroup, reconsumeTimes);
    const entry = this.#unfinished.get(queueOffset)!;
    entry.wasGiven = true;
    this.given++;
    // Whatever the wall clock says: no claim is longer than one may be.
    if (claim !== null) entry.claim = { ...claim, until: Math.min(claim.until - toWall, now + MAX_INVISIBLE_DURATION) };
  }
}

/** Null when it is no such row: then the group is given again what it has not finished. */
export function readUnfinished(value: unknown): UnfinishedRow | null {
  if (!Array.isArray(value) || value.length !== 4) return null;
  const [queueOffset, reconsumeTimes, messageGroup, claim] = value as unknown[];
  if (!isCount(queueOffset) || !isCount(reconsumeTimes) || !(messageGroup === null || typeof messageGroup === "string")) return null;
  if (claim === null) return [queueOffset, reconsumeTimes, messageGroup, null];
  if (typeof claim !== "object") return null;
  const { owner, epoch, number, version, receive, until } = claim as Partial<Record<keyof Claim, unknown>>;
  if (typeof owner !== "string" || !isCount(epoch) || !isCount(number) || !isCount(version) || !isCount(receive) || typeof until !== "number") return null;
  return [queueOffset, reconsumeTimes, messageGroup, { owner, epoch, number, version, receive, until }];
}
