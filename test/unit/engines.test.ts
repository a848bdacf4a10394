import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CANNOT } from "../support/engines/cannot.ts";

const root = join(import.meta.dirname, "../..");

// Of tests in these files the runner itself sees to it, in the engine's own run.
test("what engines cannot do names files that are there", () => {
  const files = CANNOT.flatMap(({ tests }) => Object.keys(tests));
  expect(files.length).toBeGreaterThan(0);
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});
