import { MQError } from "./errors.ts";
import { javaHash, jumpHash, sipHashMod } from "./hash.ts";

/** One queue of a topic. */
export interface MessageQueue {
  topic: string;
  brokerName: string;
  /** From 0. */
  queueId: number;
}

/** Chooses the queue of one message; `queues` is not empty, `arg` is what the caller gave to `send`. */
export type MessageQueueSelector<M = unknown> = (queues: MessageQueue[], message: M, arg: unknown) => MessageQueue;

/** Java's `hashCode` of what a Java caller would have passed: String, Integer (numbers beyond int32: Long), Long for bigint. */
function javaHashCode(arg: unknown): number {
  if (typeof arg === "bigint") return Number(BigInt.asIntN(32, arg ^ (arg >> 32n)));
  if (typeof arg === "number" && Number.isInteger(arg)) {
    const int = arg | 0;
    return int === arg ? int : Math.floor(arg / 2 ** 32) ^ int;
  }
  return javaHash(String(arg));
}

function hashOf(arg: unknown, selector: string): number {
  if (arg !== undefined && arg !== null) return javaHashCode(arg);
  throw new MQError("INVALID_PARAMETER", `arg: ${selector} needs the value to hash, for example send(message, { selector, arg: orderId }).`, { field: "arg" });
}

function checkQueues(queues: readonly MessageQueue[]): void {
  if (!Array.isArray(queues) || queues.length === 0) throw new MQError("INVALID_PARAMETER", "queues: a selector needs at least one queue to choose from.", { field: "queues" });
}

/**
 * The same `arg` always gets the same queue: Java hash of `arg`, remainder, then absolute value.
 * Source: RocketMQ client/producer/selector/SelectMessageQueueByHash.java.
 * @throws MQError INVALID_PARAMETER when `arg` is missing or `queues` is empty
 */
export function SelectMessageQueueByHash(queues: MessageQueue[], _message: unknown, arg: unknown): MessageQueue {
  checkQueues(queues);
  return queues[Math.abs(hashOf(arg, "SelectMessageQueueByHash") % queues.length)]!;
}

/**
 * The same `arg` gets the same queue, and when the topic gets more queues, few move: jump consistent hash of its Java
 * hash, as RocketMQ's proxy places message groups. Source: RocketMQ proxy/grpc/v2/producer/SendMessageActivity.java.
 * @throws MQError INVALID_PARAMETER when `arg` is missing or `queues` is empty
 */
export function SelectMessageQueueByConsistentHash(queues: MessageQueue[], _message: unknown, arg: unknown): MessageQueue {
  checkQueues(queues);
  return queues[jumpHash(hashOf(arg, "SelectMessageQueueByConsistentHash"), queues.length)]!;
}

/** Any queue, each as likely. @throws MQError INVALID_PARAMETER when `queues` is empty */
export function SelectMessageQueueByRandom(queues: MessageQueue[]): MessageQueue {
  checkQueues(queues);
  return queues[Math.floor(Math.random() * queues.length)]!;
}

let utf8: TextEncoder | undefined;

/**
 * The queue (0 <= result < count) of a FIFO message group: SipHash-2-4 of its UTF-8 bytes, floor-modulo `count`.
 * Source: rocketmq-clients, java PublishingLoadBalancer.
 */
export function queueOfMessageGroup(group: string, count: number): number {
  return sipHashMod((utf8 ??= new TextEncoder()).encode(group), count);
}

/** RocketMQ's default choice of a queue: an int32 counter that is raised before use, its sign bit masked. */
export class RoundRobin {
  #counter: number;

  /** `start` is the counter before the first call, any int32; RocketMQ takes a random one. */
  constructor(start: number) {
    this.#counter = start | 0;
  }

  /** 0 <= result < count; `count` >= 1. */
  next(count: number): number {
    this.#counter = (this.#counter + 1) | 0;
    return (this.#counter & 0x7fffffff) % count;
  }

  /**
   * The next queue of another broker than the one where the last try has failed; when there is none, the next of all.
   * Source: RocketMQ client/impl/producer/TopicPublishInfo.selectOneMessageQueue.
   */
  choose<Queue extends Pick<MessageQueue, "brokerName">>(queues: readonly Queue[], lastFailedBroker: string | null): Queue {
    if (lastFailedBroker !== null) {
      for (let tries = queues.length; tries > 0; tries--) {
        const queue = queues[this.next(queues.length)]!;
        if (queue.brokerName !== lastFailedBroker) return queue;
      }
    }
    return queues[this.next(queues.length)]!;
  }
}

/** A key for maps; topics hold no colon, so it is unambiguous. */
export function queueKey(topic: string, queueId: number): string {
  return `${topic}:${queueId}`;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The order in which RocketMQ hands queues to an allocation strategy: topic, broker name (both by UTF-16 units), queue id. */
export function compareQueues(a: MessageQueue, b: MessageQueue): number {
  return compareText(a.topic, b.topic) || compareText(a.brokerName, b.brokerName) || a.queueId - b.queueId;
}
