import type { BrokerSettings } from "./broker-settings.ts";
import type { EncryptionKey } from "./encryption-key.ts";

/* What a client and its broker tell each other first. */

export interface HelloRequest {
  namespace: string;
  clientId: string;
  /** Name of the lock that this client holds as long as it lives. */
  lockName: string;
  protocol: [min: number, max: number];
  lib: string;
  storage: StorageKind;
  settings: Partial<BrokerSettings>;
  /** What this origin's tabs remember of the store; null = nothing. */
  witness: WitnessMark | null;
  /** For AES-GCM, 256 bits. Missing = the store is not encrypted. */
  encryptionKey?: EncryptionKey;
}

/** A note outside the store of how far it had come: it lags behind what is durable and is never ahead of it. */
export interface WitnessMark {
  epoch: number;
  /** Everything in the log before this position was durable. */
  position: number;
  /** Groups that consumed here. */
  groups: string[];
}

/** Where the broker keeps its log. */
export type StorageKind = "indexeddb" | "memory";

/** What a broker runs in: a worker of all tabs, one that hangs on a tab, or the application's service worker, for the length of an event. */
export type WorkerKind = "shared" | "dedicated" | "service";

export type HelloReply =
  /** Not the host yet: `waiting` for the writer lock, or `recovering` the log. Ask again. `worker`: a name that no other worker has. */
  | { status: "waiting" | "recovering"; worker: string }
  | {
      status: "serving";
      protocol: number;
      epoch: number;
      /** Name of this broker's life; another incarnation knows nothing of this session. */
      incarnation: string;
      /** Lock that the broker holds as long as it lives. */
      brokerLock: string;
      brokerName: string;
      settings: BrokerSettings;
      /** Settings the client asked for and did not get. */
      ignored: { name: string; asked: unknown; running: unknown }[];
      recovery: RecoveryReport;
    };

/** What a start found in the store. */
export interface RecoveryReport {
  /** Whether the browser has lost what was durable: its newest part, or all of it. `none` = not as far as any tab remembers. */
  loss: LossKind;
  /** Up to this position the log was known to be durable before this start; null = no tab remembers. */
  lastKnownPosition: number | null;
  /** Records read again from the log because no checkpoint covered them. */
  replayed: number;
  /**
   * Pages of consume queues and of the key index, 1024 entries each, that were made again from the log because stored ones
   * were missing or damaged. A start looks at few of them; the others are found out when somebody reads them, so this
   * counts up to now. Without a checkpoint no page is expected: then all is `replayed`.
   */
  rebuilt: number;
  /** Where the log goes on. */
  position: number;
  /** Rows that cannot be read: their records are skipped, never delivered. */
  damaged: DamagedRange[];
  /** Beyond the first thousand they are only counted: so many more. */
  moreDamaged: number;
  tookMs: number;
}

/** What the browser has taken of the log: nothing, its end, or all of it. */
export type LossKind = "none" | "tail" | "total";

/** Bytes of the log that are not what was written. */
export interface DamagedRange {
  /** Where in the log. */
  position: number;
  bytes: number;
  reason: string;
}
