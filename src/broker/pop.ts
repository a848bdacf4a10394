import { errorFromData, errorToData, MQError } from "../model/errors.ts";
import type { Finish } from "../model/finish.ts";
import { FETCH_TARGET_BYTES, MAX_CLAIMS, MEMBER_EXPIRY } from "../model/limits.ts";
import { byPriority, queueScan } from "../model/priority.ts";
import { PROPERTY } from "../model/properties.ts";
import { queueKey } from "../model/queue.ts";
import { RECORD } from "../model/record.ts";
import { readAllStored, readStored } from "../model/record-copy.ts";
import { Alarm } from "../platform/alarm.ts";
import { concat } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { SteadyClock } from "../platform/steady-clock.ts";
import { sleep, type Timers } from "../platform/timers.ts";
import type { AckReply, AckRequest, ChangeInvisibleRequest, ClaimHandle, ReceiveReply, ReceiveRequest } from "../protocol/api.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { DurableState } from "../storage/durable-state.ts";
import { consumingIsOff } from "./group-configs.ts";
import { displacement } from "./group-terms.ts";
import type { Groups, Popper } from "./groups.ts";
import type { Offsets } from "./offsets.ts";
import { type Claimed, PopGroup } from "./pop-group.ts";
import { PopQueue, readUnfinished, type Claim, type Unfinished } from "./pop-queue.ts";
import { EVERYTHING, type QueueReader } from "./queue-reader.ts";
import type { RetryService } from "./retry.ts";
import { PERM_READ, type Topics } from "./topics.ts";
import type { Traffic } from "./traffic.ts";

const PREFIX = "claim/";
/** How soon a dead letter that was refused is tried again, ms. */
const REFUSED_DELAY = 1000;
const EMPTY = new Uint8Array(0);

export interface PopServices {
  epoch: number;
  state: DurableState;
  groups: Groups;
  topics: Topics;
  queues: ConsumeQueueStore;
  offsets: Offsets;
  reader: QueueReader;
  retries: RetryService;
  clock: Clock;
  steady: SteadyClock;
  traffic: Traffic;
  timers: Timers;
}

interface Given extends Claimed {
  record: Uint8Array;
}

/**
 * Serves simple consumers: nobody owns a queue, each message is claimed for a time, and comes again in its place when it is
 * not acknowledged by then. A claim is durable before its message is given, an acknowledgement before it is answered: so
 * the next broker gives nothing that is claimed or finished.
 */
export class PopService {
  readonly #services: PopServices;
  readonly #groups = new Map<string, PopGroup>();
  readonly #alarm: Alarm;
  #number = 0;
  #stopped = false;

  constructor(services: PopServices) {
    this.#services = services;
    this.#alarm = new Alarm(services.timers, services.clock, (now) => this.#expire(now));
  }

