/**
 * SQLite's anomaly loops: the N-th operation of the store fails, or the host dies at it, for N = 1, 2, 3 until the
 * run completes without reaching it; and again while what follows recovers. After each: the store is sound, every
 * acknowledged message is where it was said to be, nobody got or skipped what is not there, and every call ended.
 *
 * In `npm test` only at every third N. TABMQ_FULL=1 leaves nothing out: all pairs of faults, and messages that fill a page and force a checkpoint.
 */
import { afterAll, describe, expect, test, vi } from "vitest";
import { Resends } from "../../src/broker/resends.ts";
import type { BlockStore, CommitBatch, CommitOutcome } from "../../src/storage/block-store.ts";
import { crashRun, type CrashRunOptions, type CrashRunResult } from "../support/crash-run.ts";
import { SHORT } from "../support/effort.ts";
import { stepsOf } from "../support/every-fault.ts";
import { type Fault, FAULTS } from "../support/faulty-store.ts";
import type { TestStore } from "../support/sound-stores.ts";

const FULL = process.env.TABMQ_FULL === "1";
/** Fills a page of 1024 entries and goes on in the next. */
const PAGE = { pageMessages: 1030 };
/** As long as what lies between two checkpoints. */
const LONG = { longBytes: 4 * 1024 * 1024 };
/** Rows enough to be merged. */
const LONE = { loneMessages: 24 };
/** Virtual time makes runs short, but there are many of them and the machine may be busy. */
const TIMEOUT = FULL ? 3_600_000 : 300_000;

const total = { runs: 0, operations: 0, acked: 0, rejected: 0, unknown: 0, duplicates: 0 };
afterAll(() => {
  const { runs, operations, acked, rejected, unknown, duplicates } = total;
  console.log(
    `crash enumeration: ${runs} runs, ${operations} store operations; ${acked} messages acknowledged, ${rejected} calls rejected, ${unknown} unknown, ${duplicates} messages stored more than once`,
  );
});

async function sound(options: CrashRunOptions): Promise<CrashRunResult> {
  const result = await crashRun(options);
  expect(result.violations, describeRun(options)).toEqual([]);
  // Whoever is refused waits before he asks again.
  expect(result.operations.length, describeRun(options)).toBeLessThan(100 + 3 * (options.loneMessages ?? 0));
  total.runs++;
  total.operations += result.operations.length;
  total.acked += result.acked;
  total.duplicates += result.duplicates;
  for (const { outcome } of result.failed) total[outcome === "unknown" ? "unknown" : "rejected"]++;
  return result;
}

function describeRun({ faults = [], repairAfter }: CrashRunOptions): string {
  const list = faults.map(({ at, kind }) => `${kind} at operation ${at}`).join(", then ");
  return `${list === "" ? "no fault" : list}${repairAfter === undefined ? "" : `, repaired after ${repairAfter} ms`}`;
}

/** Runs with a fault at 1, 2, 3, … until a run does not come to it. Returns how many operations there were. */
async function enumerate(faultsAt: (at: number) => Fault[], options: CrashRunOptions = {}, from = 1): Promise<number> {
  const steps = stepsOf(faultsAt(from)[0]!.kind, from);
  for (let at = steps.from; ; at += steps.step) {
    const { operations } = await sound({ ...options, faults: faultsAt(at) });
    if (operations.length < at) return at - 1;
  }
}

test("without a fault the run is long enough: checkpoints, a page that is full, a second start", { timeout: TIMEOUT }, async () => {
  const { operations, served, acked } = await sound(PAGE);
  expect(operations.map(({ name }) => name)).toEqual(expect.arrayContaining(["takeOver", "readState", "readLog", "floorLog", "readPages", "readIndex", "commit"]));
  // Two lives, and the one that looks after them.
  expect(served).toHaveLength(3);
  expect(acked).toBeGreaterThan(1030);
  // The same faults make the same run.
  const faults: Fault[] = [{ at: 9, kind: "crash-done" }];
  expect(await sound({ faults })).toEqual(await sound({ faults }));
});

