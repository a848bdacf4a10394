import { queueKey } from "../model/queue.ts";
import type { Clock } from "../platform/clock.ts";
import type { SteadyClock } from "../platform/steady-clock.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { DurableState } from "../storage/durable-state.ts";
import type { Groups } from "./groups.ts";
import type { Offsets } from "./offsets.ts";
import { PopGroup } from "./pop-group.ts";
import { PopQueue, readUnfinished, type Claim } from "./pop-queue.ts";

const PREFIX = "claim/";

export interface PopLedgerServices {
  state: DurableState;
  groups: Groups;
  queues: ConsumeQueueStore;
  offsets: Offsets;
  clock: Clock;
  steady: SteadyClock;
}

/** Which messages the groups that pop have in hand, and what the next broker has to know of it. */
export class PopLedger {
  readonly groups = new Map<string, PopGroup>();
  readonly #services: PopLedgerServices;

  constructor(services: PopLedgerServices) {
    this.#services = services;
  }

  /** Takes over the claims of the broker before. */
  start(): void {
    for (const [key] of this.#services.state.startingWith(PREFIX)) this.open(key.split("/")[0]!);
    for (const group of this.groups.values()) this.forgetIdle(group);
  }

  /** The topic is deleted: its claims are void. */
  forgetTopic(topic: string): void {
    for (const group of this.groups.values()) this.#dropQueues(group, (queue) => queue.topic === topic);
    for (const [key] of [...this.#services.state.startingWith(PREFIX)]) if (key.endsWith(`/${topic}`)) this.#services.state.set(PREFIX + key, null);
  }

  /** The queue is not there any more; nothing of it is claimed. */
  forgetQueue(topic: string, queueId: number): void {
    for (const group of this.groups.values()) this.#dropQueues(group, (queue) => queue.topic === topic && queue.queueId === queueId);
  }

  forgetGroup(name: string): void {
    const group = this.groups.get(name);
    if (group !== undefined) this.#dropQueues(group, () => true);
    this.groups.delete(name);
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

  /** One who has claims in a group without being in it: it was there before this broker. */
  claimantOf(name: string): string | null {
    for (const { queue, claim } of this.groups.get(name)?.claims() ?? []) return `of client "${clientOf(claim.owner)}", which holds claims of ${queueKey(queue.topic, queue.queueId)}`;
    return null;
  }

  /** Messages of a queue that consumers have in hand. */
  claimed(group: string, topic: string, queueId: number): number {
    const queue = this.groups.get(group)?.queues.get(queueKey(topic, queueId));
    return queue === undefined ? 0 : [...queue.all()].filter(({ claim }) => claim !== null).length;
  }

  /** The group with what earlier consumers have left unfinished. */
  open(name: string): PopGroup {
    const known = this.groups.get(name);
    if (known !== undefined) return known;
    const group = new PopGroup(name);
    this.groups.set(name, group);
    for (const [topic, row] of this.#services.state.startingWith(`${PREFIX}${name}/`)) {
      if (typeof row === "object" && row !== null) for (const queueId of Object.keys(row)) this.queue(group, topic, Number(queueId));
    }
    return group;
  }

  queue(group: PopGroup, topic: string, queueId: number): PopQueue {
    const key = queueKey(topic, queueId);
    const known = group.queues.get(key);
    if (known !== undefined) return known;
    const { state, offsets, clock } = this.#services;
    const queue = new PopQueue(topic, queueId);
    group.queues.set(key, queue);
    this.begin(group, queue);
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
  begin(group: PopGroup, queue: PopQueue): void {
    const { offsets, groups } = this.#services;
    queue.begin(offsets.get(group.name, queue.topic, queue.queueId), groups.startOffset(group.name, queue.topic, queue.queueId));
  }

  forgetIdle(group: PopGroup): void {
    if (group.members.size === 0 && this.claimantOf(group.name) === null) this.groups.delete(group.name);
  }

  /** Claims end without an acknowledgement: their messages are free. */
  takeBack(isOver: (claim: Claim) => boolean, { group, wasSeen = true }: { group?: PopGroup; wasSeen?: boolean } = {}): void {
    for (const each of group === undefined ? this.groups.values() : [group]) {
      const touched = each.takeBack(isOver, wasSeen);
      if (touched.size === 0) continue;
      this.write(each, touched);
      each.changed();
      if (group === undefined) this.forgetIdle(each);
    }
  }

  /** What has been deleted is nobody's any more. */
  dropDeleted(group: PopGroup, queue: PopQueue, { minOffset }: ConsumeQueue): void {
    const deleted = [...queue.all()].filter(({ queueOffset }) => queueOffset < minOffset);
    for (const entry of deleted) queue.finish(entry);
    if (deleted.length > 0) this.settle(group, queue);
  }

  /** A message that was given by an earlier broker, when this one has not yet looked at those before it. */
  finishAhead(group: PopGroup, { topic, queueId, next }: PopQueue, queueOffset: number): void {
    const { offsets } = this.#services;
    if (queueOffset < next) return;
    offsets.adoptDone(group.name, topic, queueId, [...offsets.doneBehind(group.name, topic, queueId), [queueOffset, queueOffset + 1]], 0);
  }

  /** The group's offset follows, and what is finished behind it is noted as for any other consumer. */
  settle(group: PopGroup, queue: PopQueue): void {
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
  async keep(group: PopGroup, touched: Iterable<PopQueue>): Promise<void> {
    const topics = new Set([...touched].filter((queue) => group.queues.get(queueKey(queue.topic, queue.queueId)) === queue).map(({ topic }) => topic));
    await Promise.all([...topics].map((topic) => this.#services.state.save(`${PREFIX}${group.name}/${topic}`, group.row(topic, this.#toWall()))));
  }

  /** As `keep`, with some later commit: what it does not bring across a crash happens there by itself. */
  write(group: PopGroup, touched: Iterable<PopQueue>): void {
    for (const topic of new Set([...touched].map((queue) => queue.topic))) this.#services.state.set(`${PREFIX}${group.name}/${topic}`, group.row(topic, this.#toWall()));
  }

  #toWall(): number {
    return this.#services.steady.now() - this.#services.clock.monotonic();
  }
}

function clientOf(owner: string): string {
  return owner.slice(0, owner.lastIndexOf("/"));
}
