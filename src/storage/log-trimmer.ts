import { crc32 } from "../model/crc32.ts";
import { readInt64, RECORD } from "../model/record.ts";
import { isCount } from "../protocol/validate.ts";
import type { BlockStore, LogRow } from "./block-store.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { CommitLog } from "./commit-log.ts";
import type { ConsumeQueue } from "./consume-queue.ts";
import type { ConsumeQueueStore } from "./consume-queue-store.ts";
import type { Indexer } from "./indexer.ts";
import type { KeyIndex } from "./key-index.ts";

const encoder = new TextEncoder();

export const TRIM_KEY = "trim";

/** Where the log begins, and what has gone before it. Written before anything of that is removed (log-sweeper.ts). */
export interface TrimRow {
  version: 1;
  position: number;
  /** Given up over all time: messages and bytes of the log. */
  messages: number;
  bytes: number;
  /** Where the queues begin; at their end when nothing is left of them. */
  queues: [topic: string, queueId: number, minOffset: number][];
  /** CRC-32 of all that: what is wrong here is swept away. Builds before 0.2 wrote none. */
  check?: number;
}

export const UNTRIMMED: TrimRow = { version: 1, position: 0, messages: 0, bytes: 0, queues: [] };

/** A place where the log may be cut: a row begins there, and a record. */
export interface Border {
  position: number;
  /** Store time of the first record behind it, ms: everything before is as old or older. */
  storeTimestamp: number;
}

/**
 * Cuts the log's oldest rows off. A cut is one small row that says where the log and the queues begin: after a crash it
 * is made or not made, and how much it gives up costs nothing. The rows themselves go later.
 */
export class LogTrimmer {
  readonly #store: BlockStore;
  readonly #log: CommitLog;
  readonly #queues: ConsumeQueueStore;
  readonly #keys: KeyIndex;
  readonly #checkpoint: Checkpoint;
  readonly #indexer: Indexer;
  readonly #epoch: number;
  #row = UNTRIMMED;
  /** A cut of which nobody knows whether it was made. */
  #undecided: TrimRow | null = null;

  constructor(parts: { store: BlockStore; log: CommitLog; queues: ConsumeQueueStore; keys: KeyIndex; checkpoint: Checkpoint; indexer: Indexer; epoch: number }) {
    this.#store = parts.store;
    this.#log = parts.log;
    this.#queues = parts.queues;
    this.#keys = parts.keys;
    this.#checkpoint = parts.checkpoint;
    this.#indexer = parts.indexer;
    this.#epoch = parts.epoch;
  }

  restore(row: TrimRow): void {
    this.#row = row;
  }

  get removed(): TrimRow {
    return this.#row;
  }

  /** The first border at or behind `position`; null when there is none that a start could do without. */
  async border(position: number): Promise<Border | null> {
    for (let next = position; ; ) {
      const [row] = await this.#store.readLog(next, 1);
      // What comes after the checkpoint is replayed from there; and the last row is never cut off.
      if (row === undefined || row.position >= this.#checkpoint.storedPosition) return null;
      const border = this.#borderAt(row);
      if (border !== null) return border;
      next = row.position + 1;
    }
  }

  /** The last border before a position, or of all; null when the log begins there. */
  async lastBorder(end = Number.POSITIVE_INFINITY): Promise<Border | null> {
    for (let before = Math.min(end, this.#checkpoint.storedPosition); ; ) {
      const position = await this.#store.floorLog(before - 1);
      if (position === undefined || position <= this.#log.minPosition) return null;
      const [row] = await this.#store.readLog(position, 1);
      const border = row?.position === position ? this.#borderAt(row) : null;
      if (border !== null) return border;
      before = position;
    }
  }

  /** Gives up everything before a border. False = not now: somebody reads the whole log, or the store has no room or no heart for it. */
  async trim(position: number): Promise<boolean> {
    await this.#decide();
    // Before the rows are held: a page that has to be rebuilt is made from them.
    const queues = await Promise.all([...this.#queues.all()].map(async (queue) => ({ queue, to: await queue.offsetAt(position) })));
    const isDone = await this.#log.rewrite(async () => {
      // Merged meanwhile, the row that ended here goes on behind it: the log must begin with a row.
      if ((await this.#store.floorLog(position)) !== position) return false;
      return this.#cut(position, queues.map(({ queue, to }) => ({ queue, to: Math.max(queue.minOffset, to) })));
    });
    return isDone === true;
  }

  #borderAt({ position, bytes }: LogRow): Border | null {
    const chunk = this.#indexer.openChunk(bytes, position);
    if (!chunk.ok || !chunk.starts) return null;
    const { buffer, byteOffset, byteLength } = chunk.payload;
    return { position, storeTimestamp: readInt64(new DataView(buffer, byteOffset, byteLength), RECORD.storeTimestamp) };
  }

  /** One transaction, and only when it is complete the queues begin anew: until then what they say is still there. */
  async #cut(position: number, begins: { queue: ConsumeQueue; to: number }[]): Promise<boolean> {
    const { position: begin, messages, bytes } = this.#row;
    const row: TrimRow = {
      version: 1,
      position,
      messages: messages + begins.reduce((sum, { queue, to }) => sum + queue.backlogFrom(queue.minOffset) - queue.backlogFrom(to), 0),
      bytes: bytes + this.#log.bytesBetween(begin, position),
      queues: begins.map(({ queue, to }) => [queue.topic, queue.queueId, to]),
    };
    row.check = checkOf(row);
    const outcome = await this.#store.commit({ epoch: this.#epoch, log: [], queue: [], state: [[TRIM_KEY, row]] });
    if (outcome.status === "committed") this.#adopt(row);
    if (outcome.status === "unknown") {
      this.#undecided = row;
      await this.#decide();
    }
    return this.#row === row;
  }

  /** The store knows whether the last cut was made. */
  async #decide(): Promise<void> {
    const row = this.#undecided;
    if (row === null) return;
    const stored = new Map(await this.#store.readState(TRIM_KEY)).get(TRIM_KEY);
    this.#undecided = null;
    if (readTrim(stored).position === row.position) this.#adopt(row);
  }

  #adopt(row: TrimRow): void {
    this.#row = row;
    this.#log.minPosition = row.position;
    for (const [topic, queueId, minOffset] of row.queues) this.#queues.open(topic, queueId).beginAt(minOffset);
    // Their pages go with the next checkpoint.
    this.#keys.dropBefore(row.position);
  }
}

/** Nothing removed yet when there is no such row, or none that this version understands. */
export function readTrim(value: unknown): TrimRow {
  if (typeof value !== "object" || value === null) return UNTRIMMED;
  const { version, position, messages, bytes, queues, check } = value as Partial<TrimRow>;
  const whole =
    version === 1 && [position, messages, bytes].every(isCount) && Array.isArray(queues) &&
    queues.every((queue) => Array.isArray(queue) && queue.length === 3 && typeof queue[0] === "string" && isCount(queue[1]) && isCount(queue[2]));
  return whole && (check === undefined || check === checkOf(value as TrimRow)) ? (value as TrimRow) : UNTRIMMED;
}

function checkOf({ position, messages, bytes, queues }: TrimRow): number {
  return crc32(encoder.encode(JSON.stringify([position, messages, bytes, queues])));
}
