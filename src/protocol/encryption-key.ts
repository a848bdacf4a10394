import { isUint8Array } from "../model/binary.ts";
import { MQError } from "../model/errors.ts";
import type { Check } from "./validate.ts";

export const KEY_FIELD = "connect.encryptionKey";
const KEY_BYTES = 32;

export type EncryptionKey = CryptoKey | Uint8Array<ArrayBuffer>;

/** A key, or the bytes of one, which are copied. No message here shows what was given: it may be the secret itself. */
export const encryptionKey: Check<EncryptionKey> = (value) => {
  if (isUint8Array(value)) {
    if (value.byteLength !== KEY_BYTES) throw unfit(`must have ${KEY_BYTES} bytes, not ${value.byteLength}`);
    return Uint8Array.from(value);
  }
  if (!isCryptoKey(value)) throw unfit(`must be a CryptoKey or ${KEY_BYTES} bytes in a Uint8Array`);
  const { name, length } = value.algorithm as Partial<AesKeyAlgorithm>;
  if (name !== "AES-GCM" || length !== KEY_BYTES * 8) throw unfit("must be a CryptoKey for AES-GCM with 256 bits");
  if (!value.usages.includes("encrypt") || !value.usages.includes("decrypt")) throw unfit(`must be allowed to "encrypt" and to "decrypt"`);
  return value;
};

/** From here on nobody can read the key, TabMQ included. */
export async function importKey(given: EncryptionKey): Promise<CryptoKey> {
  if (!isUint8Array(given)) return given;
  return crypto.subtle.importKey("raw", given, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** By its name: it may come from another window. */
function isCryptoKey(value: unknown): value is CryptoKey {
  return Object.prototype.toString.call(value) === "[object CryptoKey]";
}

function unfit(what: string): MQError {
  return new MQError("INVALID_PARAMETER", `${KEY_FIELD} ${what}.`, { field: KEY_FIELD });
}
