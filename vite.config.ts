/**
 * One config for everything Vite does here:
 *
 *     vite                      the playground's dev server
 *     vite build                dist/playground
 *     vite build --mode lib     dist/index.js, what `import "tabmq"` gets
 *     vite build --mode worker  dist/worker.js, the broker
 *     vitest                    the test projects
 *     vitest --mode long        the same, with many more rounds
 *     vitest --mode engines     the same, every test in every engine
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, readdir, rename, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";
import { type Plugin, type UserConfig, defineConfig } from "vite";
import type { TestProjectInlineConfiguration } from "vitest/config";

const root = dirname(fileURLToPath(import.meta.url));
const path = (...parts: string[]) => join(root, ...parts);

const TARGET = "es2022";

/** How the indexer is compiled. */
const ASC_FLAGS = ["-O3", "--runtime", "stub"];

/** What a page loads besides our own source. Named, so that the dev server never finds one later and reloads the page under a running test. */
const PAGE_DEPENDENCIES = ["comlink", "idb", "preact", "preact/hooks", "preact/jsx-runtime", "preact/jsx-dev-runtime", "@preact/signals"];

export default defineConfig(async ({ mode }): Promise<UserConfig> => {
  const shared: UserConfig = {
    plugins: [assemblyscript()],
    worker: { format: "es", plugins: () => [assemblyscript()] },
  };
  // As TABMQ_LONG=1 in the environment, which is not written alike on every system.
  if (mode === "long") process.env.TABMQ_LONG = "1";
  if (mode === "engines") process.env.TABMQ_EVERYWHERE = "1";
  if (process.env.VITEST) return { ...shared, ...(await tests()) };
  if (mode === "lib") return { ...shared, ...library() };
  if (mode === "worker") return { ...shared, ...worker() };
  return { ...shared, ...playground() };
});

function playground(): UserConfig {
  return {
    root: path("src/playground"),
    publicDir: path("public"),
    base: "./",
    server: { host: "127.0.0.1", port: 9876, strictPort: false },
    optimizeDeps: { include: PAGE_DEPENDENCIES },
    build: { target: TARGET, outDir: path("dist/playground"), emptyOutDir: true },
  };
}

function library(): UserConfig {
  return {
    publicDir: false,
    plugins: [assemblyscript(), workerByUrl()],
    build: {
      target: TARGET,
      sourcemap: true,
      outDir: path("dist"),
      emptyOutDir: true,
      // Bundlers know the worker expression by its shape, so it is left as it was written; the user's build minifies it.
      minify: false,
      lib: { entry: path("src/index.ts"), formats: ["es"], fileName: () => "index.js" },
      rolldownOptions: { output: { codeSplitting: false } },
    },
  };
}

function worker(): UserConfig {
  return {
    publicDir: false,
    plugins: [assemblyscript(), classicAndModule()],
    build: {
      target: TARGET,
      sourcemap: true,
      outDir: path("dist"),
      emptyOutDir: false,
      lib: { entry: path("src/broker/worker.ts"), formats: ["iife"], name: "tabmqBroker", fileName: () => "worker.js" },
    },
  };
}

async function tests(): Promise<UserConfig> {
  const { playwright } = await import("@vitest/browser-playwright");
  const { BROWSER_ARGS, findChromium } = await import("./test/support/browser.mjs");
  const { engines } = await import("./test/support/engines/find.mjs");
  const { engineProvider } = await import("./test/support/engines/provider.ts");
  // Into the environment, because tests that launch browsers themselves run in child processes of this one.
  const chromium = (process.env.TABMQ_CHROMIUM ??= (await findChromium({ install: false }))?.path ?? "");

  const project = (name: string, folders: string[], options: TestProjectInlineConfiguration["test"] = {}): TestProjectInlineConfiguration => ({
    extends: true,
    test: { name, include: folders.map((folder) => `test/${folder}/**/*.test.ts`), ...options },
  });
  return {
    root,
    publicDir: false,
    optimizeDeps: { include: [...PAGE_DEPENDENCIES, "fast-check"] },
    test: {
      projects: [
        project("node", ["unit", "contract", "conformance", "sim", "fuzz"], { environment: "node", maxWorkers: 2, testTimeout: 30_000, hookTimeout: 30_000 }),
        ...engines().flatMap((engine) => {
          const isChromium = engine === "chromium";
          const suffix = isChromium ? "" : `:${engine}`;
          return [
            project(`browser${suffix}`, ["browser"], {
              testTimeout: 30_000,
              sequence: { groupOrder: isChromium ? 1 : 3 },
              browser: {
                enabled: true,
                headless: true,
                screenshotFailures: false,
                provider: isChromium ? playwright({ launchOptions: { executablePath: chromium, args: BROWSER_ARGS } }) : engineProvider(engine),
                instances: [{ browser: engine }],
              },
            }),
            // Real browsers with several tabs, some of them killed: slow.
            project(`tabs${suffix}`, ["tabs", "fault"], {
              environment: "node",
              env: { TABMQ_ENGINE: engine },
              runner: "test/support/engines/runner.ts",
              globalSetup: "test/support/profiles.mjs",
              sequence: { groupOrder: isChromium ? 2 : 4 },
              // Most of the time they wait for a browser: three at once take little more than two.
              maxWorkers: 3,
              testTimeout: 120_000,
              hookTimeout: 120_000,
              retry: 0,
            }),
          ];
        }),
      ],
    },
  } as UserConfig;
}

