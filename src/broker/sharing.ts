import { type AllocateStrategyName, allocateMessageQueues, consistentHashClients, ringPoints } from "../model/allocation.ts";
import { MQError } from "../model/errors.ts";
import { type MessageQueue, queueKey } from "../model/queue.ts";
import type { AllocateReply } from "../protocol/api.ts";
import type { Member } from "./member.ts";

/** A topic's queues, and the members that share them, both in RocketMQ's order. Neither list is empty. */
export interface Share {
  topic: string;
  queues: MessageQueue[];
  takers: Member[];
}

/** queueKey -> whom the queue is for */
export type Targets = Map<string, Member>;

/** There is one broker, in the room where all tabs are. */
const ROOM = "browser";

/** Who gets what by a strategy that has a name. */
export function shareByStrategy(strategy: AllocateStrategyName, shares: Share[]): Targets {
  const targets: Targets = new Map();
  for (const { topic, queues, takers } of shares) {
    const clientIds = takers.map(({ consumerId }) => consumerId);
    const byId = new Map(takers.map((taker) => [taker.consumerId, taker]));
    if (strategy === "CONSISTENT_HASH") {
      consistentHashClients(new Map(takers.map((taker) => [taker.consumerId, pointsOf(taker)])), queues).forEach((client, at) => targets.set(keyOf(queues[at]!), byId.get(client!)!));
    } else if (strategy === "CONFIG") {
      const known = new Set(queues.map(keyOf));
      // In RocketMQ two clients may be configured to consume one queue, each message twice. Here the first has it.
      for (const taker of takers) {
        for (const key of taker.configured.filter((queue) => queue.topic === topic).map(keyOf)) {
          if (known.has(key) && !targets.has(key)) targets.set(key, taker);
        }
      }
    } else {
      const options = { clientIds, queues: queues.map((queue) => ({ ...queue, brokerName: `${ROOM}@${queue.brokerName}` })), consumerIdcs: [ROOM], brokerRoom: () => ROOM, consumerRoom: () => ROOM };
      for (const [currentClientId, taker] of byId) {
        for (const queue of allocateMessageQueues(strategy, { ...options, currentClientId })) targets.set(keyOf(queue), taker);
      }
    }
  }
  return targets;
}

const points = new WeakMap<Member, number[]>();

/** Computed once for each member, and not at every change of a large group. */
function pointsOf(member: Member): number[] {
  const known = points.get(member) ?? ringPoints(member.consumerId);
  points.set(member, known);
  return known;
}

/** What there is stays with whom it is for, as far as that member still takes part. */
export function keep(before: Targets, shares: Share[]): Targets {
  const targets: Targets = new Map();
  for (const { queues, takers } of shares) {
    for (const key of queues.map(keyOf)) {
      const target = before.get(key);
      if (target !== undefined && takers.includes(target)) targets.set(key, target);
    }
  }
  return targets;
}

/** The same, and what is for nobody is shared out by AVG, so that no message waits for a strategy that does not answer. */
export function keepAndShare(before: Targets, shares: Share[]): Targets {
  const kept = keep(before, shares);
  const orphans = shares.flatMap(({ queues, ...rest }): Share[] => {
    const free = queues.filter((queue) => !kept.has(keyOf(queue)));
    return free.length === 0 ? [] : [{ ...rest, queues: free }];
  });
  return new Map([...kept, ...shareByStrategy("AVG", orphans)]);
}

/**
 * What a leader has said. A queue may be left out, as in RocketMQ: then nobody has it.
 * @throws MQError INVALID_PARAMETER for a queue or client that it was not asked about, and for a queue that is given twice
 */
export function shareAsTold(told: NonNullable<AllocateReply["shares"]>, shares: Share[]): Targets {
  const refuse = (message: string): never => {
    throw new MQError("INVALID_PARAMETER", `The group's allocateMessageQueueStrategy ${message}.`, { field: "allocateMessageQueueStrategy" });
  };
  const byTopic = new Map(shares.map(({ topic, queues, takers }) => [topic, { count: queues.length, byId: new Map(takers.map((taker) => [taker.consumerId, taker])) }]));
  const targets: Targets = new Map();
  for (const [clientId, topic, queueId] of told) {
    const share = byTopic.get(topic);
    const key = queueKey(topic, queueId);
    if (share === undefined || queueId >= share.count) return refuse(`gave the queue ${key}, which there is not to share`);
    const target = share.byId.get(clientId) ?? refuse(`gave ${key} to "${clientId}", who does not share it`);
    if (targets.has(key)) refuse(`gave ${key} twice, to "${targets.get(key)!.consumerId}" and to "${clientId}"`);
    targets.set(key, target);
  }
  return targets;
}

export function keyOf({ topic, queueId }: { topic: string; queueId: number }): string {
  return queueKey(topic, queueId);
}
