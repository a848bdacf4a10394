import { type Signal, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

/** From one answer about a row to the next question, ms. */
const ASK_EVERY = 3000;
/** Questions on their way at once: the broker has others to answer. */
const AT_ONCE = 4;
/** Rows that fly past while somebody scrolls are not asked about. */
const REST = 60;

interface Row<T> {
  readonly answer: Signal<T | undefined>;
  /** Cells that show it. */
  cells: number;
  due: number;
  isAsked: boolean;
}

/** Asks about the rows of a long list that are in sight, a few at a time, again and again. What was answered before stays meanwhile. */
export class RowAnswers<T> {
  readonly #rows = new Map<string, Row<T>>();
  readonly #watched = new Set<string>();
  readonly #ask: (key: string) => Promise<T>;
  #asking = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(ask: (key: string) => Promise<T>) {
    this.#ask = ask;
  }

  answer(key: string): Signal<T | undefined> {
    return this.#row(key).answer;
  }

  /** A cell shows the row from now on. */
  watch(key: string): () => void {
    const row = this.#row(key);
    row.cells++;
    this.#watched.add(key);
    this.#later(REST);
    return () => {
      if (--row.cells === 0) this.#watched.delete(key);
    };
  }

  /** Nobody looks any more. */
  close(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  /** Somebody looks again, or has done something: whatever is in sight is asked about now. */
  refresh(): void {
    for (const row of this.#rows.values()) row.due = 0;
    this.#later(0);
  }

  #row(key: string): Row<T> {
    let row = this.#rows.get(key);
    if (row === undefined) this.#rows.set(key, (row = { answer: signal<T | undefined>(undefined), cells: 0, due: 0, isAsked: false }));
    return row;
  }

  #later(ms: number): void {
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#begin(), ms);
  }

  #begin(): void {
    if (document.hidden) return;
    const now = performance.now();
    const waiting = [...this.#watched].map((key) => ({ key, row: this.#row(key) })).filter(({ row }) => !row.isAsked).sort((a, b) => a.row.due - b.row.due);
    for (const { key, row } of waiting) {
      if (row.due > now) return this.#later(row.due - now);
      // Whoever is answered first goes on from here.
      if (this.#asking >= AT_ONCE) return;
      void this.#one(key, row);
    }
  }

  async #one(key: string, row: Row<T>): Promise<void> {
    this.#asking++;
    row.isAsked = true;
    try {
      row.answer.value = await this.#ask(key);
    } catch {
      // A row that is gone leaves the list with its next answer; a broker that is away is shown in the header.
    }
    row.isAsked = false;
    row.due = performance.now() + ASK_EVERY;
    this.#asking--;
    if (!this.#isOver) this.#begin();
  }
}

export function useRowAnswers<T>(ask: (key: string) => Promise<T>): RowAnswers<T> {
  const answers = useRef<RowAnswers<T> | null>(null);
  answers.current ??= new RowAnswers(ask);
  const { current } = answers;
  useEffect(() => {
    const onVisible = (): void => current.refresh();
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      document.removeEventListener("visibilitychange", onVisible);
      current.close();
    };
  }, []);
  return current;
}
