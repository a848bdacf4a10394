import { errorFromData, errorToData, MQError } from "../model/errors.ts";
import { MEMBER_EXPIRY } from "../model/limits.ts";
import { queueKey } from "../model/queue.ts";
import { Alarm } from "../platform/alarm.ts";
import { concat } from "../platform/bytes.ts";
import type { AckReply, AckRequest, ChangeInvisibleRequest, ClaimHandle, ReceiveReply, ReceiveRequest } from "../protocol/api.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import { consumingIsOff } from "./group-configs.ts";
import { displacement } from "./group-terms.ts";
import type { Popper } from "./groups.ts";
import { bytesOf, type Given, PopClaims, type PopClaimsServices } from "./pop-claims.ts";
import type { Claimed, PopGroup } from "./pop-group.ts";
import { PopLedger, type PopLedgerServices } from "./pop-ledger.ts";
import type { PopQueue } from "./pop-queue.ts";
import type { Traffic } from "./traffic.ts";

const EMPTY = new Uint8Array(0);

export interface PopServices extends PopClaimsServices, PopLedgerServices {
  traffic: Traffic;
}

/**
 * Serves simple consumers: nobody owns a queue, each message is claimed for a time, and comes again in its place when it is
 * not acknowledged by then. A claim is durable before its message is given, an acknowledgement before it is answered: so
 * the next broker gives nothing that is claimed or finished.
 */
export class PopService {
  readonly ledger: PopLedger;
  readonly #services: PopServices;
  readonly #claims: PopClaims;
  readonly #alarm: Alarm;
  #stopped = false;

  constructor(services: PopServices) {
    this.#services = services;
    this.ledger = new PopLedger(services);
    this.#claims = new PopClaims(services, this.ledger, (until) => this.#alarm.by(until));
    this.#alarm = new Alarm(services.timers, services.clock, (now) => this.#expire(now));
  }

  /** Takes over the claims of the broker before. Who made them and does not come, is dead. */
  start(): void {
    const { groups, clock, timers } = this.#services;
    this.ledger.start();
    if (this.ledger.groups.size === 0) return;
    this.#alarm.by(clock.monotonic());
    timers.after(MEMBER_EXPIRY, () => {
      for (const group of this.#stopped ? [] : this.ledger.groups.values()) {
        const owners = new Set([...(groups.find(group.name)?.members.values() ?? [])].map(({ pops }) => pops?.owner));
        this.ledger.takeBack(({ owner }) => !owners.has(owner), { group });
        this.ledger.forgetIdle(group);
      }
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#alarm.stop();
    this.#claims.stop();
    for (const group of this.ledger.groups.values()) group.changed();
  }

  async receive(member: Popper, request: ReceiveRequest): Promise<ReceiveReply> {
    const { groups } = this.#services;
    const group = this.ledger.open(member.group.name);
    group.members.add(member);
    // Its first answer has not arrived: nobody has seen those messages.
    this.ledger.takeBack(({ owner, receive }) => owner === member.pops.owner && receive === request.receive, { group, wasSeen: false });
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
        const given = await this.#claims.take(group, member, request);
        if (given.length > 0) return await this.#hand(group, member, given);
        if (isLate || !this.#claims.isAlive(member)) return { records: EMPTY, handles: [], ...subscribed(member) };
        if (changes === group.changes) await group.sleep(member, (ends) => (wake = ends));
      }
    } finally {
      cancel();
    }
  }

  /** What is acknowledged is finished. */
  async ack(member: Popper, { handles, again }: AckRequest): Promise<AckReply> {
    const group = this.ledger.open(member.group.name);
    const refused: AckReply["refused"] = [];
    const touched = new Set<PopQueue>();
    for (const [index, handle] of handles.entries()) {
      const found = this.#find(group, member, handle, handle.version);
      if (found !== null) {
        found.queue.finish(found.entry);
        this.ledger.finishAhead(group, found.queue, found.entry.queueOffset);
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
      for (const queue of touched) this.ledger.settle(group, queue);
      group.changed();
      await this.ledger.keep(group, touched);
    }
    return { refused };
  }

  /** The answer is the claim's new handle; the old one is void. */
  async changeInvisible(member: Popper, { handle, invisibleDuration, again }: ChangeInvisibleRequest): Promise<ClaimHandle> {
    const group = this.ledger.open(member.group.name);
    const found = this.#find(group, member, handle, handle.version) ?? (again ? this.#find(group, member, handle, handle.version + 1) : null);
    if (found === null) throw voidHandle(handle);
    const { queue, entry, claim } = found;
    const version = handle.version + 1;
    entry.claim = { ...claim, version, until: this.#services.clock.monotonic() + invisibleDuration };
    this.#alarm.by(entry.claim.until);
    await this.ledger.keep(group, [queue]);
    return { ...handle, version };
  }

  /** A simple consumer has left, or is dead: what it has not finished is for the others at once. */
  gone(member: Popper): void {
    const group = this.ledger.groups.get(member.group.name);
    if (group === undefined) return;
    group.members.delete(member);
    this.ledger.takeBack(({ owner }) => owner === member.pops.owner, { group });
    group.changed((other) => other === member);
    this.ledger.forgetIdle(group);
  }

  /** An admin begins the queue anew for the group: what consumers have in hand of it is void. Goes with the offset, which is set in the same task. */
  reset(name: string, topic: string, queueId: number, offset: number): void {
    const group = this.ledger.groups.get(name);
    const queue = group?.queues.get(queueKey(topic, queueId));
    if (group === undefined || queue === undefined) return;
    queue.begin(offset, offset);
    this.ledger.write(group, [queue]);
    group.changed();
    this.ledger.forgetIdle(group);
  }

  /** Its members are subscribed to something else now, or have to go. */
  termsChanged(name: string): void {
    this.ledger.groups.get(name)?.changed();
  }

  /** New messages are visible in these queues. */
  published(queues: Iterable<ConsumeQueue>): void {
    for (const { topic } of queues) {
      for (const group of this.ledger.groups.values()) group.changed((member) => member.subscriptions.has(topic));
    }
  }

  /** Answers when another broker would know the claims too. */
  async #hand(group: PopGroup, member: Popper, given: Given[]): Promise<ReceiveReply> {
    await this.ledger.keep(group, new Set(given.map(({ queue }) => queue))).catch((error: unknown) => {
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

  #expire(now: number): number {
    this.ledger.takeBack(({ until }) => until <= now);
    let next = Number.POSITIVE_INFINITY;
    for (const group of this.ledger.groups.values()) for (const { claim } of group.claims()) next = Math.min(next, claim.until);
    return next;
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

function voidHandle({ topic, queueId, queueOffset }: ClaimHandle): MQError {
  return new MQError("INVALID_RECEIPT_HANDLE", `The claim of ${queueKey(topic, queueId)} offset ${queueOffset} is over, or its handle void: the message is another consumer's, or will be.`, { field: "message" });
}
