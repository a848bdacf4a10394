import type { ConsumeQueue } from "../storage/consume-queue.ts";
import { entryOf } from "../storage/consume-queue-store.ts";

/**
 * Makes durable records visible: their entries go into the consume queues and whoever waits for them is woken.
 * Called when their transaction is complete and never before: no consumer sees what a crash could take back.
 */
export class Dispatcher {
  readonly #onPublished: (queues: Set<ConsumeQueue>) => void;

  constructor(onPublished: (queues: Set<ConsumeQueue>) => void) {
    this.#onPublished = onPublished;
  }

  /** `entries` has one entry for each record that has a queue, in their order. */
  publish(entries: Uint8Array, queues: (ConsumeQueue | undefined)[], offsets: Float64Array, storeTimestamp: number): void {
    const touched = new Set<ConsumeQueue>();
    let next = 0;
    for (let index = 0; index < offsets.length; index++) {
      const queue = queues[index];
      if (queue === undefined) continue;
      queue.publish(offsets[index]!, entryOf({ entries }, next++), storeTimestamp);
      touched.add(queue);
    }
    this.#onPublished(touched);
  }
}
