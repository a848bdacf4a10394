import type { MessageExt } from "../model/message.ts";
import type { Timers } from "../platform/timers.ts";
import type { GroupMember } from "./group-member.ts";
import type { ProcessQueue } from "./process-queue.ts";
import type { Tracer, Try } from "./tracer.ts";

interface Held {
  processQueue: ProcessQueue;
  message: MessageExt;
}

interface Given extends Held {
  traced: Try | null;
}

/** Of a pull consumer: what `poll` may give, and what it has given. */
export class PollBuffer {
  readonly #member: GroupMember;
  readonly #timers: Timers;
  readonly #trace: { tracer: Tracer; group: string } | null;
  #ready: Held[] = [];
  /** Of paused queues, and of topics that are about to be taken away. */
  #parked: Held[] = [];
  #given: Given[] = [];
  /** Polls that wait for a message. */
  readonly #sleepers = new Set<() => void>();

  constructor(member: GroupMember, timers: Timers, trace: { tracer: Tracer; group: string } | null) {
    this.#trace = trace;
    this.#member = member;
    this.#timers = timers;
    member.events.on("messages", ({ processQueue, messages }) => this.#sort(messages.map((message) => ({ processQueue, message }))));
    member.events.on("dropped", (processQueue) => {
      this.#ready = this.#ready.filter((held) => held.processQueue !== processQueue);
      this.#parked = this.#parked.filter((held) => held.processQueue !== processQueue);
      this.#giveUp();
    });
    member.events.on("subscribed", () => {
      this.sortAgain();
      this.#giveUp();
    });
  }

  get isEmpty(): boolean {
    return this.#ready.length === 0;
  }

  take(most: number): MessageExt[] {
    const taken = this.#ready.splice(0, most);
    for (const { processQueue } of taken) this.#member.began(processQueue);
    for (const held of taken) this.#given.push({ ...held, traced: this.#trace?.tracer.began(this.#trace.group, [held.message], held.message.reconsumeTimes) ?? null });
    return taken.map(({ message }) => message);
  }

  /** What was given is consumed. */
  finishGiven(): void {
    for (const { processQueue, message, traced } of this.#given.splice(0)) {
      if (traced !== null) this.#trace!.tracer.ended(traced, { returnType: "SUCCESS" });
      this.#member.ended(processQueue, message, true);
    }
  }

  /** Queues were paused or resumed. */
  sortAgain(): void {
    this.#sort([...this.#ready.splice(0), ...this.#parked.splice(0)]);
  }

  /** Resolves when something has come, and at the latest when the time is up. */
  arrival(timeout: number): Promise<void> {
    return new Promise((resolve) => {
      const sleepers = this.#sleepers;
      const cancel = this.#timers.after(timeout, done);
      sleepers.add(done);
      function done(): void {
        cancel();
        sleepers.delete(done);
        resolve();
      }
    });
  }

  wake(): void {
    for (const wake of this.#sleepers) wake();
  }

  /** What `poll` may give now, and what has to wait. */
  #sort(messages: Held[]): void {
    for (const held of messages) {
      const { queue } = held.processQueue;
      (this.#member.isPaused(queue) || !this.#member.isSubscribed(queue.topic) ? this.#parked : this.#ready).push(held);
    }
    if (this.#ready.length > 0) this.wake();
  }

  /**
   * Another consumer goes on in the queue: what was given of it stays with the application, but the offset is the other's
   * business now. A queue that this consumer has left waits for what was given to be finished, as push consumers do.
   */
  #giveUp(): void {
    const lost = this.#given.filter(({ processQueue }) => processQueue.isDropped && this.#member.wants(processQueue.queue));
    this.#given = this.#given.filter((held) => !lost.includes(held));
    for (const { processQueue, message } of lost) queueMicrotask(() => this.#member.ended(processQueue, message, false));
  }
}
