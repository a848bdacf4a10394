import { MAX_CLAIMS } from "../model/limits.ts";
import { queueKey } from "../model/queue.ts";
import type { ClaimHandle } from "../protocol/api.ts";
import type { Popper } from "./groups.ts";
import type { Claim, PopQueue, Unfinished } from "./pop-queue.ts";

/** A claim, and where it is. */
export interface Claimed {
  queue: PopQueue;
  entry: Unfinished;
  claim: Claim;
}

/** A group whose consumers pop: its queues, and who waits for a message. */
export class PopGroup {
  readonly name: string;
  /** By queueKey. */
  readonly queues = new Map<string, PopQueue>();
  readonly members = new Set<Popper>();
  /** Counted, so that nothing slips between a look and the sleep after it. */
  changes = 0;
  /** Where the next look begins, so that a full queue does not starve the others. */
  turn = 0;
  readonly #sleepers = new Set<{ member: Popper; wake: () => void }>();

  constructor(name: string) {
    this.name = name;
  }

  /** Something may be there for those who wait, all or some. */
  changed(concerns: (member: Popper) => boolean = () => true): void {
    this.changes++;
    for (const { member, wake } of this.#sleepers) if (concerns(member)) wake();
  }

  /** `onWaiting` gets what ends the sleep, besides a change. */
  sleep(member: Popper, onWaiting: (wake: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const sleeper = { member, wake: () => (this.#sleepers.delete(sleeper), resolve()) };
      this.#sleepers.add(sleeper);
      onWaiting(sleeper.wake);
    });
  }

  *claims(): Generator<Claimed> {
    for (const queue of this.queues.values()) {
      for (const entry of queue.all()) if (entry.claim !== null) yield { queue, entry, claim: entry.claim };
    }
  }

  /** Whether it may be given what it was not given before. */
  get hasRoom(): boolean {
    let given = 0;
    for (const queue of this.queues.values()) given += queue.given;
    return given < MAX_CLAIMS;
  }

  /** The claim that a handle names: of this owner, not over, and of this version. */
  find(owner: string, { topic, queueId, queueOffset, epoch, number }: ClaimHandle, version: number, now: number): Claimed | null {
    const queue = this.queues.get(queueKey(topic, queueId));
    const entry = queue?.find(queueOffset);
    const claim = entry?.claim;
    if (queue === undefined || entry === undefined || claim === undefined || claim === null) return null;
    const isSame = claim.owner === owner && claim.epoch === epoch && claim.number === number && claim.version === version;
    return isSame && claim.until > now ? { queue, entry, claim } : null;
  }

  /** Claims end without an acknowledgement; returns where. `wasSeen`: somebody may have failed at the message. */
  takeBack(isOver: (claim: Claim) => boolean, wasSeen: boolean): Set<PopQueue> {
    const touched = new Set<PopQueue>();
    for (const { queue, entry, claim } of this.claims()) {
      if (!isOver(claim)) continue;
      queue.takeBack(entry);
      if (!wasSeen) entry.reconsumeTimes--;
      touched.add(queue);
    }
    return touched;
  }

  /** What is stored of a topic, by queue. */
  row(topic: string, toWall: number): object {
    const queues = [...this.queues.values()].filter((queue) => queue.topic === topic).map((queue) => [queue.queueId, queue.rows(toWall)] as const);
    return Object.fromEntries(queues.filter(([, rows]) => rows.length > 0));
  }
}
