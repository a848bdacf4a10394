import type { MessageExt } from "../model/message.ts";
import type { MessageQueue } from "../model/queue.ts";
import type { OffsetRange } from "../protocol/api.ts";

/** How far a consumer has come in a queue: everything before `commitOffset`, and these ranges behind it. */
export interface Progress {
  commitOffset: number;
  done: OffsetRange[];
  resets: number | undefined;
}

/**
 * What a consumer holds of one queue: messages received and not yet consumed, in the order of their offsets.
 * One stuck message holds the offset; everything before it may be committed.
 * Source: RocketMQ client/impl/consumer/ProcessQueue.java.
 */
export class ProcessQueue {
  readonly queue: MessageQueue;
  /** The first offset not yet received. */
  nextOffset: number;
  /** The queue was taken away: nothing more of it is started. */
  isDropped = false;
  /** Messages in the hands of a listener. */
  running = 0;
  /** Where the group stands when others have had the queue since the broker's death: what we did of it before counts no more. Null = it counts. */
  standing: number | null = null;
  /** Received, in the order of offsets; a Map keeps that order. */
  readonly #cached = new Map<number, MessageExt>();
  #bytes = 0;
  /** Finished for the group, although its offset is before them. */
  #done: OffsetRange[];

  /** Which beginning of the queue this is: an admin may begin it anew. */
  readonly resets: number | undefined;

  constructor(queue: MessageQueue, offset: number, done: readonly OffsetRange[] = [], resets?: number) {
    this.queue = queue;
    this.resets = resets;
    this.nextOffset = offset;
    this.#done = [...done];
  }

  /** Finished out of turn, and no longer of interest to whoever begins with this queue at `commitOffset`. */
  get done(): readonly OffsetRange[] {
    return this.#done;
  }

  get size(): number {
    return this.#cached.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Distance from the oldest message held to the newest. */
  get span(): number {
    return this.nextOffset - this.commitOffset;
  }

  /** Everything before is consumed. */
  get commitOffset(): number {
    for (const oldest of this.#cached.keys()) return oldest;
    return this.nextOffset;
  }

  /** How far it has come, for whoever gets the queue next. */
  get progress(): Progress {
    const done: OffsetRange[] = [];
    let next = this.commitOffset;
    // What has come and is not here any more is consumed, or was of no interest.
    for (const offset of [...this.#cached.keys(), this.nextOffset]) {
      if (offset > next) done.push([next, offset]);
      next = offset + 1;
    }
    if (this.standing !== null) return { commitOffset: this.standing, done: [], resets: this.resets };
    return { commitOffset: this.commitOffset, done: [...done, ...this.#done.filter(([, to]) => to > this.nextOffset)], resets: this.resets };
  }

  /** Takes messages in; those that were received before, or are done, are left out. Returns what is new. */
  put(messages: readonly MessageExt[]): MessageExt[] {
    const fresh = messages.filter(({ queueOffset: offset }) => offset >= this.nextOffset && !this.#done.some(([from, to]) => from <= offset && offset < to));
    for (const message of fresh) {
      this.#cached.set(message.queueOffset, message);
      this.#bytes += message.storeSize;
      this.nextOffset = message.queueOffset + 1;
    }
    return fresh;
  }

  /** Nothing of interest comes before this offset (the filter left it out). */
  skipTo(offset: number): void {
    this.nextOffset = Math.max(this.nextOffset, offset);
  }

  remove(message: MessageExt): void {
    if (this.#cached.delete(message.queueOffset)) this.#bytes -= message.storeSize;
  }

  /** The broker has taken a message over. */
  settled(offset: number): void {
    this.#done = [...this.#done.filter(([, to]) => to > this.commitOffset), [offset, offset + 1]];
  }
}