describe("one fault", () => {
  test.each(FAULTS)("%s", { timeout: TIMEOUT }, async (kind) => {
    expect(await enumerate((at) => [{ at, kind }])).toBeGreaterThan(25);
    if (FULL) await enumerate((at) => [{ at, kind }], { ...PAGE, ...LONG });
  });

  // The page is sent by operation 20.
  test.each(["done", "crash", "crash-done"] as const)("%s while a page fills", { timeout: TIMEOUT }, async (kind) => {
    await enumerate((at) => [{ at, kind }], PAGE, 20);
  });
});

describe("one fault while rows are merged", () => {
  const isMerge = (batch: CommitBatch): boolean => batch.remove?.log !== undefined && batch.log.length > 0;

  test("rows are merged in this run", { timeout: TIMEOUT }, async () => {
    let merges = 0;
    const { disk } = await sound({ ...LONE, wrap: (store) => committing(store, (batch) => {
      if (isMerge(batch)) merges++;
      return store.commit(batch);
    }) });
    expect(merges).toBeGreaterThan(0);
    expect(disk.log.size).toBeLessThan(LONE.loneMessages);
  });

  // They are sent by operation 36.
  test.each(FAULTS)("%s", { timeout: TIMEOUT }, async (kind) => {
    expect(await enumerate((at) => [{ at, kind }], LONE, FULL ? 1 : 36)).toBeGreaterThan(60);
  });
});

describe("a device that stays broken for a while", () => {
  const outages = (["failed", "full", "lost"] as const).flatMap((kind) => [300, 5000].map((repairAfter) => ({ kind, repairAfter })));
  test.each(outages)("$kind, for $repairAfter ms", { timeout: TIMEOUT }, async ({ kind, repairAfter }) => {
    expect(await enumerate((at) => [{ at, kind, persistent: true }], { repairAfter })).toBeGreaterThan(25);
  });
});

describe("a fault, and another while the next broker recovers", () => {
  const firsts = ["crash", "crash-done", "done", "lost-done"] as const;
  const seconds = ["crash", "crash-done", "failed", "full"] as const;
  const pairs = firsts.flatMap((first) => seconds.map((second) => ({ first, second })));

  test.each(pairs)("$first, then $second", { timeout: TIMEOUT }, async ({ first, second }) => {
    const { operations } = await sound({});
    // One in so many; each pair of faults begins at another, so that all places have their turn with some pair.
    const step = FULL ? 1 : SHORT ? 32 : 16;
    let turn = pairs.findIndex((pair) => pair.first === first && pair.second === second);
    for (let at = 1; at <= operations.length; at++) {
      // Recovery is four or five operations; what comes right after it may be hit as well.
      for (let later = 1; later <= 7; later++) {
        if (turn++ % step !== 0) continue;
        await sound({ faults: [{ at, kind: first }, { at: at + later, kind: second }] });
      }
    }
  });
});

/** A layer that spoils what commits mean. */
function committing(store: BlockStore, commit: (batch: CommitBatch) => Promise<CommitOutcome>): BlockStore {
  const layer: TestStore = {
    kind: store.kind,
    inner: store,
    takeOver: () => store.takeOver(),
    commit,
    readLog: (position, count) => store.readLog(position, count),
    readLogKeys: (position, count) => store.readLogKeys(position, count),
    floorLog: (position) => store.floorLog(position),
    readPages: (keys) => store.readPages(keys),
    readIndex: (ranges) => store.readIndex(ranges),
    readState: (prefix) => store.readState(prefix),
    close: () => store.close(),
    destroy: () => store.destroy(),
    onLost: () => {},
  };
  store.onLost = (reason) => layer.onLost(reason);
  return layer;
}

