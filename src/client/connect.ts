import { isStoreRefused } from "../model/errors.ts";
import { checkClientId, checkNamespace } from "../model/names.ts";
import { randomName } from "../platform/random.ts";
import { type BrokerSettings, brokerSettings } from "../protocol/broker-settings.ts";
import { LIBRARY_VERSION, type StorageKind } from "../protocol/api.ts";
import { encryptionKey } from "../protocol/encryption-key.ts";
import { callable, instance, named, oneOf, optional, record } from "../protocol/validate.ts";
import { browserEnvironment } from "./browser-environment.ts";
import type { CreateWorker, HostKind } from "./browser-workers.ts";
import { Connection } from "./connection.ts";
import type { ClientEnvironment } from "./environment.ts";
import { codeOf, type LoadCode, type LoadHttpOutbox, TabMQ } from "./tabmq.ts";
import type { TelemetryApi } from "./telemetry.ts";
import { telemetryApi } from "./telemetry-api.ts";

/** What `connect` takes. */
export interface ConnectOptions {
  /** Its own broker, lock and database. Default "default". */
  namespace?: string;
  /**
   * What runs the broker. `shared`: a SharedWorker. `dedicated`: a worker of one tab; another tab takes over when that
   * one goes. `memory`: nothing is stored. `auto`, the default: the first of these that this browser can certainly do;
   * `diagnostics().host` says which and why.
   */
  host?: "auto" | "shared" | "dedicated" | "memory";
  /**
   * Makes the worker, where a bundler or a Content-Security-Policy needs it done in a special way: a SharedWorker when
   * `kind` is "shared", else a Worker. `name` is the one to give it: a worker that hangs is replaced by one of another name.
   */
  worker?: CreateWorker;
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
  host: optional(oneOf("auto", "shared", "dedicated", "memory")),
  worker: optional(callable<CreateWorker>),
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

export type EnvironmentFor = (namespace: string, storage: StorageKind, worker?: CreateWorker, host?: HostKind) => ClientEnvironment;

/** `connect` with everything outside injected. */
export async function open(environmentFor: EnvironmentFor, options: ConnectOptions, loadCode: LoadCode, loadHttpOutbox: LoadHttpOutbox = () => import("./http-outbox/http-outbox.ts")): Promise<TabMQ> {
  const { namespace = "default", host = "auto", worker, broker = {}, encryptionKey: key, clientId: given, telemetry, signal } = optionsCheck(options, "connect");
  const openWith = async (storage: StorageKind): Promise<Connection> => {
    const environment = environmentFor(namespace, storage, worker, host === "memory" ? "auto" : host);
    const clientId = given ?? randomName(environment.random);
    return Connection.open(environment, {
      namespace,
      clientId,
      isNamed: given !== undefined,
      storage,
      settings: broker as Partial<BrokerSettings>,
      ...(key === undefined ? {} : { encryptionKey: key }),
      ...(telemetry === undefined ? {} : { telemetry: new (await codeOf(loadCode)).Telemetry(telemetry, { namespace, clientId, version: LIBRARY_VERSION }) }),
      ...(signal === undefined ? {} : { signal }),
    });
  };
  if (host === "memory") return new TabMQ(await openWith("memory"), loadCode, loadHttpOutbox, { code: "ASKED_FOR", reason: "The application asked for a broker that stores nothing." });
  try {
    return new TabMQ(await openWith("indexeddb"), loadCode, loadHttpOutbox);
  } catch (error) {
    if (host !== "auto" || !isStoreRefused(error)) throw error;
    const reason = `${error.message} Messages are kept in memory only, and are lost with the last tab, or sooner.`;
    // Whoever relies on what is stored must not learn of this from a loss.
    // oxlint-disable-next-line no-console -- nobody listens yet
    console.warn(`TabMQ, namespace "${namespace}": ${reason}`);
    return new TabMQ(await openWith("memory"), loadCode, loadHttpOutbox, { code: "INDEXEDDB_UNAVAILABLE", reason });
  }
}
