import { bodies } from "./bodies.ts";
import { forget, withOwnNamespace } from "./own-namespace.ts";
import { type Both, type Machine, type Measured, nothingMeasured, type Rate, type Report, reportOf, SIDES, type Time } from "./report.ts";
import { Sides } from "./sides.ts";

/** Lone operations of each kind in a round. */
const LONE = 40;
/** A burst is as long as takes about this, ms, at most so many messages. */
const BURST_MS = 300;
const MOST_MESSAGES = 20_000;
const FIRST_BURST = 2000;
/** TabMQ stores its queues when it has rested for a second: not during what is measured next. */
const SETTLE_MS = 1200;
/** As long as every thread needs to go to sleep: a lone operation wakes them. */
const REST_MS = 5;

export interface Progress {
  /** What is done now; null while everything waits for the tab to be looked at. */
  step: Rate | Time | "start" | "end" | null;
  /** 0 = the warm-up. */
  round: number;
  /** 0 to 1. */
  done: number;
}

export interface RunOptions {
  rounds: number;
  signal: AbortSignal;
  onMachine: (machine: Machine) => void;
  onProgress: (progress: Progress) => void;
}

/**
 * Both sides take turns, round by round, each going first in every other one; the first round only warms up. A round
 * during which the tab was hidden, where browsers slow everything down, does not count and is done again.
 */
export function runBench(options: RunOptions): Promise<Report> {
  return withOwnNamespace(async (namespace) => {
    options.onProgress({ step: "start", round: 0, done: 0 });
    let isOver = false;
    // A step that was on its way when the run was stopped has nothing to tell any more.
    const onProgress = (progress: Progress): void => void (isOver || options.onProgress(progress));
    const sides = await Sides.open(namespace);
    try {
      options.signal.throwIfAborted();
      const machine = await sides.machine();
      options.onMachine(machine);
      const measured = await Promise.race([new Run(sides, { ...options, onProgress }).measure(), sides.ceiling.failed, aborted(options.signal)]);
      return reportOf(machine, measured, options.rounds);
    } finally {
      isOver = true;
      options.onProgress({ step: "end", round: options.rounds, done: 1 });
      await sides.close();
      forget(namespace);
    }
  });
}

class Run {
  readonly #sides: Sides;
  readonly #options: RunOptions;
  readonly #small = bodies(100);
  readonly #large = bodies(1024);
  readonly #counts = { sends100: FIRST_BURST, sends1024: FIRST_BURST };
  #attempts = 0;
  #round = 0;
  #stepsDone = 0;

  constructor(sides: Sides, options: RunOptions) {
    this.#sides = sides;
    this.#options = options;
  }

  async measure(): Promise<Measured> {
    const all = nothingMeasured();
    while (this.#round <= this.#options.rounds) {
      if (document.hidden) {
        this.#tell(null);
        await shown(this.#options.signal);
      }
      const hidden = watchHiding();
      const found = await this.#oneRound();
      if (hidden.wasHidden()) continue;
      if (this.#round === 0) this.#choose(found);
      else for (const name of Object.keys(all) as (Rate | Time)[]) for (const side of SIDES) all[name][side].push(...found[name][side]);
      this.#round++;
    }
    return all;
  }

  async #oneRound(): Promise<Measured> {
    const found = nothingMeasured();
    const topic = `round-${this.#attempts++}`;
    this.#stepsDone = 0;
    const { sends100, sends1024 } = this.#counts;
    await this.#turns("sends100", this.#sides.burst("small", sends100, this.#small), found.sends100);
    await this.#sides.ceiling.clear();
    await this.#turns("sends1024", this.#sides.burst(topic, sends1024, this.#large), found.sends1024);
    await this.#turns("consume", this.#sides.consume(topic, sends1024), found.consume);
    await this.#sides.ceiling.clear();
    for (const name of ["lone", "trip"] as const) {
      this.#tell(name);
      for (let at = 0; at < LONE; at++) await this.#both(this.#sides[name](this.#large(at)), found[name], REST_MS, at);
      this.#stepsDone++;
    }
    return found;
  }

  async #turns(name: Rate, acts: Both<() => Promise<number>>, found: Both<number[]>): Promise<void> {
    this.#tell(name);
    await this.#both(acts, found, SETTLE_MS, this.#round);
    this.#stepsDone++;
  }

  /** One after the other; who is first depends on `turn`. Before each is a rest, which nobody's work of before disturbs. */
  async #both(acts: Both<() => Promise<number>>, found: Both<number[]>, rest: number, turn: number): Promise<void> {
    for (const side of turn % 2 === 0 ? SIDES : [...SIDES].reverse()) {
      await new Promise((resolve) => setTimeout(resolve, rest));
      this.#options.signal.throwIfAborted();
      found[side].push(await acts[side]());
    }
  }

  /** Bursts of the same length for both, by what the warm-up has shown. */
  #choose(found: Measured): void {
    for (const name of ["sends100", "sends1024"] as const) {
      const fastest = Math.max(...found[name].tabmq, ...found[name].ceiling);
      this.#counts[name] = Math.min(MOST_MESSAGES, Math.max(200, Math.round((fastest * BURST_MS) / 1000)));
    }
  }

  #tell(step: Progress["step"]): void {
    const rounds = this.#options.rounds + 1;
    this.#options.onProgress({ step, round: this.#round, done: (this.#round + this.#stepsDone / 5) / rounds });
  }
}

function watchHiding(): { wasHidden(): boolean } {
  let isHidden = document.hidden;
  const onChange = (): void => void (isHidden ||= document.hidden);
  document.addEventListener("visibilitychange", onChange);
  return {
    wasHidden() {
      document.removeEventListener("visibilitychange", onChange);
      return isHidden;
    },
  };
}

function shown(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onChange = (): void => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", onChange);
      resolve();
    };
    document.addEventListener("visibilitychange", onChange);
    signal.addEventListener("abort", () => {
      document.removeEventListener("visibilitychange", onChange);
      reject(signal.reason as Error);
    });
  });
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
}
