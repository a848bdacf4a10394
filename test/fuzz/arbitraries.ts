import fc from "fast-check";

/** Bytes that were good, changed a little: whoever reads them gets further than with noise. */
export type Mutation = (bytes: Uint8Array) => Uint8Array;

/** Mostly near the start, where the fields are, and now and then anywhere. */
const place = fc.oneof(fc.nat({ max: 130 }), fc.nat({ max: 1_000_000 }));
const LENGTHS = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(place, fc.nat({ max: 7 })).map(([at, bit]): Mutation => (bytes) => changed(bytes, (copy) => (copy[at % copy.length]! ^= 1 << bit))),
  // A number that says how much follows is the best lie.
  fc.tuple(place, fc.constantFrom(...LENGTHS)).map(([at, value]): Mutation => (bytes) =>
    changed(bytes, (copy) => copy.length >= 4 && new DataView(copy.buffer).setUint32(at % (copy.length - 3), value))),
  place.map((at): Mutation => (bytes) => bytes.slice(0, at % (bytes.length + 1))),
  fc.tuple(place, fc.uint8Array({ maxLength: 40 })).map(([at, extra]): Mutation => (bytes) => {
    const from = at % (bytes.length + 1);
    return Uint8Array.from([...bytes.subarray(0, from), ...extra, ...bytes.subarray(from)]);
  }),
  fc.tuple(place, place, fc.integer({ min: 1, max: 64 })).map(([from, to, length]): Mutation => (bytes) =>
    changed(bytes, (copy) => copy.copyWithin(to % copy.length, from % copy.length, (from % copy.length) + length))),
);

export const mutations = fc.array(mutation, { minLength: 1, maxLength: 3 }).map((all): Mutation => (bytes) => all.reduce((result, one) => one(result), bytes));

function changed(bytes: Uint8Array, change: (copy: Uint8Array<ArrayBuffer>) => unknown): Uint8Array {
  const copy = new Uint8Array(bytes);
  if (copy.length > 0) change(copy);
  return copy;
}

/** Names that mean something to JavaScript. */
export const hostileName = fc.constantFrom("__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "then", "length", "toJSON");

/** What can be sent through a port and is not what was expected. Numbers that a long poll would take for a time to wait are left out. */
export const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<unknown>(undefined, null, true, -1, 1.5, -0, Number.NaN, Infinity, 2 ** 31, 2 ** 53, 1e300, 1n, 2n ** 2000n) },
  { weight: 3, arbitrary: fc.oneof(hostileName, fc.constantFrom("", " ", "\ud800", "\u0000", "a/b", "../x", "%RETRY%g", "x".repeat(300), "*", "a || b", "||")) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
  { weight: 3, arbitrary: fc.constantFrom<() => unknown>(
    () => [], () => ({}), () => Object.create(null) as object, () => new Map([["topic", "evil"]]), () => new Set([1]), () => new Date(Number.NaN), () => /x/,
    () => new Error("x"), () => new ArrayBuffer(3), () => new Uint8Array(9), () => new DataView(new ArrayBuffer(4)), () => new String("topic"), () => Object.assign([], { length: 5 }),
    () => Array.from({ length: 9000 }, () => 0), () => withOwn({}, "__proto__", { polluted: 1 }), () => cyclic(), () => withOwn({}, "toString", "x"),
  ).map((make) => make()) },
  { weight: 1, arbitrary: fc.anything({ maxDepth: 2, withBigInt: true, withMap: true, withSet: true, withTypedArray: true, withSparseArray: true, withNullPrototype: true })
    .filter((value) => !(typeof value === "number" && value > 5 && value < 20_000)) },
);

/** An own key, `__proto__` too: such keys survive the structured clone. */
export function withOwn(object: object, key: string, value: unknown): object {
  if (Array.isArray(object) && key === "length") return object;
  return Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

function cyclic(): object {
  const object: Record<string, unknown> = {};
  object.self = object;
  return object;
}

type Step = { at: number; how: "replace" | "add" | "remove"; value: unknown; key: string };
const step: fc.Arbitrary<Step> = fc.record({ at: fc.nat({ max: 60 }), how: fc.constantFrom("replace", "replace", "add", "remove"), value: oddValue, key: fc.oneof(hostileName, fc.constant("extra")) });

/** A structure that was good, with one to three places changed. */
export function mutated<T extends object>(good: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.tuple(good, fc.array(step, { minLength: 1, maxLength: 3 })).map(([value, steps]) => steps.reduce(apply, structuredClone(value) as object) as T);
}

function apply(root: object, { at, how, value, key }: Step): object {
  const places = placesIn(root);
  const [holder, name] = places[at % places.length] ?? [root, key];
  if (how === "add") withOwn(holder, key, value);
  else if (how === "remove") Reflect.deleteProperty(holder, name);
  else withOwn(holder, name, value);
  return root;
}

function placesIn(value: object, seen = new Set<object>()): [holder: object, key: string][] {
  if (seen.has(value) || ArrayBuffer.isView(value) || Object.prototype.toString.call(value) === "[object String]" || Object.keys(value).length > 100) return [];
  seen.add(value);
  return Object.keys(value).flatMap((key): [object, string][] => {
    const inner = Object.getOwnPropertyDescriptor(value, key)?.value as unknown;
    if (key === "length") return [];
    return [[value, key], ...(typeof inner === "object" && inner !== null ? placesIn(inner, seen) : [])];
  });
}
