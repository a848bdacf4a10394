import { queueKey } from "../../../src/model/queue.ts";
import type { Stored } from "../../support/history.ts";
import { entriesOf, type History, type QueueName } from "../history.ts";

/** So long after an answer others may not have heard of it, ms: far more than the slowest message takes. */
export const GRACE = 1_000;

export const queueOf = ({ topic, queueId }: Stored): QueueName => queueKey(topic, queueId);

interface Reset {
  asked: number;
  /** Infinity: it may come true at any time. */
  answered: number;
  queues: QueueName[];
  /** Null: nobody knows whether it has come true, nor where to. */
  offsets: Map<QueueName, number> | null;
}

/** Where a group begins: from this offset on, everything since then counts. */
interface Begin {
  floor: number;
  since: number;
}

/** How an admin has moved a group. */
export class Resets {
  readonly #resets: Reset[];

  constructor(history: History, group: string) {
    const answers = new Map(entriesOf(history, "reset answered").map((entry) => [entry.reset, entry]));
    this.#resets = entriesOf(history, "reset asked").filter((entry) => entry.group === group).flatMap(({ at, reset, queues }): Reset[] => {
      const answer = answers.get(reset);
      if (answer?.offsets?.length === 0) return [];
      const offsets = answer?.offsets == null ? null : new Map(answer.offsets);
      return [{ asked: at, answered: offsets === null ? Infinity : answer!.at, queues, offsets }];
    });
  }

  /** After all of them. */
  last(queue: QueueName): Begin {
    return this.#after(queue, Infinity);
  }

  /** For what the broker gave at some time from `asked` to `at`; null when a move may have been under way. */
  before(queue: QueueName, asked: number, at: number): Begin | null {
    return this.touches(queue, asked - GRACE, at) ? null : this.#after(queue, at);
  }

  /** One was under way at some time between. */
  touches(queue: QueueName, from: number, to: number): boolean {
    return this.#resets.some((one) => one.queues.includes(queue) && one.asked <= to && one.answered >= from);
  }

  #after(queue: QueueName, at: number): Begin {
    const begin: Begin = { floor: 0, since: 0 };
    for (const { asked, queues, offsets } of this.#resets) {
      if (!queues.includes(queue) || asked > at) continue;
      // One in doubt may have left out everything.
      if (offsets === null) begin.floor = Infinity;
      else Object.assign(begin, { floor: offsets.get(queue)!, since: asked });
    }
    return begin;
  }
}
