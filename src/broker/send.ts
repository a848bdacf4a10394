import { asMQError, errorToData, MQError } from "../model/errors.ts";
import { COMMIT_TARGET_BYTES, MAX_BODY_BYTES, MAX_UNCOMMITTED_BYTES } from "../model/limits.ts";
import { RECORD } from "../model/record.ts";
import { PROPERTY } from "../model/properties.ts";
import { allSay, propertyBytes } from "../model/record-properties.ts";
import { copyRecord, readStored } from "../model/record-copy.ts";
import { forbiddenProperty } from "../model/routing.ts";
import { concat } from "../platform/bytes.ts";
import type { SendReply } from "../protocol/api.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import { FRAME_AGAIN, FRAME_DIVERTED, openFrame } from "../protocol/frame.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { RecordTable } from "../storage/indexer.ts";
import type { ClientTraffic } from "./client-traffic.ts";
import type { Diversions } from "./diversions.ts";
import type { FlushService } from "./flush.ts";
import type { LogAppender, Placement } from "./log-appender.ts";
import type { Aimed } from "./mover.ts";
import type { Resends, StoredPlace } from "./resends.ts";
import { assert } from "../platform/assert.ts";
import { reasonByType, reasonToRefuse, type Topics } from "./topics.ts";

/** Which records of a frame are taken, and where they go. */
interface FramePlacement extends Placement {
  keep: Uint8Array;
  refused: SendReply["refused"];
  /** By record: where it is stored already. */
  stored: StoredPlaces;
  dues?: number[];
}

type StoredPlaces = readonly (StoredPlace | null)[];

const SHORT_REPLY = 8;
const NOTHING_STORED: StoredPlaces = [];
/** What the client says in its call is not asked: the property is what the record keeps. */
const DOES_NOT_WAIT = propertyBytes(PROPERTY.WAIT, "false");

/** A frame that has arrived and waits for its turn. */
interface Arrival {
  count: number;
  records: Uint8Array;
  isDiverted: boolean;
  /** Of messages that may be stored already: from where on in the log. Null = they are new. */
  from: number | null;
  /** Which of them are stored; null = nobody has looked yet. */
  stored: StoredPlaces | null;
  client: ClientTraffic | undefined;
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
  readonly #diversions: Diversions;
  readonly #settings: BrokerSettings;
  readonly #resends: Resends;
  readonly #refusal: () => MQError | null;
  #arrivals: Arrival[] = [];
  /** Nothing is appended until it is known which of the first arrivals are stored already. */
  #isLooking = false;
  #waitingBytes = 0;

  constructor(services: {
    log: CommitLog;
    queues: ConsumeQueueStore;
    topics: Topics;
    appender: LogAppender;
    flushes: FlushService;
    diversions: Diversions;
    settings: BrokerSettings;
    resends: Resends;
    /** Why nothing is accepted at the moment. */
    refusal: () => MQError | null;
  }) {
    this.#log = services.log;
    this.#queues = services.queues;
    this.#topics = services.topics;
    this.#appender = services.appender;
    this.#flushes = services.flushes;
    this.#diversions = services.diversions;
    this.#settings = services.settings;
    this.#resends = services.resends;
    this.#refusal = services.refusal;
  }

  /** `from`: of a frame that is sent again, how far the log was durable before the first try. */
  send(frame: unknown, from = 0, client?: ClientTraffic): Promise<SendReply> {
    const { count, records, flags } = openFrame(frame);
    const refusal = this.#refusal();
    if (refusal !== null) throw refusal;
    const uncommitted = this.#log.position - this.#log.durablePosition + this.#waitingBytes;
    if (uncommitted + records.byteLength > MAX_UNCOMMITTED_BYTES) {
      throw new MQError("FLOW_CONTROL", "The broker has too much to write already; send more slowly.");
    }
    return new Promise((resolve, reject) => {
      const isAgain = (flags & FRAME_AGAIN) !== 0;
      this.#arrivals.push({ count, records, isDiverted: (flags & FRAME_DIVERTED) !== 0, from: isAgain ? from : null, stored: isAgain ? null : NOTHING_STORED, client, resolve, reject });
      this.#waitingBytes += records.byteLength;
      this.takeIn();
    });
  }

  /** Appends what has arrived, in its order, until enough has gathered for one commit. */
  takeIn(): void {
    while (!this.#isLooking && this.#log.openBytes < COMMIT_TARGET_BYTES) {
      const arrival = this.#arrivals[0];
      if (arrival === undefined) return;
      // What came later waits: it may be meant to stand behind.
      if (arrival.stored === null) return void this.#lookUp();
      this.#arrivals.shift();
      this.#waitingBytes -= arrival.records.byteLength;
      try {
        this.#append(arrival);
      } catch (error) {
        arrival.reject(error);
      }
    }
  }

