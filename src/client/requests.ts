import { MQError } from "../model/errors.ts";
import { MAX_PENDING_REQUESTS, REJOIN_GRACE } from "../model/limits.ts";
import type { MessageExt } from "../model/message.ts";
import { PROPERTY } from "../model/properties.ts";
import { decodeRecords } from "../model/record-codec.ts";
import { type Deferred, deferred } from "../platform/deferred.ts";
import { type Cancel, sleep } from "../platform/timers.ts";
import type { Connection } from "./connection.ts";
import type { Inbox } from "./inbox.ts";

/** Between two looks for consumers that are looking for the broker themselves, ms. */
const RETRY_DELAY = 100;

export interface Request {
  topic: string;
  tags: string | null;
  /** Also names it to whoever replies: sent again after an unknown outcome, the reply to the first one is its reply. */
  msgId: string;
  timeout: number;
  /** On the monotonic clock. */
  deadline: number;
  signal: AbortSignal | undefined;
  /** Nobody waits for it any more, and whether it is stored is not known. */
  onAbandoned: () => void;
}

interface Waiting extends Deferred<MessageExt> {
  readonly request: Request;
  state: "asking" | "sending" | "sent" | "over";
}

/** Requests of one producer that wait for their reply. */
export class Requests {
  readonly #connection: Connection;
  readonly #inbox: Inbox;
  readonly #pending = new Map<string, Waiting>();
  /** The newest replies that were taken, by their requests: the same one may be brought again after a broker's death. */
  readonly #taken = new Map<string, string>();
  #unsubscribe: (() => void) | null = null;

  constructor(connection: Connection, inbox: Inbox) {
    this.#connection = connection;
    this.#inbox = inbox;
  }

  /** `send` settles within the request's deadline by itself. */
  async ask(request: Request, send: () => Promise<unknown>): Promise<MessageExt> {
    const { msgId, signal, deadline } = request;
    if (this.#pending.has(msgId)) throw new MQError("INVALID_PARAMETER", "This message is on its way as a request already.", { field: "message" });
    if (this.#pending.size >= MAX_PENDING_REQUESTS) {
      throw new MQError("FLOW_CONTROL", `This producer waits for ${MAX_PENDING_REQUESTS} replies already.`);
    }
    const waiting: Waiting = { ...deferred<MessageExt>(), request, state: "asking" };
    let cancel: Cancel | null = null;
    const onAbort = (): void => abandon(waiting, "The request was aborted.", signal!.reason);
    this.#pending.set(msgId, waiting);
    signal?.addEventListener("abort", onAbort);
    try {
      await Promise.race([this.#checkListeners(request), waiting.promise]);
      // Aborted in the same breath: it must not be sent any more.
      if (waiting.state === "over") return await waiting.promise;
      // Behind this poll: whoever replies finds an open inbox.
      this.#unsubscribe ??= this.#inbox.subscribe("reply", ({ record }) => this.#take(record));
      const { timers, clock } = this.#connection.environment;
      waiting.state = "sending";
      send().then(() => {
        if (this.#pending.get(msgId) !== waiting) return;
        waiting.state = "sent";
        cancel = timers.after(Math.max(0, deadline - clock.monotonic()), () => waiting.reject(unanswered(request)));
      }, waiting.reject);
      return await waiting.promise;
    } finally {
      this.#pending.delete(msgId);
      signal?.removeEventListener("abort", onAbort);
      (cancel as Cancel | null)?.();
    }
  }

  close(): void {
    for (const waiting of this.#pending.values()) abandon(waiting, "The producer was shut down before the reply came.");
    this.#unsubscribe?.();
    this.#unsubscribe = null;
  }

  /** Who waits in vain has to know at once, and not when the time is up. */
  async #checkListeners({ topic, tags, timeout, deadline }: Request): Promise<void> {
    const { clock, timers } = this.#connection.environment;
    for (;;) {
      const count = await this.#connection.call("listeners", [{ topic, tags }], Math.max(1, deadline - clock.monotonic())).catch((error: unknown) => {
        // Sent it was not, whatever became of the question.
        if (error instanceof MQError && error.code === "DEADLINE_EXCEEDED") throw new MQError("DEADLINE_EXCEEDED", `The request was not sent: the broker did not say within ${timeout} ms who listens to "${topic}".`, { cause: error });
        throw error;
      });
      if (count > 0) return;
      const isLate = clock.monotonic() + RETRY_DELAY >= deadline;
      // Behind a broker's death consumers find the next one at their own time.
      if (isLate || clock.monotonic() - this.#connection.lostAt > REJOIN_GRACE) {
        const tagged = tags === null ? "" : ` with the tag "${tags}"`;
        throw new MQError("CONSUMER_NOT_ONLINE", `The request was not sent, because nobody would reply: no consumer of topic "${topic}"${tagged} is there.`, { field: "message.topic" });
      }
      await sleep(timers, RETRY_DELAY);
    }
  }

  #take(record: Uint8Array): boolean {
    const [reply] = decodeRecords(record, this.#connection.serving.brokerName);
    const id = reply!.properties[PROPERTY.CORRELATION_ID]!;
    const waiting = this.#pending.get(id);
    if (waiting === undefined) return this.#taken.get(id) === reply!.msgId;
    this.#pending.delete(id);
    this.#taken.set(id, reply!.msgId);
    if (this.#taken.size > MAX_PENDING_REQUESTS) this.#taken.delete(this.#taken.keys().next().value!);
    waiting.resolve(reply!);
    return true;
  }
}

function abandon(waiting: Waiting, why: string, cause?: unknown): void {
  const { request, state } = waiting;
  waiting.state = "over";
  if (state === "sending") request.onAbandoned();
  waiting.reject(new MQError("CLOSED", why, { cause, outcome: state === "asking" ? "rejected" : "unknown" }));
}

function unanswered({ topic, timeout, msgId }: Request): MQError {
  return new MQError("DEADLINE_EXCEEDED", `Nobody has replied to the request ${msgId} within ${timeout} ms. It is stored in "${topic}" and may still be worked on; asking again is another request.`, { outcome: "unknown" });
}
