import type { Scenario } from "./stage.ts";
import type { ScenarioName } from "./texts.ts";

/** A story as the gallery knows it: its code is fetched when somebody opens it. */
export interface ScenarioEntry {
  name: ScenarioName;
  /** Where what it shows is done. */
  code: readonly string[];
  load(): Promise<Scenario>;
  source(): Promise<{ default: string }>;
}

export const SCENARIOS: readonly ScenarioEntry[] = [
  {
    name: "peak-shaving",
    code: ["src/storage/group-commit.ts", "src/client/concurrent-consumption.ts"],
    load: () => import("./scenarios/peak-shaving.ts"),
    source: () => import("./scenarios/peak-shaving.ts?raw"),
  },
  {
    name: "consumer-groups",
    code: ["src/broker/sharing.ts", "src/broker/rebalancing.ts", "src/model/allocation.ts"],
    load: () => import("./scenarios/consumer-groups.ts"),
    source: () => import("./scenarios/consumer-groups.ts?raw"),
  },
  {
    name: "order",
    code: ["src/client/orderly-consumption.ts", "src/client/queue-chooser.ts"],
    load: () => import("./scenarios/order.ts"),
    source: () => import("./scenarios/order.ts?raw"),
  },
  {
    name: "retry-and-resend",
    code: ["src/broker/retry.ts", "src/broker/mover.ts", "src/broker/dead-letters.ts"],
    load: () => import("./scenarios/retry-and-resend.ts"),
    source: () => import("./scenarios/retry-and-resend.ts?raw"),
  },
  {
    name: "order-timeout",
    code: ["src/broker/timer-wheel.ts", "src/broker/recall.ts", "src/storage/timer-index.ts"],
    load: () => import("./scenarios/order-timeout.ts"),
    source: () => import("./scenarios/order-timeout.ts?raw"),
  },
  {
    name: "transaction",
    code: ["src/broker/transactions.ts", "src/broker/transaction-checks.ts", "src/client/transaction-producer.ts"],
    load: () => import("./scenarios/transaction.ts"),
    source: () => import("./scenarios/transaction.ts?raw"),
  },
  {
    name: "broadcasting",
    code: ["src/client/broadcast-offsets.ts"],
    load: () => import("./scenarios/broadcasting.ts"),
    source: () => import("./scenarios/broadcasting.ts?raw"),
  },
  {
    name: "sql-filter",
    code: ["src/filter/sql-parser.ts", "src/filter/sql-compiler.ts", "src/broker/queue-reader.ts"],
    load: () => import("./scenarios/sql-filter.ts"),
    source: () => import("./scenarios/sql-filter.ts?raw"),
  },
  {
    name: "exactly-once",
    code: ["src/broker/finished-keys.ts", "src/broker/key-claims.ts", "src/client/context-sender.ts"],
    load: () => import("./scenarios/exactly-once.ts"),
    source: () => import("./scenarios/exactly-once.ts?raw"),
  },
  {
    name: "backlog",
    code: ["src/broker/fetch.ts", "src/broker/start-offsets.ts", "src/client/process-queue.ts"],
    load: () => import("./scenarios/backlog.ts"),
    source: () => import("./scenarios/backlog.ts?raw"),
  },
  {
    name: "kill-the-broker",
    code: ["src/broker/lease.ts", "src/storage/recovery.ts", "src/broker/resends.ts"],
    load: () => import("./scenarios/kill-the-broker.ts"),
    source: () => import("./scenarios/kill-the-broker.ts?raw"),
  },
  {
    name: "replay",
    code: ["src/broker/offset-reset.ts", "src/broker/time-search.ts"],
    load: () => import("./scenarios/replay.ts"),
    source: () => import("./scenarios/replay.ts?raw"),
  },
];
