/** A value in one of the caches: its place in the order of use, over all of them. */
export class Kept {
  /** What it is charged, bytes. */
  readonly cost: number;
  /** The budget has taken it away. */
  readonly evicted: () => void;
  older: Kept = this;
  younger: Kept = this;

  constructor(cost: number, evicted: () => void) {
    this.cost = cost;
    this.evicted = evicted;
  }
}

/**
 * One account over any number of caches. What has not been used for longest goes first, in whichever cache it lies: nobody
 * has to know beforehand whether a broker's tabs read logs or search keys.
 */
export class CacheBudget {
  readonly #limit: number;
  /** Closes the ring: younger than it is the oldest value, older than it the youngest. */
  readonly #end = new Kept(0, () => {});
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** What all caches hold together. More than the limit only while a single value is. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a value in as the youngest. It stays, however large it is. */
  charge(kept: Kept): void {
    this.#bytes += kept.cost;
    this.#append(kept);
    for (let oldest = this.#end.younger; this.#bytes > this.#limit && oldest !== kept; oldest = this.#end.younger) {
      this.release(oldest);
      oldest.evicted();
    }
  }

  /** It has been used. */
  touch(kept: Kept): void {
    // Reading on, one meets the same row again and again.
    if (this.#end.older === kept) return;
    unlink(kept);
    this.#append(kept);
  }

  release(kept: Kept): void {
    this.#bytes -= kept.cost;
    unlink(kept);
  }

  #append(kept: Kept): void {
    kept.older = this.#end.older;
    kept.younger = this.#end;
    kept.older.younger = this.#end.older = kept;
  }
}

function unlink(kept: Kept): void {
  kept.older.younger = kept.younger;
  kept.younger.older = kept.older;
}
