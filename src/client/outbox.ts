import { asMQError, errorFromData, inDoubt, MQError } from "../model/errors.ts";
import { BATCH_MAX_RECORDS, BATCH_TARGET_BYTES, MAX_HANDED_OVER_FRAMES, MAX_IN_FLIGHT_BYTES, MAX_IN_FLIGHT_FRAMES, MAX_UNSENT_BYTES } from "../model/limits.ts";
import type { MessageDraft } from "../model/message.ts";
import { recordBytes } from "../model/record-codec.ts";
import { maySendAgain } from "../model/send-retry.ts";
import { Alarm } from "../platform/alarm.ts";
import type { SendReply } from "../protocol/api.ts";
import { FRAME_AGAIN, FRAME_HEADER_BYTES, FrameWriter, markAgain } from "../protocol/frame.ts";
import { BrokerGone } from "./channel.ts";
import type { Connection } from "./connection.ts";
import { Unflushed } from "./unflushed.ts";

/** A record to be written, and who waits for it. */
export interface OutboxEntry {
  draft: MessageDraft;
  topic: Uint8Array;
  queueId: number;
  /** It may be stored already; then at this position of the log or behind. */
  from?: number | undefined;
  /**
   * Committed, or, with `unflushed`, only appended. It may stand in another queue, where an earlier try has put it.
   * `due`: when it is delivered, ms since 1970; null = it is no timer.
   */
  stored(queueOffset: number, position: number, unflushed: boolean, queueId: number, due: number | null): void;
  refused(error: MQError): void;
}

/** How records of one batch are sent; records with other rules go into another batch. */
export interface SendRules {
  /** The whole send, retries included, ms. */
  timeout: number;
  /** On the monotonic clock; null = `timeout` from now on. */
  deadline: number | null;
  /** Tries after the first, when the outcome of one is unknown. */
  retries: number;
  /** For the commit. Only where no record of a frame waits is it answered before. */
  waits: boolean;
  /** Of the frame, see protocol/frame.ts. */
  flags: number;
}

/** Being filled. */
interface OpenBatch {
  writer: FrameWriter;
  entries: OutboxEntry[];
  rules: SendRules;
  /** Before here in the log there is none of these. Undefined = none of them was ever sent. */
  from: number | undefined;
}

/** Finished: waiting or on its way. */
interface Batch {
  frame: ArrayBuffer;
  entries: OutboxEntry[];
  rules: SendRules;
  /** How far the log was durable before the first try. */
  from: number;
  /** It may be stored, wholly or in part. */
  isAgain: boolean;
  tries: number;
  lastError: MQError | null;
  /** On the monotonic clock. */
  deadline: number;
  settled: boolean;
}

const TRANSFER_MIN_BYTES = 16 * 1024;

/**
 * All that this tab sends. What is sent within one task is packed into one frame and crosses the port in one call;
 * a bounded number of bytes is on its way, the rest waits here in order. When the broker dies, unanswered frames go
 * to the next one, in the same order, before anything newer.
 */
export class Outbox {
  readonly #connection: Connection;
  readonly #alarm: Alarm;
  readonly #unflushed: Unflushed;
  #ended: MQError | null = null;
  #open: OpenBatch | null = null;
  #waiting: Batch[] = [];
  #inFlight: Batch[] = [];
  #inFlightBytes = 0;
  #heldBytes = 0;
  #flushing = false;
  #lastFrameBytes = 0;
  /** Batches that somebody waits for. */
  #unsettled = 0;
  #idle: (() => void)[] = [];

