import { describe, expect, test } from "vitest";
import { DEFAULT_DELAY_LEVELS, parseDelayLevels } from "../../src/index.ts";
import table from "./data/delay.json" with { type: "json" };

/** ms is a unit here, which RocketMQ does not know. */
const DEVIATIONS = new Map([["100ms", [100]]]);

describe("parse", () => {
  test.each(table.parse)("row $id: $levels", ({ levels, valid, table: expected }) => {
    const deviation = DEVIATIONS.get(levels);
    if (deviation !== undefined) return expect(parseDelayLevels(levels)).toEqual(deviation);
    if (!valid) return expect(() => parseDelayLevels(levels)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER", field: "messageDelayLevel" }));
    expect(Object.fromEntries(parseDelayLevels(levels).map((delay, at) => [at + 1, delay]))).toEqual(expected);
  });

  test.each(["", " ", "1s  2s", "s", "1.5s", "1s\t2s", "99999999999999999999d", "٣s"])("refused: %j", (levels) => {
    expect(() => parseDelayLevels(levels)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER" }));
  });

  test("the default is the table's first row; there is an end to how many levels there can be", () => {
    expect(DEFAULT_DELAY_LEVELS).toEqual(parseDelayLevels(table.parse[0]!.levels));
    expect(parseDelayLevels("1s ".repeat(128))).toHaveLength(128);
    expect(() => parseDelayLevels("1s ".repeat(129))).toThrow(/128 are allowed/);
  });
});
