import { isUint8Array } from "../model/binary.ts";
import { MQError } from "../model/errors.ts";
import type { Random } from "../platform/random.ts";
import { KEY_FIELD } from "../protocol/encryption-key.ts";
import { KEY_CHECK } from "./block-store.ts";
import { decrypt, encrypt, NONCE_BYTES } from "./cipher.ts";

/** The state row KEY_CHECK: a namespace with it is encrypted, and it tells the right key from any other. */
export interface KeyCheckRow {
  version: 1;
  /** Random, new for each database: rows are bound to it. */
  salt: Uint8Array;
  nonce: Uint8Array;
  /** A text that everybody knows, encrypted. */
  check: Uint8Array;
}

const SALT_BYTES = 16;
const KNOWN_TEXT = new TextEncoder().encode("TabMQ key check");

export async function makeKeyCheck(key: CryptoKey, namespace: string, random: Random): Promise<KeyCheckRow> {
  const [salt, nonce] = [random.bytes(SALT_BYTES), random.bytes(NONCE_BYTES)];
  return { version: 1, salt, nonce, check: await encrypt(key, nonce, binding(namespace, salt), KNOWN_TEXT) };
}

export async function isKeyOf({ salt, nonce, check }: KeyCheckRow, key: CryptoKey, namespace: string): Promise<boolean> {
  return (await decrypt(key, nonce, binding(namespace, salt), check)) !== null;
}

/** Undefined when there is no such row; throws when this version cannot read it. */
export function readKeyCheck(rows: readonly (readonly [key: string, value: unknown])[]): KeyCheckRow | undefined {
  const value = rows.find(([key]) => key === KEY_CHECK)?.[1];
  if (value === undefined) return undefined;
  const { version, salt, nonce, check } = (value ?? {}) as Partial<KeyCheckRow>;
  const isWhole = version === 1 && [salt, nonce, check].every((bytes) => isUint8Array(bytes)) && salt?.byteLength === SALT_BYTES && nonce?.byteLength === NONCE_BYTES;
  if (!isWhole) throw cannotDecrypt("What tells the right key is damaged, or of another version of TabMQ.");
  return value as KeyCheckRow;
}

/** For whoever has no key. */
export function refuseEncrypted(keyCheck: unknown): void {
  if (keyCheck !== undefined) throw keyMissing();
}

export function keyMissing(): MQError {
  return cannotDecrypt("This namespace is encrypted; connect() needs its encryptionKey.");
}

export function keyWrong(): MQError {
  return cannotDecrypt("This namespace was encrypted with another key.");
}

/** Nothing is wrong with what is stored: with the right key it can be read. */
export function cannotDecrypt(message: string): MQError {
  return new MQError("CANNOT_DECRYPT", `${message} Nothing was changed.`, { field: KEY_FIELD });
}

/** The key is good, but there is nothing that it may be used on. */
export function keyUnwanted(message: string): MQError {
  return new MQError("INVALID_PARAMETER", message, { field: KEY_FIELD });
}

function binding(namespace: string, salt: Uint8Array): Uint8Array {
  const label = new TextEncoder().encode(`tabmq/key-check/1/${namespace}/`);
  const bound = new Uint8Array(label.byteLength + salt.byteLength);
  bound.set(label);
  bound.set(salt, label.byteLength);
  return bound;
}
