import { afterEach, describe, expect, test, vi } from "vitest";
import { Groups } from "../../src/broker/groups.ts";
import { rebalanceStorm, type Storm } from "./rebalance.ts";

/** A few short ones. A minute each, a thousand times: `npm run test:sim -- --rebalance --seed 1 --seeds 1000`. */
const SEEDS = 2;
const DURATION = 20_000;

afterEach(() => void vi.restoreAllMocks());

const shown = ({ seed, verdicts }: Storm): string => [`seed ${seed}`, ...verdicts.slice(0, 10).map(({ kind, text }) => `${kind}: ${text}`)].join("\n");

describe("fifty members join and leave at random, some with their tab", () => {
  test("one owner per queue, every message consumed, none twice among those who stayed", { timeout: 180_000 }, async () => {
    let joins = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const storm = await rebalanceStorm(seed, DURATION);
      expect(storm.verdicts, shown(storm)).toEqual([]);
      joins += storm.joins;
    }
    expect(joins).toBeGreaterThan(50 * SEEDS);
  });

  test("control: a queue goes to its new owner at once, not when the old one has let go", { timeout: 60_000 }, async () => {
    const { heard } = Groups.prototype;
    vi.spyOn(Groups.prototype, "heard").mockImplementation(function handOverAtOnce(this: Groups, member, request) {
      const { owner, target } = member.group;
      for (const [key, next] of target) {
        if (owner.get(key) === next) continue;
        owner.set(key, next);
        next.changed();
      }
      const mine = ({ topic, queueId }: { topic: string; queueId: number }): boolean => owner.get(`${topic}:${queueId}`) === member;
      heard.call(this, member, { ...request, held: request.held.filter(mine), released: request.released.filter(mine) });
    });
    const { verdicts } = await rebalanceStorm(1, 10_000);
    expect(new Set(verdicts.map(({ kind }) => kind))).toContain("double owner");
  });
});
