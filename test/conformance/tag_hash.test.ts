import { expect, it } from "vitest";
import { javaHash, tagHash } from "../../src/model/hash.ts";
import table from "./data/tag_hash.json";

it.each(table.cases)("tag_hash row $id: $tag", ({ tag, hash }) => {
  expect(tagHash(tag)).toBe(hash);
  expect(javaHash(tag)).toBe(hash);
});
