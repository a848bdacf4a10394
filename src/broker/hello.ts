import { MAX_LIBRARY_VERSION_LENGTH, MAX_LOCK_NAME_LENGTH, MAX_WITNESS_GROUPS } from "../model/limits.ts";
import { checkClientId, checkGroup, checkNamespace } from "../model/names.ts";
import { type HelloReply, PROTOCOL_VERSION } from "../protocol/api.ts";
import { type BrokerSettings, brokerSettings } from "../protocol/broker-settings.ts";
import { encryptionKey, importKey } from "../protocol/encryption-key.ts";
import { integer, list, named, nullable, offset, oneOf, optional, record, text } from "../protocol/validate.ts";
import type { Broker } from "./broker.ts";
import { BROKER_NAME } from "./topics.ts";

const helloRequest = record({
  namespace: named(checkNamespace),
  clientId: named(checkClientId),
  lockName: text(MAX_LOCK_NAME_LENGTH),
  protocol: list(integer(1, 1_000_000), 2),
  lib: text(MAX_LIBRARY_VERSION_LENGTH),
  storage: oneOf("indexeddb", "memory"),
  settings: brokerSettings,
  witness: nullable(
    record({
      epoch: offset,
      position: offset,
      groups: list(named(checkGroup), MAX_WITNESS_GROUPS),
    }),
  ),
  encryptionKey: optional(encryptionKey),
});

/** What a client says first: who it is, what it wants, what it remembers of the store. */
export type Hello = ReturnType<typeof helloRequest> & { encryptionKey?: CryptoKey };

/** Checked, and with a key that can be used. */
export async function readHello(request: unknown): Promise<Hello> {
  const { encryptionKey: given, ...rest } = helloRequest(request, "hello");
  return given === undefined ? rest : { ...rest, encryptionKey: await importKey(given) };
}

/** The answer of a broker that serves; `brokerLock`: the name of the lock that it holds as long as it lives. */
export function serving(broker: Broker, { settings, protocol }: Hello, brokerLock: string): HelloReply {
  // A tab asks for this for itself.
  const current: BrokerSettings = { ...broker.settings, enableWasmFilter: settings.enableWasmFilter === true };
  const running: Record<string, unknown> = { ...current };
  const asked = Object.entries(settings).filter(([name, value]) => value !== running[name]);
  return {
    status: "serving",
    protocol: Math.min(PROTOCOL_VERSION, protocol[1] ?? PROTOCOL_VERSION),
    epoch: broker.epoch,
    incarnation: broker.incarnation,
    brokerLock,
    brokerName: BROKER_NAME,
    settings: current,
    ignored: asked.map(([name, value]) => ({ name, asked: value, running: running[name] })),
    recovery: broker.recovery,
  };
}
