import { MQError } from "../model/errors.ts";
import type { Clock } from "../platform/clock.ts";
import { type GroupTerms, misfit } from "./group-terms.ts";
import type { Member } from "./member.ts";
import type { RateMeter } from "./rate-meter.ts";
import { newRateMeter } from "./rate-meter.ts";

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
  /** To whom each queue was given first; null when it has been with others since. */
  readonly #first = new Map<string, string | null>();
  readonly rate: RateMeter;
  /** Of what its members have in common. Raised whenever that is replaced. */
  termsVersion = 0;
  readonly #clock: Clock;

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.#clock = clock;
    this.rate = newRateMeter(clock);
  }

  /** A member is given the queue. Has nobody else of the group had it since this broker began? */
  isFirst(key: string, { id }: Member): boolean {
    const first = this.#first.get(key) === undefined || this.#first.get(key) === id;
    this.#first.set(key, first ? id : null);
    return first;
  }

  /** Members that share queues, in the order the strategy wants. */
  sharing(): Member[] {
    const members = this.bound().filter(({ terms, pops }) => terms.messageModel === "CLUSTERING" && pops === null);
    return members.sort((a, b) => (a.consumerId < b.consumerId ? -1 : 1));
  }

  /** Members that have to agree: all but those that have picked their queues, and those on their way out. */
  bound(): Member[] {
    return [...this.members.values()].filter((member) => member.picked === null && !member.isDisplaced);
  }

  /**
   * RocketMQ lets the last member's subscription win, and the others lose messages without a word. We refuse, unless
   * the newcomer says that its own is to replace the group's, or had joined under terms that are newer: then those
   * with others are returned, which have to go.
   * @throws MQError SUBSCRIPTION_INCONSISTENT that names both sides
   */
  admit(terms: GroupTerms, { replaceSubscription = false, termsVersion = 0 }: { replaceSubscription?: boolean; termsVersion?: number }): Member[] {
    const strangers = this.bound().filter((member) => misfit(this.name, member.terms, terms) !== null);
    const refusal = strangers[0] === undefined ? null : misfit(this.name, strangers[0].terms, terms);
    if (refusal !== null && !replaceSubscription && termsVersion <= this.termsVersion) throw refusal;
    // By the clock, so that it is newer also than what a broker before this one has said.
    const next = refusal !== null && replaceSubscription ? Math.max(this.#clock.now(), this.termsVersion + 1) : termsVersion;
    this.termsVersion = Math.max(this.termsVersion, next);
    return strangers;
  }

  /** Whether all members that have to agree ask for these terms, and some of them have others yet. Then they are the group's. */
  agree(terms: GroupTerms): boolean {
    const members = this.bound();
    const isAsked = members.every((member) => misfit(this.name, (member.wish ?? member).terms, terms) === null);
    const granted = members.filter(({ wish }) => wish !== null);
    if (!isAsked || granted.length === 0) return false;
    for (const member of granted) {
      member.granted = member.wish!.number;
      member.terms = member.wish!.terms;
      member.wish = null;
      member.changed();
    }
    this.termsVersion = Math.max(this.#clock.now(), this.termsVersion + 1);
    return true;
  }

  /** A name in the sharing: the client's id; a client's second consumer has a number behind it. */
  nameFor(clientId: string): string {
    const taken = new Set([...this.members.values()].map(({ consumerId }) => consumerId));
    for (let at = 1; ; at++) {
      const name = at === 1 ? clientId : `${clientId}#${at}`;
      if (!taken.has(name)) return name;
    }
  }

  /** Who owns a queue and who takes single messages out of it cannot both be right about what is finished. */
  checkKind(isPopping: boolean): void {
    for (const { pops, clientId } of this.members.values()) {
      if ((pops !== null) !== isPopping) throw mixed(this.name, isPopping, `of client "${clientId}"`);
    }
  }
}

/** `whose`: the consumer that was there before. */
export function mixed(group: string, isPopping: boolean, whose: string): MQError {
  const [simple, other] = ["a simple consumer, which pops", "a push or pull consumer, which has queues of its own"];
  const [ours, theirs] = isPopping ? [simple, other] : [other, simple];
  return new MQError("SUBSCRIPTION_INCONSISTENT", `A group is shared or popped, not both. Group "${group}" has ${theirs} (${whose}); this is ${ours}.`, { field: "consumerGroup" });
}
