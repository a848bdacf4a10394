import { MAX_TRACE_BURST, MAX_TRACE_WAITING, TRACE_BATCH_RECORDS, TRACE_DELAY, TRACE_FRAME_RECORDS, TRACE_INTERVAL, TRACE_RATE } from "../model/limits.ts";
import { draftMessage } from "../model/message.ts";
import type { MessageExt } from "../model/message.ts";
import { MessageIdGenerator } from "../model/message-id.ts";
import { isSystemTopic, TRACE_TOPIC } from "../model/system-names.ts";
import { encodeTopic } from "../model/record-codec.ts";
import { type ConsumeReturnType, type Discard, encodeTrace, type EndTransaction, isTraceable, type Recall, traceKey, type TraceRecord } from "../model/trace-data.ts";
import type { Cancel } from "../platform/timers.ts";
import { FrameWriter } from "../protocol/frame.ts";
import { BrokerGone } from "./channel.ts";
import type { Connection } from "./connection.ts";

/** One call of a listener, or one message in the hands of whoever has asked for it. */
export interface Try {
  number: number;
  group: string;
  msgIds: string[];
  retryTimes: number;
  deliverTime: number;
  /** When it began, ms since 1970. */
  time: number;
}

/** How a try ended. */
export interface TryEnd {
  returnType: ConsumeReturnType;
  /** Why what was not consumed was not. */
  reason?: string;
  /** Of a batch: whether the message in this place was consumed. Default all are with SUCCESS, and none otherwise. */
  isConsumed?: (at: number) => boolean;
}

/** How many trace records this tab has told, and how many it could not. */
export interface TraceCounts {
  /** Trace records that this tab has handed to the broker. */
  written: number;
  /** Given up: too many successes in a short time, too many records that wait, or a broker that would not have them. */
  dropped: number;
}

const SEND_TIMEOUT = 5000;
const FLUSH_PATIENCE = 1000;
const TRANSFER_MIN_BYTES = 16 * 1024;

/**
 * Tells the trace topic what the log does not say by itself: who makes which ids, who has consumed what with which
 * result, decisions, recalls and discards. Gathers and sends by itself, one frame at a time, beside the outbox: nobody waits for
 * it, nobody fails by it, and what is too much is dropped. May tell a thing twice when a broker dies.
 */
export class Tracer {
  readonly counts: TraceCounts = { written: 0, dropped: 0 };
  readonly #connection: Connection;
  readonly #ids: MessageIdGenerator;
  readonly #topic = encodeTopic(TRACE_TOPIC);
  /** Begins every request's id: a client that comes back under its id must not take those of its earlier life. */
  readonly #name: string;
  #requests = 0;
  /** Tries that have begun and are not told yet: what ends before it is told needs one record only. */
  readonly #begun = new Set<Try>();
  #waiting: TraceRecord[] = [];
  /** Successes that may be told, as of then. */
  #allowance = MAX_TRACE_BURST;
  #allowedAt = 0;
  #isSending = false;
  #idle: (() => void)[] = [];
  #isRouted = false;
  #isOn = false;
  #lastSent = Number.NEGATIVE_INFINITY;
  #cancel: Cancel | null = null;
  readonly #unlisten: (() => void)[];

  constructor(connection: Connection) {
    const { random, clock } = connection.environment;
    this.#connection = connection;
    this.#ids = new MessageIdGenerator((count) => random.bytes(count), () => clock.now());
    this.#name = this.#ids.prefix.slice(0, 8);
    const { lifecycle } = connection;
    this.#unlisten = [lifecycle.on("open", () => this.#opened()), lifecycle.on("lost", () => (this.#isRouted = false)), lifecycle.on("hide", () => this.#hurry())];
    if (connection.isOpen) this.#opened();
  }

