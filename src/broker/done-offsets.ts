import { MQError } from "../model/errors.ts";
import type { Finish } from "../model/finish.ts";
import { MAX_DONE_RANGES } from "../model/limits.ts";
import { queueKey } from "../model/queue.ts";
import type { OffsetRange } from "../protocol/api.ts";
import { isCount } from "../protocol/validate.ts";
import type { DurableState } from "../storage/durable-state.ts";

const PREFIX = "done/";

/**
 * Of a group and a topic. Never changed, always replaced: one that is on its way to the store must not get ahead of the
 * offsets that are on the way with it.
 */
interface Row {
  /** What records before this position of the log finish is taken in: a replay must not take it in again after a reset. */
  readonly position: number;
  readonly queues: Readonly<Record<number, OffsetRange[]>>;
}

const NEW: Row = { position: 0, queues: {} };

/**
 * Messages that a group has finished although its offset is still before them: each because a record in the log takes
 * its place. As ranges, ascending; what the offset has passed is forgotten.
 */
export class DoneOffsets {
  readonly #state: DurableState;
  readonly #rows = new Map<string, Row>();

  constructor(state: DurableState) {
    this.#state = state;
  }

  restore(): void {
    for (const [key, value] of this.#state.startingWith(PREFIX)) {
      const row = readRow(value);
      if (row !== null) this.#rows.set(key, row);
    }
  }

  of(group: string, topic: string, queueId: number): OffsetRange[] {
    return this.#rows.get(keyOf(group, topic))?.queues[queueId] ?? [];
  }

  has({ group, topic, queueId, queueOffset }: Finish): boolean {
    return this.of(group, topic, queueId).some(([from, to]) => from <= queueOffset && queueOffset < to);
  }

  /** Throws FLOW_CONTROL where there are too many stretches already. */
  checkRoom({ group, topic, queueId }: Finish): void {
    if (this.of(group, topic, queueId).length < MAX_DONE_RANGES) return;
    throw new MQError("FLOW_CONTROL", `Group "${group}" has finished ${MAX_DONE_RANGES} stretches of ${queueKey(topic, queueId)} behind a message that it has not finished.`);
  }

  /** The record at `position` finishes them. */
  add({ group, topic, queueId }: Omit<Finish, "queueOffset">, queueOffsets: readonly number[], position: number): void {
    const row = this.#rows.get(keyOf(group, topic)) ?? NEW;
    if (position < row.position) return;
    this.#keep(group, topic, { position: position + 1, queues: { ...row.queues, [queueId]: queueOffsets.reduce(withOffset, row.queues[queueId] ?? []) } });
  }

  /** No record says it: it is told by this row alone. Resolves when that is durable. */
  addFact({ group, topic, queueId, queueOffset }: Finish): Promise<void> {
    const row = this.#rows.get(keyOf(group, topic)) ?? NEW;
    const added = { ...row, queues: { ...row.queues, [queueId]: withOffset(row.queues[queueId] ?? [], queueOffset) } };
    this.#rows.set(keyOf(group, topic), added);
    return this.#state.save(`${PREFIX}${keyOf(group, topic)}`, added);
  }

  /** The group's offset has moved: what is before it is of no interest, and of what it has gone back to it is given all again. */
  moved(group: string, topic: string, queueId: number, from: number, to: number): void {
    const row = this.#rows.get(keyOf(group, topic));
    const ranges = row?.queues[queueId];
    if (row === undefined || ranges === undefined) return;
    const left = to < from ? [] : ranges.filter(([, end]) => end > to).map(([start, end]): OffsetRange => [Math.max(start, to), end]);
    if (left.length === ranges.length && left[0]?.[0] === ranges[0]?.[0]) return;
    const { [queueId]: _, ...others } = row.queues;
    this.#keep(group, topic, { ...row, queues: left.length === 0 ? others : { ...others, [queueId]: left } });
  }

  /** All of it is to be given again. */
  clear(group: string, topic: string, queueId: number): void {
    const row = this.#rows.get(keyOf(group, topic));
    if (row?.queues[queueId] === undefined) return;
    const { [queueId]: _, ...others } = row.queues;
    this.#keep(group, topic, { ...row, queues: others });
  }

  forget(group: string, topic: string): void {
    if (this.#rows.delete(keyOf(group, topic))) this.#state.set(`${PREFIX}${keyOf(group, topic)}`, null);
  }

  /** Topics of which the group has something done, whether it has an offset there or not. */
  topicsOf(group: string): string[] {
    return [...this.#rows.keys()].filter((key) => key.startsWith(`${group}/`)).map((key) => key.slice(group.length + 1));
  }

  /** Groups that have something done at the topic. */
  groupsAt(topic: string): string[] {
    return [...this.#rows.keys()].filter((key) => key.endsWith(`/${topic}`)).map((key) => key.slice(0, -topic.length - 1));
  }

  adopt(group: string, topic: string, queueId: number, ranges: OffsetRange[], position: number): void {
    const row = this.#rows.get(keyOf(group, topic)) ?? NEW;
    const sorted = ranges.filter(([from, to]) => from < to).sort(([a], [b]) => a - b);
    this.#keep(group, topic, { position: Math.max(row.position, position), queues: { ...row.queues, [queueId]: sorted } });
  }

  *all(): Generator<{ group: string; topic: string; queues: Row["queues"] }> {
    for (const [key, { queues }] of this.#rows) {
      const [group = "", topic = ""] = key.split("/");
      if (Object.keys(queues).length > 0) yield { group, topic, queues };
    }
  }

  #keep(group: string, topic: string, row: Row): void {
    this.#rows.set(keyOf(group, topic), row);
    this.#state.set(`${PREFIX}${keyOf(group, topic)}`, row);
  }
}

function keyOf(group: string, topic: string): string {
  return `${group}/${topic}`;
}

/** Null when it is no such row: then the group is given again what it had finished. */
function readRow(value: unknown): Row | null {
  if (typeof value !== "object" || value === null) return null;
  const { position, queues } = value as Partial<Record<keyof Row, unknown>>;
  if (!isCount(position) || typeof queues !== "object" || queues === null) return null;
  const areRanges = (list: unknown): boolean => Array.isArray(list) && list.every((range) => Array.isArray(range) && range.length === 2 && range.every(isCount));
  return Object.values(queues).every(areRanges) ? (value as Row) : null;
}

/** The ranges with one more offset, joined where they touch. */
function withOffset(ranges: readonly OffsetRange[], offset: number): OffsetRange[] {
  const before = ranges.filter(([, to]) => to < offset);
  const after = ranges.filter(([from]) => from > offset + 1);
  const touching = ranges.slice(before.length, ranges.length - after.length);
  const from = Math.min(offset, touching[0]?.[0] ?? offset);
  const to = Math.max(offset + 1, touching.at(-1)?.[1] ?? 0);
  return [...before, [from, to], ...after];
}
