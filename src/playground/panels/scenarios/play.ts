import { type Signal, signal } from "@preact/signals";
import { connect, type ConnectOptions, type TabMQ } from "../../../index.ts";
import type { Sentence, Values } from "../../../devtools/i18n/translate.ts";
import { KillableBroker } from "./killable-broker.ts";
import { Onlooker, type Snapshot } from "./snapshot.ts";
import type { Expected, Scenario, Stage } from "./stage.ts";
import { TabFrame } from "./tab-frame.ts";
import { type ScenarioName, sentenceOf } from "./texts.ts";

export interface LogLine {
  /** ms since the story began. */
  at: number;
  who: string;
  /** Its sentence; what goes into its places {0}, {1} … */
  what: Sentence;
  values: Values;
}

export interface Check {
  key: string;
  actual: number | string;
  expected: Expected;
  isGood: boolean;
}

export type PlayPhase = "preparing" | "playing" | "over" | "stopped" | "failed" | "busy";

export interface PlayOptions {
  /** All pauses are so many times as long. */
  pace: number;
  parameters: Record<string, number>;
}

const LOOK_EVERY = 200;
const ASK_EVERY = 60;
const MOST_LINES = 200;
/** A short sentence, ms. */
const READING = 1600;

/** One performance of a story: makes its namespace anew, runs it, and clears away. */
export class Play implements Stage<ScenarioName> {
  readonly phase: Signal<PlayPhase> = signal("preparing");
  readonly steps: Signal<readonly string[]> = signal([]);
  readonly lines: Signal<readonly LogLine[]> = signal([]);
  readonly checks: Signal<readonly Check[]> = signal([]);
  readonly snapshot: Signal<Snapshot | null> = signal(null);
  readonly failure = signal("");
  readonly namespace: string;
  readonly #scenario: Scenario;
  readonly #options: PlayOptions;
  readonly #aborter = new AbortController();
  readonly #broker: KillableBroker | null;
  readonly #tabs = new Set<TabFrame>();
  readonly #connections: TabMQ[] = [];
  #mq: TabMQ | null = null;
  #began = 0;

  constructor(name: ScenarioName, scenario: Scenario, options: PlayOptions) {
    this.namespace = `scenario-${name}`;
    this.#scenario = scenario;
    this.#options = options;
    this.#broker = scenario.hasOwnBroker === true ? new KillableBroker() : null;
  }

  get mq(): TabMQ {
    if (this.#mq === null) throw new Error("The story has not begun.");
    return this.#mq;
  }

  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** Resolves when the stage is cleared. Two pages do not play the same story at once: it has one namespace. */
  async start(): Promise<void> {
    await navigator.locks.request(`tabmq-playground/${this.namespace}`, { ifAvailable: true }, async (lock) => {
      if (lock === null) this.phase.value = "busy";
      else await this.#perform();
    });
  }

  stop(): void {
    this.#aborter.abort(new Error("stopped"));
  }

  async #perform(): Promise<void> {
    try {
      await this.#prepare();
      this.#began = performance.now();
      this.phase.value = "playing";
      const over = new AbortController();
      const watching = this.#watch(over.signal);
      try {
        await this.#unlessStopped(this.#scenario.run(this as never, this.#options.parameters));
      } finally {
        over.abort();
        await Promise.race([watching, aborted(this.signal)]);
      }
      this.phase.value = "over";
    } catch (error) {
      this.phase.value = this.signal.aborted ? "stopped" : "failed";
      if (!this.signal.aborted) this.failure.value = error instanceof Error ? error.message : String(error);
    } finally {
      await this.#clear();
    }
  }

  async #prepare(): Promise<void> {
    const before = await connect(this.#connectOptions("stage"));
    await before.admin.destroy();
    await before.close();
    this.#mq = await connect(this.#connectOptions("stage"));
  }

  #connectOptions(clientId: string): ConnectOptions {
    return {
      namespace: this.namespace,
      clientId,
      broker: this.#scenario.broker ?? {},
      signal: this.signal,
      ...(this.#broker === null ? {} : { worker: this.#broker.open }),
    };
  }

  /** Until it is over, and once more then. */
  async #watch(over: AbortSignal): Promise<void> {
    const onlooker = new Onlooker(this.mq);
    for (let isLast = false; !isLast; ) {
      isLast = over.aborted;
      // While there is no broker there is nothing to see.
      await onlooker.look().then((seen) => (this.snapshot.value = seen), () => {});
      if (!isLast) await Promise.race([sleep(LOOK_EVERY), aborted(over)]);
    }
  }

  async #clear(): Promise<void> {
    const { aborted: isStopped } = this.signal;
    for (const tab of this.#tabs) await (isStopped ? tab.crash() : tab.close());
    this.#tabs.clear();
    for (const mq of [...this.#connections, this.#mq]) await mq?.close().catch(() => {});
    this.#broker?.kill();
  }

  #unlessStopped<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, aborted(this.signal).then(() => Promise.reject(this.signal.reason as Error))]);
  }

  async tab(name: string): Promise<TabMQ> {
    this.signal.throwIfAborted();
    const { signal: _own, ...options } = this.#connectOptions(name);
    const tab = await TabFrame.open(options);
    if (this.signal.aborted) tab.crash();
    this.signal.throwIfAborted();
    this.#tabs.add(tab);
    return tab.mq;
  }

  async connection(name: string): Promise<TabMQ> {
    const mq = await connect(this.#connectOptions(name));
    this.#connections.push(mq);
    return mq;
  }

  async crash(mq: TabMQ): Promise<void> {
    for (const tab of this.#tabs) {
      if (tab.mq !== mq) continue;
      tab.crash();
      this.#tabs.delete(tab);
    }
  }

  killBroker(): void {
    if (this.#broker === null) throw new Error("This story's broker is a SharedWorker, which nobody can end.");
    this.#broker.kill();
  }

  step(key: string): Promise<void> {
    this.signal.throwIfAborted();
    this.steps.value = [...this.steps.value, key];
    const read = this.pause(READING);
    // Who does not wait for it does not hear of a stop here, but at the next step.
    read.catch(() => {});
    return read;
  }

  log(who: string) {
    return (parts: TemplateStringsArray, ...values: unknown[]): void => {
      if (this.phase.peek() !== "playing") return;
      const said = Object.fromEntries(values.map((value, at) => [at, typeof value === "number" ? value : String(value)]));
      this.lines.value = [...this.lines.value, { at: performance.now() - this.#began, who, what: sentenceOf(parts), values: said }].slice(-MOST_LINES);
    };
  }

  pause(ms: number): Promise<void> {
    return this.#unlessStopped(sleep(ms * this.#options.pace));
  }

  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await this.#unlessStopped(Promise.resolve(condition())))) await this.#unlessStopped(sleep(ASK_EVERY));
  }

  check(key: string, actual: number | string, expected: Expected): void {
    this.checks.value = [...this.checks.value, { key, actual, expected, isGood: isAsExpected(actual, expected) }];
  }
}

function isAsExpected(actual: number | string, expected: Expected): boolean {
  if (typeof expected !== "object") return actual === expected;
  return "least" in expected ? Number(actual) >= expected.least : Number(actual) <= expected.most;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function aborted(by: AbortSignal): Promise<void> {
  return new Promise((resolve) => (by.aborted ? resolve() : by.addEventListener("abort", () => resolve(), { once: true })));
}
