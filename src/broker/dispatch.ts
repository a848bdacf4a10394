import type { ConsumeQueue } from "../storage/consume-queue.ts";
import { entryOf } from "../storage/consume-queue-store.ts";
import type { Appended } from "../storage/indexer.ts";
import type { KeyIndex } from "../storage/key-index.ts";

/**
 * Makes durable records visible: their entries go into the consume queues, their keys into the index, and whoever waits for them is woken.
 * Called when their transaction is complete and never before: no consumer sees what a crash could take back.
 */
export class Dispatcher {
  readonly #keys: KeyIndex;
  readonly #onPublished: (queues: Set<ConsumeQueue>) => void;

  constructor(keys: KeyIndex, onPublished: (queues: Set<ConsumeQueue>) => void) {
    this.#keys = keys;
    this.#onPublished = onPublished;
  }

  /** `entries` has one entry for each record that has a queue, in their order; `keys` their keys. */
  publish({ entries, keys }: Pick<Appended, "entries" | "keys">, queues: (ConsumeQueue | undefined)[], offsets: Float64Array, storeTimestamp: number): void {
    const touched = new Set<ConsumeQueue>();
    let next = 0;
    for (let index = 0; index < offsets.length; index++) {
      const queue = queues[index];
      if (queue === undefined) continue;
      queue.publish(offsets[index]!, entryOf({ entries }, next++), storeTimestamp);
      touched.add(queue);
    }
    this.#keys.put(keys);
    this.#onPublished(touched);
  }
}
