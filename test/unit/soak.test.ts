import { describe, expect, test } from "vitest";
import { draw } from "../soak/curves.mjs";
import { judge, median, theilSen } from "../soak/trend.mjs";

const xs = Array.from({ length: 60 }, (_, at) => at / 10);
/** Noise that is the same every time. */
const noise = xs.map((_, at) => Math.sin(at * 12.9898) * 0.4);
const flat = noise.map((value) => 20 + value);
const rising = noise.map((value, at) => 20 + value + at / 20);

describe("the soak's judgement", () => {
  test("the median slope of a line is its slope, whatever a few samples do", () => {
    const line = xs.map((x, at) => (at % 7 === 0 ? 1000 : 3 * x + 1));
    expect(theilSen(xs, line)).toBeCloseTo(3, 1);
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect([median([]), theilSen([1], [1])]).toEqual([0, 0]);
  });

  test("noise is flat, falling is flat, rising is not; the first half does not count", () => {
    const tolerance = { absolute: 0.5, relative: 0 };
    expect(judge(xs, flat, tolerance).isFlat).toBe(true);
    expect(judge(xs, flat.map((value, at) => (at < 30 ? at : value + 30)), tolerance).isFlat).toBe(true);
    expect(judge(xs, rising.toReversed(), tolerance).isFlat).toBe(true);
    expect(judge(xs, rising, tolerance)).toMatchObject({ isFlat: false, from: 30 });
    expect(judge(xs, rising, tolerance).drift).toBeCloseTo(1.45, 0);
    expect(judge(xs, rising, { absolute: 0, relative: 0.1 }).isFlat).toBe(true);
  });

  test("the picture says what was judged, and escapes what it shows", () => {
    const curve = (name: string, values: number[]): Parameters<typeof draw>[0]["curves"][number] => ({ name, unit: "MiB", values, verdict: judge(xs, values, { absolute: 0.5, relative: 0 }) });
    const svg = draw({ title: "a < b & c", subtitle: "", minutes: xs, curves: [curve("one", flat), curve("two", rising)] });
    expect(svg).toContain("a &lt; b &amp; c");
    expect(svg.match(/<polyline/g)).toHaveLength(2);
    expect(svg.match(/>flat: /g)).toHaveLength(1);
    expect(svg.match(/>rises: /g)).toHaveLength(1);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    const short = draw({ title: "", subtitle: "", minutes: xs, curves: [curve("two", rising)], isJudged: false });
    expect(short).toContain(">too short to judge: ");
    expect(short).not.toContain(">rises: ");
  });
});
