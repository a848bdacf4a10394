import { MQError } from "../model/errors.ts";
import { ALLOCATION_TIMEOUT } from "../model/limits.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import type { AllocateReply } from "../protocol/api.ts";
import type { ConsumerGroup } from "./consumer-group.ts";
import type { Member } from "./member.ts";
import { keep, keepAndShare, type Share, shareAsTold, type Targets } from "./sharing.ts";

/** A question that a group waits to be answered. */
interface Round {
  number: number;
  leader: Member;
  shares: Share[];
  state: "asked" | "expired" | "answered";
  /** Members that have failed in this round. */
  failed: Set<Member>;
  cancel: Cancel;
}

/**
 * A strategy that is a function cannot come over a port: one member of the group, its leader, computes the sharing for
 * all. The question goes out with the answer to a fetch, and the group waits for a bounded time only: whatever the
 * leader does, every queue gets an owner.
 */
export class Leaders {
  readonly #timers: Timers;
  readonly #settle: (group: ConsumerGroup, targets: Targets) => void;
  readonly #rounds = new Map<ConsumerGroup, Round>();
  #next = 1;

  constructor(timers: Timers, settle: (group: ConsumerGroup, targets: Targets) => void) {
    this.#timers = timers;
    this.#settle = settle;
  }

  /** Who shares has changed: begins a round. Until it ends, everybody keeps what is for them. */
  ask(group: ConsumerGroup, shares: Share[]): Targets {
    const before = this.#rounds.get(group);
    const takers = new Set(shares.flatMap((share) => share.takers));
    if (before?.state === "asked" && takers.has(before.leader)) {
      // Its time goes on: however often the group changes, it waits no longer.
      before.shares = shares;
      this.#put(before);
    } else {
      this.forget(group);
      if (takers.size > 0) this.#ask(group, shares, new Set([...(before?.failed ?? [])].filter((member) => takers.has(member))));
    }
    return keep(group.target, shares);
  }

  /** The leader's answer. One to an older question is nobody's any more. */
  answer(member: Member, { round: number, shares: told }: AllocateReply): void {
    const { group } = member;
    const round = this.#rounds.get(group);
    if (round?.number !== number || round.leader !== member || round.state === "answered") return;
    member.task = null;
    round.state = "answered";
    round.cancel();
    try {
      // Why it cannot say, it has told its own application.
      this.#settle(group, told === null ? keepAndShare(group.target, round.shares) : shareAsTold(told, round.shares));
      if (told === null) round.failed.add(member);
    } catch (error) {
      round.failed.add(member);
      this.#settle(group, keepAndShare(group.target, round.shares));
      throw error;
    }
  }

  /** Nobody is asked any more. */
  forget(group: ConsumerGroup): void {
    const round = this.#rounds.get(group);
    if (round === undefined) return;
    round.cancel();
    round.leader.task = null;
    this.#rounds.delete(group);
  }

  #ask(group: ConsumerGroup, shares: Share[], failed: Set<Member>): void {
    const takers = new Set(shares.flatMap((share) => share.takers));
    if ([...takers].every((taker) => failed.has(taker))) failed.clear();
    const leader = group.sharing().find((member) => takers.has(member) && !failed.has(member))!;
    const round: Round = { number: 0, leader, shares, failed, state: "asked", cancel: this.#timers.after(ALLOCATION_TIMEOUT, () => this.#giveUp(group, round)) };
    this.#rounds.set(group, round);
    this.#put(round);
  }

  /** The question, as the leader is to see it now. */
  #put(round: Round): void {
    round.number = this.#next++;
    const topics = round.shares.map(({ topic, queues, takers }) => ({ topic, queues: queues.length, clientIds: takers.map(({ consumerId }) => consumerId) }));
    round.leader.task = { round: round.number, topics };
    round.leader.changed();
  }

  /** The leader is silent: it may be frozen, or its function does not return. The next one is asked, and meanwhile nothing waits. */
  #giveUp(group: ConsumerGroup, round: Round): void {
    const { leader, shares, failed } = round;
    const error = new MQError("DEADLINE_EXCEEDED", `The allocateMessageQueueStrategy of group "${group.name}", asked of client "${leader.clientId}", has not answered within ${ALLOCATION_TIMEOUT} ms.`, { field: "allocateMessageQueueStrategy" });
    round.state = "expired";
    failed.add(leader);
    this.#settle(group, keepAndShare(group.target, shares));
    for (const member of group.sharing()) member.tell(error);
    // Otherwise it may still answer.
    if (shares.some(({ takers }) => takers.some((taker) => !failed.has(taker)))) {
      leader.task = null;
      this.#ask(group, shares, failed);
    }
  }
}
