import { errorToData, MQError } from "../model/errors.ts";
import { claimsToFinish } from "../model/finish.ts";
import { COMMIT_TARGET_BYTES, MAX_BODY_BYTES, MAX_UNCOMMITTED_BYTES } from "../model/limits.ts";
import { RECORD } from "../model/record.ts";
import { PROPERTY } from "../model/properties.ts";
import { allSay, propertyBytes } from "../model/record-properties.ts";
import type { SendReply } from "../protocol/api.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import { openFrame } from "../protocol/frame.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { RecordTable } from "../storage/indexer.ts";
import type { FlushService } from "./flush.ts";
import type { LogAppender, Placement } from "./log-appender.ts";
import { reasonToRefuse, type Topics } from "./topics.ts";

/** Which records of a frame are taken, and where they go. */
interface FramePlacement extends Placement {
  keep: Uint8Array;
  refused: SendReply["refused"];
}

const SHORT_REPLY = 8;
/** What the client says in its call is not asked: the property is what the record keeps. */
const DOES_NOT_WAIT = propertyBytes(PROPERTY.WAIT, "false");

/** A frame that has arrived and waits for its turn. */
interface Arrival {
  count: number;
  records: Uint8Array;
  resolve(reply: SendReply): void;
  reject(error: unknown): void;
}

/** Takes frames of records into the log; they are answered when they are durable, or sooner where FlushService says so. */
export class SendService {
  readonly #log: CommitLog;
  readonly #queues: ConsumeQueueStore;
  readonly #topics: Topics;
  readonly #appender: LogAppender;
  readonly #flushes: FlushService;
  readonly #settings: BrokerSettings;
  readonly #refusal: () => MQError | null;
  #arrivals: Arrival[] = [];
  #waitingBytes = 0;

  constructor(services: {
    log: CommitLog;
    queues: ConsumeQueueStore;
    topics: Topics;
    appender: LogAppender;
    flushes: FlushService;
    settings: BrokerSettings;
    /** Why nothing is accepted at the moment. */
    refusal: () => MQError | null;
  }) {
    this.#log = services.log;
    this.#queues = services.queues;
    this.#topics = services.topics;
    this.#appender = services.appender;
    this.#flushes = services.flushes;
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
    const { appended, commit } = this.#appender.append(placement);
    if (appended.count === 0) return resolve(replyOf(placement, appended.position));
    const flush = this.#flushes.begin({
      messages: appended.count,
      waits: !allSay(records, table.at, DOES_NOT_WAIT),
      answer: (unflushed) => resolve(replyOf(placement, appended.position, unflushed)),
      refuse: reject,
    });
    commit({ committed: () => flush.committed(), failed: (error) => flush.failed(error) });
    flush.appended();
  }

  #place(table: RecordTable, records: Uint8Array): FramePlacement {
    const placement: FramePlacement = {
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
      const error = reasonToRefuse(configs[topicIndex], topic, queueId) ?? this.#checkRecord(records, table.at[index]!);
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

  /** What a client of ours sees to itself; one that is none must not get around it. */
  #checkRecord(records: Uint8Array, at: number): MQError | undefined {
    // The next start would believe it, and take another group's messages for consumed.
    if (claimsToFinish(records, at)) {
      return new MQError("MESSAGE_ILLEGAL", `The property ${PROPERTY.FINISHES} is the broker's.`, { field: "message.properties" });
    }
    const limit = this.#settings.maxMessageSize;
    if (limit >= MAX_BODY_BYTES) return undefined;
    const bytes = new DataView(records.buffer, records.byteOffset + at).getInt32(RECORD.bodyLength);
    if (bytes <= limit) return undefined;
    return new MQError("MESSAGE_ILLEGAL", `The body has ${bytes} bytes; maxMessageSize is ${limit}.`, { field: "message.body" });
  }
}

function replyOf({ keep, queueOffsets, refused }: FramePlacement, kept: Float64Array, unflushed?: number): SendReply {
  // A few numbers cross a port faster as a plain list.
  const length = keep.length * 2;
  const places: Float64Array | number[] = keep.length > SHORT_REPLY ? new Float64Array(length) : [];
  let next = 0;
  for (let index = 0; index < keep.length; index++) {
    const isKept = keep[index] !== 0;
    places[index * 2] = isKept ? queueOffsets[index]! : -1;
    places[index * 2 + 1] = isKept ? kept[next++]! : -1;
  }
  return unflushed === undefined ? { places, refused } : { places, refused, unflushed };
}
