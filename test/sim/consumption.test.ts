import { describe as suite, expect, test, vi } from "vitest";
import { SHORT } from "../support/effort.ts";
import { consumption, describe } from "./consumption/consumption.ts";
import type { ConsumptionPlan, Consumers } from "./consumption/plan.ts";
import type { VerdictKind } from "./checkers.ts";
import { withMutant } from "./mutant.ts";
import { redSeed } from "./red-seed.ts";

vi.setConfig({ testTimeout: 60_000 });

/** As many more as wanted: `npm run test:sim -- --consumers --seed 1 --seeds 300`. */
const SEEDS = SHORT ? 8 : 80;

suite("groups of all kinds consume, come and go, crash and are moved", () => {
  test(`${SEEDS} worlds: nothing is lost, nothing that is not wanted is delivered, nobody's claim is another's, and order holds`, async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= SEEDS; seed++) {
      const run = await consumption(seed);
      expect(run.verdicts, describe(run)).toEqual([]);
      for (const { kind, filter } of run.plan.groups) seen.add(kind).add(filter);
      for (const { type } of run.history) seen.add(type);
    }
    // Otherwise the judges had nothing to judge.
    for (const what of ["simple", "concurrent", "orderly", "broadcasting", "*", "tag", "sql", "ack answered", "change answered", "reset answered", "fault", "left"]) expect(seen).toContain(what);
  });

  test("a seed is a history; control: another seed is another one", async () => {
    const [one, two, other] = [await consumption(2), await consumption(2), await consumption(3)];
    expect(two.hash()).toBe(one.hash());
    expect(other.hash()).not.toBe(one.hash());
  });
});

const GROUP: Consumers = { group: "g0", kind: "simple", filter: "*", members: 2, maxReconsumeTimes: 16, concurrency: 3, batchSize: 1, pullBatchSize: 32 };

/** One group, and nothing happens to it but what is said. */
const calm = (group: Partial<Consumers>, changes: Partial<ConsumptionPlan> = {}) => (plan: ConsumptionPlan): ConsumptionPlan => ({
  ...plan, queues: 2, groups: [{ ...GROUP, ...group }], duration: 2_500, backlog: 20, gap: 50, maxBytes: 2_000, wanted: 0.5,
  fails: 0.15, work: 10, hostKills: 0, tabCrashes: 0, comings: 0, resets: 0, diskLatency: 1, messageLatency: 0.2, ...changes,
});

/** How many seeds a fault may hide from. */
const MOST = 60;

const LOOK = `        // Before it is moved to the front: a record that is longer than what was left out there ends up in its own place.
        const queueOffset = readInt64(view, at + RECORD.queueOffset);
`;
const MOVE = `        const isMatch = matches(records.subarray(at, at + size));
        if (isMatch === true) {
          if (end !== at) records.copyWithin(end, at, at + size);
          end += size;
          count++;
        }
`;

const MUTANTS: { what: string; verdict: VerdictKind; plan: (plan: ConsumptionPlan) => ConsumptionPlan; mutation: [file: string, from: string, to: string]; isLong?: boolean }[] = [
  {
    what: "where a filter goes on is read after a match was moved over it", verdict: "undelivered",
    plan: calm({ kind: "concurrent", filter: "sql", pullBatchSize: 2 }, { maxBytes: 20_000, backlog: 30, fails: 0 }),
    mutation: ["broker/queue-reader.ts", LOOK + MOVE, MOVE + LOOK],
  },
  {
    what: "a filter lets one through", verdict: "unwanted",
    plan: calm({ filter: "sql" }),
    mutation: ["broker/queue-reader.ts", "if (isMatch === true) {", "if (isMatch === true || (isMatch === false && seen === 3)) {"],
  },
  {
    what: "an acknowledgement is answered and not stored", verdict: "delivered although finished",
    plan: calm({}, { hostKills: 400, diskLatency: 5 }),
    mutation: ["broker/pop.ts", "      await this.ledger.keep(group, touched);\n    }\n    return { refused };", "    }\n    return { refused };"],
  },
  {
    what: "claims are not given back when their time is over", verdict: "not at rest", isLong: true,
    plan: calm({}),
    mutation: ["broker/pop.ts", "this.ledger.takeBack(({ until }) => until <= now);", "for (const group of this.ledger.groups.values()) for (const { claim } of group.claims()) if (claim.until <= now) claim.until = Infinity;"],
  },
  {
    what: "a claim ends sooner than its consumer was told", verdict: "claimed twice", isLong: true,
    plan: calm({}),
    mutation: ["broker/pop-claims.ts", "receive, until: clock.monotonic() + invisibleDuration };", "receive, until: clock.monotonic() + invisibleDuration / 3 };"],
  },
  {
    what: "a messageGroup holds nothing back", verdict: "out of order",
    plan: calm({}),
    mutation: ["broker/pop-queue.ts", "const isFirst = messageGroup === null || !groups.has(messageGroup);", "const isFirst = true;"],
  },
  {
    what: "what was received too often is a dead letter at once", verdict: "given up too early", isLong: true,
    plan: calm({ maxReconsumeTimes: 2 }, { fails: 0.4 }),
    mutation: ["broker/pop-claims.ts", "entry.reconsumeTimes > groups.retriesOf(group.name, member.pops.maxReconsumeTimes)", "entry.reconsumeTimes > 0"],
  },
  {
    what: "simple consumers keep their claims over a reset", verdict: "not given since the reset",
    plan: calm({}, { resets: 1200 }),
    mutation: ["broker/pop.ts", "queue.begin(offset, offset);", "void offset;"],
  },
  {
    what: "members are not told of a reset", verdict: "not given since the reset",
    plan: calm({ kind: "concurrent" }, { resets: 600 }),
    mutation: ["broker/groups.ts", "member.picked?.some((queue) => keyOf(queue) === key)) member.changed();", "member.picked?.some((queue) => keyOf(queue) === key)) void offset;"],
  },
  {
    what: "who is broadcast to begins at the end", verdict: "undelivered",
    plan: calm({ kind: "broadcasting" }),
    mutation: ["broker/group-progress.ts", "offset === undefined && !atBegin ?", "offset === undefined ?"],
  },
];

suite("a mistake is found out; without it, the same seed is green", () => {
  test.each(MUTANTS.filter(({ isLong = false }) => !SHORT || !isLong))("$what: $verdict", async ({ verdict, plan, mutation }) => {
    const red = await withMutant(...mutation, async () => {
      const { consumption: live } = await import("./consumption/consumption.ts");
      return redSeed(verdict, MOST, (seed) => live(seed, plan));
    });
    const green = await consumption(red, plan);
    expect(green.verdicts, describe(green)).toEqual([]);
  });
});
