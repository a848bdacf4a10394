import type { Deferred } from "../platform/deferred.ts";
import { deferred } from "../platform/deferred.ts";

/** Facts on their way to the store. */
export interface Facts {
  rows: (readonly [key: string, value: unknown])[];
  /** Somebody is told how it goes. */
  isAwaited: boolean;
  committed(): void;
  /** They wait to be written again. */
  failed(error: unknown): void;
}

/**
 * Small durable facts (topics, offsets): kept in memory, changed at once, written with the next commit.
 * Keys are text with "/" between the parts; names of topics and groups cannot contain it.
 */
export class DurableState {
  readonly #rows = new Map<string, unknown>();
  #dirty = new Set<string>();
  #saved: Deferred<void> | null = null;
  #whenWritten: (() => void)[] = [];
  /** Called when something waits to be written. */
  onDirty: (urgent: boolean) => void = () => {};

  restore(rows: Iterable<readonly [string, unknown]>): void {
    for (const [key, value] of rows) this.#rows.set(key, value);
  }

  get(key: string): unknown {
    return this.#rows.get(key);
  }

  *startingWith(prefix: string): Generator<[key: string, value: unknown]> {
    for (const [key, value] of this.#rows) if (key.startsWith(prefix)) yield [key.slice(prefix.length), value];
  }

  /** Takes effect at once; durable with the next commit, which may take its time. null = there is to be no such row. */
  set(key: string, value: unknown): void {
    this.#put(key, value);
    this.onDirty(false);
  }

  /** As `set`, and resolves when it is durable. */
  save(key: string, value: unknown): Promise<void> {
    this.#put(key, value);
    const saved = (this.#saved ??= deferred());
    // May begin the commit at once, which takes `#saved` along.
    this.onDirty(true);
    return saved.promise;
  }

  /** Resolves when what has been set so far is durable. */
  saved(): Promise<void> {
    const saved = (this.#saved ??= deferred());
    this.onDirty(true);
    return saved.promise;
  }

  /** Calls back when what has been set so far is durable; asks for no commit by itself. */
  whenWritten(callback: () => void): void {
    this.#whenWritten.push(callback);
  }

  #put(key: string, value: unknown): void {
    if (value === null) this.#rows.delete(key);
    else this.#rows.set(key, value);
    this.#dirty.add(key);
  }

  /** Everything that waits to be written. The caller says how it went. */
  take(): Facts {
    const keys = this.#dirty;
    const saved = this.#saved;
    const whenWritten = this.#whenWritten;
    this.#dirty = new Set();
    this.#saved = null;
    this.#whenWritten = [];
    return {
      isAwaited: saved !== null,
      rows: [...keys].map((key) => [key, this.#rows.get(key) ?? null] as const),
      committed: () => {
        for (const callback of whenWritten) callback();
        saved?.resolve();
      },
      failed: (error) => {
        for (const key of keys) this.#dirty.add(key);
        this.#whenWritten.unshift(...whenWritten);
        saved?.reject(error);
      },
    };
  }
}
