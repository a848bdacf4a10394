import { refuseSql } from "./sql-lexer.ts";

/** What the grammar makes (sql.peggy). `at` is a position in the expression, for errors. */
export type SqlNode =
  | { type: "or" | "and"; terms: SqlNode[]; at: number }
  | { type: "not" | "minus"; a: SqlNode; times: number; at: number }
  | { type: "equal"; a: SqlNode; b: SqlNode; negated: boolean; at: number }
  | { type: "order"; order: Order; a: SqlNode; b: SqlNode; at: number }
  | { type: "between"; a: SqlNode; low: SqlNode; high: SqlNode; negated: boolean; at: number }
  | { type: "in"; a: SqlNode; values: string[]; negated: boolean; at: number }
  | { type: "text"; how: "c" | "s" | "e"; a: SqlNode; value: string; negated: boolean; at: number }
  | { type: "isNull"; a: SqlNode; negated: boolean; at: number }
  /** Kinds as the lexer's: ' string, 1 integer, 2 float, T, F, 0 null, p property. */
  | { type: "term"; kind: "'" | "1" | "2" | "T" | "F" | "0" | "p"; value: string; at: number };

/** Less, greater, at most, at least. */
type Order = "<" | ">" | "{" | "}";

/**
 * null = unknown. undefined = it cannot be evaluated: a text that had to be a number is none. That ends the evaluation, as
 * an exception does in RocketMQ; AND and OR go from left to right and look no further than they must.
 */
export type SqlValue = string | number | bigint | boolean | null | undefined;

/** Values of the properties that the expression names, in the order of `names`; null = missing. */
type Properties = readonly SqlValue[];
type Evaluate = (properties: Properties) => SqlValue;

interface Compiled {
  /** What it gives when it is evaluated. A property may give anything, but in a broker it is text. */
  kind: "boolean" | "integer" | "double" | "string" | "null" | "property" | "unknown";
  /** The value of a literal. */
  literal?: SqlValue;
  at: number;
  evaluate: Evaluate;
}

export interface CompiledSql {
  /** Properties that it looks at. */
  names: string[];
  evaluate: Evaluate;
}

/** @throws MQError SUBSCRIPTION_PARSE_FAILED with `position`, where the parts do not go together */
export function compileSql(root: SqlNode): CompiledSql {
  const names: string[] = [];
  return { evaluate: condition(root), names };

  function compile(node: SqlNode): Compiled {
    const { at } = node;
    const boolean = (evaluate: Evaluate): Compiled => ({ kind: "boolean", at, evaluate });
    switch (node.type) {
      case "or":
        return boolean(combine(node.terms.map(condition), true));
      case "and":
        return boolean(combine(node.terms.map(condition), false));
      case "not": {
        const a = condition(node.a);
        return boolean(node.times % 2 === 0 ? a : not(a));
      }
      case "minus":
        return negate(compile(node.a), node.times, at);
      case "equal":
        return boolean(negatedIf(node.negated, equal(compile(node.a), compile(node.b))));
      case "order":
        return boolean(order(compile(node.a), node.order, compile(node.b)));
      case "between": {
        const [a, low, high] = [compile(node.a), compile(node.low), compile(node.high)];
        if (node.negated) return boolean(combine([order(a, "<", low), order(a, ">", high)], true));
        if (isNumber(low.literal) && isNumber(high.literal) && high.literal < low.literal) throw refuseSql("BETWEEN takes the lower bound first.", low.at);
        return boolean(combine([order(a, "}", low), order(a, "{", high)], false));
      }
      case "in": {
        const a = compile(node.a);
        if (a.kind !== "property") throw refuseSql("a property must stand before IN.", at);
        const values = new Set<SqlValue>(node.values);
        return boolean((properties) => {
          const value = a.evaluate(properties);
          return typeof value === "string" ? values.has(value) !== node.negated : null;
        });
      }
      case "text":
        return boolean(find(compile(node.a), node.how, node.value, node.negated));
      case "isNull": {
        const { evaluate } = compile(node.a);
        return boolean((properties) => {
          const value = evaluate(properties);
          return value === undefined ? undefined : (value === null) !== node.negated;
        });
      }
      case "term":
        return term(node);
    }
  }

  function term({ kind, value, at }: SqlNode & { type: "term" }): Compiled {
    const literal = (of: Compiled["kind"], constant: SqlValue): Compiled => ({ kind: of, literal: constant, at, evaluate: () => constant });
    switch (kind) {
      case "'":
        return literal("string", value);
      case "1":
        if (BigInt(value) > INT64_MAX) throw refuseSql("the integer has more than 64 bits.", at);
        return literal("integer", exact(value));
      case "2":
        if (Number(value) === Infinity) throw refuseSql("the number is too large.", at);
        return literal("double", Number(value));
      case "T":
      case "F":
        return literal("boolean", kind === "T");
      case "0":
        return literal("null", null);
      case "p": {
        const known = names.indexOf(value);
        const index = known < 0 ? names.push(value) - 1 : known;
        return { kind: "property", at, evaluate: (properties) => properties[index] ?? null };
      }
    }
  }

  /** Something that is true, false or unknown. A property alone is text, and text is not true. */
  function condition(node: SqlNode): Evaluate {
    const { kind, at, evaluate } = compile(node);
    if (kind === "boolean" || kind === "null") return evaluate;
    if (kind !== "property") throw refuseSql("a condition is needed here.", at);
    return (properties) => {
      const value = evaluate(properties);
      return value === null ? null : value === true;
    };
  }
}

