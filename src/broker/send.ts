import { errorToData, MQError } from "../model/errors.ts";
import { COMMIT_TARGET_BYTES, MAX_BODY_BYTES, MAX_UNCOMMITTED_BYTES } from "../model/limits.ts";
import { RECORD } from "../model/record.ts";
import { BROKER_ADDRESS } from "../model/record-codec.ts";
import type { Clock } from "../platform/clock.ts";
import type { SendReply } from "../protocol/api.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import { openFrame } from "../protocol/frame.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { GroupCommit } from "../storage/group-commit.ts";
import type { RecordTable } from "../storage/indexer.ts";
import type { Dispatcher } from "./dispatch.ts";
import { reasonToRefuse, type Topics } from "./topics.ts";

/** Which records of a frame are taken, and where they go. */
interface Placement {
  keep: Uint8Array;
  queueOffsets: Float64Array;
  queues: (ConsumeQueue | undefined)[];
  refused: SendReply["refused"];
}

const SHORT_REPLY = 8;

/** A frame that has arrived and waits for its turn. */
interface Arrival {
  count: number;
  records: Uint8Array;
  resolve(reply: SendReply): void;
  reject(error: unknown): void;
}

/** Takes frames of records into the log and answers when they are durable. */
export class SendService {
  readonly #log: CommitLog;
  readonly #queues: ConsumeQueueStore;
  readonly #topics: Topics;
  readonly #commit: GroupCommit;
  readonly #dispatcher: Dispatcher;
  readonly #clock: Clock;
  readonly #settings: BrokerSettings;
  readonly #refusal: () => MQError | null;
  #arrivals: Arrival[] = [];
  #waitingBytes = 0;
  #lastStoreTimestamp = 0;

  constructor(services: {
    log: CommitLog;
    queues: ConsumeQueueStore;
    topics: Topics;
    commit: GroupCommit;
    dispatcher: Dispatcher;
    clock: Clock;
    settings: BrokerSettings;
    /** Why nothing is accepted at the moment. */
    refusal: () => MQError | null;
  }) {
    this.#log = services.log;
    this.#queues = services.queues;
    this.#topics = services.topics;
    this.#commit = services.commit;
    this.#dispatcher = services.dispatcher;
    this.#clock = services.clock;
    this.#settings = services.settings;
    this.#refusal = services.refusal;
  }

  send(frame: unknown): Promise<SendReply> {
    const { count, records } = openFrame(frame);
    const refusal = this.#refusal();
    if (refusal !== null) throw refusal;
    const uncommitted = this.#log.position - this.#log.durablePosition + this.#waitingBytes;
    if (uncommitted + records.byteLength > MAX_UNCOMMITTED_BYTES) {
      throw new MQError("FLOW_CONTROL", "The broker has too much to write already; send more slowly.");
    }
    return new Promise((resolve, reject) => {
      this.#arrivals.push({ count, records, resolve, reject });
      this.#waitingBytes += records.byteLength;
      this.takeIn();
    });
  }

  /** Appends what has arrived, in its order, until enough has gathered for one commit. */
  takeIn(): void {
    while (this.#log.openBytes < COMMIT_TARGET_BYTES) {
      const arrival = this.#arrivals.shift();
      if (arrival === undefined) return;
      this.#waitingBytes -= arrival.records.byteLength;
      try {
        this.#append(arrival);
      } catch (error) {
        arrival.reject(error);
      }
    }
  }

  stop(error: MQError): void {
    for (const { reject } of this.#arrivals.splice(0)) reject(error);
  }

  /** No await in here: what was checked is what is appended, and the next frame cannot come in between. */
  #append({ count, records, resolve, reject }: Arrival): void {
    const table = this.#log.check(records);
    if (table.fault !== null || table.count !== count) {
      const { reason, at } = table.fault ?? { reason: "BAD_LENGTH", at: records.byteLength };
      throw new MQError("MESSAGE_ILLEGAL", `Record ${table.count} of the frame, at byte ${at}, is damaged: ${reason}.`, { field: "frame" });
    }
    const placement = this.#place(table, records);
    const storeTimestamp = this.#nextStoreTimestamp();
    const appended = this.#log.append({
      keep: placement.keep,
      queueOffset: placement.queueOffsets,
      storeTimestamp,
      storeIp: BROKER_ADDRESS.ip,
      storePort: BROKER_ADDRESS.port,
    });
    if (appended.count === 0) return resolve(replyOf(placement, appended.position));
    this.#commit.enqueue({
      committed: () => {
        this.#dispatcher.publish(appended, placement.queues, placement.queueOffsets, storeTimestamp);
        resolve(replyOf(placement, appended.position));
      },
      failed: reject,
    });
  }

  #place(table: RecordTable, records: Uint8Array): Placement {
    const placement: Placement = {
      keep: new Uint8Array(table.count),
      queueOffsets: new Float64Array(table.count).fill(-1),
      queues: [],
      refused: [],
    };
    const configs = table.topics.map((topic) => this.#topics.find(topic));
    for (let index = 0; index < table.count; index++) {
      const topicIndex = table.topicIndex[index]!;
      const topic = table.topics[topicIndex]!;
      const queueId = table.queueId[index]!;
      const error = reasonToRefuse(configs[topicIndex], topic, queueId) ?? this.#checkSize(records, table.at[index]!);
      if (error !== undefined) {
        placement.refused.push({ index, error: errorToData(error) });
        continue;
      }
      const queue = this.#queues.open(topic, queueId);
      placement.keep[index] = 1;
      placement.queueOffsets[index] = queue.nextOffset++;
      placement.queues[index] = queue;
    }
    return placement;
  }

  /** The client has checked its body against the settings; a client that did not must not get around them. */
  #checkSize(records: Uint8Array, at: number): MQError | undefined {
    const limit = this.#settings.maxMessageSize;
    if (limit >= MAX_BODY_BYTES) return undefined;
    const bytes = new DataView(records.buffer, records.byteOffset + at).getInt32(RECORD.bodyLength);
    if (bytes <= limit) return undefined;
    return new MQError("MESSAGE_ILLEGAL", `The body has ${bytes} bytes; maxMessageSize is ${limit}.`, { field: "message.body" });
  }

  /** Store time never goes backwards in one log, whatever the clock does. */
  #nextStoreTimestamp(): number {
    this.#lastStoreTimestamp = Math.max(this.#lastStoreTimestamp, this.#clock.now());
    return this.#lastStoreTimestamp;
  }
}

function replyOf({ keep, queueOffsets, refused }: Placement, kept: Float64Array): SendReply {
  // A few numbers cross a port faster as a plain list.
  const length = keep.length * 2;
  const places: Float64Array | number[] = keep.length > SHORT_REPLY ? new Float64Array(length) : [];
  let next = 0;
  for (let index = 0; index < keep.length; index++) {
    const isKept = keep[index] !== 0;
    places[index * 2] = isKept ? queueOffsets[index]! : -1;
    places[index * 2 + 1] = isKept ? kept[next++]! : -1;
  }
  return { places, refused };
}
