import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MessageSelector } from "../../src/filter/message-selector.ts";
import { matchesCode, matchesTag, parseTagExpression } from "../../src/filter/tag-expression.ts";
import { errorFromData, errorToData } from "../../src/model/errors.ts";
import type { MQError } from "../../src/model/errors.ts";
import { tagHash } from "../../src/model/hash.ts";
import { MAX_EXPRESSION_LENGTH, MAX_TAGS_PER_EXPRESSION } from "../../src/model/limits.ts";

function refusal(expression: unknown): MQError {
  try {
    MessageSelector.byTag(expression as string);
  } catch (error) {
    return error as MQError;
  }
  throw new Error("was accepted");
}

describe("where TabMQ differs from RocketMQ (docs/differences.md)", () => {
  it.each([" ", "\t\n ", " * ", "*\n"])("%j means all", (expression) => {
    expect(parseTagExpression(expression)).toEqual(parseTagExpression("*"));
    expect(MessageSelector.byTag(expression).matches({})).toBe(true);
  });

  it.each(["|| ", " ||", "|| || ||"])("%j names no tag and is refused", (expression) => {
    expect(refusal(expression)).toMatchObject({
      code: "SUBSCRIPTION_PARSE_FAILED",
      position: 0,
      message: `expression, at 0: the tag expression holds only separators; name a tag, or use "*" for all messages.`,
    });
  });

  it("as in RocketMQ, a star beside other tags is the tag \"*\"", () => {
    const selector = MessageSelector.byTag("* || TagA");
    expect([selector.matches({ tags: "*" }), selector.matches({ tags: "TagA" }), selector.matches({ tags: "TagB" })]).toEqual([true, true, false]);
  });
});

describe("limits", () => {
  it("the longest expression is taken, a longer one refused where it is too long", () => {
    expect(parseTagExpression("x".repeat(MAX_EXPRESSION_LENGTH)).tags).toHaveLength(1);
    expect(refusal("x".repeat(MAX_EXPRESSION_LENGTH + 1))).toMatchObject({ code: "SUBSCRIPTION_PARSE_FAILED", position: MAX_EXPRESSION_LENGTH });
  });

  it("repeated tags count once; one tag too many is refused where it stands", () => {
    const tags = Array.from({ length: MAX_TAGS_PER_EXPRESSION }, (_, i) => `t${i}`);
    const full = [...tags, ...tags].join("||");
    expect(parseTagExpression(full).tags).toHaveLength(MAX_TAGS_PER_EXPRESSION);
    expect(refusal(`${full}||more`)).toMatchObject({ code: "SUBSCRIPTION_PARSE_FAILED", position: full.length + 2, field: "expression" });
  });

  it("what is no text is refused", () => {
    expect(refusal(7)).toMatchObject({ code: "SUBSCRIPTION_PARSE_FAILED", position: 0 });
  });
});

it("the position crosses a port", () => {
  const error = errorFromData(errorToData(refusal("||")));
  expect(error).toMatchObject({ code: "SUBSCRIPTION_PARSE_FAILED", field: "expression", position: 0 });
});

it("a tag is found exactly when it was named; its code is found with it", () => {
  const tag = fc.string({ unit: fc.constantFrom("A", "a", "B", "é", "签", "-"), minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(fc.array(tag, { minLength: 1, maxLength: 40 }), tag, (tags, asked) => {
      const parsed = parseTagExpression(tags.join(" || "));
      expect([...parsed.tags]).toEqual([...new Set(tags)].sort());
      expect(matchesTag(parsed, asked)).toBe(tags.includes(asked));
      expect(matchesCode(parsed, tagHash(asked))).toBe(tags.some((named) => tagHash(named) === tagHash(asked)));
      expect(matchesTag(parsed, undefined)).toBe(false);
      expect(matchesCode(parsed, 0)).toBe(false);
    }),
  );
});

it("a selector takes the tag from TAGS when there is no tags field", () => {
  const selector = MessageSelector.byTag("TagA");
  expect(selector.matches({ properties: { TAGS: "TagA" } })).toBe(true);
  expect(selector.matches({ tags: "TagB", properties: { TAGS: "TagA" } })).toBe(false);
});
