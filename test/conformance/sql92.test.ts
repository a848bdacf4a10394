import { describe, expect, test } from "vitest";
import { MessageSelector } from "../../src/filter/message-selector.ts";
import { parseSqlExpression } from "../../src/filter/sql-expression.ts";
import table from "./data/sql92.json";

type Expected = boolean | null | "parse-error" | "eval-error";

/** Where we follow the standard and RocketMQ does not (docs/differences.md): what we give instead, and why. */
const DEVIATIONS: ReadonlyMap<number, { expected: Expected; reason: string }> = new Map([
  [406, { expected: null, reason: "unknown on the right of = gives unknown, as on its left; RocketMQ says false. Matched by neither." }],
]);

describe("sql92", () => {
  for (const { id, expression, properties, expected, matched } of table.cases) {
    const deviation = DEVIATIONS.get(id);
    const wanted = deviation === undefined ? expected : deviation.expected;
    test(`row ${id}: ${JSON.stringify(expression)} on ${JSON.stringify(properties)} is ${wanted}${deviation ? ` (${deviation.reason})` : ""}`, () => {
      if (wanted === "parse-error") {
        const refused = expect.objectContaining({ code: "SUBSCRIPTION_PARSE_FAILED", field: "expression", position: expect.any(Number) });
        expect(() => MessageSelector.bySql(expression)).toThrow(refused);
        return;
      }
      const { names, evaluate } = parseSqlExpression(expression);
      const values: Record<string, string | number | boolean | undefined> = properties;
      const value = evaluate(names.map((name) => values[name] ?? null));
      expect(value === undefined ? "eval-error" : value).toBe(wanted);
      const selector = MessageSelector.bySql(expression);
      expect(selector.type).toBe("SQL92");
      expect(selector.matches({ properties: properties as unknown as Record<string, string> })).toBe(matched);
    });
  }
});
