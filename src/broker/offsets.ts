import { MQError } from "../model/errors.ts";
import type { Completion } from "../model/completion.ts";
import type { Finish } from "../model/finish.ts";
import { MAX_DONE_RANGES, MAX_GROUP_TOPICS, MAX_QUEUES_PER_TOPIC } from "../model/limits.ts";
import { SCHEDULE_TOPIC, TIMER_GROUP, WHEEL_TOPIC } from "../model/system-names.ts";
import type { GroupOffsets, OffsetRange } from "../protocol/api.ts";
import { isCount } from "../protocol/validate.ts";
import type { Deletions } from "../storage/deletions.ts";
import type { DurableState } from "../storage/durable-state.ts";
import { LOSS_KEY, readLoss } from "../storage/loss.ts";
import { DoneOffsets } from "./done-offsets.ts";
import { FinishedTimers } from "./finished-timers.ts";

const PREFIX = "offset/";
const RESET_PREFIX = "reset/";

/** How far each group has come: for each queue, the offset before which everything is consumed, and what is done behind it. */
export class Offsets {
  /** group -> topic -> offset by queue id */
  readonly #offsets = new Map<string, Map<string, Record<number, number>>>();
  /** How often each queue was begun anew for a group; as "group/topic", by queue id. Stored with the offsets, so that what is from before stays void under the next broker. */
  readonly #resets = new Map<string, Record<number, number>>();
  readonly #state: DurableState;
  readonly #deletions: Deletions;
  readonly #done: DoneOffsets;
  /** The wheel's timers come up in any order: their queue has no offset before which all is done. */
  readonly timers: FinishedTimers;
  /** Pairs of a group and a topic. */
  #pairs = 0;

  constructor(state: DurableState, deletions: Deletions) {
    this.#state = state;
    this.#deletions = deletions;
    this.#done = new DoneOffsets(state);
    this.timers = new FinishedTimers(state);
  }

