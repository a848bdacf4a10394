import { assert } from "../platform/assert.ts";
import { type Random, systemRandom } from "../platform/random.ts";
import type { BlockStore, CommitBatch, CommitOutcome, IndexRange, LogRow, PageKey } from "./block-store.ts";
import { KEY_CHECK } from "./block-store.ts";
import { isEncrypted, plainLength, RowCipher } from "./cipher.ts";
import { PRIVATE_PREFIX, StateCipher } from "./state-cipher.ts";
import { cannotDecrypt, isKeyOf, type KeyCheckRow, keyUnwanted, keyWrong, makeKeyCheck, readKeyCheck } from "./key-check.ts";

/** Enough to find a row of records behind fences, which are not shown. */
const FIRST_ROWS = 8;

/**
 * Any store with its log rows encrypted (docs/decisions/0009-encryption.md). Whoever uses it sees plain rows; positions
 * are those of plain rows. Queue pages, index pages and state rows stay as they are, but
 * for what an application has written into messages.
 *
 * With a key, nothing is taken for a message that was not sealed with it: what else stands in the log is handed on as a
 * row of zeros, which every reader reports as damaged and skips.
 */
export class EncryptedStore implements BlockStore {
  readonly kind: BlockStore["kind"];
  readonly isEncrypted = true;
  readonly inner: BlockStore;
  readonly #namespace: string;
  readonly #key: CryptoKey;
  readonly #random: Random;
  #check: KeyCheckRow | null = null;
  #cipher: RowCipher | null = null;
  #stateCipher: StateCipher | null = null;
  /** The key check goes into the store with the first commit, so that there is never a row without it. */
  #isChecked = false;
  /** When everything committed before has been handed to the inner store. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(inner: BlockStore, namespace: string, key: CryptoKey, random: Random = systemRandom) {
    this.kind = inner.kind;
    this.inner = inner;
    this.#namespace = namespace;
    this.#key = key;
    this.#random = random;
  }

  get onLost(): (reason: string) => void {
    return this.inner.onLost;
  }

  set onLost(listener: (reason: string) => void) {
    this.inner.onLost = listener;
  }

  /** Whether this key opens what this store has opened. */
  opensWith(key: CryptoKey): Promise<boolean> {
    assert(this.#check !== null, "a store is asked for its key after the take-over");
    return isKeyOf(this.#check, key, this.#namespace);
  }

  /** Refuses a wrong key before anything is changed. */
  async takeOver(above = 0): Promise<number> {
    if (this.#check === null) await this.#unlock();
    const epoch = await this.inner.takeOver(above);
    // An outdated host may have been the first to write, before it was fenced.
    if (!this.#isChecked) await this.#unlock();
    return epoch;
  }

  async commit(batch: CommitBatch): Promise<CommitOutcome> {
    const before = this.#turn;
    // What the caller does to its bytes and objects from now on is not seen; and of two commits the first is handed on first.
    const handedOn = (async () => {
      const sealed = await this.#seal(batch);
      await before;
      // In an object: whoever waits for its turn does not wait for the device.
      return { outcome: this.inner.commit(sealed) };
    })();
    this.#turn = handedOn.catch(() => {});
    try {
      const outcome = await (await handedOn).outcome;
      if (outcome.status === "committed") this.#isChecked = true;
      return outcome;
    } catch (cause) {
      return { status: "unknown", cause };
    }
  }

  async readLog(position: number, count: number, bytes?: number): Promise<LogRow[]> {
    const rows = await this.inner.readLog(position, count, bytes);
    return Promise.all(rows.map(async (row) => ({ position: row.position, bytes: (await this.#opened().open(row)) ?? damaged(row.bytes) })));
  }

  readLogKeys(position: number, count: number): Promise<number[]> {
    return this.inner.readLogKeys(position, count);
  }

  floorLog(position: number): Promise<number | undefined> {
    return this.inner.floorLog(position);
  }

  readPages(keys: PageKey[]): Promise<(Uint8Array | undefined)[]> {
    return this.inner.readPages(keys);
  }

  readIndex(ranges: IndexRange[]): Promise<Uint8Array[][]> {
    return this.inner.readIndex(ranges);
  }

  async readState(prefix: string): Promise<[string, unknown][]> {
    const rows = await this.inner.readState(prefix);
    const known = rows.filter(([key]) => key !== KEY_CHECK);
    return Promise.all(known.map(async ([key, value]) => [key, isPrivate(key, value) ? ((await this.#stateCipher?.open(key, value)) ?? null) : value] as [string, unknown]));
  }

  close(): void {
    this.inner.close();
  }

  destroy(): Promise<void> {
    return this.inner.destroy();
  }

  protected makeCipher(key: CryptoKey, namespace: string, salt: Uint8Array, random: Random): RowCipher {
    return new RowCipher(key, namespace, salt, random);
  }

  async #unlock(): Promise<void> {
    const stored = readKeyCheck(await this.inner.readState(KEY_CHECK));
    if (stored !== undefined && !(await isKeyOf(stored, this.#key, this.#namespace))) throw keyWrong();
    if (stored === undefined) this.#refuseUsed(await this.inner.readLog(0, FIRST_ROWS));
    this.#isChecked = stored !== undefined;
    this.#check = stored ?? (await makeKeyCheck(this.#key, this.#namespace, this.#random));
    this.#cipher = this.makeCipher(this.#key, this.#namespace, this.#check.salt, this.#random);
    this.#stateCipher = new StateCipher(this.#key, this.#namespace, this.#check.salt, this.#random);
  }

  /** Encryption begins with an empty log or not at all: otherwise plain rows, also forged ones, would have to be believed. */
  #refuseUsed(rows: LogRow[]): void {
    if (rows.length === 0) return;
    if (rows.some(({ bytes }) => isEncrypted(bytes))) throw cannotDecrypt("What tells the right key is missing from this namespace.");
    throw keyUnwanted(`Namespace "${this.#namespace}" holds messages that were stored without encryption. Read them without encryptionKey, and use another namespace with it.`);
  }

  async #seal(batch: CommitBatch): Promise<CommitBatch> {
    const plain = structuredClone(batch.state);
    const queue = batch.queue.map(({ key, bytes }) => ({ key, bytes: bytes.slice() }));
    const index = batch.index && { ...batch.index, put: batch.index.put.map(({ key, bytes }) => ({ key, bytes: bytes.slice() })) };
    const log = await Promise.all(batch.log.map(async (row) => ({ position: row.position, bytes: await this.#opened().seal(row, batch.epoch) })));
    const rows = await Promise.all(plain.map(async ([key, value]) => [key, isPrivate(key, value) ? await this.#stateCipher!.seal(key, value) : value] as const));
    return { ...batch, log, queue, ...(index && { index }), state: this.#isChecked ? rows : [...rows, [KEY_CHECK, this.#check]] };
  }

  #opened(): RowCipher {
    assert(this.#cipher !== null, "an encrypted store is taken over before it is used");
    return this.#cipher;
  }
}

function isPrivate(key: string, value: unknown): boolean {
  return key.startsWith(PRIVATE_PREFIX) && value !== null;
}

/** As long as the plain row was. */
function damaged(row: Uint8Array): Uint8Array {
  return new Uint8Array(Math.max(1, plainLength(row)));
}
