import { MQError } from "../model/errors.ts";
import { MAX_DIRTY_PAGES, MAX_IMPORTED_OFFSET, MAX_QUEUE_GAPS, MAX_QUEUES_PER_TOPIC, MAX_SETBACKS, MAX_TOPICS, QUEUE_PAGE_ENTRIES } from "../model/limits.ts";
import { MANIFEST_TOPIC } from "../model/log-manifest.ts";
import { checkTopic } from "../model/names.ts";
import { queueKey } from "../model/queue.ts";
import { RECORD } from "../model/record.ts";
import { BROKER_ADDRESS } from "../model/record-codec.ts";
import type { ImportEnd, ImportRecords } from "../protocol/api.ts";
import { openFrame } from "../protocol/frame.ts";
import { isCount } from "../protocol/validate.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import { type ConsumeQueue, ENTRY_BYTES, entrySize } from "../storage/consume-queue.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { DurableState } from "../storage/durable-state.ts";
import type { GroupCommit } from "../storage/group-commit.ts";
import type { RecordTable } from "../storage/indexer.ts";
import type { KeyIndex } from "../storage/key-index.ts";
import type { Dispatcher } from "./dispatch.ts";
import { readImport, saveImport } from "./import-row.ts";
import type { Offsets } from "./offsets.ts";
import type { Topics } from "./topics.ts";

export interface ImportServices {
  log: CommitLog;
  queues: ConsumeQueueStore;
  keys: KeyIndex;
  commit: GroupCommit;
  dispatcher: Dispatcher;
  state: DurableState;
  topics: Topics;
  offsets: Offsets;
  /** Why nothing is stored at the moment; null = it is. */
  refusal: () => MQError | null;
  onEnd: () => void;
}

/** Records of a frame that are appended together, because they share a store time. */
interface Run {
  from: number;
  to: number;
}

/**
 * Takes an exported log into an empty namespace: records keep everything but their positions, queue offsets included.
 * The same call may come again, after a broker's death or when the same log is imported once more because the first
 * attempt was broken off: a record that stands at its offset already is recognised and not stored twice, and any other
 * there ends the import.
 */
