import { errorFromData, MQError } from "../model/errors.ts";
import type { FlushReply } from "../protocol/api.ts";
import type { Serving } from "./broker-finder.ts";
import { BrokerGone } from "./channel.ts";
import type { Connection } from "./connection.ts";

interface Frame {
  number: number;
  msgIds: string[];
}

/** Messages that were answered before their commit. Asks how it ended, and tells of those that were lost. */
export class Unflushed {
  readonly #connection: Connection;
  /** In the order of their answers, which need not be that of their numbers. */
  #frames: Frame[] = [];
  #isAsking = false;
  #idle: (() => void)[] = [];

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.lifecycle.on("lost", () => this.#giveUp(brokerDied()));
  }

  /** `broker`: the one that answered. Its numbers mean nothing to the next. */
  add(number: number, msgIds: string[], broker: Serving): void {
    const { isOpen, serving } = this.#connection;
    if (!isOpen || serving !== broker) return this.#tell([{ number, msgIds }], brokerDied());
    this.#frames.push({ number, msgIds });
    if (!this.#isAsking) void this.#ask();
  }

  /** Resolves when nothing is open any more. */
  async settled(): Promise<void> {
    while (this.#frames.length > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    // First comes everything else that has been answered with this.
    await Promise.resolve();
    try {
      while (this.#frames.length > 0) {
        const numbers = this.#frames.map(({ number }) => number);
        this.#take(await this.#connection.callOnce("flush", [Math.min(...numbers), Math.max(...numbers)]));
      }
    } catch (error) {
      this.#giveUp(error instanceof BrokerGone ? brokerDied() : new MQError("INTERNAL_ERROR", "The broker did not say how the commit ended.", { outcome: "unknown", cause: error }));
    } finally {
      this.#isAsking = false;
    }
  }

  #take({ settled, lost }: FlushReply): void {
    const ended = this.#frames.filter(({ number }) => number <= settled);
    this.#frames = this.#frames.filter(({ number }) => number > settled);
    for (const { from, to, error } of lost) {
      this.#tell(ended.filter(({ number }) => from <= number && number <= to), errorFromData(error));
    }
    this.#wake();
  }

  #giveUp(error: MQError): void {
    this.#tell(this.#frames.splice(0), error);
    this.#wake();
  }

  #tell(frames: Frame[], error: MQError): void {
    const msgIds = frames.flatMap((frame) => frame.msgIds);
    if (msgIds.length > 0) this.#connection.events.emit("flushFailed", { msgIds, error });
  }

  #wake(): void {
    if (this.#frames.length === 0) for (const idle of this.#idle.splice(0)) idle();
  }
}

function brokerDied(): MQError {
  return new MQError("STORAGE_UNAVAILABLE", "The broker died; whether it had committed the messages is not known.", { outcome: "unknown" });
}
