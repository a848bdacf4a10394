import { existsSync, readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";

const COPIES = new URL("./data/", import.meta.url);
/** Where the tables come from, when the checkout stands beside it. */
const ORIGINALS = new URL("../../../shared/conformance/", import.meta.url);

describe("the conformance tables are equal to their originals", () => {
  if (!existsSync(ORIGINALS)) {
    it.skip("../shared/conformance is not beside this checkout");
    return;
  }
  it.each(readdirSync(COPIES))("%s", (name) => {
    expect(readFileSync(new URL(name, COPIES)).equals(readFileSync(new URL(name, ORIGINALS)))).toBe(true);
  });
});
