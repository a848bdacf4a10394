import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { lagLines } from "../../src/devtools/panels/groups/lag-history.ts";
import { queueRanges } from "../../src/devtools/panels/groups/queue-ranges.ts";
import { RowAnswers } from "../../src/devtools/row-answers.ts";

describe("answers about the rows in sight", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("document", { hidden: false });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  /** Questions that are answered by hand. */
  function asker() {
    const open: { key: string; answer: (value: string) => void }[] = [];
    const rows = new RowAnswers<string>((key) => new Promise((answer) => open.push({ key, answer })));
    return { open, rows, keys: () => open.map(({ key }) => key) };
  }

  test("four are asked at once, and the next when one is answered", async () => {
    const { open, rows, keys } = asker();
    for (let at = 0; at < 10; at++) rows.watch(`t${at}`);
    await vi.advanceTimersByTimeAsync(1000);
    expect(keys()).toEqual(["t0", "t1", "t2", "t3"]);
    open[2]!.answer("two");
    await vi.advanceTimersByTimeAsync(0);
    expect(keys()).toEqual(["t0", "t1", "t2", "t3", "t4"]);
    expect(rows.answer("t2").value).toBe("two");
    expect(rows.answer("t9").value).toBe(undefined);
  });

  test("rows that are scrolled past are not asked about; what was answered before is still there", async () => {
    const { open, rows, keys } = asker();
    const passing = Array.from({ length: 500 }, (_, at) => rows.watch(`t${at}`));
    for (const leave of passing) leave();
    const leave = rows.watch("t500");
    await vi.advanceTimersByTimeAsync(1000);
    expect(keys()).toEqual(["t500"]);
    open[0]!.answer("last");
    await vi.advanceTimersByTimeAsync(0);
    leave();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(keys()).toEqual(["t500"]);
    expect(rows.answer("t500").value).toBe("last");
  });

  test("a row in sight is asked about again; several cells of it are one question; a hidden page asks nothing, nor does one that is closed", async () => {
    let count = 0;
    const rows = new RowAnswers<number>(async () => ++count);
    const leave = rows.watch("a");
    rows.watch("a");
    await vi.advanceTimersByTimeAsync(100);
    expect(count).toBe(1);
    leave();
    await vi.advanceTimersByTimeAsync(3000);
    expect(count).toBe(2);
    vi.stubGlobal("document", { hidden: true });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(count).toBe(2);
    vi.stubGlobal("document", { hidden: false });
    rows.refresh();
    await vi.advanceTimersByTimeAsync(10);
    expect(count).toBe(3);
    rows.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(count).toBe(3);
  });

  test("a question that fails is asked again, and takes nobody's turn", async () => {
    let fails = 6;
    const rows = new RowAnswers<string>(async (key) => {
      if (fails-- > 0) throw new Error("away");
      return key;
    });
    for (let at = 0; at < 6; at++) rows.watch(`t${at}`);
    await vi.advanceTimersByTimeAsync(100);
    expect(rows.answer("t5").value).toBe(undefined);
    await vi.advanceTimersByTimeAsync(3100);
    expect(Array.from({ length: 6 }, (_, at) => rows.answer(`t${at}`).value)).toEqual(["t0", "t1", "t2", "t3", "t4", "t5"]);
  });
});

describe("the lag over time", () => {
  const sample = (at: number, lags: Record<string, number>) => ({ at, lags: new Map(Object.entries(lags)) });

  test("each topic has its line; where nobody looked the line is broken; a topic that came later begins later", () => {
    const { times, lines } = lagLines([sample(0, { a: 1 }), sample(2000, { a: 2, b: 9 }), sample(60_000, { a: 3, b: 8 })], 6000);
    expect(times).toEqual([0, 2000, 2001, 60_000]);
    expect(lines).toEqual([{ topic: "a", values: [1, 2, null, 3] }, { topic: "b", values: [null, 9, null, 8] }]);
  });

  test("of more than six topics the largest have a line of their own, and the others one together", () => {
    const { lines } = lagLines([sample(0, { a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7 })], 6000);
    expect(lines.map(({ topic }) => topic)).toEqual(["c", "d", "e", "f", "g", undefined]);
    expect(lines.at(-1)!.values).toEqual([3]);
  });
});

test("queues that follow one another are named by the first and the last", () => {
  expect(queueRanges([3, 1, 0, 2, 7, 9, 10])).toBe("0–3, 7, 9, 10");
  expect(queueRanges([])).toBe("");
});