export class LogImport {
  readonly #services: ImportServices;
  /** Of the messages so far: a start makes a topic for each that no list names. */
  #topics: Set<string> | null = null;
  /** Calls take turns: one that is repeated must find what the one before has stored. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(services: ImportServices) {
    this.#services = services;
  }

  async begin(id: string): Promise<null> {
    const row = readImport(this.#services.state);
    if (row?.id === id && !row.isDone) return null;
    if (!this.#isEmpty()) {
      const held = row?.isDone === false ? "a part of another log, whose import was broken off" : "topics or messages";
      throw new MQError("INVALID_PARAMETER", `This namespace holds ${held}; a log is imported into an empty one.`, { field: "namespace" });
    }
    await saveImport(this.#services.state, { id, isDone: false });
    return null;
  }

  records(request: ImportRecords): Promise<{ stored: number }> {
    const turn = this.#turn.then(() => this.#take(request));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Groups and topics, in one commit with the note that this import is done. Until now nobody could read anything. */
  async end({ id, topics, offsets: groups }: ImportEnd): Promise<null> {
    const { offsets, queues, topics: known, state } = this.#services;
    const row = readImport(state);
    if (row?.id === id && row.isDone) return null;
    this.#check(id);
    if (new Set([...known.list(), ...topics, ...queues.all()].map(({ topic }) => topic)).size > MAX_TOPICS) throw tooManyTopics();
    for (const { group, topic } of groups) offsets.checkRoom(group, [topic]);
    const done = saveImport(state, { id, isDone: true });
    for (const { group, topic, offsets: places, done: ranges = [] } of groups) {
      // Not for what the broker itself has done out of turn: a group without offsets has not been there.
      if (places.length > 0 || ranges.length === 0) offsets.begin(group, topic);
      for (const [queueId, offset] of places) {
        const queue = queues.find(topic, queueId);
        // What was damaged at the end of a queue was not exported, and nobody has consumed what will stand there now.
        if (queue !== undefined) offsets.commit(group, topic, queueId, Math.min(offset, queue.maxOffset), queue.maxOffset);
      }
      for (const [queueId, list] of ranges) {
        const queue = queues.find(topic, queueId);
        const end = queue?.maxOffset ?? 0;
        // As above: what does not exist is not done.
        offsets.adoptDone(group, topic, queueId, list.map(([from, to]) => [from, Math.min(to, end)]), this.#services.log.position, (offset) => queue?.behindGap(Math.max(offset, queue.minOffset)) ?? offset);
      }
    }
    for (const spec of topics) known.adopt(spec);
    known.restore(queues);
    await done;
    this.#services.onEnd();
    return null;
  }

  async #take({ id, frame }: ImportRecords): Promise<{ stored: number }> {
    this.#check(id);
    const { log, refusal } = this.#services;
    const refused = refusal();
    if (refused !== null) throw refused;
    const { count, records } = openFrame(frame);
    const table = log.check(records);
    if (table.fault !== null || table.count !== count) {
      const { reason, at } = table.fault ?? { reason: "BAD_LENGTH", at: records.byteLength };
      throw new MQError("MESSAGE_ILLEGAL", `The record is damaged: ${reason}.`, { field: "frame", position: at });
    }
    this.#checkNames(table);
    const isStored = await this.#find(table, records);
    this.#check(id);
    const runs = this.#runs(table, isStored);
    // No await from here on: what was found free is filled.
    const tickets = runs.map((run) => this.#append(table, records, run));
    const stored = isStored.reduce((sum, known) => sum - known, table.count);
    if (stored === 0) return { stored };
    return new Promise((resolve, reject) => {
      const committed = (): void => {
        for (const publish of tickets) publish();
        resolve({ stored });
      };
      this.#services.commit.enqueue({ committed, failed: reject });
    });
  }

  #checkNames(table: RecordTable): void {
    const refuse = (index: number, reason: string): never => {
      throw new MQError("MESSAGE_ILLEGAL", reason, { field: "frame", position: table.at[Math.max(0, index)]! });
    };
    for (const [at, topic] of table.topics.entries()) {
      const first = table.topicIndex.indexOf(at);
      if (topic === MANIFEST_TOPIC) refuse(first, `"${topic}" is not a topic of messages.`);
      try {
        checkTopic(topic);
      } catch {
        refuse(first, "Its topic is no topic's name.");
      }
    }
    const foreign = table.queueId.findIndex((queueId) => queueId >= MAX_QUEUES_PER_TOPIC);
    if (foreign >= 0) refuse(foreign, `A topic has at most ${MAX_QUEUES_PER_TOPIC} queues.`);
    const far = table.queueOffset.findIndex((offset) => offset > MAX_IMPORTED_OFFSET);
    if (far >= 0) refuse(far, `Its offset is ${table.queueOffset[far]!}: behind it the queue could not go on.`);
    const timeless = table.storeTimestamp.findIndex((time) => !isCount(time));
    if (timeless >= 0) refuse(timeless, "Its store time is no time.");
    const names = (this.#topics ??= new Set([...this.#services.queues.all()].map(({ topic }) => topic)));
    if (names.size + table.topics.filter((topic) => !names.has(topic)).length > MAX_TOPICS) throw tooManyTopics();
    for (const topic of table.topics) names.add(topic);
  }

  /** 1 for each record that stands at its offset already. */
  async #find(table: RecordTable, records: Uint8Array): Promise<Uint8Array> {
    const isStored = new Uint8Array(table.count);
    for (let index = 0; index < table.count; index++) {
      const queue = this.#queueOf(table, index);
      const offset = table.queueOffset[index]!;
      if (offset >= queue.maxOffset) continue;
      const { at, size } = { at: table.at[index]!, size: table.size[index]! };
      if (await this.#stands(queue, offset, records.subarray(at, at + size))) isStored[index] = 1;
      else throw taken(queue, offset, at);
    }
    return isStored;
  }

  async #stands(queue: ConsumeQueue, offset: number, record: Uint8Array): Promise<boolean> {
    const entries = await queue.read(offset, 1);
    if (entries.byteLength < ENTRY_BYTES || entrySize(new DataView(entries.buffer, entries.byteOffset), 0) !== record.byteLength) return false;
    const { records: stored } = await this.#services.log.read(queue, offset, entries, Int32Array.of(0), record.byteLength);
    return stored.byteLength === record.byteLength && stored.every((byte, at) => byte === record[at] || isPosition(at));
  }

