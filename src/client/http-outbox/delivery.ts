import { MQError, textOf } from "../../model/errors.ts";
import type { MessageExt } from "../../model/message.ts";
import type { Clock } from "../../platform/clock.ts";
import { type Random, randomUint32 } from "../../platform/random.ts";
import type { Timers } from "../../platform/timers.ts";
import { type Backoff, backoff, retryAfter, type HttpVerdict, verdictOf } from "./answer.ts";
import { unlessAborted } from "./entity-lines.ts";
import { fetchArguments } from "./http-request.ts";
import type { Network } from "./network.ts";
import type { HttpOutboxOptions } from "./options.ts";
import { Slots } from "./slots.ts";

/** Of an answer that refuses a message for good, so much is read for its reason. */
const MAX_READ_BYTES = 2048;

export interface Try {
  /** 1 for the first in this tab. */
  attempt: number;
  /** Of the answer; missing = there was none. */
  status?: number;
  /** In words: the answer's status, or why there was none. */
  reason: string;
}

/** How a message's tries have ended. */
export type Delivered = { verdict: "done" | "dead" } & Try;

export interface DeliveryOptions {
  options: Pick<HttpOutboxOptions, "request" | "onResponse" | "idempotencyKey">;
  maxAttempts: number;
  concurrency: number;
  timeout: number;
  delays: Backoff;
  network: Network;
  clock: Clock;
  timers: Timers;
  random: Random;
  onRetry: (message: MessageExt, failed: Try & { delay: number }) => void;
  onError: (error: MQError) => void;
}

interface Outcome extends Omit<Try, "attempt"> {
  verdict: HttpVerdict;
  /** ms that the server asks for. */
  wait?: number | null;
  /** The server has spoken, so it counts. */
  isAnswer: boolean;
}

/** Brings one message to its server: tries, and tries again until the server has taken it or refuses it for good. */
export class Delivery {
  readonly #parts: DeliveryOptions;
  readonly #slots: Slots;
  /** Ends waits that the network is to blame for. */
  readonly #resting = new Set<{ isPatient: boolean; wake: () => void }>();
  readonly #trying = new Set<Promise<Outcome>>();
  readonly #stopListening: () => void;
  #isStopped = false;

  constructor(parts: DeliveryOptions) {
    this.#parts = parts;
    this.#slots = new Slots(parts.concurrency);
    this.#stopListening = parts.network.onChange(() => this.#wake(false));
  }

  /** Rejects only with the signal's reason. */
  async deliver(message: MessageExt, signal: AbortSignal): Promise<Delivered> {
    let answers = 0;
    for (let attempt = 1; ; attempt++) {
      await this.#online(signal);
      const outcome = await this.#slots.run(signal, () => this.#counted(message, signal));
      const { verdict, wait, isAnswer, ...told } = outcome;
      if (verdict !== "retry") return { verdict, attempt, ...told };
      answers += Number(isAnswer);
      if (answers >= this.#parts.maxAttempts) return { verdict: "dead", attempt, ...told, reason: `Given up after ${answers} answers; the last: ${told.reason}` };
      const { delays, random } = this.#parts;
      const delay = wait === null || wait === undefined ? backoff(attempt, delays, randomUint32(random) / 2 ** 32) : Math.max(wait, delays.min);
      this.#parts.onRetry(message, { attempt, ...told, delay });
      await this.#rest(delay, isAnswer, signal);
    }
  }

  /** Whoever waits tries now, also where the server has asked to wait. */
  retryNow(): void {
    this.#wake(true);
  }

  /** Begins no more tries; those that are left wait for their signals. Resolves when the last try that was on its way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopListening();
    await Promise.allSettled(this.#trying);
  }

  async #counted(message: MessageExt, signal: AbortSignal): Promise<Outcome> {
    if (this.#isStopped) await unlessAborted(new Promise(() => {}), signal);
    const trying = this.#try(message, signal);
    this.#trying.add(trying);
    return trying.finally(() => this.#trying.delete(trying));
  }

  async #try(message: MessageExt, signal: AbortSignal): Promise<Outcome> {
    const { timers, timeout } = this.#parts;
    // By hand: not every browser that runs the rest has AbortSignal.any.
    const end = new AbortController();
    const onAbort = (): void => end.abort(signal.reason);
    signal.addEventListener("abort", onAbort);
    const cancel = timers.after(timeout, () => end.abort(new DOMException(`no answer within ${timeout} ms`, "TimeoutError")));
    try {
      return await this.#tryUntil(message, end.signal);
    } catch (error) {
      // A name that is not found, a refused connection, CORS, an answer that broke off: no page is told which.
      return { verdict: "retry", reason: textOf(error), isAnswer: false };
    } finally {
      cancel();
      signal.removeEventListener("abort", onAbort);
      signal.throwIfAborted();
    }
  }

  /** Rejects when there is no answer, or with the signal's reason. */
  async #tryUntil(message: MessageExt, signal: AbortSignal): Promise<Outcome> {
    const { options, network } = this.#parts;
    let given: Awaited<ReturnType<typeof fetchArguments>>;
    try {
      given = await unlessAborted(fetchArguments(options, message), signal);
    } catch (error) {
      signal.throwIfAborted();
      const mayPass = (error as { retriable?: unknown } | null)?.retriable === true;
      return { verdict: mayPass ? "retry" : "dead", reason: `request failed: ${textOf(error)}`, isAnswer: false };
    }
    if (given === null) return { verdict: "done", reason: "There was nothing to send.", isAnswer: false };
    return this.#judge(await unlessAborted(network.fetch(given[0], { ...given[1], signal }), signal), message, signal);
  }