  stop(error: MQError): void {
    this.#waitingBytes = 0;
    for (const { reject } of this.#arrivals.splice(0)) reject(error);
  }

  /** Which messages of the first arrivals are stored already. Everything that was appended before they came has to be durable first, or have failed. */
  async #lookUp(): Promise<void> {
    this.#isLooking = true;
    try {
      await this.#appender.settled();
      // Of one message only the first is looked up with the others: for the second, that one has to be durable.
      const ids = new Set<string | null>();
      let bytes = 0;
      for (const arrival of [...this.#arrivals]) {
        if (arrival.stored !== null || (bytes > 0 && bytes + arrival.records.byteLength > COMMIT_TARGET_BYTES)) break;
        bytes += arrival.records.byteLength;
        if (!(await this.#lookUpOne(arrival, ids))) break;
      }
    } catch (cause) {
      // Nobody knows what is stored. Whatever came behind must not get in front.
      this.stop(new MQError("STORAGE_UNAVAILABLE", "The broker could not find out which messages are stored already.", { outcome: "unknown", cause }));
    } finally {
      this.#isLooking = false;
      this.takeIn();
    }
  }

  /** False when another with the same message is on its way. What cannot be looked up is refused as a whole. */
  async #lookUpOne(arrival: Arrival, known: Set<string | null>): Promise<boolean> {
    try {
      const table = this.#check(arrival);
      const ids = this.#resends.idsOf(table, arrival.records);
      if (ids.some((id) => id !== null && known.has(id))) return false;
      for (const id of ids) known.add(id);
      arrival.stored = await this.#resends.find(table, ids, arrival.from ?? 0);
    } catch (error) {
      if (!(error instanceof MQError) || error.outcome === "unknown") throw error;
      this.#arrivals = this.#arrivals.filter((waiting) => waiting !== arrival);
      this.#waitingBytes -= arrival.records.byteLength;
      arrival.reject(error);
    }
    return true;
  }

  #check({ count, records }: Pick<Arrival, "count" | "records">): RecordTable {
    const table = this.#log.check(records);
    if (table.fault === null && table.count === count) return table;
    const { reason, at } = table.fault ?? { reason: "BAD_LENGTH", at: records.byteLength };
    throw new MQError("MESSAGE_ILLEGAL", `Record ${table.count} of the frame, at byte ${at}, is damaged: ${reason}.`, { field: "frame" });
  }

  /** No await in here: what was checked is what is appended, and the next frame cannot come in between. */
  #append(arrival: Arrival): void {
    const { records, isDiverted, client, resolve, reject } = arrival;
    const stored = arrival.stored ?? NOTHING_STORED;
    const table = this.#check(arrival);
    const placement = isDiverted ? this.#divert(table, records, stored) : this.#place(table, this.#judge(table, records, false), stored);
    const { appended, commit } = this.#appender.append(placement);
    if (appended.count === 0) return resolve(replyOf(placement, appended.position));
    const flush = this.#flushes.begin({
      messages: appended.count,
      waits: !allSay(records, table.at, DOES_NOT_WAIT),
      answer: (unflushed) => resolve(replyOf(placement, appended.position, unflushed)),
      refuse: reject,
    });
    commit({
      committed: () => {
        client?.put(appended.count, appended.bytes, table.topics);
        flush.committed();
      },
      failed: (error) => flush.failed(error),
    });
    flush.appended();
  }

  /** As `#place`, of records that may have to go elsewhere first: what they become is what is appended. */
  #divert(table: RecordTable, records: Uint8Array, stored: StoredPlaces): FramePlacement {
    const judge = this.#judge(table, records, true);
    const refusals: (MQError | undefined)[] = [];
    const dues: number[] = [];
    // One that is refused keeps its place, so that the numbers stay those of the frame.
    const copies = Array.from(table.at, (at, index) => {
      const source = records.subarray(at, at + table.size[index]!);
      dues[index] = stored[index]?.due ?? -1;
      if (stored[index]) return source;
      refusals[index] = judge(index);
      if (refusals[index] !== undefined) return source;
      try {
        const sent = readStored(source);
        const first = this.#diversions.aim(sent);
        dues[index] = Number(first.properties[PROPERTY.TIMER_OUT_MS] ?? -1);
        return first === sent ? source : copyRecord(sent, first);
      } catch (error) {
        refusals[index] = asMQError(error);
        return source;
      }
    });
    const { fault, count, ...diverted } = this.#log.check(concat(copies, copies.reduce((sum, { byteLength }) => sum + byteLength, 0)));
    assert(fault === null && count === table.count, "the broker's own records are whole");
    const placement = this.#place({ ...diverted, fault, count }, (index) => refusals[index], stored);
    return dues.some((due) => due >= 0) ? { ...placement, dues } : placement;
  }

  /** Why a record of the frame is not taken. */
  #judge(table: RecordTable, records: Uint8Array, isDiverted: boolean): (index: number) => MQError | undefined {
    const configs = table.topics.map((topic) => this.#topics.find(topic));
    return (index) => {
      const topic = table.topicIndex[index]!;
      const at = table.at[index]!;
      const refusal = reasonToRefuse(configs[topic], table.topics[topic]!, table.queueId[index]!) ?? reasonByType(configs[topic]!, records.subarray(at, at + table.size[index]!));
      return refusal ?? this.#checkRecord(records, table.at[index]!, isDiverted);
    };
  }

  #place(table: RecordTable, judge: (index: number) => MQError | undefined, stored: StoredPlaces): FramePlacement {
    const placement: FramePlacement = {
      keep: new Uint8Array(table.count),
      queueOffsets: new Float64Array(table.count).fill(-1),
      queues: [],
      refused: [],
      stored,
    };
    for (let index = 0; index < table.count; index++) {
      if (stored[index]) continue;
      const error = judge(index);
      if (error !== undefined) {
        placement.refused.push({ index, error: errorToData(error) });
        continue;
      }
      const queue = this.#queues.open(table.topics[table.topicIndex[index]!]!, table.queueId[index]!);
      placement.keep[index] = 1;
      placement.queueOffsets[index] = queue.nextOffset++;
      placement.queues[index] = queue;
    }
    return placement;
  }

  /** Where the messages of a frame go, for whoever stores them with something else. All of them, or the first refusal is thrown. */
  aimAll(frame: unknown): Aimed[] {
    const { count, records, flags } = openFrame(frame);
    const table = this.#check({ count, records });
    const isDiverted = (flags & FRAME_DIVERTED) !== 0;
    const judge = this.#judge(table, records, isDiverted);
    return Array.from(table.at, (at, index) => {
      const refusal = judge(index);
      if (refusal !== undefined) throw refusal;
      const source = readStored(records.subarray(at, at + table.size[index]!));
      return { source, target: isDiverted ? this.#diversions.aim(source) : source };
    });
  }

  /** What a client of ours sees to itself; one that is none must not get around it. */
  #checkRecord(records: Uint8Array, at: number, isDiverted: boolean): MQError | undefined {
    // The next start would believe it, and take another group's messages for consumed.
    const forbidden = forbiddenProperty(records, at, isDiverted);
    if (forbidden !== null) return new MQError("MESSAGE_ILLEGAL", `The property ${forbidden} is the broker's.`, { field: "message.properties" });
    const limit = this.#settings.maxMessageSize;
    if (limit >= MAX_BODY_BYTES) return undefined;
    const bytes = new DataView(records.buffer, records.byteOffset + at).getInt32(RECORD.bodyLength);
    if (bytes <= limit) return undefined;
    return new MQError("MESSAGE_ILLEGAL", `The body has ${bytes} bytes; maxMessageSize is ${limit}.`, { field: "message.body" });
  }
}

function replyOf({ keep, queueOffsets, refused, stored, dues }: FramePlacement, kept: Float64Array, unflushed?: number): SendReply {
  // A few numbers cross a port faster as a plain list.
  const length = keep.length * 2;
  const places: Float64Array | number[] = keep.length > SHORT_REPLY ? new Float64Array(length) : [];
  let next = 0;
  for (let index = 0; index < keep.length; index++) {
    const isKept = keep[index] !== 0;
    places[index * 2] = isKept ? queueOffsets[index]! : -1;
    places[index * 2 + 1] = isKept ? kept[next++]! : -1;
  }
  const found = placesFound(stored, places);
  return { places, refused, ...(found.length > 0 && { found }), ...(dues !== undefined && { dues }), ...(unflushed !== undefined && { unflushed }) };
}

/** Fills in where records are stored already; returns which, and their queues. */
function placesFound(stored: StoredPlaces, places: Float64Array | number[]): NonNullable<SendReply["found"]> {
  const found: NonNullable<SendReply["found"]> = [];
  for (const [index, place] of stored.entries()) {
    if (place === null) continue;
    places[index * 2] = place.queueOffset;
    places[index * 2 + 1] = place.position;
    found.push({ index, queueId: place.queueId });
  }
  return found;
}
