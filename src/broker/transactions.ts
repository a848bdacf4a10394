import { asMQError, MQError } from "../model/errors.ts";
import { MAX_PENDING_TRANSACTIONS } from "../model/limits.ts";
import { checkGroup } from "../model/names.ts";
import { TRANS_CHECK_MAX_TIME_TOPIC, HALF_TOPIC, OP_TOPIC } from "../model/system-names.ts";
import { PROPERTY } from "../model/properties.ts";
import { readStored, type RecordPlace, type StoredRecord } from "../model/record-copy.ts";
import { type EndWish, refuseEnd, TRANSACTION_COMMITTED, TRANSACTION_PREPARED, type TransactionOutcome } from "../model/transaction.ts";
import { opRecord, outcomeOf } from "../model/transaction-op.ts";
import type { SteadyClock } from "../platform/steady-clock.ts";
import type { EndTransactionReply, EndTransactionRequest, PendingTransactions } from "../protocol/api.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import type { Diversion, Diversions } from "./diversions.ts";
import { finishOfHalf, type HalfMessage, type HalfMessages } from "./half-messages.ts";
import type { Move, Mover } from "./mover.ts";
import type { Offsets } from "./offsets.ts";
import type { QueryService } from "./query.ts";
import { PERM_READ, type Topics } from "./topics.ts";

const NO_PERM = 0;

export interface TransactionServices {
  settings: BrokerSettings;
  halves: HalfMessages;
  topics: Topics;
  offsets: Offsets;
  mover: Mover;
  /** Where a message may have to wait when its transaction is committed. */
  diversions: Diversions;
  queries: () => QueryService;
  /** Resolves when what has been appended is durable, or has failed. */
  settled: () => Promise<void>;
  clock: SteadyClock;
}

/**
 * Keeps messages out of sight until their producers say that the local transaction has ended. A commit is one record that
 * is in its topic and finishes the half message; with it goes one that says how the transaction ended. A rollback is only that.
 */
export class TransactionService implements Diversion {
  readonly #services: TransactionServices;

  constructor(services: TransactionServices) {
    this.#services = services;
  }

  /** A half message waits, out of everybody's sight, for the end of its transaction. */
  divert({ topic, queueId, reconsumeTimes, properties }: RecordPlace): RecordPlace | null {
    if (properties[PROPERTY.TRAN_MSG] !== "true") return null;
    const { halves, topics, diversions } = this.#services;
    checkGroup(properties[PROPERTY.PGROUP], "producerGroup");
    if (properties[PROPERTY.UNIQ_KEY] === undefined) throw new MQError("MESSAGE_ILLEGAL", "A half message has no id.", { field: "message.properties" });
    if (!halves.takePlace()) throw new MQError("FLOW_CONTROL", `${MAX_PENDING_TRANSACTIONS} transactions are open already; end some before the next.`);
    topics.ensure({ topic: HALF_TOPIC, readQueueNums: 1, writeQueueNums: 1, perm: NO_PERM });
    // As in RocketMQ: it is visible when it is committed, whatever its delay level.
    const { [PROPERTY.DELAY]: _level, [PROPERTY.TRANSACTION_CHECK_TIMES]: _times, ...own } = properties;
    // A time that it could not wait for is refused now: once the local transaction is done it would be too late.
    diversions.aim({ topic, queueId, reconsumeTimes, properties: own });
    return {
      topic: HALF_TOPIC,
      queueId: 0,
      reconsumeTimes,
      sysFlag: TRANSACTION_PREPARED,
      properties: { ...own, [PROPERTY.REAL_TOPIC]: topic, [PROPERTY.REAL_QID]: `${queueId}` },
    };
  }

