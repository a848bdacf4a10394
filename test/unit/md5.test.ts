import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { md5 } from "../../src/model/md5.ts";

it("is Node's, for text of any length and script", () => {
  const theirs = (text: string): Uint8Array => new Uint8Array(createHash("md5").update(text).digest());
  for (let length = 0; length < 200; length++) expect(md5("a".repeat(length))).toEqual(theirs("a".repeat(length)));
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => void expect(md5(text)).toEqual(theirs(text))));
});