  /** Messages whose ids begin so are this group's, and this client's. */
  producer(group: string, prefix: string): void {
    if (this.#isOn) this.#tell({ type: "Producer", time: this.#now(), group, prefix });
  }

  /** How the local transaction of a message ended. */
  endTransaction(end: Omit<EndTransaction, "type" | "time">): void {
    if (this.#isOn) this.#tell({ type: "EndTransaction", time: this.#now(), ...end });
  }

  /** Whether a message was kept from being delivered. */
  recall(recall: Omit<Recall, "type" | "time">): void {
    if (this.#isOn) this.#tell({ type: "Recall", time: this.#now(), ...recall });
  }

  /** A dead letter that nobody is given any more. */
  discard(discard: Omit<Discard, "type" | "time">): void {
    if (this.#isOn) this.#tell({ type: "Discard", time: this.#now(), ...discard });
  }

  /** When something came that `began` is told of later; 0 = nobody wants to know. */
  arrival(): number {
    return this.#isOn ? this.#now() : 0;
  }

  /** Messages of one queue go to a listener. Null = this is not traced. */
  began(group: string, messages: readonly MessageExt[], retryTimes: number, deliverTime = 0): Try | null {
    if (!this.#isOn || messages.length === 0 || isSystemTopic(messages[0]!.topic)) return null;
    const time = this.#now();
    const begun: Try = { number: this.#requests++, group, msgIds: messages.map(({ msgId }) => msgId), retryTimes, deliverTime: deliverTime || time, time };
    if (this.#begun.size >= MAX_TRACE_WAITING) this.counts.dropped += messages.length;
    else this.#begun.add(begun);
    this.#arm();
    return begun;
  }

  /** The same when they have come back. */
  ended(begun: Try, { returnType, reason = "", isConsumed }: TryEnd): void {
    this.#begun.delete(begun);
    const { group, msgIds, retryTimes, deliverTime, time: from } = begun;
    const time = Math.max(from, this.#now());
    const isSpared = !this.#mayTell(msgIds.length, time);
    if (isSpared && isConsumed === undefined && returnType === "SUCCESS") return void (this.counts.dropped += msgIds.length);
    const requestId = this.#requestId(begun);
    for (const [at, msgId] of msgIds.entries()) {
      const success = isConsumed?.(at) ?? returnType === "SUCCESS";
      if (isSpared && success) {
        this.counts.dropped++;
        continue;
      }
      this.#tell({ type: "SubAfter", requestId, msgId, costTime: time - from, success, returnType, time, group, retryTimes, deliverTime, reason: success ? "" : reason });
    }
  }

  /** Resolves when what has been told so far was sent, or cannot be, and at the latest after a second. */
  async flush(): Promise<void> {
    const { timers } = this.#connection.environment;
    let cancel: Cancel = () => {};
    await Promise.race([this.#sendAll(), new Promise<void>((resolve) => (cancel = timers.after(FLUSH_PATIENCE, resolve)))]);
    cancel();
  }

  async #sendAll(): Promise<void> {
    this.#tellBegun();
    while (this.#waiting.length > 0 && this.#canSend) {
      if (this.#isSending) await new Promise<void>((resolve) => this.#idle.push(resolve));
      else await this.#send();
    }
  }

  async close(): Promise<void> {
    await this.flush();
    this.#isOn = false;
    this.#cancel?.();
    for (const unlisten of this.#unlisten) unlisten();
  }

  /** Whether so many successes more are told; what is not used today is not saved for long. */
  #mayTell(count: number, now: number): boolean {
    const gained = Math.max(0, now - this.#allowedAt) * (TRACE_RATE / 1000);
    this.#allowance = Math.min(MAX_TRACE_BURST, this.#allowance + gained);
    this.#allowedAt = now;
    if (this.#allowance < count) return false;
    this.#allowance -= count;
    return true;
  }

  #requestId({ number }: Try): string {
    return this.#name + number.toString(36);
  }

  #now(): number {
    return Math.floor(this.#connection.environment.clock.now());
  }

  get #canSend(): boolean {
    return this.#isOn && this.#connection.isOpen;
  }

  #opened(): void {
    // A broker of an older version does not know of it.
    this.#isOn = this.#connection.serving.settings.traceEnable === true;
    if (!this.#isOn) {
      this.#waiting = [];
      this.#begun.clear();
    } else this.#arm();
  }

  #tell(record: TraceRecord): void {
    if (this.#waiting.length >= MAX_TRACE_WAITING || !isTraceable(record)) this.counts.dropped++;
    else this.#waiting.push(record);
    this.#arm();
  }

  /** The first after a rest goes soon, so that a life can be watched; the others together. */
  #arm(): void {
    if (this.#isSending || this.#waiting.length + this.#begun.size === 0 || !this.#canSend) return;
    if (this.#waiting.length >= TRACE_FRAME_RECORDS) {
      this.#cancel?.();
      this.#cancel = null;
      void this.#send();
      return;
    }
    if (this.#cancel !== null) return;
    const { timers, clock } = this.#connection.environment;
    const delay = Math.max(TRACE_DELAY, this.#lastSent + TRACE_INTERVAL - clock.monotonic());
    this.#cancel = timers.after(delay, () => {
      this.#cancel = null;
      this.#tellBegun();
      void this.#send();
    });
  }

  /** The page goes away: what waits goes with what else it has to say. */
  #hurry(): void {
    this.#tellBegun();
    if (this.#isRouted) void this.#send();
  }

  #tellBegun(): void {
    for (const begun of this.#begun) {
      const { group, msgIds, retryTimes, deliverTime, time } = begun;
      const requestId = this.#requestId(begun);
      for (const msgId of msgIds) this.#tell({ type: "SubBefore", time, group, requestId, msgId, retryTimes, deliverTime });
    }
    this.#begun.clear();
  }

  /** One frame. Never rejects. */
  async #send(): Promise<void> {
    if (this.#isSending || this.#waiting.length === 0 || !this.#canSend) return;
    this.#isSending = true;
    const records = this.#waiting.splice(0, TRACE_FRAME_RECORDS);
    try {
      if (!this.#isRouted) await this.#connection.callOnce("route", [TRACE_TOPIC, true], { timeout: SEND_TIMEOUT });
      this.#isRouted = true;
      const frame = this.#frame(records);
      const { refused } = await this.#connection.callOnce("send", [frame], { timeout: SEND_TIMEOUT, transfers: frame.byteLength < TRANSFER_MIN_BYTES ? [] : [frame] });
      if (refused.length === 0) this.counts.written += records.length;
      else this.#lose(records);
    } catch (error) {
      // For the next broker. This one may have stored them: whoever reads a trace leaves out what is there twice.
      if (error instanceof BrokerGone && this.#waiting.length + records.length <= MAX_TRACE_WAITING) this.#waiting.unshift(...records);
      else this.#lose(records);
    } finally {
      this.#isSending = false;
      this.#lastSent = this.#connection.environment.clock.monotonic();
      for (const idle of this.#idle.splice(0)) idle();
      this.#arm();
    }
  }

  #lose(records: TraceRecord[]): void {
    this.#isRouted = false;
    this.counts.dropped += records.length;
  }

  #frame(records: TraceRecord[]): ArrayBuffer {
    const writer = new FrameWriter(0);
    const { clientId } = this.#connection.options;
    for (let at = 0; at < records.length; at += TRACE_BATCH_RECORDS) {
      const some = records.slice(at, at + TRACE_BATCH_RECORDS);
      const keys = [...new Set(some.map(traceKey))].join(" ");
      const message = { topic: TRACE_TOPIC, body: some.map(encodeTrace).join(""), keys, properties: { clientId }, waitStoreMsgOK: false };
      writer.write(draftMessage(message, this.#ids.next()), this.#topic, 0, this.#now());
    }
    return writer.finish();
  }
}