const INT64_MAX = 2n ** 63n - 1n;

function negatedIf(negated: boolean, evaluate: Evaluate): Evaluate {
  return negated ? not(evaluate) : evaluate;
}

function not(a: Evaluate): Evaluate {
  return (properties) => {
    const value = a(properties);
    return typeof value === "boolean" ? !value : value;
  };
}

/** OR, which one true term decides; or AND, which one false term does. */
function combine(terms: Evaluate[], decisive: boolean): Evaluate {
  return (properties) => {
    let result: SqlValue = !decisive;
    for (const term of terms) {
      const value = term(properties);
      if (value === decisive || value === undefined) return value;
      if (value === null) result = null;
    }
    return result;
  };
}

/** Minus makes a number of a number, and of anything else what is unknown. */
function negate(a: Compiled, times: number, at: number): Compiled {
  const evaluate: Evaluate = (properties) => {
    const value = a.evaluate(properties);
    return isNumber(value) ? (times % 2 === 0 ? value : -value) : value === undefined ? undefined : null;
  };
  return { kind: a.kind === "integer" || a.kind === "double" ? a.kind : "unknown", at, evaluate };
}

function equal(a: Compiled, b: Compiled): Evaluate {
  for (const { kind, at } of [a, b]) if (kind === "null") throw refuseSql("NULL equals nothing; write IS NULL.", at);
  if (typeof a.literal === "boolean" && b.literal !== undefined && typeof b.literal !== "boolean") throw refuseSql("a truth value is compared with something else.", b.at);
  const isDouble = a.kind === "double" || b.kind === "double";
  return (properties) => {
    const [left, right] = [a.evaluate(properties), b.evaluate(properties)];
    if (left === undefined || right === undefined) return undefined;
    if (left === null || right === null) return null;
    if (typeof left === typeof right) return left === right;
    if (isNumber(left) || isNumber(right)) return relation(left, right, isDouble, isSame);
    return asBoolean(left) === asBoolean(right);
  };
}

function order(a: Compiled, how: Order, b: Compiled): Evaluate {
  for (const { kind, at } of [a, b]) {
    if (kind === "string" || kind === "boolean" || kind === "null") throw refuseSql("only properties and numbers have an order.", at);
  }
  const isDouble = a.kind === "double" || b.kind === "double";
  const holds = ORDERS[how];
  return (properties) => {
    const [left, right] = [a.evaluate(properties), b.evaluate(properties)];
    if (left === null || right === null) return null;
    if (typeof left === "string" && typeof right === "string") return relation(left, toDouble(right), true, holds);
    return relation(left, right, isDouble, holds);
  };
}

type Holds = (a: number | bigint, b: number | bigint) => boolean;
const ORDERS: Readonly<Record<Order, Holds>> = { "<": (a, b) => a < b, ">": (a, b) => a > b, "{": (a, b) => a <= b, "}": (a, b) => a >= b };
// oxlint-disable-next-line eqeqeq -- a number and a big integer are compared by their values
const isSame: Holds = (a, b) => a == b;

/** A relation of two values at least one of which is a number: the other, when it is text, is read as one of the same type. */
function relation(left: SqlValue, right: SqlValue, isDouble: boolean, holds: Holds): SqlValue {
  const a = typeof left === "string" ? toNumber(left, right, isDouble) : left;
  const b = typeof right === "string" ? toNumber(right, left, isDouble) : right;
  if (a === undefined || b === undefined) return undefined;
  return isNumber(a) && isNumber(b) && holds(a, b);
}

function isNumber(value: SqlValue): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

const INTEGER = /^[+-]?\d+$/;
// oxlint-disable-next-line no-control-regex -- as Java trims
const DOUBLE = /^[\0- ]*([+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFdD]?|NaN|Infinity))[\0- ]*$/;

/** As Java's Integer.parseInt for an integer of 32 bits, Long.parseLong for a longer one, Double.valueOf for a float. */
function toNumber(text: string, other: SqlValue, isDouble: boolean): number | bigint | undefined {
  if (isDouble || !isNumber(other)) return toDouble(text);
  if (!INTEGER.test(text)) return undefined;
  const value = exact(text);
  if (hasInt32(other) && !hasInt32(value)) return undefined;
  return typeof value === "number" || BigInt.asIntN(64, value) === value ? value : undefined;
}

function hasInt32(value: number | bigint): boolean {
  return value >= -(2 ** 31) && value < 2 ** 31;
}

function toDouble(text: string): number | undefined {
  const found = DOUBLE.exec(text);
  return found === null ? undefined : parseFloat(found[1]!);
}

/** A number as long as that is exact. */
function exact(digits: string): number | bigint {
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : BigInt(digits);
}

function asBoolean(value: SqlValue): boolean {
  return value === true || (typeof value === "string" && value.toLowerCase() === "true");
}

function find(a: Compiled, how: "c" | "s" | "e", part: string, negated: boolean): Evaluate {
  return (properties) => {
    const value = a.evaluate(properties);
    if (value === undefined) return undefined;
    if (typeof value !== "string" || value === "" || part === "") return false;
    const holds = how === "c" ? value.includes(part) : how === "s" ? value.startsWith(part) : value.endsWith(part);
    return holds !== negated;
  };
}
