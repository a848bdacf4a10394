import { MessageSelector } from "../filter/message-selector.ts";
import { MQError } from "../model/errors.ts";
import { MAX_EXPRESSION_LENGTH, MAX_SUBSCRIPTIONS_PER_MEMBER } from "../model/limits.ts";
import { checkClientTopic } from "../model/names.ts";
import type { Filter } from "../protocol/api.ts";
import { named, text } from "../protocol/validate.ts";

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
    return this.newestWish?.[1] ?? this.#current;
  }

  get newestWish(): [number: number, wished: SubscriptionMap] | null {
    return [...this.#wishes].at(-1) ?? null;
  }

  /** Whether all messages of a topic come; also of one whose queues were picked. */
  isWhole(topic: string): boolean {
    const filter = this.#current.get(topic);
    return filter === undefined || (filter.type === "TAG" && filter.expression === "*");
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

export function selector(value: unknown, field: string): MessageSelector {
  if (value instanceof MessageSelector) return value;
  const expression = text(MAX_EXPRESSION_LENGTH)(value, field);
  try {
    return MessageSelector.byTag(expression);
  } catch (error) {
    // The parser knows the place in the expression; which expression it was is known here.
    if (!(error instanceof MQError) || error.position === undefined) throw error;
    throw new MQError(error.code, `${field}: ${error.message}`, { field, position: error.position, cause: error });
  }
}

const topicCheck = named(checkClientTopic);

/** The same, and this topic, or another filter for it. */
export function withTopic(subscriptions: SubscriptionMap, topic: string, filter: string | MessageSelector): SubscriptionMap {
  const wished = new Map(subscriptions).set(topicCheck(topic, "subscribe.topic"), selector(filter, "subscribe.selector"));
  if (wished.size > MAX_SUBSCRIPTIONS_PER_MEMBER) throw new MQError("INVALID_PARAMETER", `A consumer subscribes to at most ${MAX_SUBSCRIPTIONS_PER_MEMBER} topics.`, { field: "subscribe.topic" });
  return wished;
}

/** The same without this topic. */
export function withoutTopic(subscriptions: SubscriptionMap, topic: string): SubscriptionMap {
  const wished = new Map(subscriptions);
  if (!wished.delete(topicCheck(topic, "unsubscribe.topic"))) throw new MQError("INVALID_PARAMETER", `The consumer is not subscribed to "${topic}".`, { field: "unsubscribe.topic" });
  return wished;
}

/** Who has joined a group stays subscribed to something. */
export function checkSubscribed(wished: SubscriptionMap): SubscriptionMap {
  if (wished.size > 0) return wished;
  throw new MQError("INVALID_PARAMETER", "A consumer at work subscribes to at least one topic.", { field: "unsubscribe.topic" });
}

/** As the broker is told. */
function filterOf({ type, expression, module }: MessageSelector): Filter {
  if (module !== null) return { type: "WASM", module };
  return type === "SQL92" ? { type, expression } : expression;
}

export function filtersOf(subscriptions: SubscriptionMap): [topic: string, filter: Filter][] {
  return [...subscriptions].map(([topic, filter]) => [topic, filterOf(filter)]);
}
