import { isUint8Array } from "../model/binary.ts";
import type { Random } from "../platform/random.ts";
import { decrypt, encrypt, NONCE_BYTES } from "./cipher.ts";

/** State rows that hold what the application has written into messages (finished keys); all others are the broker's own. */
export const PRIVATE_PREFIX = "finished/";

/**
 * Seals the values of private state rows: nonce, and the value as JSON, encrypted for this row of this database. Where it
 * does not open, the row has no value.
 */
export class StateCipher {
  readonly #key: CryptoKey;
  readonly #label: string;
  readonly #random: Random;

  constructor(key: CryptoKey, namespace: string, salt: Uint8Array, random: Random) {
    this.#key = key;
    this.#label = `tabmq/state/1/${namespace}/${Array.from(salt).join(".")}/`;
    this.#random = random;
  }

  async seal(row: string, value: unknown): Promise<Uint8Array> {
    const nonce = this.#random.bytes(NONCE_BYTES);
    const body = await encrypt(this.#key, nonce, this.#binding(row), new TextEncoder().encode(JSON.stringify(value)));
    const sealed = new Uint8Array(NONCE_BYTES + body.byteLength);
    sealed.set(nonce);
    sealed.set(body, NONCE_BYTES);
    return sealed;
  }

  async open(row: string, sealed: unknown): Promise<unknown> {
    if (!isUint8Array(sealed)) return null;
    const plain = await decrypt(this.#key, sealed.subarray(0, NONCE_BYTES), this.#binding(row), sealed.subarray(NONCE_BYTES));
    return plain === null ? null : (JSON.parse(new TextDecoder().decode(plain)) as unknown);
  }

  #binding(row: string): Uint8Array {
    return new TextEncoder().encode(this.#label + row);
  }
}
