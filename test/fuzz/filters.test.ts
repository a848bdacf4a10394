/** Filters: whatever comes in means what a plain reading of it means, or is refused with a place; nothing hangs. */
import fc from "fast-check";
import { describe, expect } from "vitest";
import { WasmFilter } from "../../src/broker/wasm-filter.ts";
import { PropertyReader } from "../../src/filter/property-reader.ts";
import { compileSql, type SqlNode, type SqlValue } from "../../src/filter/sql-compiler.ts";
import { parseSqlExpression } from "../../src/filter/sql-expression.ts";
import { tokenize } from "../../src/filter/sql-lexer.ts";
import { parse } from "../../src/filter/sql-parser.ts";
import { meterModule } from "../../src/filter/wasm-meter.ts";
import { MQError } from "../../src/model/errors.ts";
import { decodeProperties } from "../../src/model/properties.ts";
import { RECORD } from "../../src/model/record.ts";
import { counting, FILLING, LOOPING, RECURSIVE, TAGGED_A, wasmModule } from "../support/wasm-filters.ts";
import { mutations } from "./arbitraries.ts";
import { fuzz } from "./fuzz.ts";

type Term = SqlNode & { type: "term" };
const at = 0;
const NAMES = ["a", "b", "$c", "TAGS"];
const text = fc.constantFrom("", "x", "it's", "5", "true", "é☕", " ", "x5");

const property = fc.constantFrom(...NAMES).map((value): Term => ({ type: "term", kind: "p", value, at }));
const number = fc.oneof(
  fc.constantFrom("0", "5", "2147483648", "9007199254740993").map((value): Term => ({ type: "term", kind: "1", value, at })),
  fc.constantFrom("0.0", "5.", ".5", "5e3", "1.5E-2").map((value): Term => ({ type: "term", kind: "2", value, at })),
);
const string = text.map((value): Term => ({ type: "term", kind: "'", value, at }));
const truth = fc.constantFrom("T" as const, "F" as const).map((kind): Term => ({ type: "term", kind, value: kind === "T" ? "TRUE" : "FALSE", at }));
const minus = fc.tuple(fc.oneof(property, number, string), fc.integer({ min: 1, max: 3 })).map(([a, times]): SqlNode => ({ type: "minus", a, times, at }));
/** Whatever has an order. */
const quantity = fc.oneof(property, number, minus);

const condition = fc.letrec<{ any: SqlNode }>((tie) => {
  const any = tie("any");
  const several = fc.array(any, { minLength: 2, maxLength: 4 });
  return {
    any: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.record({ type: fc.constant("equal" as const), a: fc.oneof(property, string, quantity), b: fc.oneof(property, string, quantity, truth), negated: fc.boolean(), at: fc.constant(at) }),
      fc.record({ type: fc.constant("order" as const), order: fc.constantFrom("<", ">", "{", "}"), a: quantity, b: quantity, at: fc.constant(at) }),
      fc.record({ type: fc.constant("between" as const), a: quantity, low: property, high: quantity, negated: fc.boolean(), at: fc.constant(at) }),
      fc.record({ type: fc.constant("in" as const), a: property, values: fc.array(text, { minLength: 1, maxLength: 4 }), negated: fc.boolean(), at: fc.constant(at) }),
      fc.record({ type: fc.constant("text" as const), how: fc.constantFrom("c", "s", "e"), a: fc.oneof(property, string), value: text, negated: fc.boolean(), at: fc.constant(at) }),
      fc.record({ type: fc.constant("isNull" as const), a: fc.oneof(property, any), negated: fc.boolean(), at: fc.constant(at) }),
      fc.record({ type: fc.constant("equal" as const), a: any, b: fc.oneof(any, truth), negated: fc.boolean(), at: fc.constant(at) }),
      fc.record({ type: fc.constant("not" as const), a: any, times: fc.integer({ min: 1, max: 3 }), at: fc.constant(at) }),
      fc.record({ type: fc.constantFrom("or" as const, "and" as const), terms: several, at: fc.constant(at) }),
      property,
      truth,
    ) as fc.Arbitrary<SqlNode>,
  };
}).any;

const RANK: Record<SqlNode["type"], number> = { or: 0, and: 1, not: 2, equal: 3, isNull: 3, order: 4, between: 4, in: 4, text: 4, minus: 5, term: 6 };
const ORDER = { "<": "<", ">": ">", "{": "<=", "}": ">=" };
const TEXT = { c: "contains", s: "StartsWith", e: "ENDSWITH" };

