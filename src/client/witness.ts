import { MAX_WITNESS_GROUPS, WITNESS_INTERVAL } from "../model/limits.ts";
import { checkGroup } from "../model/names.ts";
import type { WitnessMark } from "../protocol/api.ts";
import { list, named, offset, record } from "../protocol/validate.ts";
import type { Cancel } from "../platform/timers.ts";
import { MQError } from "../model/errors.ts";
import type { ClientEnvironment } from "./environment.ts";

const markCheck = record({
  epoch: offset,
  position: offset,
  groups: list(named(checkGroup), MAX_WITNESS_GROUPS),
});

const NOTHING: WitnessMark = { epoch: 0, position: 0, groups: [] };

/**
 * Remembers, where the broker's database is not, how far that database has come. Browsers drop a database as a whole
 * or cut its end off, and say nothing; a broker that starts on less than was remembered reports the loss and uses no
 * offset twice. The note lags, by a second and by what the browser holds back, and is never ahead: only durable positions are noted.
 */
export class Witness {
  readonly #environment: ClientEnvironment;
  #seen = NOTHING;
  /** What was noted when the page was put aside. */
  #left: WitnessMark | null = null;
  #cancel: Cancel | null = null;
  /** The store is about to be destroyed. */
  #isQuiet = false;

  constructor(environment: ClientEnvironment) {
    this.#environment = environment;
  }

  /** Whether a broker has served this tab itself. */
  get hasSeen(): boolean {
    return this.#seen !== NOTHING;
  }

  /** How far the log was durable when this tab last heard of it. */
  get position(): number {
    return this.#seen.position;
  }

  /** What this tab has seen and this origin's tabs have noted; null = nothing. Where there is no place for notes, each tab still knows what it has seen itself: its consumers go on from there. */
  recall(): WitnessMark | null {
    const noted = parse(this.#environment.memo?.read() ?? null);
    if (noted === null && this.#seen === NOTHING) return null;
    const { epoch, position, groups } = noted ?? NOTHING;
    return {
      epoch: Math.max(epoch, this.#seen.epoch),
      position: Math.max(position, this.#seen.position),
      groups: [...new Set([...this.#seen.groups, ...groups])].slice(0, MAX_WITNESS_GROUPS),
    };
  }

  /** A broker of this epoch has said that the log is durable up to here. */
  saw(epoch: number, position: number): void {
    if (epoch <= this.#seen.epoch && position <= this.#seen.position) return;
    this.#seen = { ...this.#seen, epoch: Math.max(epoch, this.#seen.epoch), position: Math.max(position, this.#seen.position) };
    this.#noteSoon();
  }

  joined(group: string): void {
    if (this.#seen.groups.includes(group)) return;
    this.#seen = { ...this.#seen, groups: [...this.#seen.groups, group] };
    this.#noteSoon();
  }

  /** The store was destroyed on purpose: there is nothing to miss. */
  forget(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#seen = NOTHING;
    this.#environment.memo?.write("");
  }

  /** Notes nothing while the store is being destroyed: whoever comes meanwhile would miss what was in it. */
  async quietly<T>(work: () => Promise<T>): Promise<T> {
    this.#isQuiet = true;
    this.#cancel?.();
    this.#cancel = null;
    return work().finally(() => {
      this.#isQuiet = false;
      this.#noteSoon();
    });
  }

  /** The page is put aside. */
  hide(): void {
    this.note();
    this.#left = parse(this.#environment.memo?.read() ?? null);
  }

  /** It is back. Where notes have gone that were there, somebody has destroyed the store meanwhile, and could not tell us. */
  show(): void {
    const noted = parse(this.#environment.memo?.read() ?? null);
    if (this.#left !== null && (noted?.epoch ?? 0) < this.#left.epoch) this.#seen = NOTHING;
    this.#left = null;
  }

  /** Writes down what has been seen since the last time. */
  note(): void {
    if (this.#cancel === null) return;
    this.#cancel();
    this.#cancel = null;
    this.#environment.memo?.write(JSON.stringify(this.recall()));
  }

  #noteSoon(): void {
    if (this.#environment.memo === null || this.#isQuiet || !this.hasSeen) return;
    this.#cancel ??= this.#environment.timers.after(WITNESS_INTERVAL, () => this.note());
  }
}

/** Anybody may have written there. */
function parse(note: string | null): WitnessMark | null {
  if (note === null) return null;
  try {
    return markCheck(JSON.parse(note), "witness");
  } catch (error) {
    if (error instanceof MQError || error instanceof SyntaxError) return null;
    throw error;
  }
}
