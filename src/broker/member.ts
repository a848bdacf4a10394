import type { MQError } from "../model/errors.ts";
import type { HeldQueue } from "../protocol/api.ts";
import type { ConsumerGroup } from "./consumer-group.ts";
import type { Subscription } from "./subscription.ts";

/** One consumer of a group, as the broker knows it. */
export class Member {
  readonly id: string;
  readonly clientId: string;
  readonly group: ConsumerGroup;
  /** By topic. */
  readonly subscriptions: ReadonlyMap<string, Subscription>;
  /** Queues it has picked by itself (`assign`); null = it takes part in the group's sharing. */
  readonly picked: readonly { topic: string; queueId: number }[] | null;
  /** Raised whenever what this member may hold changes; a fetch that names an older one is told. */
  generation = 1;
  /** Where each held queue stands, from the last fetch. Key: queueKey. */
  held = new Map<string, HeldQueue>();
  /** Ticks of the expiry timer since the last fetch. */
  silentTicks = 0;
  /** Number of the newest fetch: an older one that still waits gives way. */
  fetches = 0;
  readonly #sleepers = new Set<() => void>();
  readonly #toldFailures = new Set<string>();

  constructor(init: {
    id: string;
    clientId: string;
    group: ConsumerGroup;
    subscriptions: Map<string, Subscription>;
    picked: readonly { topic: string; queueId: number }[] | null;
  }) {
    this.id = init.id;
    this.clientId = init.clientId;
    this.group = init.group;
    this.subscriptions = init.subscriptions;
    this.picked = init.picked;
  }

  /** Filters that have failed since this was asked last. */
  failures(): { topic: string; error: MQError }[] {
    const failures: { topic: string; error: MQError }[] = [];
    for (const [topic, { failure }] of this.subscriptions) {
      if (failure === null || this.#toldFailures.has(topic)) continue;
      this.#toldFailures.add(topic);
      failures.push({ topic, error: failure });
    }
    return failures;
  }

  changed(): void {
    this.generation++;
    this.wake();
  }

  /** Makes the fetches that wait look again. */
  wake(): void {
    for (const wake of this.#sleepers) wake();
  }

  /** Resolves at the next `wake`. */
  sleep(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#sleepers.delete(wake);
        resolve();
      };
      this.#sleepers.add(wake);
    });
  }
}
