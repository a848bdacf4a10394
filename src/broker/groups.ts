import { MQError } from "../model/errors.ts";
import { MAX_MEMBERS_PER_SESSION, MEMBER_EXPIRY } from "../model/limits.ts";
import { retryTopic } from "../model/names.ts";
import { SYSTEM_GROUP_PREFIX } from "../model/system-names.ts";
import { queueKey } from "../model/queue.ts";
import { assert } from "../platform/assert.ts";
import type { Clock } from "../platform/clock.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import type { AllocateReply, AssignedQueue, ConsumeFromWhere, FetchRequest, JoinRequest, PickRequest, QueueCommit, QuitRequest, SettleRequest, SubscribeRequest } from "../protocol/api.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import { ConsumerGroup, mixed } from "./consumer-group.ts";
import { displacement, type GroupTerms, misfit } from "./group-terms.ts";
import { consumingIsOff, type GroupConfigs } from "./group-configs.ts";
import { GroupProgress } from "./group-progress.ts";
import type { FinishedKeys } from "./finished-keys.ts";
import type { KeyClaims } from "./key-claims.ts";
import { Member, type Popping } from "./member.ts";
import type { Offsets } from "./offsets.ts";
import { Rebalancing } from "./rebalancing.ts";
import type { Session } from "./session.ts";
import { type Subscription, subscriptionOf } from "./subscription.ts";
import { keyOf } from "./sharing.ts";
import { isReadable, type Topics } from "./topics.ts";

export interface GroupServices {
  topics: Topics;
  queues: ConsumeQueueStore;
  offsets: Offsets;
  finished: FinishedKeys;
  keys: KeyClaims;
  clock: Clock;
  configs: GroupConfigs;
  timers: Timers;
}

/** The coordinator of all consumer groups. */
export class Groups {
  readonly #groups = new Map<string, ConsumerGroup>();
  readonly #members = new Map<string, Member>();
  readonly #services: GroupServices;
  readonly #progress: GroupProgress;
  readonly #rebalancing: Rebalancing;
  #nextMember = 1;
  #cancelExpiry: Cancel | null = null;

  constructor(services: GroupServices) {
    this.#services = services;
    this.#progress = new GroupProgress(services);
    this.#rebalancing = new Rebalancing(services.topics, services.timers, (group) => this.mayConsume(group));
  }

  find(group: string): ConsumerGroup | undefined {
    return this.#groups.get(group);
  }

