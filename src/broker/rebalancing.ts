import { retryTopic } from "../model/names.ts";
import type { MessageQueue } from "../model/queue.ts";
import type { Timers } from "../platform/timers.ts";
import type { AllocateReply } from "../protocol/api.ts";
import type { ConsumerGroup } from "./consumer-group.ts";
import { Leaders } from "./leaders.ts";
import type { Member } from "./member.ts";
import { keyOf, type Share, shareByStrategy, type Targets } from "./sharing.ts";
import type { Topics } from "./topics.ts";

/** Who of a group is to have which queue, and how one goes from hand to hand: its holder lets go before the next one gets it. */
export class Rebalancing {
  readonly #topics: Topics;
  readonly #mayConsume: (group: string) => boolean;
  readonly #leaders: Leaders;
  /** Shares that a group's strategy is not asked about. */
  readonly #unplanned = new WeakMap<ConsumerGroup, Share[]>();

  /** `mayConsume`: is a group given anything? */
  constructor(topics: Topics, timers: Timers, mayConsume: (group: string) => boolean) {
    this.#topics = topics;
    this.#mayConsume = mayConsume;
    this.#leaders = new Leaders(timers, (group, targets) => this.#settle(group, targets));
  }

  /** A group's leader says who gets which queue. */
  answer(leader: Member, reply: AllocateReply): void {
    this.#leaders.answer(leader, reply);
  }

  /** The group is no more. */
  forget(group: ConsumerGroup): void {
    this.#leaders.forget(group);
  }

  /** Members or queues have changed. */
  rebalance(group: ConsumerGroup): void {
    const members = group.sharing();
    const shares: Share[] = [];
    for (const topic of new Set(members.flatMap((member) => [...member.subscriptions.keys()]))) {
      const queues = this.#mayConsume(group.name) ? this.#topics.queuesToRead(topic) : [];
      if (queues.length > 0) shares.push({ topic, queues, takers: members.filter((member) => member.subscriptions.has(topic)) });
    }
    const strategy = members[0]?.terms.strategy ?? "AVG";
    if (strategy !== "FUNCTION") this.#leaders.forget(group);
    // What is to be tried again is no part of the application's plan, and must not be left out of it.
    const isRetry = ({ topic }: Share): boolean => topic === retryTopic(group.name);
    const planned = strategy === "FUNCTION" || strategy === "CONFIG" ? shares.filter((share) => !isRetry(share)) : shares;
    const rest = planned === shares ? [] : shares.filter(isRetry);
    this.#unplanned.set(group, rest);
    this.#settle(group, strategy === "FUNCTION" ? this.#leaders.ask(group, planned) : shareByStrategy(strategy, planned));
  }

  /** Queues that are meant for somebody else and that this member no longer holds go to whom they are meant for. */
  handOver(member: Member): void {
    const { owner, target } = member.group;
    for (const [key, holder] of owner) {
      const next = target.get(key);
      if (holder !== member || next === member || member.held.has(key)) continue;
      if (next === undefined) {
        owner.delete(key);
      } else {
        owner.set(key, next);
        next.changed();
      }
    }
  }

  /** The queues that are meant for it. */
  targets(member: Member): MessageQueue[] {
    const queues = [...member.subscriptions.keys()].flatMap((topic) => this.#topics.queuesToRead(topic));
    return queues.filter((queue) => member.group.target.get(keyOf(queue)) === member);
  }

  /** What the strategy says, and what it is not asked. */
  #settle(group: ConsumerGroup, targets: Targets): void {
    this.#retarget(group, new Map([...targets, ...shareByStrategy("AVG", this.#unplanned.get(group) ?? [])]));
  }

  /** Whom each queue is for, from now on. */
  #retarget(group: ConsumerGroup, targets: Targets): void {
    const before = new Map(group.target);
    group.target.clear();
    for (const [key, member] of targets) group.target.set(key, member);
    const affected = new Set<Member>();
    for (const key of new Set([...before.keys(), ...group.target.keys()])) {
      const was = before.get(key);
      const now = group.target.get(key);
      if (now !== undefined && !group.owner.has(key)) {
        group.owner.set(key, now);
        affected.add(now);
      }
      if (was === now) continue;
      const owner = group.owner.get(key);
      if (owner !== undefined) affected.add(owner);
      if (was !== undefined) affected.add(was);
    }
    for (const member of affected) member.changed();
  }
}
