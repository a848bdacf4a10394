import { parseTagExpression } from "../filter/tag-expression.ts";
import { type Completion, completionText } from "../model/completion.ts";
import { MQError } from "../model/errors.ts";
import { type Finish, finishText } from "../model/finish.ts";
import { MAX_UNCOMMITTED_BYTES } from "../model/limits.ts";
import { PROPERTY } from "../model/properties.ts";
import { queueKey } from "../model/queue.ts";
import { copyRecord, readStored, type RecordPlace, type StoredRecord } from "../model/record-copy.ts";
import { assert } from "../platform/assert.ts";
import { concat } from "../platform/bytes.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { LogAppender } from "./log-appender.ts";
import type { Offsets } from "./offsets.ts";
import type { QueueReader } from "./queue-reader.ts";

const EVERYTHING = parseTagExpression("*");

/** A message that is to stand elsewhere, and is finished for a group where it stands. */
export interface Move extends Aimed {
  /** Null = it finishes nothing: it goes along with others. */
  finish: Finish | null;
}

/** A message, and where it goes. */
export interface Aimed {
  source: StoredRecord;
  target: RecordPlace;
}

export interface MoverServices {
  log: CommitLog;
  appender: LogAppender;
  queues: ConsumeQueueStore;
  offsets: Offsets;
  reader: QueueReader;
  /** Why nothing is stored at the moment; null = it is. */
  refusal: () => MQError | null;
}

/**
 * Puts messages into another queue and finishes them in the one they come from, both at once: the copy names the message
 * that it takes the place of, so the one record in the log is both. Nothing has changed before it is durable, and after
 * a crash recovery reads it again.
 */
export class Mover {
  readonly #services: MoverServices;
  /** Moves on their way, by what they finish. */
  readonly #moving = new Map<string, Promise<void>>();

  constructor(services: MoverServices) {
    this.#services = services;
  }

  /** Resolves when it is durable. The same again, while it is on its way or later, is nothing more. `aim` may throw, until the last moment. */
  move(finish: Finish, aim: (source: StoredRecord) => RecordPlace): Promise<void> {
    const { offsets } = this.#services;
    const key = finishText(finish);
    const moving = this.#moving.get(key);
    if (moving !== undefined || offsets.isDone(finish)) return moving ?? Promise.resolve();
    const begun = this.#move(finish, aim).finally(() => this.#moving.delete(key));
    this.#moving.set(key, begun);
    return begun;
  }

  /** Resolves when a move of the message that is on its way has ended, one way or the other. */
  settled(finish: Finish): Promise<void> {
    return this.#moving.get(finishText(finish))?.catch(() => {}) ?? Promise.resolve();
  }

  /** All or none; resolves when they are durable. `usesReserve`: they are small, and are to be stored as long as anything is. */
  moveAll(moves: Move[], { usesReserve = false } = {}): Promise<void> {
    if (moves.length === 0) return Promise.resolve();
    const { offsets } = this.#services;
    const targets = moves.map(({ finish, target }) => {
      // What was sent by a listener has completed its messages where it was stored first.
      const { [PROPERTY.COMPLETES]: _done, ...properties } = target.properties;
      return { ...target, properties: finish === null ? properties : { ...properties, [PROPERTY.FINISHES]: finishText(finish) } };
    });
    return this.#append(moves.map(({ source }, at) => ({ source, target: targets[at]! })), usesReserve, (positions) => {
      for (const [at, { finish }] of moves.entries()) if (finish !== null) offsets.finish(finish, positions[at]!);
    });
  }

  /**
   * Stores what was sent while these messages were consumed, and finishes them, all at once. Says of each whether it is
   * finished: where some were before, nothing is stored. `aim`, asked at the last moment, may throw; `onDurable` is called with the position of the record that says so.
   */
  async complete(completion: Completion, aim: () => Aimed[], onDurable: (position: number) => void): Promise<boolean[]> {
    const { offsets } = this.#services;
    const finishes = completion.queueOffsets.map((queueOffset): Finish => ({ ...completion, queueOffset }));
    const keys = finishes.map(finishText);
    for (let moving = this.#movingOf(keys); moving.length > 0; moving = this.#movingOf(keys)) await Promise.allSettled(moving);
    const isDone = finishes.map((finish) => offsets.isDone(finish));
    if (isDone.includes(true)) return isDone;
    for (const finish of finishes) offsets.checkDoneRoom(finish);
    const [first, ...others] = aim();
    const properties = { ...first!.target.properties, [PROPERTY.COMPLETES]: completionText(completion) };
    const begun = this.#append([{ source: first!.source, target: { ...first!.target, properties } }, ...others], false, ([position]) => onDurable(position!)).finally(() => {
      for (const key of keys) this.#moving.delete(key);
    });
    for (const key of keys) this.#moving.set(key, begun);
    await begun;
    return isDone.fill(true);
  }

  #movingOf(keys: readonly string[]): Promise<void>[] {
    return keys.flatMap((key) => this.#moving.get(key) ?? []);
  }

  /** All or none; resolves when they are durable. */
  #append(aimed: readonly Aimed[], usesReserve: boolean, onDurable: (positions: Float64Array) => void): Promise<void> {
    const { log, appender, queues, refusal } = this.#services;
    const refused = usesReserve ? null : refusal();
    if (refused !== null) throw refused;
    const copies = aimed.map(({ source, target }) => copyRecord(source, target));
    const bytes = copies.reduce((sum, copy) => sum + copy.byteLength, 0);
    if (log.position - log.durablePosition + bytes > MAX_UNCOMMITTED_BYTES) throw new MQError("FLOW_CONTROL", "The broker has too much to write already.");
    // No await from here on: what is checked is what is appended.
    const { fault, count } = log.check(concat(copies, bytes));
    assert(fault === null && count === aimed.length, "the broker's own records are whole");
    const targets = aimed.map(({ target }) => queues.open(target.topic, target.queueId));
    const { appended, commit } = appender.append({ queues: targets, queueOffsets: Float64Array.from(targets, (queue) => queue.nextOffset++) });
    return new Promise((resolve, reject) => {
      commit({
        committed: () => {
          onDurable(appended.position);
          resolve();
        },
        failed: reject,
      });
    });
  }

  async #move(finish: Finish, aim: (source: StoredRecord) => RecordPlace): Promise<void> {
    this.#services.offsets.checkDoneRoom(finish);
    const source = await this.read(finish);
    await this.moveAll([{ finish, source, target: aim(source) }]);
  }

  /** The message that a finish names. @throws MQError NO_MESSAGE */
  async read({ topic, queueId, queueOffset }: Finish): Promise<StoredRecord> {
    const { queues, reader } = this.#services;
    const queue = queues.find(topic, queueId);
    const { records } = queue === undefined ? { records: null } : await reader.read(queue, queueOffset, EVERYTHING, 1, 1);
    const source = records === null || records.byteLength === 0 ? null : readStored(records);
    if (source?.queueOffset === queueOffset) return source;
    throw new MQError("NO_MESSAGE", `There is no message at ${queueKey(topic, queueId)} offset ${queueOffset}, or no more.`, { field: "queueOffset" });
  }
}
