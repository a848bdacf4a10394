import { checkClientId, checkNamespace } from "../model/names.ts";
import { randomName } from "../platform/random.ts";
import { type BrokerSettings, brokerSettings } from "../protocol/broker-settings.ts";
import { LIBRARY_VERSION } from "../protocol/api.ts";
import { encryptionKey } from "../protocol/encryption-key.ts";
import { callable, instance, named, oneOf, optional, record } from "../protocol/validate.ts";
import { browserEnvironment } from "./browser-environment.ts";
import { Connection } from "./connection.ts";
import type { ClientEnvironment } from "./environment.ts";
import { codeOf, type LoadCode, type LoadHttpOutbox, TabMQ } from "./tabmq.ts";
import type { TelemetryApi } from "./telemetry.ts";
import { telemetryApi } from "./telemetry-api.ts";

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
  /**
   * The module `@opentelemetry/api`, as `import * as api from "@opentelemetry/api"` gives it: spans `send`, `create`, `receive`
   * and `process` go to whatever SDK the application has registered there, and messages carry W3C's `traceparent`. Default none.
   */
  telemetry?: TelemetryApi;
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
  telemetry: optional(telemetryApi),
  signal: optional((value: unknown, field: string) => instance(AbortSignal)(value, field)),
});

/**
 * Connects this tab to the broker of a namespace, starting it if it is not running.
 * Rejects with MQError: INVALID_PARAMETER, UNSUPPORTED_ENVIRONMENT, UPGRADE_REQUIRED, CANNOT_DECRYPT, STORAGE_UNAVAILABLE, or
 * DEADLINE_EXCEEDED when no broker serves within ten seconds, or thirty while one that hangs is being replaced.
 */
export async function connect(options: ConnectOptions = {}): Promise<TabMQ> {
  return open(browserEnvironment, options, () => import("./clients.ts"));
}

export type EnvironmentFor = (namespace: string, storage: "indexeddb" | "memory", worker?: (name: string) => SharedWorker) => ClientEnvironment;

/** `connect` with everything outside injected. */
export async function open(environmentFor: EnvironmentFor, options: ConnectOptions, loadCode: LoadCode, loadHttpOutbox: LoadHttpOutbox = () => import("./http-outbox/http-outbox.ts")): Promise<TabMQ> {
  const { namespace = "default", host = "auto", worker, broker = {}, encryptionKey: key, clientId: given, telemetry, signal } = optionsCheck(options, "connect");
  const storage = host === "memory" ? "memory" : "indexeddb";
  const environment = environmentFor(namespace, storage, worker);
  const clientId = given ?? randomName(environment.random);
  const connection = await Connection.open(environment, {
    namespace,
    clientId,
    isNamed: given !== undefined,
    storage,
    settings: broker as Partial<BrokerSettings>,
    ...(key === undefined ? {} : { encryptionKey: key }),
    ...(telemetry === undefined ? {} : { telemetry: new (await codeOf(loadCode)).Telemetry(telemetry, { namespace, clientId, version: LIBRARY_VERSION }) }),
    ...(signal === undefined ? {} : { signal }),
  });
  return new TabMQ(connection, loadCode, loadHttpOutbox);
}
