import { QUEUE_PAGE_ENTRIES } from "../model/limits.ts";
import { queueKey } from "../model/queue.ts";
import { isCount } from "../protocol/validate.ts";
import type { Clock } from "../platform/clock.ts";
import type { BlockStore, Removal } from "./block-store.ts";
import type { CommitLog } from "./commit-log.ts";
import { type LogTrimmer, type TrimRow, UNTRIMMED } from "./log-trimmer.ts";

/** Up to here what the cuts have given up has gone. Written with the last of it: a start that finds another place than where the log begins goes on. */
export const SWEPT_KEY = "swept";

/** How long one transaction may take, ms: a commit waits for one of them at most. */
const STEP_TIME = 25;
/**
 * Rows, or pages, that go in one. What a row costs depends on the device, and on whether it lies in a file of its own: it is learnt
 * from one step to the next. Fewer than the least are no quicker gone: each transaction costs what five rows do.
 */
const FIRST_STEP = 32;
const LEAST_STEP = 16;
const MAX_STEP = 256;
const STEP_GROWTH = 2;
/** Where it is not known what is left of a queue's pages, most are gone: more steps than this are not worth it. */
const MAX_STEPS_PER_QUEUE = 64;

type PageRange = NonNullable<Removal["queue"]>[number];

/**
 * Gives the room back that a cut has given up. Nobody reads there any more, so nothing is at stake: steps take
 * no longer than a commit may have to wait, and do not wait for the device. Commits come between them; and whoever dies on the way
 * leaves the rest to the next host.
 */
export class LogSweeper {
  readonly #store: BlockStore;
  readonly #log: CommitLog;
  readonly #trimmer: LogTrimmer;
  readonly #clock: Clock;
  readonly #epoch: number;
  readonly #onRoom: () => void;
  /** What goes in the next step. */
  #rows = FIRST_STEP;
  #pages = FIRST_STEP;
  /** What was before this cut has gone. */
  #swept = UNTRIMMED;

  /** `onRoom`: something has gone. */
  constructor(parts: { store: BlockStore; log: CommitLog; trimmer: LogTrimmer; clock: Clock; epoch: number; onRoom?: () => void }) {
    this.#store = parts.store;
    this.#log = parts.log;
    this.#trimmer = parts.trimmer;
    this.#clock = parts.clock;
    this.#epoch = parts.epoch;
    this.#onRoom = parts.onRoom ?? (() => {});
  }

  /** `row`: what an earlier host has noted. Call when the last cut is known. */
  restore(row: unknown): void {
    const { removed } = this.#trimmer;
    if (row === removed.position) this.#swept = removed;
    else if (isCount(row) && row < removed.position) this.#swept = { ...UNTRIMMED, position: row };
  }

  /** Step by step, unless told to stop. False = not now: somebody reads the whole log, or the store has no heart for it. */
  async sweep(isStopped: () => boolean): Promise<boolean> {
    const goal = this.#trimmer.removed;
    if (goal.position === this.#swept.position) return true;
    for (const queue of pageSteps(this.#swept, goal, () => this.#pages)) {
      if (isStopped()) return false;
      const took = await this.#remove({ queue });
      if (took === null) return false;
      this.#pages = paced(this.#pages, took);
    }
    let keys: number[] = [];
    for (let from = this.#swept.position; from < goal.position; ) {
      // Nobody else touches rows before the log's begin; and a list of keys costs as much as the small rows beside them.
      if (keys.length <= this.#rows) keys = await this.#store.readLogKeys(from, 2 * MAX_STEP);
      const to = Math.min(keys[this.#rows] ?? goal.position, goal.position);
      if (isStopped()) return false;
      const took = await this.#remove({ log: [from, to] }, to === goal.position ? to : null);
      if (took === null) return false;
      keys.splice(0, this.#rows);
      // The last one, shorter than the others, says nothing.
      if (to < goal.position) this.#rows = paced(this.#rows, took);
      from = to;
    }
    this.#swept = goal;
    this.#onRoom();
    return true;
  }

  /** How long it took, ms; null when it is not done. `swept`: all before it has gone then. */
  async #remove(remove: Removal, swept: number | null = null): Promise<number | null> {
    const state = swept === null ? [] : [[SWEPT_KEY, swept] as const];
    let took = 0;
    const outcome = await this.#log.rewrite(async () => {
      const began = this.#clock.monotonic();
      const committed = await this.#store.commit({ epoch: this.#epoch, remove, log: [], queue: [], state, durability: "relaxed" });
      took = this.#clock.monotonic() - began;
      return committed;
    });
    return outcome?.status === "committed" ? took : null;
  }
}

/** How much the next step takes, after one that took so long. */
function paced(count: number, took: number): number {
  const fits = Math.floor((count * STEP_TIME) / Math.max(1, took));
  return Math.max(LEAST_STEP, Math.min(MAX_STEP, count * STEP_GROWTH, fits));
}

/** The pages before a cut's queues begin, in steps of so many. */
function* pageSteps(swept: TrimRow, goal: TrimRow, size: () => number): Generator<PageRange[]> {
  const begins = new Map(swept.queues.map(([topic, queueId, minOffset]) => [queueKey(topic, queueId), pageOf(minOffset)]));
  let step: PageRange[] = [];
  let pages = 0;
  for (const [topic, queueId, minOffset] of goal.queues) {
    const end = pageOf(minOffset);
    const begin = begins.get(queueKey(topic, queueId)) ?? 0;
    const stride = Math.max(size(), Math.ceil((end - begin) / MAX_STEPS_PER_QUEUE));
    for (let from = begin; from < end; from += stride) {
      const to = Math.min(end, from + stride);
      step.push({ topic, queueId, pages: [from, to] });
      pages += to - from;
      if (pages < size()) continue;
      yield step;
      [step, pages] = [[], 0];
    }
  }
  if (step.length > 0) yield step;
}

function pageOf(offset: number): number {
  return Math.floor(offset / QUEUE_PAGE_ENTRIES);
}
