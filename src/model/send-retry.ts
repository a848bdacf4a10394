import { MQError } from "./errors.ts";

/** How one try of a send ended: as its answer says, or without one. `broker:` = refused with this code. */
export type TryOutcome = "SEND_OK" | "FLUSH_DISK_TIMEOUT" | "FLUSH_SLAVE_TIMEOUT" | "SLAVE_NOT_AVAILABLE" | "remoting-error" | "interrupted" | `broker:${string}`;

/** RocketMQ's options, and its defaults where one is missing. */
export interface RetryRules {
  mode?: "sync" | "async" | "oneway";
  retryTimesWhenSendFailed?: number;
  retryTimesWhenSendAsyncFailed?: number;
  /** Whether what was stored less safely than asked is sent to another broker too. */
  retryAnotherBrokerWhenNotStoreOK?: boolean;
}

/** Codes after which another broker may do what this one has refused. */
const RETRIED_CODES: ReadonlySet<string> = new Set([
  "TOPIC_NOT_EXIST", "SERVICE_NOT_AVAILABLE", "SYSTEM_ERROR", "SYSTEM_BUSY", "NO_PERMISSION", "NO_BUYER_ID", "NOT_IN_CURRENT_UNIT", "GO_AWAY",
]);

/** Of anything, also of what cannot be made a text. */
function shown(given: unknown): string {
  return typeof given === "string" ? JSON.stringify(given.slice(0, 40)) : typeof given === "object" && given !== null ? "an object" : String(given);
}

/**
 * May another try follow the one that was number `tries` and ended so? Source: RocketMQ client/impl/producer/DefaultMQProducerImpl.java.
 * @throws MQError INVALID_PARAMETER for what is no outcome
 */
export function maySendAgain(outcome: TryOutcome, tries: number, rules: RetryRules = {}): boolean {
  if (typeof outcome !== "string") throw new MQError("INVALID_PARAMETER", `outcome must be a text, not ${shown(outcome)}.`, { field: "outcome" });
  const { mode = "sync", retryTimesWhenSendFailed = 2, retryTimesWhenSendAsyncFailed = 2, retryAnotherBrokerWhenNotStoreOK = false } = rules;
  if (mode === "oneway" || outcome === "SEND_OK" || outcome === "interrupted") return false;
  if (mode === "async") return outcome === "remoting-error" && tries <= retryTimesWhenSendAsyncFailed;
  if (tries > retryTimesWhenSendFailed) return false;
  if (outcome === "remoting-error") return true;
  return outcome.startsWith("broker:") ? RETRIED_CODES.has(outcome.slice("broker:".length)) : retryAnotherBrokerWhenNotStoreOK;
}

/** From this latency on (ms) a broker is left alone for so long (ms); the highest step that is reached counts. */
const STEPS = {
  "5": [[50, 0], [100, 0], [550, 2000], [1800, 5000], [3000, 6000], [5000, 10_000], [15_000, 30_000]],
  /** All of 4.x, and 5.x before 5.1.4. */
  "4": [[50, 0], [100, 0], [550, 30_000], [1000, 60_000], [2000, 120_000], [3000, 180_000], [15_000, 600_000]],
} as const;

/** Which generation of RocketMQ's table says how long a slow broker is left alone. */
export type LatencyRules = keyof typeof STEPS;
/** What a failed try counts as. */
export const FAILED_TRY_LATENCY: Readonly<Record<LatencyRules, number>> = { "5": 10_000, "4": 30_000 };

/**
 * How long a producer leaves a broker alone after a try of this latency, ms. Source: RocketMQ client/latency/MQFaultStrategy.java.
 * @throws MQError INVALID_PARAMETER for what is no latency, or are no rules
 */
export function notAvailableDuration(latency: number, rules: LatencyRules = "5"): number {
  if (typeof latency !== "number" || !(latency >= 0)) throw new MQError("INVALID_PARAMETER", `latency must be a number of milliseconds from 0 on, not ${shown(latency)}.`, { field: "latency" });
  if (typeof rules !== "string" || !Object.hasOwn(STEPS, rules)) throw new MQError("INVALID_PARAMETER", `rules must be ${Object.keys(STEPS).map((known) => JSON.stringify(known)).join(" or ")}, not ${shown(rules)}.`, { field: "rules" });
  return STEPS[rules].findLast(([from]) => latency >= from)?.[1] ?? 0;
}
