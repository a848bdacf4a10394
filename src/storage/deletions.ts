import { MQError } from "../model/errors.ts";
import { MAX_DELETIONS, QUEUE_PAGE_ENTRIES } from "../model/limits.ts";
import { retryTopic } from "../model/names.ts";
import { PROPERTY } from "../model/properties.ts";
import { readInt64, RECORD } from "../model/record.ts";
import type { StoredRecord } from "../model/record-copy.ts";
import { isCount } from "../protocol/validate.ts";
import type { ConsumeQueue } from "./consume-queue.ts";
import type { DurableState } from "./durable-state.ts";

const PREFIX = "deleted/";
/** Where the queues of names begin that are not remembered any more. */
const FLOOR_KEY = "deletedFloor";

/** Of one topic. Never changed, always replaced: it may be on its way to the store. */
interface Row {
  /** The topic was deleted when the log ended here: of what stands before, nothing is delivered to it any more. null = only queues of it were. */
  readonly position: number | null;
  /** Where the log ended at the last deletion: when it begins behind, nothing of what was deleted is left in it. */
  readonly until: number;
  /** Messages of a queue before `begin` are deleted, and it goes on there: no offset is used again. At a page's border, so that no page holds both. */
  readonly queues: readonly (readonly [queueId: number, begin: number])[];
  /** Pages of the queues may be left in the store. */
  readonly isUnswept: boolean;
}

/** What is to be removed of a topic. */
export interface Sweep {
  row: Row;
  pages: { topic: string; queueId: number; pages: number }[];
}

type Place = Pick<ConsumeQueue, "topic" | "queueId">;

/**
 * What was deleted although its records are still in the log, which only loses its oldest blocks. One row says it, written with
 * everything else that a deletion changes; all who read the log ask here, so nothing comes back: not at a start, however
 * much of the log it reads again, and not by a copy that waits elsewhere for its time.
 */
export class Deletions {
  readonly #state: DurableState;
  readonly #rows = new Map<string, Row>();
  #floor = 0;
  /** Whole topics among them. */
  #topics = 0;

  constructor(state: DurableState) {
    this.#state = state;
  }

  restore(): void {
    const floor = this.#state.get(FLOOR_KEY);
    if (isCount(floor)) this.#floor = floor;
    for (const [topic, value] of this.#state.startingWith(PREFIX)) {
      const row = readRow(value);
      if (row !== null) this.#adopt(topic, row);
    }
  }

  /** The first offset of a queue that was not deleted with others before. */
  begin({ topic, queueId }: Place): number {
    return this.#rows.get(topic)?.queues.find(([id]) => id === queueId)?.[1] ?? 0;
  }

  /** Where queues begin of which nothing is known: above those of names that were forgotten. */
  get floor(): number {
    return this.#floor;
  }

  /** Was this message deleted? */
  hides(topic: string, queueId: number, queueOffset: number): boolean {
    return this.#rows.size > 0 && queueOffset < this.begin({ topic, queueId });
  }

  /** Is there nothing in the queue since messages of its topic were deleted? */
  isGone({ topic, minOffset, maxOffset }: Pick<ConsumeQueue, "topic" | "minOffset" | "maxOffset">): boolean {
    return this.#rows.has(topic) && minOffset === maxOffset;
  }

  /** Was the topic deleted since something was stored at `position`? */
  covers(topic: string, position: number): boolean {
    return this.#topics > 0 && position < (this.#rows.get(topic)?.position ?? 0);
  }

  coversGroup(group: string, position: number): boolean {
    return this.covers(retryTopic(group), position);
  }

