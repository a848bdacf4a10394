import { describe as suite, expect, test, vi } from "vitest";
import type { VerdictKind } from "./checkers.ts";
import { withMutant } from "./mutant.ts";
import type { Plan } from "./plan.ts";
import { expectGreen, firstRedRun, storm } from "./storm.ts";

vi.setConfig({ testTimeout: 180_000 });

/** Mistakes that lose nothing and let everything end: of the checkers of histories only one can see them. */
const MUTANTS: { what: string; verdict: VerdictKind; plan: Partial<Plan>; mutation: [file: string, from: string, to: string]; likely?: number; also?: VerdictKind[] }[] = [
  {
    what: "what is sent again is not looked for", verdict: "stored twice",
    plan: { commitMisreported: 0.1, diskLatency: 20, messageLatency: 10, gap: 60, duration: 4_000, work: 0 },
    mutation: ["broker/send.ts", "stored: isAgain ? null : NOTHING_STORED", "stored: NOTHING_STORED"],
  },
  {
    what: "two messages of one millisecond have one msgId", verdict: "msgId used twice",
    plan: { duration: 2_000 },
    mutation: ["model/message-id.ts", "const counter = this.#counter;", "const counter = this.#counter & ~1;"],
  },
  {
    what: "a message that is moved takes two offsets", verdict: "offset left out",
    plan: { listenerFails: 0.3, duration: 4_000 },
    mutation: ["broker/mover.ts", "(queue) => queue.nextOffset++", "(queue) => (queue.nextOffset += 2) - 2"], also: ["unsound store"],
  },
  {
    what: "the last of a batch counts as failed", verdict: "given up without a failure",
    plan: { gap: 50, duration: 4_000 },
    mutation: ["model/consume-result.ts", "Math.min(ackIndex, batchSize - 1)", "Math.min(ackIndex, Math.max(0, batchSize - 2))"], likely: 3,
  },
  {
    what: "what fails once is a dead letter", verdict: "given up too early",
    plan: { listenerFails: 0.3, duration: 4_000 },
    mutation: ["model/retry.ts", "reconsumeTimes >= maxReconsumeTimes", "reconsumeTimes >= 0"],
  },
  {
    what: "what has failed often enough is tried once more", verdict: "given up too late",
    plan: { listenerFails: 0.7, maxReconsumeTimes: 0, duration: 4_000 },
    mutation: ["model/retry.ts", "reconsumeTimes >= maxReconsumeTimes", "reconsumeTimes > maxReconsumeTimes"],
  },
  {
    what: "an orderly consumer gives up at the first failure", verdict: "given up too early",
    plan: { groups: [{ group: "all", kind: "push", orderly: true, subscriptions: { t1: "*" } }], listenerFails: 0.3, duration: 4_000 },
    mutation: ["client/orderly-consumption.ts", "reconsumeTimes >= maxReconsumeTimes", "reconsumeTimes >= 0"],
  },
  {
    what: "nobody is woken for what is new", verdict: "late",
    plan: { duration: 40_000, gap: 5_000, tabs: 2, work: 0 },
    mutation: ["broker/fetch.ts", "if (waiting !== undefined) for (const { member } of waiting) member.wake();\n    }\n  }\n\n  stop", "void waiting;\n    }\n  }\n\n  stop"],
  },
];

suite("mistakes that only one checker sees", () => {
  test.each(MUTANTS)("$what: $verdict", async ({ verdict, plan, mutation, likely, also = [] }) => {
    const options = { plan: storm(plan) };
    const { seed, verdicts } = await withMutant(...mutation, ({ simulate }) => firstRedRun(verdict, options, likely, simulate));
    expect([...new Set(verdicts.map(({ kind }) => kind))]).toEqual([verdict, ...also]);
    await expectGreen(seed, options);
  });
});
