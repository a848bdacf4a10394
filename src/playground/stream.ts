import { signal } from "@preact/signals";
import type { Devtools } from "../devtools/context.ts";
import type { Sender } from "./sender.ts";

/** Messages leave in batches this far apart, ms. */
const EVERY = 50;
/** More are not sent while these are on their way to the disk. */
const MOST_UNDERWAY = 2000;
export const RATES = [1, 10, 100, 1000] as const;

/** Sends the draft again and again, so many times a second, until it is stopped. */
export class Stream {
  readonly rate = signal<(typeof RATES)[number]>(10);
  readonly isRunning = signal(false);
  readonly sent = signal(0);
  /** The disk is slower than what is asked for. */
  readonly isBehind = signal(false);
  readonly #devtools: Devtools;
  readonly #sender: Sender;
  #timer: ReturnType<typeof setInterval> | undefined;
  #underway = 0;
  #due = 0;
  #at = 0;

  constructor(devtools: Devtools, sender: Sender) {
    this.#devtools = devtools;
    this.#sender = sender;
  }

  start(select: (topic: string) => void): void {
    if (this.isRunning.value) return;
    try {
      select(this.#sender.compose(1)[0]!.topic);
    } catch (error) {
      return this.#sender.fail(error, 0, 1);
    }
    this.#sender.outcome.value = { state: "none" };
    [this.isRunning.value, this.sent.value, this.#due, this.#at] = [true, 0, 1, performance.now()];
    this.#timer = setInterval(() => this.#round(), EVERY);
    this.#round();
  }

  stop(): void {
    if (!this.isRunning.value) return;
    clearInterval(this.#timer);
    this.isRunning.value = false;
    this.#devtools.announce(this.#devtools.settings.translate.peek()("live.stream.stopped", { count: this.sent.value }));
  }

  #round(): void {
    const now = performance.now();
    // What a tab in the background is late with goes out together, a second's worth at most.
    this.#due = Math.min(this.#due + ((now - this.#at) / 1000) * this.rate.value, this.rate.value + 1);
    this.#at = now;
    this.isBehind.value = this.#underway >= MOST_UNDERWAY;
    const count = Math.min(Math.floor(this.#due), MOST_UNDERWAY - this.#underway);
    if (count <= 0) return;
    this.#due -= count;
    void this.#give(count);
  }

  async #give(count: number): Promise<void> {
    this.#underway += count;
    try {
      const sends = await this.#sender.give(this.#sender.compose(count));
      const refused = sends.find((one) => one.status === "rejected");
      if (refused !== undefined) throw refused.reason;
      this.sent.value += count;
    } catch (error) {
      // One message that cannot be sent is enough to know: the others are like it.
      if (this.isRunning.value) this.#sender.fail(error, this.sent.value, this.sent.value + count);
      this.stop();
    } finally {
      this.#underway -= count;
    }
  }
}
