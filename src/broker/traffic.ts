import type { Clock } from "../platform/clock.ts";
import { newRateMeter, type RateMeter } from "./rate-meter.ts";

/** Messages that have come in, and that were handed out, since the broker began. */
export class Traffic {
  readonly put: Count;
  readonly get: Count;

  constructor(clock: Clock) {
    this.put = new Count(newRateMeter(clock));
    this.get = new Count(newRateMeter(clock));
  }
}

class Count {
  messages = 0;
  bytes = 0;
  readonly #rate: RateMeter;

  constructor(rate: RateMeter) {
    this.#rate = rate;
  }

  add(messages: number, bytes: number): void {
    this.messages += messages;
    this.bytes += bytes;
    this.#rate.add(messages);
  }

  perSecond(): number {
    return this.#rate.perSecond();
  }
}
