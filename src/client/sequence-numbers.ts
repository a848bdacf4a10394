import { asMQError, MQError } from "../model/errors.ts";
import { MAX_SENT_PROPERTIES } from "../model/message.ts";
import { queueKey } from "../model/queue.ts";
import { MAX_STAMP_BYTES, MAX_STAMP_VOIDS, type NumberRange, stampProperty } from "../model/sequence.ts";
import type { QueueRef } from "../protocol/api.ts";
import type { OutboxEntry } from "./outbox.ts";

/** Messages of one queue whose outcome nobody knows, and that may be sent again. */
const MAX_DOUBTFUL = 1000;

/** One queue. */
interface Line {
  readonly queueId: number;
  next: number;
  /** Sent, and not answered yet, ascending; with the void numbers that it tells. */
  readonly open: Map<number, readonly NumberRange[]>;
  /** Certainly not stored, and not told yet by a message that is. */
  voids: NumberRange[];
  /** By msgId: sent again to this queue, it is the same message. */
  readonly doubtful: Map<string, number>;
}

/**
 * Numbers what a producer sends, for each queue by itself, so that consumers notice what is missing, and what comes
 * twice. A number whose message is certainly not stored is void: the next messages say so, because those that
 * were already on their way have their numbers.
 */
export class SequenceNumbers {
  readonly #producer: string;
  readonly #lines = new Map<string, Line>();

  constructor(producer: string) {
    this.#producer = producer;
  }

  /** The entries as they are to be sent. @throws MQError MESSAGE_ILLEGAL where a message has no room for its number */
  number(queue: QueueRef, entries: OutboxEntry[]): OutboxEntry[] {
    for (const { draft } of entries) {
      if (draft.propertiesBytes + MAX_STAMP_BYTES <= MAX_SENT_PROPERTIES) continue;
      throw new MQError("MESSAGE_ILLEGAL", `Properties, tags and keys take ${draft.propertiesBytes} bytes together; with sequenceAudit ${MAX_SENT_PROPERTIES - MAX_STAMP_BYTES} are allowed.`, { field: "message.properties" });
    }
    const line = this.#lineOf(queue);
    return entries.map((entry) => this.#number(line, entry));
  }

  #number(line: Line, entry: OutboxEntry): OutboxEntry {
    const { msgId } = entry.draft;
    const known = line.doubtful.get(msgId);
    const number = known ?? line.next++;
    const [firstOpen = number] = line.open.keys();
    const voids = line.voids.slice(0, MAX_STAMP_VOIDS);
    const [firstUntold = firstOpen] = line.voids[MAX_STAMP_VOIDS] ?? [];
    const property = stampProperty({ producer: this.#producer, number, settled: Math.min(firstOpen, firstUntold), voids });
    const draft = { ...entry.draft, properties: entry.draft.properties + property, propertiesBytes: entry.draft.propertiesBytes + property.length };
    // A second one of a number that is settled settles nothing.
    if (known === undefined) line.open.set(number, voids);
    const { topic, queueId, from } = entry;
    const isAgain = from !== undefined;
    return {
      draft, topic, queueId, from,
      stored: (...place) => {
        line.open.delete(number);
        // What was found is what an earlier try has stored: it may tell less.
        if (!isAgain && voids.length > 0) line.voids = line.voids.filter((range) => !voids.includes(range));
        if (isAgain) this.#settle(msgId, { line, number }, place[3]);
        entry.stored(...place);
      },
      refused: (error) => {
        const isOpen = line.open.delete(number);
        if (asMQError(error).outcome === "unknown") this.#doubt(line, msgId, number);
        else if (isAgain) this.#settle(msgId, { line, number }, null);
        else if (isOpen) line.voids = withNumber(line.voids, number);
        entry.refused(error);
      },
    };
  }

  /** Of a message that was in doubt it is known where it is stored, or that it is not: its numbers elsewhere are void. */
  #settle(msgId: string, last: { line: Line; number: number }, queueId: number | null): void {
    const given = new Map([[last.line, last.number]]);
    for (const line of this.#lines.values()) {
      const number = line.doubtful.get(msgId);
      if (number !== undefined) given.set(line, number);
      line.doubtful.delete(msgId);
    }
    for (const [line, number] of given) if (line.queueId !== queueId) line.voids = withNumber(line.voids, number);
  }

  #doubt({ doubtful }: Line, msgId: string, number: number): void {
    doubtful.set(msgId, number);
    for (const oldest of doubtful.keys()) {
      if (doubtful.size <= MAX_DOUBTFUL) return;
      doubtful.delete(oldest);
    }
  }

  #lineOf({ topic, queueId }: QueueRef): Line {
    const key = queueKey(topic, queueId);
    const line = this.#lines.get(key) ?? { queueId, next: 1, open: new Map(), voids: [], doubtful: new Map() };
    this.#lines.set(key, line);
    return line;
  }
}

/** Joined to the one before where it follows it; that one is then another, and told anew. */
function withNumber(ranges: readonly NumberRange[], number: number): NumberRange[] {
  const at = ranges.findIndex(([, to]) => to === number);
  if (at < 0) return [...ranges, [number, number + 1] as const].sort(([a], [b]) => a - b);
  return ranges.map((range, index) => (index === at ? [range[0], number + 1] : range));
}
