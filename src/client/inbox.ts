import { LONG_POLL, LONG_POLL_GRACE } from "../model/limits.ts";
import { sleep } from "../platform/timers.ts";
import type { Notice, NoticeContent, NoticeType } from "../protocol/api.ts";
import { BrokerGone } from "./channel.ts";
import type { Connection } from "./connection.ts";

export type NoticeOf<Type extends NoticeType> = Extract<NoticeContent, { type: Type }>;
/** Answers whether it is for it. It does its work later: the broker hears that the notice has arrived, and no more. */
export type NoticeHandler<Type extends NoticeType> = (notice: NoticeOf<Type>) => boolean;

/** Between two tries where a broker cannot answer, ms. */
const RETRY_DELAY = 50;

/** One after the other: each poll says what became of the notices that the one before it has brought. */
interface Polling {
  after: number;
  declined: number[];
}

/** What the broker tells this tab by itself. Polls only while somebody here wants to hear of it, with each broker anew. */
export class Inbox {
  readonly #connection: Connection;
  readonly #handlers: { [Type in NoticeType]?: Set<NoticeHandler<Type>> } = {};
  #polling: Polling | null = null;

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.lifecycle.on("open", () => this.#begin());
    connection.lifecycle.on("lost", () => (this.#polling = null));
  }

  /** Of several handlers of one type the first that wants a notice gets it. What is sent afterwards is sent behind the first poll. Returns how to stop. */
  subscribe<Type extends NoticeType>(type: Type, handler: NoticeHandler<Type>): () => void {
    const handlers = this.#handlersOf(type);
    handlers.add(handler);
    this.#begin();
    return () => {
      if (handlers.delete(handler) && !this.#isWanted) this.#end();
    };
  }

  #handlersOf<Type extends NoticeType>(type: Type): Set<NoticeHandler<Type>> {
    const handlers: { [T in Type]?: Set<NoticeHandler<T>> } = this.#handlers;
    return (handlers[type] ??= new Set());
  }

  get #isWanted(): boolean {
    return Object.values(this.#handlers).some(({ size }) => size > 0);
  }

  #begin(): void {
    if (this.#polling !== null || !this.#isWanted || !this.#connection.isOpen) return;
    this.#polling = { after: 0, declined: [] };
    void this.#poll(this.#polling);
  }

  #end(): void {
    const polling = this.#polling;
    this.#polling = null;
    if (polling !== null) this.#connection.callOnce("inbox", [{ ...polling, wait: 0, close: true }], { timeout: LONG_POLL_GRACE }).catch(() => {});
  }

  async #poll(polling: Polling): Promise<void> {
    while (polling === this.#polling) {
      try {
        const { notices } = await this.#connection.callOnce("inbox", [{ ...polling, wait: LONG_POLL }], { timeout: LONG_POLL + LONG_POLL_GRACE });
        // Nobody listens any more: what has come is not taken.
        if (polling !== this.#polling) return;
        polling.declined = notices.filter((notice) => !this.#isTaken(notice)).map(({ number }) => number);
        polling.after = notices.at(-1)?.number ?? polling.after;
      } catch (error) {
        if (error instanceof BrokerGone || polling !== this.#polling) return;
        await sleep(this.#connection.environment.timers, RETRY_DELAY);
      }
    }
  }

  #isTaken(notice: Notice): boolean {
    const handlers = this.#handlersOf(notice.type) as Set<(notice: NoticeContent) => boolean>;
    for (const handler of handlers) if (handler(notice)) return true;
    return false;
  }
}