/** The node as text that binds at least so tightly; with `more`, parentheses that are not needed. */
function show(node: SqlNode, rank = 0, more = false): string {
  const inner = ((): string => {
    const own = RANK[node.type];
    switch (node.type) {
      case "or": return node.terms.map((term) => show(term, own + 1, more)).join(" or ");
      case "and": return node.terms.map((term) => show(term, own + 1, more)).join("\nAND ");
      case "not": return `${"NOT ".repeat(node.times)}${show(node.a, own + 1, more)}`;
      case "minus": return `${"- ".repeat(node.times)}${show(node.a, own + 1, more)}`;
      case "equal": return `${show(node.a, own, more)}${node.negated ? "<>" : " = "}${show(node.b, own + 1, more)}`;
      case "isNull": return `${show(node.a, own, more)} IS ${node.negated ? "NOT " : ""}NULL`;
      case "order": return `${show(node.a, own + 1, more)}${ORDER[node.order]}${show(node.b, own + 1, more)}`;
      case "between": return `${show(node.a, own + 1, more)} ${node.negated ? "not " : ""}between ${show(node.low, own + 1, more)} and ${show(node.high, own + 1, more)}`;
      case "in": return `${show(node.a, own + 1, more)} ${node.negated ? "NOT " : ""}IN (${node.values.map(quoted).join(" , ")})`;
      case "text": return `${show(node.a, own + 1, more)} ${node.negated ? "NOT " : ""}${TEXT[node.how]} ${quoted(node.value)}`;
      case "term": return node.kind === "'" ? quoted(node.value) : node.value;
    }
  })();
  return RANK[node.type] < rank || (more && node.type !== "term") ? `(${inner})` : inner;
}

const quoted = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** A plain reading, by the book: true, false, null = unknown, "error". */
type Plain = SqlValue | "error";
function plain(node: SqlNode, properties: Record<string, string>): Plain {
  const of = (inner: SqlNode): Plain => plain(inner, properties);
  const truthOf = (inner: SqlNode): Plain => {
    const given = of(inner);
    return inner.type === "term" && inner.kind === "p" ? (given === null ? null : false) : given;
  };
  const not = (given: Plain): Plain => (typeof given === "boolean" ? !given : given);
  switch (node.type) {
    case "or":
    case "and": {
      const decisive = node.type === "or";
      const all = node.terms.map(truthOf);
      const end = all.findIndex((given) => given === decisive || given === ERROR);
      if (end >= 0) return all[end];
      return all.includes(null) ? null : !decisive;
    }
    case "not": return node.times % 2 === 0 ? truthOf(node.a) : not(truthOf(node.a));
    case "minus": {
      const given = of(node.a);
      return typeof given === "number" || typeof given === "bigint" ? (node.times % 2 === 0 ? given : -given) : null;
    }
    case "isNull": {
      const given = of(node.a);
      return given === ERROR ? ERROR : (given === null) !== node.negated;
    }
    case "equal": {
      const [a, b] = [of(node.a), of(node.b)];
      if (a === ERROR || b === ERROR) return ERROR;
      if (a === null || b === null) return null;
      const same = compare(a, b, node, (x, y) => x === y || Number(x) - Number(y) === 0 && BigIntOr(x) === BigIntOr(y));
      return node.negated ? not(same) : same;
    }
    case "order": return ordered(of(node.a), of(node.b), node.order, [node.a, node.b]);
    case "between": {
      const [a, low, high] = [of(node.a), of(node.low), of(node.high)];
      const [first, second] = node.negated
        ? [ordered(a, low, "<", [node.a, node.low]), ordered(a, high, ">", [node.a, node.high])]
        : [ordered(a, low, "}", [node.a, node.low]), ordered(a, high, "{", [node.a, node.high])];
      if (first === ERROR || first === node.negated) return first;
      if (second === ERROR || second === node.negated) return second;
      return first === null || second === null ? null : !node.negated;
    }
    case "in": {
      const given = of(node.a);
      return typeof given === "string" ? node.values.includes(given) !== node.negated : null;
    }
    case "text": {
      const given = of(node.a);
      if (typeof given !== "string" || given === "" || node.value === "") return false;
      const position = node.how === "e" ? given.lastIndexOf(node.value) : given.indexOf(node.value);
      const holds = node.how === "c" ? position >= 0 : node.how === "s" ? position === 0 : position >= 0 && position + node.value.length === given.length;
      return holds !== node.negated;
    }
    case "term":
      switch (node.kind) {
        case "p": return properties[node.value] ?? null;
        case "'": return node.value;
        case "1": return Number.isSafeInteger(Number(node.value)) ? Number(node.value) : BigInt(node.value);
        case "2": return Number(node.value);
        case "0": return null;
        default: return node.kind === "T";
      }
  }
}

