import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

/** Who may import whom. A folder may always import itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  model: [],
  filter: ["model"],
  protocol: ["model"],
  platform: ["model", "filter", "protocol"],
  storage: ["model", "filter", "protocol", "platform"],
  broker: ["model", "filter", "protocol", "platform", "storage"],
  client: ["model", "filter", "protocol", "platform", "worker-inline"],
  "worker-inline": [],
  index: ["model", "filter", "protocol", "client"],
  "service-worker": ["model", "filter", "protocol", "platform", "storage", "broker", "client", "index"],
  devtools: ["index"],
  playground: ["index", "devtools", "worker"],
  react: ["index"],
  // Client and broker in one process: for tests, and for nothing that an application ships.
  testing: ["index", "model", "protocol", "platform", "storage", "broker", "client"],
};

interface Import {
  file: string;
  target: string;
  /** By `import()`. */
  isLate: boolean;
}

const root = resolve(import.meta.dirname, "../..");

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name) && !name.endsWith(".d.ts"))
    .map((name) => join(folder, name));
}

function importsOf(file: string, source: string): Import[] {
  const specifiers = [...source.matchAll(/(?:^|\n)\s*(?:import|export)\b[^;"']*?["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)/g)];
  return specifiers.map((match) => ({ file, target: (match[1] ?? match[2])!, isLate: match[1] === undefined }));
}

/** The folder of src a path lies in; src/index.ts is a room of its own. */
function roomOf(path: string): string {
  const [first = ""] = relative("src", path).split("/");
  return first.replace(/\.ts$/, "");
}

/** To others the broker's script is what the package exports as tabmq/worker. */
function doorOf(path: string): string {
  return path === join("src", "broker", "worker.ts") ? "worker" : roomOf(path);
}

function violations(imports: Import[]): string[] {
  return imports
    .filter(({ target }) => target.startsWith("."))
    .map(({ file, target }) => ({ file, from: roomOf(file), to: doorOf(join(dirname(file), target)) }))
    .filter(({ from, to }) => from !== to && !MAY_IMPORT[from]?.includes(to))
    .map(({ file, from, to }) => `${file}: ${from} must not import ${to}`);
}

const imports = filesIn("src").flatMap((file) => importsOf(file, readFileSync(join(root, file), "utf8")));

describe("the import rule", () => {
  test("imports point down only", () => {
    expect(imports.length).toBeGreaterThan(100);
    expect(violations(imports)).toEqual([]);
  });

  test("control: a client that imports the broker is found", () => {
    expect(violations(importsOf("src/client/x.ts", `import { Broker } from "../broker/broker.ts";`))).toHaveLength(1);
    expect(violations(importsOf("src/model/x.ts", `export type { Clock } from "../platform/clock.ts";`))).toHaveLength(1);
    expect(violations(importsOf("src/devtools/x.tsx", `const x = await import("../client/connect.ts");`))).toHaveLength(1);
    expect(violations(importsOf("src/playground/x.ts", `import "../broker/host.ts";`))).toHaveLength(1);
  });

  test("only the WASM binding knows the module, and only a browser's host loads it", () => {
    const users = imports.filter(({ target }) => target === "virtual:indexer-wasm" || target.endsWith("/wasm-indexer.ts"));
    expect(users.map(({ file }) => file)).toEqual(["src/broker/browser-host.ts", "src/broker/browser-host.ts"]);
  });

  test("the worker's text is in one module, which nothing imports but by import()", () => {
    const users = imports.filter(({ target, isLate }) => target === "virtual:worker-source" || (target.endsWith("/worker-inline.ts") && !isLate));
    expect(users.map(({ file }) => file)).toEqual(["src/worker-inline.ts"]);
  });

  test("the client reaches the worker by URL", () => {
    const source = readFileSync(join(root, "src/client/browser-environment.ts"), "utf8");
    expect(source).toContain(`new SharedWorker(new URL("../broker/worker.ts", import.meta.url)`);
  });

  test("assembly/ imports nothing outside itself", () => {
    const outside = filesIn("assembly")
      .flatMap((file) => importsOf(file, readFileSync(join(root, file), "utf8")))
      .filter(({ target }) => !/^\.\/[\w-]+$/.test(target));
    expect(outside).toEqual([]);
  });

  test("importing the package touches no browser global", async () => {
    const names = Object.keys(await import("../../src/index.ts"));
    expect(names).toContain("connect");
  });
});
