import { MQError } from "../model/errors.ts";
import type { Finish } from "../model/finish.ts";
import { FETCH_TARGET_BYTES, MAX_CLAIMS } from "../model/limits.ts";
import { byPriority, queueScan } from "../model/priority.ts";
import { PROPERTY } from "../model/properties.ts";
import { RECORD } from "../model/record.ts";
import { readAllStored, readStored } from "../model/record-copy.ts";
import type { Clock } from "../platform/clock.ts";
import { sleep, type Timers } from "../platform/timers.ts";
import type { ReceiveRequest } from "../protocol/api.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { Groups, Popper } from "./groups.ts";
import type { Offsets } from "./offsets.ts";
import type { Claimed, PopGroup } from "./pop-group.ts";
import type { PopLedger } from "./pop-ledger.ts";
import type { PopQueue, Unfinished } from "./pop-queue.ts";
import { EVERYTHING, type QueueReader } from "./queue-reader.ts";
import type { RetryService } from "./retry.ts";
import { PERM_READ, type Topics } from "./topics.ts";

/** How soon a dead letter that was refused is tried again, ms. */
const REFUSED_DELAY = 1000;

export interface PopClaimsServices {
  epoch: number;
  groups: Groups;
  topics: Topics;
  queues: ConsumeQueueStore;
  offsets: Offsets;
  reader: QueueReader;
  retries: RetryService;
  clock: Clock;
  timers: Timers;
}

export interface Given extends Claimed {
  record: Uint8Array;
}

/** Looks for messages that a simple consumer may have, and claims them for it. */
export class PopClaims {
  readonly #services: PopClaimsServices;
  readonly #ledger: PopLedger;
  readonly #onClaim: (until: number) => void;
  #number = 0;
  #stopped = false;

  /** `onClaim`: a claim is over at this time, ms on the monotonic clock. */
  constructor(services: PopClaimsServices, ledger: PopLedger, onClaim: (until: number) => void) {
    this.#services = services;
    this.#ledger = ledger;
    this.#onClaim = onClaim;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** May it still be given something? */
  isAlive(member: Popper): boolean {
    return !this.#stopped && !member.isDisplaced && member.group.members.has(member.id);
  }

  /** Claims what there is of all queues, in turn. */
  async take(group: PopGroup, member: Popper, request: ReceiveRequest): Promise<Given[]> {
    const { topics } = this.#services;
    const given: Given[] = [];
    const queues = [...member.subscriptions].flatMap(([topic, { failure }]) => {
      const config = topics.find(topic);
      if (failure !== null || config === undefined || (config.perm & PERM_READ) === 0) return [];
      return Array.from({ length: config.readQueueNums }, (_, queueId) => this.#ledger.queue(group, topic, queueId));
    });
    const inTurn = queueScan({ queues: queues.length, priorityOrderAsc: false, priorityMode: false, random: group.turn++ }).map((at) => queues[at]!);
    try {
      for (const queue of byPriority(inTurn, topics.hasPriorities)) {
        if (given.length >= request.max || bytesOf(given) >= FETCH_TARGET_BYTES || !this.isAlive(member)) break;
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
      if (offsets.get(group.name, topic, queueId) !== queue.offset) this.#ledger.begin(group, queue);
      this.#ledger.dropDeleted(group, queue, stored);
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
        if (!this.isAlive(member)) return;
        // Meanwhile the offset may have been set elsewhere, or the message deleted.
        if (queue.find(queueOffset) !== entry || entry.claim !== null || entry.isDying) continue;
        if (record.byteLength === 0 || readStored(record).queueOffset !== queueOffset) {
          // What cannot be read is skipped, as everywhere.
          queue.finish(entry);
          this.#ledger.settle(group, queue);
          continue;
        }
        // Not as it was stored, but as often as it was received since then.
        new DataView(record.buffer, record.byteOffset).setInt32(RECORD.reconsumeTimes, entry.reconsumeTimes);
        const claim = { owner: member.pops.owner, epoch, number: ++this.#number, version: 0, receive, until: clock.monotonic() + invisibleDuration };
        queue.give(entry, claim);
        this.#onClaim(claim.until);
        given.push({ queue, entry, claim, record });
      }
      if (isFull() || queue.isBlocked || !group.hasRoom || queue.next >= stored.maxOffset) return;
      const begin = Math.max(queue.next, stored.minOffset);
      const { beginnings } = queue;
      const read = await reader.read(stored, begin, filter, max - given.length, FETCH_TARGET_BYTES - bytesOf(given));
      if (!this.isAlive(member)) return;
      // Moved, deleted or filtered otherwise under the reader: it begins anew.
      if (begin < stored.minOffset || filter !== member.subscriptions.get(topic) || beginnings !== queue.beginnings || offsets.get(group.name, topic, queueId) !== queue.offset) continue;
      for (const { bytes, queueOffset, properties, reconsumeTimes } of readAllStored(read.records)) {
        if (queue.find(queueOffset) !== undefined || offsets.isDone({ group: group.name, topic, queueId, queueOffset })) continue;
        queue.add(queueOffset, properties[PROPERTY.SHARDING_KEY] ?? null, reconsumeTimes);
        fresh.set(queueOffset, bytes);
      }
      queue.next = Math.max(queue.next, read.nextOffset);
      this.#ledger.settle(group, queue);
      if (read.isCut) await sleep(timers, 0);
    }
  }

  /** It has been given too often. Until its copy is durable it stays where it is, and is given to nobody. */
  #bury(group: PopGroup, queue: PopQueue, entry: Unfinished): void {
    const finish: Finish = { group: group.name, topic: queue.topic, queueId: queue.queueId, queueOffset: entry.queueOffset };
    entry.isDying = true;
    const ended = (): void => {
      entry.isDying = false;
      if (queue.find(entry.queueOffset) !== entry) return;
      if (this.#services.offsets.isDone(finish)) queue.finish(entry);
      this.#ledger.settle(group, queue);
      this.#ledger.write(group, [queue]);
      group.changed();
    };
    this.#services.retries.bury(finish, entry.reconsumeTimes, `It was received ${entry.reconsumeTimes} times and never acknowledged.`).then(ended, () => {
      // Nothing has changed; whoever asks next tries again.
      this.#services.timers.after(REFUSED_DELAY, () => !this.#stopped && ended());
    });
  }
}

export function bytesOf(given: Given[]): number {
  return given.reduce((sum, { record }) => sum + record.byteLength, 0);
}
