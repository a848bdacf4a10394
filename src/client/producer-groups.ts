import type { Connection } from "./connection.ts";

/** The producer groups whose transactions this tab answers for: each broker is told anew. */
export class ProducerGroups {
  readonly #connection: Connection;
  /** How many producers of this tab are in each. */
  readonly #producers = new Map<string, number>();

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.lifecycle.on("open", () => {
      // What one broker has taken, the next takes too.
      for (const group of this.#producers.keys()) connection.callOnce("registerProducer", [group, true]).catch(() => {});
    });
  }

  /** Resolves when the broker knows. */
  async join(group: string): Promise<void> {
    this.#producers.set(group, (this.#producers.get(group) ?? 0) + 1);
    try {
      await this.#connection.call("registerProducer", [group, true]);
    } catch (error) {
      this.leave(group);
      throw error;
    }
  }

  leave(group: string): void {
    const left = (this.#producers.get(group) ?? 0) - 1;
    if (left > 0) return void this.#producers.set(group, left);
    if (this.#producers.delete(group)) this.#connection.callOnce("registerProducer", [group, false]).catch(() => {});
  }
}
