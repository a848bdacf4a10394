import type { BrokerSettings, TabMQ } from "../../../index.ts";
import type { CheckKey, ScenarioName, StepKey } from "./texts.ts";

/** What a figure of the broker has to be: exactly so, or within bounds. */
export type Expected = number | string | { least: number } | { most: number };

/** What a story plays on: everything that it does to the broker it does through `mq` and the tabs, by the public API. */
export interface Stage<Name extends ScenarioName> {
  /** This page's connection to the story's own namespace, which is empty when the story begins. */
  readonly mq: TabMQ;
  /** Aborted when somebody presses Stop. */
  readonly signal: AbortSignal;
  /** One more real client of the broker, under this name: an `<iframe>` with a script of its own. */
  tab(name: string): Promise<TabMQ>;
  /** The same within this page: another `connect()`. */
  connection(name: string): Promise<TabMQ>;
  /** Takes a tab away as a crash does: no goodbye, its locks fall. */
  crash(tab: TabMQ): Promise<void>;
  /** Ends the worker in which the broker runs, in the middle of whatever it does. */
  killBroker(): void;
  /** The explanation goes on to this sentence; awaited, it leaves time to read it. */
  step(key: StepKey<Name>): Promise<void>;
  /** A line of the log, as a template: stage.log("shop")`${count} orders are stored`. The page says it in its reader's language. */
  log(who: string): (parts: TemplateStringsArray, ...values: unknown[]) => void;
  pause(ms: number): Promise<void>;
  until(condition: () => boolean | Promise<boolean>): Promise<void>;
  /** What has come of it, as the broker says, beside what should have. */
  check(key: CheckKey<Name>, actual: number | string, expected: Expected): void;
}

/** A file of the folder scenarios/. */
export interface Scenario {
  /** What can be chosen before it plays: the first is usual, the smallest is for who is in a hurry. */
  parameters?: Record<string, readonly number[]>;
  broker?: Partial<BrokerSettings>;
  /** The broker runs in a Worker of this page, which can be ended; a SharedWorker cannot, by nobody. */
  hasOwnBroker?: boolean;
  /** On a stage of its own name, which the compiler cannot know here. */
  run(stage: never, parameters: Record<string, number>): Promise<void>;
}
