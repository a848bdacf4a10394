import { describe as suite, expect, test, vi } from "vitest";
import { SHORT } from "../support/effort.ts";
import type { VerdictKind } from "./checkers.ts";
import { delivery, describe } from "./delivery/delivery.ts";
import type { DeliveryPlan } from "./delivery/plan.ts";
import { withMutant } from "./mutant.ts";
import { redSeed } from "./red-seed.ts";

vi.setConfig({ testTimeout: 120_000 });

/** As many more as wanted: `npm run test:sim -- --delivery --seed 1 --seeds 10000 --jobs 2`. */
const SEEDS = SHORT ? 20 : 150;

suite("messages wait, are called back, committed, and made of others, while hosts and tabs die", () => {
  test(`${SEEDS} worlds: each is visible once, no sooner than it may be, or never`, async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= SEEDS; seed++) {
      const run = await delivery(seed);
      expect(run.verdicts, describe(run)).toEqual([]);
      for (const entry of run.history) {
        seen.add(entry.type === "decided" ? entry.decision : entry.type === "fault" ? entry.kind : entry.type === "recall answered" ? `recalled ${entry.isRecalled}` : entry.type);
        if (entry.type === "stored") seen.add(entry.record.topic);
      }
    }
    // Otherwise the judges had nothing to judge.
    for (const what of ["COMMIT", "ROLLBACK", "recalled true", "recalled false", "host killed", "tab crashed", "commit failed", "clock jumped", "timed", "tx", "in", "out", "orders", "ordered"]) expect(seen).toContain(what);
  });

  test("a topic that was made on the fly and never stored: the outbox sends to one that is made anew", async () => {
    const run = await delivery(853);
    expect(run.verdicts, describe(run)).toEqual([]);
  });

  test("a seed is a history; control: another seed is another one", async () => {
    const [one, two, other] = [await delivery(2), await delivery(2), await delivery(3)];
    expect(two.hash()).toBe(one.hash());
    expect(other.hash()).not.toBe(one.hash());
  });
});

/** Nothing happens but what is said. */
const calm = (changes: Partial<DeliveryPlan>) => (plan: DeliveryPlan): DeliveryPlan => ({
  ...plan, tabs: 2, queues: 2, duration: 3_000, timers: 0, transactions: 0, transforms: 0, orders: 0, recalls: 0, longestDelay: 1_000, fails: 0, work: 5, batchSize: 1, orderly: false,
  hostKills: 0, tabCrashes: 0, blackouts: 0, clockJumps: 0, commitFails: 0, commitMisreported: 0, diskLatency: 5, messageLatency: 1, ...changes,
});

/** How many seeds a fault may hide from. */
const MOST = 12;

const MUTANTS: { what: string; verdict: VerdictKind; plan: (plan: DeliveryPlan) => DeliveryPlan; mutation: [file: string, from: string, to: string]; isLong?: boolean }[] = [
  {
    what: "timers are due a little before their time", verdict: "delivered early",
    plan: calm({ timers: 40 }),
    mutation: ["broker/timer-wheel.ts", "[PROPERTY.TIMER_OUT_MS]: `${due}` }", "[PROPERTY.TIMER_OUT_MS]: `${due - 50}` }"],
  },
  {
    what: "a whole row of finished timers is taken away", verdict: "visible twice",
    plan: calm({ tabs: 1, timers: 300, longestDelay: 50, hostKills: 3_000, duration: 20_000 }),
    mutation: ["broker/finished-timers.ts", "    this.#state.set(`${PREFIX}${number}`, row);", "    this.#state.set(`${PREFIX}${number}`, isAll(row) ? null : row);"],
  },
  {
    what: "a host does not know which timers others have delivered", verdict: "visible twice",
    // Rest enough for a checkpoint: what comes after one is read in the log.
    plan: calm({ tabs: 1, timers: 1_500, hostKills: 5_000, duration: 30_000 }),
    mutation: ["broker/finished-timers.ts", "  restore(): void {", "  restore(): void {\n    if (this !== null) return;"],
  },
  {
    what: "a recall is answered before it is durable", verdict: "recalled and delivered",
    plan: calm({ timers: 20, recalls: 1, hostKills: 200, diskLatency: 30, messageLatency: 0.2 }),
    mutation: ["broker/timer-wheel.ts", "    await finished.saved([offset]);\n  }\n\n  /** Timers that stand before", "    void finished.saved([offset]).catch(() => {});\n  }\n\n  /** Timers that stand before"],
  },
  {
    what: "half messages go straight to their topic", verdict: "visible without commit",
    plan: calm({ transactions: 60 }),
    mutation: ["broker/transactions.ts", 'if (properties[PROPERTY.TRAN_MSG] !== "true") return null;', "if (properties !== null) return null;"],
  },
  {
    what: "what is sent again is not looked for", verdict: "visible twice",
    plan: calm({ timers: 30, hostKills: 300, diskLatency: 30 }),
    mutation: ["broker/send.ts", "stored: isAgain ? null : NOTHING_STORED", "stored: NOTHING_STORED"],
  },
  {
    what: "the next host does not read what was finished by what was sent for it", verdict: "visible twice", isLong: true,
    plan: calm({ transforms: 30, hostKills: 300, diskLatency: 30 }),
    mutation: ["broker/broker.ts", "if (completion !== null) this.completions.take(", "if (completion !== null && index < 0) this.completions.take("],
  },
  {
    what: "the outbox's relay forgets a row before it is sent", verdict: "commit lost", isLong: true,
    plan: calm({ orders: 40, tabCrashes: 300, hostKills: 400 }),
    mutation: ["client/outbox-relay.ts", "const outcomes = await this.#send(batch);", "await rows.change({ gone: batch.map(({ key }) => key), kept: [] });\n    const outcomes = await this.#send(batch);"],
  },
  {
    what: "nobody is asked how a transaction ended", verdict: "commit lost", isLong: true,
    plan: calm({ transactions: 60, fails: 0.4 }),
    mutation: ["broker/transaction-checks.ts", 'if (action === "check") await this.#tell(half, check);', 'if (action === "check") check.rest = now + REFUSED_DELAY;'],
  },
];

suite("a mistake is found out; without it, the same seed is green", () => {
  test.each(MUTANTS.filter(({ isLong = false }) => !SHORT || !isLong))("$what: $verdict", async ({ verdict, plan, mutation }) => {
    const red = await withMutant(...mutation, async () => {
      const { delivery: live } = await import("./delivery/delivery.ts");
      return redSeed(verdict, MOST, (seed) => live(seed, plan));
    });
    const green = await delivery(red, plan);
    expect(green.verdicts, describe(green)).toEqual([]);
  });
});
