import type { VerdictKind } from "./checkers.ts";
import type { Plan } from "./plan.ts";
import { storm } from "./storm.ts";

export interface Seed {
  seed: number;
  about: string;
  isLong?: boolean;
  /** The world, where it is not the one that the seed draws: it stays the same when what is drawn does not. */
  plan?: (plan: Plan) => Plan;
  /** The protection that it stands for: without it the same world is red. */
  without?: { mutation: [file: string, from: string, to: string]; verdict: VerdictKind };
}

/**
 * Seeds that have found something, or nearly so; they run in every `npm test`, the long ones with TABMQ_LONG=1. What each
 * once showed stands beside it. Those with `without` are held against their mutation in seeds.test.ts. The others are
 * kept only as runs: what they found was the simulator's own, or the worlds that seeds draw have changed since, and
 * what they found is tested where `about` says.
 */
export const SEEDS: readonly Seed[] = [
  {
    seed: 4, about: "a group at a queue that holds nothing, when the newest commits have been lost (first seed 18)",
    plan: storm({ topics: [{ topic: "t1", queues: 8 }], gap: 500, disturbances: { "lose tail": 2_000 } }),
    without: {
      mutation: ["broker/group-progress.ts", "const maxOffset = this.#queues.find(queue.topic, queue.queueId)?.maxOffset ?? this.#queues.firstOffset;", "const maxOffset = this.#queues.find(queue.topic, queue.queueId)?.maxOffset ?? 0;"],
      verdict: "offset went back",
    },
  },
  {
    seed: 7, about: "the clock is set back between two brokers while messages wait for their retries (first seed 9)",
    plan: storm({ listenerFails: 0.5, gap: 80, disturbances: { "jump clock": 700, "kill host": 1_500 } }),
    without: {
      mutation: ["broker/schedule.ts", "waiting[at]!.due = Math.max(waiting[at]!.due, waiting[at - 1]!.due);", "void at;"],
      verdict: "moved twice",
    },
  },
  {
    seed: 3, about: "a queue is taken away and given back before the broker knows how far its consumer has come (first seed 100235)",
    plan: storm({ gap: 40, messageLatency: 20, duration: 5_000, tabs: 3, disturbances: { "open tab": 250, "crash tab": 350, stall: 150, "hide tab": 1_000 } }),
    without: {
      mutation: ["client/held-queues.ts", "Math.max(offset, ours.commitOffset), [...done, ...ours.done]", "offset, done"],
      verdict: "offset went back",
    },
  },
  { seed: 8, about: "a listener outlasts the patience of shutdown (the simulator's)" },
  { seed: 18, about: "a group at a queue that holds nothing, as seed 4 in its world" },
  { seed: 9, about: "the clock is set back, as seed 7 in its world" },
  { seed: 128, about: "the log is cut, and with it goes the head of a delay level: what stood behind it was delivered at its time" },
  { seed: 145, about: "a closing tab of another version starts its worker again (the simulator's)" },
  { seed: 203, about: "a send waits for its route first: it took two timeouts (scenarios.test.ts)" },
  { seed: 348, about: "the quota is used up, the host dies, and the first in line for the news is frozen (scenarios.test.ts)" },
  { seed: 100235, about: "a queue is taken away and given back before the broker knows how far its consumer has come, as seed 3 in its world" },
  { seed: 261045885, about: "the workers die while a tab greets them, and it is closed while it waits (scenarios.test.ts)" },
  { seed: 700000094, about: "the only consumers that are left leave as the world is healed (the simulator's)" },
  { seed: 700000305, about: "a listener outlasts the patience of shutdown, and its queue had been taken away before (the simulator's)", isLong: true },
];
