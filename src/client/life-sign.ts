import type { HeldLock, Locks } from "../platform/locks.ts";

/**
 * The lock by which a broker knows that this client lives: it waits for it, and gets it when the tab is gone. One for
 * each generation of workers, because a worker that hangs stands first in line for the lock it knows, and would keep it
 * from the next.
 */
export class LifeSign {
  readonly #locks: Locks;
  readonly #name: string;
  readonly #held = new Map<number, Promise<HeldLock | null>>();

  #isOver = false;

  constructor(locks: Locks, name: string) {
    this.#locks = locks;
    this.#name = name;
  }

  /** Holds the lock for this generation; returns its name. */
  async show(generation: number): Promise<string> {
    const name = generation === 0 ? this.#name : `${this.#name}/${generation}`;
    const held = this.#held.get(generation) ?? this.#locks.acquire(name);
    this.#held.set(generation, held);
    await held;
    if (this.#isOver) this.hide();
    return name;
  }

  /** Gone to this generation: a worker of an earlier one, if it is not hung after all, must not take us for its client. */
  moveTo(generation: number): void {
    for (const [earlier, held] of this.#held) {
      if (earlier >= generation) continue;
      this.#held.delete(earlier);
      void held.then((lock) => lock?.release());
    }
  }

  /** For good. */
  end(): void {
    this.#isOver = true;
    this.hide();
  }

  hide(): void {
    for (const held of this.#held.values()) void held.then((lock) => lock?.release());
    this.#held.clear();
  }
}
