/** Whose code is in dist/ is named with its licence in THIRD-PARTY-NOTICES.md, which the package has along. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
/** Handed in by the application, or made here. */
const NOT_BUILT_IN = new Set(["react", "@opentelemetry/api", "virtual:worker-source", "virtual:indexer-wasm"]);

const read = (...path: string[]): string => readFileSync(join(ROOT, ...path), "utf8");

/** The package of `preact/hooks` is preact. */
function packageOf(specifier: string): string {
  return specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

/** What the sources import, and what that imports. */
function builtIn(): string[] {
  const found = new Set<string>();
  const add = (name: string): void => {
    if (NOT_BUILT_IN.has(name) || found.has(name)) return;
    found.add(name);
    const { dependencies = {} } = JSON.parse(read("node_modules", name, "package.json")) as { dependencies?: Record<string, string> };
    for (const dependency of Object.keys(dependencies)) add(dependency);
  };
  for (const file of readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })) {
    if (!/\.tsx?$/.test(file)) continue;
    for (const [, specifier] of read("src", file).matchAll(/^(?:import|export) (?!type\b)[^;]*? from "([^."][^"]*)";/gm)) add(packageOf(specifier!));
  }
  return [...found].toSorted();
}

test("every package that is built in is named, with the text of its licence", () => {
  const notices = read("THIRD-PARTY-NOTICES.md");
  const own = read("LICENSE");
  const named = [...notices.matchAll(/^## (.*)$/gm)].map(([, name]) => name!);
  expect(named.toSorted()).toEqual(builtIn());
  for (const name of named) {
    const { license } = JSON.parse(read("node_modules", name, "package.json")) as { license: string };
    const file = readdirSync(join(ROOT, "node_modules", name)).find((entry) => /^licen[cs]e/i.test(entry))!;
    const text = read("node_modules", name, file).replaceAll("\r", "").trim();
    // Of one kind with this package's own.
    if (license === "Apache-2.0") expect(own).toContain("Apache License");
    else expect(notices).toContain(text);
  }
});

test("the package has them along", () => {
  expect((JSON.parse(read("package.json")) as { files: string[] }).files).toContain("THIRD-PARTY-NOTICES.md");
});