  /** Cuts what is to be stored into runs; throws when an offset is not free, before anything is stored. */
  #runs(table: RecordTable, isStored: Uint8Array): Run[] {
    const next = new Map<string, number>();
    const runs: Run[] = [];
    let skips = 0;
    let { setbacks, endTime: last } = this.#services.keys;
    for (let index = 0; index < table.count; index++) {
      if (isStored[index] === 1) continue;
      const time = table.storeTimestamp[index]!;
      if (time < last && ++setbacks > MAX_SETBACKS) throw new MQError("MESSAGE_ILLEGAL", `The times of its log go back more than ${MAX_SETBACKS} times.`, { field: "frame", position: table.at[index]! });
      last = time;
      const queue = this.#queueOf(table, index);
      const key = queueKey(queue.topic, queue.queueId);
      const offset = table.queueOffset[index]!;
      const expected = next.get(key) ?? queue.nextOffset;
      if (offset < expected) throw taken(queue, offset, table.at[index]!);
      // Each makes a page of its own, which has to wait for the next checkpoint.
      const isNew = expected === queue.nextOffset && queue.maxOffset === queue.minOffset;
      if (!isNew && pageOf(offset) > pageOf(expected) && ++skips > MAX_DIRTY_PAGES) throw tooSparse(table.at[index]!);
      if (!isNew && offset - expected >= QUEUE_PAGE_ENTRIES && queue.gaps.length + skips > MAX_QUEUE_GAPS) throw tooSparse(table.at[index]!);
      next.set(key, offset + 1);
      const run = runs.at(-1);
      if (run?.to === index && table.storeTimestamp[index] === table.storeTimestamp[run.from]) run.to++;
      else runs.push({ from: index, to: index + 1 });
    }
    return runs;
  }

  /** Returns what makes the run visible when it is durable. */
  #append(table: RecordTable, records: Uint8Array, { from, to }: Run): () => void {
    const { log, dispatcher } = this.#services;
    const queueOffset = table.queueOffset.slice(from, to);
    const storeTimestamp = table.storeTimestamp[from]!;
    const queues = Array.from(queueOffset, (offset, at) => {
      const queue = this.#queueOf(table, from + at);
      // An exported log that had been cut: what was before its first record is not there, and is no hole.
      if (queue.nextOffset === 0) queue.beginAt(offset);
      queue.nextOffset = offset + 1;
      return queue;
    });
    log.check(records.subarray(table.at[from]!, table.at[to - 1]! + table.size[to - 1]!));
    const appended = log.append({ queueOffset, storeTimestamp, storeIp: BROKER_ADDRESS.ip, storePort: BROKER_ADDRESS.port });
    return () => dispatcher.publish(appended, queues, queueOffset, storeTimestamp);
  }

  #queueOf(table: RecordTable, index: number): ConsumeQueue {
    return this.#services.queues.open(table.topics[table.topicIndex[index]!]!, table.queueId[index]!);
  }

  #isEmpty(): boolean {
    const { topics, queues } = this.#services;
    return topics.list().length === 0 && queues.firstOffset === 0 && [...queues.all()].every((queue) => queue.nextOffset === 0);
  }

  #check(id: string): void {
    const row = readImport(this.#services.state);
    if (row?.id === id && !row.isDone) return;
    throw new MQError("INVALID_PARAMETER", "This import has not begun, or is over.", { field: "id" });
  }
}

function pageOf(offset: number): number {
  return Math.floor(offset / QUEUE_PAGE_ENTRIES);
}

function tooSparse(position: number): MQError {
  return new MQError("MESSAGE_ILLEGAL", `The offsets of its queue leave out more than ${MAX_QUEUE_GAPS} stretches.`, { field: "frame", position });
}

function tooManyTopics(): MQError {
  return new MQError("FLOW_CONTROL", `The broker holds at most ${MAX_TOPICS} topics.`, { field: "topic" });
}

/** The bytes of a record that an import changes: its position, and who stored it. */
function isPosition(at: number): boolean {
  return (at >= RECORD.physicalOffset && at < RECORD.sysFlag) || (at >= RECORD.storeHost && at < RECORD.reconsumeTimes);
}

function taken(queue: ConsumeQueue, offset: number, position: number): MQError {
  const key = queueKey(queue.topic, queue.queueId);
  return new MQError("MESSAGE_ILLEGAL", `Offset ${offset} of ${key} holds another message, or was given away: only what is missing can be imported.`, { field: "frame", position });
}