const ERROR = "error";
const BigIntOr = (x: unknown): unknown => (typeof x === "number" && Number.isInteger(x) ? BigInt(x) : x);

/** Is there a float among them, under a minus too? Then text is read as a float. */
function isFloat(...nodes: SqlNode[]): boolean {
  return nodes.some((node) => (node.type === "minus" ? isFloat(node.a) : node.type === "term" && node.kind === "2"));
}

function numberOf(given: string, asFloat: boolean, other: unknown): number | bigint | "error" {
  if (asFloat || typeof other === "string") return /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(given) ? Number(given) : ERROR;
  if (!/^[+-]?\d+$/.test(given)) return ERROR;
  const [value, wide] = [BigInt(given), BigInt(other as number)];
  const bits = wide >= -(2n ** 31n) && wide < 2n ** 31n ? 31n : 63n;
  return value >= -(2n ** bits) && value < 2n ** bits ? value : ERROR;
}

function compare(a: SqlValue, b: SqlValue, { a: left, b: right }: { a: SqlNode; b: SqlNode }, holds: (a: SqlValue, b: SqlValue) => boolean): Plain {
  if (typeof a === "string" && typeof b === "string") return a === b;
  const isText = (value: SqlValue): value is string => typeof value === "string";
  const isTruth = (value: SqlValue): value is boolean => typeof value === "boolean";
  if (isTruth(a) || isTruth(b)) {
    if (!((isText(a) || isTruth(a)) && (isText(b) || isTruth(b)))) return false;
    return (String(a).toLowerCase() === "true") === (String(b).toLowerCase() === "true");
  }
  const x = isText(a) ? numberOf(a, isFloat(left, right), b) : a;
  const y = isText(b) ? numberOf(b, isFloat(left, right), a) : b;
  return x === ERROR || y === ERROR ? ERROR : holds(x, y);
}

function ordered(a: Plain, b: Plain, how: "<" | ">" | "{" | "}", nodes: [SqlNode, SqlNode]): Plain {
  if (a === null || b === null) return null;
  const x = typeof a === "string" ? numberOf(a, isFloat(...nodes), b) : a!;
  const y = typeof b === "string" ? numberOf(b, isFloat(...nodes), a) : b!;
  if (x === ERROR || y === ERROR) return ERROR;
  return how === "<" ? x < y : how === ">" ? x > y : how === "{" ? x <= y : x >= y;
}

function withoutPlaces(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withoutPlaces);
  if (typeof node !== "object" || node === null) return node;
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, key === "at" ? 0 : withoutPlaces(value)]));
}

const propertyValue = fc.constantFrom("", "x", "5", "-5", "5.0", " 5", "5000", "2147483648", "9007199254740993", "99999999999999999999", "true", "TRUE", "false", "it's", "é☕", "x5", "NULL", "1e3");
const properties = fc.dictionary(fc.constantFrom(...NAMES), propertyValue, { noNullPrototype: true });

