import { MQError } from "../model/errors.ts";
import { RETRY_TOPIC_PREFIX } from "../model/names.ts";
import type { Clock } from "../platform/clock.ts";
import type { Member } from "./member.ts";
import type { RateMeter } from "./rate-meter.ts";
import { newRateMeter } from "./rate-meter.ts";
import type { Subscription } from "./subscription.ts";

/**
 * A consumer group and who holds which queue. A queue changes hands in two steps: the assignment says whom it is
 * for (`target`), but its holder (`owner`) keeps it until it has let go, died or expired. So two members never work
 * on one queue, and a rebalance makes no duplicates among members that live.
 */
export class ConsumerGroup {
  readonly name: string;
  readonly members = new Map<string, Member>();
  readonly target = new Map<string, Member>();
  readonly owner = new Map<string, Member>();
  readonly rate: RateMeter;

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.rate = newRateMeter(clock);
  }

  /** Members that share queues, in the order the strategy wants. */
  sharing(): Member[] {
    return [...this.members.values()].filter((member) => member.picked === null).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** RocketMQ lets the last member's subscription win, and the others lose messages without a word. We refuse. */
  checkConsistent(subscriptions: ReadonlyMap<string, Subscription>): void {
    const [other] = this.sharing();
    if (other === undefined) return;
    const [theirs, ours] = [describe(other.subscriptions), describe(subscriptions)];
    if (theirs === ours) return;
    throw new MQError(
      "SUBSCRIPTION_INCONSISTENT",
      `All members of a group need the same subscriptions. Group "${this.name}" has ${theirs}; this consumer asks for ${ours}.`,
      { field: "subscriptions" },
    );
  }
}

/** `orders "created || paid", stock SQL92 "price > 5"` */
function describe(subscriptions: ReadonlyMap<string, Subscription>): string {
  const asked = [...subscriptions].filter(([topic]) => !topic.startsWith(RETRY_TOPIC_PREFIX));
  const parts = asked.map(([topic, { description }]) => `${topic} ${description}`);
  return parts.sort().join(", ");
}
