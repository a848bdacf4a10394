import { LONG_POLL } from "../model/limits.ts";
import { type Cancel, sleep, type Timers } from "../platform/timers.ts";
import { BrokerGone } from "./channel.ts";

/** How long progress may wait for the next fetch to carry it, ms. */
const COMMIT_DELAY = 100;
const ERROR_DELAY = 1000;

/** For whom it fetches. */
export interface Fetcher {
  /** By which the broker knows it; null = it has no one to ask. */
  readonly memberId: string | null;
  /** Asks the broker, which may wait this long with its answer, ms. */
  fetch(memberId: string, wait: number): Promise<void>;
  report(error: unknown): void;
}

/**
 * Has one fetch outstanding. While messages flow, each is answered at once; when none are left the next one waits at the
 * broker, and `poke` sends a newer one, which the broker puts in its place.
 */
export class FetchLoop {
  /** The last answer brought messages: there may be more. */
  isFlowing = false;
  readonly #timers: Timers;
  readonly #fetcher: Fetcher;
  #turn = 0;
  #isPoked = false;
  /** The fetch that is out does not wait; another one would ask for the same messages again. */
  #isAsking = false;
  #cancelLater: Cancel | null = null;

  constructor(timers: Timers, fetcher: Fetcher) {
    this.#timers = timers;
    this.#fetcher = fetcher;
  }

  /** Tells the broker now how things stand, and asks for what there is room for. */
  poke(): void {
    if (this.#isPoked) return;
    this.#isPoked = true;
    // Several reasons in one task make one fetch.
    queueMicrotask(() => {
      this.#isPoked = false;
      const { memberId } = this.#fetcher;
      if (memberId !== null && !this.#isAsking) void this.#keepFetching(memberId);
    });
  }

  /** As `poke`, in a moment, unless something is fetched before. */
  pokeLater(): void {
    this.#cancelLater ??= this.#timers.after(COMMIT_DELAY, () => {
      this.#cancelLater = null;
      this.poke();
    });
  }

  /** A fetch of its own, answered at once. */
  async once(memberId: string): Promise<void> {
    await this.#fetch(memberId, 0);
  }

  stop(): void {
    this.#cancelLater?.();
    this.#cancelLater = null;
  }

  /** Until a newer fetch takes over or the membership ends. */
  async #keepFetching(memberId: string): Promise<void> {
    const turn = this.#turn + 1;
    this.#isAsking = this.isFlowing;
    try {
      await this.#fetch(memberId, this.isFlowing ? 0 : LONG_POLL);
    } catch (error) {
      if (memberId !== this.#fetcher.memberId || error instanceof BrokerGone) return;
      this.#fetcher.report(error);
      await sleep(this.#timers, ERROR_DELAY);
    }
    if (turn === this.#turn && memberId === this.#fetcher.memberId) void this.#keepFetching(memberId);
  }

  async #fetch(memberId: string, wait: number): Promise<void> {
    const turn = ++this.#turn;
    this.stop();
    try {
      await this.#fetcher.fetch(memberId, wait);
    } finally {
      if (turn === this.#turn) this.#isAsking = false;
    }
  }
}
