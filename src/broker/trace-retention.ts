import { MAX_TRACE_MESSAGES, QUEUE_PAGE_ENTRIES } from "../model/limits.ts";
import { TRACE_TOPIC } from "../model/system-names.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";

/**
 * Keeps the trace topic short: beyond so many messages it begins anew, page by page. All topics share the log, which is
 * cut in whole blocks: what the topic has given up, pages and records, takes its room until the log's own retention comes by.
 * Nothing is noted: a start finds the same beginning by the same rule.
 */
export class TraceRetention {
  readonly #queues: ConsumeQueueStore;

  constructor(queues: ConsumeQueueStore) {
    this.#queues = queues;
  }

  /** Call when the log is recovered. */
  start(): void {
    const queue = this.#queues.find(TRACE_TOPIC, 0);
    if (queue !== undefined) cut(queue);
  }

  /** New messages are visible in these queues. */
  published(queues: Iterable<ConsumeQueue>): void {
    for (const queue of queues) if (queue.topic === TRACE_TOPIC) cut(queue);
  }
}

function cut(queue: ConsumeQueue): void {
  const begin = queue.maxOffset - MAX_TRACE_MESSAGES;
  if (begin - queue.minOffset >= QUEUE_PAGE_ENTRIES) queue.beginAt(begin - (begin % QUEUE_PAGE_ENTRIES));
}
