/**
 * Room that a full store still has. A browser that has used up its quota refuses every write, be it ten bytes, and
 * still allows to delete: so some rows hold nothing but room, and are given up, one at a time, for what is small and
 * must not be lost (consumers' offsets, a new host's epoch).
 *
 * Longer than 64 KiB, so that Chromium keeps each in a file of its own, whose room is free at once; random, so that
 * nothing compresses them. An offset takes some hundred bytes of LevelDB's log, so that a row lasts for hundreds of commits. As many as this,
 * because LevelDB itself takes and gives back some megabytes when it tidies up.
 */
const RESERVE_ROWS = 24;
const ROW_BYTES = 256 * 1024;
/** In the store `index`, where no topic is called "". */
const STORE = "index";
const keyOf = (row: number): [string, number] => ["", 1 + row];

export class Reserve {
  readonly #size: number;
  /** Rows 0 to n-1 are there. */
  #rows = 0;
  #isTight = false;

  constructor(rows = RESERVE_ROWS) {
    this.#size = rows;
  }

  get isWhole(): boolean {
    return this.#rows === this.#size;
  }

  /** Some of it has been given up: what is there belongs to what must not be lost. */
  get isTight(): boolean {
    return this.#isTight;
  }

  /** Looks what an earlier host has left. None at all = the namespace is new. */
  async look(db: IDBDatabase): Promise<void> {
    if (this.#size === 0) return;
    const request = db.transaction(STORE).objectStore(STORE).count(IDBKeyRange.bound(keyOf(0), keyOf(this.#size - 1)));
    await new Promise<void>((resolve, reject) => {
      request.onsuccess = () => resolve();
      request.onerror = () => reject(request.error);
    });
    this.#rows = request.result;
    this.#isTight ||= this.#rows > 0 && !this.isWhole;
  }

  /** Gives one row up; false when no more than `least` are left. */
  async release(db: IDBDatabase, least: number): Promise<boolean> {
    if (this.#rows <= least) return false;
    this.#isTight = true;
    // Nothing but a deletion: that is never refused for want of room.
    const isDone = await transact(db, (store) => store.delete(keyOf(this.#rows - 1)));
    if (isDone) this.#rows--;
    return isDone;
  }

  /** Puts back what is missing, which shows whether there is room again. */
  async restore(db: IDBDatabase): Promise<boolean> {
    const missing = Array.from({ length: this.#size - this.#rows }, (_, at) => this.#rows + at);
    const isDone = await transact(db, (store) => {
      for (const row of missing) store.put(noise(ROW_BYTES), keyOf(row));
    });
    if (isDone) {
      this.#rows = this.#size;
      this.#isTight = false;
    }
    return isDone;
  }
}

/** Strict: a file that the device does not have keeps no room after a power cut. */
function transact(db: IDBDatabase, act: (store: IDBObjectStore) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const tx = db.transaction(STORE, "readwrite", { durability: "strict" });
    tx.oncomplete = () => resolve(true);
    tx.onabort = () => resolve(false);
    act(tx.objectStore(STORE));
  });
}

function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  // The most that one call gives.
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}