  constructor(connection: Connection) {
    this.#connection = connection;
    const { timers, clock } = connection.environment;
    this.#alarm = new Alarm(timers, clock, (now) => this.#expire(now));
    this.#unflushed = new Unflushed(connection);
    connection.lifecycle.on("lost", () => this.#takeBack());
    connection.lifecycle.on("open", () => this.#pump());
    connection.lifecycle.on("hide", () => this.#handOver());
    connection.lifecycle.on("ended", (error) => this.#refuseAll(error));
    void connection.closed.then(() => this.#alarm.stop());
  }

  /** Entries of one call stay together: one frame, one commit. Throws FLOW_CONTROL when the tab holds too much, and CLOSED when the namespace was destroyed. */
  add(entries: OutboxEntry[], rules: SendRules): void {
    if (this.#ended !== null) throw this.#ended;
    const bytes = entries.reduce((sum, { draft, topic }) => sum + recordBytes(draft, topic.byteLength), 0);
    if (this.#heldBytes + bytes > MAX_UNSENT_BYTES) {
      throw new MQError("FLOW_CONTROL", `This tab holds ${MAX_UNSENT_BYTES / 2 ** 20} MiB of unanswered messages; await some sends before the next.`);
    }
    const open = this.#batchFor(entries, bytes, rules);
    const bornTimestamp = this.#connection.environment.clock.now();
    for (const entry of entries) {
      open.writer.write(entry.draft, entry.topic, entry.queueId, bornTimestamp);
      open.entries.push(entry);
    }
    this.#heldBytes += bytes;
    if (!this.#flushing) this.#flushSoon();
  }

  /** Resolves when nothing is held any more, and the commit of everything that was answered before it is over. */
  async drained(): Promise<void> {
    do {
      for (this.#close(); this.#unsettled > 0; this.#close()) await new Promise<void>((resolve) => this.#idle.push(resolve));
      await this.#unflushed.settled();
    } while (this.#unsettled > 0);
  }

  /** The batch that is being filled, if the entries fit; else a new one. */
  #batchFor(entries: OutboxEntry[], bytes: number, rules: SendRules): OpenBatch {
    const open = this.#open;
    const from = entries[0]!.from;
    // A message that is sent again twice at once is found only when the first of them is stored: not in one frame.
    const isTwice = open !== null && from !== undefined && entries.some(({ draft }) => open.entries.some((other) => other.draft.msgId === draft.msgId));
    const fits =
      open !== null && !isTwice && open.rules.timeout === rules.timeout && open.rules.deadline === rules.deadline && open.rules.retries === rules.retries && open.rules.waits === rules.waits && open.rules.flags === rules.flags && open.from === from &&
      open.writer.byteLength + bytes <= BATCH_TARGET_BYTES && open.entries.length + entries.length <= BATCH_MAX_RECORDS;
    if (fits) return open;
    this.#close();
    return (this.#open = { writer: new FrameWriter(Math.max(this.#lastFrameBytes, bytes + FRAME_HEADER_BYTES), from === undefined ? rules.flags : rules.flags | FRAME_AGAIN), entries: [], rules, from });
  }

  /**
   * At the end of this task. Two turns of the microtask queue: the answers of one frame resume many senders at once,
   * and what they send next shall share a frame too.
   */
  #flushSoon(): void {
    this.#flushing = true;
    // A promise's turn costs a tenth of queueMicrotask's, which leaves the engine and comes back.
    void Promise.resolve()
      .then(() => {})
      .then(() => {
        this.#flushing = false;
        this.#close();
      });
  }

  #close(): void {
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    this.#lastFrameBytes = open.writer.byteLength;
    const batch: Batch = {
      frame: open.writer.finish(),
      entries: open.entries,
      rules: open.rules,
      from: open.from ?? this.#connection.witness.position,
      isAgain: open.from !== undefined,
      tries: 0,
      lastError: null,
      settled: false,
      deadline: open.rules.deadline ?? this.#connection.environment.clock.monotonic() + open.rules.timeout,
    };
    this.#alarm.by(batch.deadline);
    this.#unsettled++;
    this.#waiting.push(batch);
    this.#pump();
  }

  /** The page goes, and the broker may outlive it: what waits for its turn would be lost with the page. If that comes back, it is sent again, and found. */
  #handOver(): void {
    this.#close();
    this.#pump(MAX_HANDED_OVER_FRAMES, MAX_UNSENT_BYTES);
  }

  #pump(maxFrames = MAX_IN_FLIGHT_FRAMES, maxBytes = MAX_IN_FLIGHT_BYTES): void {
    while (this.#connection.isOpen && this.#inFlight.length < maxFrames) {
      const next = this.#waiting[0];
      if (next === undefined) break;
      const size = next.frame.byteLength;
      if (this.#inFlightBytes > 0 && this.#inFlightBytes + size > maxBytes) break;
      this.#waiting.shift();
      this.#inFlight.push(next);
      this.#inFlightBytes += size;
      void this.#send(next);
    }
  }

  async #send(batch: Batch): Promise<void> {
    if (batch.tries++ > 0 && !batch.isAgain) {
      batch.isAgain = true;
      markAgain(batch.frame);
    }
    // The original stays here until it is answered: a broker that dies takes its copy along. The port copies by
    // itself, which for a small frame is cheaper than to hand a copy over.
    const isSmall = batch.frame.byteLength < TRANSFER_MIN_BYTES;
    const frame = isSmall ? batch.frame : batch.frame.slice(0);
    const broker = this.#connection.serving;
    try {
      const reply = await this.#connection.callOnce("send", batch.isAgain ? [frame, batch.from] : [frame], { transfers: isSmall ? [] : [frame] });
      this.#leave(batch);
      if (reply.unflushed !== undefined) this.#unflushed.add(reply.unflushed, unflushedIds(batch, reply), broker);
      const found = new Map(reply.found?.map(({ index, queueId }) => [index, queueId]));
      this.#settle(batch, (entry, at) => answer(entry, reply, at, found.get(at) ?? entry.queueId));
    } catch (error) {
      // `lost` follows and takes back whatever was on its way, in order.
      if (error instanceof BrokerGone) return;
      const refusal = asMQError(error);
      if (refusal.outcome === "unknown") {
        // The store failed under this broker, which gives up. `lost` follows here too.
        batch.lastError = refusal;
        return this.#connection.abandonBroker(refusal.message);
      }
      this.#leave(batch);
      this.#settle(batch, (entry) => entry.refused(asFarAsKnown(refusal, batch)));
    }
    this.#pump();
  }

  /** The broker is gone: what it has not answered goes first to the next one. */
  #takeBack(): void {
    const returned = this.#inFlight;
    this.#inFlight = [];
    this.#inFlightBytes = 0;
    const again = returned.filter((batch) => this.#mayRetry(batch));
    for (const batch of returned) {
      if (!again.includes(batch)) this.#settle(batch, (entry) => entry.refused(batch.lastError ?? new BrokerGone()));
    }
    this.#waiting = [...again, ...this.#waiting];
  }

  #mayRetry(batch: Batch): boolean {
    return !batch.settled && maySendAgain("remoting-error", batch.tries, { retryTimesWhenSendFailed: batch.rules.retries });
  }

  /** There will never be a broker again. */
  #refuseAll(error: MQError): void {
    this.#ended = error;
    this.#close();
    for (const batch of [...this.#inFlight.splice(0), ...this.#waiting.splice(0)]) this.#settle(batch, (entry) => entry.refused(batch.tries === 0 ? error : inDoubt(error)));
    this.#inFlightBytes = 0;
  }

  /** Gives up what is due; returns the next deadline. */
  #expire(now: number): number {
    // Those on their way keep their place: their bytes are still at the broker.
    const held = [...this.#inFlight, ...this.#waiting].filter((batch) => !batch.settled);
    const late = held.filter(({ deadline }) => deadline <= now);
    this.#waiting = this.#waiting.filter(({ deadline }) => deadline > now);
    for (const batch of late) this.#settle(batch, (entry) => entry.refused(this.#connection.explained(tooLate(batch))));
    return held.reduce((next, { deadline }) => (deadline > now ? Math.min(next, deadline) : next), Number.POSITIVE_INFINITY);
  }

  #leave(batch: Batch): void {
    const at = this.#inFlight.indexOf(batch);
    if (at < 0) return;
    this.#inFlight.splice(at, 1);
    this.#inFlightBytes -= batch.frame.byteLength;
  }

  #settle(batch: Batch, each: (entry: OutboxEntry, at: number) => void): void {
    if (batch.settled) return;
    batch.settled = true;
    for (const [at, entry] of batch.entries.entries()) {
      this.#heldBytes -= recordBytes(entry.draft, entry.topic.byteLength);
      each(entry, at);
    }
    if (--this.#unsettled === 0) for (const idle of this.#idle.splice(0)) idle();
  }
}

function tooLate({ rules, tries }: Batch): MQError {
  const wasSent = tries > 0;
  return new MQError(
    "DEADLINE_EXCEEDED",
    `The send took longer than ${rules.timeout} ms${wasSent ? "; whether it was stored is not known" : " and was never sent: there is no broker, or too much waits before it"}.`,
    { outcome: wasSent ? "unknown" : "rejected" },
  );
}

/** Those of which it is open whether they are committed. */
function unflushedIds({ entries }: Batch, { places, found = [] }: SendReply): string[] {
  return entries.filter((_, at) => places[at * 2]! >= 0 && !found.some(({ index }) => index === at)).map(({ draft }) => draft.msgId);
}

function answer(entry: OutboxEntry, reply: SendReply, at: number, queueId: number): void {
  const queueOffset = reply.places[at * 2]!;
  const due = reply.dues?.[at] ?? -1;
  if (queueOffset >= 0) return entry.stored(queueOffset, reply.places[at * 2 + 1]!, reply.unflushed !== undefined, queueId, due < 0 ? null : due);
  const refusal = reply.refused.find(({ index }) => index === at);
  const error = refusal === undefined ? new MQError("INTERNAL_ERROR", "The broker refused a message without saying why.") : errorFromData(refusal.error);
  // Of one that is sent again the broker has looked whether it is stored.
  entry.refused(error);
}

/** Of an earlier try nobody knows whether it was stored; that the last one was refused as a whole says nothing about it. */
function asFarAsKnown(error: MQError, { isAgain }: Batch): MQError {
  return isAgain ? inDoubt(error) : error;
}
