/** Timers by their due time: both indexers against the plainest thing that could be right. */
import * as fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { WasmIndexer } from "../../src/storage/wasm-indexer.ts";
import type { Indexer } from "../../src/storage/indexer.ts";
import type { Timer, TimerIndex } from "../../src/storage/timer-index.ts";
import { concat, encodeRecord } from "./records.ts";
import base64 from "virtual:indexer-wasm";

const ENTRY_BYTES = 20;
const MILLION = 1_000_000;

/** Consume-queue entries of timers that are due at these times; null = a hole. */
function entriesOf(dues: (number | null)[]): Uint8Array {
  const entries = new Uint8Array(dues.length * ENTRY_BYTES);
  const view = new DataView(entries.buffer);
  for (const [index, due] of dues.entries()) {
    if (due === null) continue;
    view.setInt32(index * ENTRY_BYTES + 8, 100);
    view.setBigInt64(index * ENTRY_BYTES + 12, BigInt(due));
  }
  return entries;
}

const nothing = new Uint8Array(MILLION / 8);

describe.each([
  ["WASM", () => WasmIndexer.load(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)))],
  ["TypeScript", () => Promise.resolve(new TsIndexer())],
] as [string, () => Promise<Indexer>][])("timers by due time: %s", (_kind, load) => {
  let indexer: Indexer;
  let timers: TimerIndex;
  beforeAll(async () => {
    indexer = await load();
    timers = indexer.timers;
  });

  it("is empty at first", () => {
    timers.clear();
    expect([timers.count, timers.next, timers.take(Number.MAX_SAFE_INTEGER, 10)]).toEqual([0, Number.POSITIVE_INFINITY, []]);
  });

  it("gives what is due, in order, of equal times the lower offset, and no more than asked for", () => {
    timers.clear();
    timers.load(entriesOf([500, 300, null, 300, 1_700_000_000_123]), 8, nothing);
    expect([timers.count, timers.next]).toEqual([4, 300]);
    expect(timers.take(299, 10)).toEqual([]);
    expect(timers.take(300, 1)).toEqual([{ due: 300, offset: 9 }]);
    expect(timers.take(500, 10)).toEqual([{ due: 300, offset: 11 }, { due: 500, offset: 8 }]);
    expect(timers.next).toBe(1_700_000_000_123);
    expect(timers.take(1_700_000_000_122, 1)).toEqual([]);
    expect(timers.take(1_700_000_000_123, 1)).toEqual([{ due: 1_700_000_000_123, offset: 12 }]);
    expect(timers.count).toBe(0);
  });

  it("shows all there are, and takes none of them", () => {
    timers.clear();
    const shown = (): Timer[] => {
      const all: Timer[] = [];
      timers.scan((due, offset) => void all.push({ due, offset }));
      return all.sort((a, b) => a.due - b.due || a.offset - b.offset);
    };
    expect(shown()).toEqual([]);
    timers.load(entriesOf([500, 300, null, 300, 1_700_000_000_123]), 8, nothing);
    timers.add({ due: 2 ** 52, offset: 2 ** 40 });
    const all = [{ due: 300, offset: 9 }, { due: 300, offset: 11 }, { due: 500, offset: 8 }, { due: 1_700_000_000_123, offset: 12 }, { due: 2 ** 52, offset: 2 ** 40 }];
    expect([shown(), shown(), timers.count]).toEqual([all, all, 5]);
    expect(timers.take(300, 1)).toEqual(all.slice(0, 1));
    expect(shown()).toEqual(all.slice(1));
  });

  it("leaves out what is finished", () => {
    timers.clear();
    timers.load(entriesOf([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), 0, Uint8Array.of(0b1000_0101, 0b01));
    expect(timers.take(100, 100).map(({ offset }) => offset)).toEqual([1, 3, 4, 5, 6, 9]);
  });

  it("random loads and takes come out as a sorted list gives them", () => {
    const action = fc.oneof(
      fc.record({ load: fc.array(fc.option(fc.integer({ min: 0, max: 60 }), { freq: 5 }), { maxLength: 40 }), finished: fc.uint8Array({ minLength: 5, maxLength: 5 }) }),
      fc.record({ now: fc.integer({ min: -1, max: 70 }), max: fc.integer({ min: 0, max: 12 }) }),
    );
    fc.assert(fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      timers.clear();
      let model: Timer[] = [];
      let first = 0;
      for (const step of actions) {
        if ("load" in step) {
          timers.load(entriesOf(step.load), first, step.finished);
          for (const [index, due] of step.load.entries()) {
            if (due !== null && ((step.finished[index >> 3]! >> (index & 7)) & 1) === 0) model.push({ due, offset: first + index });
          }
          model.sort((a, b) => a.due - b.due || a.offset - b.offset);
          first += 40;
        } else {
          const due = model.filter((timer) => timer.due <= step.now).slice(0, step.max);
          expect(timers.take(step.now, step.max)).toEqual(due);
          model = model.filter((timer) => !due.includes(timer));
        }
        expect([timers.count, timers.next]).toEqual([model.length, model[0]?.due ?? Number.POSITIVE_INFINITY]);
      }
    }), { numRuns: 300 });
  });

  it("a million timers take less than 30 bytes each", () => {
    timers.clear();
    const before = timers.bytes;
    let random = 1;
    const dues = Array.from({ length: 1000 }, () => 0);
    for (let first = 0; first < MILLION; first += 1000) {
      for (let at = 0; at < 1000; at++) dues[at] = 1_700_000_000_000 + (random = (random * 48_271) % 0x7fffffff);
      timers.load(entriesOf(dues), first, nothing);
    }
    expect(timers.count).toBe(MILLION);
    expect((timers.bytes - before) / MILLION).toBeLessThan(30);
    let last = 0;
    let seen = 0;
    for (let taken = timers.take(Number.MAX_SAFE_INTEGER, 4096); taken.length > 0; taken = timers.take(Number.MAX_SAFE_INTEGER, 4096)) {
      for (const { due } of taken) {
        if (due < last) throw new Error(`${due} after ${last}`);
        last = due;
      }
      seen += taken.length;
    }
    expect(seen).toBe(MILLION);
  });

  it("entries of the wheel's topic say when they are due, and no others do", () => {
    const due = 1_700_000_000_123n;
    const cases: [topic: string, properties: string, code: bigint][] = [
      ["rmq_sys_wheel_timer", `TAGS\u0001a\u0002TIMER_OUT_MS\u0001${due}\u0002`, due],
      ["rmq_sys_wheel_timer", `TIMER_OUT_MS\u0001${due}`, due],
      ["rmq_sys_wheel_timer", `TIMER_OUT_MS\u000112\u0002TIMER_OUT_MS\u0001${due}\u0002`, due],
      ["rmq_sys_wheel_timer", "TAGS\u0001a\u0002", 0n],
      ["rmq_sys_wheel_timer", "TIMER_OUT_MS\u000117x\u0002", 0n],
      ["rmq_sys_wheel_timer", "TIMER_OUT_MS\u0001-5\u0002", 0n],
      ["rmq_sys_wheel_timer", "TIMER_OUT_MS\u0001999999999999999\u0002", 999_999_999_999_999n],
      ["rmq_sys_wheel_timer", "TIMER_OUT_MS\u00011000000000000000\u0002", 0n],
      ["rmq_sys_wheel_timer", `XTIMER_OUT_MS\u0001${due}\u0002`, 0n],
      ["rmq_sys_wheel_timer2", `TAGS\u0001a\u0002TIMER_OUT_MS\u0001${due}\u0002`, 97n],
      ["rmq_sys_wheel_timeR", `TAGS\u0001a\u0002TIMER_OUT_MS\u0001${due}\u0002`, 97n],
      ["t", `TAGS\u0001a\u0002TIMER_OUT_MS\u0001${due}\u0002`, 97n],
    ];
    indexer.open(0);
    const records = concat(cases.map(([topic, properties]) => encodeRecord({ topic, properties })));
    const { entries } = indexer.check(records);
    const { entries: appended } = indexer.append({ queueOffset: new Float64Array(cases.length), storeTimestamp: 1, storeIp: 1, storePort: 1 });
    for (const table of [entries, appended]) {
      const view = new DataView(table.buffer, table.byteOffset);
      expect(cases.map((_, index) => view.getBigInt64(index * ENTRY_BYTES + 12))).toEqual(cases.map(([, , code]) => code));
    }
  });
});