  /** `modules`: the filters in WebAssembly that the request brings along, by topic. `starts`: where it begins, by queueKey, when it begins at a time. */
  join(session: Session, request: JoinRequest, modules: ReadonlyMap<string, Subscription> = new Map(), starts: ReadonlyMap<string, number> = new Map()): Member {
    // It may have ended while the call was prepared: nobody would remove the member again.
    if (session.closed) throw new MQError("SESSION_UNKNOWN", "The session that asked to join has ended; say hello first.");
    if (session.members.size >= MAX_MEMBERS_PER_SESSION) {
      throw new MQError("FLOW_CONTROL", `A client has at most ${MAX_MEMBERS_PER_SESSION} consumers.`);
    }
    if (request.group.startsWith(SYSTEM_GROUP_PREFIX)) throw new MQError("NO_PERMISSION", `Groups that begin with ${SYSTEM_GROUP_PREFIX} are the broker's own.`, { field: "group" });
    const subscriptions = subscriptionsOf(request, modules);
    const { consumeFromWhere, consumeType = "CONSUME_PASSIVELY", allocation = { strategy: "AVG" } } = request;
    const broadcast = request.pops === undefined ? request.broadcast : undefined;
    const messageModel = broadcast === undefined ? "CLUSTERING" : "BROADCASTING";
    const { orderly = null, idempotenceWindow = 0 } = request;
    this.#services.configs.checkJoin(request.group, broadcast !== undefined, () => this.names().includes(request.group));
    const terms: GroupTerms = { messageModel, strategy: allocation.strategy, subscriptions, orderly, idempotenceWindow };
    const group = this.#groups.get(request.group) ?? new ConsumerGroup(request.group, this.#services.clock);
    const pops = request.pops === undefined ? null : { owner: `${session.clientId}/${request.pops.instance}`, maxReconsumeTimes: request.pops.maxReconsumeTimes };
    group.checkKind(pops !== null);
    const claimant = pops === null ? this.claimantOf(group.name) : null;
    if (claimant !== null) throw mixed(group.name, false, claimant);
    const picked = pops === null && request.queues.length > 0 ? request.queues : null;
    if (broadcast !== undefined && [...session.members].some((other) => other.group === group && other.isBroadcasting)) {
      // Their offsets are kept under one name.
      throw new MQError("INVALID_PARAMETER", `This client has a broadcasting consumer of group "${group.name}" already.`, { field: "consumerGroup" });
    }
    const begun = new Set(broadcast !== undefined ? [] : picked === null ? subscriptions.keys() : picked.map(({ topic }) => topic));
    this.#services.offsets.checkRoom(group.name, begun);
    if (idempotenceWindow > 0) this.#services.finished.open(group.name, (name) => this.#groups.has(name));
    const displaced = picked === null ? group.admit(terms, request) : [];
    this.#groups.set(group.name, group);
    const id = `${session.clientId}#${this.#nextMember++}`;
    const member = new Member({ id, clientId: session.clientId, traffic: session.traffic, group, terms, picked, pops, configured: allocation.queues ?? [], consumeType, consumeFromWhere });
    group.members.set(member.id, member);
    this.#members.set(member.id, member);
    session.members.add(member);
    for (const other of displaced) this.#displace(other, terms);
    for (const topic of begun) this.#progress.begin(group.name, topic, consumeFromWhere, starts);
    if (broadcast !== undefined) this.#progress.beginBroadcast(member, broadcast, starts);
    if (!this.mayConsume(group.name)) member.tell(consumingIsOff(group.name));
    this.#rebalancing.rebalance(group);
    this.#watchExpiry();
    return member;
  }

