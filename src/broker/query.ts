import { FETCH_TARGET_BYTES } from "../model/limits.ts";
import { readKeys, type RecordKeys } from "../model/record-codec.ts";
import { keyHash } from "../model/index-key.ts";
import { concat } from "../platform/bytes.ts";
import type { QueryReply, QueryRequest } from "../protocol/api.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { KeyIndex } from "../storage/key-index.ts";

/** Records read at the same time. */
const READS = 8;

/** Finds messages by key. The index says where they may stand, the records whether they are meant: hashes collide. */
export class QueryService {
  readonly #log: CommitLog;
  readonly #keys: KeyIndex;

  constructor(log: CommitLog, keys: KeyIndex) {
    this.#log = log;
    this.#keys = keys;
  }

  /** The newest first. At most `max` in about FETCH_TARGET_BYTES; `next` says where to go on, also when none was found so far. */
  async query(request: QueryRequest): Promise<QueryReply> {
    const { topic, key, max, begin, end } = request;
    const text = keyHash(key);
    const topicKey = topic === null ? null : keyHash(`${topic}#${key}`);
    const found: Uint8Array[] = [];
    let bytes = 0;
    const answer = (next: number | null): QueryReply => ({ records: concat(found, bytes), next });

    const { positions, next } = await this.#keys.find({ text, key: topicKey, begin, end, before: request.before ?? Number.MAX_SAFE_INTEGER, max });
    for (let at = 0; at < positions.length; at += READS) {
      const some = positions.slice(at, at + READS);
      const records = await Promise.all(some.map((position) => this.#log.readRecord(position)));
      for (const [index, record] of records.entries()) {
        if (record === null || !isMeant(readKeys(record), request)) continue;
        found.push(record);
        bytes += record.byteLength;
        if (bytes >= FETCH_TARGET_BYTES) return answer(some[index]!);
      }
    }
    return answer(next);
  }

  /** The record that stands at a position of the log; empty when there is none. */
  async at(position: number): Promise<Uint8Array> {
    return (await this.#log.readRecord(position)) ?? new Uint8Array(0);
  }
}

function isMeant(record: RecordKeys, { topic, key, begin, end }: QueryRequest): boolean {
  if (record.storeTimestamp < begin || record.storeTimestamp > end) return false;
  // Only an id is looked for without a topic: a key means something in its topic alone.
  if (topic === null) return record.uniqueKey === key;
  return record.topic === topic && (record.uniqueKey === key || record.keys.includes(key));
}
