import fc from "fast-check";
import { expect, test } from "vitest";
import { isWellFormed, utf8Length, writeUtf8 } from "../../src/model/text.ts";

const anyText = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.string({ unit: fc.constantFrom("a", "é", "߿", "ࠀ", "￿", "😀", "\u0001") }));

test("text has the bytes that TextEncoder gives it", () => {
  fc.assert(
    fc.property(anyText.filter(isWellFormed), fc.nat(5), (text, at) => {
      const expected = new TextEncoder().encode(text);
      expect(utf8Length(text)).toBe(expected.byteLength);
      const bytes = new Uint8Array(at + expected.byteLength + 3).fill(7);
      expect(writeUtf8(text, bytes, at, expected.byteLength)).toBe(at + expected.byteLength);
      expect(bytes).toEqual(Uint8Array.from([...Array<number>(at).fill(7), ...expected, 7, 7, 7]));
    }),
  );
});
