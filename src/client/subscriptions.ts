import type { MessageSelector } from "../filter/message-selector.ts";
import type { Filter } from "../protocol/api.ts";

export type SubscriptionMap = ReadonlyMap<string, MessageSelector>;

/** What a member is subscribed to, and what it wishes: others of its group may not have asked for that yet. */
export class Subscriptions {
  #current: SubscriptionMap;
  /** By number. A wish that is refused is remembered by the broker, and may be granted later. */
  readonly #wishes = new Map<number, SubscriptionMap>();
  #last = 0;

  constructor(current: SubscriptionMap) {
    this.#current = current;
  }

  get current(): SubscriptionMap {
    return this.#current;
  }

  /** What it would be subscribed to if all went by it. */
  get wished(): SubscriptionMap {
    return [...this.#wishes.values()].at(-1) ?? this.#current;
  }

  /** Whether all messages of a topic come; also of one whose queues were picked. */
  isWhole(topic: string): boolean {
    const selector = this.#current.get(topic);
    return selector === undefined || (selector.type === "TAG" && selector.expression === "*");
  }

  wish(wished: SubscriptionMap): number {
    this.#wishes.set(++this.#last, wished);
    return this.#last;
  }

  /** False: it was known already. */
  granted(wish: number): boolean {
    const granted = this.#wishes.get(wish);
    if (granted === undefined) return false;
    for (const number of this.#wishes.keys()) if (number <= wish) this.#wishes.delete(number);
    this.#current = granted;
    return true;
  }

  /** The broker has not remembered it. */
  drop(wish: number): void {
    this.#wishes.delete(wish);
  }

  /** The broker that remembers them is gone. */
  forgetWishes(): void {
    this.#wishes.clear();
  }
}

/** As the broker is told. */
export function filterOf({ type, expression, module }: MessageSelector): Filter {
  if (module !== null) return { type: "WASM", module };
  return type === "SQL92" ? { type, expression } : expression;
}

export function filtersOf(subscriptions: SubscriptionMap): [topic: string, filter: Filter][] {
  return [...subscriptions].map(([topic, selector]) => [topic, filterOf(selector)]);
}
