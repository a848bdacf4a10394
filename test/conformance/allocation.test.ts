import { describe, expect, it } from "vitest";
import { allocateAveragely } from "../../src/model/allocation.ts";
import table from "./data/allocation.json";

interface Row {
  id: number;
  strategy: string;
  current?: string;
  consumers: string[];
  queues: string[];
  expected?: Record<string, string[] | null>;
  expected_error?: string;
  note?: string;
}

const rows = table.cases as unknown as Row[];

describe("allocation: AVG", () => {
  it.each(rows.filter((row) => row.strategy === "AVG"))("row $id: $note", ({ current, consumers, queues, expected, expected_error }) => {
    if (expected_error !== undefined) {
      for (const id of current === undefined ? consumers : [current]) {
        expect(() => allocateAveragely(id, consumers, queues)).toThrow(expect.objectContaining({ code: "INVALID_PARAMETER" }));
      }
      return;
    }
    const given = Object.fromEntries(Object.keys(expected!).map((id) => [id, allocateAveragely(id, consumers, queues)]));
    expect(given).toEqual(expected);
  });
});

describe("allocation: strategies to come", () => {
  for (const strategy of new Set(rows.map((row) => row.strategy))) {
    if (strategy === "AVG") continue;
    const ids = rows.filter((row) => row.strategy === strategy).map((row) => row.id);
    it.skip(`${strategy}: rows ${ids.join(", ")}: only AVG exists now`);
  }
});
