import type { Cancel, Timers } from "../platform/timers.ts";
import type { Channel } from "./channel.ts";

const TICK = 2000;
/** Ticks without an answer, although something was asked, after which the broker is taken for hung. */
const SILENT_TICKS = 4;

/**
 * Notices a broker that lives and does not answer: an endless loop keeps a worker's locks as a good broker does. What
 * is asked anyway may take its time (a fetch waits for messages, a commit for the disk), so after a tick of silence
 * a ping is sent, which waits for nothing. Ticks are counted and not the time: while this page is frozen, or
 * the machine sleeps, there are none.
 */
export class Heartbeat {
  readonly #timers: Timers;
  readonly #channel: Channel;
  readonly #onSilence: () => Promise<unknown>;
  #cancel: Cancel | null = null;
  #answers = 0;
  #silent = 0;
  #stopped = false;

  /** Nothing is counted while `onSilence` is at work. */
  constructor(timers: Timers, channel: Channel, onSilence: () => Promise<unknown>) {
    this.#timers = timers;
    this.#channel = channel;
    this.#onSilence = onSilence;
    this.#next();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #next(): void {
    if (!this.#stopped) this.#cancel = this.#timers.after(TICK, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    const { answers, waiting } = this.#channel;
    this.#silent = waiting > 0 && answers === this.#answers ? this.#silent + 1 : 0;
    this.#answers = answers;
    if (this.#silent === 1) this.#channel.call("ping", []).catch(() => {});
    if (this.#silent >= SILENT_TICKS) {
      await this.#onSilence().catch(() => {});
      this.#silent = 0;
    }
    this.#next();
  }
}