describe("control: with a protection off, the enumeration is red", () => {
  const merged = (spoil: (batch: CommitBatch) => CommitBatch[]): CrashRunOptions => ({
    ...LONE,
    wrap: (store) => committing(store, async (batch) => {
      if (batch.remove?.log === undefined) return store.commit(batch);
      let outcome: CommitOutcome = { status: "committed" };
      for (const part of spoil(batch)) outcome = await store.commit(part);
      return outcome;
    }),
  });
  const controls: [what: string, fault: Omit<Fault, "at">, expected: RegExp, options: CrashRunOptions][] = [
    ["acknowledged before the commit", { kind: "crash" }, /^lost |acknowledged and lost/, {
      wrap: (store) => committing(store, (batch) => {
        void store.commit(batch);
        return Promise.resolve({ status: "committed" });
      }),
    }],
    ["a failed commit is taken for a good one", { kind: "failed" }, /LOG_GAP|acknowledged and lost/, {
      wrap: (store) => committing(store, (batch) => store.commit(batch).then(() => ({ status: "committed" }))),
    }],
    ["a commit of unknown outcome is taken for one that wrote nothing", { kind: "done" }, /LOG_OVERLAP|LOG_GAP|OFFSET_|rejected, and it is stored/, {
      wrap: (store) => committing(store, async (batch) => {
        const outcome = await store.commit(batch);
        return outcome.status === "unknown" ? { status: "rejected", reason: "FULL" } : outcome;
      }),
    }],
    ["the checkpoint is written before its pages", { kind: "crash" }, /PAGE_(MISSING|BEHIND)/, {
      wrap: (store) => committing(store, async (batch) => {
        const outcome = await store.commit({ ...batch, queue: [] });
        return outcome.status === "committed" && batch.queue.length > 0 ? store.commit({ ...batch, log: [], state: [] }) : outcome;
      }),
    }],
    ["the pages are written before their log rows and checkpoint", { kind: "crash" }, /PAGE_AHEAD/, {
      wrap: (store) => committing(store, async (batch) => {
        const outcome = batch.queue.length > 0 ? await store.commit({ ...batch, log: [], state: [] }) : null;
        return outcome === null || outcome.status === "committed" ? store.commit({ ...batch, queue: [] }) : outcome;
      }),
    }],
    ["the checkpoint is written without the key index", { kind: "crash" }, /INDEX_MISSING/, {
      wrap: (store) => committing(store, ({ index: _left, ...batch }) => store.commit(batch)),
    }],
    ["log rows are written one by one", { kind: "crash" }, /RECORD_TORN/, {
      wrap: (store) => committing(store, async (batch) => {
        for (const row of batch.log.slice(0, -1)) await store.commit({ ...batch, log: [row], queue: [], state: [] });
        return store.commit({ ...batch, log: batch.log.slice(-1) });
      }),
    }],
    ["offsets are written before what they count", { kind: "crash" }, /OFFSET_AHEAD|was never consumed/, {
      wrap: (store) => committing(store, async (batch) => {
        const ahead = batch.state.map(([key, value]) => [key, key.startsWith("offset/") ? aheadByOne(value) : value] as const);
        return store.commit({ ...batch, state: ahead });
      }),
    }],
    ["a new host sees an empty log", { kind: "crash" }, /LOG_OVERLAP|OFFSET_REUSED|lost|replaced/, {
      wrap: (store) => ({ ...committing(store, (batch) => store.commit(batch)), readLog: () => Promise.resolve([]) }),
      isForgetful: true,
    }],
    ["what is merged is removed before it is written anew", { kind: "crash" }, /LOG_GAP|^lost |acknowledged and lost/, merged((batch) => [{ ...batch, log: [] }, { ...batch, remove: {} }])],
    ["merged rows are written and the old ones left", { kind: "failed" }, /LOG_OVERLAP/, merged((batch) => [{ ...batch, remove: {} }])],
    ["a tab without timers", { kind: "failed", persistent: true }, /has not settled/, { tabTimers: { after: () => () => {} } }],
  ];

  test("what is sent again is not looked for", { timeout: TIMEOUT }, async () => {
    const find = vi.spyOn(Resends.prototype, "find").mockResolvedValue([]);
    const seen: string[] = [];
    for (let at = 1; at <= 90 && seen.length === 0; at++) seen.push(...(await crashRun({ faults: [{ at, kind: "crash-done" }] })).violations);
    find.mockRestore();
    expect(seen).toEqual(expect.arrayContaining([expect.stringMatching(/stored 2 times/)]));
  });

  test.each(controls)("%s", { timeout: TIMEOUT }, async (_what, fault, expected, options) => {
    const seen: string[] = [];
    for (let at = 1; at <= 90 && !seen.some((violation) => expected.test(violation)); at++) {
      const { violations } = await crashRun({ ...options, faults: [{ at, ...fault }] });
      seen.push(...violations);
    }
    expect(seen).toEqual(expect.arrayContaining([expect.stringMatching(expected)]));
  });
});

function aheadByOne(offsets: unknown): Record<string, number> {
  return Object.fromEntries(Object.entries(offsets as Record<string, number>).map(([queueId, offset]) => [queueId, offset + 1]));
}
