import { describe, expect, it } from "vitest";
import { MessageSelector } from "../../src/filter/message-selector.ts";
import { matchesCode, matchesTag, parseTagExpression } from "../../src/filter/tag-expression.ts";
import { tagHash } from "../../src/model/hash.ts";
import table from "./data/tag_expression.json";

interface ParseRow {
  id: number;
  expression: string | null;
  type: string | null;
  expected?: { subString: string; tags: string[]; codes: number[]; type: string };
  expected_error?: string;
}

/** A subscription's type is checked elsewhere. */
const SKIPPED_PARSE: Record<number, string> = {
  33: "type \"tag\", which RocketMQ takes for a type of its own: there are only two here",
};

/** docs/differences.md: RocketMQ makes a subscription of it, which then fails at the broker; here it fails at once. */
const NO_SQL = new Set([31]);

/** docs/differences.md: a blank expression means all messages; in RocketMQ it silently matches none. */
const BLANK_MEANS_ALL = new Set([" "]);

describe("tag_expression: parse", () => {
  for (const row of table.parse as ParseRow[]) {
    const skipped = SKIPPED_PARSE[row.id];
    if (skipped !== undefined) {
      it.skip(`row ${row.id}: ${skipped}`);
      continue;
    }
    it(`row ${row.id}: ${JSON.stringify(row.expression)}`, () => {
      if (row.type === "SQL92") {
        expect(row.expected_error !== undefined || NO_SQL.has(row.id)).toBe(true);
        expect(() => MessageSelector.bySql(row.expression!)).toThrow(expect.objectContaining({ code: "SUBSCRIPTION_PARSE_FAILED" }));
        return;
      }
      if (row.expected_error !== undefined) {
        const refused = expect.objectContaining({ code: "SUBSCRIPTION_PARSE_FAILED", position: expect.any(Number) });
        expect(() => parseTagExpression(row.expression)).toThrow(refused);
        expect(() => MessageSelector.byTag(row.expression)).toThrow(refused);
        return;
      }
      const expected = row.expected!;
      const parsed = parseTagExpression(row.expression);
      expect([...parsed.tags]).toEqual(expected.tags);
      expect([...(parsed.codes ?? [])]).toEqual(expected.codes);
      const blank = BLANK_MEANS_ALL.has(row.expression!);
      expect(parsed.text).toBe(blank ? "*" : expected.subString);
      expect(parsed.all).toBe(blank || expected.subString === "*");
      const selector = MessageSelector.byTag(row.expression);
      expect(selector.expression).toBe(parsed.text);
      expect(selector.type).toBe(expected.type);
    });
  }
});

describe("tag_expression: match", () => {
  it.each(table.match)("row $id: $expression on $messageTag", ({ expression, messageTag, serverMatch, clientMatch, delivered }) => {
    const parsed = parseTagExpression(expression);
    const blank = BLANK_MEANS_ALL.has(expression!);
    expect(matchesCode(parsed, tagHash(messageTag))).toBe(blank || serverMatch);
    expect(matchesTag(parsed, messageTag)).toBe(clientMatch);
    const message = messageTag === null ? {} : { tags: messageTag };
    expect(MessageSelector.byTag(expression).matches(message)).toBe(blank || delivered);
  });
});
