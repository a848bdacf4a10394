/** Of a message with a priority: one queue a level, and one for all levels beyond. Source: RocketMQ RIP-80. */
export function priorityQueue(priority: number, writeQueues: number): number {
  return Math.min(priority, writeQueues - 1);
}

export interface QueueScan {
  queues: number;
  /** Whether a higher id is the higher priority. Default true. */
  priorityOrderAsc?: boolean;
  /** The highest first, and not each in its turn. */
  priorityMode: boolean;
  /** Whose turn it is, any integer from 0 on. */
  random?: number;
}

/** In which order RocketMQ's POP looks into the queues of a topic. */
export function queueScan({ queues, priorityOrderAsc = true, priorityMode, random = 0 }: QueueScan): number[] {
  const first = priorityMode ? 0 : random;
  return Array.from({ length: queues }, (_, at) => {
    const queueId = (first + at) % queues;
    return priorityOrderAsc ? queues - 1 - queueId : queueId;
  });
}

/** Queues of several topics in turn: those of a priority topic keep their places among the others, and take them by priority. */
export function byPriority<Queue extends { topic: string; queueId: number }>(queues: Queue[], hasPriorities: (topic: string) => boolean): Queue[] {
  // Nearly always.
  if (!queues.some(({ topic }) => hasPriorities(topic))) return queues;
  const topics = new Set(queues.map(({ topic }) => topic).filter(hasPriorities));
  const ordered = [...queues];
  for (const topic of topics) {
    const places = queues.flatMap((queue, place) => (queue.topic === topic ? [place] : []));
    const own = places.map((place) => queues[place]!).sort((a, b) => a.queueId - b.queueId);
    for (const [turn, at] of queueScan({ queues: own.length, priorityMode: true }).entries()) ordered[places[turn]!] = own[at]!;
  }
  return ordered;
}