  /** As stored; what the log says besides comes by `finish`. */
  restore(): void {
    this.#done.restore();
    this.timers.restore();
    for (const [key, value] of this.#state.startingWith(PREFIX)) {
      const [group = "", topic = ""] = key.split("/");
      this.#topics(group).set(topic, readOffsets(value));
      this.#pairs++;
    }
    for (const [key, value] of this.#state.startingWith(RESET_PREFIX)) this.#resets.set(key, readOffsets(value));
  }

  /** Groups are remembered for ever, so there is an end to how many of them there can be. Throws FLOW_CONTROL. */
  checkRoom(group: string, topics: Iterable<string>): void {
    const known = this.#offsets.get(group);
    const more = [...topics].filter((topic) => known?.has(topic) !== true).length;
    if (more > 0 && this.#pairs + more > MAX_GROUP_TOPICS) {
      throw new MQError("FLOW_CONTROL", `The broker keeps the offsets of ${MAX_GROUP_TOPICS} groups and topics already.`, { field: "group" });
    }
  }

  /** undefined = the group has never been at this queue. */
  get(group: string, topic: string, queueId: number): number | undefined {
    return this.#offsets.get(group)?.get(topic)?.[queueId];
  }

  /** The group's offsets may have been lost: for it, new is all that there is, whatever it says it wants to begin with. */
  isBereft(group: string): boolean {
    return readLoss(this.#state.get(LOSS_KEY))?.groups.includes(group) ?? false;
  }

  /** The group wants this topic, whatever queues it has or will have. */
  begin(group: string, topic: string): void {
    const topics = this.#topics(group);
    if (topics.has(topic)) return;
    this.#pairs++;
    topics.set(topic, {});
    this.#state.set(`${PREFIX}${group}/${topic}`, {});
  }

  /** `maxOffset` is the queue's end: nobody has consumed what does not exist. */
  commit(group: string, topic: string, queueId: number, offset: number, maxOffset: number): void {
    if (offset > maxOffset) {
      throw new MQError("INVALID_PARAMETER", `Offset ${offset} lies behind the end of ${topic}:${queueId}, which is ${maxOffset}.`, {
        field: "commitOffset",
      });
    }
    this.#move(group, topic, queueId, offset);
  }

  /** 0 = never. */
  resets(group: string, topic: string, queueId: number): number {
    return this.#resets.get(`${group}/${topic}`)?.[queueId] ?? 0;
  }

  /** The group begins anew here: what it has done behind that is void. Resolves when that is durable. */
  reset(group: string, topic: string, queueId: number, offset: number): Promise<void> {
    const key = `${group}/${topic}`;
    const resets = { ...this.#resets.get(key), [queueId]: this.resets(group, topic, queueId) + 1 };
    this.#resets.set(key, resets);
    this.#state.set(RESET_PREFIX + key, resets);
    this.#move(group, topic, queueId, offset);
    this.#done.clear(group, topic, queueId);
    return this.#state.save(`${PREFIX}${group}/${topic}`, this.#topics(group).get(topic));
  }

  /** The record at `position` of the log takes the place of this message; call it when that is durable. */
  finish(finish: Finish, position: number): void {
    const { group, topic, queueId, queueOffset } = finish;
    if (isTimer(finish)) return this.timers.finish(queueOffset);
    // Read again, or on its way when that was deleted.
    if (this.#deletions.hides(topic, queueId, queueOffset) || this.#deletions.coversGroup(group, position)) return;
    const offset = this.get(group, topic, queueId) ?? 0;
    if (queueOffset < offset) return;
    // A delay level is delivered in order, and nobody holds what is before.
    if (topic === SCHEDULE_TOPIC) this.#move(group, topic, queueId, queueOffset + 1);
    else this.#done.add(finish, [queueOffset], position);
  }

  /** The same for several of one queue, which one record finishes. False = it is from before its group was deleted, and void. */
  finishAll({ group, topic, queueId, queueOffsets }: Completion, position: number): boolean {
    if (this.#deletions.coversGroup(group, position)) return false;
    const offset = this.get(group, topic, queueId) ?? 0;
    const open = queueOffsets.filter((queueOffset) => queueOffset >= offset && !this.#deletions.hides(topic, queueId, queueOffset));
    if (open.length > 0) this.#done.add({ group, topic, queueId }, open, position);
    return true;
  }

  /** As `finish`, where no record of the log says so. Takes effect at once; resolves when it is durable. */
  finishByFact(finish: Finish): Promise<void> {
    return this.#done.addFact(finish);
  }

  isDone(finish: Finish): boolean {
    const { group, topic, queueId, queueOffset } = finish;
    if (isTimer(finish)) return this.timers.has(queueOffset);
    return queueOffset < (this.get(group, topic, queueId) ?? 0) || this.#done.has(finish);
  }

  /** What is done although the offset is before it. */
  doneBehind(group: string, topic: string, queueId: number): OffsetRange[] {
    return this.#done.of(group, topic, queueId);
  }

  /** Throws FLOW_CONTROL. */
  checkDoneRoom(finish: Finish): void {
    this.#done.checkRoom(finish);
  }

  /** Nothing of what the group has done there is remembered; and what its members received before is void, also should they meet the topic again. */
  forget(group: string, topic: string): void {
    const topics = this.#offsets.get(group);
    const key = `${group}/${topic}`;
    if (topics?.delete(topic)) this.#pairs--;
    if (topics?.size === 0) this.#offsets.delete(group);
    this.#state.set(PREFIX + key, null);
    if (this.#resets.has(key)) this.#state.set(RESET_PREFIX + key, null);
    // As long as this broker lives: who joins the next one holds nothing.
    this.#resets.set(key, Object.fromEntries(Array.from({ length: MAX_QUEUES_PER_TOPIC }, (_, queueId) => [queueId, this.resets(group, topic, queueId) + 1])));
    this.#done.forget(group, topic);
  }

  groups(): string[] {
    return [...this.#offsets.keys()];
  }

  /** The same, and where the broker itself has done something out of turn. */
  everyGroupAt(topic: string): string[] {
    return [...new Set([...this.groupsAt(topic), ...this.#done.groupsAt(topic)])];
  }

  everyTopicOf(group: string): string[] {
    return [...new Set([...this.topicsOf(group), ...this.#done.topicsOf(group)])];
  }

  topicsOf(group: string): string[] {
    return [...(this.#offsets.get(group)?.keys() ?? [])];
  }

  /** As an export says it. What the log before `position` finishes is in it. `behindGap`: where the queue's offsets go on. */
  adoptDone(group: string, topic: string, queueId: number, ranges: OffsetRange[], position: number, behindGap = (offset: number): number => offset): void {
    if (!isTimer({ group, topic })) return this.#done.adopt(group, topic, queueId, ranges, position);
    for (const [from, to] of ranges) this.timers.finishAll(from, to, behindGap);
  }

  /** Everything, as an export has it. */
  all(): GroupOffsets[] {
    const all = [...this.#offsets].flatMap(([group, topics]) => [...topics].map(([topic, offsets]): GroupOffsets => ({ group, topic, offsets: numbered(offsets) })));
    for (const { group, topic, queues } of this.#done.all()) {
      const row = all.find((known) => known.group === group && known.topic === topic);
      if (row !== undefined) row.done = numbered(queues);
      else all.push({ group, topic, offsets: [], done: numbered(queues) });
    }
    const timers = this.timers.ranges();
    for (let at = 0; at < timers.length; at += MAX_DONE_RANGES) {
      all.push({ group: TIMER_GROUP, topic: WHEEL_TOPIC, offsets: [], done: [[0, timers.slice(at, at + MAX_DONE_RANGES)]] });
    }
    return all;
  }

  /** Groups that have been at this topic. */
  groupsAt(topic: string): string[] {
    return this.groups().filter((group) => this.#offsets.get(group)?.has(topic));
  }

  #move(group: string, topic: string, queueId: number, offset: number): void {
    const topics = this.#topics(group);
    const queues = topics.get(topic) ?? {};
    const before = queues[queueId];
    if (before === offset) return;
    if (!topics.has(topic)) this.#pairs++;
    // A new row: one that is on its way to the store must not get ahead of what is on the way with it.
    const moved = { ...queues, [queueId]: offset };
    topics.set(topic, moved);
    this.#state.set(`${PREFIX}${group}/${topic}`, moved);
    this.#done.moved(group, topic, queueId, before ?? 0, offset);
  }

  #topics(group: string): Map<string, Record<number, number>> {
    let topics = this.#offsets.get(group);
    if (topics === undefined) {
      topics = new Map();
      this.#offsets.set(group, topics);
    }
    return topics;
  }
}

/** Of the broker's own: whatever groups do with the wheel's queue, its timers are delivered. */
function isTimer({ group, topic }: { group: string; topic: string }): boolean {
  return group === TIMER_GROUP && topic === WHEEL_TOPIC;
}

/** What is no offset is left out: the group begins anew there. */
function readOffsets(row: unknown): Record<number, number> {
  if (typeof row !== "object" || row === null) return {};
  return Object.fromEntries(Object.entries(row).filter(([queueId, offset]) => isCount(Number(queueId)) && isCount(offset))) as Record<number, number>;
}

function numbered<T>(byQueue: Record<number, T>): [queueId: number, value: T][] {
  return Object.entries(byQueue).map(([queueId, value]) => [Number(queueId), value]);
}