/** Runs it; a refusal has to be an MQError with a place. Undefined = refused. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    expect(error).toBeInstanceOf(MQError);
    expect(error).toMatchObject({ code: "SUBSCRIPTION_PARSE_FAILED", position: expect.any(Number) });
    return undefined;
  }
}

describe("SQL92", () => {
  fuzz("what is written is what is read", fc.tuple(condition, fc.boolean()), 3000, ([node, more]) => {
    const tokens = attempt(() => tokenize(show(node, 0, more)));
    if (tokens === undefined) return;
    expect(withoutPlaces(parse(tokens.map(({ kind }) => kind).join(""), { tokens }))).toEqual(node);
  });

  fuzz("an expression means what a plain reading of it means", fc.tuple(condition, fc.boolean(), properties), 10_000, ([node, more, given]) => {
    const parsed = attempt(() => parseSqlExpression(show(node, 0, more)));
    if (parsed === undefined) return;
    const value = parsed.evaluate(parsed.names.map((name) => given[name] ?? null));
    const wanted = node.type === "term" && node.kind === "p" ? (given[node.value] === undefined ? null : false) : plain(node, given);
    expect(value === undefined ? ERROR : value).toBe(wanted);
  });

  const words = fc.constantFrom("a", "1", "1.5", "'x'", "(", ")", "=", "<>", "<", ">=", "AND", "OR", "NOT", "BETWEEN", "IN", "IS", "NULL", "TRUE", "CONTAINS", ",", "+", "-", "--\n", "/* */", "''", "'", ".", "e", "?");
  fuzz("anything at all", fc.oneof(fc.string({ unit: "grapheme", maxLength: 60 }), fc.array(words, { maxLength: 40 }).map((all) => all.join(" "))), 5000, (expression) => {
    const parsed = attempt(() => parseSqlExpression(expression));
    if (parsed !== undefined) expect([true, false, null, undefined]).toContain(parsed.evaluate(parsed.names.map(() => "5")));
  });

  fuzz("a tree that no grammar would make is compiled or refused", condition, 1000, (node) => {
    attempt(() => compileSql(node).evaluate([null, null, null, null]));
  });
});

describe("properties", () => {
  const part = fc.string({ unit: fc.constantFrom("a", "b", "TAGS", "\u0001", "\u0002", "é", "\ufeff", "x".repeat(40), "$c"), maxLength: 12 });
  const entry = fc.tuple(fc.constantFrom(...NAMES, "", "ab"), fc.constantFrom("\u0001", "\u0001\u0001", ""), fc.constantFrom("", "1", "2", "é", "\ufeffx", "y".repeat(40)), fc.constantFrom("\u0002", "\u0002\u0002", ""));
  const entries = fc.array(entry, { maxLength: 8 }).map((all) => all.flat().join(""));
  fuzz("some of them are read as all of them would be", fc.oneof(part, entries), 5000, (given) => {
    const encoded = new TextEncoder().encode(given);
    const record = new Uint8Array(RECORD.body + 3 + 1 + 1 + 2 + encoded.length);
    const view = new DataView(record.buffer);
    view.setInt32(RECORD.bodyLength, 3);
    view.setUint8(RECORD.body + 3, 1);
    view.setUint16(RECORD.body + 5, encoded.length);
    record.set(encoded, RECORD.body + 7);
    const all = decodeProperties(new TextDecoder().decode(encoded));
    for (const names of [NAMES, [...NAMES, "d", "e", "f", "g", "h"]]) {
      expect(new PropertyReader(names).read(record)).toEqual(names.map((name) => all[name] ?? null));
    }
  });
});

describe("WebAssembly", () => {
  const good = fc.constantFrom(TAGGED_A, LOOPING, RECURSIVE, FILLING, counting(5));
  fuzz("a module with changed bytes is refused, or runs to an end", fc.tuple(good, mutations), 2000, async ([module, mutate]) => {
    const bytes = Uint8Array.from(mutate(module));
    attempt(() => meterModule(bytes));
    const filter = await WasmFilter.load(bytes).catch((error: unknown) => void expect(error).toMatchObject({ code: "SUBSCRIPTION_PARSE_FAILED" }));
    if (filter === undefined) return;
    const matches = filter.matches(new Uint8Array(200));
    expect(matches === null).toBe(filter.failure !== null);
  });

  const opcode = fc.oneof(fc.nat({ max: 0xc4 }), fc.constantFrom(0x03, 0x0b, 0x0c, 0x20, 0x40, 0x41, 0xfc));
  fuzz("instructions at random", fc.array(fc.oneof(opcode, fc.constantFrom(0, 1, 0x40, 0x7f)), { maxLength: 40 }), 3000, async (code) => {
    const module = wasmModule({ code: [...code, 0x0b], locals: 3 });
    attempt(() => meterModule(module));
    const filter = await WasmFilter.load(module).catch((error: unknown) => void expect(error).toMatchObject({ code: "SUBSCRIPTION_PARSE_FAILED" }));
    if (filter !== undefined) expect(filter.matches(new Uint8Array(200)) === null).toBe(filter.failure !== null);
  });

  fuzz("anything at all", fc.uint8Array({ maxLength: 200 }), 1000, (bytes) => void attempt(() => meterModule(bytes)));
});
