import { MQError } from "../model/errors.ts";
import type { Check } from "./validate.ts";

export const KEY_FIELD = "connect.encryptionKey";
export const KEY_BYTES = 32;

/** A key as it crosses the port. No message here shows what was given: it may be the secret itself. */
export const cryptoKey: Check<CryptoKey> = (value) => {
  if (!isCryptoKey(value)) throw unfit(`must be a CryptoKey or ${KEY_BYTES} bytes in a Uint8Array`);
  const { name, length } = value.algorithm as Partial<AesKeyAlgorithm>;
  if (name !== "AES-GCM" || length !== KEY_BYTES * 8) throw unfit("must be a CryptoKey for AES-GCM with 256 bits");
  if (!value.usages.includes("encrypt") || !value.usages.includes("decrypt")) throw unfit(`must be allowed to "encrypt" and to "decrypt"`);
  return value;
};

/** A key as an application may give it; bytes are copied. */
export const encryptionKey: Check<CryptoKey | Uint8Array<ArrayBuffer>> = (value, field) => {
  if (!(value instanceof Uint8Array)) return cryptoKey(value, field);
  if (value.byteLength !== KEY_BYTES) throw unfit(`must have ${KEY_BYTES} bytes, not ${value.byteLength}`);
  return Uint8Array.from(value);
};

/** By its name: it may come from another window. */
function isCryptoKey(value: unknown): value is CryptoKey {
  return Object.prototype.toString.call(value) === "[object CryptoKey]";
}

function unfit(what: string): MQError {
  return new MQError("INVALID_PARAMETER", `${KEY_FIELD} ${what}.`, { field: KEY_FIELD });
}
