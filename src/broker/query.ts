import { FETCH_TARGET_BYTES } from "../model/limits.ts";
import { readKeys, type RecordKeys } from "../model/record-codec.ts";
import { keyHash } from "../model/index-key.ts";
import { isSystemTopic } from "../model/system-names.ts";
import { readInt64, RECORD } from "../model/record.ts";
import { concat } from "../platform/bytes.ts";
import type { QueryReply, QueryRequest } from "../protocol/api.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { Deletions } from "../storage/deletions.ts";
import type { KeyIndex } from "../storage/key-index.ts";
import { checkReadable, type Topics } from "./topics.ts";

/** Records read at the same time. */
const READS = 8;

/** Finds messages by key. The index says where they may stand, the records whether they are meant: hashes collide. */
export class QueryService {
  readonly #log: CommitLog;
  readonly #keys: KeyIndex;
  readonly #topics: Topics;
  readonly #deletions: Deletions;

  constructor({ log, keys, topics, deletions }: { log: CommitLog; keys: KeyIndex; topics: Topics; deletions: Deletions }) {
    this.#log = log;
    this.#keys = keys;
    this.#topics = topics;
    this.#deletions = deletions;
  }

  /** The newest first. At most `max` in about FETCH_TARGET_BYTES; `next` says where to go on, also when none was found so far. */
  query(request: QueryRequest): Promise<QueryReply> {
    return this.#query(request, () => {});
  }

  /** The same, for a client. @throws MQError NO_PERMISSION for what stands in a topic that is not to be read */
  async ask(request: QueryRequest): Promise<QueryReply> {
    if (request.topic !== null) this.#checkTopic(request.topic);
    return this.#query(request, (topic) => this.#checkTopic(topic));
  }

  async #query(request: QueryRequest, check: (topic: string) => void): Promise<QueryReply> {
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
        if (record === null || !this.#isShown(record, request, check)) continue;
        found.push(record);
        bytes += record.byteLength;
        if (bytes >= FETCH_TARGET_BYTES) return answer(some[index]!);
      }
    }
    return answer(next);
  }

  /** The record that stands at a position of the log; empty when there is none. */
  async at(position: number): Promise<Uint8Array> {
    const record = await this.#log.readRecord(position);
    if (record === null || this.#isDeleted(record, readKeys(record).topic)) return new Uint8Array(0);
    this.#checkTopic(readKeys(record).topic);
    return record;
  }

  #isShown(record: Uint8Array, request: QueryRequest, check: (topic: string) => void): boolean {
    const keys = readKeys(record);
    if (!isMeant(keys, request) || this.#isDeleted(record, keys.topic)) return false;
    check(keys.topic);
    return true;
  }

  #isDeleted(record: Uint8Array, topic: string): boolean {
    const view = new DataView(record.buffer, record.byteOffset);
    return this.#deletions.hides(topic, view.getInt32(RECORD.queueId), readInt64(view, RECORD.queueOffset));
  }

  #checkTopic(topic: string): void {
    const config = this.#topics.find(topic);
    // The broker's own say by it what consumers may do, not what an operator may see.
    if (config !== undefined && !isSystemTopic(topic)) checkReadable(config);
  }
}

function isMeant(record: RecordKeys, { topic, key, begin, end }: QueryRequest): boolean {
  if (record.storeTimestamp < begin || record.storeTimestamp > end) return false;
  // Only an id is looked for without a topic: a key means something in its topic alone.
  if (topic === null) return record.uniqueKey === key;
  return record.topic === topic && (record.uniqueKey === key || record.keys.includes(key));
}
