import { keyText } from "../model/completion.ts";
import { asMQError, MQError, textOf } from "../model/errors.ts";
import { DEFAULT_IDEMPOTENCE_WINDOW, MAX_BATCH_KEY_BYTES, MAX_IDEMPOTENCE_KEY_LENGTH, MAX_IDEMPOTENCE_WINDOW, MAX_PULL_BATCH } from "../model/limits.ts";
import type { MessageExt } from "../model/message.ts";
import { isWellFormed, utf8Length } from "../model/text.ts";
import type { KeyReport, KeyState } from "../protocol/api.ts";
import { callable, integer, optional, record } from "../protocol/validate.ts";
import { BrokerGone } from "./channel.ts";

/** How a push consumer knows what its group has done already. */
export interface IdempotentOptions {
  /** What makes two messages the same for the group: text of 1 to 256 characters. Default the `msgId`, which a retry and an automatic re-send share. When it throws, the message fails as if its listener had. */
  key?: (message: MessageExt) => string;
  /** How long a finished key is remembered at least, ms; at most 30 days. Default 24 hours. */
  window?: number;
}

const optionsCheck = record({ key: optional(callable<(message: MessageExt) => string>), window: optional(integer(1, MAX_IDEMPOTENCE_WINDOW)) });

/** Null = not idempotent. */
export function idempotentOptions(value: unknown, field: string): IdempotentOptions | null {
  if (typeof value === "boolean") return value ? {} : null;
  return optionsCheck(value, field);
}

/** How soon it is asked again for a key that is in another's hand, ms. */
export const BUSY_DELAY = 100;

/** What is to become of messages, each of its key. */
export interface Admission<Work> {
  /** For the listener; their keys are in hand until `finished` or `released`. */
  fresh: Work[];
  /** The group has finished them before. */
  known: Work[];
  /** In another's hand, or nobody can say at the moment. */
  later: Work[];
}

interface Question {
  key: string;
  answer(state: KeyState): void;
}

/**
 * What an idempotent consumer knows of keys. It takes a key in hand just before the listener and asks the broker for it;
 * so nobody holds one while waiting for another. What is finished it remembers until the broker has it on disk, and
 * tells the next broker again.
 */
export class Idempotence {
  readonly window: number;
  readonly #keyOf: (message: MessageExt) => string;
  readonly #onError: (error: MQError) => void;
  /** Asks the broker; set by whoever is a member. */
  claim: (keys: string[]) => Promise<KeyState[]> = () => Promise.reject(new BrokerGone());
  /** Asked for once: a key that changes would never be given back. */
  readonly #keys = new WeakMap<MessageExt, string>();
  readonly #inHand = new Set<string>();
  /** Finished and not known to be durable: the report that has told this broker; 0 = none yet. */
  readonly #unkept = new Map<string, number>();
  #released: string[] = [];
  #reports = 0;
  #questions: Question[] = [];

  constructor({ key = ({ msgId }) => msgId, window = DEFAULT_IDEMPOTENCE_WINDOW }: IdempotentOptions, onError: (error: MQError) => void) {
    this.window = window;
    this.#keyOf = key;
    this.#onError = onError;
  }

