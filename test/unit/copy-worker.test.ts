import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const SCRIPT = fileURLToPath(new URL("../../src/bin/copy-worker.js", import.meta.url));

let home: string;
/** As an application has it in node_modules. */
let installed: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tabmq-copy-"));
  installed = join(home, "node_modules/tabmq");
  mkdirSync(join(installed, "src/bin"), { recursive: true });
  mkdirSync(join(installed, "dist"));
  copyFileSync(SCRIPT, join(installed, "src/bin/copy-worker.js"));
  writeFileSync(join(installed, "package.json"), JSON.stringify({ type: "module", version: "7.8.9" }));
  writeFileSync(join(installed, "dist/worker.js"), "(function(){})();\n//# sourceMappingURL=worker.js.map\n");
  mkdirSync(join(home, "public"));
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

function run(...args: string[]): { code: number | null; said: string; complained: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(installed, "src/bin/copy-worker.js"), ...args], { cwd: home, encoding: "utf8" });
  return { code: status, said: stdout, complained: stderr };
}

test("the worker is where it was asked for, and it is told how to use it", () => {
  const { code, said, complained } = run("public/");
  expect({ code, complained }).toEqual({ code: 0, complained: "" });
  expect(said).toContain("TabMQ 7.8.9's worker");
  expect(said).toContain(`new SharedWorker("/tabmq-worker.js", { name, extendedLifetime: true })`);
  // Without a pointer to a source map that is not there.
  expect(readFileSync(join(home, "public/tabmq-worker.js"), "utf8")).toBe("(function(){})();\n");
});

test("an older copy is replaced", () => {
  writeFileSync(join(home, "public/tabmq-worker.js"), "old");
  expect(run("public").code).toBe(0);
  expect(readFileSync(join(home, "public/tabmq-worker.js"), "utf8")).not.toContain("old");
});

test("a folder that is not there is made, and that is told", () => {
  const { code, said, complained } = run("web/static");
  expect({ code, complained }).toEqual({ code: 0, complained: "" });
  expect(said).toContain(`There was no folder web/static: ${join(realpathSync(home), "web/static")} is new.`);
  expect(readFileSync(join(home, "web/static/tabmq-worker.js"), "utf8")).toBe("(function(){})();\n");
  expect(run("web/static").said).not.toContain("is new");
});

test("--help explains", () => {
  const { code, said } = run("--help");
  expect(code).toBe(0);
  expect(said).toContain("Usage: tabmq-copy-worker FOLDER");
});

test.each([
  ["no folder", [], "Usage: tabmq-copy-worker FOLDER"],
  ["two folders", ["public", "static"], "Usage: tabmq-copy-worker FOLDER"],
  ["an option that there is not", ["--name"], "Usage: tabmq-copy-worker FOLDER"],
  ["a file", ["node_modules/tabmq/package.json"], "is not a folder"],
  ["a folder in a file", ["node_modules/tabmq/package.json/static"], "tabmq-worker.js cannot be written: ENOTDIR"],
])("refused: %s", (_what, args, complaint) => {
  const { code, said, complained } = run(...args);
  expect({ code, said }).toEqual({ code: 1, said: "" });
  expect(complained).toContain(complaint);
  expect(readdirSync(join(home, "public"))).toEqual([]);
});

test("a package that was not built says so", () => {
  rmSync(join(installed, "dist"), { recursive: true });
  const { code, complained } = run("public");
  expect(code).toBe(1);
  expect(complained).toContain("run npm run build first");
});

test("what cannot be written is told", () => {
  mkdirSync(join(home, "public/tabmq-worker.js"));
  const { code, complained } = run("public");
  expect(code).toBe(1);
  expect(complained).toMatch(/tabmq-worker\.js cannot be written: EISDIR/);
});
