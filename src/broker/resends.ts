import { MQError } from "../model/errors.ts";
import { keyHash } from "../model/index-key.ts";
import { MAX_RESEND_LOOKUPS } from "../model/limits.ts";
import { PROPERTY } from "../model/properties.ts";
import { readStored } from "../model/record-copy.ts";
import { propertyOf } from "../model/record-properties.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { RecordTable } from "../storage/indexer.ts";
import type { KeyIndex } from "../storage/key-index.ts";

/** Where a message stands that was sent before. */
export interface StoredPlace {
  queueId: number;
  queueOffset: number;
  position: number;
  /** When it is delivered, ms since 1970; -1 = it is no timer. */
  due: number;
}

/** Ids looked up at the same time. */
const LOOKUPS = 64;
/** Of one hash, found at once. */
const CANDIDATES = 32;
const UNIQ_KEY = new TextEncoder().encode(PROPERTY.UNIQ_KEY);

/**
 * Finds out which messages of a frame that is sent again are stored already. There is no table of producers: the msgId,
 * given before the first try, says producer and number, and the key index, kept with the log, knows every one of them.
 * The index says where a message may stand, the record whether it is the one: hashes collide.
 */
export class Resends {
  readonly #log: CommitLog;
  readonly #keys: KeyIndex;

  constructor(log: CommitLog, keys: KeyIndex) {
    this.#log = log;
    this.#keys = keys;
  }

  /** What the frame's messages are called; null = a record without an id, which cannot be found. */
  idsOf({ at }: RecordTable, records: Uint8Array): (string | null)[] {
    return Array.from(at, (start) => propertyOf(records, start, UNIQ_KEY));
  }

  /**
   * By record: where it is stored, if it is. Looks at the durable log from `from` on, where it was before the first try.
   * @throws MQError FLOW_CONTROL when that is too far back for so many
   */
  async find(table: RecordTable, ids: readonly (string | null)[], from: number): Promise<(StoredPlace | null)[]> {
    // Whoever remembers more than there is remembers another log.
    const begin = from > this.#log.durablePosition ? 0 : from;
    if (ids.length * this.#keys.segmentsFrom(begin) > MAX_RESEND_LOOKUPS) {
      throw new MQError("FLOW_CONTROL", `Too much was stored since the first try to look for ${ids.length} messages at once; send fewer of them again.`);
    }
    const candidates = await this.#candidates(ids, begin);
    const places: (StoredPlace | null)[] = ids.map(() => null);
    // One after the other, as they stand: those of one row read it once. The oldest is the one that was sent: what was
    // consumed in vain, or was a dead letter, stands in the log more than once.
    for (const position of [...candidates.keys()].sort((a, b) => a - b)) {
      const wanted = candidates.get(position)!.filter((index) => places[index] === null);
      const record = wanted.length === 0 ? null : await this.#log.readRecord(position);
      if (record === null) continue;
      for (const index of wanted) places[index] = placeIn(record, position, table.topics[table.topicIndex[index]!]!, ids[index]!);
    }
    return places;
  }

  /** Where something stands with the same hash, and as which of the ids. */
  async #candidates(ids: readonly (string | null)[], begin: number): Promise<Map<number, number[]>> {
    const candidates = new Map<number, number[]>();
    const locate = async (id: string | null, index: number): Promise<void> => {
      for (let before: number | null = id === null ? null : Number.MAX_SAFE_INTEGER; before !== null; ) {
        const query = { text: keyHash(id!), key: null, begin: 0, end: Number.MAX_SAFE_INTEGER, before, max: CANDIDATES };
        const { positions, next } = await this.#keys.find(query, begin);
        for (const position of positions) candidates.set(position, [...(candidates.get(position) ?? []), index]);
        before = next;
      }
    };
    for (let first = 0; first < ids.length; first += LOOKUPS) {
      await Promise.all(ids.slice(first, first + LOOKUPS).map((id, at) => locate(id, first + at)));
    }
    return candidates;
  }
}

/** Null when the record is no message of this id that was sent to the topic, at once or by a detour. */
function placeIn(record: Uint8Array, position: number, topic: string, msgId: string): StoredPlace | null {
  const { topic: stands, queueId, queueOffset, properties } = readStored(record);
  if (properties[PROPERTY.UNIQ_KEY] !== msgId) return null;
  const due = Number(properties[PROPERTY.TIMER_OUT_MS] ?? -1);
  if (stands === topic) return { queueId, queueOffset, position, due: -1 };
  return properties[PROPERTY.REAL_TOPIC] === topic ? { queueId: Number(properties[PROPERTY.REAL_QID]), queueOffset, position, due } : null;
}