  async #judge(response: Response, message: MessageExt, signal: AbortSignal): Promise<Outcome> {
    const { options: { onResponse }, clock, onError } = this.#parts;
    const { status } = response;
    const line = `HTTP ${status} ${response.statusText}`.trim();
    let verdict: HttpVerdict | void = undefined;
    try {
      if (onResponse !== undefined) verdict = opinion(await unlessAborted(Promise.resolve(onResponse(response.clone(), message)), signal));
    } catch (cause) {
      // Another tab asks again. But at the time limit the server has answered, and that counts.
      if (signal.aborted && (signal.reason as Error).name !== "TimeoutError") throw cause;
      onError(new MQError("INTERNAL_ERROR", `onResponse failed: ${textOf(cause)}`, { cause }));
      verdict = "retry";
    }
    verdict ??= verdictOf(status);
    if (verdict === "dead") {
      const text = status === 0 ? UNREADABLE[response.type] ?? "" : await beginningOf(response, signal);
      return { verdict, status, reason: text === "" ? line : `${line}: ${text}`, isAnswer: true };
    }
    // Nobody reads it, so the connection is free again.
    response.body?.cancel().catch(() => {});
    return { verdict, status, reason: line, wait: verdict === "retry" ? retryAfter(response.headers, clock.now()) : null, isAnswer: true };
  }

  async #online(signal: AbortSignal): Promise<void> {
    const { network } = this.#parts;
    while (!network.isOnline()) {
      let stop = (): void => {};
      const changed = new Promise<void>((resolve) => (stop = network.onChange(resolve)));
      await unlessAborted(changed, signal).finally(stop);
    }
  }

  async #rest(delay: number, isPatient: boolean, signal: AbortSignal): Promise<void> {
    const resting = { isPatient, wake: (): void => {} };
    const woken = new Promise<void>((resolve) => (resting.wake = resolve));
    const cancel = this.#parts.timers.after(delay, resting.wake);
    this.#resting.add(resting);
    await unlessAborted(woken, signal).finally(() => {
      cancel();
      this.#resting.delete(resting);
    });
  }

  /** `all`: also those whose server has answered, and has its time. */
  #wake(all: boolean): void {
    for (const resting of this.#resting) if (all || !resting.isPatient) resting.wake();
  }
}

/** Why an answer has status 0, by its type. */
const UNREADABLE: Partial<Record<ResponseType, string>> = {
  opaque: "the answer may not be read (no-cors)",
  opaqueredirect: "the server redirects, which is not followed unless the request says redirect: \"follow\"",
};

/** What `onResponse` has said, if it has. */
function opinion(said: unknown): HttpVerdict | undefined {
  if (said === undefined || said === null) return undefined;
  if (said === "done" || said === "retry" || said === "dead") return said;
  throw new TypeError(`it answers "done", "retry", "dead" or nothing, not ${String(said)}`);
}

/** What an answer says, in one line and not too much of it; what has come when the signal is aborted, if it does not end. */
async function beginningOf(response: Response, signal: AbortSignal): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return "";
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  try {
    while (bytes < MAX_READ_BYTES) {
      const { done, value } = await unlessAborted(reader.read(), signal);
      if (done) break;
      bytes += value.byteLength;
      text += decoder.decode(value, { stream: true });
    }
  } catch {
    // As much as there is.
  }
  reader.cancel().catch(() => {});
  return text.slice(0, MAX_READ_BYTES).replaceAll(/\s+/g, " ").trim();
}
