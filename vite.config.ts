/**
 * One config for everything Vite does here:
 *
 *     vite                      the playground's dev server
 *     vite build                dist/playground
 *     vite build --mode lib     dist/index.js, what `import "tabmq"` gets, and dist/worker-inline.js
 *     vite build --mode worker  dist/worker.js, the broker
 *     vite build --mode service-worker  dist/service-worker.js, for an application's service worker, and its classic twin
 *     vite build --mode react   dist/react.js
 *     vite build --mode testing dist/testing.js, a whole broker for an application's tests
 *     vite build --mode bench   store-read.js, what a bench needs of the broker's insides
 *     vite build --mode app     an application that only connects, to be weighed
 *     vitest                    the test projects
 *     vitest --mode long        the same, with many more rounds
 *     vitest --mode engines     the same, every test in every engine
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, readdir, rename, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";
import { build, type Plugin, type Rolldown, type UserConfig, defineConfig } from "vite";
import type { TestProjectInlineConfiguration } from "vitest/config";

const root = dirname(fileURLToPath(import.meta.url));
const path = (...parts: string[]) => join(root, ...parts);

const TARGET = "es2022";

/** How the indexer is compiled. */
const ASC_FLAGS = ["-O3", "--runtime", "stub"];

/** What a page loads besides our own source. Named, so that the dev server never finds one later and reloads the page under a running test. */
const PAGE_DEPENDENCIES = [
  "comlink", "idb", "preact", "preact/hooks", "preact/jsx-runtime", "preact/jsx-dev-runtime", "@preact/signals", "@tanstack/virtual-core", "uplot", "react", "react-dom/client",
];

export default defineConfig(async ({ mode }): Promise<UserConfig> => {
  const shared: UserConfig = {
    plugins: [assemblyscript(), workerSource()],
    worker: { format: "es", plugins: () => [assemblyscript(), workerSource()] },
  };
  // As TABMQ_LONG=1 in the environment, which is not written alike on every system.
  if (mode === "long") process.env.TABMQ_LONG = "1";
  if (mode === "engines") process.env.TABMQ_EVERYWHERE = "1";
  if (process.env.VITEST) return { ...shared, ...(await tests()) };
  if (mode === "lib") return { ...shared, ...library() };
  if (mode === "devtools") return { ...shared, ...devtools() };
  if (mode === "react") return { ...shared, ...react() };
  if (mode === "testing") return { ...shared, ...testing() };
  if (mode === "worker") return { ...shared, ...worker() };
  if (mode === "service-worker") return { ...shared, ...serviceWorkerEntry() };
  if (mode === "bench") return { ...shared, ...benchInsides() };
  if (mode === "app") return application();
  return { ...shared, ...playground() };
});

function playground(): UserConfig {
  return {
    root: path("src/playground"),
    publicDir: path("public"),
    plugins: [assemblyscript(), workerSource(), pageOfItsOwn("order-pad"), serviceWorker()],
    base: "./",
    server: { host: "127.0.0.1", port: 9876, strictPort: false },
    optimizeDeps: { include: PAGE_DEPENDENCIES },
    build: { target: TARGET, outDir: path("dist/playground"), emptyOutDir: true },
  };
}

const CONNECT = path("src/client/connect.ts");

function library(): UserConfig {
  return {
    publicDir: false,
    plugins: [assemblyscript(), workerSource(), workerByUrl()],
    build: {
      target: TARGET,
      sourcemap: true,
      outDir: path("dist"),
      emptyOutDir: true,
      // Bundlers know the worker expression by its shape, so it is left as it was written; the user's build minifies it.
      minify: false,
      // `connect` is an entry of its own, so that what it needs lies in another file than what only senders and consumers need (0025).
      lib: {
        entry: { index: path("src/index.ts"), connect: CONNECT, "worker-inline": path("src/worker-inline.ts") },
        formats: ["es"],
        fileName: (_format, name) => `${name}.js`,
      },
      rolldownOptions: {
        output: {
          // All that `connect` imports goes with it, and what else two files need lies in one; else each pair would have a file of its own.
          codeSplitting: { groups: [{ name: "core", test: (id) => id === CONNECT, priority: 1 }, { name: "rules", minShareCount: 2 }] },
          chunkFileNames: ({ isDynamicEntry, moduleIds }) => (isDynamicEntry ? "[name].js" : moduleIds.includes(CONNECT) ? "core.js" : "[name].js"),
        },
      },
    },
  };
}

/** The element: one file, with everything in it but the library itself, which the application has already. */
function devtools(): UserConfig {
  const index = path("src/index.ts");
  return {
    publicDir: false,
    // A library's build leaves it to the user's bundler, and a page without one has no `process`.
    define: { "process.env.NODE_ENV": '"production"' },
    build: {
      target: TARGET,
      outDir: path("dist"),
      emptyOutDir: false,
      lib: { entry: path("src/devtools/index.ts"), formats: ["es"], fileName: () => "devtools.js", cssFileName: "devtools" },
      rolldownOptions: { external: index, output: { codeSplitting: false, paths: { [index]: "./index.js" } } },
    },
  };
}

