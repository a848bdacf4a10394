import { QUEUE_PAGE_ENTRIES } from "../model/limits.ts";
import { queueKey } from "../model/queue.ts";
import { isCount } from "../protocol/validate.ts";
import type { BlockStore, Removal } from "./block-store.ts";
import type { CommitLog } from "./commit-log.ts";
import { type LogTrimmer, type TrimRow, UNTRIMMED } from "./log-trimmer.ts";

/** Up to here what the cuts have given up has gone. Written with the last of it: a start that finds another place than where the log begins goes on. */
export const SWEPT_KEY = "swept";

/** What goes in one transaction: a commit waits for one of them at most. */
const STEP_ROWS = 32;
const STEP_BYTES = 4 * 1024 * 1024;
const STEP_PAGES = 32;
/** Where it is not known what is left of a queue's pages, most are gone: more steps than this are not worth it. */
const MAX_STEPS_PER_QUEUE = 64;

type PageRange = NonNullable<Removal["queue"]>[number];

/**
 * Gives the room back that a cut has given up. Nobody reads there any more, so nothing is at stake: steps are small, and do not
 * wait for the device. Commits come between them; and whoever dies on the way leaves the rest to the next host.
 */
export class LogSweeper {
  readonly #store: BlockStore;
  readonly #log: CommitLog;
  readonly #trimmer: LogTrimmer;
  readonly #epoch: number;
  /** What was before this cut has gone. */
  #swept = UNTRIMMED;

  constructor(parts: { store: BlockStore; log: CommitLog; trimmer: LogTrimmer; epoch: number }) {
    this.#store = parts.store;
    this.#log = parts.log;
    this.#trimmer = parts.trimmer;
    this.#epoch = parts.epoch;
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
    for (const queue of pageSteps(this.#swept, goal)) {
      if (isStopped() || !(await this.#remove({ queue }))) return false;
    }
    for (let from = this.#swept.position; from < goal.position; ) {
      const to = await this.#stepFrom(from, goal.position);
      if (isStopped() || !(await this.#remove({ log: [from, to] }, to === goal.position ? to : null))) return false;
      from = to;
    }
    this.#swept = goal;
    return true;
  }

  /** Where a step ends that begins with the first row from `from` on: a row begins there. */
  async #stepFrom(from: number, goal: number): Promise<number> {
    const keys = await this.#store.readLogKeys(from, STEP_ROWS + 1);
    const next = keys.find((key, at) => at === STEP_ROWS || (at > 0 && key - keys[0]! >= STEP_BYTES));
    return Math.min(next ?? goal, goal);
  }

  /** `swept`: all before it has gone then. */
  async #remove(remove: Removal, swept: number | null = null): Promise<boolean> {
    const state = swept === null ? [] : [[SWEPT_KEY, swept] as const];
    const outcome = await this.#log.rewrite(() => this.#store.commit({ epoch: this.#epoch, remove, log: [], queue: [], state, durability: "relaxed" }));
    return outcome?.status === "committed";
  }
}

/** The pages before a cut's queues begin, in steps. */
function* pageSteps(swept: TrimRow, goal: TrimRow): Generator<PageRange[]> {
  const begins = new Map(swept.queues.map(([topic, queueId, minOffset]) => [queueKey(topic, queueId), pageOf(minOffset)]));
  let step: PageRange[] = [];
  let pages = 0;
  for (const [topic, queueId, minOffset] of goal.queues) {
    const end = pageOf(minOffset);
    const begin = begins.get(queueKey(topic, queueId)) ?? 0;
    const stride = Math.max(STEP_PAGES, Math.ceil((end - begin) / MAX_STEPS_PER_QUEUE));
    for (let from = begin; from < end; from += stride) {
      const to = Math.min(end, from + stride);
      step.push({ topic, queueId, pages: [from, to] });
      pages += to - from;
      if (pages < STEP_PAGES) continue;
      yield step;
      [step, pages] = [[], 0];
    }
  }
  if (step.length > 0) yield step;
}

function pageOf(offset: number): number {
  return Math.floor(offset / QUEUE_PAGE_ENTRIES);
}
