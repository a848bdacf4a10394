import { readInt64, RECORD } from "../model/record.ts";
import type { Timers } from "../platform/timers.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import type { QueueFilter, QueueRead, QueueReader } from "./queue-reader.ts";

interface Ahead {
  offset: number;
  filter: QueueFilter;
  read: () => Promise<QueueRead>;
}

/**
 * What a member that works off a backlog will ask for next, read while it is busy with what it got: otherwise broker and
 * tab wait for each other in turn. As much of each queue as the fetch before gave, and only until the next fetch.
 */
export class ReadAhead {
  readonly #reader: QueueReader;
  readonly #timers: Timers;
  readonly #queues = new Map<ConsumeQueue, Ahead>();

  constructor(reader: QueueReader, timers: Timers) {
    this.#reader = reader;
    this.#timers = timers;
  }

  /** Reads on as soon as the answer at hand is on its way. */
  begin(queue: ConsumeQueue, offset: number, filter: QueueFilter, max: number, maxBytes: number): void {
    let reading: Promise<QueueRead> | undefined;
    const read = (): Promise<QueueRead> => (reading ??= this.#reader.read(queue, offset, filter, max, maxBytes));
    this.#queues.set(queue, { offset, filter, read });
    // Whoever takes it is told of a failure.
    this.#timers.after(0, () => this.#queues.has(queue) && void read().catch(() => {}));
  }

  /** What was read from this offset on, at most `max` messages; null when something else was. */
  take(queue: ConsumeQueue, offset: number, filter: QueueFilter, max: number): Promise<QueueRead> | null {
    const ahead = this.#queues.get(queue);
    this.#queues.delete(queue);
    return ahead?.offset === offset && ahead.filter === filter ? ahead.read().then((read) => firstOf(read, max)) : null;
  }
}

/** The first `max` messages of what was read. */
function firstOf(read: QueueRead, max: number): QueueRead {
  if (read.count <= max) return read;
  const { records } = read;
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  let at = 0;
  for (let count = 0; count < max; count++) at += view.getInt32(at + RECORD.totalSize);
  return { records: records.slice(0, at), count: max, nextOffset: readInt64(view, at + RECORD.queueOffset) };
}