  /**
   * A member wishes other subscriptions. They are the group's as soon as all members wish them; until then the wish is
   * refused, and remembered while the member lives, or until it wishes something else.
   * @throws MQError SUBSCRIPTION_INCONSISTENT that names both sides
   */
  subscribe(member: Member, request: SubscribeRequest, modules: ReadonlyMap<string, Subscription> = new Map(), starts: ReadonlyMap<string, number> = new Map()): number {
    const { group } = member;
    if (member.picked !== null || member.isBroadcasting) throw new MQError("INVALID_PARAMETER", "Only a consumer that its group's terms bind changes them.", { field: "subscribe" });
    const subscriptions = subscriptionsOf(request, modules);
    this.#services.offsets.checkRoom(group.name, subscriptions.keys());
    const wish = { number: request.wish, terms: { ...member.terms, subscriptions } };
    if (member.isDisplaced) throw displacement(group.name);
    // Content again with what there is.
    member.wish = misfit(group.name, member.terms, wish.terms) === null ? null : wish;
    if (member.wish === null || this.#agree(group, wish.terms, member.consumeFromWhere, starts)) return group.termsVersion;
    const stranger = group.bound().find((other) => misfit(group.name, (other.wish ?? other).terms, wish.terms) !== null)!;
    throw misfit(group.name, stranger.terms, wish.terms) ?? misfit(group.name, stranger.wish!.terms, wish.terms)!;
  }

  /** A member that has picked its queues picks others: those that stay go on, and in those that it leaves it finishes what it has in hand. */
  pick(member: Member, { queues }: PickRequest, starts: ReadonlyMap<string, number> = new Map()): void {
    if (member.picked === null || queues.length === 0) throw new MQError("INVALID_PARAMETER", "Only a consumer that picks its queues picks others, and at least one.", { field: "assign" });
    const { group, consumeFromWhere } = member;
    const topics = new Set(queues.map(({ topic }) => topic));
    this.#services.offsets.checkRoom(group.name, topics);
    for (const topic of topics) this.#progress.begin(group.name, topic, consumeFromWhere, starts);
    member.picked = queues;
    member.changed();
  }

  /** The member behind an id that came over a port: it must be the session's own. */
  memberOf(session: Session, memberId: string): Member {
    const member = this.#members.get(memberId);
    if (member !== undefined && session.members.has(member)) return member;
    throw new MQError("STALE_GENERATION", "The group has moved on without this consumer; it has to join again.");
  }

  /** The same, of a simple consumer. */
  popperOf(session: Session, memberId: string): Popper {
    const member = this.memberOf(session, memberId);
    if (isPopper(member)) return member;
    throw new MQError("INVALID_PARAMETER", "This is no simple consumer.", { field: "memberId" });
  }

  /** Live consumers, of whatever kind, that want messages of this topic and tag; what SQL and modules say of them is not asked. */
  listeners(topic: string, tagCode: number): number {
    const wants = ({ picked, isDisplaced, subscriptions }: Member): boolean => {
      if (picked !== null) return picked.some((queue) => queue.topic === topic);
      const codes = subscriptions.get(topic)?.codes;
      return codes !== undefined && !isDisplaced && (codes === null || codes.includes(tagCode));
    };
    return [...this.#members.values()].filter(wants).length;
  }

  quit(session: Session, request: QuitRequest): void {
    const member = this.memberOf(session, request.memberId);
    if (request.keys !== undefined) this.#services.keys.heard(member, request.keys);
    for (const commit of request.commits) this.#commit(member, commit);
    this.remove(session, member);
  }

  /** Gone for good: its queues are free at once. */
  remove(session: Session, member: Member): void {
    session.members.delete(member);
    this.#members.delete(member.id);
    const { group } = member;
    group.members.delete(member.id);
    for (const [key, owner] of group.owner) if (owner === member) group.owner.delete(key);
    member.changed();
    const wishing = group.bound().find(({ wish }) => wish !== null);
    if (wishing === undefined || !this.#agree(group, wishing.wish!.terms, wishing.consumeFromWhere)) this.#rebalancing.rebalance(group);
    if (isPopper(member)) this.onPopperGone(member);
    if (group.members.size > 0) return;
    this.#rebalancing.forget(group);
    this.#groups.delete(group.name);
  }

  /** A group's leader says who gets which queue. */
  allocate(session: Session, reply: AllocateReply): void {
    this.#rebalancing.answer(this.memberOf(session, reply.memberId), reply);
  }

  /** All groups that are or have been, by name. */
  names(): string[] {
    return [...new Set([...this.#services.offsets.groups(), ...this.#services.configs.names(), ...this.#groups.keys()])].sort();
  }

  /** Members that are at the topic and keep their offsets themselves. */
  broadcastersOf(topic: string): Member[] {
    return [...this.#members.values()].filter((member) => member.isBroadcasting && !member.isDisplaced && member.subscriptions.has(topic));
  }

  /** Those with somebody in them. */
  liveNames(): string[] {
    return [...this.#groups.keys()];
  }

  /** Is the group given anything? */
  mayConsume(name: string): boolean {
    return this.#services.configs.mayConsume(name);
  }

  /** How often it tries a message again, at most, when a consumer says so. */
  retriesOf(name: string, asked: number): number {
    return this.#services.configs.retriesOf(name, asked);
  }

  /** Takes in what a fetch says: progress, and which queues the member has let go. */
  heard(member: Member, { generation, held, released, keys }: Pick<FetchRequest, "generation" | "held" | "released" | "keys">): void {
    member.silentTicks = 0;
    if (keys !== undefined) this.#services.keys.heard(member, keys);
    for (const queue of released) this.#commit(member, queue);
    member.held = new Map(held.map((queue) => [queueKey(queue.topic, queue.queueId), queue]));
    for (const queue of held) if (queue.commitOffset >= 0) this.#commit(member, queue);
    // Only a member that knows its newest assignment means something by not holding a queue.
    if (member.picked === null && generation === member.generation) this.#rebalancing.handOver(member);
  }

  /** What the member is to hold, and where each queue begins. */
  assignment(member: Member): AssignedQueue[] {
    if (member.isBroadcasting) return this.#progress.broadcastQueues(member);
    const queues = member.picked?.filter((queue) => this.#isOpen(member, queue.topic, queue.queueId)) ?? this.#rebalancing.targets(member).filter((queue) => member.group.owner.get(keyOf(queue)) === member);
    const { offsets } = this.#services;
    return queues.map(({ topic, queueId }) => {
      const resets = offsets.resets(member.group.name, topic, queueId);
      return {
        topic, queueId, offset: this.#progress.startOffset(member.group.name, topic, queueId), done: offsets.doneBehind(member.group.name, topic, queueId),
        ...(resets > 0 && { resets }), ...(member.group.isFirst(queueKey(topic, queueId), member) && { isFirst: true }),
      };
    });
  }

  /** May this member be given messages of the queue now? */
  mayRead(member: Member, topic: string, queueId: number): boolean {
    if (!this.#isOpen(member, topic, queueId)) return false;
    if (member.isBroadcasting) return !member.isDisplaced && member.progress.has(queueKey(topic, queueId));
    if (member.picked !== null) return member.picked.some((queue) => queue.topic === topic && queue.queueId === queueId);
    const key = queueKey(topic, queueId);
    return member.group.owner.get(key) === member && member.group.target.get(key) === member;
  }

  /** Not while the group is given nothing, nor when the topic is not to be read, or has no such queue any more. */
  #isOpen({ group }: Member, topic: string, queueId: number): boolean {
    const config = this.#services.topics.find(topic);
    return this.mayConsume(group.name) && (config === undefined || (isReadable(config) && queueId < config.readQueueNums));
  }

  /** One who is letting a queue go still holds it; who picks its queues does as it says. Throws STALE_GENERATION. */
  checkHolds(member: Member, topic: string, queueId: number): void {
    const key = queueKey(topic, queueId);
    const holds = member.picked === null ? member.group.owner.get(key) === member : this.mayRead(member, topic, queueId) || member.held.has(key);
    if (!holds) throw new MQError("STALE_GENERATION", `The queue ${key} belongs to another consumer of the group now.`);
  }

  /** The group goes on at this offset, also where it is at work: what its members have in hand from before is void. Resolves when that is durable. */
  reset(name: string, topic: string, queueId: number, offset: number): Promise<void> {
    const key = queueKey(topic, queueId);
    for (const member of this.#groups.get(name)?.members.values() ?? []) {
      if (member.group.owner.get(key) === member || member.picked?.some((queue) => keyOf(queue) === key)) member.changed();
    }
    return this.#services.offsets.reset(name, topic, queueId, offset);
  }

  /** Throws STALE_GENERATION for what was received before a reset. */
  checkSettles(member: Member, { topic, queueId, resets = 0 }: Pick<SettleRequest, "topic" | "queueId" | "resets">): void {
    this.checkHolds(member, topic, queueId);
    if (resets !== this.#services.offsets.resets(member.group.name, topic, queueId)) throw new MQError("STALE_GENERATION", `The queue ${queueKey(topic, queueId)} was begun anew for the group.`);
  }

  /** A topic appeared or went, has other queues, or may be read or not: the groups that want it share anew. */
  topicChanged(topic: string): void {
    const isThere = this.#services.topics.find(topic) !== undefined;
    const wanting = [...this.#groups.values()].filter((group) => group.bound().some((member) => !member.isBroadcasting && member.subscriptions.has(topic)));
    // They want it whether they have been at it or not: it may have been deleted under them, and have come again.
    const beginning = isThere ? new Set([...this.#services.offsets.groupsAt(topic), ...wanting.map(({ name }) => name)]) : [];
    for (const group of beginning) this.#progress.begin(group, topic, "CONSUME_FROM_FIRST_OFFSET");
    for (const group of this.#groups.values()) {
      if (group.sharing().some((member) => member.subscriptions.has(topic))) this.#rebalancing.rebalance(group);
      for (const member of group.members.values()) {
        if ((member.isBroadcasting && member.subscriptions.has(topic)) || member.picked?.some((queue) => queue.topic === topic)) member.changed();
      }
    }
  }

  /** Whoever consumes the topic hears why there is nothing more of it. */
  topicDeleted(topic: string, error: MQError): void {
    for (const member of this.#members.values()) {
      for (const key of member.progress.keys()) if (key.startsWith(`${topic}:`)) member.progress.delete(key);
      // Its own retry topic nobody has asked for.
      const isAsked = member.picked?.some((queue) => queue.topic === topic) ?? (member.subscriptions.has(topic) && topic !== retryTopic(member.group.name));
      if (isAsked) member.tell(error);
    }
    this.topicChanged(topic);
    // Who waits for a message of it hears it too.
    for (const name of this.#groups.keys()) this.onTermsChanged(name);
  }

  /** The group is deleted: its members get nothing more, and nothing that they say of it counts. */
  dissolve(name: string, error: MQError): void {
    const group = this.#groups.get(name);
    if (group === undefined) return;
    for (const member of group.members.values()) {
      member.isDisplaced = true;
      member.terms = { ...member.terms, idempotenceWindow: 0 };
      member.picked &&= [];
      member.progress.clear();
      member.tell(error);
    }
    this.#rebalancing.rebalance(group);
    this.onTermsChanged(name);
  }

  /** An admin has said something else of it. */
  configChanged(name: string): void {
    const group = this.#groups.get(name);
    if (group === undefined) return;
    for (const member of group.members.values()) {
      if (this.mayConsume(name)) member.changed();
      else member.tell(consumingIsOff(name));
    }
    this.#rebalancing.rebalance(group);
    this.onTermsChanged(name);
  }

  stop(): void {
    this.#cancelExpiry?.();
    for (const member of this.#members.values()) member.changed();
  }

  /** @see GroupProgress.startOffset */
  startOffset(group: string, topic: string, queueId: number): number {
    return this.#progress.startOffset(group, topic, queueId);
  }

  /** What all members of a group wish becomes its terms. */
  #agree(group: ConsumerGroup, terms: GroupTerms, where: ConsumeFromWhere, starts: ReadonlyMap<string, number> = new Map()): boolean {
    if (!group.agree(terms)) return false;
    for (const topic of terms.subscriptions.keys()) this.#progress.begin(group.name, topic, where, starts);
    this.#rebalancing.rebalance(group);
    this.onTermsChanged(group.name);
    return true;
  }

  #commit(member: Member, queue: QueueCommit): void {
    if (member.isBroadcasting) return void member.progress.set(keyOf(queue), queue.commitOffset);
    this.checkHolds(member, queue.topic, queue.queueId);
    this.#progress.commit(member.group, queue);
  }

  /** The group has other terms now: this member gets nothing more, and what it has in hand it may finish. */
  #displace(member: Member, terms: GroupTerms): void {
    member.isDisplaced = true;
    member.tell(misfit(member.group.name, terms, member.terms)!);
    this.onTermsChanged(member.group.name);
  }

  /**
   * A frozen tab keeps its lock but does not fetch: after a while its queues go to the others. Counted in ticks of a
   * timer, not by the clock: a clock that jumps or a machine that sleeps must not expire everybody at once.
   */
  #watchExpiry(): void {
    if (this.#cancelExpiry !== null || this.#members.size === 0) return;
    this.#cancelExpiry = this.#services.timers.after(MEMBER_EXPIRY / EXPIRY_TICKS, () => {
      this.#cancelExpiry = null;
      // Who holds no queue need not fetch: its claims expire by themselves.
      for (const member of this.#members.values()) if (member.pops === null && ++member.silentTicks > EXPIRY_TICKS) this.onExpired(member);
      this.#watchExpiry();
    });
  }

  /** Set by the composition root: which session a member belongs to is not the groups' business. */
  onExpired: (member: Member) => void = () => assert(false, "onExpired is wired");
  /** Also set there: a simple consumer has left or died; and whose claims a group has from an earlier broker. */
  onPopperGone: (member: Popper) => void = () => assert(false, "onPopperGone is wired");
  claimantOf: (group: string) => string | null = () => null;
  /** And who waits for a message may wait for others now, or no longer. */
  onTermsChanged: (group: string) => void = () => assert(false, "onTermsChanged is wired");
}

const EXPIRY_TICKS = 3;

function subscriptionsOf({ subscriptions }: Pick<JoinRequest, "subscriptions">, modules: ReadonlyMap<string, Subscription>): Map<string, Subscription> {
  return new Map(subscriptions.map(([topic, filter]) => [topic, modules.get(topic) ?? subscriptionOf(filter)]));
}

/** A simple consumer. */
export type Popper = Member & { readonly pops: Popping };

function isPopper(member: Member): member is Popper {
  return member.pops !== null;
}
