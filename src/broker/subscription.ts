import { PropertyReader } from "../filter/property-reader.ts";
import { parseSqlExpression } from "../filter/sql-expression.ts";
import { parseTagExpression, type TagExpression } from "../filter/tag-expression.ts";
import { crc32 } from "../model/crc32.ts";
import type { MQError } from "../model/errors.ts";
import { assert } from "../platform/assert.ts";
import type { Filter } from "../protocol/api.ts";
import type { WasmFilter } from "./wasm-filter.ts";

/** What a member wants of a topic. */
export interface Subscription {
  /** Two subscriptions mean the same when these are equal. */
  readonly description: string;
  /** As it was asked for, to be shown. */
  readonly text: string;
  /** Tag codes that match; null = all. */
  readonly codes: Int32Array | null;
  /** What the codes cannot tell; null for a message = the filter has failed. Absent = they tell everything. */
  matches?(record: Uint8Array): boolean | null;
  /** Whether it runs a module of the member's own. */
  readonly isModule?: true;
  /** Why this topic is not read: its filter is disabled. */
  readonly failure: MQError | null;
}

/** @throws MQError SUBSCRIPTION_PARSE_FAILED with `position` */
export function subscriptionOf(filter: Filter): Subscription {
  if (typeof filter === "string") {
    const tag = parseTagExpression(filter);
    return { description: JSON.stringify(textOf(tag)), text: tag.text, codes: tag.codes, failure: null };
  }
  assert(filter.type === "SQL92", "modules are loaded before");
  const { text, names, evaluate } = parseSqlExpression(filter.expression);
  const reader = new PropertyReader(names);
  return {
    description: `SQL92 ${JSON.stringify(text)}`,
    text,
    codes: null,
    matches: (record) => evaluate(reader.read(record)) === true,
    failure: null,
  };
}

export function wasmSubscription(module: Uint8Array, filter: WasmFilter): Subscription {
  const text = `WASM of ${module.length} bytes, CRC ${crc32(module).toString(16)}`;
  return {
    isModule: true,
    description: text,
    text,
    codes: null,
    matches: (record) => filter.matches(record),
    get failure() {
      return filter.failure;
    },
  };
}

/** An expression that means the same; equal ones mean equal filters. */
function textOf({ all, tags }: TagExpression): string {
  if (all) return "*";
  // "*" alone would mean everything, and not the tag of that name.
  return tags.length === 1 && tags[0] === "*" ? "* ||" : tags.join(" || ");
}
