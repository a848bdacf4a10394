import type { MessageExt } from "../model/message.ts";
import { DLQ_TOPIC_PREFIX, RETRY_TOPIC_PREFIX } from "../model/names.ts";
import { PROPERTY } from "../model/properties.ts";
import type { MessageQueue } from "../model/queue.ts";
import { type NumberRange, readStamp, type SequenceStamp } from "../model/sequence.ts";
import type { OffsetRange } from "../protocol/api.ts";
import type { ProcessQueue } from "./process-queue.ts";

/** Messages of a producer with `sequenceAudit` are missing in a queue, or one has come again. */
export interface SequenceGap {
  /** Its group, and which instance of it. */
  producer: string;
  messageQueue: MessageQueue;
  /** The number that was to come. */
  expected: number;
  /** The one that came; lower than `expected`: it has come before, or late. */
  found: number;
  /** How many from `expected` on; 0 where one has come again. */
  missing: number;
  /** Of the message that came. */
  msgId: string;
}

/** Producers that are followed in one queue; beyond, the one that has been silent for longest is forgotten. */
const MAX_PRODUCERS = 256;
/** Gaps of one producer that wait until it is known what has become of them. */
const MAX_WAITING_GAPS = 64;

interface Gap {
  range: NumberRange;
  found: number;
  msgId: string;
}

/** One producer in one queue. */
interface Line {
  next: number;
  gaps: Gap[];
}

interface Lane {
  readonly lines: Map<string, Line>;
  /** Finished for the group before this consumer came: it does not see them. */
  readonly unseen: readonly OffsetRange[];
  lastOffset: number;
}

/**
 * Follows the numbers of audited producers through the queues that a consumer reads whole. What it has seen of a queue
 * is forgotten with the ProcessQueue, so a queue that is newly assigned, sought in, or begun anew begins without
 * memory, and so does a producer that comes for the first time.
 */
export class SequenceAudit {
  readonly #tell: (gap: SequenceGap) => void;
  #lanes = new WeakMap<ProcessQueue, Lane>();

  constructor(tell: (gap: SequenceGap) => void) {
    this.#tell = tell;
  }

  /** New messages of a queue, in the order of their offsets. */
  look(processQueue: ProcessQueue, messages: readonly MessageExt[]): void {
    const { queue } = processQueue;
    // Copies come in their own order.
    if (queue.topic.startsWith(RETRY_TOPIC_PREFIX) || queue.topic.startsWith(DLQ_TOPIC_PREFIX)) return;
    const lane = this.#lanes.get(processQueue) ?? { lines: new Map<string, Line>(), unseen: [...processQueue.done], lastOffset: -1 };
    this.#lanes.set(processQueue, lane);
    for (const { queueOffset, msgId, properties } of messages) {
      if (lane.unseen.some(([from, to]) => from < queueOffset && to > lane.lastOffset + 1)) lane.lines.clear();
      lane.lastOffset = queueOffset;
      const stamp = readStamp(properties[PROPERTY.SEQUENCE]);
      if (stamp !== null) this.#follow(queue, lane, stamp, msgId);
    }
  }

  /** What comes next in this queue is not what follows. */
  forget(processQueue: ProcessQueue): void {
    this.#lanes.get(processQueue)?.lines.clear();
  }

  forgetAll(): void {
    this.#lanes = new WeakMap();
  }

  #follow(queue: MessageQueue, { lines }: Lane, { producer, number, settled, voids }: SequenceStamp, msgId: string): void {
    const line = lines.get(producer) ?? { next: number, gaps: [] };
    // Behind all others.
    lines.delete(producer);
    lines.set(producer, line);
    for (const oldest of lines.keys()) if (lines.size > MAX_PRODUCERS) lines.delete(oldest);
    const tell = (expected: number, found: number, missing: number, id: string): void => this.#tell({ producer, messageQueue: { ...queue }, expected, found, missing, msgId: id });
    if (number < line.next) {
      line.gaps = without(line.gaps, [number, number + 1]);
      tell(line.next, number, 0, msgId);
    } else {
      if (number > line.next) line.gaps.push({ range: [line.next, number], found: number, msgId });
      line.next = number + 1;
    }
    for (const range of voids) line.gaps = without(line.gaps, range);
    // The others may turn out never to have been stored.
    const isCertain = ({ range }: Gap, at: number): boolean => range[1] <= settled || at < line.gaps.length - MAX_WAITING_GAPS;
    for (const { range, found, msgId: id } of line.gaps.filter(isCertain)) tell(range[0], found, range[1] - range[0], id);
    line.gaps = line.gaps.filter((gap, at) => !isCertain(gap, at));
  }
}

function without(gaps: readonly Gap[], [from, to]: NumberRange): Gap[] {
  return gaps.flatMap((gap) => {
    const [first, end] = gap.range;
    if (to <= first || end <= from) return [gap];
    const parts: NumberRange[] = [[first, Math.min(from, end)], [Math.max(to, first), end]];
    return parts.filter(([start, stop]) => start < stop).map((range) => ({ ...gap, range }));
  });
}
