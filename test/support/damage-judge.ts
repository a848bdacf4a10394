import { isDeepStrictEqual } from "node:util";
import { Broker } from "../../src/broker/broker.ts";
import type { MessageDraft, MessageExt } from "../../src/model/message.ts";
import { decodeRecords, encodeTopic } from "../../src/model/record-codec.ts";
import { FrameWriter } from "../../src/protocol/frame.ts";
import { DEFAULT_BROKER_SETTINGS } from "../../src/protocol/broker-settings.ts";
import type { WitnessMark } from "../../src/protocol/api.ts";
import type { BlockStore } from "../../src/storage/block-store.ts";
import type { Indexer } from "../../src/storage/indexer.ts";
import { type MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import "./sound-stores.ts";
import { type Finding, readStore } from "./store-check.ts";

/** What a store held before somebody damaged it. */
export interface Truth {
  /** Place (topic/queueId/offset) -> the record's bytes. */
  records: ReadonlyMap<string, string>;
  messages: readonly MessageExt[];
  /** Queue -> the offset that was to come next. */
  ends: ReadonlyMap<string, number>;
  /** Queue -> where it began. */
  begins: ReadonlyMap<string, number>;
  logEnd: number;
  epoch: number;
  offsets: ReadonlyMap<string, Record<number, number>>;
}

export interface JudgeOptions {
  /** What tabs remember of the store; none for a browser without local storage. */
  witness?: WitnessMark | null;
  /** Without the store checker: it takes as long as the rest. */
  isQuick?: boolean;
  /** A second start on what the first one has left. */
  isTwice?: boolean;
  /** Where in the log something may be missing, provided that it is reported. Nowhere: what was damaged can be made again. */
  mayMiss?: (position: number) => boolean;
  /** Only what consumers get is judged. */
  isForConsumers?: boolean;
  /** For controls. */
  indexer?: () => Indexer;
  store?: (disk: MemoryDisk) => BlockStore;
}

export interface Judged {
  /** What breaks a promise; an empty list is good. */
  faults: string[];
  delivered: number;
  /** The start or a read has said that something is wrong. */
  isReported: boolean;
}

const NOW = Date.UTC(2026, 5, 1);
/** What no damage excuses: the broker itself would have written it. */
const NEVER: readonly Finding["code"][] = ["LOG_OVERLAP", "FENCE_INSIDE", "OFFSET_REUSED", "EPOCH_BACKWARDS", "EPOCH_TOO_SMALL", "CHECKPOINT_AHEAD", "OFFSET_AHEAD", "TOPIC_MISSING"];

const placeOf = ({ topic, queueId, queueOffset }: MessageExt): string => `${topic}/${queueId}/${queueOffset}`;
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");

export function truthOf(disk: MemoryDisk, earlier: readonly MemoryDisk[] = []): Truth {
  const { messages, logEnd, findings } = readStore(disk);
  if (findings.length > 0) throw new Error(`the store is not sound to begin with: ${JSON.stringify(findings)}`);
  const records = new Map<string, string>();
  const payloads = [...disk.log].sort(([a], [b]) => a - b).map(([position, row]) => ({ position, bytes: row.subarray(32) }));
  for (const message of messages) {
    const { position, bytes } = payloads.findLast((one) => one.position <= message.commitLogOffset)!;
    const at = message.commitLogOffset - position;
    records.set(placeOf(message), textOf(bytes.subarray(at, at + message.storeSize)));
  }
  const ends = new Map<string, number>();
  for (const one of [...earlier.flatMap((before) => readStore(before).messages), ...messages]) {
    const name = `${one.topic}/${one.queueId}`;
    ends.set(name, Math.max(ends.get(name) ?? 0, one.queueOffset + 1));
  }
  const trim = disk.state.get("trim") as { queues: [string, number, number][] } | undefined;
  const begins = new Map(trim?.queues.map(([topic, queueId, begin]) => [`${topic}/${queueId}`, begin]));
  const offsets = new Map([...disk.state].filter(([key]) => key.startsWith("offset/")) as [string, Record<number, number>][]);
  return { records, messages, ends, begins, logEnd, epoch: disk.state.get("epoch") as number, offsets };
}

export function markOf({ epoch, logEnd }: Truth): WitnessMark {
  return { epoch, position: logEnd, groups: ["g"] };
}

/** A broker lives on the damaged store, is asked for everything, takes new messages, and ends; the store is looked at. Changes the disk. */
export async function judgeDamage(disk: MemoryDisk, truth: Truth, options: JudgeOptions = {}): Promise<Judged> {
  const judge = new Judge(disk, truth, options);
  try {
    await judge.live(options.witness ?? null);
    if (options.isTwice === true) await judge.live(options.witness ?? null);
  } catch (error) {
    judge.faults.push(`panic: ${error instanceof Error ? error.stack : String(error)}`);
  }
  return judge;
}

class Judge implements Judged {
  readonly faults: string[] = [];
  delivered = 0;
  isReported = false;
  readonly #disk: MemoryDisk;
  readonly #options: JudgeOptions;
  readonly #truth: Truth;
  readonly #records: Map<string, string>;
  readonly #ends: Map<string, number>;
  #logEnd: number;
  #epoch: number;
  #lives = 0;
  /** Found before a broker has touched it. */
  readonly #found: ReadonlySet<string>;

  constructor(disk: MemoryDisk, truth: Truth, options: JudgeOptions) {
    this.#disk = disk;
    this.#options = options;
    this.#truth = truth;
    this.#records = new Map(truth.records);
    this.#ends = new Map(truth.ends);
    this.#logEnd = truth.logEnd;
    this.#epoch = truth.epoch;
    this.#found = new Set(this.#findings());
  }

  async live(witness: WitnessMark | null): Promise<void> {
    const { indexer = () => new TsIndexer(), store = (disk) => new MemoryStore(disk) } = this.#options;
    this.#lives++;
    const broker = await Broker.start({
      store: store(this.#disk), indexer: indexer(), clock: { now: () => NOW, monotonic: () => 0 }, timers: { after: () => () => {} }, incarnation: "x",
      settings: { ...DEFAULT_BROKER_SETTINGS }, witness, estimateRoom: () => Promise.resolve(null),
    });
    if (!(broker.epoch > this.#epoch)) this.faults.push(`the epoch went from ${this.#epoch} to ${broker.epoch}`);
    this.#epoch = Math.max(this.#epoch, Number.isSafeInteger(broker.epoch) ? broker.epoch : 0);
    const read = await this.#readQueues(broker);
    const isAll = this.#options.isForConsumers !== true;
    if (isAll) await this.#query(broker, read);
    const exported = isAll ? await this.#export(broker, read) : 0;
    if (isAll) await this.#search(broker, read);
    await this.#checkGroups(broker);
    this.delivered = read.size;
    const { recovery, damaged } = broker.diagnostics();
    this.isReported ||= recovery.loss !== "none" || damaged.length > 0 || exported > 0;
    const { mayMiss = () => false } = this.#options;
    for (const message of this.#truth.messages) {
      if (read.has(placeOf(message))) continue;
      if (!mayMiss(message.commitLogOffset)) this.faults.push(`${placeOf(message)} is missing, and was not damaged`);
      else if (!this.isReported) this.faults.push(`${placeOf(message)} is missing without a word`);
    }
    await this.#send(broker);
    await broker.close();
    for (const finding of this.#findings()) if (!this.#found.has(finding)) this.faults.push(finding);
  }

  /** What the store checker finds that no damage excuses. */
  #findings(): string[] {
    if (this.#options.isQuick === true) return [];
    return readStore(this.#disk, { holes: true }).findings.filter(({ code }) => NEVER.includes(code)).map(({ code, where }) => `${code} ${where}`);
  }

  /** One record as it was given. */
  #look(bytes: Uint8Array, where: string): string[] {
    const messages = decodeRecords(bytes, "broker-a");
    let at = 0;
    return messages.map((message) => {
      const place = placeOf(message);
      const record = textOf(bytes.subarray(at, (at += message.storeSize)));
      if (this.#records.get(place) !== record) this.faults.push(`${where}: ${place} ${message.msgId} "${message.text().slice(0, 20)}" is not what was sent`);
      return place;
    });
  }

  async #readQueues(broker: Broker): Promise<Set<string>> {
    const read = new Set<string>();
    for (const name of this.#ends.keys()) {
      const [topic = "", queueId] = name.split("/");
      if (broker.topics.find(topic) === undefined) continue;
      let last = -1;
      for (let offset = 0, rounds = 0; ; rounds++) {
        if (rounds > 300) return this.#fault(`reading ${name} does not come to an end`, read);
        const { status, nextBeginOffset, records, minOffset, maxOffset } = await broker.fetches.pull({ topic, queueId: Number(queueId), expression: "*", offset, max: 1024 });
        if (rounds === 0 && minOffset < (this.#truth.begins.get(name) ?? 0)) this.faults.push(`${name} begins at ${minOffset}, before it began at ${this.#truth.begins.get(name)!}`);
        if (rounds === 0 && !(maxOffset >= minOffset)) this.faults.push(`${name}: from ${minOffset} to ${maxOffset}`);
        for (const place of this.#look(records, `pull ${name} at ${offset}`)) {
          const at = Number(place.slice(name.length + 1));
          if (!place.startsWith(`${name}/`)) this.faults.push(`${place} is delivered from ${name}`);
          else if (at < offset || at >= nextBeginOffset || at <= last) this.faults.push(`${place} is delivered between ${offset} and ${nextBeginOffset}, after ${last}`);
          last = at;
          read.add(place);
        }
        if (status === "NO_NEW_MSG" || nextBeginOffset === offset) break;
        offset = nextBeginOffset;
      }
    }
    return read;
  }

  #fault<T>(text: string, value: T): T {
    this.faults.push(text);
    return value;
  }

  /** What can be read can be found, by key, by id and by position; and nothing else is found. */
  async #query(broker: Broker, read: Set<string>): Promise<void> {
    for (const topic of ["a", "b"]) {
      const found = new Set<string>();
      let before: number | null = null;
      for (let rounds = 0; rounds < 100; rounds++) {
        const { records, next }: { records: Uint8Array; next: number | null } = await broker.queries.query({ topic, key: "all", max: 64, begin: 0, end: NOW, before });
        for (const place of this.#look(records, "query all")) found.add(place);
        if (next === null) break;
        before = next;
        if (rounds === 99) this.faults.push("the query does not come to an end");
      }
      for (const message of this.#truth.messages) {
        const place = placeOf(message);
        if (message.topic === topic && message.keys.includes("all") && read.has(place) && !found.has(place)) this.faults.push(`${place} can be read and is not found by its key`);
      }
    }
    for (const message of this.#truth.messages) {
      const [place] = this.#look(await broker.queries.at(message.commitLogOffset), "by position");
      if (read.has(placeOf(message)) && place === undefined) this.faults.push(`${placeOf(message)} can be read and is not found at its position`);
    }
  }

  /** Returns how many damaged ranges the export names. */
  async #export(broker: Broker, read: Set<string>): Promise<number> {
    const { position, end } = await broker.exports.begin();
    const seen = new Set<string>();
    let damaged = 0;
    for (let next = position, rounds = 0; next < end; rounds++) {
      if (rounds > 100) return this.#fault("the export does not come to an end", damaged);
      const reply = await broker.exports.read({ position: next, end });
      damaged += reply.damaged.length;
      for (const place of this.#look(reply.records, "export")) {
        if (seen.has(place)) this.faults.push(`${place} is exported twice`);
        seen.add(place);
      }
      next = reply.nextPosition;
    }
    for (const place of read) if (!seen.has(place)) this.faults.push(`${place} can be read and is not in the export`);
    return damaged;
  }

  async #search(broker: Broker, read: Set<string>): Promise<void> {
    for (const name of this.#ends.keys()) {
      const [topic = "", queueId] = name.split("/");
      const there = this.#truth.messages.filter((message) => `${message.topic}/${message.queueId}` === name && read.has(placeOf(message)));
      const { minOffset } = await broker.fetches.pull({ topic, queueId: Number(queueId), expression: "*", offset: 0, max: 1 }).catch(() => ({ minOffset: 0 }));
      for (const { storeTimestamp } of [there[0], there.at(-1)].filter((message) => message !== undefined)) {
        const found = await broker.times.search({ topic, queueId: Number(queueId), timestamp: storeTimestamp, boundary: "LOWER" });
        // Whoever goes on from there gets every message of that time or later.
        const first = there.find((message) => message.storeTimestamp >= storeTimestamp)!;
        const isRising = there.every((message, at) => at === 0 || there[at - 1]!.storeTimestamp <= message.storeTimestamp);
        if (!(found >= minOffset) || (isRising && found > first.queueOffset)) this.faults.push(`${name}: ${found} is found for the time of ${first.queueOffset}`);
      }
    }
  }

  /** A group stands where it stood; where that is not known any more, no further than it was: nothing is skipped. */
  async #checkGroups(broker: Broker): Promise<void> {
    const { queues } = await broker.stats.consume("g");
    for (const { topic, queueId, consumerOffset, brokerOffset, diff } of queues) {
      const name = `g at ${topic}/${queueId}`;
      const stored = this.#disk.state.get(`offset/g/${topic}`);
      const truth = this.#truth.offsets.get(`offset/g/${topic}`)?.[queueId] ?? 0;
      const { minOffset } = await broker.fetches.pull({ topic, queueId, expression: "*", offset: 0, max: 1 });
      if (!(consumerOffset <= Math.max(truth, minOffset))) this.faults.push(`${name} is at ${consumerOffset}, it was at ${truth}; the queue has ${minOffset} to ${brokerOffset}`);
      if (isDeepStrictEqual(stored, this.#truth.offsets.get(`offset/g/${topic}`)) && consumerOffset < truth) this.faults.push(`${name} went back from ${truth} to ${consumerOffset}`);
      if (!(diff >= 0)) this.faults.push(`${name}: ${diff} messages are waiting`);
    }
  }

  /** New messages go where nothing has ever been, and can be read there. */
  async #send(broker: Broker): Promise<void> {
    for (const name of this.#truth.ends.keys()) {
      const [topic = "", queue] = name.split("/");
      const queueId = Number(queue);
      const config = broker.topics.find(topic) ?? broker.topics.forSending(topic);
      if (queueId >= config.writeQueueNums) continue;
      const writer = new FrameWriter(1024);
      writer.write(draft(topic, `new ${this.#lives} ${name}`), encodeTopic(topic), queueId, NOW);
      const { places, refused } = await broker.send.send(writer.finish());
      const [offset, position] = [places[0]!, places[1]!];
      if (refused.length > 0) {
        this.faults.push(`${name}: a send is refused`);
        continue;
      }
      if (offset < (this.#ends.get(name) ?? 0)) this.faults.push(`${name}: offset ${offset} is used twice; ${this.#ends.get(name)!} was next`);
      if (position < this.#logEnd) this.faults.push(`${name}: position ${position} is used twice; the log had reached ${this.#logEnd}`);
      const { records } = await broker.fetches.pull({ topic, queueId, expression: "*", offset, max: 1 });
      const message = decodeRecords(records, "broker-a")[0];
      if (message === undefined || message.queueOffset !== offset || !message.text().startsWith("new ")) this.faults.push(`${name}: what was sent to ${offset} is not there`);
      else this.#records.set(placeOf(message), textOf(records));
      this.#ends.set(name, Math.max(this.#ends.get(name) ?? 0, offset + 1));
      this.#logEnd = Math.max(this.#logEnd, position + records.byteLength);
    }
  }
}

function draft(topic: string, body: string): MessageDraft {
  return { topic, body: new TextEncoder().encode(body), flag: 0, properties: "", propertiesBytes: 0, msgId: "", messageGroup: undefined, waitStoreMsgOK: true, isDiverted: false };
}