  /** Takes over the claims of the broker before. Who made them and does not come, is dead. */
  start(): void {
    const { state, groups, clock, timers } = this.#services;
    for (const [key] of state.startingWith(PREFIX)) this.#open(key.split("/")[0]!);
    for (const group of this.#groups.values()) this.#forgetIdle(group);
    if (this.#groups.size === 0) return;
    this.#alarm.by(clock.monotonic());
    timers.after(MEMBER_EXPIRY, () => {
      for (const group of this.#stopped ? [] : this.#groups.values()) {
        const owners = new Set([...(groups.find(group.name)?.members.values() ?? [])].map(({ pops }) => pops?.owner));
        this.#takeBack(({ owner }) => !owners.has(owner), { group });
        this.#forgetIdle(group);
      }
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const group of this.#groups.values()) group.changed();
  }

  async receive(member: Popper, request: ReceiveRequest): Promise<ReceiveReply> {
    const { groups } = this.#services;
    const group = this.#open(member.group.name);
    group.members.add(member);
    // Its first answer has not arrived: nobody has seen those messages.
    this.#takeBack(({ owner, receive }) => owner === member.pops.owner && receive === request.receive, { group, wasSeen: false });
    let isLate = request.wait === 0;
    let wake = (): void => {};
    const cancel = this.#services.timers.after(request.wait, () => {
      isLate = true;
      wake();
    });
    try {
      for (;;) {
        const { changes } = group;
        if (member.isDisplaced) throw displaced(member);
        const [told] = member.takeErrors();
        if (told !== undefined) throw errorFromData(told);
        if (!groups.mayConsume(member.group.name)) throw consumingIsOff(member.group.name);
        const [failed] = member.failures();
        if (failed !== undefined) throw failed.error;
        const given = await this.#take(group, member, request);
        if (given.length > 0) return await this.#hand(group, member, given);
        if (isLate || !this.#isAlive(member)) return { records: EMPTY, handles: [], ...subscribed(member) };
        if (changes === group.changes) await group.sleep(member, (ends) => (wake = ends));
      }
    } finally {
      cancel();
    }
  }

  /** What is acknowledged is finished. */
  async ack(member: Popper, { handles, again }: AckRequest): Promise<AckReply> {
    const group = this.#open(member.group.name);
    const refused: AckReply["refused"] = [];
    const touched = new Set<PopQueue>();
    for (const [index, handle] of handles.entries()) {
      const found = this.#find(group, member, handle, handle.version);
      if (found !== null) {
        found.queue.finish(found.entry);
        this.#finishAhead(group, found.queue, found.entry.queueOffset);
        touched.add(found.queue);
        member.group.rate.add(1);
        continue;
      }
      const queue = group.queues.get(queueKey(handle.topic, handle.queueId));
      // What was done before may still wait to be durable.
      if (again && queue !== undefined && this.#services.offsets.isDone({ group: group.name, ...handle })) touched.add(queue);
      else refused.push({ index, error: errorToData(voidHandle(handle)) });
    }
    if (touched.size > 0) {
      for (const queue of touched) this.#settle(group, queue);
      group.changed();
      await this.#keep(group, touched);
    }
    return { refused };
  }

  /** The answer is the claim's new handle; the old one is void. */
  async changeInvisible(member: Popper, { handle, invisibleDuration, again }: ChangeInvisibleRequest): Promise<ClaimHandle> {
    const group = this.#open(member.group.name);
    const found = this.#find(group, member, handle, handle.version) ?? (again ? this.#find(group, member, handle, handle.version + 1) : null);
    if (found === null) throw voidHandle(handle);
    const { queue, entry, claim } = found;
    const version = handle.version + 1;
    entry.claim = { ...claim, version, until: this.#services.clock.monotonic() + invisibleDuration };
    this.#alarm.by(entry.claim.until);
    await this.#keep(group, [queue]);
    return { ...handle, version };
  }

  /** A simple consumer has left, or is dead: what it has not finished is for the others at once. */
  gone(member: Popper): void {
    const group = this.#groups.get(member.group.name);
    if (group === undefined) return;
    group.members.delete(member);
    this.#takeBack(({ owner }) => owner === member.pops.owner, { group });
    group.changed((other) => other === member);
    this.#forgetIdle(group);
  }

  /** An admin begins the queue anew for the group: what consumers have in hand of it is void. Goes with the offset, which is set in the same task. */
  reset(name: string, topic: string, queueId: number, offset: number): void {
    const group = this.#groups.get(name);
    const queue = group?.queues.get(queueKey(topic, queueId));
    if (group === undefined || queue === undefined) return;
    queue.begin(offset, offset);
    this.#write(group, [queue]);
    group.changed();
    this.#forgetIdle(group);
  }

  /** The topic is deleted: its claims are void. */
  forgetTopic(topic: string): void {
    for (const group of this.#groups.values()) this.#dropQueues(group, (queue) => queue.topic === topic);
    for (const [key] of [...this.#services.state.startingWith(PREFIX)]) if (key.endsWith(`/${topic}`)) this.#services.state.set(PREFIX + key, null);
  }

  /** The queue is not there any more; nothing of it is claimed. */
  forgetQueue(topic: string, queueId: number): void {
    for (const group of this.#groups.values()) this.#dropQueues(group, (queue) => queue.topic === topic && queue.queueId === queueId);
  }

  forgetGroup(name: string): void {
    const group = this.#groups.get(name);
    if (group !== undefined) this.#dropQueues(group, () => true);
    this.#groups.delete(name);
    for (const [topic] of [...this.#services.state.startingWith(`${PREFIX}${name}/`)]) this.#services.state.set(`${PREFIX}${name}/${topic}`, null);
  }

  #dropQueues(group: PopGroup, isOver: (queue: PopQueue) => boolean): void {
    for (const [key, queue] of group.queues) {
      if (!isOver(queue)) continue;
      // Whoever is looking for messages there begins anew, and finds none.
      queue.begin(undefined, 0);
      group.queues.delete(key);
    }
    group.changed();
  }

  /** Its members are subscribed to something else now, or have to go. */
  termsChanged(name: string): void {
    this.#groups.get(name)?.changed();
  }

  /** New messages are visible in these queues. */
  published(queues: Iterable<ConsumeQueue>): void {
    for (const { topic } of queues) {
      for (const group of this.#groups.values()) group.changed((member) => member.subscriptions.has(topic));
    }
  }

  /** One who has claims in a group without being in it: it was there before this broker. */
  claimantOf(name: string): string | null {
    for (const { queue, claim } of this.#groups.get(name)?.claims() ?? []) return `of client "${clientOf(claim.owner)}", which holds claims of ${queueKey(queue.topic, queue.queueId)}`;
    return null;
  }

  /** Messages of a queue that consumers have in hand. */
  claimed(group: string, topic: string, queueId: number): number {
    const queue = this.#groups.get(group)?.queues.get(queueKey(topic, queueId));
    return queue === undefined ? 0 : [...queue.all()].filter(({ claim }) => claim !== null).length;
  }

  #isAlive(member: Popper): boolean {
    return !this.#stopped && !member.isDisplaced && member.group.members.has(member.id);
  }

  /** The group with what earlier consumers have left unfinished. */
  #open(name: string): PopGroup {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const group = new PopGroup(name);
    this.#groups.set(name, group);
    for (const [topic, row] of this.#services.state.startingWith(`${PREFIX}${name}/`)) {
      if (typeof row === "object" && row !== null) for (const queueId of Object.keys(row)) this.#queue(group, topic, Number(queueId));
    }
    return group;
  }

  #queue(group: PopGroup, topic: string, queueId: number): PopQueue {
    const key = queueKey(topic, queueId);
    const known = group.queues.get(key);
    if (known !== undefined) return known;
    const { state, offsets, clock } = this.#services;
    const queue = new PopQueue(topic, queueId);
    group.queues.set(key, queue);
    this.#begin(group, queue);
    const row = state.get(`${PREFIX}${group.name}/${topic}`) as Record<number, unknown> | undefined;
    const rows: unknown = row?.[queueId];
    const maxOffset = this.#services.queues.find(topic, queueId)?.maxOffset ?? 0;
    for (const value of Array.isArray(rows) ? rows : []) {
      const unfinished = readUnfinished(value);
      if (unfinished === null || unfinished[0] >= maxOffset || offsets.isDone({ group: group.name, topic, queueId, queueOffset: unfinished[0] })) continue;
      queue.restore(unfinished, clock.monotonic(), this.#toWall());
    }
    return queue;
  }

  /** At the group's offset, wherever somebody may have set it. */
  #begin(group: PopGroup, queue: PopQueue): void {
    const { offsets, groups } = this.#services;
    queue.begin(offsets.get(group.name, queue.topic, queue.queueId), groups.startOffset(group.name, queue.topic, queue.queueId));
  }

  #forgetIdle(group: PopGroup): void {
    if (group.members.size === 0 && this.claimantOf(group.name) === null) this.#groups.delete(group.name);
  }

  /** Claims what there is of all queues, in turn. */
  async #take(group: PopGroup, member: Popper, request: ReceiveRequest): Promise<Given[]> {
    const { topics } = this.#services;
    const given: Given[] = [];
    const queues = [...member.subscriptions].flatMap(([topic, { failure }]) => {
      const config = topics.find(topic);
      if (failure !== null || config === undefined || (config.perm & PERM_READ) === 0) return [];
      return Array.from({ length: config.readQueueNums }, (_, queueId) => this.#queue(group, topic, queueId));
    });
    const inTurn = queueScan({ queues: queues.length, priorityOrderAsc: false, priorityMode: false, random: group.turn++ }).map((at) => queues[at]!);
    try {
      for (const queue of byPriority(inTurn, topics.hasPriorities)) {
        if (given.length >= request.max || bytesOf(given) >= FETCH_TARGET_BYTES || !this.#isAlive(member)) break;
        await queue.alone(() => this.#takeFrom(group, queue, member, request, given));
      }
    } catch (error) {
      if (given.length === 0) throw error;
    }
    if (given.length === 0 && !group.hasRoom) {
      throw new MQError("FLOW_CONTROL", `Group "${group.name}" has been given ${MAX_CLAIMS} messages that it has not acknowledged.`);
    }
    return given;
  }

  async #takeFrom(group: PopGroup, queue: PopQueue, member: Popper, { max, receive, invisibleDuration }: ReceiveRequest, given: Given[]): Promise<void> {
    const { groups, queues, offsets, reader, clock, timers, epoch } = this.#services;
    const { topic, queueId } = queue;
    const stored = queues.open(topic, queueId);
    const fresh = new Map<number, Uint8Array>();
    const isFull = (): boolean => given.length >= max || bytesOf(given) >= FETCH_TARGET_BYTES;
    for (;;) {
      // The group may have agreed on others while this waited.
      const filter = member.subscriptions.get(topic);
      if (filter === undefined) return;
      if (offsets.get(group.name, topic, queueId) !== queue.offset) this.#begin(group, queue);
      this.#dropDeleted(group, queue, stored);
      for (const entry of queue.free()) {
        if (isFull()) return;
        if (!entry.wasGiven && !group.hasRoom) break;
        const { queueOffset } = entry;
        // Begun anew, or finished, while the one before it was read.
        if (queue.find(queueOffset) !== entry) continue;
        if (entry.reconsumeTimes > groups.retriesOf(group.name, member.pops.maxReconsumeTimes)) {
          this.#bury(group, queue, entry);
          continue;
        }
        const record = fresh.get(queueOffset) ?? (await reader.read(stored, queueOffset, EVERYTHING, 1, 1)).records;
        if (!this.#isAlive(member)) return;
        // Meanwhile the offset may have been set elsewhere, or the message deleted.
        if (queue.find(queueOffset) !== entry || entry.claim !== null || entry.isDying) continue;
        if (record.byteLength === 0 || readStored(record).queueOffset !== queueOffset) {
          // What cannot be read is skipped, as everywhere.
          queue.finish(entry);
          this.#settle(group, queue);
          continue;
        }
        // Not as it was stored, but as often as it was received since then.
        new DataView(record.buffer, record.byteOffset).setInt32(RECORD.reconsumeTimes, entry.reconsumeTimes);
        const claim = { owner: member.pops.owner, epoch, number: ++this.#number, version: 0, receive, until: clock.monotonic() + invisibleDuration };
        queue.give(entry, claim);
        this.#alarm.by(claim.until);
        given.push({ queue, entry, claim, record });
      }
      if (isFull() || queue.isBlocked || !group.hasRoom || queue.next >= stored.maxOffset) return;
      const begin = Math.max(queue.next, stored.minOffset);
      const { beginnings } = queue;
      const read = await reader.read(stored, begin, filter, max - given.length, FETCH_TARGET_BYTES - bytesOf(given));
      if (!this.#isAlive(member)) return;
      // Moved, deleted or filtered otherwise under the reader: it begins anew.
      if (begin < stored.minOffset || filter !== member.subscriptions.get(topic) || beginnings !== queue.beginnings || offsets.get(group.name, topic, queueId) !== queue.offset) continue;
      for (const { bytes, queueOffset, properties, reconsumeTimes } of readAllStored(read.records)) {
        if (queue.find(queueOffset) !== undefined || offsets.isDone({ group: group.name, topic, queueId, queueOffset })) continue;
        queue.add(queueOffset, properties[PROPERTY.SHARDING_KEY] ?? null, reconsumeTimes);
        fresh.set(queueOffset, bytes);
      }
      queue.next = Math.max(queue.next, read.nextOffset);
      this.#settle(group, queue);
      if (read.isCut) await sleep(timers, 0);
    }
  }

  /** Answers when another broker would know the claims too. */
  async #hand(group: PopGroup, member: Popper, given: Given[]): Promise<ReceiveReply> {
    await this.#keep(group, new Set(given.map(({ queue }) => queue))).catch((error: unknown) => {
      // A store that is full keeps nobody from consuming: the claims hold as long as this broker does.
      if (!(error instanceof MQError && error.code === "STORAGE_FULL")) throw error;
    });
    const handles = given.map(({ queue: { topic, queueId }, entry: { queueOffset }, claim: { epoch, number, version } }): ClaimHandle => ({ topic, queueId, queueOffset, epoch, number, version }));
    this.#services.traffic.get.add(given.length, bytesOf(given));
    member.traffic.getMessages += given.length;
    return { records: concat(given.map(({ record }) => record), bytesOf(given)), handles, ...subscribed(member) };
  }

  #find(group: PopGroup, { pops }: Popper, handle: ClaimHandle, version: number): Claimed | null {
    return group.find(pops.owner, handle, version, this.#services.clock.monotonic());
  }

  /** Claims end without an acknowledgement: their messages are free. */
  #takeBack(isOver: (claim: Claim) => boolean, { group, wasSeen = true }: { group?: PopGroup; wasSeen?: boolean } = {}): void {
    for (const each of group === undefined ? this.#groups.values() : [group]) {
      const touched = each.takeBack(isOver, wasSeen);
      if (touched.size === 0) continue;
      this.#write(each, touched);
      each.changed();
      if (group === undefined) this.#forgetIdle(each);
    }
  }

  #expire(now: number): number {
    if (this.#stopped) return Number.POSITIVE_INFINITY;
    this.#takeBack(({ until }) => until <= now);
    let next = Number.POSITIVE_INFINITY;
    for (const group of this.#groups.values()) for (const { claim } of group.claims()) next = Math.min(next, claim.until);
    return next;
  }

  /** It has been given too often. Until its copy is durable it stays where it is, and is given to nobody. */
  #bury(group: PopGroup, queue: PopQueue, entry: Unfinished): void {
    const finish: Finish = { group: group.name, topic: queue.topic, queueId: queue.queueId, queueOffset: entry.queueOffset };
    entry.isDying = true;
    const ended = (): void => {
      entry.isDying = false;
      if (queue.find(entry.queueOffset) !== entry) return;
      if (this.#services.offsets.isDone(finish)) queue.finish(entry);
      this.#settle(group, queue);
      this.#write(group, [queue]);
      group.changed();
    };
    this.#services.retries.bury(finish, entry.reconsumeTimes, `It was received ${entry.reconsumeTimes} times and never acknowledged.`).then(ended, () => {
      // Nothing has changed; whoever asks next tries again.
      this.#services.timers.after(REFUSED_DELAY, () => !this.#stopped && ended());
    });
  }

  /** What has been deleted is nobody's any more. */
  #dropDeleted(group: PopGroup, queue: PopQueue, { minOffset }: ConsumeQueue): void {
    const deleted = [...queue.all()].filter(({ queueOffset }) => queueOffset < minOffset);
    for (const entry of deleted) queue.finish(entry);
    if (deleted.length > 0) this.#settle(group, queue);
  }

  /** A message that was given by an earlier broker, when this one has not yet looked at those before it. */
  #finishAhead(group: PopGroup, { topic, queueId, next }: PopQueue, queueOffset: number): void {
    const { offsets } = this.#services;
    if (queueOffset < next) return;
    offsets.adoptDone(group.name, topic, queueId, [...offsets.doneBehind(group.name, topic, queueId), [queueOffset, queueOffset + 1]], 0);
  }

  /** The group's offset follows, and what is finished behind it is noted as for any other consumer. */
  #settle(group: PopGroup, queue: PopQueue): void {
    const { offsets, queues } = this.#services;
    const { topic, queueId, next } = queue;
    // Deleted meanwhile.
    if (group.queues.get(queueKey(topic, queueId)) !== queue) return;
    const { offset, done } = queue.progress();
    const maxOffset = queues.find(topic, queueId)?.maxOffset ?? 0;
    offsets.commit(group.name, topic, queueId, Math.min(offset, maxOffset), maxOffset);
    queue.offset = offsets.get(group.name, topic, queueId);
    const before = offsets.doneBehind(group.name, topic, queueId);
    const beyond = before.filter(([, to]) => to > next).map(([from, to]): [number, number] => [Math.max(from, next), to]);
    if (before.length + done.length > 0) offsets.adoptDone(group.name, topic, queueId, [...done, ...beyond], 0);
  }

  /** Resolves when the claims of these queues are durable, and all progress with them. */
  async #keep(group: PopGroup, touched: Iterable<PopQueue>): Promise<void> {
    const topics = new Set([...touched].filter((queue) => group.queues.get(queueKey(queue.topic, queue.queueId)) === queue).map(({ topic }) => topic));
    await Promise.all([...topics].map((topic) => this.#services.state.save(`${PREFIX}${group.name}/${topic}`, group.row(topic, this.#toWall()))));
  }

  /** As `keep`, with some later commit: what it does not bring across a crash happens there by itself. */
  #write(group: PopGroup, touched: Iterable<PopQueue>): void {
    for (const topic of new Set([...touched].map((queue) => queue.topic))) this.#services.state.set(`${PREFIX}${group.name}/${topic}`, group.row(topic, this.#toWall()));
  }

  #toWall(): number {
    return this.#services.steady.now() - this.#services.clock.monotonic();
  }
}

/** The wish that its terms come from, by which the client filters what comes with it. */
function subscribed({ granted, group }: Popper): Pick<ReceiveReply, "subscribed"> {
  return granted === 0 ? {} : { subscribed: { wish: granted, termsVersion: group.termsVersion } };
}

/** The first time it hears who has come. */
function displaced(member: Popper): MQError {
  const [told] = member.takeErrors();
  return told === undefined ? displacement(member.group.name) : errorFromData(told);
}

function clientOf(owner: string): string {
  return owner.slice(0, owner.lastIndexOf("/"));
}

function bytesOf(given: Given[]): number {
  return given.reduce((sum, { record }) => sum + record.byteLength, 0);
}

function voidHandle({ topic, queueId, queueOffset }: ClaimHandle): MQError {
  return new MQError("INVALID_RECEIPT_HANDLE", `The claim of ${queueKey(topic, queueId)} offset ${queueOffset} is over, or its handle void: the message is another consumer's, or will be.`, { field: "message" });
}
