import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseSqlExpression } from "../../src/filter/sql-expression.ts";
import { MessageSelector } from "../../src/index.ts";
import { MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_LENGTH, MAX_EXPRESSION_TOKENS } from "../../src/model/limits.ts";
import { generate, PARSER } from "../support/sql-parser.mjs";

const matches = (expression: string, properties: Record<string, string> = {}): boolean => MessageSelector.bySql(expression).matches({ properties });

function value(expression: string, properties: Record<string, string> = {}): unknown {
  const { names, evaluate } = parseSqlExpression(expression);
  return evaluate(names.map((name) => properties[name] ?? null));
}

test("the parser is made of the grammar", async () => {
  expect(readFileSync(PARSER, "utf8"), "run npm run generate").toBe(await generate());
});

describe("where the standard has it otherwise than RocketMQ", () => {
  test.each([
    ["NOT a = 1", { a: "2" }, true],
    ["NOT a = 1 AND b = 1", { a: "2", b: "2" }, false],
    ["NOT a BETWEEN 1 AND 3", { a: "7" }, true],
    ["NOT NOT a = 1", { a: "1" }, true],
    ["a = b", {}, null],
    ["a <> b", {}, null],
    ["a = b", { a: "1" }, null],
    ["a <> b", { b: "1" }, null],
    ["a > 0.0", { a: "0.5" }, true],
    ["a = 0.0", { a: "-0" }, true],
    ["TRUE = a", { a: "true" }, true],
    ["a = TRUE", { a: "tRuE" }, true],
  ] as const)("%s on %j is %s", (expression, properties, expected) => expect(value(expression, properties)).toBe(expected));
});

describe("values", () => {
  test.each([
    ["integers of 64 bits are exact", "a > 9007199254740992", { a: "9007199254740993" }, true],
    ["an integer beyond 64 bits", "a > 9007199254740992", { a: "9223372036854775808" }, undefined],
    ["a name may have a dollar", "$a_1 = 'x'", { $a_1: "x" }, true],
    ["an error ends it, where it is met", "a = 1 OR b = 'x'", { a: "q", b: "x" }, undefined],
    ["and not where it is not", "b = 'x' OR a = 1", { a: "q", b: "x" }, true],
    ["an error is not negated", "NOT (a = 1)", { a: "q" }, undefined],
    ["nor is it null", "(a = 1) IS NULL", { a: "q" }, undefined],
    ["white space of a float", "a = 1.5", { a: " 1.5 " }, true],
    ["no number at all", "a > 1.0", { a: "NaN" }, false],
    ["comments", "a /* > 'x' */ = -- (\n 'x'", { a: "x" }, true],
  ] as const)("%s: %s", (_name, expression, properties, expected) => expect(value(expression, properties)).toBe(expected));

  test("names are those of the message, not of objects", () => {
    expect(matches("constructor IS NULL AND __proto__ IS NULL AND toString IS NULL")).toBe(true);
  });

  test("tags and keys, as fields or as properties", () => {
    const selector = MessageSelector.bySql("TAGS = 'a' AND KEYS = 'k1 k2'");
    expect(selector.matches({ tags: "a", keys: ["k1", "k2"] })).toBe(true);
    expect(selector.matches({ properties: { TAGS: "a", KEYS: "k1 k2" } })).toBe(true);
    expect(selector.matches({ tags: "a", keys: [], properties: { TAGS: "b" } })).toBe(false);
  });
});

describe("what is refused, and where", () => {
  test.each([
    ["", 0], [" ", 1], ["a =", 3], ["a = 1 b = 2", 6], ["a = 1)", 5], ["(a = 1", 6], ["a = 1 AND", 9], ["a = 'x", 4], ["a ? 1", 2], ["a = 1 /* x", 6],
    ["a > 'x'", 4], ["'x' > a", 0], ["a > TRUE", 4], ["a > (b = 1)", 5], ["a > NULL", 4], ["a = NULL", 4], ["TRUE = 'x'", 7], ["1", 0], ["a = 1 AND 'x'", 10], ["NOT 1", 4],
    ["a BETWEEN 3 AND 1", 10], ["a IN (1)", 6], ["'a' IN ('a')", 0], ["a IN ()", 6], ["a = 9223372036854775808", 4], ["a = 1e999", 4], ["a < b < c", 6],
    ["SELECT * FROM t", 7], ["a LIKE 'x%'", 2], ["a + 1 = 2", 2], ["a.b = 1", 1], ["\u{1f600} = 1", 0],
  ])("%j at %i", (expression, position) => {
    expect(() => MessageSelector.bySql(expression)).toThrow(expect.objectContaining({ code: "SUBSCRIPTION_PARSE_FAILED", field: "expression", position }));
  });

  test.each([null, undefined, 7, {}])("%s is no expression", (given) => {
    expect(() => MessageSelector.bySql(given as never)).toThrow(expect.objectContaining({ code: "SUBSCRIPTION_PARSE_FAILED", position: 0 }));
  });

  const nested = (depth: number): string => `${"(".repeat(depth)}a=1${")".repeat(depth)}`;
  const ors = (terms: number): string => Array.from({ length: terms }, () => "a=1").join(" OR ");

  test("as much as is allowed works", () => {
    expect(matches(nested(MAX_EXPRESSION_DEPTH), { a: "1" })).toBe(true);
    expect(matches(ors(MAX_EXPRESSION_TOKENS / 4), { a: "1" })).toBe(true);
    expect(matches(`${"NOT ".repeat(MAX_EXPRESSION_TOKENS - 3)}a=1`, { a: "1" })).toBe(false);
    expect(matches(`a=${"+-".repeat(MAX_EXPRESSION_TOKENS / 2 - 2)}1`, { a: "1" })).toBe(true);
    expect(matches(`a=1${"=TRUE".repeat(MAX_EXPRESSION_TOKENS / 2 - 2)}`, { a: "1" })).toBe(true);
    expect(matches(`a IN (${Array.from({ length: 500 }, (_, n) => `'${n}'`).join()})`, { a: "499" })).toBe(true);
  });

  test.each([
    ["one parenthesis too many", nested(MAX_EXPRESSION_DEPTH + 1), MAX_EXPRESSION_DEPTH],
    ["1,000 parentheses", nested(1000), MAX_EXPRESSION_DEPTH],
    ["10,000 parentheses", nested(10_000), MAX_EXPRESSION_LENGTH],
    ["one term too many", ors(MAX_EXPRESSION_TOKENS / 4 + 1), 7 * (MAX_EXPRESSION_TOKENS / 4)],
    ["100,000 ORs", ors(100_000), MAX_EXPRESSION_LENGTH],
    ["many NOTs", "NOT ".repeat(2000) + "a=1", 4 * MAX_EXPRESSION_TOKENS],
    ["an endless string", "'".repeat(8191), 8190],
    ["an endless comment", "/*".padEnd(8192, " *"), 0],
  ])("%s: at once, with a position", (_name, expression, position) => {
    const began = performance.now();
    expect(() => MessageSelector.bySql(expression)).toThrow(expect.objectContaining({ code: "SUBSCRIPTION_PARSE_FAILED", position }));
    expect(performance.now() - began).toBeLessThan(1000);
  });
});
