import { MQError } from "../model/errors.ts";
import { tagHash } from "../model/hash.ts";
import { MAX_EXPRESSION_LENGTH, MAX_TAGS_PER_EXPRESSION } from "../model/limits.ts";
import { lowerBound } from "../model/sorted.ts";

/** What a subscription by tag asks for. */
export interface TagExpression {
  /** Every message, with or without a tag; then `tags` is empty and `codes` is null. */
  readonly all: boolean;
  /** Distinct, in the order of their UTF-16 units. Two expressions mean the same when `all` and `tags` are equal. */
  readonly tags: readonly string[];
  /** Distinct tag codes (`tagHash`), rising. */
  readonly codes: Int32Array | null;
  /** RocketMQ's subString: `"*"` for all, else the expression as it was written. */
  readonly text: string;
}

const ALL: TagExpression = { all: true, tags: [], codes: null, text: "*" };
const SEPARATOR = "||";

/** Java's `String.trim`: drops every unit up to U+0020 at both ends, and nothing else (a no-break space is a character of the tag). */
function javaTrim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) <= 0x20) start++;
  while (end > start && text.charCodeAt(end - 1) <= 0x20) end--;
  return text.slice(start, end);
}

function refuse(message: string, position: number): MQError {
  return new MQError("SUBSCRIPTION_PARSE_FAILED", `expression, at ${position}: ${message}`, { field: "expression", position });
}

/**
 * Reads `"TagA || TagB"`. Nothing, blank or `"*"` means all messages; empty parts are dropped.
 * At most MAX_EXPRESSION_LENGTH UTF-16 units and MAX_TAGS_PER_EXPRESSION distinct tags.
 * Source: RocketMQ remoting/protocol/filter/FilterAPI.java; what we do differently is in docs/differences.md.
 * @throws MQError SUBSCRIPTION_PARSE_FAILED with `position`
 */
export function parseTagExpression(expression: string | null | undefined): TagExpression {
  if (expression === null || expression === undefined) return ALL;
  if (typeof expression !== "string") throw refuse(`a tag expression must be a string, not ${typeof expression}.`, 0);
  if (expression.length > MAX_EXPRESSION_LENGTH) {
    throw refuse(`the tag expression has ${expression.length} characters; ${MAX_EXPRESSION_LENGTH} are allowed.`, MAX_EXPRESSION_LENGTH);
  }
  const trimmed = javaTrim(expression);
  if (trimmed === "" || trimmed === "*") return ALL;

  const tags = new Set<string>();
  let position = 0;
  for (const part of expression.split(SEPARATOR)) {
    const tag = javaTrim(part);
    if (tag !== "") tags.add(tag);
    if (tags.size > MAX_TAGS_PER_EXPRESSION) {
      throw refuse(`the tag expression names more than ${MAX_TAGS_PER_EXPRESSION} tags.`, position);
    }
    position += part.length + SEPARATOR.length;
  }
  if (tags.size === 0) throw refuse(`the tag expression holds only separators; name a tag, or use "*" for all messages.`, 0);
  return {
    all: false,
    tags: [...tags].sort(),
    codes: Int32Array.from(new Set(Array.from(tags, tagHash))).sort(),
    text: expression,
  };
}

function holds<T extends string | number>(sorted: ArrayLike<T>, value: T): boolean {
  return sorted[lowerBound(sorted, value)] === value;
}

/** The broker's filter over the consume queue; different tags may share a code, so `matchesTag` has the last word. */
export function matchesCode(expression: TagExpression, code: number): boolean {
  return expression.codes === null || holds(expression.codes, code);
}

/** The exact filter. */
export function matchesTag(expression: TagExpression, tag: string | null | undefined): boolean {
  return expression.all || (typeof tag === "string" && holds(expression.tags, tag));
}