  /** With how many of the first of these messages one call of the listener can be finished, at least one. */
  fitting(works: readonly { message: MessageExt }[]): number {
    let bytes = 0;
    const end = works.findIndex(({ message }, at) => {
      bytes += utf8Length(keyText(this.#find(message) ?? "")) + 1;
      return at > 0 && bytes > MAX_BATCH_KEY_BYTES;
    });
    return end < 0 ? works.length : end;
  }

  /** Sorts messages that are about to be given to the listener. `inOrder`: none behind one that has to wait. */
  async admit<Work extends { message: MessageExt }>(works: Work[], inOrder: boolean): Promise<Admission<Work>> {
    const states = await Promise.all(works.map(({ message }) => this.#stateOf(message)));
    const busy = inOrder ? states.indexOf("BUSY") : -1;
    const end = busy < 0 ? works.length : busy;
    for (const [at, { message }] of works.entries()) if (at >= end && states[at] === "CLAIMED") this.released(message);
    const those = (state: KeyState): Work[] => works.filter((_, at) => at < end && states[at] === state);
    return { fresh: those("CLAIMED"), known: those("FINISHED"), later: works.filter((_, at) => at >= end || states[at] === "BUSY") };
  }

  /** Throws when a message has no key. */
  keyOf(message: MessageExt): string {
    const known = this.#keys.get(message);
    if (known !== undefined) return known;
    const key: unknown = this.#keyOf(message);
    if (typeof key === "string" && key !== "" && key.length <= MAX_IDEMPOTENCE_KEY_LENGTH && isWellFormed(key)) {
      this.#keys.set(message, key);
      return key;
    }
    throw new MQError("INVALID_PARAMETER", `idempotent.key must answer text of 1 to ${MAX_IDEMPOTENCE_KEY_LENGTH} characters, not ${textOf(key)}.`, { field: "pushConsumer.idempotent.key" });
  }

  finished(message: MessageExt): void {
    const key = this.#find(message);
    if (key === null || !this.#inHand.delete(key)) return;
    this.#unkept.set(key, 0);
  }

  released(message: MessageExt): void {
    const key = this.#find(message);
    if (key !== null && this.#inHand.delete(key)) this.#released.push(key);
  }

  /** What the broker has not been told yet; it belongs to the offsets that are told with it. */
  report(): KeyReport | undefined {
    const finished = [...this.#unkept].filter(([, report]) => report === 0).map(([key]) => key);
    if (finished.length + this.#released.length === 0) return undefined;
    const number = ++this.#reports;
    for (const key of finished) this.#unkept.set(key, number);
    return { number, finished, released: this.#released.splice(0) };
  }

  /** Nobody knows whether the broker has heard it. */
  tellAgain({ number, finished, released }: KeyReport): void {
    for (const key of finished) if (this.#unkept.get(key) === number) this.#unkept.set(key, 0);
    this.#released.push(...released);
  }

  /** The reports up to this one are durable. */
  kept(number: number): void {
    for (const [key, report] of this.#unkept) if (report > 0 && report <= number) this.#unkept.delete(key);
  }

  /** The broker does not know us any more: the next one has to be told. */
  forget(): void {
    this.#released = [];
    for (const key of this.#unkept.keys()) this.#unkept.set(key, 0);
  }

  async #stateOf(message: MessageExt): Promise<KeyState> {
    const key = this.#find(message);
    // Its listener fails, see ListenerRunner.
    if (key === null) return "CLAIMED";
    if (this.#unkept.has(key)) return "FINISHED";
    if (this.#inHand.has(key)) return "BUSY";
    this.#inHand.add(key);
    const state = await new Promise<KeyState>((answer) => {
      // What is asked in one task is one call.
      if (this.#questions.length === 0) queueMicrotask(() => this.#ask());
      this.#questions.push({ key, answer });
    });
    if (state !== "CLAIMED") this.#inHand.delete(key);
    return state;
  }

  #ask(): void {
    while (this.#questions.length > 0) void this.#askFor(this.#questions.splice(0, MAX_PULL_BATCH));
  }

  async #askFor(questions: Question[]): Promise<void> {
    try {
      const states = await this.claim(questions.map(({ key }) => key));
      for (const [at, { answer }] of questions.entries()) answer(states[at]!);
    } catch (failure) {
      // The broker may have given them to us.
      for (const { key } of questions) this.#released.push(key);
      if (!(failure instanceof BrokerGone)) this.#onError(asMQError(failure));
      for (const { answer } of questions) answer("BUSY");
    }
  }

  #find(message: MessageExt): string | null {
    try {
      return this.keyOf(message);
    } catch {
      return null;
    }
  }
}
