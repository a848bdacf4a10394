import { type CacheBudget, Kept } from "./cache-budget.ts";

/** Each entry is charged a little more than its value, for its place in the cache. */
export const ENTRY_COST = 256;

class Entry<Value> extends Kept {
  readonly value: Value;

  constructor(value: Value, bytes: number, evicted: () => void) {
    super(bytes + ENTRY_COST, evicted);
    this.value = value;
  }
}

/** Keeps the most recently used values, as far as a budget reaches that it may share with others. */
export class ByteCache<Key, Value> {
  readonly #entries = new Map<Key, Entry<Value>>();
  readonly #budget: CacheBudget;
  readonly #onEvict: (key: Key) => void;

  constructor(budget: CacheBudget, onEvict: (key: Key) => void = () => {}) {
    this.#budget = budget;
    this.#onEvict = onEvict;
  }

  get(key: Key): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#budget.touch(entry);
    return entry.value;
  }

  /** `bytes` is what the value costs. */
  set(key: Key, value: Value, bytes: number): void {
    this.delete(key);
    const entry = new Entry(value, bytes, () => {
      this.#entries.delete(key);
      this.#onEvict(key);
    });
    this.#entries.set(key, entry);
    this.#budget.charge(entry);
  }

  delete(key: Key): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#budget.release(entry);
  }
}
