import { MQError, textOf } from "../model/errors.ts";
import type { Message } from "../model/message.ts";
import { priorityQueue } from "../model/priority.ts";
import type { MessageQueue, MessageQueueSelector } from "../model/queue.ts";
import { queueOfMessageGroup, RoundRobin } from "../model/queue.ts";
import type { Random } from "../platform/random.ts";
import { randomUint32 } from "../platform/random.ts";
import type { TopicConfig } from "../protocol/api.ts";

/** What decides the queue: the caller's word, the message's group or its priority, or nothing. */
interface Wanted {
  message: Message;
  messageGroup: string | undefined;
  priority: number | undefined;
  options: { queue?: MessageQueue; selector?: MessageQueueSelector<Message>; arg?: unknown };
}

/** Chooses the queue that a message goes to. */
export class QueueChooser {
  readonly #random: Random;
  /** One per topic: a shared counter would starve queues of topics that take turns. */
  readonly #roundRobins = new Map<string, RoundRobin>();

  constructor(random: Random) {
    this.#random = random;
  }

  choose({ topic, brokerName, writeQueueNums }: TopicConfig, { message, messageGroup, priority, options }: Wanted): MessageQueue {
    const { queue, selector, arg } = options;
    if (queue !== undefined) {
      if (queue.topic !== topic || queue.brokerName !== brokerName || queue.queueId >= writeQueueNums) throw noSuchQueue(queue, "send.queue", topic, writeQueueNums);
      return { topic, brokerName, queueId: queue.queueId };
    }
    if (selector !== undefined) {
      const queues = Array.from({ length: writeQueueNums }, (_, queueId) => ({ topic, brokerName, queueId }));
      try {
        const chosen: MessageQueue | undefined = selector(queues, message, arg);
        const queueId = chosen?.queueId;
        const isKnown = chosen?.topic === topic && Number.isInteger(queueId) && queueId! >= 0 && queueId! < writeQueueNums;
        if (!isKnown) throw noSuchQueue(chosen, "send.selector", topic, writeQueueNums);
        return { topic, brokerName, queueId: queueId! };
      } catch (cause) {
        if (cause instanceof MQError) throw cause;
        throw new MQError("INVALID_PARAMETER", `send.selector failed: ${textOf(cause)}`, { field: "send.selector", cause });
      }
    }
    if (priority !== undefined) return { topic, brokerName, queueId: priorityQueue(priority, writeQueueNums) };
    const queueId = messageGroup === undefined ? this.#nextQueue(topic, writeQueueNums) : queueOfMessageGroup(messageGroup, writeQueueNums);
    return { topic, brokerName, queueId };
  }

  #nextQueue(topic: string, count: number): number {
    let roundRobin = this.#roundRobins.get(topic);
    if (roundRobin === undefined) {
      roundRobin = new RoundRobin(randomUint32(this.#random));
      this.#roundRobins.set(topic, roundRobin);
    }
    return roundRobin.next(count);
  }
}

function noSuchQueue(queue: MessageQueue | undefined, field: string, topic: string, count: number): MQError {
  const shown = queue instanceof Promise ? "a Promise" : typeof queue !== "object" || queue === null ? "nothing" : `queue ${queue.queueId} of "${queue.topic}" at "${queue.brokerName}"`;
  return new MQError("INVALID_PARAMETER", `${field}: topic "${topic}" has the queues 0 to ${count - 1}; ${shown} is none of them.`, { field });
}
