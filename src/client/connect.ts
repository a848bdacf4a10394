import { checkClientId, checkNamespace } from "../model/names.ts";
import { randomName } from "../platform/random.ts";
import { type BrokerSettings, brokerSettings } from "../protocol/broker-settings.ts";
import { encryptionKey } from "../protocol/encryption-key.ts";
import { callable, instance, named, oneOf, optional, record } from "../protocol/validate.ts";
import { browserEnvironment } from "./browser-environment.ts";
import { Connection } from "./connection.ts";
import type { ClientEnvironment } from "./environment.ts";
import { TabMQ } from "./tabmq.ts";

export interface ConnectOptions {
  /** Its own broker, lock and database. Default "default". */
  namespace?: string;
  /** `auto` and `shared`: a SharedWorker over IndexedDB. `memory`: a SharedWorker that keeps nothing. */
  host?: "auto" | "shared" | "memory";
  /**
   * Makes the SharedWorker, where a bundler or a Content-Security-Policy needs it done in a special way. `name` is the
   * one to give it: a worker that hangs is replaced by one of another name.
   */
  worker?: (name: string) => SharedWorker;
  /** Settings for the broker. The first client's are taken; `configIgnored` tells a later one what it did not get. */
  broker?: Partial<BrokerSettings>;
  /**
   * Messages are encrypted with it where they rest (AES-GCM): a CryptoKey for AES-GCM with 256 bits that may encrypt and
   * decrypt, extractable or not, or 32 random bytes (WebKit passes no CryptoKey to a SharedWorker). All tabs of a
   * namespace give the same key, from its first message on. Without it nothing can be read ever again; TabMQ keeps no copy.
   */
  encryptionKey?: CryptoKey | Uint8Array;
  /** Unique per connection; default random. */
  clientId?: string;
  /** Aborts the attempt. */
  signal?: AbortSignal;
}

const optionsCheck = record({
  namespace: optional(named(checkNamespace)),
  host: optional(oneOf("auto", "shared", "memory")),
  worker: optional(callable<(name: string) => SharedWorker>),
  broker: optional(brokerSettings),
  encryptionKey: optional(encryptionKey),
  clientId: optional(named(checkClientId)),
  signal: optional((value: unknown, field: string) => instance(AbortSignal)(value, field)),
});

/**
 * Connects this tab to the broker of a namespace, starting it if it is not running.
 * Rejects with MQError: INVALID_PARAMETER, UNSUPPORTED_ENVIRONMENT, UPGRADE_REQUIRED, CANNOT_DECRYPT, STORAGE_UNAVAILABLE, or
 * DEADLINE_EXCEEDED when no broker serves within ten seconds, or thirty while one that hangs is being replaced.
 */
export async function connect(options: ConnectOptions = {}): Promise<TabMQ> {
  return connectWith((namespace, storage, worker) => browserEnvironment(namespace, storage, worker), options);
}

/** `connect` with everything outside injected: for Node, tests and the simulator. */
export async function connectWith(
  environmentFor: (namespace: string, storage: "indexeddb" | "memory", worker?: (name: string) => SharedWorker) => ClientEnvironment,
  options: ConnectOptions = {},
): Promise<TabMQ> {
  const { namespace = "default", host = "auto", worker, broker = {}, encryptionKey: key, clientId, signal } = optionsCheck(options, "connect");
  const storage = host === "memory" ? "memory" : "indexeddb";
  const environment = environmentFor(namespace, storage, worker);
  const connection = await Connection.open(environment, {
    namespace,
    clientId: clientId ?? randomName(environment.random),
    isNamed: clientId !== undefined,
    storage,
    settings: broker as Partial<BrokerSettings>,
    ...(key === undefined ? {} : { encryptionKey: key }),
    ...(signal === undefined ? {} : { signal }),
  });
  return new TabMQ(connection);
}
