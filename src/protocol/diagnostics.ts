import type { PendingTransactions } from "./transaction-calls.ts";
import type { BrokerSettings } from "./broker-settings.ts";
import type { DamagedRange, RecoveryReport, StorageKind, WorkerKind } from "./session-calls.ts";

/* How a broker is. */

/**
 * What an acknowledged message survives. `strict`: a power cut, it is flushed to the device. `relaxed`: a crash of
 * the browser. `memory`: nothing.
 */
export type Durability = "strict" | "relaxed" | "memory";

/** What the broker says of itself: its store, its load, its last recovery. */
export interface BrokerDiagnostics {
  lib: string;
  incarnation: string;
  epoch: number;
  /** What it runs in. */
  worker: WorkerKind;
  storage: StorageKind;
  durability: Durability;
  /** Whether messages are encrypted where they rest. */
  encrypted: boolean;
  /** As they are now: an admin may have changed them since a client was told. */
  settings: BrokerSettings;
  indexer: "wasm" | "typescript";
  sessions: number;
  /** Calls not yet answered, this one and waiting fetches included. */
  calls: number;
  /** The end of the log and of its durable part. */
  position: number;
  durablePosition: number;
  commits: number;
  /** What is kept in memory of the log, queue pages and index pages for reading, bytes; at most about 64 MiB. */
  cacheBytes: number;
  /**
   * Sends are refused with STORAGE_FULL: the browser gave no room for the last of them, and since then none has been stored and
   * retention has removed nothing; or more of its quota is used than retention allows. Room that was made elsewhere (another
   * database of the origin deleted, a larger quota) only the next send finds out.
   */
  storageFull: boolean;
  /** Messages that were answered before their commit, which then failed. */
  lostSends: number;
  recovery: RecoveryReport;
  /** Damaged rows met since the start, recovery included. */
  damaged: DamagedRange[];
  /** Messages on ports that were no legal call. */
  violations: number;
  transactions: PendingTransactions;
  retention: RetentionReport;
  timers: TimersReport;
}

/** Messages with a time of their own. */
export interface TimersReport {
  /** How many wait. */
  pending: number;
  /** Memory that the index by due time takes. */
  indexBytes: number;
}

/** What has been deleted because of its age, or for want of room. */
export interface RetentionReport {
  /** Where the log begins. */
  minPosition: number;
  /** Since the namespace exists. */
  removedMessages: number;
  removedBytes: number;
  /** Share of the browser's quota that this origin uses, of 1; 0 where the browser does not say, or was not asked yet. */
  usedRatio: number;
  /**
   * Messages with a time of their own that were gone when it came, or when the log was to be cut before them, since this broker's start:
   * removed near the end of the quota, damaged, or aimed at what was deleted (a topic, or a group
   * that was to try them again), or, in an imported log, at nothing.
   */
  removedTimers: number;
}
