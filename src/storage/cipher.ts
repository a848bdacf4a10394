import { readInt64, writeInt64 } from "../model/record.ts";
import type { Random } from "../platform/random.ts";
import type { LogRow } from "./block-store.ts";

/**
 * An encrypted log row, AES-256-GCM over a whole plain row, chunk header included (docs/decisions/0009-encryption.md):
 *
 * | at | bytes | field |
 * |---:|------:|-------|
 * |  0 |     4 | magic "TMQE" (0x544d5145) |
 * |  4 |     4 | version, 1 |
 * |  8 |     8 | epoch of the writer |
 * | 16 |     8 | position: the row's key |
 * | 24 |    12 | nonce |
 * | 36 |     n | the plain row, encrypted |
 * | 36+n | 16  | tag |
 *
 * Magic, epoch and position stand where a chunk has them (indexer.ts), so that whoever has no key can tell rows apart.
 */
const MAGIC = 0x544d5145;
const VERSION = 1;
const VERSION_AT = 4;
const EPOCH_AT = 8;
const POSITION_AT = 16;
const NONCE_AT = 24;
const HEADER_BYTES = 36;
export const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** How much longer a row is at rest than the plain row in it. */
export const SEAL_BYTES = HEADER_BYTES + TAG_BYTES;

export function isEncrypted(row: Uint8Array): boolean {
  return row.byteLength >= 4 && new DataView(row.buffer, row.byteOffset).getUint32(0) === MAGIC;
}

/** How long the plain row is, as far as the length of the stored one tells: what is damaged keeps its place in the log. */
export function plainLength(row: Uint8Array): number {
  return isEncrypted(row) ? Math.max(0, row.byteLength - SEAL_BYTES) : row.byteLength;
}

/** What a row is bound to: nowhere else is it genuine. */
export interface Place {
  namespace: string;
  /** Of this database; an earlier one of the same name had another. */
  salt: Uint8Array;
  epoch: number;
  position: number;
  /** Of the plain row. */
  length: number;
}

/** Seals and opens the log rows of one database. */
export class RowCipher {
  readonly #key: CryptoKey;
  readonly #namespace: string;
  readonly #salt: Uint8Array;
  readonly #random: Random;

  constructor(key: CryptoKey, namespace: string, salt: Uint8Array, random: Random) {
    this.#key = key;
    this.#namespace = namespace;
    this.#salt = salt;
    this.#random = random;
  }

  /** The row's bytes have been read when this returns. */
  async seal({ position, bytes }: LogRow, epoch: number): Promise<Uint8Array> {
    const nonce = this.#random.bytes(NONCE_BYTES);
    const additionalData = this.binding({ namespace: this.#namespace, salt: this.#salt, epoch, position, length: bytes.byteLength });
    const body = await encrypt(this.#key, nonce, additionalData, bytes);
    const sealed = new Uint8Array(HEADER_BYTES + body.byteLength);
    const view = new DataView(sealed.buffer);
    view.setUint32(0, MAGIC);
    view.setUint32(VERSION_AT, VERSION);
    writeInt64(view, EPOCH_AT, epoch);
    writeInt64(view, POSITION_AT, position);
    sealed.set(nonce, NONCE_AT);
    sealed.set(body, HEADER_BYTES);
    return sealed;
  }

  /** The plain row; null when these bytes were not sealed with this key for this place. */
  async open({ position, bytes }: LogRow): Promise<Uint8Array | null> {
    if (!isEncrypted(bytes) || bytes.byteLength < SEAL_BYTES) return null;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (view.getUint32(VERSION_AT) !== VERSION || readInt64(view, POSITION_AT) !== position) return null;
    const place = { namespace: this.#namespace, salt: this.#salt, epoch: readInt64(view, EPOCH_AT), position, length: plainLength(bytes) };
    return decrypt(this.#key, bytes.subarray(NONCE_AT, HEADER_BYTES), this.binding(place), bytes.subarray(HEADER_BYTES));
  }

  /** The additional data. A namespace holds no separators; everything behind it has a fixed length. */
  protected binding({ namespace, salt, epoch, position, length }: Place): Uint8Array {
    const label = new TextEncoder().encode(`tabmq/row/${VERSION}/${namespace}/`);
    const bound = new Uint8Array(label.byteLength + salt.byteLength + 24);
    bound.set(label);
    bound.set(salt, label.byteLength);
    const view = new DataView(bound.buffer, label.byteLength + salt.byteLength);
    [epoch, position, length].forEach((value, at) => writeInt64(view, at * 8, value));
    return bound;
  }
}

const atWork = new Set<Promise<unknown>>();

/** What is being encrypted or decrypted, in a thread of its own: a clock that stands still (tabmq/testing) has to wait for it. */
export const ciphering: ReadonlySet<Promise<unknown>> = atWork;

/** Ciphertext and tag. */
export async function encrypt(key: CryptoKey, nonce: Uint8Array, additionalData: Uint8Array, plain: Uint8Array): Promise<Uint8Array> {
  return counted(crypto.subtle.encrypt(parameters(nonce, additionalData), key, plain as Uint8Array<ArrayBuffer>));
}

/** Null when key, nonce, additional data and bytes do not belong together. */
export async function decrypt(key: CryptoKey, nonce: Uint8Array, additionalData: Uint8Array, sealed: Uint8Array): Promise<Uint8Array | null> {
  try {
    return await counted(crypto.subtle.decrypt(parameters(nonce, additionalData), key, sealed as Uint8Array<ArrayBuffer>));
  } catch (error) {
    // Anything else (no memory, say) proves nothing against the bytes. By its name: the error may be of another window than this code.
    if ((error as Partial<DOMException> | null)?.name === "OperationError") return null;
    throw error;
  }
}

async function counted(work: Promise<ArrayBuffer>): Promise<Uint8Array> {
  atWork.add(work);
  try {
    return new Uint8Array(await work);
  } finally {
    atWork.delete(work);
  }
}

/** None of our bytes lie in shared memory; the types cannot tell. */
function parameters(iv: Uint8Array, additionalData: Uint8Array): AesGcmParams {
  return { name: "AES-GCM", iv: iv as Uint8Array<ArrayBuffer>, additionalData: additionalData as Uint8Array<ArrayBuffer>, tagLength: TAG_BYTES * 8 };
}
