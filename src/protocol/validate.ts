import { MQError, textOf } from "../model/errors.ts";

/**
 * Unknown in, typed out. Everything that comes from an application or over a port passes through here once;
 * behind it, code relies on its types. A check copies what it accepts: nothing of the caller's object lives on.
 */
export type Check<T> = (value: unknown, field: string) => T;
type Checked<C> = C extends Check<infer T> ? T : never;

function refuse(field: string, expected: string, value: unknown): never {
  throw new MQError("INVALID_PARAMETER", `${field} must be ${expected}, not ${show(value)}.`, { field });
}

function show(value: unknown): string {
  if (typeof value === "string") return `"${short(value)}"`;
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object";
  if (typeof value === "function") return "a function";
  // Writing a long one out takes longer than whatever it was sent for.
  return typeof value === "bigint" ? "a bigint" : String(value);
}

function short(given: string): string {
  return given.length > 40 ? `${given.slice(0, 40)}…` : given;
}

/**
 * Has keys of its own and nothing else. Bytes and text objects are out: to list the keys of 200 MB of bytes makes
 * 200 million strings.
 */
export function isDictionary(value: unknown): value is object {
  return typeof value === "object" && value !== null && Object.prototype.toString.call(value) === "[object Object]";
}

/** Options may hold getters and proxies, and those may throw what they like: it is the field that is told. */
function guarded<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof MQError) throw cause;
    throw new MQError("INVALID_PARAMETER", `${field} cannot be read: ${textOf(cause)}`, { field, cause });
  }
}

export const boolean: Check<boolean> = (value, field) =>
  typeof value === "boolean" ? value : refuse(field, "true or false", value);

export function text(maxLength: number): Check<string> {
  return (value, field) =>
    typeof value === "string" && value.length <= maxLength ? value : refuse(field, `text of at most ${maxLength} characters`, value);
}

/** Text with something in it. */
export function filled(maxLength: number): Check<string> {
  const check = text(maxLength);
  return (value, field) => check(value, field) || refuse(field, "text that is not empty", value);
}

export function integer(min: number, max: number): Check<number> {
  return (value, field) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
      ? (value as number)
      : refuse(field, max === Number.MAX_SAFE_INTEGER ? `an integer from ${min} on` : `an integer from ${min} to ${max}`, value);
}

/** A position or an offset. */
export const offset: Check<number> = integer(0, Number.MAX_SAFE_INTEGER);

/** Milliseconds since 1970, before it too. */
export const time: Check<number> = integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);

export function oneOf<const T extends string | number>(...values: T[]): Check<T> {
  return (value, field) => (values.includes(value as T) ? (value as T) : refuse(field, values.map(show).join(" or "), value));
}

/** Text that passes a rule of its own, such as a topic name. */
export function named(rule: (value: unknown, field: string) => void): Check<string> {
  return (value, field) => {
    rule(value, field);
    return value as string;
  };
}

export function callable<T>(value: unknown, field: string): T {
  return typeof value === "function" ? (value as T) : refuse(field, "a function", value);
}

export const instance =
  <T>(type: new (...args: never[]) => T): Check<T> =>
  (value, field) =>
    value instanceof type ? value : refuse(field, `a ${type.name}`, value);

export function list<T>(item: Check<T>, maxItems: number): Check<T[]> {
  return (value, field) => {
    if (!Array.isArray(value)) refuse(field, "a list", value);
    if (value.length > maxItems) {
      throw new MQError("INVALID_PARAMETER", `${field} has ${value.length} items; the limit is ${maxItems}.`, { field });
    }
    // Not `map`, which would leave holes as they are and so unchecked.
    return Array.from(value, (entry, at) => item(entry, `${field}[${at}]`));
  };
}

export function pair<A, B>(first: Check<A>, second: Check<B>): Check<[A, B]> {
  return (value, field) => {
    if (!Array.isArray(value) || value.length !== 2) refuse(field, "a pair", value);
    return [first(value[0], `${field}[0]`), second(value[1], `${field}[1]`)];
  };
}

export function triple<A, B, C>(first: Check<A>, second: Check<B>, third: Check<C>): Check<[A, B, C]> {
  return (value, field) => {
    if (!Array.isArray(value) || value.length !== 3) refuse(field, "a list of three", value);
    return [first(value[0], `${field}[0]`), second(value[1], `${field}[1]`), third(value[2], `${field}[2]`)];
  };
}

const OPTIONAL = Symbol("optional");
export type Optional<T> = Check<T | undefined> & { [OPTIONAL]: true };

/** The key may be missing (or undefined). */
export function optional<T>(check: Check<T>): Optional<T> {
  const wrapped: Check<T | undefined> = (value, field) => (value === undefined ? undefined : check(value, field));
  return Object.assign(wrapped, { [OPTIONAL]: true as const });
}

export function nullable<T>(check: Check<T>): Check<T | null> {
  return (value, field) => (value === null ? null : check(value, field));
}

type Shape = Record<string, Check<unknown>>;
type OptionalKeys<S extends Shape> = { [K in keyof S]: S[K] extends Optional<unknown> ? K : never }[keyof S];
type Plain<T> = { [K in keyof T]: T[K] };
type Recorded<S extends Shape> = Plain<
  { [K in Exclude<keyof S, OptionalKeys<S>>]: Checked<S[K]> } & { [K in OptionalKeys<S>]?: Exclude<Checked<S[K]>, undefined> }
>;

/** An object with these keys and no others: an unknown key is an error, because a misspelt option must not be ignored. */
export function record<S extends Shape>(shape: S): Check<Recorded<S>> {
  return (value, field) =>
    guarded(field, () => {
      if (!isDictionary(value)) refuse(field, "an object", value);
      for (const key of Object.keys(value)) {
        if (!Object.hasOwn(shape, key)) {
          throw new MQError("INVALID_PARAMETER", `${field} has no option "${short(key)}". Known: ${Object.keys(shape).join(", ")}.`, {
            field: `${field}.${short(key)}`,
          });
        }
      }
      const result: Record<string, unknown> = {};
      for (const [key, check] of Object.entries(shape)) {
        const at = `${field}.${key}`;
        const own = guarded(at, () => (Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined));
        const checked = check(own, at);
        if (checked !== undefined) result[key] = checked;
      }
      return result as Recorded<S>;
    });
}

/** Own entries of an object used as a dictionary. */
export function entries<T>(key: Check<string>, item: Check<T>, maxEntries: number): Check<[string, T][]> {
  return (value, field) => {
    if (!isDictionary(value)) refuse(field, "an object", value);
    const all = guarded(field, () => Object.entries(value));
    if (all.length > maxEntries) {
      throw new MQError("INVALID_PARAMETER", `${field} has ${all.length} entries; the limit is ${maxEntries}.`, { field });
    }
    return all.map(([name, entry]) => [key(name, field), item(entry, `${field}.${name}`)]);
  };
}

/** A whole number from 0 on, as stored rows have many: for what is read back and not refused. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
