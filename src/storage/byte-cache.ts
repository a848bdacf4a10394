/** Keeps the most recently used values within a byte budget. */
export class ByteCache<Key, Value> {
  readonly #values = new Map<Key, { value: Value; bytes: number }>();
  readonly #budget: number;
  readonly #onEvict: (key: Key) => void;
  #bytes = 0;

  constructor(budget: number, onEvict: (key: Key) => void = () => {}) {
    this.#budget = budget;
    this.#onEvict = onEvict;
  }

  get(key: Key): Value | undefined {
    const entry = this.#values.get(key);
    if (entry === undefined) return undefined;
    // A Map iterates in insertion order: putting the entry back at the end makes it the youngest.
    this.#values.delete(key);
    this.#values.set(key, entry);
    return entry.value;
  }

  /** `bytes` is what the value costs; each entry is charged a little more for its place in the cache. */
  set(key: Key, value: Value, bytes: number): void {
    this.delete(key);
    const cost = bytes + ENTRY_COST;
    this.#values.set(key, { value, bytes: cost });
    this.#bytes += cost;
    for (const oldest of this.#values.keys()) {
      if (this.#bytes <= this.#budget || oldest === key) break;
      this.delete(oldest);
      this.#onEvict(oldest);
    }
  }

  delete(key: Key): void {
    const entry = this.#values.get(key);
    if (entry === undefined) return;
    this.#values.delete(key);
    this.#bytes -= entry.bytes;
  }
}

const ENTRY_COST = 256;