/** Hooks, beside the library and the React that the application has. */
function react(): UserConfig {
  const index = path("src/index.ts");
  return {
    publicDir: false,
    build: {
      target: TARGET,
      outDir: path("dist"),
      emptyOutDir: false,
      minify: false,
      lib: { entry: path("src/react/index.ts"), formats: ["es"], fileName: () => "react.js" },
      rolldownOptions: { external: [index, "react"], output: { banner: `"use client";`, paths: { [index]: "./index.js" } } },
    },
  };
}

/** One file that needs no other: client, broker, store. Of a browser it has nothing. */
function testing(): UserConfig {
  const noBrowser: Plugin = {
    name: "no-browser",
    enforce: "pre",
    // What it holds is a worker, and Vite would build one.
    load: (id) => (id === path("src/client/browser-environment.ts") ? "export const browserEnvironment = null;" : undefined),
  };
  return {
    publicDir: false,
    plugins: [noBrowser],
    build: {
      target: TARGET,
      outDir: path("dist"),
      emptyOutDir: false,
      minify: false,
      lib: { entry: path("src/testing/index.ts"), formats: ["es"], fileName: () => "testing.js" },
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

/** Client and broker in one script: a module, and the same for `importScripts`, which makes `tabmq` global. */
function serviceWorkerEntry(): UserConfig {
  return {
    publicDir: false,
    plugins: [assemblyscript(), ownScript()],
    build: {
      target: TARGET,
      minify: true,
      outDir: path("dist"),
      emptyOutDir: false,
      lib: {
        entry: path("src/service-worker.ts"),
        formats: ["es", "iife"],
        name: "tabmq",
        fileName: (format) => (format === "es" ? "service-worker.js" : "service-worker-classic.js"),
      },
      rolldownOptions: { output: { codeSplitting: false } },
    },
  };
}

function benchInsides(): UserConfig {
  return {
    publicDir: false,
    build: { target: TARGET, outDir: path("node_modules/.cache/tabmq/bench-dist"), emptyOutDir: false, lib: { entry: path("test/bench/store-read.ts"), formats: ["es"], fileName: () => "store-read.js" } },
  };
}

/** What an application loads that imports `connect` and nothing else, made from the package as a user has it. */
function application(): UserConfig {
  return {
    root,
    publicDir: false,
    build: {
      target: TARGET,
      outDir: path("node_modules/.cache/tabmq/app"),
      emptyOutDir: true,
      assetsInlineLimit: 0,
      modulePreload: false,
      rolldownOptions: { input: path("test/support/app.js"), output: { entryFileNames: "app.js", chunkFileNames: "[name].js", assetFileNames: "[name].js" } },
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
      // A page on a machine with much else to do needs longer than the second that is usual.
      expect: { poll: { timeout: 15_000 } },
      projects: [
        project("node", ["unit", "contract", "conformance", "sim", "fuzz"], { environment: "node", setupFiles: "test/support/teardown.ts", maxWorkers: 3, testTimeout: 30_000, hookTimeout: 30_000 }),
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
              // Four at once take as long as three.
              maxWorkers: 3,
              // What they have to keep apart is in browsers' profiles. A process of its own for each file costs two seconds of a processor, most of all for those that an engine skips.
              isolate: false,
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

/** `virtual:worker-source`: dist/worker.js, as text. */
function workerSource(): Plugin {
  const id = "\0virtual:worker-source";
  return {
    name: "worker-source",
    resolveId: (source) => (source === id.slice(1) ? id : undefined),
    async load(loaded) {
      if (loaded !== id) return;
      const config = worker();
      const built = await build({ root, configFile: false, logLevel: "warn", ...config, build: { ...config.build, write: false, sourcemap: false } });
      const [chunk] = [built].flat().flatMap((result) => ("output" in result ? result.output : []));
      if (chunk?.type !== "chunk") throw new Error("the worker was not built");
      return `export default ${JSON.stringify(chunk.code)};`;
    },
  };
}

/**
 * The library must reach its worker by an expression that the *user's* bundler recognises. Vite would bundle the
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
      // An entry by name only: its code is core.js.
      delete bundle["connect.js"];
      const chunks = Object.values(bundle).filter((output) => output.type === "chunk");
      const names = chunks.map(({ fileName }) => fileName).sort().join(", ");
      if (names !== "clients.js, core.js, http-outbox.js, index.js, rules.js, tab-host.js, worker-inline.js") this.error(`not the files that the library is made of: ${names}`);
      if (chunks.some(({ imports }) => imports.includes("worker-inline.js"))) this.error("dist/worker-inline.js is twice as heavy as all of the library; it must be loaded by import() only");
      const code = chunks.filter(({ fileName }) => fileName !== "worker-inline.js").map((chunk) => chunk.code).join("\n");
      const count = (text: string) => code.split(text).length - 1;
      const shared = count(`new SharedWorker(${built}`);
      const dedicated = count(`new Worker(${built}`);
      if (shared !== 1 || dedicated !== 1 || count(built) !== shared + dedicated)
        this.error(`the library must start each kind of worker in one place: found ${shared} SharedWorker, ${dedicated} Worker, ${count(built)} URLs`);
      if (/@vite-ignore|["'`]data:|worker\.ts"/.test(code)) this.error("the library holds a worker expression that bundlers cannot follow");
    },
  };
}

/** A page that is built by itself, into the playground's folder: as a second entry it would cut the first one's code into more and smaller files. */
function pageOfItsOwn(name: string): Plugin {
  return {
    name: "page-of-its-own",
    apply: "build",
    generateBundle: {
      order: "post",
      async handler(_options, bundle) {
        const built = await build({
          configFile: false,
          logLevel: "warn",
          root: path("src/playground"),
          publicDir: path("public"),
          plugins: [assemblyscript(), workerSource()],
          worker: { format: "es", plugins: () => [assemblyscript(), workerSource()] },
          base: "./",
          build: {
            target: TARGET,
            write: false,
            rolldownOptions: { input: path(`src/playground/${name}.html`), output: { entryFileNames: `assets/${name}-[hash].js`, chunkFileNames: `assets/${name}-[name]-[hash].js` } },
          },
        });
        // The broker's script is there already, under the same name: both pages share one worker.
        for (const { output } of [built].flat() as Rolldown.RolldownOutput[]) {
          for (const file of output) if (bundle[file.fileName] === undefined) this.emitFile({ type: "asset", fileName: file.fileName, source: file.type === "chunk" ? file.code : file.source });
        }
      },
    },
  };
}

/** A service worker loads nothing later and starts no worker, so nothing of the page's ways to do so may be left in its script. */
function ownScript(): Plugin {
  return {
    name: "own-script",
    enforce: "pre",
    load: (id) => (id === path("src/worker-inline.ts") ? "export const startInlineWorker = null;" : undefined),
    // Vite would bundle a worker that nobody starts here.
    transform: (code, id) => (/\/client\/(browser-environment|tab-host)\.ts$/.test(id) ? { code: code.replace(/new URL\(\s*"[./]*\/broker\/worker\.ts"\s*,\s*import\.meta\.url\s*\)/g, '""'), map: null } : undefined),
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((output) => output.type === "chunk");
      const [chunk] = chunks;
      // What was to be loaded later stands in the same file: it imports itself.
      const wanted = [...(chunk?.imports ?? []), ...(chunk?.dynamicImports ?? [])].filter((name) => name !== chunk?.fileName);
      if (!chunk || chunks.length !== 1 || wanted.length > 0) return this.error(`a service worker's script must be one file that imports nothing: ${[...chunks.map(({ fileName }) => fileName), ...wanted].join(", ")}`);
      const found = /new SharedWorker|new Worker|[^.\w]import\(|import\.meta/.exec(chunk.code);
      if (found) this.error(`${chunk.fileName} holds "${found[0]}"`);
    },
  };
}

/** dist/playground/sw.js: the page's service worker, with the names of everything that the page may load, and a version made of what is in it. */
function serviceWorker(): Plugin {
  const fileName = "sw.js";
  return {
    name: "service-worker",
    apply: "build",
    buildStart() {
      this.emitFile({ type: "chunk", id: path("src/playground/service-worker.ts"), fileName });
    },
    generateBundle: {
      // Behind Vite's own, which writes the page.
      order: "post",
      async handler(_options, bundle) {
        const chunk = bundle[fileName];
        if (chunk?.type !== "chunk" || chunk.imports.length + chunk.dynamicImports.length > 0) return this.error(`${fileName} must be one script that imports nothing`);
        // The worker's text is for where its file cannot be had.
        const built = Object.values(bundle).filter((output) => output !== chunk && !output.fileName.includes("worker-inline"));
        const contents = new Map<string, string | Uint8Array>(built.map((output) => [output.fileName === "index.html" ? "./" : output.fileName, output.type === "chunk" ? output.code : output.source]));
        for (const file of await readdir(path("public"))) contents.set(file, await readFile(path("public", file)));
        if (!contents.has("./")) this.error("the page is not there when its service worker is made");
        const files = [...contents.keys()].sort();
        const hash = createHash("sha256").update(chunk.code);
        for (const file of files) hash.update(`\0${file}\0`).update(contents.get(file)!);
        chunk.code = chunk.code.replace("BUILD_VERSION", () => JSON.stringify(hash.digest("hex").slice(0, 12))).replace("BUILD_FILES", () => JSON.stringify(files));
      },
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
