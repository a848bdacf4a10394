import { MQError } from "../model/errors.ts";
import { FINISHED_KEYS_PER_PAGE, MAX_FINISHED_KEYS, MAX_IDEMPOTENT_GROUPS } from "../model/limits.ts";
import { isCount } from "../protocol/validate.ts";
import type { DurableState } from "../storage/durable-state.ts";
import { PRIVATE_PREFIX } from "../storage/state-cipher.ts";

const PREFIX = PRIVATE_PREFIX;
const MAX_PAGES = MAX_FINISHED_KEYS / FINISHED_KEYS_PER_PAGE;
/** A page is closed when it has been filled for such a part of the window: it is forgotten as a whole, so late by as much. */
const PAGE_SHARE = 16;

/** A row of the store: keys that were finished one after the other. Never changed, always replaced: it may be on its way to the store. */
interface Page {
  readonly number: number;
  /** When its first and its last key were finished, and how long they are remembered from then on, ms. */
  readonly from: number;
  readonly until: number;
  readonly window: number;
  readonly keys: readonly string[];
}

/** Of one group: pages with numbers that follow each other, each in the slot `number % MAX_PAGES`. */
interface Shelf {
  pages: Page[];
  /** All keys of the pages; made when it is asked for first. */
  known: Set<string> | null;
  nextNumber: number;
}

/**
 * Which keys a group of idempotent consumers has finished. A key is noted in the task in which its message's offset is,
 * so both are in one transaction; where the store gets only one of them, it is neither.
 */
export class FinishedKeys {
  readonly #state: DurableState;
  readonly #clock: { now(): number };
  readonly #shelves = new Map<string, Shelf>();

  constructor(state: DurableState, clock: { now(): number }) {
    this.#state = state;
    this.#clock = clock;
  }

  restore(): void {
    for (const [key, value] of this.#state.startingWith(PREFIX)) {
      const [group = ""] = key.split("/");
      const page = readPage(value);
      if (page !== null) this.#shelf(group).pages.push(page);
    }
    for (const shelf of this.#shelves.values()) {
      shelf.pages.sort((a, b) => a.number - b.number);
      shelf.nextNumber = shelf.pages.at(-1)!.number + 1;
    }
  }

  /** Throws FLOW_CONTROL where the keys of too many groups are remembered already. */
  open(group: string, isLive: (group: string) => boolean): void {
    for (const [name, shelf] of this.#shelves) {
      this.#expire(name, shelf);
      if (shelf.pages.length === 0 && !isLive(name)) this.#shelves.delete(name);
    }
    if (!this.#shelves.has(group) && this.#shelves.size >= MAX_IDEMPOTENT_GROUPS) {
      throw new MQError("FLOW_CONTROL", `The broker remembers the finished keys of ${MAX_IDEMPOTENT_GROUPS} groups already.`, { field: "idempotent" });
    }
    this.#shelf(group);
  }

  /** The group is deleted. */
  forget(group: string): void {
    for (const { number } of this.#shelves.get(group)?.pages ?? []) this.#state.set(rowOf(group, number), null);
    this.#shelves.delete(group);
  }

  has(group: string, key: string): boolean {
    const shelf = this.#shelves.get(group);
    if (shelf === undefined) return false;
    this.#expire(group, shelf);
    return this.#known(shelf).has(key);
  }

  /** False: there are so many that some are forgotten before their time. */
  add(group: string, keys: readonly string[], window: number): boolean {
    const shelf = this.#shelf(group);
    this.#expire(group, shelf);
    const known = this.#known(shelf);
    const fresh = [...new Set(keys)].filter((key) => !known.has(key));
    const now = this.#clock.now();
    let isWhole = true;
    for (let at = 0; at < fresh.length; ) {
      const last = shelf.pages.at(-1);
      const isOpen = last !== undefined && last.keys.length < FINISHED_KEYS_PER_PAGE && last.window === window && now - last.from <= window / PAGE_SHARE;
      if (!isOpen && shelf.pages[0] !== undefined && shelf.nextNumber - shelf.pages[0].number >= MAX_PAGES) {
        this.#drop(group, shelf);
        isWhole = false;
      }
      const page = isOpen ? last : { number: shelf.nextNumber++, from: now, until: now, window, keys: [] };
      const taken = fresh.slice(at, at + FINISHED_KEYS_PER_PAGE - page.keys.length);
      if (isOpen) shelf.pages.pop();
      const written = { ...page, until: now, keys: [...page.keys, ...taken] };
      shelf.pages.push(written);
      this.#state.set(rowOf(group, page.number), written);
      at += taken.length;
    }
    for (const key of fresh) known.add(key);
    return isWhole;
  }

  #expire(group: string, shelf: Shelf): void {
    const now = this.#clock.now();
    for (let oldest = shelf.pages[0]; oldest !== undefined && oldest.until + oldest.window <= now; oldest = shelf.pages[0]) this.#drop(group, shelf);
  }

  #drop(group: string, shelf: Shelf): void {
    const { number, keys } = shelf.pages.shift()!;
    for (const key of keys) shelf.known?.delete(key);
    this.#state.set(rowOf(group, number), null);
  }

  #known(shelf: Shelf): Set<string> {
    return (shelf.known ??= new Set(shelf.pages.flatMap(({ keys }) => keys)));
  }

  #shelf(group: string): Shelf {
    const shelf = this.#shelves.get(group) ?? { pages: [], known: null, nextNumber: 0 };
    this.#shelves.set(group, shelf);
    return shelf;
  }
}

function rowOf(group: string, number: number): string {
  return `${PREFIX}${group}/${number % MAX_PAGES}`;
}

/** Null when it is no such row: then its keys are not known. */
function readPage(value: unknown): Page | null {
  if (typeof value !== "object" || value === null) return null;
  const { number, from, until, window, keys } = value as Partial<Record<keyof Page, unknown>>;
  const isPage = [number, from, until, window].every(isCount) && Array.isArray(keys) && keys.every((key) => typeof key === "string");
  return isPage ? (value as Page) : null;
}