  /** Whether there was a topic of this name, of which there may be another by now. */
  wasTopic(topic: string): boolean {
    return (this.#rows.get(topic)?.position ?? null) !== null;
  }

  wasGroup(group: string): boolean {
    return this.wasTopic(retryTopic(group));
  }

  /** Nothing was deleted that is remembered. */
  get isEmpty(): boolean {
    return this.#rows.size === 0;
  }

  /** Whether there can be a copy somewhere of a message whose topic was deleted. */
  get haveTopics(): boolean {
    return this.#topics > 0;
  }

  /** A copy that waits to be delivered, or to be tried again: is there nowhere to deliver it any more? */
  voids({ bytes, properties }: Pick<StoredRecord, "bytes" | "properties">): boolean {
    const aims = [properties[PROPERTY.REAL_TOPIC], properties[PROPERTY.RETRY_TOPIC]];
    if (aims.every((topic) => topic === undefined || !this.#rows.has(topic))) return false;
    const position = readInt64(new DataView(bytes.buffer, bytes.byteOffset), RECORD.physicalOffset);
    return aims.some((topic) => topic !== undefined && this.covers(topic, position));
  }

  /** Throws FLOW_CONTROL where too many deletions are remembered whose messages are still in the log. */
  checkRoom(names: readonly string[]): void {
    const more = names.filter((name) => !this.#rows.has(name)).length;
    if (more === 0 || this.#rows.size + more <= MAX_DELETIONS) return;
    throw new MQError("FLOW_CONTROL", `The messages of ${MAX_DELETIONS} deleted topics are still in the log; until retention has removed some, no more topics are deleted.`);
  }

  /** The topic as a whole, with these queues, while the log ends at `position`. Goes with the next commit. */
  deleteTopic(topic: string, queues: Iterable<ConsumeQueue>, position: number): void {
    this.#keep(topic, { ...this.#with(topic, queues), position, until: position });
  }

  /** Only these queues of it. */
  deleteQueues(topic: string, queues: Iterable<ConsumeQueue>, position: number): void {
    this.#keep(topic, { ...this.#with(topic, queues), until: position });
  }

  /** The log goes on here: records that a full store has refused stood behind, and what comes there now is newer than any deletion. */
  reopened(position: number): void {
    for (const [topic, row] of this.#rows) {
      if (row.until > position) this.#keep(topic, { ...row, position: row.position === null ? null : Math.min(row.position, position), until: position });
    }
  }

  /** The log begins here: where too much is remembered, the names of which nothing is left are forgotten, and only the highest of their offsets is not. */
  trimmed(position: number): void {
    for (const [topic, { until, queues, isUnswept }] of this.#rows) {
      if (this.#rows.size <= MAX_DELETIONS / 2) return;
      if (until > position || isUnswept) continue;
      this.#floor = queues.reduce((floor, [, begin]) => Math.max(floor, begin), this.#floor);
      this.#state.set(FLOOR_KEY, this.#floor);
      this.#forget(topic);
    }
  }

  /** Queues whose pages may be left in the store, and before which page; null = there are none. */
  unswept(topic: string): Sweep | null {
    const row = this.#rows.get(topic);
    if (row === undefined || !row.isUnswept) return null;
    return { row, pages: row.queues.map(([queueId, begin]) => ({ topic, queueId, pages: begin / QUEUE_PAGE_ENTRIES })) };
  }

  /** They are gone, unless more was deleted meanwhile. */
  swept(topic: string, { row }: Sweep): void {
    if (this.#rows.get(topic) === row) this.#keep(topic, { ...row, isUnswept: false });
  }

  names(): string[] {
    return [...this.#rows.keys()];
  }

  #with(topic: string, queues: Iterable<ConsumeQueue>): Row {
    const before = this.#rows.get(topic) ?? { position: null, until: 0, queues: [] };
    const begins = new Map(before.queues);
    for (const { queueId, nextOffset } of queues) begins.set(queueId, Math.max(begins.get(queueId) ?? 0, Math.ceil(nextOffset / QUEUE_PAGE_ENTRIES) * QUEUE_PAGE_ENTRIES));
    return { ...before, queues: [...begins].filter(([, begin]) => begin > 0), isUnswept: true };
  }

  #keep(topic: string, row: Row): void {
    this.#adopt(topic, row);
    this.#state.set(PREFIX + topic, row);
  }

  #adopt(topic: string, row: Row): void {
    this.#topics += Number(row.position !== null) - Number(this.wasTopic(topic));
    this.#rows.set(topic, row);
  }

  #forget(topic: string): void {
    this.#topics -= Number(this.wasTopic(topic));
    this.#rows.delete(topic);
    this.#state.set(PREFIX + topic, null);
  }
}

/** Null when it is no such row: then what was deleted is shown again. */
function readRow(value: unknown): Row | null {
  if (typeof value !== "object" || value === null) return null;
  const { position, until, queues, isUnswept } = value as Partial<Record<keyof Row, unknown>>;
  const isQueue = (queue: unknown): boolean => Array.isArray(queue) && queue.length === 2 && queue.every(isCount) && Number(queue[1]) % QUEUE_PAGE_ENTRIES === 0;
  const isWhole = (position === null || isCount(position)) && isCount(until) && typeof isUnswept === "boolean" && Array.isArray(queues) && queues.every(isQueue);
  return isWhole ? (value as Row) : null;
}
