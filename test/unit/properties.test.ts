import fc from "fast-check";
import { expect, it } from "vitest";
import { PROPERTY, RESERVED_PROPERTIES, checkUserProperty, decodeProperties, encodeProperties } from "../../src/model/properties.ts";

const HOSTILE = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"];

/** Any name or value that `checkUserProperty` would let pass, hostile names included. */
const part = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: "binary", minLength: 1 })).filter((text) => !text.includes("\u0001") && !text.includes("\u0002"));

it("what is encoded is decoded, as plain data", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(part, part)), (entries) => {
      const map = new Map(entries);
      const decoded = decodeProperties(encodeProperties(map));
      expect(new Map(Object.entries(decoded))).toEqual(map);
      expect(encodeProperties(decoded)).toBe(encodeProperties(Object.entries(decoded)));
    }),
  );
});

it("hostile names are own data and touch no prototype", () => {
  const decoded = decodeProperties(HOSTILE.map((name) => `${name}\u0001x\u0002`).join(""));
  expect(Object.keys(decoded)).toEqual(HOSTILE);
  for (const name of HOSTILE) expect(Object.getOwnPropertyDescriptor(decoded, name)).toMatchObject({ value: "x", enumerable: true, writable: true });
  expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  expect(decodeProperties("")["constructor"]).toBeUndefined();
});

it("a record with an own __proto__ is encoded like any other", () => {
  const properties = JSON.parse('{"__proto__":"a","b":"c"}') as Record<string, string>;
  expect(encodeProperties(properties)).toBe("__proto__\u0001a\u0002b\u0001c\u0002");
});

it("entries that a decoder would drop are not encoded", () => {
  expect(encodeProperties({ "": "x", a: "", b: "1" })).toBe("b\u00011\u0002");
});

it("decoding is linear, whatever the text", () => {
  const text = `${"ab\u0002".repeat(200_000)}k\u0001v`;
  const begin = performance.now();
  expect({ ...decodeProperties(text) }).toEqual({ k: "v" });
  expect(performance.now() - begin).toBeLessThan(1000);
});

it.each([
  ["a\u0001b", "x"],
  ["a", "x\u0002y"],
  ["\u0001", "x"],
  ["a", "\u0002"],
])("a separator cannot be stored: %j = %j", (name, value) => {
  expect(() => checkUserProperty(name, value, "message.properties.a")).toThrow(
    expect.objectContaining({ code: "MESSAGE_ILLEGAL", field: "message.properties.a", message: expect.stringContaining("U+0001") }),
  );
});

it("values must be strings", () => {
  expect(() => checkUserProperty("a", 1, "p")).toThrow(/must be a string, not number/);
  expect(() => checkUserProperty("a", undefined, "p")).toThrow(/must not be blank/);
});

it("a no-break space is not blank, as in Java", () => {
  expect(() => checkUserProperty("a", "\u00a0", "p")).not.toThrow();
});

it("our own property is reserved, the sharding key is not", () => {
  expect(RESERVED_PROPERTIES.has(PROPERTY.BODY_KIND)).toBe(true);
  expect(RESERVED_PROPERTIES.has(PROPERTY.SHARDING_KEY)).toBe(false);
});
