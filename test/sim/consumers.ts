import type { At, Of } from "./history.ts";

/** What is known of the consumers while a history is read from front to back. */
export class Consumers {
  readonly #tabs = new Map<string, string>();
  readonly #pulls = new Set<string>();
  readonly #left = new Set<string>();
  readonly #ends = new Map<number, boolean>();
  /** Left undone by those who left, or behind what was. */
  readonly #abandoned = new Set<number>();
  /** Delivered from a queue that was taken away since -> how far its consumer had come there. */
  readonly #revoked = new Map<number, ReadonlyMap<number, number>>();
  /** consumer -> the same, for each queue that it was told to let go */
  readonly #lettingGo = new Map<string, ReadonlyMap<number, number>[]>();
  /** consumer and queue -> offset -> its last delivery */
  readonly #progress = new Map<string, Map<number, number>>();

  hear(entry: At): void {
    if (entry.type === "joined") {
      this.#tabs.set(entry.consumer, entry.tab);
      this.#left.delete(entry.consumer);
      if (entry.kind === "pull") this.#pulls.add(entry.consumer);
    }
    if (entry.type === "left") {
      this.#left.add(entry.consumer);
      for (const [line, offsets] of this.#progress) if (line.startsWith(`${entry.consumer} `)) this.#abandon(offsets);
      for (const offsets of this.#lettingGo.get(entry.consumer) ?? []) this.#abandon(offsets);
    }
    if (entry.type === "rebalanced") {
      for (const queue of entry.revoked) {
        const line = `${entry.consumer} ${queue}`;
        const offsets = this.#progress.get(line) ?? new Map();
        this.#progress.delete(line);
        // A pull consumer has no way to take back what it has given: what the application holds may go to the next owner.
        if (this.#pulls.has(entry.consumer)) this.#abandon(offsets);
        else {
          for (const delivery of offsets.values()) this.#revoked.set(delivery, offsets);
          this.#lettingGo.set(entry.consumer, [...(this.#lettingGo.get(entry.consumer) ?? []), offsets]);
        }
      }
    }
    if (entry.type === "consumed") this.#ends.set(entry.delivery, entry.isOk);
    if (entry.type === "delivered") {
      const key = lineOf(entry);
      const offsets = this.#progress.get(key) ?? new Map<number, number>();
      this.#progress.set(key, offsets.set(entry.message.queueOffset, entry.delivery));
    }
  }

  tabOf(consumer: string): string {
    return this.#tabs.get(consumer) ?? consumer;
  }

  isPull(consumer: string): boolean {
    return this.#pulls.has(consumer);
  }

  hasLeft(consumer: string): boolean {
    return this.#left.has(consumer);
  }

  /** Its consumer has left while the listener was still at it, or at a message before it. */
  wasAbandoned({ delivery }: Of<"delivered">): boolean {
    return this.#abandoned.has(delivery);
  }

  #abandon(offsets: ReadonlyMap<number, number>): void {
    const unfinished = [...offsets].filter(([, delivery]) => this.#ends.get(delivery) !== true).map(([offset]) => offset);
    const first = Math.min(...unfinished);
    for (const [offset, delivery] of offsets) if (offset >= first) this.#abandoned.add(delivery);
  }

  endOf({ delivery }: Of<"delivered">): "ok" | "failed" | "open" {
    const isOk = this.#ends.get(delivery);
    return isOk === undefined ? "open" : isOk ? "ok" : "failed";
  }

  /** An earlier message of the queue that this consumer has not finished holds the offset, and all behind it comes again elsewhere. */
  mayHoldBack(delivered: Of<"delivered">): boolean {
    for (const [offset, delivery] of this.#revoked.get(delivered.delivery) ?? this.#progress.get(lineOf(delivered)) ?? []) {
      if (offset < delivered.message.queueOffset && this.#ends.get(delivery) !== true) return true;
    }
    return false;
  }
}

function lineOf({ consumer, message: { topic, queueId } }: Of<"delivered">): string {
  return `${consumer} ${topic}:${queueId}`;
}
