/** Several caches on one budget, held against a list that is searched from end to end. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ByteCache, ENTRY_COST } from "../../src/storage/byte-cache.ts";
import { CacheBudget } from "../../src/storage/cache-budget.ts";

const CACHES = 3;
const LIMIT = 10 * ENTRY_COST;

interface Step {
  what: "get" | "set" | "delete";
  cache: number;
  key: number;
  bytes: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom("get", "set", "set", "delete"),
  cache: fc.nat(CACHES - 1),
  key: fc.nat(7),
  // The largest is more than there is room for.
  bytes: fc.oneof({ weight: 9, arbitrary: fc.nat(3 * ENTRY_COST) }, { weight: 1, arbitrary: fc.nat(2 * LIMIT) }),
});

/** What the caches should do: the oldest first. */
class Model {
  entries: { cache: number; key: number; value: number; cost: number }[] = [];
  readonly evicted: string[] = [];

  get bytes(): number {
    return this.entries.reduce((sum, { cost }) => sum + cost, 0);
  }

  run({ what, cache, key, bytes }: Step, value: number): number | undefined {
    const found = this.entries.find((entry) => entry.cache === cache && entry.key === key);
    this.entries = this.entries.filter((entry) => entry !== found);
    if (what === "get" && found !== undefined) this.entries.push(found);
    if (what === "set") {
      this.entries.push({ cache, key, value, cost: bytes + ENTRY_COST });
      while (this.bytes > LIMIT && this.entries.length > 1) {
        const oldest = this.entries.shift()!;
        this.evicted.push(`${oldest.cache}/${oldest.key}`);
      }
    }
    return what === "get" ? found?.value : undefined;
  }
}

/** Runs the same steps over the caches and the model. */
function compare(steps: Step[], budgets: CacheBudget[]): void {
  const model = new Model();
  const evicted: string[] = [];
  const caches = Array.from({ length: CACHES }, (_, at) => new ByteCache<number, number>(budgets[at % budgets.length]!, (key) => evicted.push(`${at}/${key}`)));
  for (const [value, taken] of steps.entries()) {
    const cache = caches[taken.cache]!;
    const expected = model.run(taken, value);
    if (taken.what === "get") expect(cache.get(taken.key)).toBe(expected);
    else if (taken.what === "set") cache.set(taken.key, value, taken.bytes);
    else cache.delete(taken.key);
    const bytes = budgets.reduce((sum, budget) => sum + budget.bytes, 0);
    expect(bytes).toBe(model.bytes);
    expect(bytes <= LIMIT || model.entries.length === 1).toBe(true);
    expect(evicted).toEqual(model.evicted);
  }
  // What is not in the model is not there either; reading in its order leaves the order as it is.
  for (const { cache, key, value } of model.entries) expect(caches[cache]!.get(key)).toBe(value);
  for (let cache = 0; cache < CACHES; cache++) {
    for (let key = 0; key < 8; key++) expect(caches[cache]!.get(key) !== undefined).toBe(model.entries.some((entry) => entry.cache === cache && entry.key === key));
  }
}

const property = (budgets: () => CacheBudget[]): fc.IProperty<[Step[]]> => fc.property(fc.array(step, { maxLength: 60 }), (steps) => compare(steps, budgets()));

describe("caches on one budget", () => {
  test("hold what was used last, over all of them, within the budget", () => {
    fc.assert(property(() => [new CacheBudget(LIMIT)]), { numRuns: 500 });
  });

  class Forgetful extends CacheBudget {
    override touch(): void {}
  }
  class Boundless extends CacheBudget {
    constructor() {
      super(Number.POSITIVE_INFINITY);
    }
  }

  test.each<[string, () => CacheBudget[]]>([
    ["each cache has a budget of its own", () => Array.from({ length: CACHES }, () => new CacheBudget(LIMIT))],
    ["use is not noted", () => [new Forgetful(LIMIT)]],
    ["nothing is evicted", () => [new Boundless()]],
  ])("control: %s", (_what, budgets) => {
    // Until one is found, which is soon, mostly.
    expect(fc.check(property(budgets), { numRuns: 50_000, endOnFailure: true }).failed).toBe(true);
  });
});