/** `virtual:indexer-wasm`: assembly/index.ts, compiled, as base64. */
function assemblyscript(): Plugin {
  const id = "\0virtual:indexer-wasm";
  const folder = path("assembly");
  return {
    name: "assemblyscript",
    resolveId: (source) => (source === id.slice(1) ? id : undefined),
    async load(loaded) {
      if (loaded !== id) return;
      const sources = await assemblySources(folder);
      for (const source of sources) this.addWatchFile(source);
      return `export default "${(await compile(sources)).toString("base64")}";`;
    },
    // Before anybody is served: the first page would wait for the compiler longer than for a broker.
    async configureServer(server) {
      server.watcher.add(folder);
      await compile(await assemblySources(folder));
    },
    hotUpdate({ file, modules }) {
      if (!file.endsWith(".ts") || relative(folder, file).startsWith("..")) return;
      const module = this.environment.moduleGraph.getModuleById(id);
      return module ? [...new Set([...modules, module])] : modules;
    },
  };
}

async function assemblySources(folder: string): Promise<string[]> {
  const files = await readdir(folder, { recursive: true });
  return files.filter((file) => file.endsWith(".ts")).sort().map((file) => join(folder, file));
}

const compilations = new Map<string, Promise<Buffer>>();

/** Compiles once per content: the cache is keyed by compiler, flags and every source. */
async function compile(sources: string[]): Promise<Buffer> {
  const { version } = JSON.parse(await readFile(path("node_modules/assemblyscript/package.json"), "utf8"));
  const hash = createHash("sha256").update(JSON.stringify([version, ASC_FLAGS]));
  for (const source of sources) hash.update(`\0${relative(root, source).split(sep).join("/")}\0`).update(await readFile(source));
  const key = hash.digest("hex").slice(0, 32);
  const cached = path("node_modules/.cache/tabmq", `indexer-${key}.wasm`);

  let compilation = compilations.get(key);
  if (!compilation) {
    compilation = readFile(cached).catch(async () => {
      const wasm = await runCompiler();
      // Several builds may run at once; a reader must never see half a file.
      const temporary = `${cached}.${randomUUID()}`;
      await mkdir(dirname(cached), { recursive: true });
      await writeFile(temporary, wasm);
      await rename(temporary, cached);
      return wasm;
    });
    compilations.set(key, compilation);
    compilation.catch(() => compilations.delete(key));
  }
  return compilation;
}

async function runCompiler(): Promise<Buffer> {
  const { default: asc } = await import("assemblyscript/asc");
  let wasm: Uint8Array | undefined;
  const { error, stderr } = await asc.main(["assembly/index.ts", "--baseDir", root, "--outFile", "indexer.wasm", ...ASC_FLAGS], {
    writeFile: (_name, contents) => {
      if (typeof contents !== "string") wasm = contents;
    },
  });
  if (error || !wasm) throw new Error(`assembly/index.ts does not compile: ${error?.message ?? "no output"}\n${stderr.toString()}`);
  return Buffer.from(wasm);
}

/**
 * dist/index.js must reach its worker by an expression that the *user's* bundler recognises. Vite would bundle the
 * worker itself here, so the URL hides behind a name while Vite works and comes back, for dist/worker.js, at the end.
 */
function workerByUrl(): Plugin {
  const written = /new URL\(\s*"[./]*\/broker\/worker\.ts"\s*,\s*import\.meta\.url\s*\)/g;
  const hidden = "__TABMQ_WORKER_URL__";
  const built = `new URL("./worker.js", import.meta.url)`;
  return {
    name: "worker-by-url",
    enforce: "pre",
    transform(code) {
      const changed = code.replace(written, hidden);
      return changed === code ? undefined : { code: changed, map: null };
    },
    renderChunk(code) {
      return { code: code.replaceAll(hidden, built), map: null };
    },
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((output) => output.type === "chunk");
      const code = chunks.map((chunk) => chunk.code).join("\n");
      const count = (text: string) => code.split(text).length - 1;
      const shared = count(`new SharedWorker(${built}`);
      const dedicated = count(`new Worker(${built}`);
      if (chunks.length !== 1) this.error(`dist/index.js must be one file, not ${chunks.length}`);
      if (shared !== 1 || dedicated > 1 || count(built) !== shared + dedicated)
        this.error(`dist/index.js must start its worker in one place: found ${shared} SharedWorker, ${dedicated} Worker, ${count(built)} URLs`);
      if (/@vite-ignore|["'`]data:|worker\.ts"/.test(code)) this.error("dist/index.js holds a worker expression that bundlers cannot follow");
    },
  };
}

/** Some bundlers start the worker as a classic script, some as a module: dist/worker.js must be both, in one file. */
function classicAndModule(): Plugin {
  return {
    name: "classic-and-module",
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((output) => output.type === "chunk");
      const [chunk] = chunks;
      if (!chunk || chunks.length !== 1) return this.error(`dist/worker.js must be one file, not ${chunks.length}`);
      if (chunk.imports.length + chunk.dynamicImports.length > 0) this.error("dist/worker.js must import nothing");
      // A script can hold no import, export, import.meta or top-level await; strict mode is what a module adds.
      compileFunction(`"use strict";${chunk.code}`, [], { filename: "dist/worker.js" });
    },
  };
}