  /**
   * Answers when the end is durable, with how the transaction stands: who comes late, or again, learns how it ended.
   * @throws MQError SYSTEM_ERROR: there is no such transaction, or it is another group's. ILLEGAL_OPERATION: too late; a check
   * decides. NO_MESSAGE: an operator has asked for one that there is not. TOPIC_NOT_EXIST, STORAGE_FULL: it stays open
   */
  async end({ producerGroup: group, transactionId, state, fromCheck }: EndTransactionRequest): Promise<EndTransactionReply> {
    const { halves, clock, settings } = this.#services;
    await halves.caughtUp();
    let half = halves.find(transactionId);
    if (half === undefined) {
      // Its half message was answered before its commit, and may still be on its way.
      await this.#services.settled();
      await halves.caughtUp();
      half = halves.find(transactionId);
    }
    if (half === undefined) return { state: await this.#past({ group, state, fromCheck }, transactionId) };
    const refused = refuseEnd({ group, state, fromCheck }, half, clock.now(), settings);
    if (refused !== null) throw refused;
    if (state === "UNKNOWN") return { state };
    return { state: await this.#once(half, () => this.#decide(half, state)) };
  }

  /** Nobody could say how it ended, or there is nothing to ask about: it is rolled back, and a copy, where there is one, is kept where an operator finds it. */
  async giveUp(half: HalfMessage): Promise<void> {
    await this.#once(half, async () => {
      const { mover } = this.#services;
      const source = await this.#read(half);
      // What is damaged cannot be kept.
      await mover.moveAll([...(source === null ? [] : [this.#keep(half, source)]), ...this.#says(half, "ROLLBACK", source === null)]);
      return "ROLLBACK";
    });
  }

  get pending(): PendingTransactions {
    const { halves, clock } = this.#services;
    const [oldest] = halves.all();
    return { pending: halves.size, oldestAge: oldest === undefined ? 0 : Math.max(0, clock.now() - oldest.stored) };
  }

  /** One decision at a time: who comes second hears of the first, and decides only where that has failed. */
  async #once(half: HalfMessage, decide: () => Promise<TransactionOutcome>): Promise<TransactionOutcome> {
    while (half.ending !== null) {
      const outcome = await half.ending.catch(() => null);
      if (outcome !== null) return outcome;
    }
    half.ending = decide();
    try {
      const outcome = await half.ending;
      this.#services.halves.ended(half);
      return outcome;
    } catch (error) {
      half.ending = null;
      throw error;
    }
  }

  async #decide(half: HalfMessage, outcome: TransactionOutcome): Promise<TransactionOutcome> {
    const { mover } = this.#services;
    if (outcome === "ROLLBACK") return this.#rollBack(half);
    const source = await this.#read(half);
    // Nobody can be given it any more: its topic was deleted, or it is damaged.
    if (source === null) return this.#rollBack(half);
    await mover.moveAll([{ finish: finishOfHalf(half.queueOffset), source, target: this.#aim(half, source) }, ...this.#says(half, "COMMIT", false)]);
    return outcome;
  }

  /** Also where the store takes no messages any more: then no record says it, and the finish alone is stored. */
  async #rollBack(half: HalfMessage): Promise<TransactionOutcome> {
    const { mover, offsets } = this.#services;
    try {
      await mover.moveAll(this.#says(half, "ROLLBACK", true), { usesReserve: true });
    } catch (error) {
      if (asMQError(error).code !== "STORAGE_FULL") throw error;
      await Promise.all([half.queueOffset, ...half.twins].map((queueOffset) => offsets.finishByFact(finishOfHalf(queueOffset))));
    }
    return "ROLLBACK";
  }

  /** Where it was to go in the first place, or where it has to wait before. */
  #aim({ position }: HalfMessage, source: StoredRecord): RecordPlace {
    const { topics, diversions } = this.#services;
    const { [PROPERTY.REAL_TOPIC]: topic = "", [PROPERTY.REAL_QID]: queueId = "", [PROPERTY.TRAN_MSG]: _half, ...properties } = source.properties;
    const config = topics.find(topic);
    if (config === undefined) throw new MQError("TOPIC_NOT_EXIST", `The topic "${topic}" of the transaction's message is gone; the transaction stays open.`, { field: "topic" });
    return diversions.aim({
      topic,
      // There may be fewer queues by now.
      queueId: Number(queueId) % config.readQueueNums,
      reconsumeTimes: source.reconsumeTimes,
      properties,
      sysFlag: TRANSACTION_COMMITTED,
      preparedTransactionOffset: position,
    });
  }

  /** As the half message was, for whoever wants to know what has become of it. */
  #keep(half: HalfMessage, source: StoredRecord): Move {
    const { properties, reconsumeTimes } = source;
    this.#services.topics.ensure({ topic: TRANS_CHECK_MAX_TIME_TOPIC, readQueueNums: 1, writeQueueNums: 1, perm: PERM_READ });
    const told = { ...properties, [PROPERTY.TRANSACTION_CHECK_TIMES]: `${half.checkTimes}` };
    return { finish: finishOfHalf(half.queueOffset), source, target: { topic: TRANS_CHECK_MAX_TIME_TOPIC, queueId: 0, reconsumeTimes, properties: told } };
  }

  /** Records that say how it ended. `finishes`: they finish the half message too, because no other record does. */
  #says(half: HalfMessage, outcome: TransactionOutcome, finishes: boolean): Move[] {
    const { topics, clock } = this.#services;
    topics.ensure({ topic: OP_TOPIC, readQueueNums: 1, writeQueueNums: 1, perm: NO_PERM });
    return [half.queueOffset, ...half.twins].map((queueOffset) => {
      const op = opRecord({ ...half, queueOffset, outcome }, clock.now());
      const isFinished = !finishes && queueOffset === half.queueOffset;
      return { finish: isFinished ? null : finishOfHalf(queueOffset), source: op, target: op };
    });
  }

  /** Null = it is damaged, or its topic was deleted. */
  #read(half: HalfMessage): Promise<StoredRecord | null> {
    return this.#services.mover.read(finishOfHalf(half.queueOffset)).catch((error: unknown) => {
      if (asMQError(error).code === "NO_MESSAGE") return null;
      throw error;
    });
  }

  /** How a transaction ended that is not open. */
  async #past(wish: EndWish, transactionId: string): Promise<TransactionOutcome> {
    const { offsets } = this.#services;
    const { group } = wish;
    for await (const op of this.#find(OP_TOPIC, transactionId)) {
      const outcome = outcomeOf(op, { group, transactionId });
      if (outcome !== null) return outcome;
    }
    for await (const half of this.#find(HALF_TOPIC, transactionId)) {
      // Rolled back without a record, for want of room.
      const isIts = half.properties[PROPERTY.UNIQ_KEY] === transactionId && (group === null || half.properties[PROPERTY.PGROUP] === group);
      if (isIts && offsets.isDone(finishOfHalf(half.queueOffset))) return "ROLLBACK";
    }
    if (group === null) throw new MQError("NO_MESSAGE", `There is no transaction with the id ${transactionId}, or no more.`, { field: "msgId" });
    throw refuseEnd(wish, null, 0, this.#services.settings)!;
  }

  async *#find(topic: string, key: string): AsyncGenerator<StoredRecord> {
    const queries = this.#services.queries();
    for (let before: number | null = Number.MAX_SAFE_INTEGER; before !== null; ) {
      const { records, next } = await queries.query({ topic, key, max: 8, begin: 0, end: Number.MAX_SAFE_INTEGER, before });
      const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
      for (let at = 0; at < records.byteLength; at += view.getInt32(at)) yield readStored(records.subarray(at, at + view.getInt32(at)));
      before = next;
    }
  }
}
