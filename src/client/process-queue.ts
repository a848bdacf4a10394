import type { MessageExt } from "../model/message.ts";
import type { MessageQueue } from "../model/queue.ts";

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
  /** Received, in the order of offsets; a Map keeps that order. */
  readonly #cached = new Map<number, MessageExt>();
  #bytes = 0;

  constructor(queue: MessageQueue, offset: number) {
    this.queue = queue;
    this.nextOffset = offset;
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

  /** Takes messages in; those that were received before are left out. Returns what is new. */
  put(messages: readonly MessageExt[]): MessageExt[] {
    const fresh = messages.filter((message) => message.queueOffset >= this.nextOffset);
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
}
