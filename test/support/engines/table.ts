/** A reporter of vitest: suites by engine, and below them what was skipped and why. */
import type { Reporter, TestModule } from "vitest/node";
import { type EngineName, ENGINES } from "./engine.ts";
import { missing } from "./find.mjs";

interface Cell {
  passed: number;
  failed: number;
  skipped: number;
}

export default class EngineTable implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const rows = new Map<string, Map<EngineName, Cell>>();
    const skips = new Map<string, Set<string>>();
    for (const module of modules) {
      const engine = engineOf(module.project.name);
      if (engine === undefined) continue;
      const cells = rows.get(module.relativeModuleId) ?? new Map<EngineName, Cell>();
      rows.set(module.relativeModuleId, cells.set(engine, count(module)));
      const skipped = [...module.children.allTests("skipped")];
      const isWhole = skipped.length === [...module.children.allTests()].length;
      for (const test of skipped) {
        const result = test.result();
        const heading = `${engine}: ${("note" in result && result.note) || "skipped by the test itself"}`;
        const what = isWhole ? `${module.relativeModuleId}, all` : `${module.relativeModuleId} > ${test.fullName}`;
        skips.set(heading, (skips.get(heading) ?? new Set()).add(what));
      }
    }
    if (rows.size > 0) console.log(`\n${table(rows)}\n${notes(skips)}`);
  }
}

/** Of a project's name: `tabs`, `tabs:firefox`, `browser:firefox (firefox)`. */
function engineOf(project: string): EngineName | undefined {
  const named = /^(?:tabs|browser)(?::(\w+))?\b/.exec(project);
  return named === null ? undefined : ENGINES.find((engine) => engine === (named[1] ?? "chromium"));
}

function count(module: TestModule): Cell {
  const tests = [...module.children.allTests()].map((test) => test.result().state);
  const of = (wanted: string): number => tests.filter((state) => state === wanted).length;
  // A file that cannot be loaded fails without a failed test in it.
  const failed = of("failed") || Number(module.state() === "failed");
  return { passed: of("passed"), failed, skipped: of("skipped") };
}

function table(rows: Map<string, Map<EngineName, Cell>>): string {
  const sum = (engine: EngineName): Cell | undefined => [...rows.values()].map((cells) => cells.get(engine)).reduce((a, b) => (a && b ? add(a, b) : (a ?? b)), undefined);
  const lines = [
    ["suite", ...ENGINES],
    ...[...rows].toSorted(([a], [b]) => a.localeCompare(b)).map(([file, cells]) => [file, ...ENGINES.map((engine) => show(cells.get(engine)))]),
    ["all", ...ENGINES.map((engine) => show(sum(engine)))],
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines.map((line) => line.map((text, column) => text.padEnd(widths[column]!)).join("  ").trimEnd()).join("\n");
}

function add(a: Cell, b: Cell): Cell {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

function show(cell: Cell | undefined): string {
  if (cell === undefined) return "-";
  const parts = [`${cell.passed} passed`, cell.failed > 0 ? `${cell.failed} FAILED` : "", cell.skipped > 0 ? `${cell.skipped} skipped` : ""];
  return parts.filter((part) => part !== "").join(", ");
}

function notes(skips: Map<string, Set<string>>): string {
  const absent = missing().flatMap(({ engine, reason }) => (reason === undefined ? [] : [`${engine}: ${reason}`]));
  return [...absent, ...[...skips].flatMap(([heading, tests]) => [heading, ...[...tests].map((test) => `    ${test}`)])].join("\n");
}
