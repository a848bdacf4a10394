import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { isSupported } from "../support/node-version.mjs";

const engines = (path: string): string => (JSON.parse(readFileSync(new URL(`../../${path}/package.json`, import.meta.url), "utf8")) as { engines: { node: string } }).engines.node;

describe("which Node", () => {
  test("package.json says what Vite and the linter say", () => {
    expect(engines(".")).toBe(engines("node_modules/vite"));
    expect(engines(".")).toBe(engines("node_modules/oxlint"));
  });

  test.each([
    ["18.20.0", false], ["20.18.9", false], ["20.19.0", true], ["20.20.2", true], ["21.7.0", false], ["22.11.0", false], ["22.12.0", true], ["23.0.0", true], ["24.1.0", true],
  ])("%s: %s", (version, expected) => expect(isSupported(version)).toBe(expected));
});
