import { errorToData, type MQError } from "../model/errors.ts";
import { LONG_POLL, MAX_LOST_STRETCHES } from "../model/limits.ts";
import { Alarm } from "../platform/alarm.ts";
import type { Clock } from "../platform/clock.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import type { FlushReply } from "../protocol/api.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";

/** A frame in the open log. */
export interface AppendedFrame {
  messages: number;
  /** For its commit; otherwise it is answered at once. */
  waits: boolean;
  /** With a number: before the commit. */
  answer(unflushed?: number): void;
  refuse(error: MQError): void;
}

interface Pending extends AppendedFrame {
  number: number;
  /** On the monotonic clock. */
  deadline: number;
  state: "open" | "answered" | "over";
}

interface Waiter {
  to: number;
  resolve(): void;
}

/**
 * Who is answered when: a frame when its commit is complete, unless none of its messages waits (`waitStoreMsgOK`), or
 * the commit takes longer than `syncFlushTimeout`. Whoever was answered before may ask how it ended: what was promised
 * and then failed is not lost in silence. Frames are numbered as they are appended, and so is the order of their commits.
 */
export class FlushService {
  /** Messages that were answered and then lost. */
  lostSends = 0;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #settings: BrokerSettings;
  readonly #alarm: Alarm;
  /** In the order of their numbers. */
  #pending: Pending[] = [];
  #last = 0;
  #settled = 0;
  #lost: FlushReply["lost"] = [];
  readonly #waiters = new Set<Waiter>();

  constructor({ clock, timers, settings }: { clock: Clock; timers: Timers; settings: BrokerSettings }) {
    this.#clock = clock;
    this.#timers = timers;
    this.#settings = settings;
    this.#alarm = new Alarm(timers, clock, (now) => this.#expire(now));
  }

  /** Call in the order of appending; `appended` once it is in the open log, then one of `committed` and `failed`. */
  begin(frame: AppendedFrame): { appended(): void; committed(): void; failed(error: MQError): void } {
    const deadline = this.#clock.monotonic() + this.#settings.syncFlushTimeout;
    const pending: Pending = { ...frame, number: ++this.#last, deadline, state: "open" };
    this.#pending.push(pending);
    if (frame.waits) this.#alarm.by(deadline);
    return {
      appended: () => {
        if (!frame.waits) this.#answer(pending);
      },
      committed: () => this.#end(pending, null),
      failed: (error) => this.#end(pending, error),
    };
  }

  /** Answers when all frames up to `to` have ended, or after a while. */
  async flush(from: number, to: number): Promise<FlushReply> {
    // What has never been appended is not waited for.
    const last = Math.min(to, this.#last);
    if (this.#settled < last) await this.#wait(last);
    return { settled: this.#settled, lost: this.#lost.filter((stretch) => stretch.to >= from && stretch.from <= to) };
  }

  stop(): void {
    // Whoever is not answered sends to the next broker.
    this.#alarm.stop();
    for (const { resolve } of [...this.#waiters]) resolve();
  }

  #end(pending: Pending, error: MQError | null): void {
    const { state } = pending;
    pending.state = "over";
    if (error === null && state === "open") pending.answer();
    if (error !== null && state === "open") pending.refuse(error);
    if (error !== null && state === "answered") this.#lose(pending, error);
    while (this.#pending[0]?.state === "over") this.#pending.shift();
    // A broker that stops drops what has gathered before it hears of the commit on its way.
    this.#settled = (this.#pending[0]?.number ?? this.#last + 1) - 1;
    for (const waiter of [...this.#waiters]) if (waiter.to <= this.#settled) waiter.resolve();
  }

  #answer(pending: Pending): void {
    if (pending.state !== "open") return;
    pending.state = "answered";
    pending.answer(pending.number);
  }

  /** One commit has many frames, so stretches are few. */
  #lose({ number, messages }: Pending, error: MQError): void {
    this.lostSends += messages;
    const last = this.#lost.at(-1);
    if (last?.to === number - 1 && last.error.code === error.code) last.to = number;
    else this.#lost.push({ from: number, to: number, error: errorToData(error) });
    if (this.#lost.length > MAX_LOST_STRETCHES) this.#lost.shift();
  }

  #expire(now: number): number {
    for (const pending of this.#pending) {
      if (pending.deadline > now) return pending.deadline;
      this.#answer(pending);
    }
    return Number.POSITIVE_INFINITY;
  }

  #wait(to: number): Promise<void> {
    return new Promise((resolve) => {
      let cancel: Cancel = () => {};
      const waiter: Waiter = {
        to,
        resolve: () => {
          cancel();
          this.#waiters.delete(waiter);
          resolve();
        },
      };
      this.#waiters.add(waiter);
      cancel = this.#timers.after(LONG_POLL, waiter.resolve);
    });
  }
}
