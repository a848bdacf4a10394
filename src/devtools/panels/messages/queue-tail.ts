import type { MessageQueue, PullConsumer } from "../../../index.ts";
import { type MessageSummary, summaryOf } from "../../message/summary.ts";

const FIRST_STEP = 4;
const MOST_STEP = 128;
/** So much of bodies is read at once, about. */
const STEP_BYTES = 2 * 1024 * 1024;
/** Messages that one pull gives. */
const MOST_PULLED = 1024;

/** A queue, read from its end backwards: a broker only reads forwards, so it is done in steps, as large as the messages let them be. */
export class QueueTail {
  readonly #pull: PullConsumer;
  readonly #queue: MessageQueue;
  #begin: number;
  /** What is before this offset has not been read. */
  #end: number;
  #step = FIRST_STEP;
  /** Read and not yet taken, the newest last. */
  #rows: MessageSummary[] = [];

  constructor(pull: PullConsumer, queue: MessageQueue, begin: number, end: number) {
    this.#pull = pull;
    this.#queue = queue;
    this.#begin = begin;
    this.#end = end;
  }

  /** Offsets that have not been taken: at most so many messages. */
  get left(): number {
    return this.#rows.length + Math.max(0, this.#end - this.#begin);
  }

  /** The newest that has not been taken. */
  async newest(): Promise<MessageSummary | undefined> {
    while (this.#rows.length === 0 && this.#end > this.#begin) await this.#readBack();
    return this.#rows.at(-1);
  }

  take(): void {
    this.#rows.pop();
  }

  async #readBack(): Promise<void> {
    const from = Math.max(this.#begin, this.#end - this.#step);
    let bytes = 0;
    for (let at = from; at < this.#end; ) {
      const { status, messages, nextBeginOffset, minOffset } = await this.#pull.pull(this.#queue, "*", at, Math.min(MOST_PULLED, this.#end - at));
      // Retention has taken some meanwhile.
      this.#begin = Math.max(this.#begin, minOffset);
      for (const message of messages) {
        bytes += message.storeSize;
        if (message.queueOffset < this.#end) this.#rows.push(summaryOf(message));
      }
      if (nextBeginOffset <= at || status === "NO_NEW_MSG") break;
      at = nextBeginOffset;
    }
    this.#end = from;
    // Where offsets were left out there may be many of them.
    this.#step = this.#rows.length === 0 ? this.#step * 2 : Math.min(MOST_STEP, Math.max(1, Math.floor((STEP_BYTES * this.#rows.length) / bytes)));
  }
}
