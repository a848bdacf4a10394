/** What a run did and saw, and what of it breaks a promise. The checks return violations as text: an empty list is good. */

/** A message at its place in a queue. */
export interface Stored {
  topic: string;
  queueId: number;
  queueOffset: number;
  msgId: string;
  /** Tags and body: what the sender wrote. */
  content: string;
}

export interface Acked extends Stored {
  producer: string;
}

export interface Delivered extends Stored {
  consumer: string;
}

export type Report =
  | { kind: "acked"; messages: Acked[] }
  | { kind: "failed"; producer: string; code: string; outcome: string }
  | { kind: "delivered"; messages: Delivered[] };

export class History {
  readonly acked: Acked[] = [];
  readonly delivered: Delivered[] = [];
  readonly failed: { producer: string; code: string; outcome: string }[] = [];

  add(report: Report): void {
    if (report.kind === "acked") this.acked.push(...report.messages);
    else if (report.kind === "delivered") this.delivered.push(...report.messages);
    else this.failed.push(report);
  }
}

function placeOf({ topic, queueId, queueOffset }: Stored): string {
  return `${topic}:${queueId}:${queueOffset}`;
}

/** Acknowledged messages that are not where the acknowledgement said, or not as they were sent. More may be present. */
export function lost(acked: readonly Acked[], present: readonly Stored[]): string[] {
  const there = new Map(present.map((message) => [placeOf(message), message]));
  return acked.flatMap((message) => {
    const found = there.get(placeOf(message));
    if (found === undefined) return [`lost ${placeOf(message)} ${message.msgId}`];
    if (found.msgId !== message.msgId) return [`replaced ${placeOf(message)}: ${message.msgId} by ${found.msgId}`];
    return found.content === message.content ? [] : [`changed ${placeOf(message)}: ${message.content} into ${found.content}`];
  });
}

/** Acknowledged messages of one producer and queue that do not stand in the order of their sending. `numberOf`: a message's place in it. */
export function disordered<Message extends Acked>(acked: readonly Message[], numberOf: (message: Message) => number): string[] {
  const lines = new Map<string, Message[]>();
  for (const message of acked) {
    const line = `${message.producer} ${message.topic}:${message.queueId}`;
    lines.set(line, [...(lines.get(line) ?? []), message]);
  }
  return [...lines].flatMap(([line, messages]) => {
    const sorted = messages.toSorted((a, b) => numberOf(a) - numberOf(b));
    return sorted.flatMap((message, at) => {
      const before = sorted[at - 1];
      return before === undefined || before.queueOffset < message.queueOffset ? [] : [`${line}: ${placeOf(message)} after ${placeOf(before)}`];
    });
  });
}

/** Two messages at one offset, or an offset nobody has between two that are there. */
export function gaps(present: readonly Stored[]): string[] {
  const sorted = present.toSorted((a, b) => a.topic.localeCompare(b.topic) || a.queueId - b.queueId || a.queueOffset - b.queueOffset);
  return sorted.flatMap((message, at) => {
    const before = sorted[at - 1];
    if (before === undefined || before.topic !== message.topic || before.queueId !== message.queueId) return [];
    return message.queueOffset === before.queueOffset + 1 ? [] : [`${placeOf(message)} follows ${placeOf(before)}`];
  });
}

/** Messages that nobody got. */
export function undelivered(acked: readonly Acked[], delivered: readonly Delivered[]): string[] {
  const got = new Set(delivered.map((message) => message.msgId));
  return acked.filter((message) => !got.has(message.msgId)).map((message) => `undelivered ${placeOf(message)}`);
}

/** Messages that were delivered more than once. */
export function deliveredTwice(delivered: readonly Delivered[]): string[] {
  const first = new Map<string, Delivered>();
  return delivered.flatMap((message) => {
    const earlier = first.get(message.msgId);
    if (earlier === undefined) first.set(message.msgId, message);
    return earlier === undefined ? [] : [`${placeOf(message)} to ${earlier.consumer} and ${message.consumer}`];
  });
}
